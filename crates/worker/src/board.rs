//! What waits for workers, who has what, and until when.
//!
//! A task is offered, begun, and then reported on. Only what was begun may have been done: an offer
//! that nobody takes up is made again. Each handing out has a fence, and what is said under an older
//! one does not count.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_base::{Digest, Timestamp};
use cog_engine::{Inbox, Input};
use cog_gate::{Effect as _, Lapse};

use crate::job::{Asked, Job, Standing, State, Work};
use crate::protocol::{Came, Given, Poll, Refused, Report, Task};
use crate::{OFFER_MS, TOLD_MS};

/// So many reports are remembered, so that one that comes again is answered as it was.
const REPORTS_MAX: usize = 4_096;

/// The time: milliseconds that only ever go on, for leases, and the clock, for receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since whenever.
    pub ms: u64,
    /// By the clock.
    pub at: Timestamp,
}

/// A task that is offered: without its proof, which is in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The task; `proof` is empty.
    pub task: Task,
    /// The canon of its receipt.
    pub canon: Option<Digest>,
}

/// What the owner of logs keeps for workers.
pub struct Board {
    jobs: BTreeMap<u64, Job>,
    numbers: HashMap<ReceiptId, u64>,
    next: u64,
    /// The last fence, of all boards that stand beside one another.
    fence: Arc<AtomicU64>,
    /// The last reports that were taken, and what they said.
    ended: VecDeque<(ReceiptId, Report)>,
    /// It takes nothing more: what nobody began is given up.
    closed: bool,
}

impl Board {
    /// An empty board whose fences are above those of earlier lives: `fence` is the time.
    #[must_use]
    pub fn new(fence: Timestamp) -> Self {
        let fence = u64::try_from(fence.micros()).unwrap_or_default();
        Self::under(Arc::new(AtomicU64::new(fence)))
    }

