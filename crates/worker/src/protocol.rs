//! What is said, as values of JSON: strictly read, so that what nobody knows is refused.

use std::collections::BTreeMap;

use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_base::json::Map;
use cog_base::{Micros, Value};
use cog_gate::effect::Prices;
use cog_gate::piece::{PIECE_BYTES_MAX, stream};
use cog_gate::{AnyEffect, End, Failure, Found};

/// The most tasks that are handed out at once.
pub const POLL_MAX: u64 = 64;
/// The longest that a poll waits, in milliseconds.
pub const WAIT_MS_MAX: u64 = 30_000;
/// The most tenants that a worker names.
pub const TENANTS_MAX: usize = 10_000;
/// The most kinds of effects that a worker names.
pub const KINDS_MAX: usize = AnyEffect::ACTIONS.len();
/// The longest name of a worker, code or text of progress, in bytes.
const NAME_BYTES_MAX: usize = 256;
/// The longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 16_384;

/// A worker asks for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// What the worker is called.
    pub worker: String,
    /// The kinds of effects that it performs: `file.write` and the like.
    pub kinds: Vec<String>,
    /// Whose receipts it can check.
    pub tenants: Vec<TenantId>,
    /// How many tasks it takes.
    pub max: u64,
    /// How long it waits for the first.
    pub wait_ms: u64,
}

/// A folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Where it stands, absolute.
    pub path: String,
    /// Whether the run may write there.
    pub write: bool,
    /// Whether it is made when it is missing.
    pub create: bool,
}

/// What is to be done about a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Perform its effect.
    Perform,
    /// Look whether its effect was performed.
    Probe,
}

/// A task as a worker is handed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// What is to be done.
    pub what: What,
    /// Whose.
    pub tenant: TenantId,
    /// Of which run.
    pub run: RunId,
    /// Under which receipt.
    pub receipt: ReceiptId,
    /// The kind of the effect.
    pub action: String,
    /// Its arguments, whose digest is in the receipt.
    pub args: Map,
    /// The receipt with its proof, as one text.
    pub proof: String,
    /// The number of the attempt.
    pub attempt: u64,
    /// What this handing out is known by: a later one has a higher.
    pub fence: u64,
    /// The folder of the workflow file.
    pub base: String,
    /// The folders of the run.
    pub roots: BTreeMap<String, Root>,
    /// What is billed.
    pub prices: Prices,
    /// How long the attempt may take.
    pub timeout_ms: Option<u64>,
    /// How long the worker may be silent about it.
    pub lease_ms: u64,
    /// Whether what the effect gives is wanted while it is under way.
    pub stream: bool,
}

/// What an effect gave, while it is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Who performs it.
    pub worker: String,
    /// The fence of the task.
    pub fence: u64,
    /// From which of its streams.
    pub name: &'static str,
    /// How many bytes this handing out gave before, of all streams.
    pub offset: u64,
    /// What is new.
    pub text: String,
}

/// What a worker says came of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Came {
    /// It performed the effect, or tried to.
    Performed(End, Micros),
    /// It looked.
    Found(Found),
    /// It did nothing: it does not accept the receipt, or cannot be bound to the places of the run.
    Refused(Failure),
}

/// A report as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The fence of the task.
    pub fence: u64,
    /// Who reports.
    pub worker: String,
    /// What came of it.
    pub came: Came,
}

/// What was said is not what may be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// Why something that a worker says of a task does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such task here, any more or yet.
    #[error("there is no task of this receipt here")]
    NoTask,
    /// It was handed out again since, or to somebody else.
    #[error("the task was handed out again since, or to another worker")]
    Stale,
    /// It was not begun.
    #[error("the task was not begun")]
    NotBegun,
    /// Its time is over.
    #[error("the receipt has expired")]
    Expired,
    /// Something else was reported before.
    #[error("another outcome was reported before")]
    Settled,
    /// It says that it cost more than was reserved.
    #[error("it cost more than was reserved for it")]
    Cost,
    /// A probe was answered as an effect, or the other way round, or what it gives was not asked for.
    #[error("this is no answer to what the task asks for")]
    OtherAnswer,
    /// What an effect gave does not go on from what it gave before.
    #[error("this does not go on from what was given before")]
    OtherOffset,
}

