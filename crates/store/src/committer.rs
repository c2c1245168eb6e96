//! Group commit: one thread takes what waits from all runs and appends it in one commit, so
//! that however many wait, they share one sync and one signature. When more waits than one commit
//! takes, tenants take turns.

mod batch;
mod queue;
mod salts;
mod thread;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use cog_base::id::TenantId;
use cog_base::{Clock, Entropy};
use cog_ledger::{AppendError, Draft, Durable, Entry, Prepared, Shelf, ShelfError, Tail, Writer};

pub use queue::HeadReply;
use queue::{Job, Queue, Refused};
use salts::Salts;
pub use thread::Stepper;
use thread::Worker;

/// The most submissions in one commit.
pub const SUBMISSIONS_PER_BATCH_MAX: usize = 512;
/// The most drafts in one commit, unless one submission alone has more.
pub const DRAFTS_PER_BATCH_MAX: usize = 4_096;
/// The most submissions that may wait; more are refused as a passing failure.
pub const QUEUE_MAX: usize = 65_536;
/// How often a commit is tried again after a passing failure of the store.
pub const RETRIES_MAX: u32 = 6;

/// What is called with the result of a submission, on the committer's thread. It must be
/// quick and must not submit and wait.
pub type Reply = Box<dyn FnOnce(Result<Vec<Durable<Entry>>, Arc<AppendError>>) + Send>;

/// What is recorded whole or not at all, and what is told of it.
pub type Submission = (Vec<(TenantId, Draft)>, Reply);

/// A handle to the thread that appends. It can be cloned; the thread ends with
/// [`Committer::shutdown`] or when the last handle is gone, after what waits is done.
/// [`Committer::stepped`] has none, and its [`Stepper`] appends.
#[derive(Clone)]
pub struct Committer {
    inner: Arc<Inner>,
}

/// What was done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Commits that were kept.
    pub batches: u64,
    /// Submissions that were kept.
    pub submissions: u64,
    /// Entries that were kept for them; those of the writer's own are not counted.
    pub entries: u64,
    /// Commits that were asked of the store, each of which syncs once.
    pub syncs: u64,
    /// Of those, how many were tried again after a passing failure.
    pub retries: u64,
}

#[derive(Default)]
struct Counters {
    batches: AtomicU64,
    submissions: AtomicU64,
    entries: AtomicU64,
    syncs: AtomicU64,
    retries: AtomicU64,
}

struct Inner {
    queue: Arc<Queue>,
    salts: Salts,
    counters: Arc<Counters>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    /// Start the thread.
    #[must_use]
    pub fn spawn(
        writer: Writer<Box<dyn Shelf + Send>>,
        clock: Arc<dyn Clock>,
        entropy: Box<dyn Entropy>,
    ) -> Self {
        Self::spawn_weighing(BTreeMap::new(), writer, clock, entropy)
    }

    /// The same, where some tenants get so many times as much of a commit as others when more waits
    /// than one commit takes ([`cog_base::turns::Turns::weighing`]).
    #[must_use]
    pub fn spawn_weighing(
        weights: BTreeMap<TenantId, u32>,
        writer: Writer<Box<dyn Shelf + Send>>,
        clock: Arc<dyn Clock>,
        entropy: Box<dyn Entropy>,
    ) -> Self {
        let (committer, worker) = Self::made(Queue::new(weights), writer, clock, entropy);
        let thread = std::thread::spawn(move || worker.run());
        *committer.inner.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        committer
    }

    /// The same without a thread: what is submitted is recorded when the [`Stepper`] is told to.
    /// For whoever runs everything on one thread, as the simulator does. Nobody may wait for it
    /// on that thread: [`Committer::append_blocking`], [`Committer::head`] and
    /// [`Committer::rotate`] would wait for good.
    #[must_use]
    pub fn stepped(
        writer: Writer<Box<dyn Shelf + Send>>,
        clock: Arc<dyn Clock>,
        entropy: Box<dyn Entropy>,
    ) -> (Self, Stepper) {
        let (committer, worker) = Self::made(Queue::stepped(), writer, clock, entropy);
        (committer, Stepper::new(worker))
    }

    fn made(
        queue: Queue,
        writer: Writer<Box<dyn Shelf + Send>>,
        clock: Arc<dyn Clock>,
        entropy: Box<dyn Entropy>,
    ) -> (Self, Worker) {
        let (queue, counters) = (Arc::new(queue), Arc::new(Counters::default()));
        let (for_worker, counts) = (Arc::clone(&queue), Arc::clone(&counters));
        let salts = Salts::new(entropy);
        let worker = Worker::new(writer, clock, salts.clone(), for_worker, counts);
        let inner = Inner { queue, salts, counters, thread: Mutex::new(None) };
        (Self { inner: Arc::new(inner) }, worker)
    }

