//! A run rebuilt from its entries: the same machine, fed by the ledger.
//!
//! The ledger is the journal. Feeding a run's entries in order to a fresh flow gives its
//! state back; that each receipt and denial fits what the flow wanted at that point is the
//! proof that the run is the one its definition and inputs describe.

mod entries;
mod mismatch;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::id::{ApprovalId, ReceiptId, RunId};
use cog_base::json::Map;
use cog_base::{Digest, Sources, Timestamp, Value};
use cog_flow::{Action, Event, Flow, StepPath};
use cog_gate::snapshot::Access;
use cog_gate::{Carried, Intent, Origin, Report};
use cog_ledger::{Entry, Kind};

pub use self::mismatch::Mismatch;
use crate::active::{Active, Question, State, Todo};
use crate::again::Continues;
use crate::children::Parent;
use crate::fork::{Fork, Seen};
use crate::start::{classes_in, facts, inputs_digest, labels_in, started_in, subject_in};
use crate::steps::{ms_until, waits_for};

/// An entry of a session with its body, if that was kept.
#[derive(Debug, Clone)]
pub struct Record {
    /// The entry.
    pub entry: Arc<Entry>,
    /// Its body.
    pub body: Option<Value>,
}

impl Record {
    /// What somebody typed about it, which stands in the body: a reason, or a note.
    #[must_use]
    pub fn said(&self) -> Option<&str> {
        let said = |name| self.body.as_ref()?.get(name)?.as_text();
        said("reason").or_else(|| said("note"))
    }

    /// The request that somebody says no to.
    pub(crate) fn refused(&self) -> Option<ApprovalId> {
        let is_no = self.entry.kind() == Kind::ApprovalRejected;
        self.entry.id().filter(|_| is_no).and_then(|id| id.parse().ok())
    }
}

/// A run that is being rebuilt.
pub struct History {
    pub(crate) active: Active,
    /// The definition that its first entry names.
    pub(crate) definition: Digest,
    pub(crate) roots: BTreeMap<String, Access>,
    pub(crate) places: BTreeMap<String, String>,
    /// The run that it continues.
    pub(crate) continues: Option<Continues>,
    /// What it began with in its account: what was done before it.
    pub(crate) carried: Carried,
    /// Each receipt and outcome, in order.
    pub(crate) charged: Vec<Charged>,
    /// Timers armed and not due yet.
    pub(crate) armed: BTreeMap<StepPath, Armed>,
    pub(crate) sealed: bool,
    pub(crate) intents: BTreeMap<ReceiptId, Intent>,
    pub(crate) now: Timestamp,
    /// The first entry, of the run it all began with, and the last one that was fed.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The last selection: its id.
    pub(crate) selection: Option<Value>,
    /// Whose data its effects hold so far.
    pub(crate) subjects: BTreeSet<String>,
    /// The steps that failed by themselves, and why.
    pub(crate) fell: Vec<(StepPath, String)>,
    /// The classes that its entries say of what it hands to other runs and back.
    pub(crate) claims: Vec<Claim>,
    /// What the data of each decision came from, by its entry.
    pub(crate) came: BTreeMap<u64, Sources>,
}

/// What an entry says of which class something is that came from these, if it says one.
pub(crate) struct Claim {
    pub(crate) seq: u64,
    pub(crate) class: Option<String>,
    pub(crate) sources: Sources,
}

/// A timer that was armed: when, and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Armed {
    pub(crate) at: Timestamp,
    pub(crate) ms: u64,
}

/// A receipt, or an outcome, to count again.
pub(crate) enum Charged {
    Receipt(ReceiptId),
    Outcome(ReceiptId, Report),
}

