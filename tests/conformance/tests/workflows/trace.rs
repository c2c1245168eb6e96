//! What happened, as lines to read: an entry of a run is a line, with names for ids.

use std::collections::BTreeMap;

use cog_base::Timestamp;
use cog_base::Value;
use cog_base::id::RunId;
use cog_engine::again::Continues;
use cog_engine::{Parent, Record};
use cog_ledger::{Entry, Kind};

/// How long ids are with their kind of three letters.
const ID_LENGTH: usize = 30;

/// An entry, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    run: String,
    step: String,
    text: String,
    /// How long after the first entry of the log, in milliseconds.
    ms: u64,
}

/// The entries of all runs, in the order of the log.
pub(crate) struct Trace {
    lines: Vec<Line>,
    names: BTreeMap<RunId, String>,
}

impl Trace {
    /// What the log says, where some runs have names.
    pub(crate) fn of(records: &[Record], known: &BTreeMap<RunId, String>) -> Self {
        let mut trace = Self { lines: Vec::new(), names: known.clone() };
        let mut steps = BTreeMap::new();
        let first = records.first().map_or(Timestamp::MIN, |first| first.entry.at());
        for Record { entry, body } in records {
            trace.name(entry);
            let Some(text) = text(entry, body.as_ref()) else { continue };
            let step = entry.text("step").map(str::to_owned);
            let step = step.or_else(|| steps.get(entry.id()?).cloned()).unwrap_or_default();
            if let Some(id) = entry.id() {
                steps.insert(id.to_owned(), step.clone());
            }
            let named = |run: &RunId| trace.names.get(run).cloned();
            let run = entry.session().or_else(|| entry.text("id")?.parse().ok());
            let run = run.as_ref().and_then(named).unwrap_or_default();
            let (text, ms) = (trace.without_ids(&text), entry.at().ms_since(first));
            let line = Line { run, step, text, ms };
            trace.lines.push(line);
        }
        trace
    }

    /// The run of a name.
    pub(crate) fn run(&self, name: &str) -> RunId {
        let found = self.names.iter().find(|(_, known)| *known == name);
        *found.unwrap_or_else(|| panic!("no run is called {name} in\n{self}")).0
    }

    /// A run that the test did not ask for has its name from who began it.
    fn name(&mut self, entry: &Entry) {
        let Some(run) = entry.session().filter(|_| entry.kind() == Kind::SessionStarted) else {
            return;
        };
        let named = |run: &RunId| self.names.get(run).cloned().unwrap_or_default();
        let name = if let Some(Continues { run, .. }) = Continues::of(entry) {
            format!("{}+", named(&run))
        } else if let Some(Parent { run, step }) = Parent::of(entry) {
            format!("{}/{step}", named(&run))
        } else {
            let known = self.names.values().filter(|name| name.starts_with('#')).count();
            format!("#{}", known + 1)
        };
        self.names.entry(run).or_insert(name);
    }

    pub(crate) fn without_ids(&self, text: &str) -> String {
        let name = |text: String, (run, name): (&RunId, &String)| {
            text.replace(&run.to_string(), &format!("<{name}>"))
        };
        let mut text = self.names.iter().fold(text.to_owned(), name);
        // Of what else has an id the kind is enough.
        for kind in ["dny_", "rcp_", "apr_", "pln_"] {
            while let Some(at) = text.find(kind).filter(|at| text.is_char_boundary(at + ID_LENGTH))
            {
                text.replace_range(at..at + ID_LENGTH, &kind[..3]);
            }
        }
        text
    }

    /// What happened to each step of each run, in its order: of steps that are side by side no order
    /// is promised. A receipt that was never used does not count, and attempts are those of one life.
    pub(crate) fn by_step(&self) -> BTreeMap<(String, String), Vec<String>> {
        let mut steps: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for Line { run, step, text, .. } in self.lines.clone() {
            let text = text.split(" after ").next().unwrap_or_default().to_owned();
            let story = steps.entry((run, step)).or_default();
            let is_unused = text == "abandoned" && story.last().is_some_and(|it| is_receipt(it));
            if is_unused { drop(story.pop()) } else { story.push(text) }
        }
        steps
    }
}

impl std::fmt::Display for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Line { run, step, text, ms } in &self.lines {
            let place = if step.is_empty() { run.clone() } else { format!("{run}: {step}") };
            let since = if *ms > 0 { format!(" +{ms}") } else { String::new() };
            writeln!(f, "{place}: {text}{since}")?;
        }
        Ok(())
    }
}

