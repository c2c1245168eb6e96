//! `runs` and `redrive`: what became of runs, and starting again where one failed.

mod listing;

use std::collections::BTreeMap;

use cog_base::Value;
use cog_base::id::RunId;
use cog_engine::Parent;
use cog_ledger::{Entry, Kind};
use cog_store::Select;

pub(super) use self::listing::is_there;
use self::listing::{Fault, Listed, Run, Wanted, error, list};
use crate::cli::nodes::Asking;
use crate::cli::runs::{RedriveArgs, RunsArgs};
use crate::cli::{Beginning, Common, RunArgs};
use crate::commands::submit;
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told};
use crate::terminal::{Terminal, Tone, plain};

pub(crate) fn runs(args: &RunsArgs, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let home = Home::at(&args.at, || Home::read(&common.data))?;
    let wanted = Wanted {
        status: args.status,
        labels: given::labels(&args.label)?,
        domain: args.domain.as_deref(),
        workflow: args.workflow.as_deref(),
        since: args.since.as_deref().map(given::past).transpose()?,
        after: args.after.as_deref().map(given::run).transpose()?,
        limit: args.limit,
    };
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

/// A run, in some lines.
fn show(run: &Run, terminal: &Terminal) {
    let Run { id, workflow, status, started, ended, labels, error, forks, parent, waits } = run;
    let tone = if status == "completed" { Tone::Good } else { Tone::Ask };
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
