//! Runs that a run begins: each is a session of its own, asked for in the journal of its parent,
//! in the name of the same person and within the same budget.
//!
//! The entry that asks for it and the one that starts it are one append. It seals itself, and
//! only then does its parent hear of its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::entropy::NoEntropy;
use cog_base::id::RunId;
use cog_base::json::Map;
use cog_base::{Digest, Sources, Value};
use cog_flow::{BoundRoot, Child as Workflow, Event, StepError, StepPath};
use cog_ledger::{BodyDraft, Entry, Kind};
use cog_schedule::Ask;

use crate::active::{Active, Ending, Later};
use crate::engine::{Await, Engine, Output, Turn};
use crate::history::{Claim, History, Mismatch, Record, no_body, unexpected};
use crate::notice::What;
use crate::start::{
    Beginning, Classes, Handed, Start, accesses, classes_in, classes_value, draft, inputs_digest,
};
use crate::steps::step_of;

/// The most runs that a run begins, with those that they begin.
pub const CHILDREN_MAX: u64 = 1_000;

/// The run and the step that began a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The run.
    pub run: RunId,
    /// Its step.
    pub step: StepPath,
}

/// What has to be found out before a run is begun by another: where its folders stand, and what
/// performs its effects there.
#[derive(Debug, Clone)]
pub struct Place {
    /// The run that begins it.
    pub parent: RunId,
    /// The run to be.
    pub run: RunId,
    /// The domain of both.
    pub domain: String,
    /// The folder of the workflow file of the parent.
    pub base: String,
    /// Its own workflow file, as a path from there; nothing for that of the other run itself, which
    /// continues as new.
    pub workflow: Option<String>,
    /// Its roots, as its file and its inputs say them.
    pub roots: Vec<BoundRoot>,
}

/// What was found out.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The folder of its workflow file, absolute and without symbolic links.
    pub base: String,
    /// Where its roots stand, absolute and without symbolic links.
    pub places: BTreeMap<String, String>,
}

/// A run that the flow wants, or waits for.
#[derive(Debug, Clone)]
pub(crate) struct Child {
    pub(crate) workflow: String,
    pub(crate) inputs: Map,
    /// What each of them came from.
    pub(crate) sources: BTreeMap<String, Sources>,
    pub(crate) wait: bool,
    pub(crate) outlives: bool,
    /// Whose data it holds, where its own file does not say so.
    pub(crate) subject: Option<String>,
    pub(crate) state: ChildState,
    /// The flow has cancelled the step.
    pub(crate) withdrawn: bool,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChildState {
    /// To be begun.
    New,
    /// Somebody finds out where its folders stand.
    Placing(RunId),
    /// It is under way.
    Begun(RunId),
}

/// A run to begin, once its folders are known.
struct Birth {
    flow: Arc<Workflow>,
    inputs: Map,
    roots: Vec<BoundRoot>,
}

/// What a run hears of the end of one that it waits for.
struct Told {
    step: StepPath,
    event: Event,
    /// Whose data that one held.
    subject: Option<String>,
}

impl Active {
    /// The runs that it waits for.
    pub(crate) fn begun(&self) -> impl Iterator<Item = RunId> {
        self.children.values().filter_map(|child| match child.state {
            ChildState::Begun(run) => Some(run),
            ChildState::New | ChildState::Placing(_) => None,
        })
    }

    fn placing(&self, run: RunId) -> Option<StepPath> {
        let mut all = self.children.iter();
        let found = all.find(|(_, child)| child.state == ChildState::Placing(run));
        found.map(|(step, _)| step.clone())
    }

    /// What the step needs to be begun, or what is wrong with it.
    fn birth(&self, child: &Child) -> Result<Birth, String> {
        let flow = self.flow.children.get(&child.workflow).cloned();
        let flow =
            flow.ok_or_else(|| format!("`{}` was not read with the file", child.workflow))?;
        let inputs = flow.flow.bind_values(&child.inputs).map_err(|errors| errors.to_string())?;
        let roots = flow.flow.roots(&inputs, &self.origin.environment);
        let roots = roots.map_err(|errors| errors.to_string())?;
        Ok(Birth { flow, inputs, roots })
    }

