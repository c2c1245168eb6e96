//! What is asked of the owner of a log, as mail.

mod decided;
mod delegated;
mod fire;
mod forked;

use std::collections::BTreeMap;

use cog_base::id::{ApprovalId, MailId, RunId, TenantId, Uuid};
use cog_base::json::{Map, parse};
use cog_base::{Digest, Timestamp, Value};
use cog_engine::{Sent, Trigger};
use cog_flow::{Flow, SearchLabels, Signal};
use cog_gate::Actor;
use cog_ledger::entry::NAME_BYTES_MAX;
use cog_schedule::PRIORITY_MAX;
use cog_store::{Files, Mail, Posted, RequestKey, Shared, StoreError};

pub use decided::{Decided, Destroy};
pub use delegated::Delegated;
pub use fire::Fire;
pub use forked::Forked;

pub(crate) const START: &str = "start";
const FOUND: &str = "found";
const ANSWER: &str = "answer";
const DELEGATE: &str = "delegate";
const CANCEL: &str = "cancel";
const SIGNAL: &str = "signal";
const PAUSE: &str = "pause";
const UNPAUSE: &str = "unpause";
const SCHEDULE: &str = "schedule";
const UNSCHEDULE: &str = "unschedule";
const PAUSE_SCHEDULE: &str = "pause-schedule";
const UNPAUSE_SCHEDULE: &str = "unpause-schedule";
const RECORD: &str = "record";
const CONTEXT: &str = "cognitionos/request/v1";
/// The most bytes of a reason: it stands in an entry with other things.
const REASON_BYTES_MAX: usize = 4_096;
/// The most bytes of where a folder stands.
const PATH_BYTES_MAX: usize = 4_096;

/// Something asked of the owner of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Start a run.
    Start(Box<Wanted>),
    /// Start a run from a place of another.
    Fork(Box<Forked>),
    /// Have a schedule start a run now.
    Fire(Box<Fire>),
    /// Put the first canon of a domain in force, if the domain has none.
    Found {
        /// Its files.
        files: Files,
        /// The environment that the entry names.
        environment: String,
        /// Who founds the domain.
        who: Actor,
    },
    /// Answer a request for approval.
    Answer {
        /// The run that waits.
        run: RunId,
        /// What for.
        approval: ApprovalId,
        /// Who answers.
        who: Actor,
        /// Yes with what is filled in, or no with a reason.
        verdict: Result<Map, String>,
    },
    /// Have another person answer one.
    Delegate(Box<Delegated>),
    /// End a run.
    Cancel {
        /// The run.
        run: RunId,
        /// Who ends it.
        who: Actor,
        /// Why.
        reason: String,
    },
    /// Send a run a message.
    Signal {
        /// The run.
        run: RunId,
        /// The message. Its id makes it the same one however often it is delivered.
        sent: Box<Sent>,
    },
    /// Hold a run, or let it go on.
    Hold {
        /// The run.
        run: RunId,
        /// Whether it is held from then on.
        pauses: bool,
        /// Who does it.
        who: Actor,
        /// Why.
        reason: String,
        /// How many entries the log had when it was asked for: of what stands there already
        /// nothing came of this.
        seen: u64,
    },
    /// Start runs at times, in place of what the schedule of that id started before.
    Schedule {
        /// When, as [`cog_schedule::Schedule::to_value`] writes it.
        when: Value,
        /// What; its id means nothing.
        wanted: Box<Wanted>,
        /// As of [`Request::Hold`].
        seen: u64,
    },
    /// Record entries of no run.
    Record(Box<Decided>),
    /// Start nothing by a schedule for now, or go on.
    HoldSchedule {
        /// Its id.
        schedule: String,
        /// Whether it starts nothing.
        pauses: bool,
        /// Who wants that.
        who: Actor,
        /// As of [`Request::Hold`].
        seen: u64,
    },
    /// Start nothing any more by a schedule.
    Unschedule {
        /// Its id.
        schedule: String,
        /// Who removes it.
        who: Actor,
        /// As of [`Request::Hold`].
        seen: u64,
    },
}

