//! Histories in words, a line an entry: `MS KIND WHAT...`.
//!
//! ```text
//! 5 receipt STEP ID [name=value]...     6 outcome ID DISPOSITION [name=value]...
//! 5 denial STEP                         5 invalid STEP
//! 5 plan STEP PLAN|-                    5 timer NAME
//! 5 ask STEP ID COUNT [later=MS] [name=value]...   6 yes|no ID WHO   6 escalate ID STEP WHO
//! 5 signal NAME                         5 cancel
//! 5 mark STEP NAME
//! 9 seal STATUS                         7 fork SEQ [of=N] [who=TEXT] [as=WHO]
//! 1 queued N [limit=N] [count=N] [at=MS]  2 begin N [as=WHO] [team=TEXT]    2 unqueued N
//! 2 version N [of=NAME] [kept=NAME] [differs=N]
//! ```
//!
//! The run begins at 0, with entry 1. Behind `fork` stand the entries of a run that goes on from
//! an entry of the one before it, or of the N-th, and behind `begin` those of the N-th, which is of the
//! same definition; `in=N` puts an entry into the N-th run. Where
//! the workflow has inputs, they are `who`, which is `ada` in the first run. Of a line with
//! `gone=yes` the body was erased.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::id::{
    ApprovalId, CheckpointId, DenialId, ReceiptId, RunId, SelectionId, TenantId, Uuid,
};
use cog_base::json::{Map, parse};
use cog_base::{Digest, Timestamp, Value};
use cog_history::{Record, Report, Rules, check};
use cog_ledger::session::Tally;
use cog_ledger::{Entry, Kind};

/// The findings of a history, as `code` of each in order, once each.
pub(crate) fn codes(steps: &str, story: &str) -> Vec<String> {
    let report = told(steps, story);
    let mut codes: Vec<String> = Vec::new();
    for finding in report.findings.kept() {
        if codes.last().map(String::as_str) != Some(finding.code) {
            codes.push(finding.code.to_owned());
        }
    }
    codes
}

/// A story that keeps everything, and that what it is about was put to the test.
pub(crate) fn keeps(steps: &str, story: &str) {
    let report = told(steps, story);
    assert!(report.holds(), "{story}\n{:#?}", report.findings.kept());
    let runs = 1 + story.lines().filter(|line| line.contains(" fork ")).count() as u64;
    assert_eq!((report.followed, report.unsure), (runs, 0), "{story}");
}

/// A story that breaks one property, perhaps among others.
pub(crate) fn breaks(steps: &str, story: &str, code: &str) {
    let found = codes(steps, story);
    assert!(found.iter().any(|it| it == code), "{code} is not among {found:?} of\n{story}");
}

/// What the checker says of a run of these steps.
pub(crate) fn told(steps: &str, story: &str) -> Report {
    check(records(steps, story), Rules::STRICT)
}

/// The entries of a story.
pub(crate) fn records(steps: &str, story: &str) -> Vec<Record> {
    let source = format!(
        "name: test\ndomain: demo\nroots: {{ out: {{ path: out, access: write }} }}\n{steps}"
    );
    let flow = cog_flow::parse(&source, "test.yaml").map_err(|errors| errors.to_string()).unwrap();
    let (who, definition) = (flow.inputs.keys().next().map(|_| "ada"), flow.digest);
    let (tallies, records) = (vec![Tally::default()], Vec::new());
    let labels = flow.labels_of(&Map::new()).unwrap();
    let labels = labels.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let labels = Value::map(labels);
    let mut teller = Teller { definition, source: source.clone(), labels, tallies, records };
    let (start, mut body) = teller.start("user:ada", who);
    body.insert("source".into(), source.as_str().into());
    teller.add(1, 0, Kind::SessionStarted, "user:ada", start, Some(Value::Map(body)));
    story.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| teller.line(line));
    teller.records
}

struct Teller {
    definition: Digest,
    source: String,
    /// What its file says that a run is found by.
    labels: Value,
    records: Vec<Record>,
    /// Of each run.
    tallies: Vec<Tally>,
}

