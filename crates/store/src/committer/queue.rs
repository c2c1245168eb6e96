//! What waits for the committer.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cog_base::id::{RunId, TenantId};
use cog_ledger::{AppendError, Prepared, ShelfError, Tail};

use super::batch::Batch;
use super::{DRAFTS_PER_BATCH_MAX, QUEUE_MAX, Reply, SUBMISSIONS_PER_BATCH_MAX, ended};

/// What is called with the end of a log, as a [`Reply`].
pub type HeadReply = Box<dyn FnOnce(Result<Option<Tail>, Arc<AppendError>>) + Send>;

/// One thing to do, in its turn.
pub(super) enum Job {
    Append {
        drafts: Vec<(TenantId, Prepared)>,
        reply: Reply,
    },
    /// An append that is not acceptable, to be answered in its turn.
    Refuse(Refused),
    Head {
        tenant: TenantId,
        reply: HeadReply,
    },
    Rotate {
        tenant: TenantId,
        reply: Reply,
    },
    Forgive {
        tenant: TenantId,
    },
}

/// An append that could not be prepared.
pub(super) struct Refused {
    /// Whose journals would have a gap.
    pub(super) sessions: Vec<(TenantId, RunId)>,
    pub(super) why: AppendError,
    pub(super) reply: Reply,
}

impl Job {
    const fn is_append(&self) -> bool {
        matches!(self, Self::Append { .. } | Self::Refuse(_))
    }

    /// Answer that it was not done.
    pub(super) fn fail(self, why: &Arc<AppendError>) {
        match self {
            Self::Append { reply, .. } | Self::Rotate { reply, .. } => reply(Err(Arc::clone(why))),
            Self::Refuse(Refused { reply, .. }) => reply(Err(Arc::clone(why))),
            Self::Head { reply, .. } => reply(Err(Arc::clone(why))),
            Self::Forgive { .. } => {}
        }
    }
}

/// What the thread does next.
pub(super) enum Turn {
    /// These appends in one commit.
    Commit(Batch),
    Refuse(Refused),
    Head(TenantId, HeadReply),
    Rotate(TenantId, Reply),
    Forgive(TenantId),
    /// Nothing is left and nothing will come.
    End,
}

/// A queue with a named maximum.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether nobody waits: there is one thread, and it does everything.
    is_stepped: bool,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    /// One of which turns are taken with [`Queue::turn`] alone.
    pub(super) fn stepped() -> Self {
        Self { is_stepped: true, ..Self::default() }
    }

    /// Add jobs in their order. The maximum is one of appends: of anything else there is little,
    /// and it has nobody who would ask again. Returns those that were not added, with the reason.
    pub(super) fn put(&self, jobs: impl IntoIterator<Item = Job>) -> Vec<(Job, ShelfError)> {
        let mut state = self.state();
        let mut refused = Vec::new();
        for job in jobs {
            if state.closed {
                refused.push((job, ended()));
            } else if state.jobs.len() >= QUEUE_MAX && job.is_append() {
                let why = format!("{QUEUE_MAX} appends are waiting for the ledger already");
                refused.push((job, ShelfError::transient(why)));
            } else {
                state.jobs.push_back(job);
            }
        }
        drop(state);
        self.changed.notify_one();
        refused
    }

    /// Wait for the next turn: as many appends as one commit may have, or one other job.
    pub(super) fn next(&self) -> Turn {
        let mut state = self.state();
        while state.jobs.is_empty() {
            if state.closed {
                return Turn::End;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.turn()
    }

    /// The next turn, if there is something to do.
    pub(super) fn turn(&self) -> Option<Turn> {
        let mut state = self.state();
        if state.jobs.is_empty() { None } else { Some(state.turn()) }
    }

    pub(super) fn has_work(&self) -> bool {
        !self.state().jobs.is_empty()
    }

    /// Take no more jobs.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// Take no more jobs, and take out those that wait.
    pub(super) fn abandon(&self) -> VecDeque<Job> {
        let mut state = self.state();
        state.closed = true;
        std::mem::take(&mut state.jobs)
    }

    /// Let some time pass before a commit is tried again; less when the queue is closed.
    pub(super) fn pause(&self, time: Duration) {
        if self.is_stepped {
            return;
        }
        let state = self.state();
        let closed = |state: &mut State| !state.closed;
        drop(self.changed.wait_timeout_while(state, time, closed));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// As many appends as one commit may have, or one other job.
    fn turn(&mut self) -> Turn {
        let mut batch = Batch::default();
        while batch.submissions.len() < SUBMISSIONS_PER_BATCH_MAX {
            match self.jobs.pop_front() {
                Some(Job::Append { drafts, reply }) if fits(batch.drafts.len(), drafts.len()) => {
                    batch.push(drafts, reply);
                }
                Some(Job::Refuse(refused)) if batch.is_empty() => return Turn::Refuse(refused),
                Some(Job::Head { tenant, reply }) if batch.is_empty() => {
                    return Turn::Head(tenant, reply);
                }
                Some(Job::Rotate { tenant, reply }) if batch.is_empty() => {
                    return Turn::Rotate(tenant, reply);
                }
                Some(Job::Forgive { tenant }) if batch.is_empty() => {
                    return Turn::Forgive(tenant);
                }
                Some(later) => {
                    self.jobs.push_front(later);
                    break;
                }
                None => break,
            }
        }
        Turn::Commit(batch)
    }
}

const fn fits(count: usize, more: usize) -> bool {
    count == 0 || count + more <= DRAFTS_PER_BATCH_MAX
}
