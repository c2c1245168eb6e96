//! What worlds went through, counted.

use std::collections::BTreeMap;
use std::fmt;

/// How often each thing happened, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    pub(crate) fn add(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// Each thing that happened, and how often.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, count)| (*what, *count))
    }

    /// How often one thing happened.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// How often any of them happened.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.0.values().sum()
    }

    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        for (what, count) in other.0 {
            *self.0.entry(what).or_default() += count;
        }
        self
    }
}

/// `crash 12, clock.jump 3`, the most frequent first.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_by_key(|(what, count)| (std::cmp::Reverse(**count), **what));
        for (place, (what, count)) in all.into_iter().enumerate() {
            write!(f, "{}{what} {count}", if place > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// What a world went through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Events handled.
    pub events: u64,
    /// Faults injected, by their kind.
    pub faults: Counts,
    /// What operators did, by its kind.
    pub acts: Counts,
    /// Entries in the ledgers.
    pub entries: u64,
    /// Receipts in the ledgers.
    pub receipts: u64,
    /// Runs started.
    pub runs: u64,
    /// Runs that went on from a place of another.
    pub forks: u64,
    /// Tenants.
    pub tenants: u64,
    /// Worlds with the embedded store.
    pub embedded: u64,
}

impl Summary {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            faults: self.faults.plus(other.faults),
            acts: self.acts.plus(other.acts),
            entries: self.entries + other.entries,
            receipts: self.receipts + other.receipts,
            runs: self.runs + other.runs,
            forks: self.forks + other.forks,
            tenants: self.tenants + other.tenants,
            embedded: self.embedded + other.embedded,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, faults, acts, entries, receipts, runs, forks, tenants, embedded } = self;
        let (sum, did) = (faults.sum(), acts.sum());
        write!(
            f,
            "{runs} executions of {tenants} tenants, {forks} forks of them, {embedded} worlds on the \
             embedded store, {sum} faults ({faults}), \
             {did} acts of operators ({acts}), {receipts} receipts, {entries} entries, {events} events"
        )
    }
}