/// A run that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its id, chosen by who asks: there is one run of it, however often it is delivered.
    pub run: RunId,
    /// The text of the workflow file.
    pub source: String,
    /// Those of the files that its steps run, as [`cog_flow::Flow::children_record`] has them:
    /// what runs later is what was checked.
    pub children: Option<Value>,
    /// Its inputs as they were given, by name.
    pub given: BTreeMap<String, String>,
    /// Where its roots stand, absolute and without symbolic links.
    pub places: BTreeMap<String, String>,
    /// The folder of the workflow file, likewise.
    pub base: String,
    /// Who starts it.
    pub initiator: Actor,
    /// What it is found by, beside what the flow says.
    pub labels: SearchLabels,
    /// The event that starts it.
    pub trigger: Option<Trigger>,
    /// Which of the runs that wait goes first, if not as the flow says.
    pub priority: Option<u8>,
    /// When it begins at the earliest.
    pub not_before: Option<Timestamp>,
    /// The environment, if not the one the flow names.
    pub environment: Option<String>,
}

/// Mail that this release cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Of a kind that it does not know.
    #[error("it is of a kind that this node does not know, `{0}`")]
    Kind(String),
    /// Not what its kind says.
    #[error("what it says of `{0}` cannot be read")]
    Member(&'static str),
    /// What no entry could hold.
    #[error("its `{name}` has {bytes} bytes; {min} to {max} are allowed")]
    Size {
        /// The member.
        name: &'static str,
        /// How many there are.
        bytes: usize,
        /// The fewest that are allowed.
        min: usize,
        /// The most that are allowed.
        max: usize,
    },
}

/// Ask it of the owner of a tenant's log, whoever that is. With a `key`, asking for the same
/// run twice is asking once.
///
/// # Errors
/// [`StoreError`] when it cannot be posted.
pub fn ask(
    store: &dyn Shared,
    tenant: TenantId,
    id: MailId,
    request: &Request,
    key: Option<&str>,
) -> Result<Posted, StoreError> {
    let mail = request.mail(id);
    let request = Digest::in_context(CONTEXT, &mail.payload);
    store.post(tenant, &mail, key.map(|name| RequestKey { name, request }))
}

impl Request {
    /// The run that it begins, if it begins one.
    #[must_use]
    pub const fn begins(&self) -> Option<RunId> {
        if let Self::Start(wanted) = self {
            Some(wanted.run)
        } else if let Self::Fork(forked) = self {
            Some(forked.run)
        } else if let Self::Fire(fire) = self {
            Some(fire.run)
        } else {
            None
        }
    }

