//! What waits for the committer: a line for each tenant, and whose turn it is among them. A tenant
//! with thousands of appends that wait keeps another one's waiting for its share of a commit, not
//! for all of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cog_base::id::{RunId, TenantId};
use cog_base::turns::Turns;
use cog_ledger::{AppendError, Prepared, ShelfError, Tail};

use super::batch::Batch;
use super::{DRAFTS_PER_BATCH_MAX, QUEUE_MAX, Reply, ended};

/// What a tenant gets in a turn, in drafts: about what a run appends at a time, so that a commit is
/// shared by as many as wait for it.
const TURN_DRAFTS: u64 = 4;

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

    /// Whose line it stands in, if it is of one tenant.
    fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::Append { drafts, .. } => one_of(drafts.iter().map(|(tenant, _)| *tenant)),
            Self::Refuse(refused) => one_of(refused.sessions.iter().map(|(tenant, _)| *tenant)),
            Self::Head { tenant, .. } | Self::Rotate { tenant, .. } | Self::Forgive { tenant } => {
                Some(*tenant)
            }
        }
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
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether nobody waits: there is one thread, and it does everything.
    is_stepped: bool,
}

struct State {
    /// Jobs of one tenant each, and then one that is not: what is recorded of several at once stands
    /// behind whatever was submitted before it, and before all that was submitted after.
    ages: VecDeque<Age>,
    len: usize,
    closed: bool,
    weights: BTreeMap<TenantId, u32>,
}

struct Age {
    lines: BTreeMap<TenantId, VecDeque<Job>>,
    turns: Turns<TenantId>,
    last: Option<Job>,
}

impl Queue {
    /// One where some tenants get so many times as much of a commit as others.
    pub(super) fn new(weights: BTreeMap<TenantId, u32>) -> Self {
        let state = State { ages: VecDeque::new(), len: 0, closed: false, weights };
        Self { state: Mutex::new(state), changed: Condvar::new(), is_stepped: false }
    }

    /// One of which turns are taken with [`Queue::turn`] alone.
    pub(super) fn stepped() -> Self {
        Self { is_stepped: true, ..Self::new(BTreeMap::new()) }
    }

    /// Add jobs in the order of their tenants. The maximum is one of appends: of anything else there is little,
    /// and it has nobody who would ask again. Returns those that were not added, with the reason.
    pub(super) fn put(&self, jobs: impl IntoIterator<Item = Job>) -> Vec<(Job, ShelfError)> {
        let mut state = self.state();
        let mut refused = Vec::new();
        for job in jobs {
            if state.closed {
                refused.push((job, ended()));
            } else if state.len >= QUEUE_MAX && job.is_append() {
                let why = format!("{QUEUE_MAX} appends are waiting for the ledger already");
                refused.push((job, ShelfError::transient(why)));
            } else {
                state.push(job);
            }
        }
        drop(state);
        self.changed.notify_one();
        refused
    }