fn uuid(name: &str) -> Uuid {
    let digest = Digest::of(&[name.as_bytes()]);
    let bytes =
        digest.as_bytes()[..15].iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
    Uuid::from_u128(bytes)
}

/// The id of the first run, of the second, and so on.
fn run_id(run: usize) -> RunId {
    RunId::from_uuid(Uuid::from_u128(1 + run as u128))
}

/// The id of the N-th run.
fn named(run: &str) -> Value {
    text(run_id(run.parse().unwrap()))
}

fn unqueued(run: &str) -> Map {
    Map::from([("id".into(), named(run)), ("why".into(), "cancelled".into())])
}

/// The key that a run was asked for under.
fn keyed(extra: &Extra<'_>) -> Option<(String, Value)> {
    let key = extra.get("key")?;
    let keyed = Value::map([("key", digest(key)), ("request", digest("what"))]);
    Some(("keyed".to_owned(), keyed))
}

fn digest(text: &str) -> Value {
    Digest::of(&[text.as_bytes()]).into()
}

fn text(value: impl ToString) -> Value {
    value.to_string().into()
}

impl Teller {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let extra: Extra<'_> = words.iter().filter_map(|word| word.split_once('=')).collect();
        let words: Vec<&str> = words.iter().copied().filter(|word| !word.contains('=')).collect();
        let ms: u64 = words[0].parse().unwrap_or_else(|_| panic!("{line}: no time"));
        if matches!(words[1], "fork" | "begin") {
            self.tallies.push(Tally::default());
        }
        let run = extra.get("in").map_or(self.tallies.len(), |run| run.parse().unwrap());
        // What asks for a run is of none yet.
        let run = if matches!(words[1], "queued" | "unqueued" | "version") { 0 } else { run };
        let (kind, actor, data, body) = self.entry(&words[1..], &extra, ms);
        self.add(run, ms, kind, actor, data, body.filter(|_| !extra.contains_key("gone")));
    }

    /// What the first entry of a run says, and its body.
    fn start(&self, initiator: &str, who: Option<&str>) -> (Map, Map) {
        let inputs =
            Value::Map(who.map(|who| ("who".to_owned(), who.into())).into_iter().collect());
        let digest = Digest::in_context("cognitionos/inputs/v1", &inputs.canonical());
        let mut start = Map::from([
            ("workflow".into(), "test".into()),
            ("definition".into(), self.definition.into()),
            ("inputs".into(), digest.into()),
            ("roots".into(), Value::Map(Map::new())),
            ("initiator".into(), initiator.into()),
        ]);
        if self.labels != Value::Map(Map::new()) {
            start.insert("labels".into(), self.labels.clone());
        }
        (start, Map::from([("inputs".into(), inputs)]))
    }

    /// What the first entry of a run by the same definition says, and its body.
    fn begin(&self, actor: &str, extra: &Extra<'_>) -> (Map, Value) {
        let (mut start, mut body) = self.start(actor, None);
        let labels = extra.get("team").map(|team| Value::map([("team", *team)]));
        start.extend(keyed(extra));
        start.extend(labels.map(|labels| ("labels".to_owned(), labels)));
        body.insert("source".into(), self.source.as_str().into());
        (start, Value::Map(body))
    }

    /// What asks for a run, the N-th.
    fn queued(&self, run: &str, extra: &Extra<'_>) -> Map {
        let (mut data, _) = self.start("user:ada", None);
        let number = |name: &str| extra.get(name).map(|it| it.parse::<u64>().unwrap());
        let key = || ("key", digest("all"));
        let limit = number("limit").map(|limit| {
            Value::map([key(), ("limit", limit.into()), ("when_full", "queue".into())])
        });
        let rate = number("count").map(|count| {
            Value::map([key(), ("count", count.into()), ("per_seconds", 1_u64.into())])
        });
        data.extend(keyed(extra));
        data.extend([("id".into(), named(run)), ("priority".into(), 5_u64.into())]);
        data.extend(limit.map(|limit| ("concurrency".into(), limit)));
        data.extend(rate.map(|rate| ("rate".into(), rate)));
        data.extend(number("at").map(|ms| ("not_before".into(), at(ms).into())));
        data
    }

    /// A place of a run has a name.
    fn mark(&self, step: &str, name: &str, ms: u64) -> Map {
        let id = text(CheckpointId::from_uuid(uuid(&format!("{ms} {name}"))));
        let run = text(run_id(self.tallies.len()));
        let named = [("id", id), ("name", name.into()), ("run", run), ("step", step.into())];
        named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// A version of the workflow: of the same definition, or `of` another.
    fn version(&self, number: &str, extra: &Extra<'_>) -> (Map, Value) {
        let definition = extra.get("of").map_or(self.definition.into(), |name| digest(name));
        let differs = extra.get("differs").map_or(0, |it| it.parse::<u64>().unwrap());
        let tested = [("same", 1), ("differs", differs), ("earlier", 0), ("unknown", 0)];
        let data = Map::from([
            ("workflow".into(), "test".into()),
            ("definition".into(), definition),
            ("version".into(), number.parse::<u64>().unwrap().into()),
            ("tested".into(), Value::map(tested)),
        ]);
        let source = extra.get("kept").copied().unwrap_or(&self.source);
        (data, Value::map([("source", source)]))
    }

    fn fork(&self, seq: &str, extra: &Extra<'_>, actor: &str) -> (Map, Map) {
        let before = self.tallies.len() - 1;
        let of = extra.get("of").map_or(before, |run| run.parse().unwrap());
        let (mut start, body) = self.start(actor, extra.get("who").copied());
        let seq = seq.parse::<u64>().unwrap();
        let fork = Value::map([("session", text(run_id(of))), ("seq", seq.into())]);
        start.insert("fork".into(), fork);
        (start, body)
    }

    fn entry<'w>(
        &self,
        words: &[&'w str],
        extra: &Extra<'w>,
        ms: u64,
    ) -> (Kind, &'w str, Map, Option<Value>) {
        let actor = extra.get("as").copied().unwrap_or("user:ada");
        match *words {
            ["receipt", step, id] => {
                let (data, body) = receipt(step, id, extra, ms);
                (Kind::Receipt, actor, data, Some(body))
            }
            ["outcome", id, disposition] => {
                let (data, body) = outcome(id, disposition, extra);
                (Kind::Outcome, actor, data, body)
            }
            ["denial", step] => {
                let body = Value::map([("trace", Value::map([("reason", "no")]))]);
                (Kind::Denial, actor, denial(step), Some(body))
            }
            ["ask", step, id, count] => {
                (Kind::ApprovalRequested, actor, request(step, id, count, extra, ms), None)
            }
            ["escalate", id, step, to] => {
                (Kind::ApprovalEscalated, actor, escalation(id, step, to), None)
            }
            [what @ ("delegate" | "yes"), id, step, who, whom] => {
                handed(what, (id, step), (who, whom))
            }
            ["yes", id, step, who] => (Kind::ApprovalGranted, who, answer(id, step), None),
            ["no", id, step, who] => {
                let body = Value::map([("reason", "not this time")]);
                (Kind::ApprovalRejected, who, answer(id, step), Some(body))
            }
            ["plan", step, plan] => {
                let body = Value::map([("reason", "none is admissible")]);
                (Kind::PlanSelected, actor, selection(step, plan, ms), Some(body))
            }
            ["signal", name] => {
                let (id, name) = ("s-1".into(), name.into());
                let data = Map::from([("signal".into(), id), ("name".into(), name)]);
                let payload = parse(extra.get("payload").copied().unwrap_or("{}")).unwrap();
                (Kind::Signal, actor, data, Some(Value::map([("payload", payload)])))
            }
            ["seal", status] => {
                let run = extra.get("in").map_or(self.tallies.len(), |run| run.parse().unwrap());
                let mut data = self.tallies[run - 1].seal(status);
                if let Some(spent) = extra.get("spent") {
                    data.insert("spent_micros".into(), spent.parse::<u64>().unwrap().into());
                }
                (Kind::SessionSealed, actor, data, None)
            }
            ["timer", name] => (Kind::Evidence, actor, note("timer", name), None),
            ["fork", seq] => {
                let (data, body) = self.fork(seq, extra, actor);
                (Kind::SessionStarted, actor, data, Some(Value::Map(body)))
            }
            ["queued", run] => (Kind::SessionQueued, actor, self.queued(run, extra), None),
            ["unqueued", run] => (Kind::SessionUnqueued, actor, unqueued(run), None),
            ["version", number] => {
                let (data, body) = self.version(number, extra);
                (Kind::WorkflowActivated, actor, data, Some(body))
            }
            ["begin", _] => {
                let (start, body) = self.begin(actor, extra);
                (Kind::SessionStarted, actor, start, Some(body))
            }
            ["mark", step, name] => (Kind::Checkpoint, actor, self.mark(step, name, ms), None),
            ["cancel"] => (Kind::Evidence, actor, note("cancel", "enough"), None),
            ["invalid", step] => {
                let body = Value::map([("message", "no path")]);
                (Kind::Evidence, actor, note("step.invalid", step), Some(body))
            }
            _ => panic!("what is {words:?}?"),
        }
    }

    fn add(
        &mut self,
        run: usize,
        ms: u64,
        kind: Kind,
        actor: &str,
        data: Map,
        body: Option<Value>,
    ) {
        let seq = self.records.len() as u64 + 1;
        let tenant = TenantId::from_uuid(Uuid::from_u128(1));
        let mut members = Map::from([
            ("actor".into(), actor.into()),
            ("at".into(), at(ms).into()),
            ("canon".into(), digest("canon")),
            ("data".into(), Value::Map(data)),
            ("domain".into(), "demo".into()),
            ("engine".into(), "test".into()),
            ("environment".into(), "development".into()),
            ("kind".into(), kind.as_str().into()),
            ("prev".into(), digest("before")),
            ("seq".into(), seq.into()),
            ("tenant".into(), text(tenant)),
            ("v".into(), 1_u64.into()),
        ]);
        members.extend((run > 0).then(|| ("session".into(), text(run_id(run)))));
        let entry = Entry::parse(&Value::Map(members).canonical()).expect("an entry");
        if run > 0 {
            self.tallies[run - 1].add(&entry);
        }
        self.records.push(Record { entry: Arc::new(entry), body });
    }
}

