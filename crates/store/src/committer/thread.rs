//! The thread that appends.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cog_base::Clock;
use cog_base::id::{RunId, TenantId};
use cog_ledger::{AppendError, Durable, Entry, Prepared, Shelf, ShelfError, Writer};

use super::batch::Batch;
use super::queue::{Queue, Refused, Turn};
use super::salts::Salts;
use super::{Counters, RETRIES_MAX, ended};
use crate::StoreError;

/// The first wait before a commit is tried again; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(5);

/// What became of one try.
enum Tried {
    Kept(Vec<Durable<Entry>>),
    /// One submission spoils the batch; the others may still be kept.
    Spoiled {
        submission: usize,
        why: AppendError,
    },
    /// Nothing was kept, and trying again may help.
    Passing(AppendError),
    Failed(AppendError),
}

pub(super) struct Worker {
    writer: Writer<Box<dyn Shelf + Send>>,
    clock: Arc<dyn Clock>,
    entropy: Salts,
    /// Dropped after the writer, so that whoever sees the queue closed may take the shelf.
    queue: Closing,
    counters: Arc<Counters>,
    /// What was submitted in the belief that an append before it would be recorded, and is not.
    broken: Broken,
}

/// What follows an append that failed: a journal has no gaps, and what a session of a tenant does may
/// rest on what others of the tenant have done.
#[derive(Default)]
struct Broken {
    /// Sessions with a draft that is not acceptable. It would spoil every try, and so the others of
    /// the tenant do not wait for it.
    alone: HashSet<(TenantId, RunId)>,
    /// Tenants of which the store did not take an append, with a session of that.
    whole: HashMap<TenantId, RunId>,
}

impl Broken {
    /// These sessions have submitted what is not recorded.
    fn extend(&mut self, sessions: impl IntoIterator<Item = (TenantId, RunId)>, why: &AppendError) {
        if matches!(why, AppendError::Draft { .. } | AppendError::TooMany(_)) {
            self.alone.extend(sessions);
        } else if !matches!(why, AppendError::Behind { .. }) {
            self.whole.extend(sessions);
        }
    }

    /// The session behind whose append one stands that failed.
    fn before(&self, tenant: TenantId, session: RunId) -> Option<RunId> {
        let is_alone = self.alone.contains(&(tenant, session));
        is_alone.then_some(session).or_else(|| self.whole.get(&tenant).copied())
    }

    fn forgive(&mut self, tenant: TenantId) {
        self.alone.retain(|(whose, _)| *whose != tenant);
        self.whole.remove(&tenant);
    }
}

/// Appends what was submitted to a committer without a thread
/// ([`super::Committer::stepped`]). When it is dropped, what waits is answered with a failure.
pub struct Stepper(Worker);

impl Stepper {
    pub(super) const fn new(worker: Worker) -> Self {
        Self(worker)
    }

    /// Take one turn: a commit of what waits, or one other thing. Says whether there was one.
    /// Replies are called before it returns.
    pub fn step(&mut self) -> bool {
        let turn = self.0.queue.0.turn();
        turn.is_some_and(|turn| self.0.take(turn))
    }

    /// Whether there is something to do.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.0.queue.0.has_work()
    }
}

impl std::fmt::Debug for Stepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stepper")
    }
}

/// Closes the queue and answers what waits, whatever ends the thread.
struct Closing(Arc<Queue>);

impl Drop for Closing {
    fn drop(&mut self) {
        let why = Arc::new(AppendError::from(ended()));
        for job in self.0.abandon() {
            job.fail(&why);
        }
    }
}

impl Worker {
    pub(super) fn new(
        writer: Writer<Box<dyn Shelf + Send>>,
        clock: Arc<dyn Clock>,
        entropy: Salts,
        queue: Arc<Queue>,
        counters: Arc<Counters>,
    ) -> Self {
        let (queue, broken) = (Closing(queue), Broken::default());
        Self { writer, clock, entropy, queue, counters, broken }
    }

    pub(super) fn run(mut self) {
        loop {
            let turn = self.queue.0.next();
            if !self.take(turn) {
                return;
            }
        }
    }

    /// Do what there is to do. Says whether more may come.
    fn take(&mut self, turn: Turn) -> bool {
        match turn {
            Turn::Commit(batch) => self.commit(batch),
            Turn::Refuse(refused) => self.refuse(refused),
            Turn::Head(tenant, reply) => {
                let head = self.writer.head(tenant);
                reply(head.map(|tail| tail.cloned()).map_err(Arc::new));
            }
            Turn::Rotate(tenant, reply) => {
                let now = self.clock.now();
                let result = self.writer.rotate(tenant, now, &mut self.entropy);
                reply(result.map_err(Arc::new));
            }
            Turn::Forgive(tenant) => self.broken.forgive(tenant),
            Turn::End => return false,
        }
        true
    }

