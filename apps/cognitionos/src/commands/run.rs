//! `run`: one governed run on the embedded store, from its first entry to its seal.

pub(crate) mod accept;
pub(crate) mod active;
pub(crate) mod again;
mod answered;
mod ask;
mod cancel;
mod canon;
mod dry;
mod end;
pub(crate) mod family;
mod file;
mod fitting;
pub(crate) mod fork;
pub(crate) mod keyed;
pub(crate) mod named;
mod nodes;
pub(crate) mod prepare;
mod production;
mod resumed;
pub(crate) mod scheduled;
mod signals;
mod spare;
pub(crate) mod turn;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use cog_base::id::{ApprovalId, RunId};
use cog_canon::Canon;
use cog_effect_file::RootBinding;
use cog_engine::{Driver, Engine, Input, Notice, Sealed, Settings, Versions, Waits, What};
use cog_gate::Actor;
use cog_gate::change::ChangeControl;
use cog_gate::snapshot::TenantStatus;
use tokio::runtime::Handle;

use self::again::Named;
use self::ask::Desk;
use self::cancel::Ending;
pub(crate) use self::cancel::decide as decide_cancel;
use self::named::Definition;
use self::signals::Signals;
use crate::cli::{Common, RunArgs};
use crate::clock;
use crate::commands::approvals::people;
use crate::control::live::{Live, Switchboard};
use crate::control::server::Server;
use crate::failure::{Exit, Failure};
use crate::folders::{self, Secrets};
use crate::given;
use crate::hands::{Committed, Workers};
use crate::home::Home;
use crate::models;
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::{Terminal, Tone};
use crate::view::{Counts, View};

/// How long one turn waits for something to happen, in milliseconds.
const TURN_MS: u64 = 250;
/// What to name.
const NOTHING_NAMED: &str = "name a workflow, or a run with --resume, --fork or --cancel";

/// What a run needs to begin or to go on.
pub(crate) struct Plan {
    run: RunId,
    pub(crate) input: Input,
    pub(crate) domain: String,
    environment: String,
    roots: BTreeMap<String, RootBinding>,
    /// What named the folders of roots that are to be there.
    named: BTreeMap<String, Named>,
    /// The folder that the workflow file stands in.
    base: PathBuf,
    /// Who wants it to end instead of going on.
    ending: Option<Ending>,
    before: Before,
}

/// What was before, of a run that goes on.
#[derive(Default)]
pub(crate) struct Before {
    /// The open runs that it began.
    others: Vec<family::Other>,
    /// What the run did.
    counts: Counts,
    /// Who answered for its models.
    answered: answered::ByModel,
}

/// A consent that is waited for: the request, and who could give it.
struct Wanted {
    id: ApprovalId,
    people: Vec<String>,
}

/// How a run stands when nothing goes on any more.
enum End {
    Sealed(Box<Sealed>),
    Parked {
        asked: Vec<Wanted>,
        /// Runs that wait for a signal, each with its name.
        signals: Vec<(RunId, String)>,
        /// Who holds it, or a run that it began.
        paused: Option<(RunId, cog_engine::Intervention)>,
        so_far: String,
    },
    Stopped(String),
    /// It does not begin now.
    NotBegun(Box<What>),
    /// Who wanted to end it may not.
    NotCancelled(String),
    /// A signal came.
    Left {
        exit: Exit,
        so_far: String,
    },
}

pub(crate) fn run(args: &RunArgs, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    spare::check(args)?;
    let actor = given::actor(&args.begin.by.actor)?;
    if let Some(exit) = cancel::elsewhere(args, &actor, &common.data, terminal)? {
        return Ok(exit);
    }
    if let (true, Some(file)) = (args.dry_run, &args.file) {
        return dry::preview(file, args, common, &actor, terminal);
    }
    here(args, &actor, common, terminal)
}