    /// Record all of `drafts` or none, and call `reply` with the result. What is submitted first of a
    /// tenant is recorded first; among tenants, when more waits than one commit takes, each has its
    /// share. A submission that is not acceptable fails alone, but for what
    /// its sessions submit behind it: a journal has no gaps.
    pub fn submit(&self, drafts: Vec<(TenantId, Draft)>, reply: Reply) {
        self.submit_all([(drafts, reply)]);
    }

    /// As many [`Committer::submit`] in their order, at once: what is submitted together
    /// shares commits, and the thread is woken once.
    ///
    /// What needs no place in a log is done here, on the thread of whoever submits: drafts are
    /// checked, salted, hashed and written beside the commit that is under way.
    pub fn submit_all(&self, submissions: impl IntoIterator<Item = Submission>) {
        // Made before the queue is locked: the thread may be waiting for it.
        let jobs: Vec<_> = submissions.into_iter().map(|each| self.prepare(each)).collect();
        self.put(jobs);
    }

    fn prepare(&self, (drafts, reply): Submission) -> Job {
        let session = |(tenant, draft): &(TenantId, Draft)| Some((*tenant, draft.session?));
        let sessions = drafts.iter().filter_map(session).collect();
        match Prepared::all(drafts, &mut self.inner.salts.clone()) {
            Ok(drafts) => Job::Append { drafts, reply },
            Err(why) => Job::Refuse(Refused { sessions, why, reply }),
        }
    }

    fn put(&self, jobs: impl IntoIterator<Item = Job>) {
        // Answered when the queue is free again: a reply may submit.
        for (job, why) in self.inner.queue.put(jobs) {
            job.fail(&Arc::new(why.into()));
        }
    }

    /// Record all of `drafts` or none, and wait for it. Not for the committer's own thread.
    ///
    /// # Errors
    /// [`AppendError`]; then no entry may be taken as recorded.
    pub fn append_blocking(
        &self,
        drafts: Vec<(TenantId, Draft)>,
    ) -> Result<Vec<Durable<Entry>>, Arc<AppendError>> {
        let (answer, wait) = mpsc::sync_channel(1);
        let send = move |result| drop(answer.send(result));
        self.submit(drafts, Box::new(send));
        wait.recv().unwrap_or_else(|_| Err(Arc::new(ended().into())))
    }

    /// The end of a tenant's log after everything submitted before, or nothing when there
    /// is none.
    ///
    /// # Errors
    /// [`AppendError`] when it cannot be read or does not hold together.
    pub fn head(&self, tenant: TenantId) -> Result<Option<Tail>, Arc<AppendError>> {
        let (answer, wait) = mpsc::sync_channel(1);
        self.submit_head(tenant, Box::new(move |result| drop(answer.send(result))));
        wait.recv().unwrap_or_else(|_| Err(Arc::new(ended().into())))
    }

    /// As [`Committer::head`], and call `reply` with the result.
    pub fn submit_head(&self, tenant: TenantId, reply: HeadReply) {
        self.put([Job::Head { tenant, reply }]);
    }

    /// Hand a tenant's log over to a new key, after everything submitted before.
    ///
    /// # Errors
    /// [`AppendError`], as [`Writer::rotate`].
    pub fn rotate(&self, tenant: TenantId) -> Result<Vec<Durable<Entry>>, Arc<AppendError>> {
        let (answer, wait) = mpsc::sync_channel(1);
        self.submit_rotation(tenant, Box::new(move |result| drop(answer.send(result))));
        wait.recv().unwrap_or_else(|_| Err(Arc::new(ended().into())))
    }

    /// As [`Committer::rotate`], and call `reply` with the result.
    pub fn submit_rotation(&self, tenant: TenantId, reply: Reply) {
        self.put([Job::Rotate { tenant, reply }]);
    }

    /// Record what sessions of `tenant` submit from here on, although an earlier append of one of
    /// them failed. For whoever has read the log since, and goes on where it ends.
    pub fn forgive(&self, tenant: TenantId) {
        // A queue that takes no more has nobody to forgive.
        drop(self.inner.queue.put([Job::Forgive { tenant }]));
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.inner.counters;
        Stats {
            batches: read(&counters.batches),
            submissions: read(&counters.submissions),
            entries: read(&counters.entries),
            syncs: read(&counters.syncs),
            retries: read(&counters.retries),
        }
    }

    /// Take no more, record what waits, and give the shelf back to the store. Waits for it.
    pub fn shutdown(&self) {
        self.inner.stop();
    }
}

impl Inner {
    fn stop(&self) {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic of the thread has told its story; its queue is closed and answered.
            let _ = thread.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

fn ended() -> ShelfError {
    ShelfError::lasting("the committer has ended")
}

#[cfg(test)]
mod tests;
