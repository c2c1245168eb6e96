//! Runs that continue others, told from both sides: the seal that names the next run, and the first
//! entries of that one.

use std::collections::BTreeMap;

use cog_base::id::RunId;
use cog_base::{Digest, Value};
use cog_ledger::{Entry, Kind};

use crate::property::Property;
use crate::report::Report;

/// What a log shows of its chains. The entries may come run by run.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    starts: BTreeMap<RunId, Start>,
    /// By run, the seal that says which run is next.
    seals: BTreeMap<RunId, Seal>,
    /// By run, the signals that it left to the next one, where that can be told.
    left: BTreeMap<RunId, Vec<String>>,
    /// The first and the last entry that are here.
    first: Option<u64>,
    last: u64,
}

#[derive(Debug)]
struct Start {
    seq: u64,
    identity: Identity,
    inputs: Option<Digest>,
    continues: Option<(RunId, u64)>,
    /// The signals right behind it.
    signals: Vec<String>,
    /// Whether nothing else came since.
    is_first: bool,
}

#[derive(Debug)]
struct Seal {
    seq: u64,
    next: RunId,
    inputs: Option<Digest>,
}

/// Definition, domain, environment and who begins.
type Identity = (Option<Digest>, String, String, String);

impl Chains {
    pub(crate) fn record(&mut self, entry: &Entry) {
        self.first = Some(self.first.map_or(entry.seq(), |first| first.min(entry.seq())));
        self.last = self.last.max(entry.seq());
        let Some(run) = entry.session() else { return };
        if entry.kind() == Kind::SessionStarted {
            self.starts.entry(run).or_insert_with(|| Start::of(entry));
            return;
        }
        if let Some(next) = Seal::of(entry) {
            self.seals.insert(run, next);
        }
        let Some(start) = self.starts.get_mut(&run).filter(|start| start.is_first) else { return };
        let signal = entry.text("signal").filter(|_| entry.kind() == Kind::Signal);
        start.is_first = signal.is_some() && start.continues.is_some();
        start.signals.extend(signal.filter(|_| start.is_first).map(str::to_owned));
    }

    /// A run left these signals to the next one.
    pub(crate) fn leaves(&mut self, run: RunId, signals: Vec<String>) {
        self.left.insert(run, signals);
    }

    pub(crate) fn check(&self, report: &mut Report) {
        for (run, seal) in &self.seals {
            let begun = self.starts.get(&seal.next);
            let begins = begun.is_some_and(|start| {
                start.seq == seal.seq.saturating_add(1)
                    && start.continues.is_some_and(|(before, _)| before == *run)
            });
            // What stands behind the last entry that is here is not known.
            let is_known = begins || self.last > seal.seq;
            report.test(Property::Chain, begins || !is_known, seal.seq, || {
                format!("{}, which continues {run}, does not begin behind its seal", seal.next)
            });
        }
        for (run, start) in &self.starts {
            let Some((before, count)) = start.continues else { continue };
            if self.first == Some(start.seq) {
                continue;
            }
            let seal = self.seals.get(&before).filter(|seal| seal.next == *run);
            let is_sealed = seal.is_some_and(|seal| seal.seq.saturating_add(1) == start.seq);
            report.test(Property::Chain, is_sealed, start.seq, || {
                format!("{run} continues {before}, whose seal before it does not say so")
            });
            let was = self.starts.get(&before);
            let same = was.is_none_or(|was| {
                let went_on = was.continues.map_or(0, |(_, count)| count);
                was.identity == start.identity && count == went_on.saturating_add(1)
            });
            let inputs = seal.is_none_or(|seal| seal.inputs == start.inputs);
            report.test(Property::Chain, same && inputs, start.seq, || {
                format!("{run} is not what {before} was, or has other inputs than that hands on")
            });
            let left = self.left.get(&before);
            let took = left.is_none_or(|left| start.signals.starts_with(left));
            report.test(Property::Chain, took, start.seq, || {
                format!("{run} does not begin with the signals that {before} left")
            });
        }
    }
}

impl Start {
    fn of(entry: &Entry) -> Self {
        let (domain, environment) = (entry.domain().to_owned(), entry.environment().to_owned());
        let who = entry.text("initiator").unwrap_or_default().to_owned();
        let continues = entry.data().get("continues");
        let count = continues.and_then(|it| it.get("count")).and_then(Value::as_u64);
        Self {
            seq: entry.seq(),
            identity: (entry.digest("definition"), domain, environment, who),
            inputs: entry.digest("inputs"),
            continues: continues.and_then(run_in).zip(count),
            signals: Vec::new(),
            is_first: true,
        }
    }
}

impl Seal {
    fn of(entry: &Entry) -> Option<Self> {
        let next = entry.data().get("continued").filter(|_| entry.kind() == Kind::SessionSealed)?;
        let inputs = next.get("inputs").and_then(Value::as_text);
        let inputs = inputs.and_then(|inputs| inputs.parse().ok());
        Some(Self { seq: entry.seq(), next: run_in(next)?, inputs })
    }
}

fn run_in(value: &Value) -> Option<RunId> {
    value.get("session").and_then(Value::as_text)?.parse().ok()
}
