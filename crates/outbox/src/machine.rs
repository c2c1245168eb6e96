//! What to do next for one consumer of any number of logs, without doing it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::Timestamp;
use cog_base::id::TenantId;
use cog_events::Event;
use cog_store::{Cursor, CursorStep, StoreError};

use crate::breaker::Breaker;
use crate::line::Line;
use crate::page::Page;
use crate::sink::Verdict;

/// How a consumer is dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How often a refused event is tried before it is given up.
    pub attempts_max: u32,
    /// How long the second attempt waits; each further one twice as long.
    pub backoff_ms: u64,
    /// How long an attempt waits at most.
    pub backoff_ms_max: u64,
    /// How many failures in a row open the circuit.
    pub failures_max: u32,
    /// How long it is open.
    pub open_ms: u64,
    /// The most events of one delivery.
    pub batch_max: usize,
    /// The most entries of one reading.
    pub read_max: usize,
    /// The most events of one log from the cursor on that are held, and so the most that a
    /// crash has delivered again.
    pub window_max: usize,
    /// The most events of all logs that are held.
    pub held_max: usize,
    /// A cursor is recorded when it is so many entries behind,
    pub move_every: u64,
    /// or behind for so long.
    pub move_after_ms: u64,
}

impl Default for Policy {
    /// Three attempts; five failures open the circuit for 30 seconds.
    fn default() -> Self {
        Self {
            attempts_max: 3,
            backoff_ms: 200,
            backoff_ms_max: 10_000,
            failures_max: 5,
            open_ms: 30_000,
            batch_max: 64,
            read_max: 256,
            window_max: 1_024,
            held_max: 16_384,
            move_every: 256,
            move_after_ms: 200,
        }
    }
}

impl Policy {
    /// How long to wait after the `attempts`-th failure.
    pub(crate) fn backoff(&self, attempts: u32) -> u64 {
        let factor = 1_u64.checked_shl(attempts.saturating_sub(1)).unwrap_or(u64::MAX);
        self.backoff_ms.saturating_mul(factor).min(self.backoff_ms_max)
    }

    /// Whether it is time. A time further off than anything waits was set by a clock that
    /// was set back since.
    pub(crate) fn is_due(&self, at: Timestamp, now: Timestamp) -> bool {
        let longest = self.open_ms.max(self.backoff_ms_max).max(self.move_after_ms);
        at <= now || at.ms_since(now) > longest
    }
}

/// What to do next. But for waiting, the machine must be told what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read a page of a log, and say [`Machine::read`] or [`Machine::unread`].
    Read {
        /// Whose log.
        tenant: TenantId,
        /// The first entry.
        from: u64,
        /// How many entries at most.
        limit: usize,
    },
    /// Deliver these, each of another lane, and say [`Machine::delivered`].
    Deliver(Vec<Arc<Event>>),
    /// Record how far the consumer came, and say [`Machine::moved`].
    Move {
        /// Whose log.
        tenant: TenantId,
        /// How far.
        step: CursorStep,
    },
    /// Nothing is to be done before then, or before a log grows.
    Wait {
        /// The time; nothing when only a log that grows brings work.
        until: Option<Timestamp>,
    },
}

/// What people want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An event was given up.
    GivenUp {
        /// Whose log.
        tenant: TenantId,
        /// Its entry.
        seq: u64,
        /// What was said.
        why: String,
    },
    /// The consumer is left alone for a while.
    Opened {
        /// What was said the last time.
        why: String,
    },
    /// It takes events again.
    Closed,
    /// Somebody else delivers for this log now.
    Overtaken {
        /// Whose log.
        tenant: TenantId,
    },
    /// The store does not do what is needed; it is tried again.
    StoreFailed {
        /// Whose log.
        tenant: TenantId,
        /// What it said.
        why: String,
    },
}

/// The most notices that wait to be taken; the oldest are let go.
const NOTICES_MAX: usize = 1_024;

/// The state of one consumer.
pub struct Machine {
    policy: Policy,
    lines: BTreeMap<TenantId, Line>,
    breaker: Breaker,
    /// Whose event was the first of the last delivery.
    served: Option<TenantId>,
    under_way: Vec<(TenantId, u64)>,
    moving: Option<CursorStep>,
    is_closing: bool,
    notices: Vec<Notice>,
}

