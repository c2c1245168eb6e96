//! Completions of sessions that ran elsewhere: what happened there is taken in as evidence here.

use cog_base::json::{Loose, Map, parse, parse_loose};
use cog_base::{Timestamp, Value};
use cog_events::{BYTES_MAX, Event, Facts};
use cog_ledger::note::VerifierKey;
use cog_ledger::proof::ProvenEntry;
use cog_ledger::{Entry, Kind};

use super::args::{Args, BadArgs};
use super::{Effect, Footprint, Redo, Resource};

/// The longest proof, in bytes: an entry of 64 KiB in base64 and the path of a large log.
const PROOF_BYTES_MAX: usize = 128 << 10;

/// What is given, and what follows from it.
const GIVEN: [&str; 3] = ["event", "proof", "key"];
const FOLLOWS: [&str; 8] = ["id", "source", "type", "time", "subject", "status", "data", "proven"];

/// What is told of a session and is not in its seal: nothing proves it.
const UNPROVEN: [&str; 3] = ["workflow_id", "duration_ms", "token_usage"];
/// The longest name of a workflow, in bytes.
const WORKFLOW_BYTES_MAX: usize = 64;

/// Take in that a session ended which ran elsewhere: in another CognitionOS, or in any system that
/// tells it as a CloudEvent.
///
/// Nothing is done to the world. Its outcome is what was said, which is evidence and no more: what
/// follows from it is asked for by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionAccept {
    /// The event in the JSON format of CloudEvents 1.0, in its one spelling (RFC 8785), so that an
    /// event that was written anew is the same.
    pub event: String,
    /// What proves it, if anything was brought.
    pub proof: Option<Proof>,
    said: Box<Said>,
}

/// What was brought to prove a completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// A C2SP `tlog-proof` that carries the entry: what `cognitionos ledger proof` prints.
    pub text: String,
    /// The verifier key that its head is to be signed with.
    pub key: String,
    /// Whether it holds: the entry seals a session, it is in the log of this key, and it is this
    /// event, member by member.
    pub holds: bool,
}

/// What the event says, as policies see it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    id: String,
    source: String,
    kind: String,
    time: Option<String>,
    subject: Option<String>,
    status: Option<String>,
    /// Its data; nothing where it holds numbers that are not whole, which nothing here can hash.
    data: Option<Value>,
}

impl SessionAccept {
    /// Its action.
    pub const ACTION: &'static str = "session.accept";

    pub(super) fn from_args(args: &Map) -> Result<Self, BadArgs> {
        let known: Vec<&str> = GIVEN.into_iter().chain(FOLLOWS).collect();
        let read = Args::new(Self::ACTION, &known, args)?;
        let given = read.text("event")?;
        let wrong = |expected| read.wrong("event", expected, &Value::from("another"));
        if given.len() > BYTES_MAX {
            return Err(wrong("at most 65,536 bytes"));
        }
        let one_spelling = |text: &str| cog_events::read(text).map(|event| event.to_string()).ok();
        let event = one_spelling(&given)
            .ok_or_else(|| wrong("a CloudEvent of version 1.0 in its JSON format"))?;
        // What is a fraction in one spelling may be a whole number in the other.
        let said = parse_loose(&event).ok().as_ref().and_then(Said::of);
        let said = said.ok_or_else(|| wrong("a CloudEvent with its data as JSON"))?;
        let proof = match (read.text_or_none("proof")?, read.text_or_none("key")?) {
            (Some(text), Some(key)) if text.len() <= PROOF_BYTES_MAX => {
                let holds = proves(&text, &key, &event);
                Some(Proof { text, key, holds })
            }
            (Some(text), Some(_)) => {
                return Err(read.wrong("proof", "at most 128 KiB", &Value::from(text)));
            }
            (Some(_), None) => return Err(BadArgs::Missing { action: Self::ACTION, name: "key" }),
            (None, Some(_)) => {
                return Err(BadArgs::Missing { action: Self::ACTION, name: "proof" });
            }
            (None, None) => None,
        };
        let effect = Self { event, proof, said: Box::new(said) };
        effect.agrees(&read)?;
        Ok(effect)
    }

