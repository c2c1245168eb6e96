//! The entries of one run, read into what they say of its steps.

use std::collections::BTreeMap;

use cog_base::json::Map;
use cog_base::{Digest, Timestamp, Value};
use cog_ledger::{Entry, Kind};

use crate::checker::Record;

/// The entries of one run in their order. A place in it is an index into `events`.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) events: Vec<Event>,
    /// By step, where something of it begins: requests, receipts, denials, selections.
    pub(crate) begins: BTreeMap<String, Vec<usize>>,
    /// By name, where a timer was due.
    pub(crate) timers: BTreeMap<String, Vec<usize>>,
    /// By receipt, the places of its outcomes.
    pub(crate) outcomes: BTreeMap<String, Vec<usize>>,
    /// By run that a step began, the places where its end is told.
    pub(crate) ends: BTreeMap<String, Vec<usize>>,
    /// By request, the places of its answers.
    pub(crate) answers: BTreeMap<String, Vec<usize>>,
}

/// One entry.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) kind: Kind,
    pub(crate) leaf: Digest,
    pub(crate) actor: String,
    pub(crate) canon: Option<Digest>,
    pub(crate) what: What,
}

/// What an entry says.
#[derive(Debug)]
pub(crate) enum What {
    Started {
        initiator: String,
    },
    Receipt(Receipt),
    Outcome(Outcome),
    Denial {
        step: String,
        error: Option<Value>,
    },
    Planned {
        step: String,
        chosen: Option<String>,
        reason: Option<Value>,
    },
    Requested(Request),
    Escalated {
        request: String,
        intent: Option<Digest>,
        of: Vec<String>,
    },
    Delegated {
        request: String,
        intent: Option<Digest>,
        to: String,
    },
    /// In whose name, if not in that of who says it.
    Granted {
        request: String,
        intent: Option<Digest>,
        voice: Option<String>,
        form: Option<Value>,
    },
    Rejected {
        request: String,
        voice: Option<String>,
        reason: Option<String>,
    },
    Timer {
        name: String,
    },
    Signal(Signal),
    Cancel,
    Invalid {
        step: String,
        message: Option<String>,
    },
    Checkpoint {
        step: String,
        name: String,
    },
    ChildStarted(ChildStart),
    ChildEnded(ChildEnd),
    Sealed(Map),
    Other,
}

/// An authorisation.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub(crate) id: String,
    pub(crate) step: String,
    pub(crate) action: String,
    pub(crate) intent: Option<Digest>,
    pub(crate) expires: Timestamp,
    pub(crate) reserve: u64,
    pub(crate) approvals: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) receipt: String,
    pub(crate) end: End,
    pub(crate) attempts: u64,
    pub(crate) cost: u64,
    pub(crate) body: Option<Value>,
}

/// How an effect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    Failed,
    Abandoned,
    Unknown,
}

impl End {
    pub(crate) const ALL: [(&str, Self); 4] = [
        ("completed", Self::Completed),
        ("failed", Self::Failed),
        ("abandoned", Self::Abandoned),
        ("unknown", Self::Unknown),
    ];

    fn read(word: Option<&str>) -> Self {
        let known = Self::ALL.iter().find(|(name, _)| Some(*name) == word);
        known.map_or(Self::Unknown, |(_, end)| *end)
    }
}

/// A run that a step begins.
#[derive(Debug)]
pub(crate) struct ChildStart {
    pub(crate) run: String,
    pub(crate) step: String,
    pub(crate) workflow: String,
    pub(crate) definition: Option<Digest>,
    pub(crate) inputs: Option<Digest>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct ChildEnd {
    pub(crate) run: String,
    pub(crate) status: String,
    pub(crate) body: Option<Value>,
}

/// A message from outside.
#[derive(Debug)]
pub(crate) struct Signal {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) payload: Option<Value>,
}

/// A question to people.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) step: String,
    pub(crate) action: String,
    pub(crate) intent: Option<Digest>,
    pub(crate) count: u64,
    pub(crate) expires: Timestamp,
    /// After how many milliseconds who else may answer.
    pub(crate) escalate: Option<(u64, Vec<String>)>,
}