    /// The mail that says it.
    #[must_use]
    pub fn mail(&self, id: MailId) -> Mail {
        let (kind, run, members) = match self {
            Self::Start(wanted) => (START, Some(wanted.run), wanted.to_value()),
            Self::Fork(forked) => (START, Some(forked.run), forked.to_value()),
            Self::Fire(fire) => (START, Some(fire.run), fire.to_value()),
            Self::Found { files, environment, who } => {
                let members = [
                    ("files", texts(files)),
                    ("environment", environment.as_str().into()),
                    ("who", who.as_str().into()),
                ];
                (FOUND, None, Value::map(members))
            }
            Self::Answer { run, approval, who, verdict } => {
                let reason = verdict.as_ref().err().map(String::as_str);
                let members = [
                    ("approval", Value::from(*approval)),
                    ("who", who.as_str().into()),
                    ("no", reason.into()),
                ];
                let form = verdict.as_ref().ok().filter(|form| !form.is_empty());
                let form = form.map(|form| ("form", Value::Map(form.clone())));
                (ANSWER, Some(*run), Value::map(members.into_iter().chain(form)))
            }
            Self::Delegate(it) => (DELEGATE, Some(it.run), it.to_value()),
            Self::Cancel { run, who, reason } => {
                let members = [("who", who.as_str()), ("reason", reason.as_str())];
                let members = members.map(|(name, text)| (name, Value::from(text)));
                (CANCEL, Some(*run), Value::map(members))
            }
            Self::Signal { run, sent } => (SIGNAL, Some(*run), signal(sent)),
            Self::Hold { run, pauses, who, reason, seen } => {
                let members = [
                    ("who", Value::from(who.as_str())),
                    ("reason", reason.as_str().into()),
                    ("seen", (*seen).into()),
                ];
                (if *pauses { PAUSE } else { UNPAUSE }, Some(*run), Value::map(members))
            }
            Self::Schedule { when, wanted, seen } => {
                let (when, seen) = (("when", when.clone()), ("seen", (*seen).into()));
                (SCHEDULE, None, Value::map([when, ("wanted", wanted.to_value()), seen]))
            }
            Self::Record(decided) => (RECORD, None, decided.to_value()),
            Self::HoldSchedule { schedule, pauses, who, seen } => {
                let members = [("schedule", Value::from(schedule.as_str()))];
                let more = [("who", who.as_str().into()), ("seen", (*seen).into())];
                let kind = if *pauses { PAUSE_SCHEDULE } else { UNPAUSE_SCHEDULE };
                (kind, None, Value::map(members.into_iter().chain(more)))
            }
            Self::Unschedule { schedule, who, seen } => {
                let members = [("schedule", Value::from(schedule.as_str()))];
                let more = [("who", who.as_str().into()), ("seen", (*seen).into())];
                (UNSCHEDULE, None, Value::map(members.into_iter().chain(more)))
            }
        };
        Mail { id, kind: kind.to_owned(), run, payload: members.canonical() }
    }

    /// What mail says.
    ///
    /// # Errors
    /// [`BadRequest`] when it cannot be read.
    pub fn read(mail: &Mail) -> Result<Self, BadRequest> {
        let text = std::str::from_utf8(&mail.payload).ok();
        let value = text.and_then(|text| parse(text).ok()).ok_or(BadRequest::Member("it"))?;
        let run = mail.run.ok_or(BadRequest::Member("run"));
        match mail.kind.as_str() {
            START if value.get(forked::FORK).is_some() => {
                Ok(Self::Fork(Box::new(Forked::read(run?, &value)?)))
            }
            START if value.get(fire::FIRE).is_some() => {
                Ok(Self::Fire(Box::new(Fire::read(run?, &value)?)))
            }
            START => Ok(Self::Start(Box::new(Wanted::read(run?, &value)?))),
            FOUND => Ok(Self::Found {
                files: texts_of(&value, "files")?,
                environment: environment(text_of(&value, "environment")?)?,
                who: actor_of(&value, "who")?,
            }),
            ANSWER => {
                let approval = text_of(&value, "approval")?.parse::<ApprovalId>();
                let approval = approval.map_err(|_| BadRequest::Member("approval"))?;
                let no = value.get("no").and_then(Value::as_text);
                let verdict = match no {
                    Some(no) => Err(sized("no", no.to_owned(), (0, REASON_BYTES_MAX))?),
                    None => Ok(form_of(&value)?),
                };
                Ok(Self::Answer { run: run?, approval, who: actor_of(&value, "who")?, verdict })
            }
            DELEGATE => Ok(Self::Delegate(Box::new(Delegated::read(run?, &value)?))),
            CANCEL => {
                let (who, reason) = (actor_of(&value, "who")?, text_of(&value, "reason")?);
                let reason = sized("reason", reason, (0, REASON_BYTES_MAX))?;
                Ok(Self::Cancel { run: run?, who, reason })
            }
            SIGNAL => Ok(Self::Signal { run: run?, sent: Box::new(signal_of(&value)?) }),
            kind @ (PAUSE | UNPAUSE) => {
                let (who, reason) = (actor_of(&value, "who")?, text_of(&value, "reason")?);
                let reason = sized("reason", reason, (0, REASON_BYTES_MAX))?;
                let (pauses, seen) = (kind == PAUSE, seen_of(&value)?);
                Ok(Self::Hold { run: run?, pauses, who, reason, seen })
            }
            SCHEDULE => {
                let member = |name| value.get(name).ok_or(BadRequest::Member(name));
                let wanted = Box::new(Wanted::read(Wanted::no_run(), member("wanted")?)?);
                Ok(Self::Schedule { when: member("when")?.clone(), wanted, seen: seen_of(&value)? })
            }
            RECORD => Ok(Self::Record(Box::new(Decided::read(&value)?))),
            kind @ (PAUSE_SCHEDULE | UNPAUSE_SCHEDULE) => {
                let schedule = text_of(&value, "schedule")?;
                let schedule = sized("schedule", schedule, (1, NAME_BYTES_MAX))?;
                let (who, seen) = (actor_of(&value, "who")?, seen_of(&value)?);
                Ok(Self::HoldSchedule { schedule, pauses: kind == PAUSE_SCHEDULE, who, seen })
            }
            UNSCHEDULE => {
                let schedule = text_of(&value, "schedule")?;
                let schedule = sized("schedule", schedule, (1, NAME_BYTES_MAX))?;
                let (who, seen) = (actor_of(&value, "who")?, seen_of(&value)?);
                Ok(Self::Unschedule { schedule, who, seen })
            }
            other => Err(BadRequest::Kind(other.to_owned())),
        }
    }
}

