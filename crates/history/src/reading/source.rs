//! What a run follows: its definition, and what its expressions see, which is another from where a
//! run goes on from a place of another.

use std::sync::Arc;

use cog_base::{Digest, Value};
use cog_flow::Flow;
use cog_ledger::Kind;

use crate::checker::Record;
use crate::lineage::Parts;
use crate::property::Property;
use crate::report::Report;

/// What a run follows, and those that it goes on from before it.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) flow: Arc<Flow>,
    /// The runs whose entries these are, the oldest first.
    first: Life,
    later: Vec<Life>,
}

/// One of the runs whose entries follow each other.
#[derive(Clone)]
pub(super) struct Life {
    /// What is released there or behind it sees what this one sees: its start, or the entry of the
    /// run before it from which it goes on.
    from: usize,
    /// The place of its first entry.
    pub(super) start: usize,
    /// The place of its last entry; nothing in the last of all, which may go on.
    pub(super) until: Option<usize>,
    pub(super) inputs: Value,
    pub(super) facts: Value,
    pub(super) initiator: String,
}

impl Source {
    /// Read from the first entry of each run; nothing when a body is gone or is not the one that
    /// the entry names.
    pub(crate) fn read(parts: &Parts<'_>, report: &mut Report) -> Option<Self> {
        let first = parts.first()?.first()?;
        let body = first.body.as_ref().filter(|_| first.entry.kind() == Kind::SessionStarted)?;
        let source = body.get("source").and_then(Value::as_text)?;
        let flow = cog_flow::parse(source, "the kept definition").ok();
        let flow = flow.and_then(|flow| flow.with_recorded(body.get("children")).ok());
        let same = flow.as_ref().map(|flow| flow.digest) == first.entry.digest("definition")
            && flow.as_ref().and_then(Flow::children_digests).as_ref()
                == first.entry.data().get("children");
        report.test(Property::Definition, same, first.entry.seq(), || {
            "the definition that is kept is not the one that it names".to_owned()
        });
        let flow = flow.filter(|_| same)?;
        let mut first = Life::read(first, 0, None, &flow, report)?;
        let (mut later, mut start): (Vec<Life>, usize) = (Vec::new(), parts.first()?.len());
        for part in parts.iter().skip(1) {
            let before = later.last_mut().unwrap_or(&mut first);
            before.until = Some(start.saturating_sub(1));
            let life = Life::read(part.first()?, start, Some(before), &flow, report)?;
            start = start.saturating_add(part.len());
            later.push(life);
        }
        Some(Self { flow: Arc::new(flow), first, later })
    }

    /// The run of an index, from 0.
    pub(super) fn life(&self, index: usize) -> &Life {
        index.checked_sub(1).and_then(|at| self.later.get(at)).unwrap_or(&self.first)
    }

    /// The run that goes on from the one of an index.
    pub(super) fn next(&self, index: usize) -> Option<&Life> {
        self.later.get(index)
    }

    /// How many runs there are: the run itself and those that it goes on from.
    pub(super) fn lives(&self) -> usize {
        self.later.len().saturating_add(1)
    }

    /// The run itself, behind those that it goes on from.
    pub(super) fn own(&self) -> &Life {
        self.later.last().unwrap_or(&self.first)
    }

    /// The index of the run that sees what is released at a place.
    pub(super) fn seen_by(&self, at: usize) -> usize {
        self.later.iter().rposition(|life| life.from <= at).map_or(0, |index| index + 1)
    }

    /// The index of the run whose entry stands at a place.
    pub(super) fn whose(&self, place: usize) -> usize {
        self.later.iter().rposition(|life| life.start <= place).map_or(0, |index| index + 1)
    }
}

impl Life {
    fn read(
        first: &Record,
        start: usize,
        before: Option<&Self>,
        flow: &Flow,
        report: &mut Report,
    ) -> Option<Self> {
        let (entry, body) = (&first.entry, first.body.as_ref()?);
        let inputs = body.get("inputs").filter(|inputs| inputs.as_map().is_some())?.clone();
        let digest = Digest::in_context("cognitionos/inputs/v1", &inputs.canonical());
        let same = Some(digest) == entry.digest("inputs");
        report.test(Property::Definition, same, entry.seq(), || {
            "the inputs that are kept are not those that it names".to_owned()
        });
        let initiator = entry.text("initiator").filter(|_| same)?.to_owned();
        let says = inputs.as_map().and_then(|inputs| flow.labels_of(inputs).ok());
        let has = |(name, text): (&String, &String)| {
            let stands = entry.data().get("labels").and_then(|labels| labels.get(name));
            stands.and_then(Value::as_text) == Some(text)
        };
        report.test(
            Property::Labels,
            says.is_some_and(|it| it.iter().all(has)),
            entry.seq(),
            || "it is found by something else than its definition says".to_owned(),
        );
        let facts = [
            ("workflow", Value::from(flow.name.as_str())),
            ("domain", flow.domain.as_str().into()),
            ("environment", flow.environment.as_str().into()),
            ("id", entry.session()?.into()),
            ("initiator", initiator.as_str().into()),
        ];
        let began = body.get("started_at").map(|began| ("started_at", began.clone()));
        let facts = Value::map(facts.into_iter().chain(began));
        let from = match before {
            // Where it goes on from the very start of another, nothing has seen what that one saw.
            Some(before) if before.start.saturating_add(1) == start => before.from,
            Some(_) => start.saturating_sub(1),
            None => start,
        };
        Some(Self { from, start, until: None, inputs, facts, initiator })
    }

    /// Of places in their order, those of entries of this run.
    pub(super) fn places<'p>(&self, places: &'p [usize]) -> &'p [usize] {
        let first = places.partition_point(|place| *place < self.start);
        let own = places.get(first..).unwrap_or_default();
        let end = self.until.map_or(own.len(), |until| own.partition_point(|at| *at <= until));
        own.get(..end).unwrap_or_default()
    }
}
