//! What can be asked of the process of a run, as it goes over the socket.

use std::collections::BTreeMap;
use std::str::FromStr;

use cog_base::Value;
use cog_base::id::{ApprovalId, RunId};
use cog_base::json::parse;
use cog_engine::Sent;
use cog_flow::Signal;
use cog_gate::Actor;

/// The version of these requests: another release may mean something else by them.
const VERSION: u64 = 1;
/// The most bytes of a reason, or of whose data a signal holds: they stand in entries with other
/// things, and an entry that does not fit would stop the run.
const TEXT_BYTES_MAX: usize = 4_096;

/// What somebody fills in, as it was typed, by the names of the fields.
pub(crate) type Given = BTreeMap<String, String>;

/// Something asked about a run, or about what a run waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// Answer a request for approval: yes and what is filled in, or no and why.
    Answer { id: ApprovalId, who: Actor, verdict: Result<Given, String> },
    /// Have another person answer one.
    Delegate { id: ApprovalId, who: Actor, to: Actor, reason: Option<String> },
    /// Send a signal.
    Signal { run: RunId, sent: Sent },
    /// Hold a run, or let it go on.
    Hold { run: RunId, pauses: bool, who: Actor, reason: String },
    /// End a run.
    Cancel { run: RunId, who: Actor, reason: String },
}

impl Request {
    /// The document that says it.
    pub(super) fn to_value(&self) -> Value {
        let members: Vec<(&str, Value)> = match self {
            Self::Answer { id, who, verdict } => {
                let members = vec![
                    ("do", "answer".into()),
                    ("id", (*id).into()),
                    ("as", who.as_str().into()),
                    ("no", verdict.as_ref().err().map(String::as_str).into()),
                ];
                let form = verdict.as_ref().ok().filter(|given| !given.is_empty()).map(|given| {
                    let given = given.iter().map(|(name, text)| (name.as_str(), text.as_str()));
                    ("form", Value::map(given))
                });
                members.into_iter().chain(form).collect()
            }
            Self::Delegate { id, who, to, reason } => vec![
                ("do", "delegate".into()),
                ("id", (*id).into()),
                ("as", who.as_str().into()),
                ("to", to.as_str().into()),
                ("reason", reason.as_deref().into()),
            ],
            Self::Signal { run, sent: Sent { signal, subject } } => vec![
                ("do", "signal".into()),
                ("run", (*run).into()),
                ("id", signal.id.as_str().into()),
                ("name", signal.name.as_str().into()),
                ("as", signal.from.as_str().into()),
                ("payload", signal.payload.clone()),
                ("subject", subject.as_deref().into()),
            ],
            Self::Hold { run, pauses, who, reason } => {
                of_run(if *pauses { "pause" } else { "unpause" }, *run, who, reason)
            }
            Self::Cancel { run, who, reason } => of_run("cancel", *run, who, reason),
        };
        Value::map(members.into_iter().chain([("v", VERSION.into())]))
    }

    /// Read what was sent.
    ///
    /// # Errors
    /// What cannot be read of it.
    pub(super) fn read(line: &str) -> Result<Self, String> {
        let value = parse(line).map_err(|error| format!("it is no JSON: {error}"))?;
        if value.get("v").and_then(Value::as_u64) != Some(VERSION) {
            return Err("it is from another release; end the run and try again".to_owned());
        }
        match text(&value, "do")? {
            "answer" => {
                let no = value.get("no").and_then(Value::as_text);
                let no = no.map(|no| short("no", no)).transpose()?;
                let (id, who) = (parsed(&value, "id")?, parsed(&value, "as")?);
                let verdict = no.map_or_else(|| given(&value).map(Ok), |no| Ok(Err(no)))?;
                Ok(Self::Answer { id, who, verdict })
            }
            "delegate" => {
                let reason = value.get("reason").and_then(Value::as_text);
                let reason = reason.map(|reason| short("reason", reason)).transpose()?;
                let (id, who) = (parsed(&value, "id")?, parsed(&value, "as")?);
                Ok(Self::Delegate { id, who, to: parsed(&value, "to")?, reason })
            }
            "signal" => {
                let from: Actor = parsed(&value, "as")?;
                let payload = value.get("payload").cloned().unwrap_or(Value::Null);
                let (id, name) = (text(&value, "id")?.to_owned(), text(&value, "name")?.to_owned());
                let signal = Signal { id, name, from: from.as_str().to_owned(), payload };
                let subject = value.get("subject").and_then(Value::as_text);
                let subject = subject.map(|subject| short("subject", subject)).transpose()?;
                Ok(Self::Signal { run: parsed(&value, "run")?, sent: Sent { signal, subject } })
            }
            what @ ("pause" | "unpause" | "cancel") => {
                let (run, who) = (parsed(&value, "run")?, parsed(&value, "as")?);
                let reason = short("reason", text(&value, "reason")?)?;
                Ok(match what {
                    "cancel" => Self::Cancel { run, who, reason },
                    _ => Self::Hold { run, pauses: what == "pause", who, reason },
                })
            }
            other => Err(format!("nobody here knows what `{other}` is")),
        }
    }
}

