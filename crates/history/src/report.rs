//! What the check came to: findings, and how often each property was put to the test.

use std::collections::{BTreeMap, BTreeSet};

use cog_ledger::audit::Findings;

use crate::property::Property;

/// What the check came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong.
    pub findings: Findings,
    /// How often each property was put to the test: one that never was proves nothing.
    pub tried: BTreeMap<Property, u64>,
    /// Runs that were followed step by step.
    pub followed: u64,
    /// Runs whose definition is gone, or whose beginning was pruned: what needs it was not
    /// checked.
    pub not_followed: u64,
    /// Runs in which something could not be told, because a body is gone: what should have
    /// happened and did not is not found there.
    pub unsure: u64,
    said: BTreeSet<(u64, Property)>,
}

impl Report {
    /// Whether every run showed what it must.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.findings.is_empty()
    }

    /// Put a property to the test at an entry.
    pub(crate) fn test(
        &mut self,
        property: Property,
        holds: bool,
        seq: u64,
        message: impl FnOnce() -> String,
    ) {
        let count = self.tried.entry(property).or_default();
        *count = count.saturating_add(1);
        if !holds {
            self.broken(property, seq, message());
        }
    }

    /// A property does not hold. The same at the same entry is said once.
    pub(crate) fn broken(&mut self, property: Property, seq: u64, message: String) {
        if self.said.insert((seq, property)) {
            self.findings.add(Some(seq), property.code(), message);
        }
    }
}
