//! The time of the store, which is the same for all of its nodes: what nodes write and decide is
//! dated by it, however wrong the clock of a machine is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cog_base::{Clock, Timestamp};
use cog_gate::decision::CLOCK_BEHIND_MS_MAX;
use cog_store::{Shared, StoreError};

/// Stands for a distance that nobody knows yet.
const UNKNOWN: i64 = i64::MIN;

/// The time of the store, carried on by the clock of this machine. It never goes back: when the
/// store goes on from an earlier time, it stands still until that has come up.
pub(crate) struct StoreClock {
    machine: Arc<dyn Clock>,
    /// How far the store is ahead of the machine, in microseconds.
    ahead: AtomicI64,
    /// The latest time that was shown.
    latest: AtomicI64,
}

impl StoreClock {
    /// Until the store was asked it shows what the machine does.
    pub(crate) fn new(machine: Arc<dyn Clock>) -> Self {
        let (ahead, latest) = (AtomicI64::new(UNKNOWN), AtomicI64::new(i64::MIN));
        Self { machine, ahead, latest }
    }

    /// Ask the store what time it is.
    pub(crate) fn ask(&self, store: &dyn Shared) -> Result<Timestamp, StoreError> {
        let asked = self.machine.now();
        let said = store.time()?;
        self.heard(asked, said);
        Ok(self.of_store())
    }

    /// The store was asked at `asked`, by the machine, and said this. What was believed before is
    /// believed as long as it can be true: an answer that takes long says little.
    pub(crate) fn heard(&self, asked: Timestamp, said: Timestamp) {
        let heard = self.machine.now().micros();
        let (one, other) = (said.micros() - heard, said.micros() - asked.micros());
        let (least, most) = (one.min(other), one.max(other));
        let believed = match self.ahead.load(Ordering::Acquire) {
            UNKNOWN => least + (most - least) / 2,
            believed => believed.clamp(least, most),
        };
        self.ahead.store(believed, Ordering::Release);
    }

    /// The time of the store, which may be earlier than what was shown.
    fn of_store(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Acquire);
        let ahead = if ahead == UNKNOWN { 0 } else { ahead };
        Timestamp::from_micros(self.machine.now().micros().saturating_add(ahead))
    }

    /// What the clock of the machine shows when this one shows `at`, if the store goes on as it does.
    pub(crate) fn to_machine(&self, at: Timestamp) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Acquire);
        let ahead = if ahead == UNKNOWN { 0 } else { ahead };
        Timestamp::from_micros(at.micros().saturating_sub(ahead))
    }

    /// Why nothing is done yet with a log whose last entry is dated so, when by the time of the store
    /// that is still to come: the gate would refuse every effect.
    pub(crate) fn too_early(&self, last: Option<Timestamp>, now: Timestamp) -> Option<String> {
        let (shown, last) = (self.now(), last.unwrap_or(Timestamp::MIN));
        let whose =
            if last >= shown { "the last entry of its log" } else { "the clock of this node" };
        let until = last.max(shown);
        (until.ms_since(now) > CLOCK_BEHIND_MS_MAX).then(|| {
            format!("{whose} stands at {until}, which by the time of the store is to come")
        })
    }
}

impl Clock for StoreClock {
    fn now(&self) -> Timestamp {
        let now = self.of_store();
        if self.ahead.load(Ordering::Acquire) == UNKNOWN {
            return now;
        }
        let latest = self.latest.fetch_max(now.micros(), Ordering::AcqRel);
        now.max(Timestamp::from_micros(latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that shows what it is told to.
    struct Set(AtomicI64);

    impl Clock for Set {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::Relaxed))
        }
    }

    const SECOND: i64 = 1_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * SECOND)
    }

    fn clocks(seconds: i64) -> (Arc<Set>, StoreClock) {
        let machine = Arc::new(Set(AtomicI64::new(seconds * SECOND)));
        (Arc::clone(&machine), StoreClock::new(machine))
    }

    #[test]
    fn it_shows_the_time_of_the_store_however_wrong_the_machine_is() {
        for wrong in [-3_600, 0, 3_600] {
            let (machine, clock) = clocks(10_000 + wrong);
            clock.heard(at(10_000 + wrong), at(10_000));
            assert_eq!(clock.now(), at(10_000));
            machine.0.fetch_add(5 * SECOND, Ordering::Relaxed);
            assert_eq!(clock.now(), at(10_005));
            assert_eq!(clock.to_machine(at(10_007)), at(10_007 + wrong));
        }
    }

    #[test]
    fn an_answer_that_takes_long_changes_nothing_that_may_be_true() {
        let (machine, clock) = clocks(100);
        clock.heard(at(100), at(200));
        // Asked at 100, answered at 140: the store was somewhere between at 210.
        machine.0.store(140 * SECOND, Ordering::Relaxed);
        clock.heard(at(100), at(210));
        assert_eq!(clock.now(), at(240));
        // It cannot have been at 260 and be as far ahead as that.
        machine.0.store(150 * SECOND, Ordering::Relaxed);
        clock.heard(at(140), at(260));
        assert_eq!(clock.now(), at(260));
    }

    #[test]
    fn it_never_goes_back_and_says_that_it_stands() {
        let (machine, clock) = clocks(100);
        clock.heard(at(100), at(1_000));
        assert_eq!(clock.now(), at(1_000));
        clock.heard(at(100), at(900));
        assert_eq!(clock.now(), at(1_000));
        let why = clock.too_early(None, at(900)).unwrap_or_default();
        assert!(why.starts_with("the clock of this node stands at"), "{why}");
        machine.0.store(196 * SECOND, Ordering::Relaxed);
        assert_eq!(clock.now(), at(1_000));
        assert_eq!(clock.too_early(None, at(996)), None);
        machine.0.store(201 * SECOND, Ordering::Relaxed);
        assert_eq!(clock.now(), at(1_001));
    }

    #[test]
    fn a_log_that_is_dated_ahead_is_too_early_by_more_than_the_gate_lets_pass() {
        let (_, clock) = clocks(100);
        clock.heard(at(100), at(100));
        assert_eq!(clock.too_early(Some(at(105)), at(100)), None);
        let why = clock.too_early(Some(at(106)), at(100)).unwrap_or_default();
        assert!(
            why.starts_with("the last entry of its log stands at 1970-01-01T00:01:46"),
            "{why}"
        );
    }
}
