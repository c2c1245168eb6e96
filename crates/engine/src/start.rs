//! The beginning and the end of a run, as entries.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::entropy::NoEntropy;
use cog_base::id::{RunId, Uuid};
use cog_base::json::Map;
use cog_base::{Digest, Micros, Sources, Timestamp, Value};
use cog_flow::{BoundRoot, Flow, SearchLabels};
use cog_gate::act::{Act, Facts};
use cog_gate::snapshot::{Access, Folder};
use cog_gate::{Actor, Carried, Limits, Origin};
use cog_ledger::{BodyDraft, Draft, Kind};
use cog_schedule::Ask;

use crate::active::{Active, Ending, Waits};
use crate::again::{Continues, Next};
use crate::carried;
use crate::children::Parent;
use crate::engine::{Await, Engine, Output, Timer, Turn};
use crate::fork::Fork;
use crate::notice::{Sealed, What};
use crate::signals::Sent;
use crate::timetable::Firing;

/// The words of outcomes, in the order in which they are told.
const DISPOSITIONS: [&str; 4] = ["completed", "failed", "abandoned", "unknown"];

/// A class that no canon has, and that so counts as the highest.
const UNKNOWN_CLASS: &str = "?";

/// The timer that ends a run whose time is over.
pub(crate) const BUDGET_TIMER: &str = "budget";

/// A run to start.
#[derive(Debug, Clone)]
pub struct Start {
    /// Its id.
    pub run: RunId,
    /// What it does.
    pub flow: Arc<Flow>,
    /// The text the flow was read from, kept as evidence.
    pub source: String,
    /// Its inputs, bound and typed.
    pub inputs: Map,
    /// Its roots and what it may do there.
    pub roots: BTreeMap<String, Access>,
    /// Where the roots stand on this machine, absolute and without symbolic links: the canon
    /// says whether they may stand there. Kept as evidence.
    pub places: BTreeMap<String, String>,
    /// The folder of the workflow file, absolute and without symbolic links, kept as evidence;
    /// what stands beside the file is found there when the run is resumed.
    pub base: String,
    /// Who starts it.
    pub initiator: Actor,
    /// The environment, if not the one the flow names.
    pub environment: Option<String>,
    /// The time of a schedule that it is started for.
    pub firing: Option<Firing>,
    /// What it is found by.
    pub labels: SearchLabels,
    /// The event that started it.
    pub trigger: Option<Trigger>,
    /// What it is held to before it may begin.
    pub ask: Ask,
    /// The key that it was asked for under.
    pub keyed: Option<Keyed>,
    /// Whether it was asked for before, and waits for its turn.
    pub is_queued: bool,
}

/// The key that a run was asked for under, and what was asked for. Both are keyed digests: they tell
/// nobody anything who does not have the keys of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyed {
    /// What stands for the key: of one key there is one run ([`Keyed::run`]).
    pub key: Digest,
    /// What stands for all that was asked for.
    pub request: Digest,
}

impl Keyed {
    /// The run that it names, the same however often it is asked for.
    #[must_use]
    pub fn run(&self) -> RunId {
        RunId::from_uuid(Uuid::of(&self.key))
    }

    /// As entries have it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::map([("key", self.key), ("request", self.request)])
    }

    /// What an entry says that asks for a run or begins it.
    #[must_use]
    pub fn of(data: &Map) -> Option<Self> {
        let digest = |name| data.get(KEYED)?.get(name)?.as_text()?.parse().ok();
        Some(Self { key: digest("key")?, request: digest("request")? })
    }
}

/// Where the entries that ask for a run, or begin it, have the key that it was asked for under.
pub(crate) const KEYED: &str = "keyed";

/// The event that a run was started by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// What says in the log that it starts a run: a schedule of that id.
    pub id: String,
    /// The event: of one trigger and one event there is one run ([`Trigger::run`]).
    pub event: Digest,
    /// How many runs of this log started each other by their ends before it.
    pub hops: u64,
}

impl Trigger {
    /// The most runs that start each other by their ends.
    pub const HOPS_MAX: u64 = 8;

    /// That an event of this source and id is one for a trigger.
    #[must_use]
    pub fn new(id: &str, (source, event): (&str, &str), hops: u64) -> Self {
        let named = Value::map([("trigger", id), ("source", source), ("id", event)]);
        let event = Digest::in_context("cognitionos/trigger/v1", &named.canonical());
        Self { id: id.to_owned(), event, hops }
    }

