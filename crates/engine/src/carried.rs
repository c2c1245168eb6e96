//! What a run that goes on from a place of another begins with in its account: what the tree of that
//! run had done by then.
//!
//! It is kept beside the first entry of the run, so that the account is known when entries of the
//! tree are gone; [`recompute`](crate::recompute) counts it again.

use std::collections::BTreeSet;
use std::sync::Arc;

use cog_base::id::{ReceiptId, RunId};
use cog_base::{Digest, Micros, Value};
use cog_gate::decision::{decide, read_record};
use cog_gate::door::effect_of;
use cog_gate::{Carried, Effect as _, End, Gate, Limits, Report};
use cog_ledger::{Entry, Kind};

use crate::children::{Parent, run_of};
use crate::engine::Engine;
use crate::fork::{Fork, own};
use crate::history::{Mismatch, Record, no_body, unexpected};
use crate::replay::Canons;

/// The member of the body of a first entry.
pub(crate) const MEMBER: &str = "carried";

/// What the first entry of a run says that it begins with.
pub(crate) fn of_record(record: &Record) -> Result<Carried, Mismatch> {
    let body = record.body.as_ref().ok_or(no_body(&record.entry))?;
    let Some(carried) = body.get(MEMBER) else { return Ok(Carried::default()) };
    Carried::from_value(carried)
        .ok_or_else(|| unexpected(&record.entry, "what it goes on from has done is not said"))
}

/// What an outcome is to the accounts: what it cost, and whether it began.
pub(crate) fn settled(entry: &Entry) -> Option<(RunId, ReceiptId, Report)> {
    let receipt = entry.text("receipt")?.parse::<ReceiptId>().ok()?;
    let is_abandoned = entry.text("disposition") == Some("abandoned");
    let end = if is_abandoned { End::Abandoned } else { End::Unknown };
    let cost = Micros::new(entry.count("cost_micros").unwrap_or(0));
    Some((entry.session()?, receipt, Report { end, cost, attempts: 0 }))
}

/// Count a receipt as it was decided then, by the record beside it.
pub(crate) fn recount(
    gate: &mut Gate,
    canons: &Canons,
    receipt: ReceiptId,
    (record, canon): (&Value, Option<Digest>),
) {
    let Ok((intent, snapshot)) = read_record(record) else { return };
    let canon = canon.and_then(|digest| canons.get(&digest)).map(Arc::as_ref);
    let decision = decide(&intent, &snapshot, canon);
    let footprint = effect_of(&intent).map(|it| it.footprint()).unwrap_or_default();
    gate.recount(receipt, &intent, &footprint, &decision, canon);
}

/// An account of a tree of runs as it was at a place.
struct Counting<'c> {
    gate: Gate,
    canons: &'c Canons,
    begun: BTreeSet<RunId>,
}

impl Engine {
    /// What a run begins with that goes on from a place. `past` ends with the entries of the run
    /// that the place is of, `kin` are those of the others of its tree.
    pub(crate) fn carried(
        &self,
        fork: &Fork,
        past: &[Record],
        kin: &[Vec<Record>],
    ) -> Result<Carried, Mismatch> {
        let all = std::iter::once(past).chain(kin.iter().map(Vec::as_slice)).map(own);
        let all: Vec<&Record> = all.flatten().collect();
        let here: BTreeSet<RunId> = all.iter().filter_map(|it| it.entry.session()).collect();
        let by_then = all.into_iter().filter(|it| it.entry.seq() <= fork.seq);
        let mut by_then: Vec<&Record> = by_then.collect();
        by_then.sort_by_key(|record| record.entry.seq());
        let (gate, begun) = (Gate::default(), BTreeSet::new());
        let mut counting = Counting { gate, canons: &self.canons, begun };
        for record in by_then {
            let child = (record.entry.kind() == Kind::ChildStarted).then(|| run_of(&record.entry));
            if child.transpose()?.is_some_and(|child| !here.contains(&child)) {
                let message = "the entries of the run that it begins are not here";
                return Err(unexpected(&record.entry, message));
            }
            counting.count(record)?;
        }
        Ok(counting.gate.carried(fork.session))
    }
}

impl Counting<'_> {
    fn count(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let Some(run) = entry.session() else { return Ok(()) };
        if entry.kind() == Kind::SessionStarted {
            let limits = Limits::default();
            match Parent::of(entry) {
                Some(parent) if self.begun.contains(&parent.run) => {
                    self.gate.open_child(entry.tenant(), run, limits, parent.run);
                }
                Some(_) => {
                    let message = "the first entry of the run that began this one is not here";
                    return Err(unexpected(entry, message));
                }
                None => self.gate.open_session(entry.tenant(), run, limits),
            }
            self.begun.insert(run);
            self.gate.carry(run, of_record(record)?);
        } else if !self.begun.contains(&run) {
            let message = "the first entries of its run are not here, nor what was done in them";
            return Err(unexpected(entry, message));
        } else if let Some(receipt) = entry.id().filter(|_| entry.kind() == Kind::Receipt) {
            if entry.canon().is_some_and(|canon| !self.canons.contains_key(&canon)) {
                return Err(unexpected(entry, "the canon that it names is not kept any more"));
            }
            let body = record.body.as_ref().ok_or(no_body(entry))?;
            if let Ok(receipt) = receipt.parse() {
                recount(&mut self.gate, self.canons, receipt, (body, entry.canon()));
            }
        } else if entry.kind() == Kind::Outcome
            && let Some((run, receipt, report)) = settled(entry)
        {
            self.gate.resettle(run, receipt, &report);
        }
        Ok(())
    }
}
