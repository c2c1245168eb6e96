//! `checkpoint`: names for places of runs, from which other runs go on.

use cog_base::id::{CheckpointId, RunId};
use cog_base::json::Map;
use cog_base::{Clock as _, Value};
use cog_engine::fork::{is_free, own};
use cog_engine::replay::as_far;
use cog_ledger::{Draft, Entry, Kind};
use cog_store::Select;

use super::run::fork::{Found, find};
use super::submit;
use crate::cli::checkpoints::{CheckpointCommand, CreateArgs, RestoreArgs};
use crate::cli::nodes::{Asking, At};
use crate::cli::{Beginning, Common, RunArgs};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::Home;
use crate::shared::whose;
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::{Terminal, Tone, plain};

/// A name for a place of a run.
pub(crate) struct Checkpoint {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) run: RunId,
    /// The last entry of what is kept of the run.
    pub(crate) seq: u64,
    step: Option<String>,
    /// Whether a step of the run made it.
    by_run: bool,
    by: String,
    at: String,
}

impl Checkpoint {
    fn read(entry: &Entry) -> Option<Self> {
        Some(Self {
            id: entry.id()?.to_owned(),
            name: entry.text("name")?.to_owned(),
            run: entry.text("run")?.parse().ok()?,
            // A run names the place where it stands.
            seq: entry.count("seq").or(entry.session().map(|_| entry.seq()))?,
            step: entry.text("step").map(str::to_owned),
            by_run: entry.session().is_some(),
            by: entry.actor().to_owned(),
            at: entry.at().to_string(),
        })
    }

    fn json(&self) -> Value {
        Value::map([
            ("id", Value::from(self.id.as_str())),
            ("name", self.name.as_str().into()),
            ("run", self.run.into()),
            ("seq", self.seq.into()),
            ("step", self.step.as_deref().into()),
            ("by", self.by.as_str().into()),
            ("at", self.at.as_str().into()),
        ])
    }
}

/// The checkpoints of a ledger, oldest first.
pub(crate) fn checkpoints(home: &Home) -> anyhow::Result<Vec<Checkpoint>> {
    let mut found = Vec::new();
    let kinds = vec![Kind::Checkpoint];
    let select = Select { kinds, ..Select::default() };
    home.each(select, |entry| found.extend(Checkpoint::read(entry)))?;
    Ok(found)
}

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
    let known = checkpoints(&home)?;
    is_free_name(&known, run, &args.name)?;
    let Some(step) = &args.step else {
        let seq = stands(&home, run, &args.name)?;
        return keep(&home, args, (run, seq), &who, terminal);
    };
    let Found { history, fork, .. } = find(&home, run, step)?;
    // A name is no other word for a name.
    if !history.begun().any(|(path, _)| path.as_str() == step) {
        let message = format!("`{step}` is a checkpoint, and no step");
        return Err(Failure::advise(Exit::BadInput, message, "--step PATH"));
    }
    // A step that was taken over is in the run that it was taken over from.
    is_free_name(&known, fork.session, &args.name)?;
    keep(&home, args, (fork.session, fork.seq), &who, terminal)
}

/// Refuse a second checkpoint of a name in a run.
fn is_free_name(known: &[Checkpoint], run: RunId, name: &str) -> anyhow::Result<()> {
    if !known.iter().any(|it| it.run == run && it.name == name) {
        return Ok(());
    }
    let message = format!("{run} has a checkpoint `{name}` already");
    let advice = format!("take another name; cognitionos checkpoint list {run}");
    Err(Failure::advise(Exit::Conflict, message, advice))
}

/// Where a run stands now, if another can go on from there.
fn stands(home: &Home, run: RunId, name: &str) -> anyhow::Result<u64> {
    let past = home.history(run)?;
    let (history, why) = match as_far(&past) {
        Ok(both) => both,
        Err(why) => {
            let message = format!("nothing could go on from {run}: {}", home.broken(&why)?);
            return Err(Failure::told(Exit::Failed, message));
        }
    };
    if why.is_some() || history.is_over() {
        let places: Vec<_> = history.begun().map(|(path, _)| path.to_string()).collect();
        let places = places.join(", ");
        let message = match why {
            Some(why) => format!("{run} cannot be followed to its end: {}", home.broken(&why)?),
            None => format!("{run} is over, and nothing goes on from its end"),
        };
        let advice = format!(
            "cognitionos checkpoint create {run} {name} --step STEP, which is one of: {places}"
        );
        return Err(Failure::advise(Exit::Conflict, message, advice));
    }
    is_free(&past).map_err(|none| {
        let message = format!("nothing could go on from where {run} stands: {none}");
        let advice = format!("cognitionos checkpoint create {run} {name} --step STEP");
        Failure::advise(Exit::Conflict, message, advice)
    })?;
    Ok(own(&past).last().map_or(0, |last| last.entry.seq()))
}

fn keep(
    home: &Home,
    args: &CreateArgs,
    (run, seq): (RunId, u64),
    who: &cog_gate::Actor,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let id = CheckpointId::new(SystemClock.now(), &mut SystemEntropy::new())?;
    let mut data = Map::from([
        ("id".into(), id.into()),
        ("name".into(), args.name.as_str().into()),
        ("run".into(), run.into()),
        ("seq".into(), seq.into()),
    ]);
    data.extend(args.step.as_ref().map(|step| ("step".to_owned(), step.as_str().into())));
    let entries = home.append(vec![about(home, run, Kind::Checkpoint, who, data)?])?;
    let Some(made) = entries.first().and_then(|entry| Checkpoint::read(entry)) else {
        return Ok(Exit::Failed);
    };
    if terminal.json {
        terminal.emit(&made.json());
        return Ok(Exit::Done);
    }
    terminal.say(&format!("{id}  `{}` is entry {seq} of {run}", args.name));
    terminal.note(&format!("go on from there: cognitionos checkpoint restore {run} {}", args.name));
    Ok(Exit::Done)
}

/// An entry about a run that may be over: it belongs to none, and names that one.
pub(crate) fn about(
    home: &Home,
    run: RunId,
    kind: Kind,
    who: &cog_gate::Actor,
    data: Map,
) -> anyhow::Result<Draft> {
    let first = Select { limit: 1, ..Select::session(run) };
    let first = home.scope()?.select(&first).map_err(crate::home::told)?;
    let scope = first.first().map(|entry| (entry.domain(), entry.environment()));
    let (domain, environment) = scope.unwrap_or(("ledger", "any"));
    Ok(Draft {
        kind,
        actor: who.as_str().to_owned(),
        domain: domain.to_owned(),
        environment: environment.to_owned(),
        session: None,
        canon: None,
        data,
        body: None,
    })
}

fn list(run: Option<&str>, at: &At, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let run = run.map(given::run).transpose()?;
    let home = Home::at(at, || Home::read(&common.data))?;
    run.map_or(Ok(()), |run| home.knows(run))?;
    let found = checkpoints(&home)?.into_iter().filter(|it| run.is_none_or(|run| it.run == run));
    let found: Vec<_> = found.collect();
    if terminal.json {
        terminal.emit(&Value::list(found.iter().map(Checkpoint::json)));
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
