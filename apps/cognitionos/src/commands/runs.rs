//! `runs` and `redrive`: what became of runs, and starting again where one failed.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::Value;
use cog_base::id::RunId;
use cog_engine::{Parent, Record, admission};
use cog_ledger::{Entry, Kind};
use cog_store::Select;

use super::why::queue::waits;
use crate::cli::nodes::Asking;
use crate::cli::runs::{RedriveArgs, RunsArgs, Status};
use crate::cli::{Beginning, Common, RunArgs};
use crate::commands::submit;
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told};
use crate::terminal::{Terminal, Tone, plain};

/// A run as its first and its last entry tell it.
struct Run {
    id: RunId,
    workflow: String,
    status: String,
    started: String,
    ended: Option<String>,
    /// Of one that failed: the step, why, and the code of it.
    error: Option<Fault>,
    /// Runs that went on from it.
    forks: Vec<RunId>,
    /// The run that began it, and in which step.
    parent: Option<Parent>,
    /// What it waits for that has not begun.
    waits: Option<String>,
}

/// What a run ended for.
struct Fault {
    step: String,
    message: String,
    code: String,
}

pub(crate) fn runs(args: &RunsArgs, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let home = Home::at(&args.at, || Home::read(&common.data))?;
    let found = newest(&home, args.status, args.last)?;
    if terminal.json {
        terminal.emit(&Value::list(found.iter().map(document)));
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        let is_empty = home.is_of_nodes() && home.size()? == 0;
        terminal.note(if is_empty {
            "nothing is recorded of this tenant: cognitionos submit begins a run"
        } else {
            "there is no such run"
        });
    }
    for run in &found {
        let Run { id, workflow, status, started, ended, error, forks, parent, waits } = run;
        let tone = if status == "completed" { Tone::Good } else { Tone::Ask };
        let status_word = terminal.tint(tone, &format!("{status:<9}"));
        terminal.say(&format!("{status_word}  {id}  {}", plain(workflow)));
        let ended = ended.as_ref().map(|at| format!(", ended {at}")).unwrap_or_default();
        let began = if status == "queued" { "asked for" } else { "started" };
        terminal.say(&terminal.tint(Tone::Faint, &format!("  {began} {started}{ended}")));
        if let Some(waits) = waits {
            terminal.say(&format!("  {}", plain(waits)));
        }
        if let Some(Parent { run, step, .. }) = parent {
            let line = format!("  begun by {run}, step {}", plain(&step.to_string()));
            terminal.say(&terminal.tint(Tone::Faint, &line));
        }
        let mut is_unknown = false;
        if let Some(Fault { step, message, code }) = error {
            is_unknown = code == "effect.unknown";
            let step = if step.is_empty() { String::new() } else { format!("step {step}: ") };
            terminal.say(&format!("  {}{}", plain(&step), plain(message)));
        }
        match forks.as_slice() {
            [] if is_unknown => terminal
                .say(&format!("  look at the world before it is done again: cognitionos why {id}")),
            [] if status == "failed" => terminal.say(&format!("  cognitionos redrive {id}")),
            forks => {
                forks.iter().for_each(|fork| terminal.say(&format!("  {fork} went on from it")))
            }
        }
    }
    Ok(Exit::Done)
}

fn document(run: &Run) -> Value {
    let error = run.error.as_ref().map(|fault| {
        let Fault { step, message, code } = fault;
        Value::map(
            [("step", step), ("message", message), ("code", code)]
                .map(|(name, text)| (name, text.as_str())),
        )
    });
    Value::map([
        ("run", Value::from(run.id)),
        ("workflow", run.workflow.as_str().into()),
        ("status", run.status.as_str().into()),
        ("started", run.started.as_str().into()),
        ("ended", run.ended.as_deref().into()),
        ("error", error.unwrap_or(Value::Null)),
        ("parent", run.parent.as_ref().map(|parent| parent.run).into()),
        ("waits", run.waits.as_deref().into()),
        ("forks", Value::list(run.forks.iter().map(|fork| Value::from(*fork)))),
    ])
}

