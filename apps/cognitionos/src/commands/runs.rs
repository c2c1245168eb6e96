//! `runs` and `redrive`: what became of runs, and starting again where one failed.

mod listing;

use std::collections::BTreeMap;

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::words::counted;
use cog_engine::{Continues, Parent};
use cog_ledger::{Entry, Kind};
use cog_store::Select;

pub(super) use self::listing::is_there;
use self::listing::{Fault, Listed, Run, Wanted, error, list};
use crate::cli::nodes::Asking;
use crate::cli::runs::{RedriveArgs, RunsArgs, Status, Which};
use crate::cli::{Beginning, Common, RunArgs};
use crate::commands::submit;
use crate::failure::{Exit, Failure, explain};
use crate::given;
use crate::home::{Home, told};
use crate::terminal::{Terminal, Tone, plain};

pub(crate) fn runs(args: &RunsArgs, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let home = Home::at(&args.at, || Home::read(&common.data))?;
    let after = args.after.as_deref().map(given::run).transpose()?;
    let wanted = wanted(args.status, &args.which, (after, args.limit))?;
    let Listed { runs: found, is_more } = list(&home, &wanted)?;
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
    found.iter().for_each(|run| show(run, terminal));
    if let Some(last) = found.last().filter(|_| is_more) {
        terminal.note(&format!("there are older ones: --after {}", last.id));
    }
    Ok(Exit::Done)
}

fn wanted(
    status: Option<Status>,
    which: &Which,
    (after, limit): (Option<RunId>, usize),
) -> anyhow::Result<Wanted<'_>> {
    Ok(Wanted {
        status,
        labels: given::labels(&which.label)?,
        domain: which.domain.as_deref(),
        workflow: which.workflow.as_deref(),
        since: which.since.as_deref().map(given::past).transpose()?,
        after,
        limit,
    })
}

/// So many times, in words.
pub(crate) fn times(count: u64) -> String {
    counted(count, "time", "times")
}

/// A run, in some lines.
fn show(run: &Run, terminal: &Terminal) {
    let Run { id, workflow, status, started, ended, labels, error, forks, parent, waits, .. } = run;
    let is_well = ["completed", "continued"].contains(&status.as_str());
    let tone = if is_well { Tone::Good } else { Tone::Ask };
    let status_word = terminal.tint(tone, &format!("{status:<9}"));
    terminal.say(&format!("{status_word}  {id}  {}", plain(workflow)));
    let ended = ended.as_ref().map(|at| format!(", ended {at}")).unwrap_or_default();
    let began = if status == "queued" { "asked for" } else { "started" };
    terminal.say(&terminal.tint(Tone::Faint, &format!("  {began} {started}{ended}")));
    if !labels.is_empty() {
        let labels: Vec<String> =
            labels.iter().map(|(name, text)| format!("{name}={}", plain(text))).collect();
        terminal.say(&format!("  {}", labels.join(" ")));
    }
    if let Some(waits) = waits {
        terminal.say(&format!("  {}", plain(waits)));
    }
    if let Some(Parent { run, step, .. }) = parent {
        let line = format!("  begun by {run}, step {}", plain(&step.to_string()));
        terminal.say(&terminal.tint(Tone::Faint, &line));
    }
    if let Some(Continues { run, count }) = run.continues {
        let line = format!("  continues {run}; its chain went on {}", times(count));
        terminal.say(&terminal.tint(Tone::Faint, &line));
    }
    if let Some(next) = run.next {
        terminal.say(&terminal.tint(Tone::Faint, &format!("  went on as {next}")));
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
        forks => forks.iter().for_each(|fork| terminal.say(&format!("  {fork} went on from it"))),
    }
}

fn document(run: &Run) -> Value {
    let error = run.error.as_ref().map(|fault| {
        let Fault { step, message, code } = fault;
        Value::map(
            [("step", step), ("message", message), ("code", code)]
                .map(|(name, text)| (name, text.as_str())),
        )
    });
    let labels = run.labels.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    Value::map([
        ("run", Value::from(run.id)),
        ("workflow", run.workflow.as_str().into()),
        ("status", run.status.as_str().into()),
        ("labels", Value::map(labels)),
        ("started", run.started.as_str().into()),
        ("ended", run.ended.as_deref().into()),
        ("error", error.unwrap_or(Value::Null)),
        ("parent", run.parent.as_ref().map(|parent| parent.run).into()),
        ("continues", run.continues.map(|it| it.run).into()),
        ("went_on", run.continues.map_or(0, |it| it.count).into()),
        ("next", run.next.into()),
        ("waits", run.waits.as_deref().into()),
        ("forks", Value::list(run.forks.iter().map(|fork| Value::from(*fork)))),
    ])
}

/// The run that an entry goes on from.
fn fork_of(start: &Entry) -> Option<RunId> {
    start.data().get("fork")?.get("session")?.as_text()?.parse().ok()
}

/// The runs that went on from others, by those.
fn forks<'e>(starts: impl Iterator<Item = &'e Entry>) -> BTreeMap<RunId, Vec<RunId>> {
    let mut forks: BTreeMap<RunId, Vec<RunId>> = BTreeMap::new();
    for start in starts {
        if let Some((from, run)) = fork_of(start).zip(start.session()) {
            forks.entry(from).or_default().push(run);
        }
    }
    forks
}

pub(crate) fn redrive(
    args: &RedriveArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    match &args.run {
        Some(run) => again(given::run(run)?, args, common, terminal),
        None => redrive_all(args, common, terminal),
    }
}

/// The most runs that are started again by one command.
const REDRIVEN_MAX: usize = 1_000;

/// Start again where each of those failed that nobody has started again.
fn redrive_all(args: &RedriveArgs, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let home = Home::at(&args.at, || Home::read(&common.data))?;
    let wanted = wanted(Some(Status::Failed), &args.which, (None, REDRIVEN_MAX))?;
    let Listed { runs, is_more } = list(&home, &wanted)?;
    drop(home);
    let is_left = |run: &&Run| args.again || run.forks.is_empty();
    let mut exit = Exit::Done;
    for run in runs.iter().rev().filter(is_left) {
        let Some(Fault { step, code, .. }) = &run.error else { continue };
        // What nobody knows was done is somebody's to look at.
        if code == "effect.unknown" || step.is_empty() {
            terminal.note(&format!("left out: cognitionos why {}", run.id));
        } else if args.dry_run && terminal.json {
            let members = [("run", Value::from(run.id)), ("step", step.as_str().into())];
            terminal.emit(&Value::map(members));
        } else if args.dry_run {
            terminal.say(&format!("{}  {}, from {}", run.id, plain(&run.workflow), plain(step)));
        } else {
            match again(run.id, args, common, terminal) {
                Ok(Exit::Done) => {}
                Ok(_) => exit = Exit::Failed,
                Err(error) => {
                    terminal.fail(&explain(&error, "cognitionos redrive --all"));
                    exit = Exit::Failed;
                }
            }
        }
    }
    if is_more {
        terminal.note(&format!("these were the newest {REDRIVEN_MAX}: there are more"));
    }
    Ok(exit)
}

/// Start again where a run failed.
fn again(
    run: RunId,
    args: &RedriveArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let home = Home::at(&args.at, || Home::read(&common.data))?;
    let step = failed_at(&home, run, args.again)?;
    let (input, by) = (args.input.clone(), args.by.clone());
    let begin = Beginning { input, ..Beginning::of(by) };
    if home.is_of_nodes() {
        return submit::go_on(&home, &run.to_string(), (&step, &begin), common, terminal);
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
