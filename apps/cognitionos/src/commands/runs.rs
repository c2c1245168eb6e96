//! `runs` and `redrive`: what became of runs, and starting again where one failed.

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::words::counted;
use cog_embed::Error;
use cog_embed::runs::{Fault, Listed, NotFailed, Run, Wanted, failed_at, list};
use cog_engine::{Continues, Parent};

use crate::cli::nodes::Asking;
use crate::cli::runs::{RedriveArgs, RunsArgs, Status, Which};
use crate::cli::{Beginning, Common, RunArgs};
use crate::commands::submit;
use crate::commands::why::queue::waits;
use crate::failure::{Exit, Failure, explain};
use crate::given;
use crate::home::{Home, unmade};
use crate::terminal::{Terminal, Tone, plain};

pub(crate) fn runs(args: &RunsArgs, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let home = Home::at(&args.at, || Home::read(&common.data))?;
    let after = args.after.as_deref().map(given::run).transpose()?;
    let wanted = wanted(args.status, &args.which, (after, args.limit))?;
    let Listed { runs: found, is_more } = page(&home, &wanted)?;
    if terminal.json {
        let documents = found.iter().map(|run| document(&home, run));
        terminal.emit(&Value::list(documents.collect::<anyhow::Result<Vec<_>>>()?));
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
    found.iter().try_for_each(|run| show(&home, run, terminal))?;
    if let Some(last) = found.last().filter(|_| is_more) {
        terminal.note(&format!("there are older ones: --after {}", last.id));
    }
    Ok(Exit::Done)
}

fn page(home: &Home, wanted: &Wanted) -> anyhow::Result<Listed> {
    list(&*home.scope()?, wanted).map_err(|error| {
        let Error::NoRun(run) = error else { return unmade(error) };
        Failure::advise(Exit::BadInput, format!("there is no run {run} here"), "cognitionos runs")
    })
}

/// What a run waits for that has not begun.
fn waited_for(home: &Home, run: &Run) -> anyhow::Result<Option<String>> {
    if run.status == Status::Queued.meant().as_str() { waits(home, run.id) } else { Ok(None) }
}

fn wanted(
    status: Option<Status>,
    which: &Which,
    (after, limit): (Option<RunId>, usize),
) -> anyhow::Result<Wanted> {
    Ok(Wanted {
        status: status.map(Status::meant),
        labels: given::labels(&which.label)?,
        domain: which.domain.clone(),
        workflow: which.workflow.clone(),
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
fn show(home: &Home, run: &Run, terminal: &Terminal) -> anyhow::Result<()> {
    let Run { id, workflow, status, started, ended, labels, error, forks, parent, .. } = run;
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
    if let Some(waits) = waited_for(home, run)? {
        terminal.say(&format!("  {}", plain(&waits)));
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
        [] if is_unknown => terminal.say(&terminal.located(&format!(
            "  look at the world before it is done again: cognitionos why {id}"
        ))),
        [] if status == "failed" => terminal.say(&format!("  cognitionos redrive {id}")),
        forks => forks.iter().for_each(|fork| terminal.say(&format!("  {fork} went on from it"))),
    }
    Ok(())
}

fn document(home: &Home, run: &Run) -> anyhow::Result<Value> {
    let error = run.error.as_ref().map(|fault| {
        let Fault { step, message, code } = fault;
        Value::map(
            [("step", step), ("message", message), ("code", code)]
                .map(|(name, text)| (name, text.as_str())),
        )
    });
    let labels = run.labels.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    Ok(Value::map([
        ("run", Value::from(run.id)),
        ("workflow", run.workflow.as_str().into()),
        ("status", run.status.as_str().into()),
        ("labels", Value::map(labels)),
        ("started", run.started.into()),
        ("ended", run.ended.into()),
        ("error", error.unwrap_or(Value::Null)),
        ("parent", run.parent.as_ref().map(|parent| parent.run).into()),
        ("continues", run.continues.map(|it| it.run).into()),
        ("went_on", run.continues.map_or(0, |it| it.count).into()),
        ("next", run.next.into()),
        ("waits", waited_for(home, run)?.into()),
        ("forks", Value::list(run.forks.iter().map(|fork| Value::from(*fork)))),
    ]))
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
    let Listed { mut runs, is_more } = page(&home, &wanted)?;
    // A real start opens the ledger again.
    let home = args.dry_run.then_some(home);
    runs.retain(|run| args.again || run.forks.is_empty());
    if runs.is_empty() {
        terminal.note("no run failed, of those that are asked for, that nobody has started again");
    }
    let mut exit = Exit::Done;
    for run in runs.iter().rev() {
        let Some(Fault { step, code, .. }) = &run.error else { continue };
        // What nobody knows was done is somebody's to look at.
        if code == "effect.unknown" || step.is_empty() {
            terminal.note(&format!("left out: cognitionos why {}", run.id));
        } else if let Some(home) = &home {
            would(home, run, args, terminal)?;
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

/// Say from where a run would be started again.
fn would(home: &Home, run: &Run, args: &RedriveArgs, terminal: &Terminal) -> anyhow::Result<()> {
    let step = failed_at(&*home.scope()?, run.id, args.again).map_err(not_failed)?;
    if terminal.json {
        terminal.emit(&Value::map([("run", Value::from(run.id)), ("step", step.into())]));
    } else {
        terminal.say(&format!("{}  {}, from {}", run.id, plain(&run.workflow), plain(&step)));
    }
    Ok(())
}

/// Start again where a run failed.
fn again(
    run: RunId,
    args: &RedriveArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let home = Home::at(&args.at, || Home::read(&common.data))?;
    home.knows(run)?;
    let step = failed_at(&*home.scope()?, run, args.again).map_err(not_failed)?;
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
        key: None,
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

/// Why a run is not started again, and what to do.
fn not_failed(error: Error) -> anyhow::Error {
    let Error::NotFailed(no) = error else { return unmade(error) };
    let advice = match &no {
        NotFailed::Stands { .. } => "cognitionos runs --status failed".to_owned(),
        NotFailed::Again { fork, .. } => format!("cognitionos why {fork}, or once more: --again"),
        NotFailed::NoStep(run) => {
            format!("cognitionos why {run}, then: cognitionos run --fork {run} --from STEP")
        }
    };
    Failure::advise(Exit::Conflict, no, advice)
}
