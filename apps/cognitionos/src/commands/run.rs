//! `run`: one governed run on the embedded store, from its first entry to its seal.

#![expect(clippy::disallowed_methods, reason = "the program's edge looks for folders")]

pub(crate) mod again;
mod answered;
mod ask;
mod cancel;
mod canon;
mod classes;
mod dry;
mod end;
pub(crate) mod family;
mod file;
pub(crate) mod fork;
mod nobody;
mod nodes;
pub(crate) mod scheduled;
mod signals;
mod spare;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use cog_base::Clock as _;
use cog_base::id::{ApprovalId, RunId};
use cog_base::json::Map;
use cog_canon::Canon;
use cog_effect_file::RootBinding;
use cog_engine::fork::own;
use cog_engine::history::Mismatch;
use cog_engine::replay::replay_run;
use cog_engine::{
    Driver, Engine, History, Input, Record, Resumption, Sealed, Settings, Start, Waits, What,
};
use cog_flow::{BoundRoot, Flow};
use cog_gate::Actor;
use cog_gate::change::ChangeControl;
use cog_gate::snapshot::{Access, TenantStatus};
use tokio::runtime::Handle;

use self::again::Named;
use self::ask::Desk;
use self::cancel::Ending;
pub(crate) use self::cancel::decide as decide_cancel;
use self::file::{misread, read_workflow};
use self::signals::Signals;
use crate::cli::{Beginning, Common, RunArgs};
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
const NOTHING_NAMED: &str = "name a workflow file, or a run with --resume, --fork or --cancel";

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
    /// The open runs that it began.
    others: Vec<family::Other>,
    /// What the run did before.
    counts: Counts,
    /// Who wants it to end instead of going on.
    ending: Option<Ending>,
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
    let fresh =
        args.file.as_ref().map(|file| prepare(file, &args.begin, common, actor)).transpose()?;
    let home = match &fresh {
        Some(_) => Home::write(&common.data)?,
        None => Home::change(&common.data)?,
    };
    args.record.iter().try_for_each(|record| folders::keep_out(record, &common.data))?;
    let reason = args.reason.clone().filter(|_| args.cancel.is_some());
    let cancel = reason.map(|reason| (actor.clone(), reason));
    let plan = match (fresh, args.resume.as_ref().or(args.cancel.as_ref()), &args.fork) {
        (Some(fresh), ..) => fresh,
        (None, Some(run), _) => prepare_resume(&home, run, cancel, common)?,
        (None, None, Some(run)) => fork::prepare(&home, run, args, common, actor, terminal)?,
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
    if let (Input::Start(start), Some(file)) = (&plan.input, &args.file) {
        nobody::check(&start.flow, &start.source, &given::name(file), canon)?;
        classes::check(&start.flow, &start.source, &given::name(file), canon)?;
    }
    if let Some(ending) = &plan.ending {
        ending.admit(home, &mut engine(home, true)?)?;
    }
    if let Input::Resume(resumption) = &plan.input {
        answered::check(args, &plan, resumption, canon)?;
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
    let own = plan.others.iter().map(|other| other.run).chain([run]).collect();
    let (mut board, live) = Switchboard::of(&driver, own, committer.clone(), is_asking);
    let server = listen(&common.data, &runtime, live, terminal);
    let left = std::collections::BTreeSet::new();
    let desk = Desk { home, canon, terminal, signals: &signals, left };
    let file = args.file.as_deref().map(given::name);
    let recorded = models::recorded(args, canon);
    let mut view = View::new(terminal, plan.counts, file.clone()).watching(recorded);
    let end = drive(&mut driver, plan, (&mut view, &mut board), desk);
    // Whoever still waits is told to turn to the folder itself.
    drop(board);
    if let Some(server) = server {
        server.close();
    }
    drop(driver);
    committer.shutdown();
    clock::keep(&common.data);
    // A run that goes on was told when it began.
    let live = (view.asked_recording() && args.file.is_some()).then(|| again::live(args));
    let begun = view.with_begun();
    let told = (file.as_deref(), live.as_deref(), begun.as_deref());
    let exit = end::report(home, run, end?, told, terminal)?;
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
    for family::Other { run, roots, base } in &plan.others {
        let roots = folders::admitted(roots, base, canon);
        workers.bind(*run, models::adapters(args, base, canon, *run, &roots, &secrets)?);
    }
    Ok(workers)
}

/// Read and check a workflow file and its inputs.
pub(crate) fn prepare(
    file: &Path,
    args: &Beginning,
    common: &Common,
    actor: &Actor,
) -> anyhow::Result<Plan> {
    let source = read_workflow(file)?;
    let flow = cog_flow::parse(&source, &given::name(file));
    let flow = flow.and_then(|flow| family::complete(flow, file)).map_err(misread)?;
    let given = given_inputs(args, &flow)?;
    let inputs = flow.bind(&given).map_err(|errors| {
        let missing = flow.inputs.iter().find(|(name, input)| {
            input.required && input.default.is_none() && !given.contains_key(*name)
        });
        match missing {
            Some((name, input)) => Failure::advise(
                Exit::BadInput,
                errors,
                format!("--input {name}=VALUE, where the value is {}", input.kind.as_str()),
            ),
            None => {
                let advice = "--input NAME=VALUE; the workflow file says which there are";
                Failure::advise(Exit::BadInput, errors, advice)
            }
        }
    })?;
    let base = file.parent().filter(|base| !base.as_os_str().is_empty());
    let base = base.unwrap_or_else(|| Path::new(".")).to_owned();
    let environment = args.environment.as_deref().unwrap_or(&flow.environment).to_owned();
    let bound = bound_roots(&flow, &inputs, &environment)?;
    let by = |root: &BoundRoot| (root.name.clone(), namer(&root.path, &given, &inputs));
    let named: BTreeMap<String, Named> = bound.iter().map(by).collect();
    let stands = |root: &BoundRoot| stands(root, &base, named.get(&root.name));
    let Folders { access, places, roots } = Folders::bind(bound, stands, common)?;
    let run = RunId::new(SystemClock.now(), &mut SystemEntropy::new())?;
    let (domain, flow) = (flow.domain.clone(), Arc::new(flow));
    let start = Start {
        run,
        flow: Arc::clone(&flow),
        source,
        inputs,
        roots: access,
        places,
        base: folders::on_record(&folders::real(&base))?,
        initiator: actor.clone(),
        environment: args.environment.clone(),
        firing: None,
    };
    let (input, counts) = (Input::Start(Box::new(start)), Counts::default());
    let others = Vec::new();
    let ending = None;
    Ok(Plan { run, input, domain, environment, roots, named, base, others, counts, ending })
}

/// What named this folder: an input whose value it is, or else the file.
fn namer(path: &str, given: &BTreeMap<String, String>, inputs: &Map) -> Named {
    if let Some((input, value)) = given.iter().find(|(_, value)| *value == path) {
        return Named::Given { input: input.clone(), value: value.clone() };
    }
    let by_default = inputs.iter().find(|(_, value)| value.as_text() == Some(path));
    by_default.map_or(Named::File, |(input, _)| Named::Default(input.clone()))
}

/// The inputs that are given, each once.
fn given_inputs(args: &Beginning, flow: &Flow) -> anyhow::Result<BTreeMap<String, String>> {
    let mut given = BTreeMap::new();
    for input in &args.input {
        let (name, value) = input.split_once('=').ok_or_else(|| {
            let known: Vec<_> = flow.inputs.keys().map(String::as_str).collect();
            let known = format!("--input NAME=VALUE; the workflow has: {}", known.join(", "));
            Failure::advise(Exit::BadInput, format!("`--input {input}` has no value"), known)
        })?;
        if given.insert(name.to_owned(), value.to_owned()).is_some() {
            let message = format!("the input `{name}` is given twice");
            return Err(Failure::advise(
                Exit::BadInput,
                message,
                format!("one --input {name}=VALUE"),
            ));
        }
    }
    Ok(given)
}

/// The folders that a workflow names with these inputs.
fn bound_roots(flow: &Flow, inputs: &Map, environment: &str) -> anyhow::Result<Vec<BoundRoot>> {
    flow.roots(inputs, environment).map_err(|errors| Failure::told(Exit::BadInput, errors))
}

/// Where a folder stands. One given on the command line is meant from where the person stands.
fn stands(root: &BoundRoot, base: &Path, named: Option<&Named>) -> PathBuf {
    let is_given = matches!(named, Some(Named::Given { .. }));
    if is_given { PathBuf::from(&root.path) } else { base.join(&root.path) }
}

/// The folders of a run: what it may do there, where they stand, and how they are opened.
struct Folders {
    access: BTreeMap<String, Access>,
    places: BTreeMap<String, String>,
    roots: BTreeMap<String, RootBinding>,
}

impl Folders {
    fn bind(
        bound: Vec<BoundRoot>,
        stands: impl Fn(&BoundRoot) -> PathBuf,
        common: &Common,
    ) -> anyhow::Result<Self> {
        let (access, places, roots) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut folders = Self { access, places, roots };
        for root in bound {
            let binding = family::stand(&root, &stands(&root), &common.data)?;
            let access = if binding.write { Access::Write } else { Access::Read };
            folders.access.insert(root.name.clone(), access);
            folders.places.insert(root.name.clone(), folders::on_record(&binding.path)?);
            folders.roots.insert(root.name, binding);
        }
        Ok(folders)
    }
}

/// Rebuild an open run from the ledger, to go on with it or to end it.
fn prepare_resume(
    home: &Home,
    run: &str,
    cancel: Option<(Actor, String)>,
    common: &Common,
) -> anyhow::Result<Plan> {
    let run = given::run(run)?;
    let past = home.open_records(run)?;
    let records = own(&past);
    let history = replay_run(&past).map_err(|error| mismatch(run, &error))?;
    let kin = family::kin(home, run, &past)?;
    for records in &kin {
        home.complete(records)?;
        replay_run(records).map_err(|error| mismatch(run, &error))?;
    }
    let others = family::others(run, &past, &kin, cancel.is_some(), &common.data)?;
    let first = records.first().map(|first| &first.entry);
    let text = |of: fn(&cog_ledger::Entry) -> &str| first.map(|it| of(it).to_owned());
    let domain = text(cog_ledger::Entry::domain).unwrap_or_default();
    let environment = text(cog_ledger::Entry::environment).unwrap_or_default();
    let (roots, base) = standing(&history, run, cancel.is_some(), &common.data)?;
    let counts = Counts::of(records.iter().map(|record: &Record| record.entry.as_ref()));
    let ending = cancel.as_ref().map(|(who, reason)| Ending::of(&history, who, reason));
    let input = Input::Resume(Box::new(Resumption { records: past, kin, cancel }));
    let named = BTreeMap::new();
    Ok(Plan { run, input, domain, environment, roots, named, base, others, counts, ending })
}

/// A run cannot be taken up: it, or one of its tree, is not what its definition describes.
fn mismatch(run: RunId, error: &Mismatch) -> anyhow::Error {
    let message = format!("{run} cannot be resumed: {error}");
    Failure::advise(Exit::Failed, message, "cognitionos ledger verify")
}

/// Where the roots of a run stand, and its workflow file.
fn standing(
    history: &History,
    run: RunId,
    is_ending: bool,
    data: &Path,
) -> anyhow::Result<(BTreeMap<String, RootBinding>, PathBuf)> {
    let secrets = Secrets::of_folder(data);
    for (name, path) in history.places() {
        secrets.keep_apart(name, Path::new(path))?;
    }
    let flow = history.flow();
    let roots = history.places().iter().map(|(name, path)| {
        let write = history.roots().get(name) == Some(&Access::Write);
        // What the workflow has made when it is missing is made again by what writes there.
        let create = flow.roots.iter().any(|root| root.name == *name && root.create);
        (name.clone(), RootBinding { path: PathBuf::from(path), write, create })
    });
    // A run can be ended although a folder is gone: what was done there nobody can tell.
    let is_left = |root: &RootBinding| folders::is_there(&root.path) || folders::is_due(root);
    let roots = roots.filter(|(_, root)| !is_ending || is_left(root));
    let roots: BTreeMap<String, RootBinding> = roots.collect();
    if let Some((name, root)) = roots.iter().find(|(_, it)| !it.create && !it.path.is_dir()) {
        let message = format!("the folder {} of the root `{name}` is gone", root.path.display());
        let advice = format!(
            "put it back, or end the run: cognitionos run --cancel {run} --reason 'its folder is gone'"
        );
        return Err(Failure::advise(Exit::BadInput, message, advice));
    }
    Ok((roots, PathBuf::from(history.base())))
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
    let kinds = ChangeControl::KINDS.into();
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

/// Take turns until nothing goes on any more.
fn drive(
    driver: &mut Driver,
    plan: Plan,
    (view, board): (&mut View<'_>, &mut Switchboard),
    mut desk: Desk<'_>,
) -> anyhow::Result<End> {
    let signals = desk.signals;
    let inbox = driver.inbox();
    let is_ending = plan.ending.is_some();
    inbox.send(plan.input);
    let (mut own, mut parked) = (None, BTreeMap::new());
    loop {
        let mut looks = false;
        let notices = driver.turn(TURN_MS).map_err(|why| end::broken(plan.run, why, view))?;
        board.hear(driver, &notices);
        for notice in notices {
            view.show(&notice);
            match notice.what {
                What::Sealed(sealed) => {
                    parked.remove(&notice.run);
                    own = if notice.run == plan.run { Some(Box::new(sealed)) } else { own };
                    looks = true;
                }
                What::Stopped { message } => {
                    view.clear();
                    return Ok(End::Stopped(message));
                }
                What::Parked { approvals, signals, children, paused } => {
                    parked.insert(notice.run, Waits { approvals, signals, children, paused });
                    looks = true;
                }
                // Whoever may not was refused before anything began: the canon changed since.
                What::NotGranted { reason, .. } if is_ending && notice.run == plan.run => {
                    view.clear();
                    return Ok(End::NotCancelled(reason));
                }
                // An answer that came too late: the run waits as before.
                What::NotCounted { .. } => looks = true,
                What::Started { .. }
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
                | What::Listening { .. }
                | What::Held { .. }
                | What::NotPaused { .. }
                // Somebody in another process, who may not: the run goes on.
                | What::NotGranted { .. }
                | What::Signalled { .. }
                | What::NotTaken { .. }
                | What::Sleeping { .. } => {}
            }
        }
        if let Some(exit) = signals.caught() {
            view.clear();
            return Ok(End::Left { exit, so_far: view.totals() });
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
            return Ok(own.map_or_else(|| still(waits, &parked, so_far), End::Sealed));
        }
        for ask::Answer { approval, who, verdict } in answers {
            let run = asker(&parked, approval).unwrap_or(plan.run);
            inbox.send(Input::Answer { run, approval, who, verdict });
        }
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
