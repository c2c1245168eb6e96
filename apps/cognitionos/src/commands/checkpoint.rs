//! `checkpoint`: names for places of runs, from which other runs go on.

use cog_base::id::CheckpointId;
use cog_base::{Clock as _, Value};
use cog_embed::Error;
use cog_embed::places::{Checkpoint, NoWay, checkpoints, naming, to_name};

use super::run::fork::no_way;
use super::submit;
use crate::cli::checkpoints::{CheckpointCommand, CreateArgs, RestoreArgs};
use crate::cli::nodes::{Asking, At};
use crate::cli::{Beginning, Common, RunArgs};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, unmade};
use crate::shared::whose;
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::{Terminal, Tone, plain};

pub(crate) fn checkpoint(
    command: &CheckpointCommand,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    match command {
        CheckpointCommand::Create(args) => create(args, common, terminal),
        CheckpointCommand::List { run, at } => list(run.as_deref(), at, common, terminal),
        CheckpointCommand::Restore(args) => restore(args, common, terminal),
    }
}

fn create(args: &CreateArgs, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let run = given::run(&args.run)?;
    let who = given::actor(&args.by.actor)?;
    let home = Home::asking(&args.asking, || Home::change(&common.data))?;
    let (name, step) = (args.name.as_str(), args.step.as_deref());
    home.knows(run)?;
    let place = to_name(&*home.scope()?, run, name, step);
    let (run, seq) = place.map_err(|error| unnamed(error, args))?;
    let id = CheckpointId::new(SystemClock.now(), &mut SystemEntropy::new())?;
    let draft = naming(&*home.scope()?, (id, name), (run, seq, step), &who).map_err(unmade)?;
    let entries = home.append(vec![draft])?;
    let Some(made) = entries.first().and_then(|entry| Checkpoint::of(entry)) else {
        return Ok(Exit::Failed);
    };
    if terminal.json {
        terminal.emit(&made.to_value());
        return Ok(Exit::Done);
    }
    terminal.say(&format!("{id}  `{name}` is entry {seq} of {run}"));
    terminal.note(&format!("go on from there: cognitionos checkpoint restore {run} {name}"));
    Ok(Exit::Done)
}

/// Why a place gets no name, and what to do.
fn unnamed(error: Error, args: &CreateArgs) -> anyhow::Error {
    let CreateArgs { run, name, .. } = args;
    let create = format!("cognitionos checkpoint create {run} {name} --step STEP");
    let Error::NoWay(no) = &error else { return unmade(error) };
    let (exit, advice) = match no {
        NoWay::Taken { run, .. } => {
            (Exit::Conflict, format!("take another name; cognitionos checkpoint list {run}"))
        }
        NoWay::NoStep(_) => (Exit::BadInput, "--step PATH".to_owned()),
        NoWay::Over { places, .. } => {
            (Exit::Conflict, format!("{create}, which is one of: {}", places.join(", ")))
        }
        NoWay::NotHere { .. } => (Exit::Conflict, create),
        NoWay::Stopped { .. } => return Failure::told(Exit::Failed, no),
        NoWay::Broken { .. } | NoWay::Nowhere { .. } | NoWay::Kept { .. } => {
            return no_way(error);
        }
    };
    Failure::advise(exit, no, advice)
}

fn list(run: Option<&str>, at: &At, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let run = run.map(given::run).transpose()?;
    let home = Home::at(at, || Home::read(&common.data))?;
    run.map_or(Ok(()), |run| home.knows(run))?;
    let all = checkpoints(&*home.scope()?).map_err(unmade)?;
    let found = all.into_iter().filter(|it| run.is_none_or(|run| it.run == run));
    let found: Vec<_> = found.collect();
    if terminal.json {
        terminal.emit(&Value::list(found.iter().map(Checkpoint::to_value)));
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        terminal.note("there is no checkpoint; cognitionos checkpoint create RUN NAME makes one");
    }
    for Checkpoint { id, name, run, seq, step, by_run, by, at } in found {
        let began = if by_run { "" } else { " began" };
        let step =
            step.map(|step| format!(", where `{}`{began}", plain(&step))).unwrap_or_default();
        terminal.say(&format!("{name}  {run}, entry {seq}{step}"));
        terminal.say(&terminal.tint(Tone::Faint, &format!("  {id}  by {} on {at}", plain(&by))));
    }
    Ok(Exit::Done)
}

fn restore(args: &RestoreArgs, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (input, by) = (args.input.clone(), args.by.clone());
    let begin = Beginning { input, ..Beginning::of(by) };
    if whose(&args.at)?.is_some() {
        let home = Home::at(&args.at, || Home::read(&common.data))?;
        return submit::go_on(&home, &args.run, (&args.name, &begin), common, terminal);
    }
    let args = RunArgs {
        file: None,
        begin,
        dry_run: false,
        model: None,
        key: None,
        record: None,
        resume: None,
        fork: Some(args.run.clone()),
        from: Some(args.name.clone()),
        cancel: None,
        reason: None,
        asking: Asking::folder(),
    };
    super::run::run(&args, common, terminal)
}