/// What is filled in, as it was typed.
fn given(value: &Value) -> Result<Given, String> {
    let Some(form) = value.get("form") else { return Ok(Given::new()) };
    let text = |(name, text): (&String, &Value)| Some((name.clone(), text.as_text()?.to_owned()));
    let given = form.as_map().and_then(|form| form.iter().map(text).collect());
    given.ok_or_else(|| "its `form` cannot be read".to_owned())
}

fn of_run(what: &str, run: RunId, who: &Actor, reason: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("do", what.into()),
        ("run", run.into()),
        ("as", who.as_str().into()),
        ("reason", reason.into()),
    ]
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str, String> {
    value.get(name).and_then(Value::as_text).ok_or_else(|| format!("its `{name}` is no text"))
}

fn parsed<T: FromStr>(value: &Value, name: &str) -> Result<T, String> {
    text(value, name)?.parse().map_err(|_| format!("its `{name}` cannot be read"))
}

/// A text that fits into an entry beside other things.
fn short(name: &str, text: &str) -> Result<String, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("its `{name}` is longer than {TEXT_BYTES_MAX} bytes"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use cog_base::id::Uuid;

    use super::*;

    fn requests() -> Vec<Request> {
        let run = RunId::from_uuid(Uuid::from_u128(7));
        let id = ApprovalId::from_uuid(Uuid::from_u128(8));
        let who: Actor = "user:cfo".parse().unwrap();
        let reason = "gone".to_owned();
        let signal = |payload| Signal {
            id: "a".into(),
            name: "paid".into(),
            from: "user:cfo".into(),
            payload,
        };
        let subject = Some("northwind".to_owned());
        let payload = Value::map([("order", 7_u64)]);
        vec![
            Request::Answer { id, who: who.clone(), verdict: Ok(Given::new()) },
            Request::Answer {
                id,
                who: who.clone(),
                verdict: Ok(Given::from([("cents".into(), "7".into())])),
            },
            Request::Answer { id, who: who.clone(), verdict: Err(reason.clone()) },
            Request::Delegate { id, who: who.clone(), to: who.clone(), reason: None },
            Request::Delegate {
                id,
                who: who.clone(),
                to: who.clone(),
                reason: Some(reason.clone()),
            },
            Request::Signal { run, sent: Sent { signal: signal(Value::Null), subject: None } },
            Request::Signal { run, sent: Sent { signal: signal(payload), subject } },
            Request::Hold { run, pauses: true, who: who.clone(), reason: reason.clone() },
            Request::Hold { run, pauses: false, who: who.clone(), reason: reason.clone() },
            Request::Cancel { run, who, reason },
        ]
    }

    #[test]
    fn every_request_reads_back() {
        for request in requests() {
            assert_eq!(Request::read(&request.to_value().to_string()), Ok(request));
        }
    }

    #[test]
    fn what_is_malformed_is_named() {
        let cancel = requests().pop().unwrap().to_value().to_string();
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        for (line, why) in [
            ("", "no JSON"),
            ("[]", "another release"),
            (&cancel.replace("\"v\":1", "\"v\":2"), "another release"),
            (&cancel.replace("\"cancel\"", "\"append\""), "`append`"),
            (&cancel.replace("user:cfo", "cfo"), "`as`"),
            (&cancel.replace("run_", "ten_"), "`run`"),
            (&cancel.replace("gone", &long), "longer"),
            (&cancel.replace("\"gone\"", "7"), "no text"),
        ] {
            let error = Request::read(line).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
