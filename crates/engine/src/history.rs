//! A run rebuilt from its entries: the same machine, fed by the ledger.
//!
//! The ledger is the journal. Feeding a run's entries in order to a fresh flow gives its
//! state back; that each receipt and denial fits what the flow wanted at that point is the
//! proof that the run is the one its definition and inputs describe.

mod mismatch;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::id::{ApprovalId, ReceiptId};
use cog_base::json::Map;
use cog_base::{Sources, Timestamp, Value};
use cog_flow::{Action, Event, StepPath};
use cog_gate::decision::read_record;
use cog_gate::snapshot::Access;
use cog_gate::{Carried, Consent, Effect, Intent, Origin, Report, Wish, act};
use cog_ledger::{Entry, Kind};

pub use self::mismatch::Mismatch;
use crate::active::{Active, State, Todo, class_in};
use crate::children::Parent;
use crate::fork::{Fork, Seen};
use crate::notice::Intervention;
use crate::settle::event_of;
use crate::start::{classes_in, facts, inputs_digest, subject_in};
use crate::steps::{lowers, read, refused, step_of, unasked, waits_for};

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
    pub(crate) roots: BTreeMap<String, Access>,
    pub(crate) places: BTreeMap<String, String>,
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

/// A receipt or an outcome to count again.
pub(crate) enum Charged {
    Receipt(ReceiptId, Box<Value>, Option<cog_base::Digest>),
    Outcome(ReceiptId, Report),
}