impl Wanted {
    /// What stands for the id of a run in what is run again and again.
    #[must_use]
    pub const fn no_run() -> RunId {
        RunId::from_uuid(Uuid::from_u128(0))
    }

    /// What is run, without its id.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let members = [
            ("source", Value::from(self.source.as_str())),
            ("given", texts(&self.given)),
            ("places", texts(&self.places)),
            ("base", self.base.as_str().into()),
            ("initiator", self.initiator.as_str().into()),
            ("environment", self.environment.as_deref().into()),
        ];
        // Of a workflow that runs none it is what releases wrote that knew none.
        let children = self.children.clone().map(|children| ("children", children));
        let priority = self.priority.map(|it| ("priority", u32::from(it).into()));
        let not_before = self.not_before.map(|it| ("not_before", it.into()));
        let labels = (!self.labels.is_empty()).then(|| ("labels", texts(&self.labels)));
        let trigger = self.trigger.as_ref().map(|it| ("trigger", it.to_value()));
        let more = children.into_iter().chain(priority).chain(not_before);
        let more = more.chain(labels).chain(trigger);
        Value::map(members.into_iter().chain(more))
    }

    /// The workflow with those that its steps run.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn flow(&self) -> Result<Flow, String> {
        let flow = cog_flow::parse(&self.source, "the workflow").map_err(|bad| bad.to_string())?;
        flow.with_recorded(self.children.as_ref())
    }

    /// A run of this id, as [`Wanted::to_value`] wrote it.
    ///
    /// # Errors
    /// [`BadRequest`] when a later release wrote it.
    pub fn read(run: RunId, value: &Value) -> Result<Self, BadRequest> {
        let named = value.get("environment").and_then(Value::as_text);
        Ok(Self {
            run,
            source: text_of(value, "source")?,
            children: value.get("children").filter(|it| **it != Value::Null).cloned(),
            given: texts_of(value, "given")?,
            places: places_of(value)?,
            labels: match value.get("labels") {
                Some(_) => texts_of(value, "labels")?,
                None => SearchLabels::new(),
            },
            trigger: match value.get("trigger") {
                Some(_) => Some(value.as_map().and_then(Trigger::of).ok_or(TRIGGER)?),
                None => None,
            },
            priority: priority_of(value)?,
            not_before: time_of(value, "not_before")?,
            base: sized("base", text_of(value, "base")?, (0, PATH_BYTES_MAX))?,
            initiator: actor_of(value, "initiator")?,
            environment: named.map(|named| environment(named.to_owned())).transpose()?,
        })
    }
}

const TRIGGER: BadRequest = BadRequest::Member("trigger");

