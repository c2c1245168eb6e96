//! The check of a whole log: runs are gathered as their entries come, and each is checked when
//! it is sealed, or at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::Value;
use cog_base::id::RunId;
use cog_ledger::{Entry, Kind};

use crate::account;
use crate::consent;
use crate::family::Families;
use crate::lease::Held;
use crate::log::{Log, What};
use crate::property::Property;
use crate::reading;
use crate::report::Report;
use crate::seal;

/// An entry with its body, if that is kept.
#[derive(Clone, Debug)]
pub struct Record {
    /// The entry.
    pub entry: Arc<Entry>,
    /// Its body.
    pub body: Option<Value>,
}

/// Among which receipts no two may interfere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leases {
    /// Among all of the log: one program runs all of its runs and takes up what was broken off.
    AcrossRuns,
    /// Among those of one run: where each run has a program of its own, what a run that was
    /// broken off holds is not known to the others until it goes on.
    WithinRuns,
}

/// What a log is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Among which receipts no two may interfere.
    pub leases: Leases,
    /// By how much the clock may have been set back, in milliseconds. Time never goes back along
    /// a log, so that a wait during which that happened looks shorter by as much.
    pub clock_back_ms: u64,
}

impl Rules {
    /// One program runs everything, by a clock that is never set back.
    pub const STRICT: Self = Self { leases: Leases::AcrossRuns, clock_back_ms: 0 };
    /// Each run has a program of its own, by a clock that was set back by as much as the gate
    /// lets pass at most.
    pub const EMBEDDED: Self = Self { leases: Leases::WithinRuns, clock_back_ms: 5_000 };
}

/// A check of a log, fed entry by entry in order.
#[derive(Debug)]
pub struct Checker {
    rules: Rules,
    held: Held,
    families: Families,
    runs: BTreeMap<RunId, Vec<Record>>,
    sealed: BTreeSet<RunId>,
    report: Report,
}

/// Check a log from its first entry to its last.
pub fn check(records: impl IntoIterator<Item = Record>, rules: Rules) -> Report {
    let mut checker = Checker::new(rules);
    records.into_iter().for_each(|record| checker.record(record));
    checker.finish()
}

impl Checker {
    /// A check that has seen nothing.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            held: Held::default(),
            families: Families::default(),
            runs: BTreeMap::new(),
            sealed: BTreeSet::new(),
            report: Report::default(),
        }
    }

    /// Take the next entry. Those of no run are passed over.
    pub fn record(&mut self, record: Record) {
        let Some(run) = record.entry.session() else { return };
        let (seq, kind) = (record.entry.seq(), record.entry.kind());
        let is_sealed = self.sealed.contains(&run);
        self.report.test(Property::Sealed, !is_sealed, seq, || {
            format!("a {kind} follows the seal of {run}")
        });
        if is_sealed {
            return;
        }
        let scope = match self.rules.leases {
            Leases::AcrossRuns => None,
            Leases::WithinRuns => Some(run),
        };
        self.held.record(&record, scope, &mut self.report);
        self.families.record(&record);
        self.runs.entry(run).or_default().push(record);
        if kind == Kind::SessionSealed {
            self.sealed.insert(run);
            if let Some(records) = self.runs.remove(&run) {
                check_run(&records, self.rules, &mut self.report);
            }
        }
    }

    /// Check the runs that are not sealed as far as they go, and say what it all came to.
    #[must_use]
    pub fn finish(mut self) -> Report {
        for records in std::mem::take(&mut self.runs).into_values() {
            check_run(&records, self.rules, &mut self.report);
        }
        self.families.check(&mut self.report);
        self.report
    }
}

fn check_run(records: &[Record], rules: Rules, report: &mut Report) {
    let log = Log::read(records);
    let starts = |event: &crate::log::Event| matches!(event.what, What::Started { .. });
    let begins = log.events.first().is_some_and(starts);
    // A run whose beginning was pruned is not one that lacks it.
    if !begins {
        report.not_followed = report.not_followed.saturating_add(1);
        return;
    }
    for again in log.events.iter().skip(1).filter(|event| starts(event)) {
        report.broken(Property::Sealed, again.seq, "the run begins again".to_owned());
    }
    seal::outcomes(&log, report);
    seal::sums(&log, report);
    consent::check(&log, report);
    match reading::Source::read(records.first(), report) {
        Some(source) => {
            report.followed = report.followed.saturating_add(1);
            account::check(&log, &source.flow, report);
            reading::check(&log, source, rules.clock_back_ms, report);
        }
        None => report.not_followed = report.not_followed.saturating_add(1),
    }
}