impl History {
    /// Begin with the session's first entry. A run that goes on from that very entry has its
    /// steps see something else. With `under`, as if the run had begun with that definition.
    ///
    /// # Errors
    /// [`Mismatch`] when it does not start a session or its body is not what it names.
    pub(crate) fn begin(
        record: &Record,
        other: Option<Seen>,
        under: Option<&Arc<Flow>>,
    ) -> Result<Self, Mismatch> {
        let entry = &record.entry;
        let (seq, kind) = (entry.seq(), entry.kind());
        if kind != Kind::SessionStarted {
            return Err(Mismatch::NoStart { seq });
        }
        if let Some(Fork { session, seq: fork, .. }) = Fork::of(entry) {
            return Err(Mismatch::NoPast { seq, fork, session });
        }
        let body = record.body.as_ref().ok_or(Mismatch::NoBody { seq, kind })?;
        let wrong = |message: &str| Mismatch::Definition { seq, message: message.to_owned() };
        let data = entry.data();
        let inputs = body.get("inputs").and_then(Value::as_map).ok_or(wrong("no inputs"))?;
        if entry.digest("inputs") != Some(inputs_digest(inputs)) {
            return Err(wrong("the digest of its inputs is another"));
        }
        let recorded = definition(body, data).map_err(|message| wrong(&message))?;
        let definition = recorded.digest;
        let (flow, inputs) = match under {
            None => (Arc::new(recorded), inputs.clone()),
            Some(other) => {
                let bound = other.bind_values(inputs);
                let bound = bound.map_err(|errors| unexpected(entry, &errors.to_string()))?;
                (Arc::clone(other), bound)
            }
        };
        let origin = origin(entry, &flow.name).ok_or(wrong("who started it is not said"))?;
        let subject = subject_in(body);
        let classes = classes_in(data);
        let (run, actions) = match other {
            Some((inputs, mut facts)) => {
                let given = || subject.map(|subject| ("subject".to_owned(), subject.into()));
                facts.extend(given().filter(|(name, _)| !facts.contains_key(name)));
                cog_flow::Run::start_over(Arc::clone(&flow), inputs, facts, classes)
            }
            None => {
                let facts = facts(origin.session, &origin.initiator, started_in(body), subject);
                cog_flow::Run::start_classed(Arc::clone(&flow), inputs, facts, classes)
            }
        };
        let mut active = Active::new(origin, flow, run);
        active.base = body.get("base").and_then(Value::as_text).unwrap_or_default().to_owned();
        (active.began, active.parent) = (Some(entry.at()), Parent::of(entry));
        let continues = Continues::of(entry);
        let source = body.get("source").and_then(Value::as_text).unwrap_or_default();
        active.keep(source, (places(body), labels_in(data)), continues);
        let mut history = Self {
            active,
            continues,
            definition,
            roots: roots(data),
            places: places(body),
            carried: Carried::default(),
            charged: Vec::new(),
            armed: BTreeMap::new(),
            sealed: false,
            intents: BTreeMap::new(),
            now: entry.at(),
            first: seq,
            last: seq,
            selection: None,
            subjects: BTreeSet::new(),
            fell: Vec::new(),
            claims: Vec::new(),
            came: BTreeMap::new(),
        };
        history.active.tally.add(entry);
        history.subjects.extend(subject.map(str::to_owned));
        history.take(actions);
        Ok(history)
    }

    /// Go on with the session's next entry.
    ///
    /// # Errors
    /// [`Mismatch`] when it does not follow from what went before.
    pub(crate) fn feed(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        (self.now, self.last) = (entry.at(), entry.seq());
        self.active.run.at(entry.seq());
        match entry.kind() {
            Kind::Receipt => self.begins(entry).and_then(|()| self.receipt(record))?,
            Kind::Denial => self.denial(record)?,
            Kind::ApprovalRequested => self.begins(entry).and_then(|()| self.requested(record))?,
            Kind::ApprovalGranted => self.agreed(record)?,
            Kind::ApprovalRejected | Kind::ApprovalEscalated | Kind::ApprovalDelegated => {}
            Kind::Output => self.given(entry)?,
            Kind::Outcome => self.outcome(record)?,
            Kind::PlanSelected => self.begins(entry).and_then(|()| self.planned(record))?,
            Kind::Evidence => self.evidence(record)?,
            Kind::Signal => self.signalled(record)?,
            Kind::SessionPaused | Kind::SessionUnpaused => self.held(record)?,
            Kind::Checkpoint => self.begins(entry).and_then(|()| self.marked(entry))?,
            Kind::ChildStarted => self.begins(entry).and_then(|()| self.child_started(entry))?,
            Kind::ChildEnded => self.child_ended(record)?,
            Kind::SessionSealed => self.seal(record)?,
            Kind::SessionStarted
            | Kind::Genesis
            | Kind::KeyRotated
            | Kind::CanonProposed
            | Kind::CanonApproved
            | Kind::CanonRejected
            | Kind::CanonActivated
            | Kind::Promotion
            | Kind::Replay
            | Kind::ScheduleSet
            | Kind::ScheduleRemoved
            | Kind::SchedulePaused
            | Kind::ScheduleUnpaused
            | Kind::WorkflowActivated
            | Kind::ScheduleFired
            | Kind::SessionQueued
            | Kind::SessionUnqueued
            | Kind::BodiesErased
            | Kind::SegmentPruned => {
                return Err(unexpected(entry, "no entry of this kind belongs to a session"));
            }
        }
        self.active.tally.add(entry);
        Ok(())
    }

