//! Recomputing what a whole log says was decided: every verdict by the canon that its entry names,
//! from what was recorded beside it, and that record against what the log shows.
//!
//! One reader for a ledger and a bundle: whoever has the entries with their bodies hands them in,
//! in their order. [`replay`](crate::replay) is the same for one run, for a person.

mod asked;
mod changes;
mod counts;
mod decision;
mod times;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::id::RunId;
use cog_base::{Digest, Timestamp};
use cog_canon::Canon;
use cog_gate::change::ChangeControl;
use cog_gate::{Carried, Gate, act};
use cog_ledger::audit::Findings;
use cog_ledger::{Entry, Kind};

use crate::children::Parent;
use crate::fork::{Fork, gather};
use crate::history::{Claim, History, Mismatch, Record};
use crate::recompute::times::Times;
use crate::replay::{Canons, as_far, replay_run};
use crate::start::Classes;

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
    /// Decisions of which it cannot be told whether all is counted that their domain did in a period:
    /// it began before what is here.
    pub partial: u64,
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
    /// Versions whose files are here and do not load, and why.
    unreadable: BTreeMap<Digest, String>,
    changes: ChangeControl,
    times: Times,
    gate: Gate,
    runs: BTreeMap<RunId, Vec<Record>>,
    /// Runs from which others go on later, and the entries of those of them that have ended.
    forked: BTreeSet<RunId>,
    kept: BTreeMap<RunId, Vec<Record>>,
    /// The places from which runs go on, and what the tree there had done by then, where that is
    /// known.
    places: BTreeMap<(RunId, u64), Option<Carried>>,
    /// The run that began the tree of each open run.
    roots: BTreeMap<RunId, RunId>,
    /// Trees whose accounts are not known: of an entry what it takes is not here.
    uncounted: BTreeSet<RunId>,
    /// The entry that is next, and from when on none is missing: nothing where all are here.
    next: u64,
    whole_since: Option<Timestamp>,
    /// The classes of what is handed to runs that have not begun yet.
    handed: BTreeMap<RunId, Classes>,
    /// The class of what a run gave, until the run that began it has heard of it.
    given: BTreeMap<RunId, Option<String>>,
    result: Recomputed,
}

impl Recompute {
    /// Take a version of canon that decisions may name. It must come before them.
    pub fn canon(&mut self, digest: Digest, canon: Arc<Canon>) {
        self.canons.insert(digest, canon);
    }

    /// Take a version of canon whose files are here and do not load: nothing was ever permitted by it.
    pub fn unreadable(&mut self, digest: Digest, why: String) {
        self.unreadable.insert(digest, why);
    }

    /// Take note of an entry before any is taken: of a run from which another goes on later the
    /// entries are kept until the end. Without that such a run is one that is not followed.
    pub fn note(&mut self, entry: &Entry) {
        if let Some(fork) = Fork::of(entry) {
            self.forked.insert(fork.session);
            self.places.insert((fork.session, fork.seq), None);
        }
    }

    /// Pass over the next entry of the log, one of no run: it is here, and nothing is missing.
    fn pass(&mut self, entry: &Entry) {
        if entry.seq() != self.next {
            self.whole_since = Some(entry.at());
        }
        self.next = entry.seq().saturating_add(1);
    }

    /// Take the next entry of the log. Those of no run are passed over, but for the refusal of what
    /// people do about approvals, canon and ledger.
    pub fn record(&mut self, record: Record) {
        self.pass(&record.entry);
        let Some(run) = record.entry.session() else {
            if record.entry.kind() == Kind::Genesis {
                self.times.genesis(&record.entry);
            }
            if act::is_refused(&record.entry) {
                self.act(&record);
            }
            self.change(&record.entry);
            return;
        };
        let is_over = record.entry.kind() == Kind::SessionSealed;
        if !self.runs.contains_key(&run) {
            self.begin(run, &record);
        }
        self.step(run, &record);
        self.gate.observe(&record.entry);
        let is_counted = self.is_counted(run);
        if let Some(place) = self.places.get_mut(&(run, record.entry.seq())) {
            *place = is_counted.then(|| self.gate.carried(run));
        }
        self.runs.entry(run).or_default().push(record);
        if let Some(records) = is_over.then(|| self.runs.remove(&run)).flatten() {
            self.gate.close_session(run);
            self.follow(run, &records);
            if self.forked.contains(&run) {
                self.kept.insert(run, records);
            }
        }
    }