impl Machine {
    /// A machine without logs.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            lines: BTreeMap::new(),
            breaker: Breaker::default(),
            served: None,
            under_way: Vec::new(),
            moving: None,
            is_closing: false,
            notices: Vec::new(),
        }
    }

    /// Deliver what is in a log of `size` entries from the cursor on, which was just taken.
    pub fn follow(&mut self, tenant: TenantId, cursor: &Cursor, size: u64) {
        self.lines.insert(tenant, Line::new(cursor, size));
    }

    /// Deliver nothing more of a log. What is not recorded of it is delivered again by
    /// whoever takes the cursor next.
    pub fn leave(&mut self, tenant: TenantId) {
        self.lines.remove(&tenant);
    }

    /// A log has so many entries now.
    pub fn grew(&mut self, tenant: TenantId, size: u64) {
        if let Some(line) = self.lines.get_mut(&tenant) {
            line.size = line.size.max(size);
        }
    }

    /// Only record from now on what was delivered. When nothing is left to record, the next
    /// step is to wait without an end.
    pub const fn close(&mut self) {
        self.is_closing = true;
    }

    /// The fence of a cursor and where it is recorded to be, for whoever revives its dead
    /// letters.
    #[must_use]
    pub fn cursor(&self, tenant: TenantId) -> Option<(u64, u64)> {
        self.lines.get(&tenant).map(|line| (line.fence, line.kept))
    }

    /// Whether there is more of a log than the consumer is recorded to have.
    #[must_use]
    pub fn is_behind(&self, tenant: TenantId) -> bool {
        self.lines.get(&tenant).is_some_and(|line| line.kept < line.size)
    }

    /// The logs that are followed, in order.
    pub fn tenants(&self) -> impl Iterator<Item = TenantId> {
        self.lines.keys().copied()
    }

    /// The circuit breaker of the consumer.
    #[must_use]
    pub const fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// What happened since this was last asked.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// What to do now.
    pub fn next(&mut self, now: Timestamp) -> Step {
        if let Some(step) = self.next_move(now) {
            return step;
        }
        if self.is_closing {
            return Step::Wait { until: None };
        }
        if let Some(step) = self.next_read(now) {
            return step;
        }
        let batch = self.batch(now);
        if batch.is_empty() { Step::Wait { until: self.until(now) } } else { Step::Deliver(batch) }
    }

    fn next_move(&mut self, now: Timestamp) -> Option<Step> {
        let (flush, policy) = (self.is_closing, &self.policy);
        let step =
            |(tenant, line): (&TenantId, &Line)| Some((*tenant, line.step(now, flush, policy)?));
        let (tenant, step) = self.lines.iter().find_map(step)?;
        self.moving = Some(step.clone());
        Some(Step::Move { tenant, step })
    }

    fn next_read(&self, now: Timestamp) -> Option<Step> {
        let held: usize = self.lines.values().map(Line::held).sum();
        if held >= self.policy.held_max {
            return None;
        }
        let wants = |line: &Line| {
            let may = line.store_after.is_none_or(|after| self.policy.is_due(after, now));
            may && line.wants_more(&self.policy)
        };
        // Who has the least comes first.
        let lines = self.lines.iter().filter(|(_, line)| wants(line));
        let (tenant, line) = lines.min_by_key(|(_, line)| line.held())?;
        Some(Step::Read { tenant: *tenant, from: line.read_to, limit: self.policy.read_max })
    }

    /// As many events as may be delivered now, dealt out to the logs in turn.
    fn batch(&mut self, now: Timestamp) -> Vec<Arc<Event>> {
        if !self.lines.values().any(Line::has_waiting) {
            return Vec::new();
        }
        let room = self.breaker.room(now, &self.policy);
        let mut ready: Vec<_> = Vec::new();
        for tenant in self.in_turn() {
            let line = self.lines.get(&tenant);
            let events = line.map(|line| line.ready(now, room, &self.policy)).unwrap_or_default();
            ready.push(events.into_iter());
        }
        let mut batch = Vec::new();
        while batch.len() < room {
            let before = batch.len();
            let left = room - before;
            batch.extend(ready.iter_mut().filter_map(Iterator::next).take(left));
            if batch.len() == before {
                break;
            }
        }
        self.served = batch.first().map(|event: &Arc<Event>| event.tenant()).or(self.served);
        self.under_way = batch.iter().map(|event| (event.tenant(), event.seq())).collect();
        for (tenant, seq) in &self.under_way {
            if let Some(line) = self.lines.get_mut(tenant) {
                line.begin(*seq);
            }
        }
        batch
    }

    /// All logs, beginning behind the one that came first the last time.
    fn in_turn(&self) -> Vec<TenantId> {
        let (mut first, mut then) = (Vec::new(), Vec::new());
        for tenant in self.lines.keys() {
            let is_behind = self.served.is_none_or(|served| *tenant > served);
            if is_behind { first.push(*tenant) } else { then.push(*tenant) }
        }
        first.extend(then);
        first
    }

    fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let waits = self.lines.values().any(Line::has_waiting);
        let attempts = self.lines.values().filter_map(Line::next_attempt).min();
        let deliver = match self.breaker.until() {
            Some(until) if waits => Some(until),
            Some(_) | None => attempts,
        };
        let steps = self.lines.values().filter_map(|line| line.next_step(&self.policy)).min();
        let store = |line: &Line| line.store_after.filter(|after| *after > now);
        let reads = self.lines.values().filter_map(store).min();
        [deliver, steps, reads].into_iter().flatten().min()
    }

    /// What was read.
    pub fn read(&mut self, tenant: TenantId, page: Page, now: Timestamp) {
        if let Some(line) = self.lines.get_mut(&tenant) {
            line.store_after = None;
            line.add(page, now);
        }
    }

    /// It could not be read.
    pub fn unread(&mut self, tenant: TenantId, error: &StoreError, now: Timestamp) {
        self.store_failed(tenant, error, now);
    }

    /// What became of the events of the delivery, in their order.
    pub fn delivered(&mut self, verdicts: Vec<Verdict>, now: Timestamp) {
        let mut verdicts = verdicts.into_iter();
        let mut nothing = None;
        for (tenant, seq) in std::mem::take(&mut self.under_way) {
            let none = || Verdict::Lost("there was no answer".to_owned());
            let verdict = verdicts.next().unwrap_or_else(none);
            match verdict {
                Verdict::Confirmed => self.confirmed(tenant, seq, now),
                Verdict::Refused(why) => self.refused(tenant, seq, why, now),
                Verdict::Lost(why) => {
                    if let Some(line) = self.lines.get_mut(&tenant) {
                        line.lost(seq);
                    }
                    nothing = Some(why);
                }
            }
        }
        if let Some(why) = nothing
            && self.breaker.lost(now, &self.policy)
        {
            self.notice(Notice::Opened { why });
        }
    }

    fn confirmed(&mut self, tenant: TenantId, seq: u64, now: Timestamp) {
        if let Some(line) = self.lines.get_mut(&tenant) {
            line.confirmed(seq, now);
        }
        if self.breaker.confirmed() {
            self.notice(Notice::Closed);
        }
    }

    fn refused(&mut self, tenant: TenantId, seq: u64, why: String, now: Timestamp) {
        let line = self.lines.get_mut(&tenant);
        let is_over = line.is_some_and(|line| line.refused(seq, &why, now, &self.policy));
        if self.breaker.refused(now, &self.policy) {
            self.notice(Notice::Opened { why: why.clone() });
        }
        if is_over {
            self.notice(Notice::GivenUp { tenant, seq, why });
        }
    }

    /// What came of recording how far the consumer is.
    pub fn moved(&mut self, tenant: TenantId, result: Result<(), StoreError>, now: Timestamp) {
        let Some(step) = self.moving.take() else { return };
        match result {
            Ok(()) => {
                if let Some(line) = self.lines.get_mut(&tenant) {
                    line.moved(&step, now);
                }
            }
            Err(StoreError::Overtaken { .. }) => {
                self.lines.remove(&tenant);
                self.notice(Notice::Overtaken { tenant });
            }
            Err(error) => {
                // Whoever closes does not wait: it is delivered again some day.
                if self.is_closing {
                    self.lines.remove(&tenant);
                }
                self.store_failed(tenant, &error, now);
            }
        }
    }

    fn store_failed(&mut self, tenant: TenantId, error: &StoreError, now: Timestamp) {
        if let Some(line) = self.lines.get_mut(&tenant) {
            line.store_after = Some(now.plus_ms(self.policy.backoff_ms_max));
        }
        self.notice(Notice::StoreFailed { tenant, why: error.to_string() });
    }

    fn notice(&mut self, notice: Notice) {
        if self.notices.len() >= NOTICES_MAX {
            self.notices.remove(0);
        }
        self.notices.push(notice);
    }
}
