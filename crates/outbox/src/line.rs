//! One consumer of one log: what was read of it and is not settled yet.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use cog_base::Timestamp;
use cog_events::Event;
use cog_store::{Cursor, CursorStep, DeadLetter};

use crate::machine::Policy;
use crate::page::Page;

pub(crate) struct Line {
    pub(crate) fence: u64,
    /// Where the cursor is kept to be.
    pub(crate) kept: u64,
    pub(crate) read_to: u64,
    /// How long the log is known to be.
    pub(crate) size: u64,
    /// In the order of the log.
    held: VecDeque<Held>,
    dead: Vec<DeadLetter>,
    /// Since when the cursor is behind.
    behind_since: Option<Timestamp>,
    /// The store was in trouble: not before then.
    pub(crate) store_after: Option<Timestamp>,
}

struct Held {
    seq: u64,
    /// Nothing once it is settled.
    event: Option<Arc<Event>>,
    attempts: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting { after: Option<Timestamp> },
    UnderWay,
}

impl Line {
    pub(crate) fn new(cursor: &Cursor, size: u64) -> Self {
        Self {
            fence: cursor.fence,
            kept: cursor.next,
            read_to: cursor.next,
            size,
            held: VecDeque::new(),
            dead: Vec::new(),
            behind_since: None,
            store_after: None,
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    fn waiting(&self) -> usize {
        self.held.iter().filter(|held| held.event.is_some()).count()
    }

    /// Whether more of the log is wanted.
    pub(crate) fn wants_more(&self, policy: &Policy) -> bool {
        self.read_to < self.size
            && self.held.len() + policy.read_max <= policy.window_max
            && self.waiting() < policy.batch_max
    }

    pub(crate) fn add(&mut self, page: Page, now: Timestamp) {
        self.read_to = page.next.max(self.read_to);
        self.size = self.size.max(self.read_to);
        let held = |event: Arc<Event>| Held {
            seq: event.seq(),
            event: Some(event),
            attempts: 0,
            state: State::Waiting { after: None },
        };
        self.held.extend(page.events.into_iter().map(held));
        self.note(now);
    }

    /// The events that may be delivered now: of each lane the first that is not settled.
    pub(crate) fn ready(&self, now: Timestamp, max: usize, policy: &Policy) -> Vec<Arc<Event>> {
        let mut lanes = BTreeSet::new();
        let mut ready = Vec::new();
        for held in &self.held {
            let Some(event) = &held.event else { continue };
            if ready.len() >= max {
                break;
            }
            let is_due = match held.state {
                State::Waiting { after } => after.is_none_or(|after| policy.is_due(after, now)),
                State::UnderWay => false,
            };
            if lanes.insert(event.lane()) && is_due {
                ready.push(Arc::clone(event));
            }
        }
        ready
    }

    /// When the next event that waits for its time may be delivered.
    pub(crate) fn next_attempt(&self) -> Option<Timestamp> {
        let after = |held: &Held| match held.state {
            State::Waiting { after } => after.filter(|_| held.event.is_some()),
            State::UnderWay => None,
        };
        self.held.iter().filter_map(after).min()
    }

    pub(crate) fn has_waiting(&self) -> bool {
        self.held.iter().any(|held| held.event.is_some())
    }

    pub(crate) fn begin(&mut self, seq: u64) {
        self.set(seq, State::UnderWay);
    }

    pub(crate) fn lost(&mut self, seq: u64) {
        self.set(seq, State::Waiting { after: None });
    }

    fn set(&mut self, seq: u64, state: State) {
        if let Some(held) = self.find(seq) {
            held.state = state;
        }
    }

    pub(crate) fn confirmed(&mut self, seq: u64, now: Timestamp) {
        if let Some(held) = self.find(seq) {
            held.event = None;
        }
        self.note(now);
    }

    /// Whether it is given up now.
    pub(crate) fn refused(&mut self, seq: u64, why: &str, now: Timestamp, policy: &Policy) -> bool {
        let Some(held) = self.find(seq) else { return false };
        held.attempts = held.attempts.saturating_add(1);
        let attempts = held.attempts;
        if attempts < policy.attempts_max {
            let after = Some(now.plus_ms(policy.backoff(attempts)));
            held.state = State::Waiting { after };
            return false;
        }
        held.event = None;
        self.dead.push(DeadLetter { seq, attempts, at: now, why: why.to_owned() });
        self.note(now);
        true
    }

    fn find(&mut self, seq: u64) -> Option<&mut Held> {
        let place = self.held.binary_search_by_key(&seq, |held| held.seq).ok()?;
        self.held.get_mut(place)
    }

    /// The first entry that is not settled.
    fn place(&self) -> u64 {
        self.held.front().map_or(self.read_to, |held| held.seq)
    }

    /// Let go of what is settled, and note since when the cursor is behind.
    fn note(&mut self, now: Timestamp) {
        while self.held.front().is_some_and(|held| held.event.is_none()) {
            self.held.pop_front();
        }
        let is_behind = self.place() > self.kept || !self.dead.is_empty();
        self.behind_since = is_behind.then(|| self.behind_since.unwrap_or(now));
    }

    /// What is to be recorded now. A cursor is not moved for every event: what a crash
    /// forgets is delivered again.
    pub(crate) fn step(&self, now: Timestamp, flush: bool, policy: &Policy) -> Option<CursorStep> {
        let since = self.behind_since?;
        if self.store_after.is_some_and(|after| !policy.is_due(after, now)) {
            return None;
        }
        let is_due = flush
            || !self.dead.is_empty()
            || self.place() - self.kept >= policy.move_every
            || policy.is_due(since.plus_ms(policy.move_after_ms), now);
        is_due.then(|| CursorStep {
            fence: self.fence,
            next: self.place(),
            dead: self.dead.clone(),
            revived: Vec::new(),
        })
    }

    /// When it is time to record something.
    pub(crate) fn next_step(&self, policy: &Policy) -> Option<Timestamp> {
        let since = self.behind_since?;
        Some(since.plus_ms(policy.move_after_ms).max(self.store_after.unwrap_or(since)))
    }

    pub(crate) fn moved(&mut self, step: &CursorStep, now: Timestamp) {
        self.kept = self.kept.max(step.next);
        self.dead.retain(|letter| !step.dead.contains(letter));
        self.store_after = None;
        self.behind_since = None;
        self.note(now);
    }
}