impl Refused {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoTask => "worker.no_task",
            Self::Stale => "worker.stale",
            Self::NotBegun => "worker.not_begun",
            Self::Expired => "worker.expired",
            Self::Settled => "worker.settled",
            Self::Cost => "worker.cost",
            Self::OtherAnswer => "worker.other_answer",
            Self::OtherOffset => "worker.other_offset",
        }
    }
}

/// A sign of life: a worker begins a task, or is still at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// Who.
    pub worker: String,
    /// The fence of the task.
    pub fence: u64,
    /// How far it is, in words for people.
    pub progress: Option<String>,
}

impl Sign {
    /// As it is sent.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::map([
            ("worker", Value::from(self.worker.as_str())),
            ("fence", self.fence.into()),
            ("progress", self.progress.as_deref().into()),
        ])
    }

    /// As it was sent.
    ///
    /// # Errors
    /// [`Malformed`] names what is wrong.
    pub fn from_value(value: &Value) -> Result<Self, Malformed> {
        let mut members = Members::of(value, "sign")?;
        let (worker, fence) = (members.text("worker", NAME_BYTES_MAX)?, members.number("fence")?);
        let progress = members.maybe_text("progress")?;
        members.end().map(|()| Self { worker, fence, progress })
    }
}

impl Given {
    /// As it is sent.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::map([
            ("worker", Value::from(self.worker.as_str())),
            ("fence", self.fence.into()),
            ("name", self.name.into()),
            ("offset", self.offset.into()),
            ("text", self.text.as_str().into()),
        ])
    }

    /// As it was sent.
    ///
    /// # Errors
    /// [`Malformed`] names what is wrong.
    pub fn from_value(value: &Value) -> Result<Self, Malformed> {
        let mut members = Members::of(value, "piece")?;
        let (worker, fence) = (members.text("worker", NAME_BYTES_MAX)?, members.number("fence")?);
        let name = stream(&members.text("name", NAME_BYTES_MAX)?);
        let name = name.ok_or_else(|| members.bad("name", "a stream of an effect"))?;
        let offset = members.number("offset")?;
        let text = members.text("text", PIECE_BYTES_MAX)?;
        members.end().map(|()| Self { worker, fence, name, offset, text })
    }
}

/// Reads the members of a map, each once, and refuses those that are left.
struct Members<'a>(Map, &'a str);

impl<'a> Members<'a> {
    fn of(value: &Value, what: &'a str) -> Result<Self, Malformed> {
        let map = value.as_map().ok_or_else(|| Malformed(format!("a {what} is an object")))?;
        Ok(Self(map.clone(), what))
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| *value != Value::Null)
    }

    fn bad(&self, name: &str, wanted: &str) -> Malformed {
        Malformed(format!("`{name}` of a {} is {wanted}", self.1))
    }

    fn text(&mut self, name: &str, bytes_max: usize) -> Result<String, Malformed> {
        let value = self.take(name);
        let text = value.as_ref().and_then(Value::as_text).filter(|it| it.len() <= bytes_max);
        let wanted = || self.bad(name, &format!("a text of at most {bytes_max} bytes"));
        text.map(str::to_owned).ok_or_else(wanted)
    }

    fn maybe_text(&mut self, name: &str) -> Result<Option<String>, Malformed> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let text = value.as_text().filter(|text| text.len() <= NAME_BYTES_MAX);
        let wanted = || self.bad(name, &format!("a text of at most {NAME_BYTES_MAX} bytes"));
        text.map(|text| Some(text.to_owned())).ok_or_else(wanted)
    }

    fn maybe(&mut self, name: &str) -> Result<Option<u64>, Malformed> {
        let Some(value) = self.take(name) else { return Ok(None) };
        value.as_u64().map(Some).ok_or_else(|| self.bad(name, "a number from 0 on"))
    }

    fn number(&mut self, name: &str) -> Result<u64, Malformed> {
        self.maybe(name)?.ok_or_else(|| self.bad(name, "a number from 0 on"))
    }

    fn flag(&mut self, name: &str) -> Result<bool, Malformed> {
        let value = self.take(name).and_then(|value| value.as_bool());
        value.ok_or_else(|| self.bad(name, "true or false"))
    }

    fn map(&mut self, name: &str) -> Result<Map, Malformed> {
        let value = self.take(name);
        let map = value.as_ref().and_then(Value::as_map).cloned();
        map.ok_or_else(|| self.bad(name, "an object"))
    }

    fn id<T: std::str::FromStr>(&mut self, name: &str) -> Result<T, Malformed> {
        let text = self.text(name, NAME_BYTES_MAX)?;
        text.parse().map_err(|_| self.bad(name, "an id"))
    }

    fn list<T: std::str::FromStr>(&mut self, name: &str, max: usize) -> Result<Vec<T>, Malformed> {
        let value = self.take(name);
        let list = value.as_ref().and_then(Value::as_list).filter(|list| list.len() <= max);
        let wanted = || self.bad(name, &format!("a list of at most {max} names"));
        let names = list.ok_or_else(wanted)?.iter();
        let read: Option<Vec<T>> = names.map(|it| it.as_text()?.parse().ok()).collect();
        read.ok_or_else(wanted)
    }

    fn end(self) -> Result<(), Malformed> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Malformed(format!("a {} has no `{name}`", self.1))),
        }
    }
}