    /// Record the batch, without what is not acceptable, and answer everybody.
    fn commit(&mut self, mut batch: Batch) {
        let mut retries = 0;
        loop {
            self.refuse_behind(&mut batch);
            if batch.is_empty() {
                return;
            }
            match self.try_commit(&mut batch) {
                Tried::Kept(entries) => {
                    self.count(&batch, &entries);
                    return batch.answer(entries);
                }
                Tried::Spoiled { submission, why } => {
                    let (drafts, reply) = batch.remove(submission);
                    self.broken.extend(sessions(&drafts), &why);
                    reply(Err(Arc::new(why)));
                }
                Tried::Passing(_) if retries < RETRIES_MAX => {
                    self.counters.retries.fetch_add(1, Ordering::Relaxed);
                    self.queue.0.pause(PAUSE * 2_u32.pow(retries));
                    retries += 1;
                }
                Tried::Passing(why) | Tried::Failed(why) => {
                    self.broken.extend(sessions(&batch.drafts), &why);
                    let why = Arc::new(why);
                    for (_, reply) in batch.submissions {
                        reply(Err(Arc::clone(&why)));
                    }
                    return;
                }
            }
        }
    }

    /// Answer an append that is not acceptable.
    fn refuse(&mut self, refused: Refused) {
        let Refused { sessions, why, reply } = refused;
        let mut behind = sessions.iter().filter_map(|(whose, it)| self.broken.before(*whose, *it));
        let why = behind.next().map_or(why, |session| AppendError::Behind { session });
        self.broken.extend(sessions, &why);
        reply(Err(Arc::new(why)));
    }

    /// Refuse what follows an append that was not recorded.
    fn refuse_behind(&self, batch: &mut Batch) {
        // Tenants may have sessions of one id: what breaks one's refuses nothing of another's.
        let behind =
            |(tenant, draft): &(TenantId, Prepared)| self.broken.before(*tenant, draft.session()?);
        while let Some(submission) = batch.find(|draft| behind(draft).is_some()) {
            let (drafts, reply) = batch.remove(submission);
            if let Some(session) = drafts.iter().find_map(behind) {
                reply(Err(Arc::new(AppendError::Behind { session })));
            }
        }
    }

    /// The writer takes the drafts; when nothing was recorded, it hands them back.
    fn try_commit(&mut self, batch: &mut Batch) -> Tried {
        let now = self.clock.now();
        match self.writer.append_from(&mut batch.drafts, now, &mut self.entropy) {
            Ok(entries) => {
                self.counters.syncs.fetch_add(1, Ordering::Relaxed);
                Tried::Kept(entries)
            }
            Err(AppendError::Draft { index, source }) => {
                let (submission, index) = batch.place(index);
                Tried::Spoiled { submission, why: AppendError::Draft { index, source } }
            }
            Err(why @ (AppendError::Sign { tenant, .. } | AppendError::Corrupt { tenant, .. })) => {
                let submission = batch.find(|(whose, _)| *whose == tenant).unwrap_or(0);
                Tried::Spoiled { submission, why }
            }
            Err(why @ AppendError::TooMany(_)) => {
                Tried::Spoiled { submission: batch.largest(), why }
            }
            Err(AppendError::Shelf(error)) if whose_alone(&error).is_some() => {
                // The others of the batch are still ours to write.
                let whose = whose_alone(&error);
                let submission = batch.find(|(tenant, _)| Some(*tenant) == whose).unwrap_or(0);
                Tried::Spoiled { submission, why: AppendError::Shelf(error) }
            }
            Err(AppendError::Shelf(error)) => {
                self.counters.syncs.fetch_add(1, Ordering::Relaxed);
                let transient = error.transient;
                let why = AppendError::Shelf(error);
                if transient { Tried::Passing(why) } else { Tried::Failed(why) }
            }
            Err(why @ (AppendError::NoEntropy(_) | AppendError::Behind { .. })) => {
                Tried::Failed(why)
            }
        }
    }

    fn count(&self, batch: &Batch, entries: &[Durable<Entry>]) {
        let add = |counter: &std::sync::atomic::AtomicU64, count: usize| {
            counter.fetch_add(count as u64, Ordering::Relaxed);
        };
        add(&self.counters.batches, 1);
        add(&self.counters.submissions, batch.submissions.len());
        add(&self.counters.entries, entries.len());
    }
}

/// The sessions of prepared drafts.
fn sessions(drafts: &[(TenantId, Prepared)]) -> impl Iterator<Item = (TenantId, RunId)> {
    drafts.iter().filter_map(|(tenant, draft)| Some((*tenant, draft.session()?)))
}

/// The one tenant whose log stands in the way of a commit.
fn whose_alone(error: &ShelfError) -> Option<TenantId> {
    let error = error.source.downcast_ref::<StoreError>();
    if let Some(StoreError::Owned { tenant, .. }) = error { Some(*tenant) } else { None }
}
