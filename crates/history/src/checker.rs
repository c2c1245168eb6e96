//! The check of a whole log: runs are gathered as their entries come, and each is checked when
//! it is sealed, or at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::Value;
use cog_base::id::RunId;
use cog_ledger::{Entry, Kind};

use crate::account;
use crate::admission::Admissions;
use crate::chain::Chains;
use crate::consent;
use crate::family::Families;
use crate::lease::Held;
use crate::lineage::{self, Fork, Known};
use crate::log::{Log, What};
use crate::property::Property;
use crate::reading;
use crate::report::Report;
use crate::seal;
use crate::versions::Versions;

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
    admissions: Admissions,
    chains: Chains,
    versions: Versions,
    runs: BTreeMap<RunId, Vec<Record>>,
    sealed: BTreeSet<RunId>,
    /// Runs from which others go on, and the entries of those of them that are sealed.
    forked: BTreeSet<RunId>,
    kept: BTreeMap<RunId, Vec<Record>>,
    report: Report,
}

/// Check a log from its first entry to its last.
pub fn check(records: impl IntoIterator<Item = Record>, rules: Rules) -> Report {
    let records: Vec<Record> = records.into_iter().collect();
    let mut checker = Checker::new(rules);
    records.iter().for_each(|record| checker.note(&record.entry));
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
            admissions: Admissions::default(),
            chains: Chains::default(),
            versions: Versions::default(),
            runs: BTreeMap::new(),
            sealed: BTreeSet::new(),
            forked: BTreeSet::new(),
            kept: BTreeMap::new(),
            report: Report::default(),
        }
    }

    /// Take note of an entry before any is taken: of a run from which another goes on later the
    /// entries are kept until the end. Without that such a run is one that is not followed.
    pub fn note(&mut self, entry: &Entry) {
        self.forked.extend(Fork::of(entry).map(|fork| fork.session));
    }

    /// Take the next entry. Those of no run are passed over, but for those that ask for one
    /// or say what is started.
    pub fn record(&mut self, record: Record) {
        self.admissions.record(&record, &mut self.report);
        self.chains.record(&record.entry);
        self.versions.record(&record, &mut self.report);
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
            self.check(run);
            if let Some(records) = self.runs.remove(&run).filter(|_| self.forked.contains(&run)) {
                self.kept.insert(run, records);
            }
        }
    }

    /// Check the runs that are not sealed as far as they go, and say what it all came to.
    #[must_use]
    pub fn finish(mut self) -> Report {
        let open: Vec<RunId> = self.runs.keys().copied().collect();
        open.into_iter().for_each(|run| self.check(run));
        self.families.check(&mut self.report);
        self.chains.check(&mut self.report);
        self.report
    }

    fn check(&mut self, run: RunId) {
        let Some(records) = self.runs.get(&run) else { return };
        let known = Known { open: &self.runs, sealed: &self.kept };
        let left = check_run(records, &known, self.rules, &mut self.report);
        if let Some(left) = left {
            self.chains.leaves(run, left);
        }
    }
}

fn check_run(
    records: &[Record],
    known: &Known<'_>,
    rules: Rules,
    report: &mut Report,
) -> Option<Vec<String>> {
    let log = Log::read(records);
    let starts = |event: &crate::log::Event| matches!(event.what, What::Started { .. });
    let begins = log.events.first().is_some_and(starts);
    // A run whose beginning was pruned is not one that lacks it.
    if !begins {
        report.not_followed = report.not_followed.saturating_add(1);
        return None;
    }
    for again in log.events.iter().skip(1).filter(|event| starts(event)) {
        report.broken(Property::Sealed, again.seq, "the run begins again".to_owned());
    }
    seal::outcomes(&log, report);
    seal::sums(&log, report);
    consent::check(&log, rules.clock_back_ms, report);
    lineage::authority(records, known, report);
    let parts = lineage::parts(records, known, report);
    let source = parts.as_ref().and_then(|parts| reading::Source::read(parts, report));
    let Some((parts, source)) = parts.zip(source) else {
        report.not_followed = report.not_followed.saturating_add(1);
        return None;
    };
    report.followed = report.followed.saturating_add(1);
    let before = parts.split_last().map(|(_, before)| before).unwrap_or_default();
    account::check(&log, account::kept(before), &source.flow, report);
    let whole = (parts.len() > 1).then(|| Log::read(parts.iter().copied().flatten()));
    reading::check(whole.as_ref().unwrap_or(&log), source, rules.clock_back_ms, report)
}