/// A run on the data folder.
fn here(
    args: &RunArgs,
    actor: &Actor,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    // A workflow file is read and checked before anything is opened or written.
    let mut fresh = args
        .file
        .as_ref()
        .map(|file| {
            let definition = Definition::here(file, args.key.as_deref(), &common.data, terminal)?;
            prepare::fresh(definition, &args.begin, common, actor)
        })
        .transpose()?;
    if let (Some(fresh), Some(key)) = (&mut fresh, &args.key)
        && let Ok(home) = Home::read(&common.data)
        && let Some(before) = keyed::before(&home, (key, &args.begin), fresh)?
    {
        return before.go(home, args, common, terminal);
    }
    if let Some(fresh) = &fresh {
        turn::make_way(fresh, actor, common, terminal)?;
    }
    if let Some(run) = &args.resume {
        turn::make_way_again(run, common, terminal)?;
    }
    let home = match &fresh {
        Some(_) => Home::write(&common.data)?,
        None => Home::change(&common.data)?,
    };
    // Somebody may have asked for it just before the folder was taken.
    if let (Some(fresh), Some(key)) = (&mut fresh, &args.key)
        && let Some(before) = keyed::before(&home, (key, &args.begin), fresh)?
    {
        return before.go(home, args, common, terminal);
    }
    args.record.iter().try_for_each(|record| folders::keep_out(record, &common.data))?;
    let reason = args.reason.clone().filter(|_| args.cancel.is_some());
    let cancel = reason.map(|reason| (actor.clone(), reason));
    let plan = match (fresh, args.resume.as_ref().or(args.cancel.as_ref()), &args.fork) {
        (Some(fresh), ..) => fresh,
        (None, Some(run), _) => {
            let id = given::run(run)?;
            if let Some((who, reason)) = &cancel
                && let Some(exit) = turn::withdraw(&home, id, (who, reason), terminal)?
            {
                return Ok(exit);
            }
            match turn::take(&home, id, common)? {
                Some(plan) => plan,
                None => resumed::plan(&home, run, cancel, common)?,
            }
        }
        (None, None, Some(run)) => {
            let from = (args.from.as_deref().unwrap_or_default(), &args.begin);
            fork::prepare(&home, run, from, common, actor, terminal)?
        }
        (None, None, None) => return Err(Failure::told(Exit::BadInput, NOTHING_NAMED)),
    };
    go(&home, plan, args, common, terminal)
}

/// Bring a run on as far as it goes by itself, and say how it stands then.
fn go(
    home: &Home,
    plan: Plan,
    args: &RunArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let actor = given::actor(&args.begin.by.actor)?;
    // Ending a run takes no effect, and so no clock.
    if args.cancel.is_none() {
        clock::look(home, &common.data, terminal)?;
    }
    let bound = match &plan.ending {
        Some(_) => cancel::canon(home, &plan.domain, terminal)?,
        None => canon::bind(home, &plan, (args, Some(&actor)), terminal)?,
    };
    let canon = bound.canon.as_deref();
    production::check(home, &plan, (args, Some(&actor)), canon)?;
    if let (Input::Start(start), Some(file)) = (&plan.input, &args.file) {
        active::check(home, &start.flow, file)?;
    }
    if let (Input::Start(start), Some(file)) = (&plan.input, &args.file) {
        fitting::check(&start.flow, &start.source, &given::name(file), canon)?;
        models::check(args, canon, &start.flow)?;
    }
    if let Some(ending) = &plan.ending {
        ending.admit(home, &mut engine(home, true)?)?;
    }
    if matches!(plan.input, Input::TakeUp(_)) {
        answered::check(args, &plan, canon)?;
    }
    let roots = folders::admitted(&plan.roots, &plan.base, canon);
    again::folders(&roots, &plan.named, args)?;
    let workers = workers(args, &plan, &roots, &bound, &common.data)?;
    let advice = format!("go on with: cognitionos run --resume {}", plan.run);
    let advice = terminal.located(&advice);
    let signals = Signals::watch(&workers, advice).context("cannot listen to signals")?;
    bound.found(home, &plan.environment, &actor, terminal)?;
    let committer = home.committer()?;
    let ledger = Box::new(Committed(committer.clone()));
    let engine = engine(home, plan.ending.is_some())?;
    let runtime = workers.runtime();
    let mut driver = Driver::new(engine, ledger, Box::new(workers), Arc::new(SystemClock));
    let run = plan.run;
    let is_asking = Arc::clone(&signals);
    let is_asking = Arc::new(move || is_asking.is_asking());
    let own = plan.before.others.iter().map(|other| other.run).chain([run]).collect();
    let (mut board, live) = Switchboard::of(&driver, own, committer.clone(), is_asking);
    let server = listen(&common.data, &runtime, live, terminal);
    let left = std::collections::BTreeSet::new();
    let desk = Desk { home, canon, terminal, signals: &signals, left };
    let file = args.file.as_deref().map(given::name);
    let recorded = models::recorded(args, canon);
    let is_real = canon.is_some_and(|it| it.settings().is_production(&plan.environment));
    let view = View::new(terminal, plan.before.counts, file.clone());
    let mut view = view.watching(recorded).in_production(is_real.then(|| plan.environment.clone()));
    let driven = drive(&mut driver, plan, (&mut view, &mut board), desk);
    // Whoever still waits is told to turn to the folder itself.
    drop(board);
    if let Some(server) = server {
        server.close();
    }
    drop(driver);
    committer.shutdown();
    clock::keep(&common.data);
    // A run that goes on was told when it began.
    let live = (view.has_recording() && args.file.is_some()).then(|| again::live(args));
    let begun = view.with_begun();
    let told = (file.as_deref(), live.as_deref(), begun.as_deref());
    let (run, end) = driven?;
    let exit = end::report(home, run, end, told, terminal)?;
    // Who wanted the run ended has what was asked for.
    let is_meant = args.cancel.is_some() && exit == Exit::Interrupted;
    Ok(if is_meant { Exit::Done } else { exit })
}