    /// An empty board for the same workers. No fence is given on both, so that what is said of a task on
    /// one is not taken for the same task on the other.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self::under(Arc::clone(&self.fence))
    }

    fn under(fence: Arc<AtomicU64>) -> Self {
        let (jobs, numbers, ended) = Default::default();
        Self { jobs, numbers, next: 0, fence, ended, closed: false }
    }

    /// Put something up. What comes of it is sent to `inbox`.
    pub fn put(&mut self, asked: Asked, standing: Standing, inbox: Inbox, now: Now) {
        let job = Job::new(asked, standing, inbox, now.ms);
        self.next += 1;
        self.keep(self.next, job);
    }

    fn keep(&mut self, number: u64, job: Job) {
        self.numbers.insert(job.receipt, number);
        self.jobs.insert(number, job);
    }

    fn drop_job(&mut self, number: u64) -> Option<Job> {
        let job = self.jobs.remove(&number)?;
        if self.numbers.get(&job.receipt) == Some(&number) {
            self.numbers.remove(&job.receipt);
        }
        Some(job)
    }

    /// Offer what waits and the worker can do, the oldest first.
    pub fn offer(&mut self, poll: &Poll, now: Now) -> Vec<Offer> {
        let mut offers = Vec::new();
        if self.closed {
            return offers;
        }
        for job in self.jobs.values_mut() {
            if offers.len() as u64 >= poll.max {
                break;
            }
            let is_its = matches!(job.state, State::Waiting)
                && job.not_before_ms <= now.ms
                && poll.kinds.iter().any(|kind| kind == job.effect.action())
                && poll.tenants.contains(&job.tenant);
            if is_its {
                let fence = self.fence.fetch_add(1, Ordering::Relaxed) + 1;
                let worker = poll.worker.clone();
                let until_ms = now.ms.saturating_add(OFFER_MS);
                job.state = State::Offered { worker, fence, until_ms };
                offers.push(offer(job, fence));
            }
        }
        offers
    }

    /// The worker is about to begin. Said again, it is the same.
    ///
    /// # Errors
    /// [`Refused`]: it must not begin.
    pub fn begin(
        &mut self,
        receipt: ReceiptId,
        (by, fence): (&str, u64),
        now: Now,
    ) -> Result<(), Refused> {
        let job = self.job(receipt)?;
        if let Work::Perform(cleared) = &job.work
            && now.at > cleared.expires()
        {
            return Err(Refused::Expired);
        }
        if job.cancelled && !matches!(job.state, State::Begun { .. }) {
            return Err(Refused::Stale);
        }
        match &mut job.state {
            State::Offered { worker, fence: own, .. } if worker == by && *own == fence => {
                let (worker, since_ms, seen_ms) = (by.to_owned(), now.ms, now.ms);
                job.state = State::Begun { worker, fence, since_ms, seen_ms, given: 0 };
                Ok(())
            }
            State::Begun { worker, fence: own, seen_ms, .. } if worker == by && *own == fence => {
                *seen_ms = now.ms;
                Ok(())
            }
            State::Offered { .. } | State::Begun { .. } | State::Waiting => Err(Refused::Stale),
        }
    }

    /// The worker is still at it. Says whether the run was cancelled meanwhile.
    ///
    /// # Errors
    /// [`Refused`]: what it does counts no more, and it had better stop.
    pub fn beat(
        &mut self,
        receipt: ReceiptId,
        (by, fence): (&str, u64),
        now: Now,
    ) -> Result<bool, Refused> {
        let job = self.job(receipt)?;
        match &mut job.state {
            State::Begun { worker, fence: own, seen_ms, .. } if worker == by && *own == fence => {
                *seen_ms = now.ms;
                Ok(job.cancelled)
            }
            State::Offered { worker, fence: own, .. } if worker == by && *own == fence => {
                Err(Refused::NotBegun)
            }
            State::Offered { .. } | State::Begun { .. } | State::Waiting => Err(Refused::Stale),
        }
    }

    /// What the effect of a task gave so far. What was given before is taken again, and nothing else
    /// happens; it is a sign of life, too.
    ///
    /// # Errors
    /// [`Refused`]: it is not recorded.
    pub fn give(&mut self, receipt: ReceiptId, piece: Given, now: Now) -> Result<(), Refused> {
        let job = self.job(receipt)?;
        let voice = job.voice().cloned();
        let Given { worker: by, fence: under, name, offset, text } = piece;
        match &mut job.state {
            State::Begun { worker, fence, seen_ms, given, .. }
                if *worker == by && *fence == under =>
            {
                let voice = voice.ok_or(Refused::OtherAnswer)?;
                *seen_ms = now.ms;
                let end = offset.saturating_add(text.len() as u64);
                if offset != *given {
                    return if end <= *given { Ok(()) } else { Err(Refused::OtherOffset) };
                }
                *given = end;
                job.inbox.send(Input::Given(Box::new(voice.says(name, text))));
                Ok(())
            }
            State::Offered { worker, fence, .. } if *worker == by && *fence == under => {
                Err(Refused::NotBegun)
            }
            State::Offered { .. } | State::Begun { .. } | State::Waiting => Err(Refused::Stale),
        }
    }

    /// What came of a task. It counts once; said again, it is the same.
    ///
    /// # Errors
    /// [`Refused`]: it does not count.
    pub fn end(&mut self, receipt: ReceiptId, report: Report) -> Result<(), Refused> {
        if let Some((_, before)) = self.ended.iter().find(|(id, before)| {
            *id == receipt && before.fence == report.fence && before.worker == report.worker
        }) {
            return if *before == report { Ok(()) } else { Err(Refused::Settled) };
        }
        let number = *self.numbers.get(&receipt).ok_or(Refused::NoTask)?;
        let job = self.jobs.get(&number).ok_or(Refused::NoTask)?;
        let refuses = matches!(report.came, Came::Refused(_));
        match &job.state {
            State::Begun { worker, fence, .. }
                if *worker == report.worker && *fence == report.fence => {}
            State::Offered { worker, fence, .. }
                if *worker == report.worker && *fence == report.fence =>
            {
                if !refuses {
                    return Err(Refused::NotBegun);
                }
            }
            State::Offered { .. } | State::Begun { .. } | State::Waiting => {
                return Err(Refused::Stale);
            }
        }
        job.admits(&report.came)?;
        let Some(job) = self.drop_job(number) else { return Err(Refused::NoTask) };
        if self.ended.len() >= REPORTS_MAX {
            self.ended.pop_front();
        }
        job.settle(report.came.clone());
        self.ended.push_back((receipt, report));
        Ok(())
    }

    /// See to what nobody says anything about: offers that were not taken up, workers that are
    /// silent, attempts that take too long, receipts that expired, and waits that were too long. Says
    /// what has been waiting for a worker for some time, each once.
    pub fn tick(&mut self, now: Now) -> Vec<(TenantId, RunId, &'static str)> {
        let numbers: Vec<u64> = self.jobs.keys().copied().collect();
        for number in numbers {
            let Some(mut job) = self.drop_job(number) else { continue };
            if let State::Offered { until_ms, .. } = job.state
                && until_ms <= now.ms
            {
                job.state = State::Waiting;
            }
            if let Some(job) = self.seen_to(job, now) {
                self.keep(number, job);
            }
        }
        let mut waiting = Vec::new();
        for job in self.jobs.values_mut() {
            let since = now.ms.saturating_sub(job.not_before_ms);
            if matches!(job.state, State::Waiting) && !job.told && since >= TOLD_MS {
                job.told = true;
                waiting.push((job.tenant, job.run, job.effect.action()));
            }
        }
        waiting
    }

    fn seen_to(&self, job: Job, now: Now) -> Option<Job> {
        match &job.state {
            State::Waiting => {
                let expired = match &job.work {
                    Work::Perform(cleared) => now.at > cleared.expires(),
                    Work::LookAfter(_) | Work::Look => false,
                };
                let late = job.due_ms().is_some_and(|due| due <= now.ms);
                let unwanted = self.closed || expired || job.cancelled;
                if unwanted || late { job.give_up(!unwanted) } else { Some(job) }
            }
            State::Offered { .. } => Some(job),
            State::Begun { since_ms, .. } => {
                let timed_out =
                    job.timeout_ms().is_some_and(|ms| since_ms.saturating_add(ms) <= now.ms);
                if timed_out {
                    job.lose(Lapse::TimedOut)
                } else if job.due_ms().is_some_and(|due| due <= now.ms) {
                    job.lose(Lapse::Gone)
                } else {
                    Some(job)
                }
            }
        }
    }

    /// It is not wanted any more: when nobody began it, it is given up at the next tick, and who began it
    /// is told.
    pub fn cancel(&mut self, tenant: TenantId, receipt: ReceiptId) {
        let number = self.numbers.get(&receipt);
        let job = number.and_then(|number| self.jobs.get_mut(number));
        if let Some(job) = job.filter(|job| job.tenant == tenant) {
            job.cancelled = true;
        }
    }

    /// The run goes on elsewhere: what is here of it is dropped without a word. A worker that is at it
    /// is told with its next sign of life, and gives up before anybody looks into it.
    pub fn forget(&mut self, tenant: TenantId, run: RunId) {
        let gone = |job: &Job| job.tenant == tenant && job.run == run;
        let numbers: Vec<u64> =
            self.jobs.iter().filter(|(_, job)| gone(job)).map(|(number, _)| *number).collect();
        for number in numbers {
            drop(self.drop_job(number));
        }
    }

    /// Whether this is on it, whoever has it.
    #[must_use]
    pub fn has(&self, receipt: ReceiptId) -> bool {
        self.numbers.contains_key(&receipt)
    }

    /// Whether this was handed out here under this fence, and not again since.
    #[must_use]
    pub fn gave(&self, receipt: ReceiptId, fence: u64) -> bool {
        let job = self.numbers.get(&receipt).and_then(|number| self.jobs.get(number));
        let is_out = job.is_some_and(|job| match &job.state {
            State::Offered { fence: own, .. } | State::Begun { fence: own, .. } => *own == fence,
            State::Waiting => false,
        });
        is_out || self.ended.iter().any(|(id, said)| *id == receipt && said.fence == fence)
    }

    /// Hand out nothing more: what nobody began is given up at the next tick.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// How much is on it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether nothing is on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    fn job(&mut self, receipt: ReceiptId) -> Result<&mut Job, Refused> {
        let number = self.numbers.get(&receipt).ok_or(Refused::NoTask)?;
        self.jobs.get_mut(number).ok_or(Refused::NoTask)
    }
}

impl std::fmt::Debug for Board {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Board").field("jobs", &self.jobs.len()).finish_non_exhaustive()
    }
}

fn offer(job: &Job, fence: u64) -> Offer {
    let Standing { base, roots, .. } = &job.standing;
    let task = Task {
        what: job.what(),
        tenant: job.tenant,
        run: job.run,
        receipt: job.receipt,
        action: job.effect.action().to_owned(),
        args: job.effect.args(),
        proof: String::new(),
        attempt: job.attempt,
        fence,
        base: base.clone(),
        roots: roots.clone(),
        prices: job.prices,
        timeout_ms: job.timeout_ms(),
        lease_ms: job.lease_ms(),
        stream: job.voice().is_some(),
    };
    Offer { task, canon: job.canon }
}
