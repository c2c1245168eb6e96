//! Recomputing what a whole log says was decided: every verdict by the canon that its entry names,
//! from what was recorded beside it, and that record against what the log shows.
//!
//! One reader for a ledger and a bundle: whoever has the entries with their bodies hands them in,
//! in their order. [`replay`](crate::replay) is the same for one run, for a person.

mod counts;
mod decision;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::Digest;
use cog_base::id::RunId;
use cog_canon::Canon;
use cog_gate::Gate;
use cog_ledger::Kind;
use cog_ledger::audit::Findings;

use crate::children::Parent;
use crate::history::{History, Mismatch, Record};
use crate::replay::{Canons, replay_run};

/// What recomputing a log came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recomputed {
    /// What comes out otherwise than it is recorded.
    pub findings: Findings,
    /// Receipts, refusals, requests for approval and selections of plans.
    pub decisions: u64,
    /// Those of them that were recomputed.
    pub recomputed: u64,
    /// Those of the recomputed that come out otherwise.
    pub differ: u64,
    /// Runs whose entries follow from their definition and inputs.
    pub followed: u64,
    /// Runs of which that cannot be told: something of them is erased, pruned or left out.
    pub not_followed: u64,
}

/// Recomputes a log, entry by entry. A run may use what the run that began it may, and so one gate
/// keeps the accounts of all.
#[derive(Default)]
pub struct Recompute {
    canons: Canons,
    gate: Gate,
    runs: BTreeMap<RunId, Vec<Record>>,
    /// The run that began the tree of each open run.
    roots: BTreeMap<RunId, RunId>,
    /// Trees whose accounts are not known: of an entry what it takes is not here.
    uncounted: BTreeSet<RunId>,
    result: Recomputed,
}

impl Recompute {
    /// Take a version of canon that decisions may name. It must come before them.
    pub fn canon(&mut self, digest: Digest, canon: Arc<Canon>) {
        self.canons.insert(digest, canon);
    }

    /// Take the next entry of the log. Those of no run are passed over.
    pub fn record(&mut self, record: Record) {
        let Some(run) = record.entry.session() else { return };
        let is_over = record.entry.kind() == Kind::SessionSealed;
        if !self.runs.contains_key(&run) {
            self.begin(run, &record);
        }
        self.step(run, &record);
        self.gate.observe(&record.entry);
        self.runs.entry(run).or_default().push(record);
        if let Some(records) = is_over.then(|| self.runs.remove(&run)).flatten() {
            self.gate.close_session(run);
            self.follow(&records);
        }
    }

    /// Recompute the runs that are not sealed as far as they go, and say what it all came to.
    #[must_use]
    pub fn finish(mut self) -> Recomputed {
        for records in std::mem::take(&mut self.runs).into_values() {
            self.follow(&records);
        }
        self.result
    }

    /// Open the account of a run, if it is known what it may use.
    fn begin(&mut self, run: RunId, record: &Record) {
        let begun = History::begin(record).ok();
        let parent = Parent::of(&record.entry).map(|parent| parent.run);
        let root = parent.and_then(|parent| self.roots.get(&parent).copied());
        // Of a run whose beginning, or that of the one that began it, was pruned.
        let is_known = begun.is_some() && parent.is_some() == root.is_some();
        let root = root.unwrap_or(run);
        self.roots.insert(run, root);
        if let Some(begun) = begun.filter(|_| is_known) {
            let (tenant, limits) = (begun.origin().tenant, begun.limits());
            match parent {
                Some(parent) => self.gate.open_child(tenant, run, limits, parent),
                None => self.gate.open_session(tenant, run, limits),
            }
        } else {
            self.uncounted.insert(root);
        }
    }

    /// Follow a run from its definition and inputs.
    fn follow(&mut self, records: &[Record]) {
        let result = &mut self.result;
        match replay_run(records) {
            Ok(_) => result.followed = result.followed.saturating_add(1),
            Err(Mismatch::NoBody { .. } | Mismatch::NoStart { .. }) => {
                result.not_followed = result.not_followed.saturating_add(1);
            }
            Err(other) => result.findings.add(Some(other.seq()), "run.differs", other.to_string()),
        }
    }
}
