//! What another canon would have said of what is recorded: every verdict that would be another.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::{Source, Sources, Timestamp};
use cog_canon::Canon;
use cog_gate::decision::{Decision, Verdict, decide, read_record};
use cog_gate::door::effect_of;
use cog_gate::snapshot::{Snapshot, TenantStatus};
use cog_gate::{Effect, Gate, Intent, World};
use cog_ledger::Kind;

use crate::history::Record;
use crate::replay::{as_far, recorded_verdict};

/// A verdict that another canon would have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flipped {
    /// The entry of the recorded decision.
    pub seq: u64,
    /// Its id.
    pub id: String,
    /// The step it served.
    pub step: String,
    /// What was asked for.
    pub action: String,
    /// On what.
    pub resource: String,
    /// allow, refuse or needs_approval, as recorded.
    pub before: String,
    /// The same under the other canon.
    pub after: String,
    /// Why, under the other canon.
    pub reason: String,
}

/// What was found of one decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// The other verdict, if it is one.
    pub flipped: Option<Flipped>,
    /// Whether it is not known what its data came from: it was taken for the default class.
    pub is_unclassed: bool,
}

/// Decides what is recorded again under another canon, as if that had been in force from the
/// beginning. Consents that were given count as if they had been asked for under it.
pub struct Impact {
    other: Arc<Canon>,
    /// Counts what was done and permitted by the other canon, in the periods that it names.
    gate: Gate,
    /// What the data of each decision came from, by its entry.
    sources: BTreeMap<u64, Sources>,
}

impl Impact {
    /// Nothing is recorded yet.
    #[must_use]
    pub fn new(other: Arc<Canon>) -> Self {
        Self { other, gate: Gate::default(), sources: BTreeMap::new() }
    }

    /// Whether what [`follow`](Self::follow) finds out is asked for: the canon declares classes.
    #[must_use]
    pub fn asks_for_sources(&self) -> bool {
        self.other.settings().data.is_some()
    }

    /// Whether what one run did counts for others, so that all are to be taken.
    #[must_use]
    pub fn counts_periods(&self) -> bool {
        !self.other.periods().is_empty()
    }

    /// Find out from its definition what the data of a run came from, as far as its entries are
    /// here: behind those of the runs that it goes on from. Before any of it is taken.
    pub fn follow(&mut self, records: &[Record]) {
        if let Ok((history, _)) = as_far(records) {
            self.sources.extend(history.came);
        }
    }

    /// Take the next decision or outcome, in the order of the log.
    pub fn take(&mut self, record: &Record) -> Tried {
        let entry = &record.entry;
        if entry.kind() == Kind::Outcome {
            self.gate.recall(entry);
            return Tried::default();
        }
        let Some((intent, mut snapshot)) = record.body.as_ref().and_then(|it| read_record(it).ok())
        else {
            return Tried::default();
        };
        let (intent, is_unclassed) = self.classed(&intent, entry.seq(), &mut snapshot);
        let footprint = effect_of(&intent).as_ref().map(Effect::footprint).unwrap_or_default();
        let world = World {
            now: snapshot.now,
            ledger_at: Timestamp::MIN,
            tenant: TenantStatus::Active,
            canon: Some(&self.other),
            in_force: snapshot.canon,
        };
        for (period, counted) in self.gate.snapshot(&intent, &footprint, &world).periods {
            snapshot.periods.entry(period).or_insert_with(|| counted.clone()).at_least(&counted);
        }
        let decision = decide(&intent, &snapshot, Some(&self.other));
        let receipt = entry.id().filter(|_| entry.kind() == Kind::Receipt);
        if let Some(receipt) = receipt.and_then(|id| id.parse().ok())
            && decision.verdict == Verdict::Allow
        {
            self.gate.suppose(receipt, &intent, &footprint, &decision, &self.other, snapshot.now);
        }
        Tried { flipped: flipped(record, &intent, &decision), is_unclassed }
    }

    /// An intent with the class that the other canon gives its data, and whether that is not known;
    /// the consents that were given for it are given for that.
    fn classed(&self, intent: &Intent, seq: u64, snapshot: &mut Snapshot) -> (Intent, bool) {
        let recorded = intent.sources().or_else(|| self.sources.get(&seq)).cloned();
        let (classed, is_unclassed) = match &self.other.settings().data {
            Some(rules) => {
                let unknown = || Sources::of(Source::Run(intent.origin().workflow.clone()), "");
                let is_unknown = recorded.is_none();
                (intent.classed(rules, &recorded.unwrap_or_else(unknown)), is_unknown)
            }
            None => (intent.clone(), false),
        };
        let version = snapshot.canon.replace(self.other.digest());
        for approval in snapshot.approvals.iter_mut().filter(|it| Some(it.canon) == version) {
            approval.canon = self.other.digest();
            if approval.intent == intent.digest() {
                approval.intent = classed.digest();
            }
        }
        (classed, is_unclassed)
    }
}

fn flipped(record: &Record, intent: &Intent, decision: &Decision) -> Option<Flipped> {
    let entry = &record.entry;
    let (before, after) = (recorded_verdict(entry.kind()), decision.verdict.word());
    if before == after {
        return None;
    }
    let reason = match &decision.verdict {
        Verdict::Refuse(_) => cog_gate::explain::reason(decision, intent),
        Verdict::NeedsApproval(need) => {
            format!("It would need the approval of {} of {}.", need.count, need.of.join(", "))
        }
        Verdict::Allow | Verdict::Wait => {
            format!("It would be permitted by {}.", decision.terms.policies.join(", "))
        }
    };
    Some(Flipped {
        seq: entry.seq(),
        id: entry.id().unwrap_or_default().to_owned(),
        step: intent.step().to_owned(),
        action: intent.action().to_owned(),
        resource: intent.resource_text().to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
        reason,
    })
}