    /// The run that it starts, the same however often the event comes.
    #[must_use]
    pub fn run(&self) -> RunId {
        RunId::from_uuid(Uuid::of(&self.event))
    }

    /// As entries have it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let id = ("id", Value::from(self.id.as_str()));
        Value::map([id, ("event", self.event.into()), ("hops", self.hops.into())])
    }

    /// What an entry says that asks for a run or begins it.
    #[must_use]
    pub fn of(data: &Map) -> Option<Self> {
        let trigger = data.get(TRIGGER)?;
        let id = trigger.get("id")?.as_text()?.to_owned();
        let event = trigger.get("event")?.as_text()?.parse().ok()?;
        Some(Self { id, event, hops: trigger.get("hops")?.as_u64()? })
    }
}

/// Where the entries that ask for a run, or begin it, have the event that started it.
pub(crate) const TRIGGER: &str = "trigger";

impl Start {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            cost: self.flow.budget.cost_micros.map(Micros::new),
            effects: self.flow.budget.effects,
            roots: self.roots.clone(),
            folders: folders(&self.places, &self.base),
        }
    }
}

impl Engine {
    /// Begin a run, of itself or by another, which says whose data it holds if its own file does
    /// not, and of which class.
    pub(crate) fn begin(
        &mut self,
        start: Start,
        beginning: Beginning,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let origin = Origin {
            tenant: self.settings.tenant,
            domain: start.flow.domain.clone(),
            environment: start.environment.clone().unwrap_or(start.flow.environment.clone()),
            session: start.run,
            workflow: start.flow.name.clone(),
            initiator: start.initiator.clone(),
        };
        // What another run begins goes on where that one may be, and of the next run of a chain
        // that was looked at before the one before it was sealed.
        let is_own = matches!(beginning, Beginning::Own);
        if is_own && let Some(message) = self.not_begun(&origin, &start) {
            if start.is_queued {
                self.give_up_queued(start.run, &message, turn);
            } else {
                turn.tell(start.run, What::NotBegun { message });
            }
            return Ok(());
        }
        let (_, canon) = self.canon_for(&origin.domain);
        // The time is decided with the start of the run, or neither is.
        if let Some(firing) = &start.firing {
            let fired = firing.started(&origin);
            turn.append(origin.tenant, start.run, fired, Await::Nothing);
        }
        if is_own && !self.admit(&start, &origin, turn)? {
            return Ok(());
        }
        let Began { parent, continues, handed, left_over } = beginning.into();
        let Handed { subject, classes } = handed;
        let began = start.flow.tells_start.then(|| self.ledger_now());
        let facts = facts(start.run, &start.initiator, began, subject.as_deref());
        let (run, mut actions) = cog_flow::Run::start_classed(
            Arc::clone(&start.flow),
            start.inputs.clone(),
            facts,
            classes.clone(),
        );
        let Start { flow, source, inputs, labels, roots, places, base, .. } = &start;
        let (source, inputs) = (Some(source.as_str()), inputs.clone());
        let (parent_of, subject) = (parent.as_ref(), run.subject_of());
        let begun = Begun {
            flow,
            source,
            inputs,
            labels,
            trigger: start.trigger.as_ref(),
            keyed: start.keyed,
            classes: &classes,
            subject,
            began,
            roots,
            places,
            parent: parent_of,
            continues,
            fork: None,
        };
        let draft = started(begun, base, &origin, canon);
        turn.append(origin.tenant, start.run, draft, Await::Started);
        let (tenant, limits) = (origin.tenant, start.limits());
        match &parent {
            Some(parent) => self.gate.open_child(tenant, start.run, limits, parent.run),
            None => self.gate.open_session(tenant, start.run, limits),
        }
        let mut active = Active::new(origin, start.flow, run);
        active.keep(&start.source, (start.places, start.labels), continues);
        (active.base, active.parent) = (start.base, parent);
        actions.extend(active.take_over(left_over, turn));
        self.runs.insert(start.run, active);
        if let Some((timer, ms)) = self.budget_timer(start.run, 0) {
            turn.output(Output::Arm { timer, ms });
        }
        self.act(start.run, actions, turn)
    }

    /// Why a run may not be started.
    fn not_begun(&self, origin: &Origin, start: &Start) -> Option<String> {
        self.barred(origin).or_else(|| self.not_active(start))
    }