impl Log {
    pub(crate) fn read<'r>(records: impl IntoIterator<Item = &'r Record>) -> Self {
        let mut log = Self::default();
        for (place, record) in records.into_iter().enumerate() {
            let entry = &record.entry;
            let what = What::read(entry, record.body.as_ref());
            log.index(place, &what);
            log.events.push(Event {
                seq: entry.seq(),
                at: entry.at(),
                kind: entry.kind(),
                leaf: entry.leaf(),
                actor: entry.actor().to_owned(),
                canon: entry.canon(),
                what,
            });
        }
        log
    }

    fn index(&mut self, place: usize, what: &What) {
        let (map, key) = match what {
            What::Receipt(Receipt { step, .. })
            | What::Denial { step, .. }
            | What::Planned { step, .. }
            | What::Requested(Request { step, .. })
            | What::ChildStarted(ChildStart { step, .. })
            | What::Checkpoint { step, .. }
            | What::Invalid { step, .. } => (&mut self.begins, step),
            What::ChildEnded(end) => (&mut self.ends, &end.run),
            What::Timer { name } => (&mut self.timers, name),
            What::Outcome(outcome) => (&mut self.outcomes, &outcome.receipt),
            What::Granted { request, .. } | What::Rejected { request, .. } => {
                (&mut self.answers, request)
            }
            What::Started { .. }
            | What::Escalated { .. }
            | What::Delegated { .. }
            | What::Signal(_)
            | What::Cancel
            | What::Sealed(_)
            | What::Other => return,
        };
        map.entry(key.clone()).or_default().push(place);
    }

    pub(crate) fn event(&self, place: usize) -> Option<&Event> {
        self.events.get(place)
    }

    pub(crate) fn seq(&self, place: usize) -> u64 {
        self.event(place).map_or(0, |event| event.seq)
    }

    pub(crate) fn at(&self, place: usize) -> Timestamp {
        self.event(place).map_or(Timestamp::MIN, |event| event.at)
    }

    /// The first outcome of a receipt.
    pub(crate) fn outcome(&self, receipt: &str) -> Option<(usize, &Outcome)> {
        let place = *self.outcomes.get(receipt)?.first()?;
        let What::Outcome(outcome) = &self.event(place)?.what else { return None };
        Some((place, outcome))
    }

    /// The first end that is told of a run that a step began.
    pub(crate) fn ended(&self, run: &str) -> Option<(usize, &ChildEnd)> {
        let place = *self.ends.get(run)?.first()?;
        let What::ChildEnded(end) = &self.event(place)?.what else { return None };
        Some((place, end))
    }

    /// Where something begins at `path` or inside it, in the order of paths.
    pub(crate) fn within<'l>(
        &'l self,
        path: &'l str,
    ) -> impl Iterator<Item = (&'l str, &'l [usize])> {
        let all = self.begins.range(path.to_owned()..);
        let near = all.take_while(move |(step, _)| step.starts_with(path));
        let inside = near.filter(move |(step, _)| is_within(step, path));
        inside.map(|(step, places)| (step.as_str(), places.as_slice()))
    }

    /// The first sign of anything at `path` or inside it: that it begins, or that its time is over.
    pub(crate) fn first_within(&self, path: &str) -> Option<usize> {
        let timers = self.timers.range(path.to_owned()..);
        let near = timers.take_while(|(step, _)| step.starts_with(path));
        let due = near.filter(|(step, _)| is_within(step, path)).map(|(_, it)| it.as_slice());
        let begun = self.within(path).map(|(_, places)| places);
        begun.chain(due).filter_map(|places| places.first().copied()).min()
    }
}