    /// Wait for the next turn: as many appends as one commit may have, or one other job.
    pub(super) fn next(&self) -> Turn {
        let mut state = self.state();
        while state.len == 0 {
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
        if state.len == 0 { None } else { Some(state.turn()) }
    }

    pub(super) fn has_work(&self) -> bool {
        self.state().len > 0
    }

    /// Take no more jobs.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// Take no more jobs, and take out those that wait.
    pub(super) fn abandon(&self) -> Vec<Job> {
        let mut state = self.state();
        (state.closed, state.len) = (true, 0);
        let ages = std::mem::take(&mut state.ages);
        ages.into_iter().flat_map(|age| age.lines.into_values().flatten().chain(age.last)).collect()
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
    fn push(&mut self, job: Job) {
        self.len += 1;
        if self.ages.back().is_none_or(|age| age.last.is_some()) {
            let turns = Turns::new(TURN_DRAFTS).weighing(self.weights.clone());
            self.ages.push_back(Age { lines: BTreeMap::new(), turns, last: None });
        }
        let Some(age) = self.ages.back_mut() else { return };
        match job.tenant() {
            Some(tenant) => {
                age.turns.join(tenant);
                age.lines.entry(tenant).or_default().push_back(job);
            }
            None => age.last = Some(job),
        }
    }

    /// As many appends as one commit may have, or one other job.
    fn turn(&mut self) -> Turn {
        let mut batch = Batch::default();
        let mut other = None;
        while let Some(age) = self.ages.front_mut() {
            other = age.fill(&mut batch);
            if other.is_some() || !age.lines.is_empty() || batch.is_full() {
                break;
            }
            if let Some(last) = age.last.take() {
                match taken(last, &mut batch) {
                    Taken::Appended(_) => {}
                    Taken::Other(turn) => other = Some(turn),
                    Taken::Later(last) => {
                        age.last = Some(last);
                        break;
                    }
                }
            } else if self.ages.len() == 1 {
                // Whoever comes next stands in the same ring.
                break;
            }
            self.ages.pop_front();
            if other.is_some() {
                break;
            }
        }
        self.len -= batch.submissions.len() + usize::from(other.is_some());
        other.unwrap_or(Turn::Commit(batch))
    }
}

impl Age {
    /// Take what may be in a commit, from each tenant in its turn; or what is done alone.
    fn fill(&mut self, batch: &mut Batch) -> Option<Turn> {
        let (mut other, mut aside) = (None, Vec::new());
        while !batch.is_full() {
            let Some((tenant, credit)) = self.turns.begin() else { break };
            let mut done = 0;
            let mut is_late = false;
            let line = self.lines.entry(tenant).or_default();
            while done < credit && !batch.is_full() {
                let Some(job) = line.pop_front() else { break };
                match taken(job, batch) {
                    Taken::Appended(drafts) => done += drafts,
                    Taken::Other(turn) => {
                        other = Some(turn);
                        break;
                    }
                    Taken::Later(job) => {
                        line.push_front(job);
                        is_late = true;
                        break;
                    }
                }
            }
            let has_more = !line.is_empty();
            if !has_more {
                self.lines.remove(&tenant);
            }
            if is_late && done == 0 {
                aside.push(tenant);
            } else {
                self.turns.did(tenant, done, has_more);
            }
            if other.is_some() {
                break;
            }
        }
        aside.into_iter().rev().for_each(|tenant| self.turns.stays(tenant));
        other
    }
}

/// What became of a job at the head of its line.
enum Taken {
    /// It is in the batch, with so many drafts.
    Appended(u64),
    /// It is done alone.
    Other(Turn),
    /// It does not go with what is in the batch.
    Later(Job),
}

fn taken(job: Job, batch: &mut Batch) -> Taken {
    match job {
        Job::Append { drafts, reply } if fits(batch.drafts.len(), drafts.len()) => {
            let count = drafts.len().max(1) as u64;
            batch.push(drafts, reply);
            Taken::Appended(count)
        }
        Job::Refuse(refused) if batch.is_empty() => Taken::Other(Turn::Refuse(refused)),
        Job::Head { tenant, reply } if batch.is_empty() => Taken::Other(Turn::Head(tenant, reply)),
        Job::Rotate { tenant, reply } if batch.is_empty() => {
            Taken::Other(Turn::Rotate(tenant, reply))
        }
        Job::Forgive { tenant } if batch.is_empty() => Taken::Other(Turn::Forgive(tenant)),
        later @ (Job::Append { .. }
        | Job::Refuse(_)
        | Job::Head { .. }
        | Job::Rotate { .. }
        | Job::Forgive { .. }) => Taken::Later(later),
    }
}

/// The one tenant of all of these, if there is one.
fn one_of(mut tenants: impl Iterator<Item = TenantId>) -> Option<TenantId> {
    let first = tenants.next()?;
    tenants.all(|tenant| tenant == first).then_some(first)
}

const fn fits(count: usize, more: usize) -> bool {
    count == 0 || count + more <= DRAFTS_PER_BATCH_MAX
}