    /// Why a run is not started from its definition. What a schedule or an event starts was set before,
    /// and what waits was asked for.
    fn not_active(&self, start: &Start) -> Option<String> {
        let was_set = start.firing.is_some() || start.trigger.is_some() || start.is_queued;
        if was_set { None } else { self.versions.bars(&start.flow) }
    }

    /// Why a run may not begin where it is to.
    pub(crate) fn barred(&self, origin: &Origin) -> Option<String> {
        let (canon, _) = self.canon_for(&origin.domain);
        let Origin { tenant, domain, environment, workflow, initiator, .. } = origin;
        let act = Act::begin(*tenant, (domain, environment), workflow, initiator, canon.as_deref());
        act.judge(&Facts::Begin, self.now(), canon.as_deref()).map(|no| no.reason)
    }

    /// The timer that ends the run, and what is left of its time, in milliseconds; nothing
    /// when its time is not bounded.
    pub(crate) fn budget_timer(&self, run: RunId, had_ms: u64) -> Option<(Timer, u64)> {
        let minutes = self.runs.get(&run).and_then(|active| active.flow.budget.minutes)?;
        let timer = Timer { run, name: BUDGET_TIMER.into() };
        Some((timer, minutes.saturating_mul(60_000).saturating_sub(had_ms)))
    }

    /// Seal the run if it has ended and nobody holds it, or park it if only somebody outside can bring
    /// it on.
    pub(crate) fn settle_down(&mut self, id: RunId, turn: &mut Turn) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        if active.appends > 0 || turn.appends_for(id) || active.sealing {
            return Ok(());
        }
        if active.is_ended() {
            if active.open.is_empty() && active.probes.is_empty() {
                self.seal(id, turn);
            }
            return Ok(());
        }
        if active.parked || (active.end.is_none() && self.turn_over(id, turn)?) {
            return Ok(());
        }
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        if let Some(Waits { approvals, signals, children, paused }) = active.waits() {
            active.parked = true;
            turn.tell(id, What::Parked { approvals, signals, children, paused });
        }
        Ok(())
    }

    /// The class of what came from these, by the canon in force in a domain; nothing where it
    /// declares none. By a canon that cannot be read it is of a class that nobody knows.
    pub(crate) fn class_of(&self, domain: &str, sources: &Sources) -> Option<String> {
        let (canon, in_force) = self.canon_for(domain);
        let Some(canon) = canon else { return in_force.map(|_| UNKNOWN_CLASS.to_owned()) };
        let rules = canon.settings().data.as_ref()?;
        Some(rules.class_of(sources).to_owned())
    }

    /// Put the run's last entry on its way, with the class of what it gives.
    pub(crate) fn seal(&mut self, id: RunId, turn: &mut Turn) {
        let Some(active) = self.runs.get(&id) else { return };
        let sources = active.end.as_ref().map(|end| &end.sources);
        let class = sources.and_then(|it| self.class_of(&active.origin.domain, it));
        let Some(active) = self.runs.get_mut(&id) else { return };
        let Some(end) = &mut active.end else { return };
        end.class = class;
        let end = end.clone();
        active.sealing = true;
        let draft = sealed(active, &end);
        turn.append(active.origin.tenant, id, draft, Await::Seal);
    }

    /// The run's last entry is durable: it is over.
    pub(crate) fn close(&mut self, id: RunId, turn: &mut Turn) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.remove(&id) else { return Ok(()) };
        self.gate.close_session(id);
        let Some(end) = active.end else { return Ok(()) };
        let told = end.clone();
        let sums = Value::Map(active.tally.sums());
        let count = |path: &[&str]| sums.at(path).and_then(Value::as_u64).unwrap_or(0);
        // The seal itself is counted by now; receipts, denials and outcomes it does not change.
        turn.tell(
            id,
            What::Sealed(Sealed {
                status: end.status,
                next: end.next.map(|next| next.run),
                output: end.output,
                error: end.error,
                receipts: count(&["receipts"]),
                denials: count(&["denials"]),
                outcomes: DISPOSITIONS.map(|word| count(&["outcomes", word])),
                spent: Micros::new(active.tally.spent_micros()),
            }),
        );
        match active.parent {
            Some(parent) => self.child_ended(parent.run, id, told, turn),
            None => Ok(()),
        }
    }
}

/// What may be done in the folders of a run.
pub(crate) fn accesses(roots: &[BoundRoot]) -> BTreeMap<String, Access> {
    let access = |root: &BoundRoot| match root.access {
        cog_flow::Access::Read => Access::Read,
        cog_flow::Access::Write => Access::Write,
    };
    roots.iter().map(|root| (root.name.clone(), access(root))).collect()
}