/// What a line says as `name=value`.
type Extra<'w> = BTreeMap<&'w str, &'w str>;

fn number(extra: &Extra<'_>, name: &str, value: u64) -> Value {
    extra.get(name).map_or(value, |text| text.parse().unwrap()).into()
}

/// What a decision about a step has.
fn decided(step: &str, extra: &Extra<'_>) -> Map {
    let intent = extra.get("intent").copied().unwrap_or(step);
    Map::from([
        ("intent".into(), digest(intent)),
        ("action".into(), (*extra.get("action").unwrap_or(&"file.read")).into()),
        ("resource".into(), "Root::\"out\"".into()),
        ("step".into(), step.into()),
        ("procedure".into(), 1_u64.into()),
        ("snapshot".into(), digest("s")),
    ])
}

fn receipt(step: &str, id: &str, extra: &Extra<'_>, ms: u64) -> (Map, Value) {
    let used = extra.get("using").map(|id| text(ApprovalId::from_uuid(uuid(id))));
    let path = extra.get("path").copied().unwrap_or(step);
    let args = Value::map([("root", "out"), ("path", path)]);
    let context = Value::map([("args", args)]);
    let mut data = decided(step, extra);
    let decided_at = extra.get("decided").map_or(ms, |at| at.parse().unwrap());
    data.extend([
        ("id".into(), text(ReceiptId::from_uuid(uuid(id)))),
        ("effect".into(), digest(step)),
        ("expires".into(), at(decided_at + 900_000).into()),
        ("reserve_micros".into(), number(extra, "reserve", 0)),
        ("rules".into(), Value::list(["r"])),
        ("approvals".into(), Value::list(used)),
    ]);
    (data, Value::map([("intent", Value::map([("context", context)]))]))
}

