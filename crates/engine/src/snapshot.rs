//! A snapshot: the state of a run at one of its entries, folded from the log.
//!
//! None is stored. Whoever has the entries and their bodies works out the same one, and compares
//! its digest with that of somebody else.

use cog_base::id::RunId;
use cog_base::json::Map;
use cog_base::{Digest, Timestamp, Value};
use cog_flow::StepPath;
use cog_ledger::Entry;

use crate::active::{Active, Question, State};
use crate::children::ChildState;
use crate::fork::{Fork, own};
use crate::history::{History, Mismatch, Record};
use crate::replay::as_far;

/// The context of a snapshot's digest.
pub const CONTEXT: &str = "cognitionos/state/v1";

/// The state of a run behind one of its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    state: Value,
}

/// Why there is no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSnapshot {
    /// The run has no such entry.
    #[error("entry {at} is none of the run, whose entries go from {first} to {last}")]
    Outside {
        /// What was asked for.
        at: u64,
        /// The first entry of the run.
        first: u64,
        /// The last one.
        last: u64,
        /// The last one before what was asked for.
        before: Option<u64>,
    },
    /// It cannot be followed so far.
    #[error("the run cannot be followed up to entry {at}: {why}")]
    Broken {
        /// What was asked for.
        at: u64,
        /// Why not.
        why: Mismatch,
    },
}

impl Snapshot {
    /// The state of a run behind its entry `at`, from its records as [`crate::fork::gather`] gives
    /// them. Those behind `at` are not looked at.
    ///
    /// # Errors
    /// [`NoSnapshot`] says why there is none.
    pub fn of(records: &[Record], at: u64) -> Result<Self, NoSnapshot> {
        let seqs = || own(records).iter().map(|record| record.entry.seq());
        let until = records.iter().rposition(|record| record.entry.seq() == at);
        let (Some(until), true) = (until, seqs().any(|seq| seq == at)) else {
            let (first, last) = (seqs().next().unwrap_or(0), seqs().next_back().unwrap_or(0));
            let before = seqs().take_while(|seq| *seq < at).last();
            return Err(NoSnapshot::Outside { at, first, last, before });
        };
        let past = records.get(..=until).unwrap_or_default();
        let broken = |why| NoSnapshot::Broken { at, why };
        let (history, why) = as_far(past).map_err(broken)?;
        why.map_or(Ok(()), |why| Err(broken(why)))?;
        let first = own(past).first().map(|record| record.entry.as_ref());
        let last = past.last().map(|record| record.entry.as_ref());
        let state = first.zip(last).map(|(first, last)| state(&history, first, last));
        Ok(Self { state: state.unwrap_or(Value::Null) })
    }

    /// Its digest, in [`CONTEXT`], over the canonical JSON of [`Snapshot::state`].
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::in_context(CONTEXT, &self.state.canonical())
    }

    /// What it says, as `docs/reference/snapshots.md` has it.
    #[must_use]
    pub const fn state(&self) -> &Value {
        &self.state
    }
}

fn state(history: &History, first: &Entry, last: &Entry) -> Value {
    let (active, origin) = (&history.active, history.origin());
    let run: RunId = origin.session;
    let fork = Fork::of(first)
        .map(|fork| Value::map([("run", Value::from(fork.session)), ("entry", fork.seq.into())]));
    let behind = Value::map([
        ("entry", Value::from(last.seq())),
        ("leaf", last.leaf().into()),
        ("at", last.at().into()),
    ]);
    let intervention = |it: &crate::Intervention| {
        Value::map([("by", it.by.as_str()), ("reason", it.reason.as_str())])
    };
    let end = active.end.as_ref().map(crate::active::Ending::to_value);
    Value::map([
        ("tenant", Value::from(origin.tenant)),
        ("run", run.into()),
        ("workflow", origin.workflow.as_str().into()),
        ("definition", active.flow.digest.into()),
        ("domain", origin.domain.as_str().into()),
        ("environment", origin.environment.as_str().into()),
        ("initiator", origin.initiator.as_str().into()),
        ("inputs", history.inputs().clone()),
        ("behind", behind),
        ("goes_on_from", fork.unwrap_or(Value::Null)),
        ("status", status(history).into()),
        ("sealed", history.is_sealed().into()),
        ("end", end.unwrap_or(Value::Null)),
        ("paused", active.paused.as_ref().map_or(Value::Null, intervention)),
        ("cancelled", active.cancelled.as_ref().map_or(Value::Null, intervention)),
        ("steps", Value::list(steps(history))),
        ("open", open(history)),
        ("sums", Value::Map(active.tally.sums())),
    ])
}