/// Where the roots stand, for a workflow whose file stands in the folder `base`.
pub(crate) fn folders(places: &BTreeMap<String, String>, base: &str) -> BTreeMap<String, Folder> {
    places.iter().map(|(name, path)| (name.clone(), Folder::new(path, base))).collect()
}

/// By what a run is begun.
pub(crate) enum Beginning {
    /// By whoever starts it.
    Own,
    /// By another run, which hands it something.
    Child(Parent, Handed),
    /// By the run that it continues.
    Next {
        continues: Continues,
        handed: Handed,
        /// The signals that no step of that one took.
        left_over: Vec<Sent>,
    },
}

/// The same, taken apart.
#[derive(Default)]
struct Began {
    parent: Option<Parent>,
    continues: Option<Continues>,
    handed: Handed,
    left_over: Vec<Sent>,
}

impl From<Beginning> for Began {
    fn from(beginning: Beginning) -> Self {
        match beginning {
            Beginning::Own => Self::default(),
            Beginning::Child(parent, handed) => {
                Self { parent: Some(parent), handed, ..Self::default() }
            }
            Beginning::Next { continues, handed, left_over } => {
                Self { parent: None, continues: Some(continues), handed, left_over }
            }
        }
    }
}

/// What a run hands to one that it begins, besides inputs.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    /// Whose data they are.
    pub(crate) subject: Option<String>,
    /// Of which class each of them is.
    pub(crate) classes: Classes,
}

/// Classes of data by the names of inputs.
pub(crate) type Classes = BTreeMap<String, String>;

/// Where the entries that begin a run have them.
const CLASSES: &str = "classes";

/// As entries have them; nothing when there are none.
pub(crate) fn classes_value(classes: &Classes) -> Option<Value> {
    let all = classes.iter().map(|(name, class)| (name.as_str(), class.as_str()));
    (!classes.is_empty()).then(|| Value::map(all))
}

/// Where the entries that ask for a run, or begin it, have what it is found by.
pub(crate) const LABELS: &str = "labels";

/// Labels as entries have them; nothing when there are none.
pub(crate) fn labels_value(labels: &SearchLabels) -> Option<Value> {
    let all = labels.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    (!labels.is_empty()).then(|| Value::map(all))
}

/// What a run is found by, as an entry says that asks for it or begins it.
#[must_use]
pub fn labels_in(data: &Map) -> SearchLabels {
    let all = data.get(LABELS).and_then(Value::as_map).into_iter().flatten();
    all.filter_map(|(name, text)| Some((name.clone(), text.as_text()?.to_owned()))).collect()
}

/// Those that an entry says.
pub(crate) fn classes_in(data: &Map) -> Classes {
    let all = data.get(CLASSES).and_then(Value::as_map).into_iter().flatten();
    all.filter_map(|(name, class)| Some((name.clone(), class.as_text()?.to_owned()))).collect()
}

/// What expressions see as `run`, and whose data it holds where its file does not say so.
pub(crate) fn facts(
    run: RunId,
    initiator: &Actor,
    began: Option<Timestamp>,
    subject: Option<&str>,
) -> Map {
    let mut facts =
        Map::from([("id".into(), run.into()), ("initiator".into(), initiator.as_str().into())]);
    facts.extend(began.map(|began| (STARTED_AT.into(), began.into())));
    facts.extend(subject.map(|subject| ("subject".into(), subject.into())));
    facts
}

/// Whose data a run holds, as the body of its first entry says.
#[must_use]
pub fn subject_in(body: &Value) -> Option<&str> {
    body.get("subject").and_then(Value::as_text)
}

/// When a run began, as its expressions see it and the body of its first entry says.
const STARTED_AT: &str = "started_at";

/// When a run began, as the body of its first entry says where its expressions read it.
pub(crate) fn started_in(body: &Value) -> Option<Timestamp> {
    body.get(STARTED_AT)?.as_text()?.parse().ok()
}