fn outcome(id: &str, disposition: &str, extra: &Extra<'_>) -> (Map, Option<Value>) {
    let output = Value::map([("text", extra.get("text").copied().unwrap_or("t"))]);
    let error = Value::map([
        ("code", Value::from("no")),
        ("message", "no".into()),
        ("transient", false.into()),
    ]);
    let body = match disposition {
        "completed" => Some(Value::map([("output", output)])),
        "failed" => Some(Value::map([("error", error)])),
        _ => None,
    };
    let data = Map::from([
        ("receipt".into(), text(ReceiptId::from_uuid(uuid(id)))),
        ("disposition".into(), disposition.into()),
        ("cost_micros".into(), number(extra, "cost", 0)),
        ("attempts".into(), number(extra, "attempts", 1)),
    ]);
    (data, body)
}

fn denial(step: &str) -> Map {
    let mut data = decided(step, &Extra::new());
    data.extend([
        ("id".into(), text(DenialId::from_uuid(uuid(step)))),
        ("effect".into(), digest(step)),
        ("check".into(), "canon".into()),
        ("code".into(), "canon.forbidden".into()),
    ]);
    data
}

fn request(step: &str, id: &str, count: &str, extra: &Extra<'_>, ms: u64) -> Map {
    let need = [
        ("count", Value::from(count.parse::<u64>().unwrap())),
        ("of", Value::list(["role:finance"])),
    ];
    let later = extra.get("later").map(|ms| {
        let after_ms = ms.parse::<u64>().unwrap().into();
        ("escalate", Value::map([("after_ms", after_ms), ("of", Value::list(["user:ceo"]))]))
    });
    let need = Value::map(need.into_iter().chain(later));
    let mut data = decided(step, extra);
    data.extend([
        ("id".into(), text(ApprovalId::from_uuid(uuid(id)))),
        ("need".into(), need),
        ("expires".into(), at(ms + 60_000).into()),
        ("initiator".into(), "user:ada".into()),
    ]);
    data
}

