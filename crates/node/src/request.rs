//! What is asked of the owner of a log, as mail.

use std::collections::BTreeMap;

use cog_base::id::{ApprovalId, MailId, RunId, TenantId};
use cog_base::json::{Map, parse};
use cog_base::{Digest, Value};
use cog_gate::Actor;
use cog_ledger::entry::NAME_BYTES_MAX;
use cog_store::{Files, Mail, Posted, RequestKey, Shared, StoreError};

const START: &str = "start";
const FOUND: &str = "found";
const ANSWER: &str = "answer";
const CANCEL: &str = "cancel";
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
        /// Yes, or no with a reason.
        verdict: Result<(), String>,
    },
    /// End a run.
    Cancel {
        /// The run.
        run: RunId,
        /// Who ends it.
        who: Actor,
        /// Why.
        reason: String,
    },
}

/// A run that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its id, chosen by who asks: there is one run of it, however often it is delivered.
    pub run: RunId,
    /// The text of the workflow file.
    pub source: String,
    /// Its inputs as they were given, by name.
    pub given: BTreeMap<String, String>,
    /// Where its roots stand, absolute and without symbolic links.
    pub places: BTreeMap<String, String>,
    /// The folder of the workflow file, likewise.
    pub base: String,
    /// Who starts it.
    pub initiator: Actor,
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
    /// The mail that says it.
    #[must_use]
    pub fn mail(&self, id: MailId) -> Mail {
        let (kind, run, members) = match self {
            Self::Start(wanted) => (START, Some(wanted.run), wanted.members()),
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
                (ANSWER, Some(*run), Value::map(members))
            }
            Self::Cancel { run, who, reason } => {
                let members = [("who", who.as_str()), ("reason", reason.as_str())];
                let members = members.map(|(name, text)| (name, Value::from(text)));
                (CANCEL, Some(*run), Value::map(members))
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
                    None => Ok(()),
                };
                Ok(Self::Answer { run: run?, approval, who: actor_of(&value, "who")?, verdict })
            }
            CANCEL => {
                let (who, reason) = (actor_of(&value, "who")?, text_of(&value, "reason")?);
                let reason = sized("reason", reason, (0, REASON_BYTES_MAX))?;
                Ok(Self::Cancel { run: run?, who, reason })
            }
            other => Err(BadRequest::Kind(other.to_owned())),
        }
    }
}

impl Wanted {
    fn members(&self) -> Value {
        Value::map([
            ("source", Value::from(self.source.as_str())),
            ("given", texts(&self.given)),
            ("places", texts(&self.places)),
            ("base", self.base.as_str().into()),
            ("initiator", self.initiator.as_str().into()),
            ("environment", self.environment.as_deref().into()),
        ])
    }

    fn read(run: RunId, value: &Value) -> Result<Self, BadRequest> {
        let named = value.get("environment").and_then(Value::as_text);
        let places = texts_of(value, "places")?;
        for place in places.values() {
            fits("places", place, (0, PATH_BYTES_MAX))?;
        }
        Ok(Self {
            run,
            source: text_of(value, "source")?,
            given: texts_of(value, "given")?,
            places,
            base: sized("base", text_of(value, "base")?, (0, PATH_BYTES_MAX))?,
            initiator: actor_of(value, "initiator")?,
            environment: named.map(|named| environment(named.to_owned())).transpose()?,
        })
    }
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

fn actor_of(value: &Value, name: &'static str) -> Result<Actor, BadRequest> {
    text_of(value, name)?.parse().map_err(|_| BadRequest::Member(name))
}

#[cfg(test)]
mod tests {
    use cog_base::id::Uuid;

    use super::*;

    fn actor(name: &str) -> Actor {
        name.parse().unwrap()
    }

    #[test]
    fn every_request_reads_back_from_its_mail() {
        let run = RunId::from_uuid(Uuid::from_u128(7));
        let approval = ApprovalId::from_uuid(Uuid::from_u128(8));
        let wanted = Wanted {
            run,
            source: "name: x".into(),
            given: [("a".to_owned(), "1".to_owned())].into(),
            places: [("out".to_owned(), "/srv/out".to_owned())].into(),
            base: "/srv".into(),
            initiator: actor("user:ada"),
            environment: Some("production".into()),
        };
        let who = actor("user:cfo");
        for request in [
            Request::Start(Box::new(wanted)),
            Request::Found {
                files: [("canon.toml".to_owned(), "name = \"x\"".to_owned())].into(),
                environment: "development".into(),
                who: who.clone(),
            },
            Request::Answer { run, approval, who: who.clone(), verdict: Ok(()) },
            Request::Answer { run, approval, who: who.clone(), verdict: Err("not now".into()) },
            Request::Cancel { run, who, reason: "gone".into() },
        ] {
            let mail = request.mail(MailId::from_uuid(Uuid::from_u128(9)));
            assert_eq!(Request::read(&mail), Ok(request));
        }
    }

    #[test]
    fn what_no_entry_could_hold_is_not_read() {
        let (run, approval) =
            (RunId::from_uuid(Uuid::from_u128(7)), ApprovalId::from_uuid(Uuid::from_u128(8)));
        let who = || actor("user:ada");
        let start = |environment: Option<&str>, base: &str, place: &str| {
            Request::Start(Box::new(Wanted {
                run,
                source: "name: x".into(),
                given: BTreeMap::new(),
                places: [("out".to_owned(), place.to_owned())].into(),
                base: base.to_owned(),
                initiator: who(),
                environment: environment.map(str::to_owned),
            }))
        };
        let found = |environment: &str| Request::Found {
            files: Files::new(),
            environment: environment.to_owned(),
            who: who(),
        };
        let cancel = |reason: String| Request::Cancel { run, who: who(), reason };
        let no = |no: String| Request::Answer { run, approval, who: who(), verdict: Err(no) };
        let (name, long) = ("e".repeat(256), "r".repeat(4_096));
        let read =
            |request: &Request| Request::read(&request.mail(MailId::from_uuid(Uuid::from_u128(9))));
        for good in
            [start(Some(&name), &long, &long), found(&name), cancel(long.clone()), no(long.clone())]
        {
            assert_eq!(read(&good), Ok(good));
        }
        let (name, long) = (name + "e", long + "r");
        for (bad, member) in [
            (start(Some(""), "/", "/"), "environment"),
            (start(Some(&name), "/", "/"), "environment"),
            (start(None, &long, "/"), "base"),
            (start(None, "/", &long), "places"),
            (found(""), "environment"),
            (found(&name), "environment"),
            (cancel(long.clone()), "reason"),
            (no(long), "no"),
        ] {
            let error = read(&bad).unwrap_err();
            assert!(matches!(error, BadRequest::Size { name, .. } if name == member), "{error}");
        }
    }

    #[test]
    fn what_a_later_release_asks_is_not_misread() {
        let mail = |kind: &str, payload: &str| Mail {
            id: MailId::from_uuid(Uuid::from_u128(9)),
            kind: kind.to_owned(),
            run: None,
            payload: payload.as_bytes().to_vec(),
        };
        assert_eq!(Request::read(&mail("signal", "{}")), Err(BadRequest::Kind("signal".into())));
        assert_eq!(Request::read(&mail("start", "{}")), Err(BadRequest::Member("run")));
        assert_eq!(Request::read(&mail("found", "{}")), Err(BadRequest::Member("files")));
        assert_eq!(Request::read(&mail("found", "no")), Err(BadRequest::Member("it")));
    }
}