    /// What the flow hears of a run that began: nothing when it waits for its end.
    fn has_begun(&mut self, step: &StepPath, run: RunId) -> Option<Event> {
        let child = self.children.get_mut(step)?;
        child.state = ChildState::Begun(run);
        if child.wait {
            return None;
        }
        let outlives = child.outlives;
        self.children.remove(step);
        self.detached.insert(run, outlives);
        let output = Value::map([("run", run)]);
        Some(Event::Completed { step: step.clone(), output })
    }

    /// What the flow hears of a run that ended; nothing when it does not wait for it.
    fn has_ended(&mut self, run: RunId, end: &Ending) -> Option<Told> {
        let mut all = self.children.iter();
        let (step, _) = all.find(|(_, child)| child.state == ChildState::Begun(run))?;
        let step = step.clone();
        let child = self.children.remove(&step)?;
        self.run.raise(&step, end.class.as_deref());
        let event = ended(&step, run, child.withdrawn, end);
        Some(Told { step, event, subject: child.subject })
    }
}

/// What a flow hears of the end of a run that it waits for.
fn ended(step: &StepPath, run: RunId, withdrawn: bool, end: &Ending) -> Event {
    let step = step.clone();
    let text = |name: &str| end.error.as_ref().and_then(|error| error.get(name)?.as_text());
    let why = text("message").or_else(|| text("reason")).unwrap_or("it says nothing of why");
    let at = text("step").map_or_else(String::new, |at| format!(" in its step `{at}`"));
    let told = format!("{run} was {}{at}: {why}", end.status);
    match end.status.as_str() {
        "completed" => Event::Completed { step, output: end.output.clone() },
        "refused" => {
            let run = run.to_string();
            let denial =
                Value::map([("id", run.as_str()), ("code", "child.refused"), ("reason", &told)]);
            Event::Refused { step, denial }
        }
        status => {
            let code = match (status, withdrawn) {
                ("cancelled", true) => "cancelled",
                ("cancelled", false) => "child.cancelled",
                (_, _) => "child.failed",
            };
            let told =
                if status == "failed" { told.replacen("was failed", "failed", 1) } else { told };
            let error = StepError { code: code.to_owned(), message: told, transient: false };
            Event::Failed { step, error }
        }
    }
}

impl Engine {
    /// A step wants a run: find out where its folders stand. The event, if it cannot be begun.
    pub(crate) fn want_child(
        &mut self,
        id: RunId,
        step: &StepPath,
        turn: &mut Turn,
    ) -> Result<Option<Event>, NoEntropy> {
        if self.is_quiet(id) {
            return Ok(None);
        }
        let (now, descendants) = (self.ledger_now(), self.gate.descendants(id));
        let Some(active) = self.runs.get_mut(&id) else { return Ok(None) };
        let wanted = active.children.get(step).filter(|child| child.state == ChildState::New);
        let Some(wanted) = wanted else { return Ok(None) };
        let workflow = Some(wanted.workflow.clone());
        let birth = match active.birth(wanted) {
            Ok(_) if descendants >= CHILDREN_MAX => {
                Err(format!("a run begins at most {CHILDREN_MAX} others, with those they begin"))
            }
            birth => birth,
        };
        let birth = match birth {
            Ok(birth) => birth,
            Err(message) => return Ok(Some(self.invalid(id, step, &message, turn))),
        };
        let run = RunId::new(now, self.entropy.as_mut())?;
        let Some(active) = self.runs.get_mut(&id) else { return Ok(None) };
        if let Some(child) = active.children.get_mut(step) {
            child.state = ChildState::Placing(run);
        }
        let (domain, base) = (active.origin.domain.clone(), active.base.clone());
        let place = Place { parent: id, run, domain, base, workflow, roots: birth.roots };
        turn.output(Output::Place(Box::new(place)));
        Ok(None)
    }