/// Listen for what other commands ask of this run. Where that cannot be, the run goes on: they
/// wait for its end.
fn listen(data: &Path, runtime: &Handle, live: Live, terminal: &Terminal) -> Option<Server> {
    let server = Server::open(data, runtime, live);
    if let Err(error) = &server {
        let message = format!("other commands cannot reach this run before it ends: {error}");
        terminal.note(&terminal.tint(Tone::Ask, &message));
    }
    server.ok()
}

/// What performs the effects of a run, of the open ones that it began, and of those to come.
fn workers(
    args: &RunArgs,
    plan: &Plan,
    roots: &BTreeMap<String, RootBinding>,
    bound: &canon::Bound,
    data: &Path,
) -> anyhow::Result<Workers> {
    let canon = bound.canon.as_deref();
    let secrets = Secrets::of_folder(data);
    let adapters = models::adapters(args, &plan.base, canon, plan.run, roots, &secrets)?;
    let binder = family::binder(args, data, bound.canon.clone());
    let workers = Workers::new(binder).context("cannot start the workers")?;
    workers.bind(plan.run, adapters);
    for family::Other { run, roots, base } in &plan.before.others {
        let roots = folders::admitted(roots, base, canon);
        workers.bind(*run, models::adapters(args, base, canon, *run, &roots, &secrets)?);
    }
    Ok(workers)
}

/// An engine that knows what binds, and what counts. One that is to end a run does without a canon
/// that cannot be read.
pub(crate) fn engine(home: &Home, is_ending: bool) -> anyhow::Result<Engine> {
    let mut engine = knowing(home, is_ending)?;
    engine.recall(home.scope()?.as_ref()).map_err(crate::home::told)?;
    Ok(engine)
}

/// An engine that knows what binds.
pub(crate) fn knowing(home: &Home, is_ending: bool) -> anyhow::Result<Engine> {
    let settings = Settings { tenant: home.tenant, status: TenantStatus::Active };
    let clock = Arc::new(SystemClock);
    let mut engine = Engine::new(settings, clock, Box::new(SystemEntropy::new()));
    let kinds = [ChangeControl::KINDS.as_slice(), &Versions::KINDS].concat();
    let select = cog_store::Select { kinds, ..cog_store::Select::default() };
    home.each(select, |entry| engine.observe(entry))?;
    let newest = cog_store::Select { newest_first: true, limit: 1, ..cog_store::Select::default() };
    let last = home.scope()?.select(&newest).map_err(crate::home::told)?;
    last.iter().for_each(|entry| engine.observe(entry));
    let canons =
        home.canons().or_else(|error| if is_ending { Ok(BTreeMap::new()) } else { Err(error) })?;
    canons.into_values().for_each(|canon| engine.know(canon));
    Ok(engine)
}