    /// Recompute the runs that are not sealed as far as they go, and say what it all came to.
    #[must_use]
    pub fn finish(mut self) -> Recomputed {
        // A run may go on from one that is open as well.
        let open: Vec<RunId> = self.runs.keys().copied().collect();
        for run in open {
            let records = self.runs.get(&run).cloned().unwrap_or_default();
            self.follow(run, &records);
        }
        self.result
    }

    /// Open the account of a run, if it is known what it may use.
    fn begin(&mut self, run: RunId, record: &Record) {
        let begun = self.history(run, std::slice::from_ref(record));
        let begun = as_far(&begun).ok().filter(|(_, why)| why.is_none()).map(|(begun, _)| begun);
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
            self.carried(record, &begun.carried);
            self.gate.carry(run, begun.carried);
        } else {
            self.uncounted.insert(root);
        }
    }

    /// A run that goes on from a place of another begins with all that was done by then.
    fn carried(&mut self, record: &Record, carried: &Carried) {
        let place = Fork::of(&record.entry).map(|fork| (fork.session, fork.seq));
        let shown = place.and_then(|place| self.places.get(&place)).and_then(Option::as_ref);
        if shown.is_some_and(|shown| !carried.covers(shown)) {
            let message = "less is said to have been done before it than entries show";
            self.result.findings.add(Some(record.entry.seq()), "fork.counts", message.to_owned());
        }
    }

    /// Whether the accounts of the tree of a run are known.
    fn is_counted(&self, run: RunId) -> bool {
        self.roots.get(&run).is_some_and(|root| !self.uncounted.contains(root))
    }

    /// The entries of a run behind those of the runs that it was forked from, as far as those are
    /// here.
    fn history(&self, run: RunId, own: &[Record]) -> Vec<Record> {
        let read = |id: RunId, until: u64| {
            let other = self.runs.get(&id).or_else(|| self.kept.get(&id));
            let records = if id == run { own } else { other.map_or(&[][..], Vec::as_slice) };
            let records = records.iter().filter(|record| record.entry.seq() <= until);
            Ok::<_, std::convert::Infallible>(records.cloned().collect())
        };
        match gather(run, u64::MAX, read) {
            Ok(records) => records,
            Err(never) => match never {},
        }
    }

    /// What a run hands to another, or back, is of the class that some canon of its domain says, or
    /// of a higher one.
    fn claims(&mut self, history: &History, is_bound: bool) {
        let domain = &history.origin().domain;
        let of_domain = self.canons.values().filter(|canon| canon.domain() == *domain);
        let rules: Vec<_> = of_domain.map(|canon| canon.settings().data.as_ref()).collect();
        let none = !is_bound || rules.is_empty() || rules.contains(&None);
        for Claim { seq, class, sources } in &history.claims {
            let high = |class: &String| {
                let mut rules = rules.iter().flatten();
                rules.any(|rules| rules.rank(class) >= rules.rank(rules.class_of(sources)))
            };
            if !class.as_ref().map_or(none, high) {
                let class = class.as_deref().unwrap_or("data of no class");
                let message =
                    format!("no canon of its domain takes what is handed over for {class}");
                self.result.findings.add(Some(*seq), "data.class", message);
            }
        }
    }

    /// Follow a run from its definition and inputs.
    fn follow(&mut self, run: RunId, records: &[Record]) {
        let records = self.history(run, records);
        let result = &mut self.result;
        match replay_run(&records) {
            Ok(history) => {
                result.followed = result.followed.saturating_add(1);
                let is_bound = records.first().is_some_and(|first| first.entry.canon().is_some());
                self.claims(&history, is_bound);
            }
            Err(Mismatch::NoBody { .. } | Mismatch::NoStart { .. } | Mismatch::NoPast { .. }) => {
                result.not_followed = result.not_followed.saturating_add(1);
            }
            Err(other) => result.findings.add(Some(other.seq()), "run.differs", other.to_string()),
        }
    }
}
