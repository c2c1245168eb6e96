//! The thread that appends.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cog_base::id::{RunId, TenantId};
use cog_base::{Clock, Entropy};
use cog_ledger::{AppendError, Draft, Durable, Entry, Shelf, Writer};

use super::queue::{Queue, Turn};
use super::{Counters, RETRIES_MAX, Reply, ended};

/// The first wait before a commit is tried again; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(5);

type Append = (Vec<(TenantId, Draft)>, Reply);

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
    entropy: Box<dyn Entropy>,
    /// Dropped after the writer, so that whoever sees the queue closed may take the shelf.
    queue: Closing,
    counters: Arc<Counters>,
    /// Sessions an append of which failed. What they submitted behind it was made in the
    /// belief that it would be recorded: a journal has no gaps, so none of it is.
    broken: HashSet<RunId>,
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
        entropy: Box<dyn Entropy>,
        queue: Arc<Queue>,
        counters: Arc<Counters>,
    ) -> Self {
        let (queue, broken) = (Closing(queue), HashSet::new());
        Self { writer, clock, entropy, queue, counters, broken }
    }

    pub(super) fn run(mut self) {
        loop {
            match self.queue.0.next() {
                Turn::Commit(appends) => self.commit(appends),
                Turn::Head(tenant, reply) => {
                    let head = self.writer.head(tenant);
                    reply(head.map(|tail| tail.cloned()).map_err(Arc::new));
                }
                Turn::Rotate(tenant, reply) => {
                    let now = self.clock.now();
                    let result = self.writer.rotate(tenant, now, &mut *self.entropy);
                    reply(result.map_err(Arc::new));
                }
                Turn::End => return,
            }
        }
    }

    /// Record the appends, without those that are not acceptable, and answer them all.
    fn commit(&mut self, mut appends: Vec<Append>) {
        let mut retries = 0;
        loop {
            appends = self.refuse_behind(appends);
            if appends.is_empty() {
                return;
            }
            match self.try_commit(&appends) {
                Tried::Kept(entries) => return self.answer(appends, entries),
                Tried::Spoiled { submission, why } => {
                    let (drafts, reply) = appends.remove(submission);
                    self.broken.extend(sessions(&drafts));
                    reply(Err(Arc::new(why)));
                }
                Tried::Passing(_) if retries < RETRIES_MAX => {
                    self.counters.retries.fetch_add(1, Ordering::Relaxed);
                    self.queue.0.pause(PAUSE * 2_u32.pow(retries));
                    retries += 1;
                }
                Tried::Passing(why) | Tried::Failed(why) => {
                    let why = Arc::new(why);
                    for (drafts, reply) in appends {
                        self.broken.extend(sessions(&drafts));
                        reply(Err(Arc::clone(&why)));
                    }
                    return;
                }
            }
        }
    }

    /// Refuse what follows an append that was not recorded.
    fn refuse_behind(&self, appends: Vec<Append>) -> Vec<Append> {
        if self.broken.is_empty() {
            return appends;
        }
        let mut sound = Vec::with_capacity(appends.len());
        for (drafts, reply) in appends {
            let broken = sessions(&drafts).find(|session| self.broken.contains(session));
            match broken {
                Some(session) => reply(Err(Arc::new(AppendError::Behind { session }))),
                None => sound.push((drafts, reply)),
            }
        }
        sound
    }

    /// The drafts are copied, as the writer keeps them and a neighbour may spoil the batch.
    fn try_commit(&mut self, appends: &[Append]) -> Tried {
        let count = appends.iter().map(|(drafts, _)| drafts.len()).sum();
        let mut drafts = Vec::with_capacity(count);
        for (own, _) in appends {
            drafts.extend_from_slice(own);
        }
        let result = self.writer.append(drafts, self.clock.now(), &mut *self.entropy);
        match result {
            Ok(entries) => {
                self.counters.syncs.fetch_add(1, Ordering::Relaxed);
                Tried::Kept(entries)
            }
            Err(AppendError::Draft { index, source }) => {
                let (submission, index) = place(appends, index);
                Tried::Spoiled { submission, why: AppendError::Draft { index, source } }
            }
            Err(why @ (AppendError::Sign { tenant, .. } | AppendError::Corrupt { tenant, .. })) => {
                let of_tenant = |(own, _): &Append| own.iter().any(|(whose, _)| *whose == tenant);
                let submission = appends.iter().position(of_tenant).unwrap_or(0);
                Tried::Spoiled { submission, why }
            }
            Err(why @ AppendError::TooMany(_)) => {
                let largest = appends.iter().enumerate().max_by_key(|(_, (own, _))| own.len());
                Tried::Spoiled { submission: largest.map_or(0, |(place, _)| place), why }
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

    fn answer(&self, appends: Vec<Append>, entries: Vec<Durable<Entry>>) {
        let add = |counter: &std::sync::atomic::AtomicU64, count: usize| {
            counter.fetch_add(count as u64, Ordering::Relaxed);
        };
        add(&self.counters.batches, 1);
        add(&self.counters.submissions, appends.len());
        add(&self.counters.entries, entries.len());
        let mut entries = entries.into_iter();
        for (drafts, reply) in appends {
            reply(Ok(entries.by_ref().take(drafts.len()).collect()));
        }
    }
}

fn sessions(drafts: &[(TenantId, Draft)]) -> impl Iterator<Item = RunId> {
    drafts.iter().filter_map(|(_, draft)| draft.session)
}

/// Which submission the `index`-th draft of the batch belongs to, and where in it.
fn place(appends: &[Append], index: usize) -> (usize, usize) {
    let mut before = 0;
    for (submission, (drafts, _)) in appends.iter().enumerate() {
        if index < before + drafts.len() {
            return (submission, index - before);
        }
        before += drafts.len();
    }
    (appends.len().saturating_sub(1), 0)
}