impl Poll {
    /// As it is sent.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::map([
            ("worker", Value::from(self.worker.as_str())),
            ("kinds", Value::list(self.kinds.iter().map(String::as_str))),
            ("tenants", Value::list(self.tenants.iter().copied())),
            ("max", self.max.into()),
            ("wait_ms", self.wait_ms.into()),
        ])
    }

    /// As it was sent.
    ///
    /// # Errors
    /// [`Malformed`] names what is wrong.
    pub fn from_value(value: &Value) -> Result<Self, Malformed> {
        let mut members = Members::of(value, "poll")?;
        let poll = Self {
            worker: members.text("worker", NAME_BYTES_MAX)?,
            kinds: members.list("kinds", KINDS_MAX)?,
            tenants: members.list("tenants", TENANTS_MAX)?,
            max: members.number("max")?.clamp(1, POLL_MAX),
            wait_ms: members.number("wait_ms")?.min(WAIT_MS_MAX),
        };
        members.end().map(|()| poll)
    }
}

impl Task {
    /// As it is sent.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let root = |root: &Root| {
            Value::map([
                ("path", Value::from(root.path.as_str())),
                ("write", root.write.into()),
                ("create", root.create.into()),
            ])
        };
        let roots = self.roots.iter().map(|(name, it)| (name.as_str(), root(it)));
        let what = match self.what {
            What::Perform => "perform",
            What::Probe => "probe",
        };
        let prices =
            [("input", Value::from(self.prices.input)), ("output", self.prices.output.into())];
        Value::map([
            ("what", Value::from(what)),
            ("tenant", self.tenant.into()),
            ("run", self.run.into()),
            ("receipt", self.receipt.into()),
            ("action", self.action.as_str().into()),
            ("args", Value::Map(self.args.clone())),
            ("proof", self.proof.as_str().into()),
            ("attempt", self.attempt.into()),
            ("fence", self.fence.into()),
            ("base", self.base.as_str().into()),
            ("roots", Value::map(roots)),
            ("prices", Value::map(prices)),
            ("timeout_ms", self.timeout_ms.into()),
            ("lease_ms", self.lease_ms.into()),
            ("stream", self.stream.into()),
        ])
    }

    /// As it was sent.
    ///
    /// # Errors
    /// [`Malformed`] names what is wrong.
    pub fn from_value(value: &Value) -> Result<Self, Malformed> {
        let mut members = Members::of(value, "task")?;
        let what = match members.text("what", NAME_BYTES_MAX)?.as_str() {
            "perform" => What::Perform,
            "probe" => What::Probe,
            _ => return Err(members.bad("what", "`perform` or `probe`")),
        };
        let mut roots = BTreeMap::new();
        for (name, root) in members.map("roots")? {
            let mut members = Members::of(&root, "root")?;
            let (path, write) = (members.text("path", MESSAGE_BYTES_MAX)?, members.flag("write")?);
            let create = members.flag("create")?;
            members.end()?;
            roots.insert(name, Root { path, write, create });
        }
        let mut prices = Members::of(&Value::Map(members.map("prices")?), "price")?;
        let (input, output) = (prices.number("input")?, prices.number("output")?);
        prices.end()?;
        let task = Self {
            what,
            tenant: members.id("tenant")?,
            run: members.id("run")?,
            receipt: members.id("receipt")?,
            action: members.text("action", NAME_BYTES_MAX)?,
            args: members.map("args")?,
            proof: members.text("proof", 1 << 20)?,
            attempt: members.number("attempt")?,
            fence: members.number("fence")?,
            base: members.text("base", MESSAGE_BYTES_MAX)?,
            roots,
            prices: Prices { input, output },
            timeout_ms: members.maybe("timeout_ms")?,
            lease_ms: members.number("lease_ms")?,
            stream: members.flag("stream")?,
        };
        members.end().map(|()| task)
    }
}