/// The newest runs that stand so, the newest first.
fn newest(home: &Home, status: Option<Status>, last: usize) -> anyhow::Result<Vec<Run>> {
    let (mut seals, mut starts) = (BTreeMap::new(), Vec::new());
    let kinds = [vec![Kind::SessionStarted, Kind::SessionSealed], admission::KINDS.into()].concat();
    let mut asked = BTreeMap::new();
    home.each(Select { kinds, ..Select::default() }, |entry| {
        let Some(run) = entry.session().or(admission::run_of(entry)) else { return };
        if matches!(entry.kind(), Kind::SessionSealed | Kind::SessionUnqueued) {
            seals.insert(run, entry.clone());
        } else if entry.kind() == Kind::SessionQueued {
            asked.insert(run, entry.clone());
        } else {
            asked.remove(&run);
            starts.push((run, entry.clone()));
        }
    })?;
    let waiting: BTreeSet<RunId> = asked.keys().copied().collect();
    starts.extend(asked);
    starts.sort_by_key(|(_, start)| start.seq());
    let forks = forks(starts.iter().map(|(_, start)| start));
    let mut found = Vec::new();
    for (id, start) in starts.into_iter().rev() {
        let seal = seals.get(&id);
        let open = if waiting.contains(&id) { "queued" } else { "open" };
        let over = seal.and_then(|seal| seal.text("status").or_else(|| seal.text("why")));
        let stands = over.unwrap_or(open);
        if found.len() == last || status.is_some_and(|status| status.as_str() != stands) {
            continue;
        }
        let seal = seal.map(|seal| home.record(seal.clone())).transpose()?;
        found.push(Run {
            id,
            workflow: start.text("workflow").unwrap_or_default().to_owned(),
            status: stands.to_owned(),
            started: start.at().to_string(),
            ended: seal.as_ref().map(|seal| seal.entry.at().to_string()),
            waits: if stands == "queued" { waits(home, id)? } else { None },
            error: seal.as_ref().and_then(error).or_else(|| seal.as_ref().and_then(withdrawn)),
            forks: forks.get(&id).cloned().unwrap_or_default(),
            parent: Parent::of(&start),
        });
    }
    Ok(found)
}

/// The runs that went on from others, by those.
fn forks<'e>(starts: impl Iterator<Item = &'e Entry>) -> BTreeMap<RunId, Vec<RunId>> {
    let mut forks: BTreeMap<RunId, Vec<RunId>> = BTreeMap::new();
    for start in starts {
        let from = start.data().get("fork").and_then(|fork| fork.get("session")?.as_text());
        let from = from.and_then(|from| from.parse::<RunId>().ok());
        if let Some((from, run)) = from.zip(start.session()) {
            forks.entry(from).or_default().push(run);
        }
    }
    forks
}

/// Why a run never began.
fn withdrawn(over: &Record) -> Option<Fault> {
    let message = over.said().filter(|_| over.entry.kind() == Kind::SessionUnqueued)?.to_owned();
    Some(Fault { step: String::new(), message, code: String::new() })
}

/// What a run ended for.
fn error(seal: &Record) -> Option<Fault> {
    let error = seal.body.as_ref()?.get("error").filter(|error| **error != Value::Null)?;
    let text = |name: &str| error.get(name).and_then(Value::as_text).unwrap_or_default().to_owned();
    // What was refused has a reason, and nothing that went wrong.
    let why = Some(text("message")).filter(|it| !it.is_empty()).unwrap_or_else(|| text("reason"));
    Some(Fault { step: text("step"), message: why, code: text("code") })
}

pub(crate) fn redrive(
    args: &RedriveArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let run = given::run(&args.run)?;
    let home = Home::at(&args.at, || Home::read(&common.data))?;
    let step = failed_at(&home, run, args.again)?;
    let (input, by) = (args.input.clone(), args.by.clone());
    let begin = Beginning { input, ..Beginning::of(by) };
    if home.is_of_nodes() {
        return submit::go_on(&home, &args.run, (&step, &begin), common, terminal);
    }
    drop(home);
    let args = RunArgs {
        file: None,
        begin,
        model: None,
        record: None,
        resume: None,
        fork: Some(run.to_string()),
        from: Some(step),
        cancel: None,
        reason: None,
        dry_run: false,
        asking: Asking::folder(),
    };
    super::run::run(&args, common, terminal)
}

/// The step that a run failed for.
fn failed_at(home: &Home, run: RunId, again: bool) -> anyhow::Result<String> {
    home.knows(run)?;
    let seal = home.newest(run, &[Kind::SessionSealed], |_| true)?;
    let seal = seal.map(|seq| home.scope()?.entry(seq).map_err(told)).transpose()?.flatten();
    let seal = seal.map(|seal| home.record(seal)).transpose()?;
    let status = seal.as_ref().and_then(|seal| seal.entry.text("status")).unwrap_or("open");
    if status != "failed" {
        let message = format!("{run} has not failed: it is {status}");
        let advice = "cognitionos runs --status failed";
        return Err(Failure::advise(Exit::Conflict, message, advice));
    }
    let starts = Select { kinds: vec![Kind::SessionStarted], ..Select::default() };
    let mut entries = Vec::new();
    home.each(starts, |entry| entries.push(entry.clone()))?;
    let forks = forks(entries.iter());
    if let Some(fork) = forks.get(&run).and_then(|forks| forks.last()).filter(|_| !again) {
        let message = format!("{fork} went on from {run} already");
        let advice = format!("cognitionos why {fork}, or once more: --again");
        return Err(Failure::advise(Exit::Conflict, message, advice));
    }
    let step = seal.as_ref().and_then(error).map(|fault| fault.step);
    step.filter(|step| !step.is_empty()).ok_or_else(|| {
        let message = format!("{run} did not fail for a step");
        let advice =
            format!("cognitionos why {run}, then: cognitionos run --fork {run} --from STEP");
        Failure::advise(Exit::Conflict, message, advice)
    })
}