impl History {
    /// Begin with the session's first entry. A run that goes on from that very entry has its
    /// steps see something else.
    ///
    /// # Errors
    /// [`Mismatch`] when it does not start a session or its body is not what it names.
    pub(crate) fn begin(record: &Record, other: Option<Seen>) -> Result<Self, Mismatch> {
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
        let source = body.get("source").and_then(Value::as_text).ok_or(wrong("no source"))?;
        let flow = cog_flow::parse(source, "the recorded definition")
            .map_err(|errors| wrong(&errors.to_string()))?;
        let data = entry.data();
        if data.get("definition") != Some(&flow.digest.into()) {
            return Err(wrong("its digest is another"));
        }
        let flow = flow.with_recorded(body.get("children"));
        let flow = flow.map_err(|message| wrong(&message))?;
        if data.get("children") != flow.children_digests().as_ref() {
            return Err(wrong("what its steps run is another"));
        }
        let inputs = body.get("inputs").and_then(Value::as_map).ok_or(wrong("no inputs"))?;
        if entry.digest("inputs") != Some(inputs_digest(inputs)) {
            return Err(wrong("the digest of its inputs is another"));
        }
        let origin = origin(entry, &flow.name).ok_or(wrong("who started it is not said"))?;
        let flow = Arc::new(flow);
        let subject = subject_in(body);
        let classes = classes_in(data);
        let (run, actions) = match other {
            Some((inputs, mut facts)) => {
                let given = || subject.map(|subject| ("subject".to_owned(), subject.into()));
                facts.extend(given().filter(|(name, _)| !facts.contains_key(name)));
                cog_flow::Run::start_over(Arc::clone(&flow), inputs, facts, classes)
            }
            None => {
                let facts = facts(origin.session, &origin.initiator, subject);
                cog_flow::Run::start_classed(Arc::clone(&flow), inputs.clone(), facts, classes)
            }
        };
        let mut active = Active::new(origin, flow, run);
        active.base = body.get("base").and_then(Value::as_text).unwrap_or_default().to_owned();
        active.parent = Parent::of(entry);
        let mut history = Self {
            active,
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
            Kind::ApprovalGranted | Kind::ApprovalRejected => {}
            Kind::Outcome => self.outcome(record)?,
            Kind::PlanSelected => self.begins(entry).and_then(|()| self.planned(record))?,
            Kind::Evidence => self.evidence(record)?,
            Kind::Signal => self.signalled(record)?,
            Kind::SessionPaused | Kind::SessionUnpaused => self.held(record)?,
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
            | Kind::Checkpoint
            | Kind::Replay
            | Kind::ScheduleSet
            | Kind::ScheduleRemoved
            | Kind::ScheduleFired
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
        if self.active.asks.remove(&step).is_some() {
            let event = match verdict {
                Ok(by) => Event::Approved { step, by },
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

    fn receipt(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let step = self.fits(entry)?;
        let id = entry.id().and_then(|id| id.parse::<ReceiptId>().ok());
        let id = id.ok_or_else(|| unexpected(entry, "it has no receipt id"))?;
        let body = record.body.as_ref().ok_or(no_body(entry))?;
        let (intent, _) =
            read_record(body).map_err(|error| unexpected(entry, &error.to_string()))?;
        if entry.data().get("intent") != Some(&intent.digest().into()) {
            return Err(unexpected(entry, "its record is of another intent"));
        }
        if let Some(wanted) = self.active.wanted.get_mut(&step) {
            came_from(record, &wanted.sources)?;
            wanted.state = State::Open;
            wanted.lowers = lowers(entry.data());
        }
        self.active.open.insert(id, step);
        self.intents.insert(id, intent);
        self.charged.push(Charged::Receipt(id, Box::new(body.clone()), entry.canon()));
        Ok(())
    }

    fn denial(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        if entry.text("action").and_then(Wish::of).is_some() || act::is_refused(entry) {
            // Somebody may not end or hold the run, or answer: the flow never heard of it.
            return Ok(());
        }
        if let Some(selection) = entry.data().get("selection") {
            // The refusal of a candidate plan: the flow has heard of it with the selection.
            let known = self.selection.as_ref() == Some(selection);
            return if known {
                Ok(())
            } else {
                Err(unexpected(entry, "no such selection before it"))
            };
        }
        let is_question = entry.text("action") == Some(Consent::ACTION);
        let step = if is_question { step_of(entry)? } else { self.fits(entry)? };
        let ask = self.active.asks.remove(&step).filter(|_| is_question);
        if is_question && ask.is_none() {
            return Err(unexpected(entry, "the flow does not ask people there"));
        }
        let wanted = self.active.wanted.remove(&step);
        let sources = wanted.map(|it| it.sources).or(ask.map(|it| it.sources));
        came_from(record, &sources.unwrap_or_default())?;
        let body = record.body.as_ref().ok_or(no_body(entry))?;
        let reason = body.at(&["trace", "reason"]).and_then(Value::as_text).unwrap_or_default();
        let code = entry.data().get("code").and_then(Value::as_text).unwrap_or_default();
        let id = entry.id().unwrap_or_default();
        self.apply(refused(&step, id, code, reason));
        Ok(())
    }

    fn requested(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let id = entry.id().and_then(|id| id.parse::<ApprovalId>().ok());
        let id = id.ok_or_else(|| unexpected(entry, "it has no approval id"))?;
        let step = step_of(entry)?;
        if let Some(ask) = self.active.asks.get_mut(&step) {
            came_from(record, &ask.sources)?;
            let (need, message) = (ask.need.clone(), ask.message.clone());
            let (named, expires_ms) = (need.to_value(), ask.expires_ms);
            let consent = Consent { step: step.to_string(), message, need, expires_ms };
            let is_it = entry.digest("effect") == Some(consent.digest())
                && entry.data().get("need") == Some(&named)
                && entry.actor() == self.active.origin.initiator.as_str();
            if !is_it {
                return Err(unexpected(entry, "the flow asks other people, or another question"));
            }
            ask.approval = Some(id);
            // A run that was held asks later than it wanted to.
            if let Some(armed) = self.armed.get_mut(&step) {
                armed.at = entry.at();
            }
            return Ok(());
        }
        let step = self.fits(entry)?;
        if let Some(wanted) = self.active.wanted.get_mut(&step) {
            came_from(record, &wanted.sources)?;
            wanted.state = State::Approval(id);
        }
        Ok(())
    }

    fn outcome(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let id = entry.id().and_then(|id| id.parse::<ReceiptId>().ok());
        let step = id.and_then(|id| self.active.open.remove(&id));
        let (Some(id), Some(step)) = (id, step) else {
            return Err(unexpected(entry, "no receipt is open for it"));
        };
        let report = Report::from_record(entry.data(), record.body.as_ref());
        let report = report.ok_or(no_body(entry))?;
        self.charged.push(Charged::Outcome(id, report.clone()));
        match event_of(&step, &report) {
            Some(event) => {
                self.active.came_of(&step, &event);
                self.apply(event);
            }
            None => {
                let event = self.active.abandoned(&step);
                event.into_iter().for_each(|event| self.apply(event));
            }
        }
        Ok(())
    }

    fn planned(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let step = step_of(entry)?;
        let Some(choice) = self.active.choices.remove(&step) else {
            return Err(unexpected(entry, "the flow wants no choice there"));
        };
        let goal = record.body.as_ref().and_then(|body| body.get("goal"));
        if goal.is_some_and(|goal| goal.as_text() != Some(&choice.goal)) {
            return Err(unexpected(entry, "the flow has another goal there"));
        }
        let plan = entry.data().get("chosen").and_then(Value::as_text).map(str::to_owned);
        // Why there is none stands in the body; in the entry it did at first.
        let about = record.body.as_ref().and_then(|body| body.get("reason"));
        let reason = about.or(entry.data().get("reason")).and_then(Value::as_text);
        let reason = match (&plan, reason) {
            (Some(_), _) => String::new(),
            (None, Some(reason)) => reason.to_owned(),
            (None, None) => return Err(no_body(entry)),
        };
        self.selection = entry.data().get("id").cloned();
        let event = Event::Planned { step, plan, reason };
        let actions = self.active.run.apply(event);
        let actions = actions.map_err(|error| unexpected(entry, &error.to_string()))?;
        self.take(actions);
        Ok(())
    }

    fn evidence(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let text = |name: &str| entry.data().get(name).and_then(Value::as_text).unwrap_or_default();
        let note = text("note").to_owned();
        match text("source") {
            "timer" => {
                if let Ok(timer) = note.parse::<StepPath>() {
                    self.armed.remove(&timer);
                }
                let event = self.active.due(&note);
                event.into_iter().for_each(|event| self.apply(event));
            }
            "cancel" => {
                let reason = record.said().ok_or(no_body(entry))?.to_owned();
                let by = entry.actor().to_owned();
                let event = Event::Cancelled { reason: reason.clone() };
                if let Ok(actions) = self.active.run.apply(event) {
                    self.active.cancelled = Some(Intervention { by, reason });
                    self.take(actions);
                }
            }
            "step.invalid" => {
                let message = record.body.as_ref().and_then(|body| body.get("message"));
                let message = message.and_then(Value::as_text).ok_or(no_body(entry))?;
                self.invalid(&note, message);
            }
            _ => {}
        }
        Ok(())
    }

    /// The step whose arguments made no effect failed when it was wanted.
    fn invalid(&mut self, step: &str, message: &str) {
        let Ok(step) = step.parse::<StepPath>() else { return };
        if self.active.asks.remove(&step).is_some() {
            self.fell.push((step.clone(), message.to_owned()));
            return self.apply(unasked(&step));
        }
        let wanted = self.active.wanted.remove(&step).is_some();
        if self.active.children.remove(&step).is_some() || wanted {
            let (code, message) = ("step.invalid".to_owned(), message.to_owned());
            self.fell.push((step.clone(), message.clone()));
            let error = cog_flow::StepError { code, message, transient: false };
            self.apply(Event::Failed { step, error });
        }
    }

    fn seal(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let end = self.active.end.as_mut();
        let end = end.ok_or_else(|| unexpected(entry, "the run has not ended"))?;
        let tally = &self.active.tally;
        let same = entry.data().get("status").and_then(Value::as_text) == Some(&end.status)
            && entry.data().get("trace") == Some(&tally.trace().into());
        self.sealed = true;
        end.class = record.body.as_ref().and_then(class_in);
        if record.body.is_some() {
            let (class, sources) = (end.class.clone(), end.sources.clone());
            self.claims.push(Claim { seq: entry.seq(), class, sources });
        }
        if !same {
            return Err(unexpected(entry, "its status or trace is another"));
        }
        let is_told = record.body.as_ref().is_none_or(|body| *body == end.to_value());
        if is_told { Ok(()) } else { Err(unexpected(entry, "its outputs or error are others")) }
    }

    /// The step of an entry, if the flow wants exactly this effect for it now.
    fn fits(&self, entry: &Entry) -> Result<StepPath, Mismatch> {
        let step = step_of(entry)?;
        let wanted = self.active.wanted.get(&step);
        let wanted = wanted
            .ok_or_else(|| unexpected(entry, &format!("the flow does not want `{step}` now")))?;
        let (actor, effect) =
            read(&self.active, wanted).map_err(|message| unexpected(entry, &message))?;
        let data = entry.data();
        if data.get("effect") != Some(&effect.digest().into()) {
            return Err(unexpected(entry, "the flow wants other arguments"));
        }
        if entry.actor() != actor.as_str() {
            return Err(unexpected(entry, "the flow names another actor"));
        }
        Ok(step)
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
            | Action::Listen { .. }
            | Action::Cancel { .. }
            | Action::Fell { .. }
            | Action::Finish { .. } => None,
        });
        self.subjects.extend(named);
        for todo in self.active.take(actions) {
            match todo {
                Todo::Question(step, ms) | Todo::Timer(step, ms) | Todo::Listen(step, Some(ms)) => {
                    self.armed.insert(step, Armed { at: self.now, ms });
                }
                Todo::Effect(_)
                | Todo::Choice(_)
                | Todo::Listen(_, None)
                | Todo::Child(_)
                | Todo::Withdraw(_) => {}
                Todo::Fell(step, error) => self.fell.push((step, error.message)),
            }
        }
    }
}

/// Whether the record of a decision says of its data that it came from what the flow says.
fn came_from(record: &Record, sources: &Sources) -> Result<(), Mismatch> {
    let said = record.body.as_ref().and_then(|body| body.at(&["intent", "data_from"]));
    if said.is_none_or(|said| *said == sources.to_value()) {
        return Ok(());
    }
    Err(unexpected(&record.entry, "its data came from something else by the definition"))
}

pub(crate) fn origin(entry: &Entry, workflow: &str) -> Option<Origin> {
    let initiator = entry.data().get("initiator")?.as_text()?.parse().ok()?;
    Some(Origin {
        tenant: entry.tenant(),
        domain: entry.domain().to_owned(),
        environment: entry.environment().to_owned(),
        session: entry.session()?,
        workflow: workflow.to_owned(),
        initiator,
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