/// Whether a step is the one at `path` or stands inside it; every step is inside the empty path.
pub(crate) fn is_within(step: &str, path: &str) -> bool {
    let rest = step.strip_prefix(path);
    rest.is_some_and(|rest| path.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
}

impl What {
    /// What somebody answers, or that they let somebody else do so.
    fn said(entry: &Entry, body: Option<&Value>) -> Self {
        let request = entry.text("id").unwrap_or_default().to_owned();
        let (intent, voice) = (entry.digest("intent"), entry.text("for").map(str::to_owned));
        if entry.kind() == Kind::ApprovalDelegated {
            let to = entry.text("to").unwrap_or_default().to_owned();
            return Self::Delegated { request, intent, to };
        }
        if entry.kind() == Kind::ApprovalGranted {
            let form = body.and_then(|body| body.get("form")).cloned();
            return Self::Granted { request, intent, voice, form };
        }
        Self::Rejected { request, voice, reason: said(body, "reason") }
    }

    fn read(entry: &Entry, body: Option<&Value>) -> Self {
        let text = |name| entry.text(name).unwrap_or_default().to_owned();
        match entry.kind() {
            Kind::SessionStarted => Self::Started { initiator: text("initiator") },
            Kind::Receipt => Self::Receipt(receipt(entry)),
            Kind::Outcome => Self::Outcome(Outcome {
                receipt: text("receipt"),
                end: End::read(entry.text("disposition")),
                attempts: entry.count("attempts").unwrap_or(0),
                cost: entry.count("cost_micros").unwrap_or(0),
                body: body.cloned(),
            }),
            // The refusal of a candidate plan belongs to the selection before it, and what was
            // refused of no step, such as to end the run, does not concern it.
            Kind::Denial if entry.data().contains_key("selection") || text("step").is_empty() => {
                Self::Other
            }
            Kind::Denial => Self::Denial { step: text("step"), error: denial(entry, body) },
            Kind::PlanSelected => Self::Planned {
                step: text("step"),
                chosen: entry.text("chosen").map(str::to_owned),
                reason: body.and_then(|body| body.get("reason")).cloned(),
            },
            Kind::ApprovalRequested => Self::Requested(request(entry)),
            Kind::ApprovalEscalated => {
                let (intent, of) = (entry.digest("intent"), texts(entry.data().get("of")));
                Self::Escalated { request: text("id"), intent, of }
            }
            Kind::ApprovalDelegated | Kind::ApprovalGranted | Kind::ApprovalRejected => {
                Self::said(entry, body)
            }
            Kind::Evidence => evidence(entry, body),
            Kind::Signal => Self::Signal(Signal {
                id: text("signal"),
                name: text("name"),
                payload: body.and_then(|body| body.get("payload")).cloned(),
            }),
            Kind::ChildStarted => Self::ChildStarted(child(entry)),
            Kind::ChildEnded => Self::ChildEnded(ChildEnd {
                run: text("session"),
                status: text("status"),
                body: body.cloned(),
            }),
            Kind::Checkpoint => Self::Checkpoint { step: text("step"), name: text("name") },
            Kind::SessionSealed => Self::Sealed(entry.data().clone()),
            Kind::Genesis
            | Kind::KeyRotated
            | Kind::CanonProposed
            | Kind::CanonApproved
            | Kind::CanonRejected
            | Kind::CanonActivated
            | Kind::Output
            | Kind::Promotion
            | Kind::SessionPaused
            | Kind::SessionUnpaused
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
            | Kind::SegmentPruned => Self::Other,
        }
    }
}

fn child(entry: &Entry) -> ChildStart {
    let text = |name| entry.text(name).unwrap_or_default().to_owned();
    ChildStart {
        run: text("session"),
        step: text("step"),
        workflow: text("workflow"),
        definition: entry.digest("definition"),
        inputs: entry.digest("inputs"),
    }
}

/// What the body says, as text.
fn said(body: Option<&Value>, name: &str) -> Option<String> {
    body?.get(name)?.as_text().map(str::to_owned)
}

fn evidence(entry: &Entry, body: Option<&Value>) -> What {
    let note = entry.text("note").unwrap_or_default();
    match entry.text("source").unwrap_or_default() {
        "timer" => What::Timer { name: note.to_owned() },
        "cancel" => What::Cancel,
        "step.invalid" => What::Invalid { step: note.to_owned(), message: said(body, "message") },
        _ => What::Other,
    }
}

fn expires(entry: &Entry) -> Timestamp {
    entry.text("expires").and_then(|text| text.parse().ok()).unwrap_or(Timestamp::MIN)
}

fn receipt(entry: &Entry) -> Receipt {
    let text = |name| entry.text(name).unwrap_or_default().to_owned();
    Receipt {
        id: text("id"),
        step: text("step"),
        action: text("action"),
        intent: entry.digest("intent"),
        expires: expires(entry),
        reserve: entry.count("reserve_micros").unwrap_or(0),
        approvals: texts(entry.data().get("approvals")),
    }
}

fn request(entry: &Entry) -> Request {
    let text = |name| entry.text(name).unwrap_or_default().to_owned();
    let need = entry.data().get("need");
    let count = need.and_then(|need| need.get("count")?.as_u64());
    let later = need.and_then(|need| need.get("escalate"));
    let escalate = later.and_then(|it| Some((it.get("after_ms")?.as_u64()?, texts(it.get("of")))));
    Request {
        id: text("id"),
        step: text("step"),
        action: text("action"),
        intent: entry.digest("intent"),
        count: count.unwrap_or(u64::MAX),
        expires: expires(entry),
        escalate,
    }
}

/// What expressions see of a refusal.
fn denial(entry: &Entry, body: Option<&Value>) -> Option<Value> {
    let reason = body?.at(&["trace", "reason"])?.as_text()?;
    let text = |name| entry.text(name).unwrap_or_default();
    Some(Value::map([("id", text("id")), ("code", text("code")), ("reason", reason)]))
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(Value::as_text).map(str::to_owned).collect()
}