fn priority_of(value: &Value) -> Result<Option<u8>, BadRequest> {
    let Some(priority) = value.get("priority") else { return Ok(None) };
    let priority = priority.as_u64().and_then(|it| u8::try_from(it).ok());
    let priority = priority.filter(|it| *it <= PRIORITY_MAX);
    priority.map(Some).ok_or(BadRequest::Member("priority"))
}

fn time_of(value: &Value, name: &'static str) -> Result<Option<Timestamp>, BadRequest> {
    let Some(time) = value.get(name) else { return Ok(None) };
    let time = time.as_text().and_then(|text| text.parse().ok());
    time.map(Some).ok_or(BadRequest::Member(name))
}

fn signal(sent: &Sent) -> Value {
    let Sent { signal: Signal { id, name, from, payload }, subject } = sent;
    Value::map([
        ("id", Value::from(id.as_str())),
        ("name", name.as_str().into()),
        ("from", from.as_str().into()),
        ("payload", payload.clone()),
        ("subject", subject.as_deref().into()),
    ])
}

fn signal_of(value: &Value) -> Result<Sent, BadRequest> {
    let signal = Signal {
        id: text_of(value, "id")?,
        name: text_of(value, "name")?,
        from: actor_of(value, "from")?.as_str().to_owned(),
        payload: value.get("payload").cloned().unwrap_or(Value::Null),
    };
    let subject = value.get("subject").and_then(Value::as_text).map(str::to_owned);
    let subject = subject.map(|it| sized("subject", it, (1, NAME_BYTES_MAX))).transpose()?;
    Ok(Sent { signal, subject })
}

fn texts(texts: &BTreeMap<String, String>) -> Value {
    Value::map(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())))
}

fn text_of(value: &Value, name: &'static str) -> Result<String, BadRequest> {
    let text = value.get(name).and_then(Value::as_text);
    text.map(str::to_owned).ok_or(BadRequest::Member(name))
}

/// The environment of entries.
fn environment(text: String) -> Result<String, BadRequest> {
    sized("environment", text, (1, NAME_BYTES_MAX))
}

/// What fits into an entry: of anything else nothing could be recorded, however often it is
/// tried.
fn sized(name: &'static str, text: String, limits: (usize, usize)) -> Result<String, BadRequest> {
    fits(name, &text, limits).map(|()| text)
}

fn fits(name: &'static str, text: &str, (min, max): (usize, usize)) -> Result<(), BadRequest> {
    let bytes = text.len();
    let fits = (min..=max).contains(&bytes);
    if fits { Ok(()) } else { Err(BadRequest::Size { name, bytes, min, max }) }
}

fn texts_of(value: &Value, name: &'static str) -> Result<BTreeMap<String, String>, BadRequest> {
    let members: &Map = value.get(name).and_then(Value::as_map).ok_or(BadRequest::Member(name))?;
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_text()?.to_owned()));
    let texts: Option<BTreeMap<String, String>> = members.iter().map(text).collect();
    texts.ok_or(BadRequest::Member(name))
}

/// Where roots stand.
fn places_of(value: &Value) -> Result<BTreeMap<String, String>, BadRequest> {
    let places = texts_of(value, "places")?;
    for place in places.values() {
        fits("places", place, (0, PATH_BYTES_MAX))?;
    }
    Ok(places)
}

fn seen_of(value: &Value) -> Result<u64, BadRequest> {
    value.get("seen").and_then(Value::as_u64).ok_or(BadRequest::Member("seen"))
}

/// What is filled in.
fn form_of(value: &Value) -> Result<Map, BadRequest> {
    let form = value.get("form").map(|form| form.as_map().cloned());
    form.unwrap_or(Some(Map::new())).ok_or(BadRequest::Member("form"))
}

fn actor_of(value: &Value, name: &'static str) -> Result<Actor, BadRequest> {
    text_of(value, name)?.parse().map_err(|_| BadRequest::Member(name))
}

#[cfg(test)]
mod tests;