    /// What an answer decided, once the request it belongs to is decided.
    pub(crate) fn decided(
        &mut self,
        approval: ApprovalId,
        verdict: Result<Vec<String>, (String, String)>,
    ) {
        let Some(step) = waits_for(&self.active, approval) else { return };
        self.armed.remove(&step);
        if let Some(Question { forms, .. }) = self.active.asks.remove(&step) {
            let event = match verdict {
                Ok(by) => Event::Approved { step, by, forms },
                Err((by, reason)) => Event::Rejected { step, by, reason },
            };
            self.apply(event);
            return;
        }
        if let Err((by, reason)) = verdict {
            self.active.reject(&step, &by, &reason);
        }
        if let Some(wanted) = self.active.wanted.get_mut(&step) {
            wanted.state = State::New;
        }
    }

    pub(crate) fn apply(&mut self, event: Event) {
        let actions = self.active.run.apply(event).unwrap_or_default();
        self.take(actions);
    }

    /// Note what the flow wants; nothing is asked or done.
    pub(crate) fn take(&mut self, actions: Vec<Action>) {
        let named = actions.iter().filter_map(|action| match action {
            Action::Perform { subject, .. }
            | Action::Choose { subject, .. }
            | Action::StartRun { subject, .. }
            | Action::Ask { subject, .. } => subject.clone(),
            Action::Arm { .. }
            | Action::ArmUntil { .. }
            | Action::Bound { .. }
            | Action::Unbound { .. }
            | Action::Listen { .. }
            | Action::Mark { .. }
            | Action::Continue { .. }
            | Action::Cancel { .. }
            | Action::Fell { .. }
            | Action::Finish { .. } => None,
        });
        self.subjects.extend(named);
        for todo in self.active.take(actions) {
            match todo {
                Todo::Until(step, at) => {
                    let ms = ms_until(at, self.now);
                    self.armed.insert(step, Armed { at: self.now, ms });
                }
                Todo::Question(step, ms)
                | Todo::Timer(step, ms)
                | Todo::Bound(step, ms)
                | Todo::Listen(step, Some(ms)) => {
                    self.armed.insert(step, Armed { at: self.now, ms });
                }
                Todo::Effect(_)
                | Todo::Choice(_)
                | Todo::Mark(_)
                | Todo::Listen(_, None)
                | Todo::Child(_)
                | Todo::Withdraw(_) => {}
                Todo::Fell(step, error) => self.fell.push((step, error.message)),
            }
        }
    }
}

/// The definition that a session was started with, from the first entry and its body.
fn definition(body: &Value, data: &Map) -> Result<Flow, String> {
    let source = body.get("source").and_then(Value::as_text).ok_or("no source")?;
    let flow = cog_flow::parse(source, "the recorded definition");
    let flow = flow.map_err(|errors| errors.to_string())?;
    if data.get("definition") != Some(&flow.digest.into()) {
        return Err("its digest is another".to_owned());
    }
    let flow = flow.with_recorded(body.get("children"))?;
    if data.get("children") != flow.children_digests().as_ref() {
        return Err("what its steps run is another".to_owned());
    }
    Ok(flow)
}

pub(crate) fn origin(entry: &Entry, workflow: &str) -> Option<Origin> {
    let initiator = entry.text("initiator")?;
    origin_of(entry, (workflow, initiator), entry.session()?)
}

/// The origin of a run of a workflow that somebody begins, as an entry about it tells it.
pub(crate) fn origin_of(
    entry: &Entry,
    (workflow, initiator): (&str, &str),
    session: RunId,
) -> Option<Origin> {
    Some(Origin {
        tenant: entry.tenant(),
        domain: entry.domain().to_owned(),
        environment: entry.environment().to_owned(),
        session,
        workflow: workflow.to_owned(),
        initiator: initiator.parse().ok()?,
    })
}

pub(crate) fn roots(data: &Map) -> BTreeMap<String, Access> {
    let roots = data.get("roots").and_then(Value::as_map);
    let access = |(name, root): (&String, &Value)| {
        Some((name.clone(), Access::parse(root.get("access")?.as_text()?)?))
    };
    roots.into_iter().flatten().filter_map(access).collect()
}

pub(crate) fn places(body: &Value) -> BTreeMap<String, String> {
    let places = body.get("places").and_then(Value::as_map);
    let place =
        |(name, place): (&String, &Value)| Some((name.clone(), place.as_text()?.to_owned()));
    places.into_iter().flatten().filter_map(place).collect()
}

pub(crate) fn unexpected(entry: &Entry, message: &str) -> Mismatch {
    Mismatch::Unexpected { seq: entry.seq(), kind: entry.kind(), message: message.to_owned() }
}

pub(crate) fn no_body(entry: &Entry) -> Mismatch {
    Mismatch::NoBody { seq: entry.seq(), kind: entry.kind() }
}