    /// What follows from the event is not set beside it.
    fn agrees(&self, read: &Args<'_>) -> Result<(), BadArgs> {
        let own = self.args();
        let stray = |name: &'static str| {
            let given = read.get(name).filter(|given| own.get(name) != Some(*given))?;
            Some((name, given))
        };
        match FOLLOWS.into_iter().find_map(stray) {
            Some((name, given)) => Err(read.wrong(name, "left out, or what the event says", given)),
            None => Ok(()),
        }
    }

    /// Whether recorded arguments are what their event and proof come to.
    pub(crate) fn follows(args: &Map) -> bool {
        Self::from_args(args).is_ok_and(|effect| effect.args() == *args)
    }

    /// Which completion it is: two events with one `source` and `id` are one.
    #[must_use]
    pub fn completion(&self) -> (&str, &str) {
        (&self.said.source, &self.said.id)
    }

    /// Whether this is the completion that was taken in as `known`: the same event, or, where both
    /// are proven, the same in all that a proof is about. What is not proven says nothing of which
    /// it is.
    #[must_use]
    pub fn is_same(&self, known: &Self) -> bool {
        let proven = |effect: &Self| effect.proof.as_ref().is_some_and(|proof| proof.holds);
        self.event == known.event
            || (proven(self) && proven(known) && self.told_by_seal() == known.told_by_seal())
    }

    /// The event without what is in no seal.
    fn told_by_seal(&self) -> Option<Value> {
        let mut event = parse(&self.event).ok()?;
        if let Value::Map(members) = &mut event
            && let Some(Value::Map(data)) = members.get_mut("data")
        {
            UNPROVEN.iter().for_each(|name| drop(data.remove(name)));
        }
        Some(event)
    }

    /// What was taken in.
    #[must_use]
    pub fn accepted(&self) -> Value {
        let mut accepted = self.args();
        accepted.remove("event");
        accepted.remove("proof");
        Value::Map(accepted)
    }
}

impl Said {
    fn of(event: &Loose) -> Option<Self> {
        let text = |name: &str| event.get(name).and_then(Loose::as_text).map(str::to_owned);
        let status = event.at(&["data", "status"]).and_then(Loose::as_text);
        // Data in another form is none that anybody could look into.
        let is_opaque = text("data_base64").is_some();
        (!is_opaque).then_some(())?;
        Some(Self {
            id: text("id")?,
            source: text("source")?,
            kind: text("type")?,
            time: text("time"),
            subject: text("subject"),
            status: status.map(str::to_owned),
            data: event.get("data").cloned().and_then(|data| data.exact().ok()).filter(is_some),
        })
    }
}

fn is_some(value: &Value) -> bool {
    *value != Value::Null
}

/// Whether a log of this key has an entry that seals a session, and the event is what that entry
/// is told as.
fn proves(proof: &str, key: &str, event: &str) -> bool {
    let read = || {
        let proof: ProvenEntry = proof.parse().ok()?;
        let key: VerifierKey = key.parse().ok()?;
        let (tenant, origin) = (proof.unverified().tenant(), key.name().to_owned());
        let entry = proof.verify(tenant, &origin, std::slice::from_ref(&key)).ok()?;
        Some(entry.kind() == Kind::SessionSealed && told(entry, &origin, event)? == event)
    };
    read().unwrap_or(false)
}

/// The event that an entry is told as. What is not in the entry itself is taken from the event:
/// the name of the workflow, how long it took and the tokens. None of them is so large that the
/// entry would have to be left out.
fn told(entry: &Entry, origin: &str, event: &str) -> Option<String> {
    let event = parse(event).ok()?;
    let data = |name: &str| event.at(&["data", name]);
    let began = |ms: u64| {
        let micros = i64::try_from(ms).ok()?.checked_mul(1_000)?;
        entry.at().micros().checked_sub(micros).map(Timestamp::from_micros)
    };
    let workflow = data("workflow_id").and_then(Value::as_text).map(str::to_owned);
    let is_name = |name: &String| {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        name.len() <= WORKFLOW_BYTES_MAX && name.chars().all(is_part)
    };
    if !workflow.as_ref().is_none_or(is_name) || data("entry_omitted").is_some() {
        return None;
    }
    let facts = Facts {
        workflow,
        started_at: data("duration_ms").and_then(Value::as_u64).and_then(began),
        tokens: data("token_usage").and_then(Value::as_u64),
    };
    Some(Event::of(entry, origin, &facts).json().to_owned())
}

impl Effect for SessionAccept {
    fn action(&self) -> &'static str {
        Self::ACTION
    }
    fn resource(&self) -> Resource {
        Resource { kind: "Source", name: self.said.source.clone() }
    }
    fn args(&self) -> Map {
        let Said { id, source, kind, time, subject, status, data } = &*self.said;
        let proven = self.proof.as_ref().is_some_and(|proof| proof.holds);
        let mut args = Map::from([
            ("event".into(), self.event.as_str().into()),
            ("id".into(), id.as_str().into()),
            ("proven".into(), proven.into()),
            ("source".into(), source.as_str().into()),
            ("type".into(), kind.as_str().into()),
        ]);
        let some = [("time", time), ("subject", subject), ("status", status)];
        let some = some.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?)));
        args.extend(some.map(|(name, text)| (name.to_owned(), text.into())));
        args.extend(data.clone().map(|data| ("data".into(), data)));
        if let Some(Proof { text, key, .. }) = &self.proof {
            args.insert("proof".into(), text.as_str().into());
            args.insert("key".into(), key.as_str().into());
        }
        args
    }
    fn footprint(&self) -> Footprint {
        let (source, id) = self.completion();
        let key = format!("session:{source}#{id}");
        Footprint { writes: [key].into(), ..Footprint::default() }
    }
    fn redo(&self) -> Redo {
        Redo::Safe
    }
}