    /// It is known where the folders of a run stand, or why it cannot be begun.
    pub(crate) fn placed(
        &mut self,
        id: RunId,
        run: RunId,
        placed: Result<Placed, String>,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        if self.next_placed(id, run, &placed, turn)? {
            return Ok(());
        }
        let is_quiet = self.is_quiet(id);
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        // The step was given up meanwhile.
        let Some(step) = active.placing(run) else { return Ok(()) };
        if !active.answers.is_empty() {
            active.queued.push(Later::Placed(run, placed));
            return Ok(());
        }
        let Some(child) = active.children.get_mut(&step) else { return Ok(()) };
        if is_quiet {
            child.state = ChildState::New;
            return self.settle_down(id, turn);
        }
        let child = child.clone();
        let domain = active.origin.domain.clone();
        // The other may be of a domain that knows no such place.
        let classes = self.classes_of(&domain, &child.sources);
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        let known = placed.and_then(|placed| Ok((active.birth(&child)?, placed)));
        let (birth, placed) = match known {
            Ok(known) => known,
            Err(message) => {
                let event = self.invalid(id, &step, &message, turn);
                return self.tell_flow(id, event, turn);
            }
        };
        let mut data = Map::from([
            ("session".into(), run.into()),
            ("step".into(), (&step).into()),
            ("workflow".into(), child.workflow.as_str().into()),
            ("definition".into(), birth.flow.flow.family_digest().into()),
            ("inputs".into(), inputs_digest(&birth.inputs).into()),
        ]);
        data.extend(classes_value(&classes).map(|all| ("classes".to_owned(), all)));
        let entry = draft(&active.origin, Kind::ChildStarted, None, data, None);
        let (tenant, origin) = (active.origin.tenant, active.origin.clone());
        active.parked = false;
        let event = active.has_begun(&step, run);
        turn.append(tenant, id, entry, Await::Nothing);
        let (name, workflow) = (step.to_string(), birth.flow.flow.name.clone());
        turn.tell_behind(id, What::Begun { step: name, child: run, workflow });
        let roots = accesses(&birth.roots);
        // Its inputs were bound with what they label it.
        let labels = birth.flow.flow.labels_of(&birth.inputs).unwrap_or_default();
        let start = Start {
            run,
            flow: Arc::clone(&birth.flow.flow),
            source: birth.flow.source.clone(),
            inputs: birth.inputs,
            roots,
            places: placed.places,
            base: placed.base,
            initiator: origin.initiator,
            environment: Some(origin.environment),
            firing: None,
            labels,
            trigger: None,
            // It is part of the run that begins it, and begins with that.
            ask: Ask::default(),
            keyed: None,
            is_queued: false,
        };
        let handed = Handed { subject: child.subject, classes };
        self.begin(start, Beginning::Child(Parent { run: id, step }, handed), turn)?;
        match event {
            Some(event) => self.tell_flow(id, event, turn),
            None => Ok(()),
        }
    }

    /// Of which class each input is that a run hands to another, by the canon of its own domain.
    pub(crate) fn classes_of(&self, domain: &str, sources: &BTreeMap<String, Sources>) -> Classes {
        let class = |sources| self.class_of(domain, sources);
        let classes = sources.iter();
        classes.filter_map(|(name, sources)| Some((name.clone(), class(sources)?))).collect()
    }

    /// A run that another began is sealed: the parent hears of it, if it waits for it.
    pub(crate) fn child_ended(
        &mut self,
        parent: RunId,
        run: RunId,
        end: Ending,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get_mut(&parent) else { return Ok(()) };
        if !active.answers.is_empty() {
            active.queued.push(Later::Ended(run, Box::new(end)));
            return Ok(());
        }
        active.detached.remove(&run);
        let Some(Told { step, event, subject }) = active.has_ended(run, &end) else {
            return Ok(());
        };
        let data = Map::from([
            ("session".into(), run.into()),
            ("step".into(), (&step).into()),
            ("status".into(), end.status.as_str().into()),
            ("output".into(), output_digest(&end.output).into()),
        ]);
        let body = BodyDraft { subject, bytes: end.to_value().canonical() };
        let entry = draft(&active.origin, Kind::ChildEnded, None, data, Some(body));
        active.parked = false;
        turn.append(active.origin.tenant, parent, entry, Await::Nothing);
        self.tell_flow(parent, event, turn)
    }

    /// The flow has cancelled the step that waits for a run: that one is ended too.
    pub(crate) fn end_child(
        &mut self,
        id: RunId,
        step: &StepPath,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let child = self.runs.get(&id).and_then(|active| active.children.get(step));
        match child.map(|child| child.state) {
            Some(ChildState::Begun(run)) => self.end_with(id, run, turn),
            Some(ChildState::New | ChildState::Placing(_)) | None => Ok(()),
        }
    }