/// What a run may wait for before it begins.
const LIMITS: [&str; 3] = ["concurrency", "rate", "not_before"];

/// What an entry says; nothing where it is about no run.
fn text(entry: &Entry, body: Option<&Value>) -> Option<String> {
    let said = |name: &str| entry.text(name).unwrap_or_default().to_owned();
    let or_empty = |name: &str| {
        let value = entry.data().get(name);
        value.map(|value| format!(" {name} {}", plain(value))).unwrap_or_default()
    };
    let by = || entry.actor().to_owned();
    Some(match entry.kind() {
        Kind::SessionStarted => {
            let fork = entry.data().contains_key("fork");
            let begins = if fork { "goes on from a place" } else { "begins" };
            format!("{begins}{}", or_empty("labels"))
        }
        Kind::SessionQueued => {
            let limits = LIMITS.iter().filter(|name| entry.data().contains_key(name));
            let limits = limits.map(|name| format!(", {name}")).collect::<String>();
            format!("is asked for{}{limits}", or_empty("priority"))
        }
        Kind::SessionUnqueued => format!("never begins: {}", said("why")),
        Kind::Receipt => format!("receipt by {} for {}", by(), said("action")),
        Kind::Outcome => {
            let attempts = entry.count("attempts").filter(|attempts| *attempts > 1);
            let attempts = attempts.map(|it| format!(" after {it} attempts")).unwrap_or_default();
            format!("{}{}{attempts}", said("disposition"), or_empty("code"))
        }
        Kind::Output => format!("gives {}", said("name")),
        Kind::Denial => format!("denied {}", said("code")),
        Kind::ApprovalRequested => {
            let need = entry.data().get("need")?;
            let of = need.get("of").map(plain).unwrap_or_default();
            format!("asks {} of {of}", need.get("count").map(plain).unwrap_or_default())
        }
        Kind::ApprovalEscalated => format!("asks as well{}", or_empty("of")),
        Kind::ApprovalDelegated => format!("{} is to answer for {}", said("to"), by()),
        Kind::ApprovalGranted => format!("yes of {}", by()),
        Kind::ApprovalRejected => format!("no of {}", by()),
        Kind::Evidence => format!("evidence {} {}", said("source"), said("note")),
        Kind::Signal => format!("signal {} {} of {}", said("name"), said("signal"), by()),
        Kind::SessionPaused => format!("held by {}", by()),
        Kind::SessionUnpaused => format!("let go on by {}", by()),
        Kind::ChildStarted => format!("begins {}", said("workflow")),
        Kind::ChildEnded => format!("its run is {}", said("status")),
        Kind::Checkpoint => format!("place {}", said("name")),
        Kind::PlanSelected => format!("takes plan {}", entry.text("chosen").unwrap_or("none")),
        Kind::ScheduleFired => format!("schedule {}{}", said("schedule"), or_empty("skipped")),
        Kind::SessionSealed => {
            let of = |name: &str| {
                let value = body?.get(name).filter(|it| !is_empty(it))?;
                Some(format!(", {name} {}", plain(value)))
            };
            let spent = entry.count("spent_micros").filter(|spent| *spent > 0);
            let spent = spent.map(|it| format!(", spent {it}")).unwrap_or_default();
            let [output, error] = ["output", "error"].map(|name| of(name).unwrap_or_default());
            format!("{}{output}{error}{spent}", said("status"))
        }
        Kind::Genesis
        | Kind::KeyRotated
        | Kind::CanonProposed
        | Kind::CanonApproved
        | Kind::CanonRejected
        | Kind::CanonActivated
        | Kind::Promotion
        | Kind::Replay
        | Kind::ScheduleSet
        | Kind::ScheduleRemoved
        | Kind::SchedulePaused
        | Kind::ScheduleUnpaused
        | Kind::WorkflowActivated
        | Kind::BodiesErased
        | Kind::SegmentPruned => return None,
    })
}

fn is_receipt(text: &str) -> bool {
    text.starts_with("receipt ")
}

fn is_empty(value: &Value) -> bool {
    *value == Value::Null || value.as_map().is_some_and(|map| map.is_empty())
}

fn plain(value: &Value) -> String {
    match value.as_text() {
        Some(text) => text.to_owned(),
        None => String::from_utf8(value.canonical()).unwrap(),
    }
}