/// Take turns until nothing goes on any more. A run that continues as new is followed: gives the last
/// one of its chain.
fn drive(
    driver: &mut Driver,
    plan: Plan,
    (view, board): (&mut View<'_>, &mut Switchboard),
    mut desk: Desk<'_>,
) -> anyhow::Result<(RunId, End)> {
    let (signals, inbox) = (desk.signals, driver.inbox());
    inbox.send(plan.input);
    let (mut run, mut own, mut parked) = (plan.run, None, BTreeMap::new());
    loop {
        let mut looks = false;
        let notices = driver.turn(TURN_MS).map_err(|why| end::broken(run, why, view))?;
        board.hear(driver, &notices);
        for notice in notices {
            turn::show(view, &notice, run);
            if let Some(end) = over(&notice, run, plan.ending.is_some()) {
                view.clear();
                return Ok((run, end));
            }
            match notice.what {
                What::Sealed(sealed) => {
                    parked.remove(&notice.run);
                    (run, own) = followed((run, own), notice.run, sealed);
                    looks = true;
                }
                What::Parked { approvals, signals, children, paused } => {
                    parked.insert(notice.run, Waits { approvals, signals, children, paused });
                    looks = true;
                }
                // An answer that came too late, or others may answer: the run waits as before.
                What::NotCounted { .. } | What::Escalated { .. } => looks = true,
                What::Started { .. }
                | What::Stopped { .. }
                | What::NotBegun { .. }
                | What::Queued { .. }
                | What::Called
                | What::Unqueued { .. }
                | What::Permitted { .. }
                | What::Refused { .. }
                | What::Asked { .. }
                | What::Waiting { .. }
                | What::Retried { .. }
                | What::Settled { .. }
                | What::Planned { .. }
                | What::Begun { .. }
                | What::EndsAlready { .. }
                | What::Fell { .. }
                | What::Given { .. }
                | What::Listening { .. }
                | What::Held { .. }
                | What::NotPaused { .. }
                | What::NotGranted { .. }
                | What::Signalled { .. }
                | What::NotTaken { .. }
                | What::Sleeping { .. } => {}
            }
        }
        if let Some(exit) = signals.caught() {
            view.clear();
            return Ok((run, End::Left { exit, so_far: view.totals() }));
        }
        // What a run began goes on when it has ended itself.
        if !looks || !driver.engine().is_still() {
            continue;
        }
        view.clear();
        let asked = || parked.values().flat_map(|waits: &Waits| &waits.approvals);
        let answers = desk.ask(driver, &asked().copied().collect::<Vec<_>>());
        if answers.is_empty() {
            let so_far = view.totals();
            let waits = asked().map(|id| wanted(driver, *id, desk.canon)).collect();
            return Ok((run, own.map_or_else(|| still(waits, &parked, so_far), End::Sealed)));
        }
        for ask::Answer { approval, who, verdict } in answers {
            let run = asker(&parked, approval).unwrap_or(run);
            inbox.send(Input::Answer { run, approval, who, verdict });
        }
    }
}

/// A run that is followed, and how it ended.
type Followed = (RunId, Option<Box<Sealed>>);

/// What is followed behind the seal of a run: of the one that was, the run that continues it.
fn followed((run, own): Followed, of: RunId, sealed: Sealed) -> Followed {
    match sealed.next {
        _ if of != run => (run, own),
        Some(next) => (next, None),
        None => (run, Some(Box::new(sealed))),
    }
}

/// What ends the command at once, of a run that may have been taken up to be ended.
fn over(notice: &Notice, own: RunId, is_ending: bool) -> Option<End> {
    let is_own = notice.run == own;
    if let What::NotBegun { message } | What::Stopped { message } = &notice.what {
        Some(End::Stopped(message.clone()))
    } else if let What::Queued { .. } | What::Unqueued { .. } = &notice.what {
        is_own.then(|| End::NotBegun(Box::new(notice.what.clone())))
    } else if let What::NotGranted { reason, .. } = &notice.what {
        // Whoever may not was refused before anything began: the canon changed since.
        (is_own && is_ending).then(|| End::NotCancelled(reason.clone()))
    } else {
        None
    }
}

/// The run that a request is of.
fn asker(parked: &BTreeMap<RunId, Waits>, approval: ApprovalId) -> Option<RunId> {
    let mut all = parked.iter();
    all.find(|(_, waits)| waits.approvals.contains(&approval)).map(|(run, _)| *run)
}

/// Nothing goes on before somebody brings it on.
fn still(asked: Vec<Wanted>, parked: &BTreeMap<RunId, Waits>, so_far: String) -> End {
    let all = || parked.iter();
    let signals =
        all().flat_map(|(run, waits)| waits.signals.iter().map(|(_, name)| (*run, name.clone())));
    let paused = all().find_map(|(run, waits)| Some((*run, waits.paused.clone()?)));
    End::Parked { asked, signals: signals.collect(), paused, so_far }
}

fn wanted(driver: &Driver, id: ApprovalId, canon: Option<&Canon>) -> Wanted {
    let request = driver.engine().gate().approvals().get(id);
    let people = request.zip(canon).map(|(request, canon)| people(request, canon));
    Wanted { id, people: people.unwrap_or_default() }
}
