//! The timers that are armed, by when they are due and by their run, so that those of a run
//! which is over or leaves memory go with it.

use std::collections::{BTreeSet, HashMap};

use cog_base::Timestamp;
use cog_base::id::RunId;

use crate::engine::Timer;

#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_time: BTreeSet<(Timestamp, Timer)>,
    by_run: HashMap<RunId, Vec<(Timestamp, String)>>,
}

impl Timers {
    pub(crate) fn arm(&mut self, at: Timestamp, timer: Timer) {
        let armed = (at, timer.name.clone());
        let run = timer.run;
        if self.by_time.insert((at, timer)) {
            self.by_run.entry(run).or_default().push(armed);
        }
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// When the next one of a run is due.
    pub(crate) fn next_of(&self, run: RunId) -> Option<Timestamp> {
        self.by_run.get(&run)?.iter().map(|(at, _)| *at).min()
    }

    /// Take one that is due by now.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (at, timer) = self.by_time.pop_first()?;
        if let Some(armed) = self.by_run.get_mut(&timer.run) {
            armed.retain(|(due, name)| !(*due == at && *name == timer.name));
            if armed.is_empty() {
                self.by_run.remove(&timer.run);
            }
        }
        Some(timer)
    }

    /// Drop those of a run. Says when the first of them would have been due.
    pub(crate) fn drop_run(&mut self, run: RunId) -> Option<Timestamp> {
        let first = self.next_of(run)?;
        for (at, name) in self.by_run.remove(&run).unwrap_or_default() {
            self.by_time.remove(&(at, Timer { run, name }));
        }
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n: u128) -> RunId {
        RunId::from_uuid(cog_base::id::Uuid::from_u128(n))
    }

    fn timer(n: u128, name: &str) -> Timer {
        Timer { run: run(n), name: name.to_owned() }
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::MIN.plus_ms(ms)
    }

    #[test]
    fn timers_come_in_the_order_in_which_they_are_due() {
        let mut timers = Timers::default();
        timers.arm(at(20), timer(1, "b"));
        timers.arm(at(10), timer(2, "a"));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.take_due(at(9)), None);
        assert_eq!(timers.take_due(at(30)), Some(timer(2, "a")));
        assert_eq!(timers.take_due(at(30)), Some(timer(1, "b")));
        assert_eq!(timers.take_due(at(30)), None);
        assert!(timers.by_run.is_empty(), "what is due leaves nothing behind");
    }

    #[test]
    fn the_timers_of_a_run_go_with_it() {
        let mut timers = Timers::default();
        timers.arm(at(20), timer(1, "b"));
        timers.arm(at(10), timer(1, "a"));
        timers.arm(at(15), timer(2, "a"));
        assert_eq!(timers.drop_run(run(1)), Some(at(10)));
        assert_eq!(timers.drop_run(run(1)), None);
        assert_eq!(timers.take_due(at(30)), Some(timer(2, "a")));
        assert_eq!(timers.take_due(at(30)), None);
    }
}
