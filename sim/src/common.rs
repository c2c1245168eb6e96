//! What the tenants of a world share: the clock, the dice, the disk, and the one committer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cog_base::entropy::SeededEntropy;
use cog_base::id::{RunId, TenantId};
use cog_base::{Clock, Timestamp};
use cog_gate::Actor;
use cog_ledger::{Draft, Durable, Entry};
use cog_store::{Committer, Reply, Stepper};

use crate::check::Broken;
use crate::counts::Summary;
use crate::disk::Disk;
use crate::world::Faults;

/// Crashes after which the world stops failing, so that it can end.
pub(crate) const CRASHES_MAX: u64 = 12;

/// Entries, or why there are none.
pub(crate) type Appended = Result<Vec<Durable<Entry>>, String>;

#[derive(Clone)]
pub(crate) struct SimClock(Arc<AtomicI64>);

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

impl SimClock {
    pub(crate) fn at(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.micros())))
    }

    pub(crate) fn move_on(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::Relaxed);
    }

    /// Not before `at`.
    pub(crate) fn reach(&self, at: Timestamp) {
        self.0.fetch_max(at.micros(), Ordering::Relaxed);
    }
}

/// What an engine wants to be appended.
pub(crate) struct Append {
    pub(crate) tenant: TenantId,
    pub(crate) ticket: u64,
    pub(crate) drafts: Vec<(TenantId, Draft)>,
}

/// What came of it.
pub(crate) struct Answer {
    pub(crate) tenant: TenantId,
    pub(crate) ticket: u64,
    pub(crate) appended: Appended,
}

pub(crate) struct Common {
    pub(crate) seed: u64,
    pub(crate) dice: SeededEntropy,
    pub(crate) faults: Faults,
    pub(crate) clock: SimClock,
    pub(crate) disk: Disk,
    pub(crate) counts: Summary,
    /// By how much the clock was set back, all in all.
    pub(crate) clock_back_ms: u64,
    pub(crate) lives: u64,
    /// The process dies when this step is over.
    pub(crate) is_dying: bool,
    pub(crate) appends: VecDeque<Append>,
    /// In the order in which they were decided.
    pub(crate) answers: VecDeque<Answer>,
    committer: Option<(Committer, Stepper)>,
}

impl Common {
    pub(crate) fn new(seed: u64, faults: Faults, disk: Disk, start: Timestamp) -> Self {
        Self {
            seed,
            dice: SeededEntropy::new(seed ^ 0x5EED),
            faults,
            clock: SimClock::at(start),
            disk,
            counts: Summary::default(),
            clock_back_ms: 0,
            lives: 1,
            is_dying: false,
            appends: VecDeque::new(),
            answers: VecDeque::new(),
            committer: None,
        }
    }

    /// All that was in memory is gone.
    pub(crate) fn go_down(&mut self) {
        self.is_dying = false;
        self.appends.clear();
        self.answers.clear();
        self.committer = None;
        self.lives += 1;
    }

    /// Start from what the disk holds.
    pub(crate) fn go_up(&mut self) -> Result<(), Broken> {
        self.disk.crash().map_err(|what| self.broken(&what))?;
        self.disk.settle().map_err(|what| self.broken(&what))?;
        self.disk.ends_where_it_should().map_err(|what| self.broken(&what))?;
        let writer = self.disk.writer().map_err(|error| self.broken(&error.to_string()))?;
        let entropy = Box::new(SeededEntropy::new(self.seed.wrapping_mul(31) ^ self.lives));
        let clock = Arc::new(self.clock.clone());
        self.committer = Some(Committer::stepped(writer, clock, entropy));
        Ok(())
    }

    /// Commit some of what waits, several appends at once.
    pub(crate) fn commit(&mut self) {
        let Some((committer, stepper)) = &mut self.committer else { return };
        let replies: Arc<Mutex<VecDeque<Answer>>> = Arc::default();
        for _ in 0..=self.dice.below(8) {
            let Some(Append { tenant, ticket, drafts }) = self.appends.pop_front() else { break };
            let replies = Arc::clone(&replies);
            let reply: Reply = Box::new(move |result| {
                let appended = result.map_err(|why| why.to_string());
                let answer = Answer { tenant, ticket, appended };
                replies.lock().unwrap_or_else(PoisonError::into_inner).push_back(answer);
            });
            committer.submit(drafts, reply);
        }
        while stepper.step() {}
        self.is_dying |= self.disk.is_torn();
        let mut replies = replies.lock().unwrap_or_else(PoisonError::into_inner);
        self.answers.append(&mut replies);
    }

    /// Have the committer do one thing now, and say what came of it.
    pub(crate) fn ask(&mut self, submit: impl FnOnce(&Committer, Reply)) -> Appended {
        let Some((committer, stepper)) = &mut self.committer else { return Err("down".into()) };
        let slot: Arc<Mutex<Appended>> = Arc::new(Mutex::new(Err("not answered".to_owned())));
        let told = Arc::clone(&slot);
        let reply: Reply = Box::new(move |result| {
            let mut slot = told.lock().unwrap_or_else(PoisonError::into_inner);
            *slot = result.map_err(|why| why.to_string());
        });
        submit(committer, reply);
        while stepper.step() {}
        self.is_dying |= self.disk.is_torn();
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *slot, Err(String::new()))
    }

    /// Append now.
    pub(crate) fn append(&mut self, tenant: TenantId, drafts: Vec<Draft>) -> Appended {
        let drafts = drafts.into_iter().map(|draft| (tenant, draft)).collect();
        self.ask(|committer, reply| committer.submit(drafts, reply))
    }

    /// Forget what an engine wanted and was not told yet: another one goes on from the log.
    pub(crate) fn forgive(&mut self, tenant: TenantId) {
        self.appends.retain(|append| append.tenant != tenant);
        self.answers.retain(|answer| answer.tenant != tenant);
        if let Some((committer, stepper)) = &mut self.committer {
            committer.forgive(tenant);
            while stepper.step() {}
        }
    }

    pub(crate) fn roll(&mut self, below: u64) -> u64 {
        self.dice.below(below)
    }

    pub(crate) fn one_in(&mut self, rate: u64) -> bool {
        self.counts.faults.of("crash") < CRASHES_MAX && self.dice.below(rate) == 0
    }

    /// Whether the process dies in the middle of what somebody does. It counts as a crash.
    pub(crate) fn dies_here(&mut self) -> bool {
        let dies = self.one_in(4);
        self.is_dying |= dies;
        dies
    }

    /// One of some.
    pub(crate) fn drawn<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        if all.is_empty() {
            return None;
        }
        all.get(usize::try_from(self.roll(all.len() as u64)).ok()?).cloned()
    }

    pub(crate) fn new_run(&mut self) -> Result<RunId, Broken> {
        let id = RunId::new(self.clock.now(), &mut self.dice);
        id.map_err(|error| self.broken(&error.to_string()))
    }

    pub(crate) fn actor(&self, text: &str) -> Result<Actor, Broken> {
        text.parse().map_err(|_| self.broken("bad actor"))
    }

    pub(crate) fn broken(&self, what: &str) -> Broken {
        Broken { seed: self.seed, what: what.to_owned() }
    }
}