/// What the first entry of a run says of it.
pub(crate) struct Begun<'a> {
    pub(crate) flow: &'a Flow,
    /// The text of the definition; nothing when the run before it has that.
    pub(crate) source: Option<&'a str>,
    pub(crate) inputs: Map,
    /// What it is found by.
    pub(crate) labels: &'a SearchLabels,
    /// The event that started it.
    pub(crate) trigger: Option<&'a Trigger>,
    /// The key that it was asked for under.
    pub(crate) keyed: Option<Keyed>,
    /// Of which class of data each of them is, where a run handed them over.
    pub(crate) classes: &'a Classes,
    /// Whose data it holds.
    pub(crate) subject: Option<&'a str>,
    /// When it began, where its expressions read that.
    pub(crate) began: Option<Timestamp>,
    pub(crate) roots: &'a BTreeMap<String, Access>,
    pub(crate) places: &'a BTreeMap<String, String>,
    /// Who began it, if a run did.
    pub(crate) parent: Option<&'a Parent>,
    /// The run that it continues, if it does.
    pub(crate) continues: Option<Continues>,
    /// Where it goes on from, and what was done before it, if it goes on from a run.
    pub(crate) fork: Option<(&'a Fork, &'a Carried)>,
}

/// The digest of the inputs of a run.
pub(crate) fn inputs_digest(inputs: &Map) -> Digest {
    Digest::in_context("cognitionos/inputs/v1", &Value::Map(inputs.clone()).canonical())
}

pub(crate) fn started(
    begun: Begun<'_>,
    base: &str,
    origin: &Origin,
    canon: Option<Digest>,
) -> Draft {
    let Begun { flow, source, inputs, labels, classes, subject, .. } = begun;
    let Begun { began, roots, places, parent, continues, fork, trigger, keyed, .. } = begun;
    let access = |(name, access): (&'_ String, &'_ Access)| {
        (name.clone(), Value::map([("access", access.word())]))
    };
    let mut data = Map::from([
        ("workflow".into(), flow.name.as_str().into()),
        ("definition".into(), flow.digest.into()),
        ("inputs".into(), inputs_digest(&inputs).into()),
        ("roots".into(), Value::Map(roots.iter().map(access).collect())),
        ("initiator".into(), origin.initiator.as_str().into()),
    ]);
    data.extend(canon.map(|canon| ("canon".to_owned(), canon.into())));
    data.extend(fork.map(|(fork, _)| ("fork".to_owned(), fork.to_value())));
    data.extend(classes_value(classes).map(|all| (CLASSES.to_owned(), all)));
    data.extend(trigger.map(|trigger| (TRIGGER.to_owned(), trigger.to_value())));
    data.extend(keyed.map(|keyed| (KEYED.to_owned(), keyed.to_value())));
    data.extend(labels_value(labels).map(|all| (LABELS.to_owned(), all)));
    data.extend(parent.map(|parent| ("parent".to_owned(), parent.to_value())));
    data.extend(continues.map(Continues::member));
    // A fork finds the definition, with those that it runs, where the run before it has it.
    let own = source.map(|_| flow);
    let digests = own.and_then(Flow::children_digests);
    data.extend(digests.map(|all| ("children".to_owned(), all)));
    let places = places.iter().map(|(name, place)| (name.as_str(), place.as_str()));
    let mut body = Map::from([
        ("inputs".into(), Value::Map(inputs)),
        ("places".into(), Value::map(places)),
        ("base".into(), base.into()),
    ]);
    body.extend(source.map(|source| ("source".to_owned(), source.into())));
    body.extend(subject.map(|subject| ("subject".to_owned(), subject.into())));
    body.extend(began.map(|began| (STARTED_AT.to_owned(), began.into())));
    let children = own.and_then(Flow::children_record);
    body.extend(children.map(|all| ("children".to_owned(), all)));
    let carried = fork.map(|(_, carried)| (carried::MEMBER.to_owned(), carried.to_value()));
    body.extend(carried);
    let subject = subject.map(str::to_owned);
    let body = BodyDraft { subject, bytes: Value::Map(body).canonical() };
    draft(origin, Kind::SessionStarted, canon, data, Some(body))
}

fn sealed(active: &Active, end: &Ending) -> Draft {
    let mut data = active.tally.seal(&end.status);
    data.extend(end.next.as_ref().map(Next::member));
    let body = BodyDraft { subject: None, bytes: end.to_value().canonical() };
    draft(&active.origin, Kind::SessionSealed, None, data, Some(body))
}

/// A draft in the name of the run's initiator.
pub(crate) fn draft(
    origin: &Origin,
    kind: Kind,
    canon: Option<Digest>,
    data: Map,
    body: Option<BodyDraft>,
) -> Draft {
    Draft {
        kind,
        actor: origin.initiator.as_str().to_owned(),
        domain: origin.domain.clone(),
        environment: origin.environment.clone(),
        session: Some(origin.session),
        canon,
        data,
        body,
    }
}
