//! A schedule: its rule, its bounds, and how it treats what was missed.

use cog_base::{Digest, Timestamp};

use crate::decide::Fire;
use crate::overlap::Overlap;
use crate::rule::Rule;

/// The longest time after which a missed start is still made up for: 366 days.
pub const CATCH_UP_MS_MAX: u64 = 366 * 86_400_000;

/// The longest jitter: a day.
pub const JITTER_MS_MAX: u64 = 86_400_000;

/// When something is to be started.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its name, unique in its tenant; it seeds the jitter.
    pub id: String,
    /// The times it names.
    pub rule: Rule,
    /// Each start is later by up to so many milliseconds, always by the same for the same
    /// schedule and time: many schedules of one minute spread out.
    pub jitter_ms: u64,
    /// A start that nobody made in time is made up for until so many milliseconds after; 0
    /// means that only what is due between two looks counts.
    pub catch_up_ms: u64,
    /// What happens when the run before is not over.
    pub overlap: Overlap,
    /// Times before this one do not count.
    pub from: Option<Timestamp>,
    /// Times after this one do not count.
    pub until: Option<Timestamp>,
}

impl Schedule {
    /// A schedule without jitter and bounds that makes up for one minute and skips what
    /// overlaps.
    #[must_use]
    pub fn new(id: &str, rule: Rule) -> Self {
        Self {
            id: id.to_owned(),
            rule,
            jitter_ms: 0,
            catch_up_ms: 60_000,
            overlap: Overlap::Skip,
            from: None,
            until: None,
        }
    }

    /// The first time after `after`.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Fire> {
        let before_first = self.from.map(|from| Timestamp::from_micros(from.micros() - 1));
        let after = before_first.map_or(after, |first| after.max(first));
        let nominal = self.rule.next_after(after)?;
        if self.until.is_some_and(|until| nominal > until) {
            return None;
        }
        Some(Fire { nominal, at: nominal.plus_ms(self.jitter(nominal)) })
    }

    /// The times from one to another, both among them, but so many at most.
    #[must_use]
    pub fn within(&self, (from, until): (Timestamp, Timestamp), most: usize) -> Vec<Timestamp> {
        let first = self.next_after(Timestamp::from_micros(from.micros().saturating_sub(1)));
        let times = std::iter::successors(first, |fire| self.next_after(fire.nominal));
        let times = times.map(|fire| fire.nominal).take_while(|at| *at <= until);
        times.take(most).collect()
    }

    /// By how much the start of this time is later: a digest of schedule and time, so that it
    /// is the same on every machine and after every restart.
    fn jitter(&self, nominal: Timestamp) -> u64 {
        if self.jitter_ms == 0 {
            return 0;
        }
        let seed = format!("{}\n{nominal}", self.id);
        let digest = Digest::in_context("cognitionos/jitter/v1", seed.as_bytes());
        let mut number = [0; 8];
        for (to, from) in number.iter_mut().zip(digest.as_bytes()) {
            *to = *from;
        }
        u64::from_be_bytes(number) % self.jitter_ms.saturating_add(1)
    }
}