fn status(history: &History) -> &str {
    let active = &history.active;
    match &active.end {
        Some(end) if history.sealed || active.is_ended() => &end.status,
        Some(_) => "paused",
        None if active.is_paused() => "paused",
        None => active.run.status().as_str(),
    }
}

/// Every step that is in sight, in the order in which it came into it.
fn steps(history: &History) -> impl Iterator<Item = Value> {
    history.active.run.steps().map(|step| {
        Value::map([
            ("step", Value::from(step.path)),
            ("status", step.status.as_str().into()),
            ("output", step.output.clone()),
            ("error", step.error.clone()),
        ])
    })
}

/// A question that waits for people, with what those filled in who agreed.
fn question(step: &StepPath, ask: &Question) -> Value {
    let forms = ask.forms.iter().map(|(who, form)| (who.as_str(), Value::Map(form.clone())));
    let forms = (!ask.forms.is_empty()).then(|| ("forms", Value::map(forms)));
    let members = [
        ("step", Value::from(step)),
        ("message", ask.message.as_str().into()),
        ("need", ask.need.to_value()),
        ("approval", ask.approval.into()),
    ];
    Value::map(members.into_iter().chain(forms))
}

/// What is under way, and what is waited for.
fn open(history: &History) -> Value {
    let active = &history.active;
    let receipt = |step| active.open.iter().find(|(_, it)| *it == step).map(|(id, _)| *id);
    let effects = active.wanted.iter().map(|(step, wanted)| {
        let (word, approval) = match &wanted.state {
            State::New => ("wanted", None),
            State::Leased => ("leased", None),
            State::Approval(id) => ("asked", Some(*id)),
            State::Open => ("receipt", None),
        };
        Value::map([
            ("step", Value::from(step)),
            ("uses", wanted.uses.as_str().into()),
            ("with", Value::Map(wanted.with.clone())),
            ("state", word.into()),
            ("approval", approval.into()),
            ("receipt", receipt(step).into()),
        ])
    });
    let questions = active.asks.iter().map(|(step, ask)| question(step, ask));
    let due = |at: Timestamp, ms| Value::from(at.plus_ms(ms));
    let timers = history.timers().map(|(step, armed)| {
        Value::map([("step", Value::from(step)), ("due", due(armed.at, armed.ms))])
    });
    let awaited = active.listening.iter();
    let awaited = awaited.map(|(step, name)| {
        Value::map([("step", Value::from(step)), ("signal", name.as_str().into())])
    });
    let children = active.children.iter().map(|(step, child)| {
        let run = match child.state {
            ChildState::New | ChildState::Placing(_) => None,
            ChildState::Begun(run) => Some(run),
        };
        Value::map([
            ("step", Value::from(step)),
            ("workflow", child.workflow.as_str().into()),
            ("run", run.into()),
        ])
    });
    let choices = active.choices.keys().map(Value::from);
    let marks = active.marks.iter();
    let marks = marks.map(|(step, name)| {
        Value::map([("step", Value::from(step)), ("name", name.as_str().into())])
    });
    let signals = active.signals.keys().map(|id| Value::from(id.as_str()));
    let members: Map = [
        ("effects", Value::list(effects)),
        ("questions", Value::list(questions)),
        ("choices", Value::list(choices)),
        ("checkpoints", Value::list(marks)),
        ("timers", Value::list(timers)),
        ("waits_for", Value::list(awaited)),
        ("children", Value::list(children)),
        ("signals_had", Value::list(signals)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .chain(wish(active))
    .collect();
    Value::Map(members)
}

/// The step by which it is about to continue as new, and what the next run is handed.
fn wish(active: &Active) -> Option<(String, Value)> {
    let wish = active.wish.as_ref()?;
    let (step, inputs) = (Value::from(&wish.step), Value::Map(wish.inputs.clone()));
    Some(("continues".to_owned(), Value::map([("step", step), ("inputs", inputs)])))
}