impl Report {
    /// As it is sent.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut members = Map::from([
            ("fence".into(), self.fence.into()),
            ("worker".into(), self.worker.as_str().into()),
        ]);
        let mut put = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
        match &self.came {
            Came::Performed(end, cost) => {
                put("disposition", end.word().into());
                put("cost_micros", (*cost).into());
                match end {
                    End::Completed(output) => put("output", output.clone()),
                    End::Failed(failure) => put("error", error(failure)),
                    End::Abandoned | End::Unknown => {}
                }
            }
            Came::Found(Found::Done(output)) => {
                put("found", "done".into());
                put("output", output.clone());
            }
            Came::Found(Found::NotDone) => put("found", "not_done".into()),
            Came::Found(Found::CannotTell) => put("found", "cannot_tell".into()),
            Came::Refused(failure) => put("refused", error(failure)),
        }
        Value::Map(members)
    }

    /// As it was sent.
    ///
    /// # Errors
    /// [`Malformed`] names what is wrong.
    pub fn from_value(value: &Value) -> Result<Self, Malformed> {
        let mut members = Members::of(value, "report")?;
        let (fence, worker) = (members.number("fence")?, members.text("worker", NAME_BYTES_MAX)?);
        let output = |members: &mut Members<'_>| {
            // `null` is an output like any other.
            members.0.remove("output").ok_or_else(|| members.bad("output", "what came of it"))
        };
        let came = if members.0.contains_key("disposition") {
            let word = members.text("disposition", NAME_BYTES_MAX)?;
            let cost = Micros::new(members.number("cost_micros")?);
            let end = match word.as_str() {
                "completed" => End::Completed(output(&mut members)?),
                "failed" => End::Failed(failure(&mut members, "error")?),
                "unknown" => End::Unknown,
                _ => {
                    let wanted = "`completed`, `failed` or `unknown`";
                    return Err(members.bad("disposition", wanted));
                }
            };
            Came::Performed(end, cost)
        } else if members.0.contains_key("found") {
            Came::Found(match members.text("found", NAME_BYTES_MAX)?.as_str() {
                "done" => Found::Done(output(&mut members)?),
                "not_done" => Found::NotDone,
                "cannot_tell" => Found::CannotTell,
                _ => return Err(members.bad("found", "`done`, `not_done` or `cannot_tell`")),
            })
        } else {
            Came::Refused(failure(&mut members, "refused")?)
        };
        members.end().map(|()| Self { fence, worker, came })
    }
}

fn error(failure: &Failure) -> Value {
    Value::map([
        ("code", Value::from(failure.code.as_str())),
        ("message", failure.message.as_str().into()),
        ("transient", failure.transient.into()),
    ])
}

fn failure(members: &mut Members<'_>, name: &str) -> Result<Failure, Malformed> {
    let mut error = Members::of(&Value::Map(members.map(name)?), "failure")?;
    let (code, message) =
        (error.text("code", NAME_BYTES_MAX)?, error.text("message", MESSAGE_BYTES_MAX)?);
    let transient = error.flag("transient")?;
    error.end().map(|()| Failure { code, message, transient })
}
