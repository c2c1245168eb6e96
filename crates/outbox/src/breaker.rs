//! Leaves a consumer alone that only fails.

use cog_base::Timestamp;

use crate::machine::Policy;

/// Closed, it lets deliveries through. After so many failures in a row it opens, and nothing
/// is delivered for a while; then one event is tried, and it closes if that is taken.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    /// Failures in a row.
    failures: u32,
    /// Calls in a row that got no answer.
    outages: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    /// After a call without an answer, before it opens.
    Pausing {
        until: Timestamp,
    },
    Open {
        until: Timestamp,
    },
    /// One event is tried.
    Trying,
}

impl Breaker {
    /// How many events may be delivered now.
    pub(crate) fn room(&mut self, now: Timestamp, policy: &Policy) -> usize {
        match self.state {
            State::Closed => policy.batch_max,
            State::Trying => 1,
            State::Pausing { until } if policy.is_due(until, now) => policy.batch_max,
            State::Open { until } if policy.is_due(until, now) => {
                self.state = State::Trying;
                1
            }
            State::Pausing { .. } | State::Open { .. } => 0,
        }
    }

    /// When something may be delivered again; nothing when it may now.
    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        match self.state {
            State::Pausing { until } | State::Open { until } => Some(until),
            State::Closed | State::Trying => None,
        }
    }

    /// Whether nothing is delivered because too much failed.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// An event was taken. Whether that closed it.
    pub(crate) fn confirmed(&mut self) -> bool {
        let was_trying = self.state == State::Trying;
        *self = Self::default();
        was_trying
    }

    /// An event was refused. Whether that opened it.
    pub(crate) fn refused(&mut self, now: Timestamp, policy: &Policy) -> bool {
        self.outages = 0;
        self.failed(now, policy)
    }

    /// A call got no answer. Whether that opened it.
    pub(crate) fn lost(&mut self, now: Timestamp, policy: &Policy) -> bool {
        self.outages = self.outages.saturating_add(1);
        let opened = self.failed(now, policy);
        if !self.is_open() {
            self.state = State::Pausing { until: now.plus_ms(policy.backoff(self.outages)) };
        }
        opened
    }

    fn failed(&mut self, now: Timestamp, policy: &Policy) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = self.failures >= policy.failures_max || self.state == State::Trying;
        let was_open = self.is_open();
        if opens {
            self.state = State::Open { until: now.plus_ms(policy.open_ms) };
        }
        opens && !was_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: fn(i64) -> Timestamp = |ms| Timestamp::from_micros((1_000_000 + ms) * 1_000);

    #[test]
    fn five_failures_open_it_for_thirty_seconds_and_one_event_closes_it() {
        let (mut breaker, policy) = (Breaker::default(), Policy::default());
        let opened: Vec<bool> = (0..5).map(|ms| breaker.refused(T(ms), &policy)).collect();
        assert_eq!(opened, [false, false, false, false, true]);
        assert_eq!(breaker.until(), Some(T(30_004)));
        assert_eq!(breaker.room(T(30_003), &policy), 0);
        assert_eq!(breaker.room(T(30_004), &policy), 1);
        // It fails once more, and is open at once.
        assert!(breaker.lost(T(30_005), &policy) && breaker.is_open());
        assert_eq!(breaker.room(T(60_004), &policy), 0);
        assert_eq!(breaker.room(T(60_005), &policy), 1);
        assert!(breaker.confirmed());
        assert_eq!(breaker.room(T(60_005), &policy), policy.batch_max);
    }

    #[test]
    fn calls_without_an_answer_are_spaced_more_and_more_until_it_opens() {
        let (mut breaker, policy) = (Breaker::default(), Policy::default());
        let mut waits = Vec::new();
        let mut now = T(0);
        for _ in 0..5 {
            breaker.lost(now, &policy);
            let until = breaker.until().unwrap();
            assert!(breaker.room(until, &policy) > 0);
            waits.push(until.ms_since(now));
            now = until;
        }
        assert_eq!(waits, [200, 400, 800, 1_600, 30_000]);
    }

    #[test]
    fn one_event_that_is_taken_makes_all_failures_forgotten() {
        let (mut breaker, policy) = (Breaker::default(), Policy::default());
        for _ in 0..100 {
            for _ in 0..4 {
                assert!(!breaker.refused(T(0), &policy));
            }
            assert!(!breaker.confirmed());
        }
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let (mut breaker, policy) = (Breaker::default(), Policy::default());
        assert_eq!((0..5).filter(|_| breaker.refused(T(900_000), &policy)).count(), 1);
        assert_eq!(breaker.room(T(900_001), &policy), 0);
        assert_eq!(breaker.room(T(0), &policy), 1);
    }
}