fn answer(id: &str, step: &str) -> Map {
    let id = text(ApprovalId::from_uuid(uuid(id)));
    Map::from([("id".into(), id), ("intent".into(), digest(step))])
}

/// An answer in the place of another, or that somebody is to give one.
fn handed<'w>(
    what: &str,
    (id, step): (&str, &str),
    (who, whom): (&'w str, &str),
) -> (Kind, &'w str, Map, Option<Value>) {
    let mut data = answer(id, step);
    let (kind, member) = match what {
        "yes" => (Kind::ApprovalGranted, "for"),
        _ => (Kind::ApprovalDelegated, "to"),
    };
    data.insert(member.to_owned(), whom.into());
    (kind, who, data, None)
}

fn escalation(id: &str, step: &str, to: &str) -> Map {
    let mut data = answer(id, step);
    data.insert("of".into(), Value::list([to]));
    data
}

fn selection(step: &str, plan: &str, ms: u64) -> Map {
    let candidate = |id| Value::map([("plan", Value::from(id)), ("digest", digest(id))]);
    let mut data = Map::from([
        ("id".into(), text(SelectionId::from_uuid(uuid(&format!("{ms} {plan}"))))),
        ("step".into(), step.into()),
        ("candidates".into(), Value::list(["one", "two"].map(candidate))),
    ]);
    if plan != "-" {
        data.insert("chosen".into(), plan.into());
    }
    data
}

fn at(ms: u64) -> Timestamp {
    let start: Timestamp = "2026-11-24T12:00:00.000000Z".parse().unwrap();
    start.plus_ms(ms)
}

fn note(source: &str, note: &str) -> Map {
    Map::from([
        ("source".into(), source.into()),
        ("digest".into(), digest(note)),
        ("note".into(), note.into()),
    ])
}