    /// Runs that nobody waits for are ended with the one that began them, unless its file
    /// leaves them.
    pub(crate) fn end_detached(&mut self, id: RunId, turn: &mut Turn) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get(&id) else { return Ok(()) };
        let bound = active.detached.iter().filter(|(_, outlives)| !**outlives);
        let bound: Vec<_> = bound.map(|(run, _)| *run).collect();
        bound.into_iter().try_for_each(|run| self.end_with(id, run, turn))
    }

    /// End what the flow, or whoever ended the run, does not want any more; a crash may have come
    /// before.
    pub(crate) fn end_unwanted(&mut self, id: RunId, turn: &mut Turn) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get(&id) else { return Ok(()) };
        let withdrawn = active.children.iter().filter(|(_, child)| child.withdrawn);
        let withdrawn: Vec<_> = withdrawn.map(|(step, _)| step.clone()).collect();
        let is_cancelled = active.cancelled.is_some();
        withdrawn.into_iter().try_for_each(|step| self.end_child(id, &step, turn))?;
        if is_cancelled { self.end_detached(id, turn) } else { Ok(()) }
    }

    pub(crate) fn end_with(
        &mut self,
        parent: RunId,
        run: RunId,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(child) = self.runs.get(&run).filter(|it| !it.is_being_ended()) else {
            return Ok(());
        };
        let who = child.origin.initiator.clone();
        self.cancel(run, who, format!("{parent}, which began it, does not want it any more"), turn)
    }
}

impl History {
    pub(crate) fn child_started(&mut self, entry: &Entry) -> Result<(), Mismatch> {
        let step = step_of(entry)?;
        let id = run_of(entry)?;
        let wanted = self.active.children.get(&step);
        let wanted = wanted.filter(|child| child.state == ChildState::New);
        let wanted =
            wanted.ok_or_else(|| unexpected(entry, "the flow wants no run to begin there"))?;
        let birth = self.active.birth(wanted).map_err(|message| unexpected(entry, &message))?;
        let same = entry.text("workflow") == Some(&wanted.workflow)
            && entry.digest("definition") == Some(birth.flow.flow.family_digest())
            && entry.digest("inputs") == Some(inputs_digest(&birth.inputs));
        if !same {
            return Err(unexpected(entry, "the flow wants another run, or other inputs"));
        }
        let classes = classes_in(entry.data());
        self.claims.extend(wanted.sources.iter().map(|(name, sources)| {
            let (class, sources) = (classes.get(name).cloned(), sources.clone());
            Claim { seq: entry.seq(), class, sources }
        }));
        let event = self.active.has_begun(&step, id);
        event.into_iter().for_each(|event| self.apply(event));
        Ok(())
    }

    pub(crate) fn child_ended(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let (step, id) = (step_of(entry)?, run_of(entry)?);
        let body = record.body.as_ref().ok_or(no_body(entry))?;
        let end = Ending::read(entry.text("status").unwrap_or_default(), body);
        if entry.digest("output") != Some(output_digest(&end.output)) {
            return Err(unexpected(entry, "its output is another than it names"));
        }
        match self.active.has_ended(id, &end) {
            Some(told) if told.step == step => {
                self.apply(told.event);
                Ok(())
            }
            Some(_) | None => Err(unexpected(entry, "the flow does not wait for that run there")),
        }
    }

    /// Its id.
    pub(crate) fn id(&self) -> RunId {
        self.active.origin.session
    }

    /// The run and the step that began this one.
    #[must_use]
    pub fn parent(&self) -> Option<&Parent> {
        self.active.parent.as_ref()
    }
}

impl Parent {
    /// What the first entry of a run says of who began it.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        let parent = entry.data().get("parent")?;
        let text = |name| parent.get(name).and_then(Value::as_text);
        Some(Self { run: text("session")?.parse().ok()?, step: text("step")?.parse().ok()? })
    }

    pub(crate) fn to_value(&self) -> Value {
        Value::map([("session", Value::from(self.run)), ("step", (&self.step).into())])
    }
}

pub(crate) fn run_of(entry: &Entry) -> Result<RunId, Mismatch> {
    let id = entry.text("session").and_then(|id| id.parse().ok());
    id.ok_or_else(|| unexpected(entry, "it names no run"))
}

/// The digest of what a run gave.
fn output_digest(output: &Value) -> Digest {
    Digest::in_context("cognitionos/output/v1", &output.canonical())
}
