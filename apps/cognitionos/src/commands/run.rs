//! `run`: one governed run on the embedded store, from its first entry to its seal.

#![expect(clippy::disallowed_methods, reason = "the program's edge reads what it is pointed at")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use cog_base::Clock as _;
use cog_base::id::{ApprovalId, RunId};
use cog_base::words::counted;
use cog_canon::{Canon, Source};
use cog_effect_file::RootBinding;
use cog_engine::history::Mismatch;
use cog_engine::replay::replay_run;
use cog_engine::{Driver, Engine, Input, Resumption, Sealed, Settings, Start, What};
use cog_flow::Flow;
use cog_gate::Actor;
use cog_gate::snapshot::{Access, TenantStatus};

use crate::canon_dir;
use crate::cli::{Common, RunArgs};
use crate::failure::{Exit, Failure};
use crate::folders;
use crate::hands::{Committed, Workers};
use crate::home::{CANON_KINDS, Home};
use crate::models;
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::{Terminal, Tone};
use crate::view::{View, sealed_lines};

/// How long one turn waits for something to happen, in milliseconds.
const TURN_MS: u64 = 250;
/// The largest workflow file, in bytes.
const WORKFLOW_BYTES_MAX: u64 = 1 << 20;

/// What a run needs to begin or to go on.
struct Plan {
    run: RunId,
    input: Input,
    flow: Arc<Flow>,
    domain: String,
    roots: BTreeMap<String, RootBinding>,
    /// The folder that the workflow file stands in.
    base: PathBuf,
}

/// A consent that is waited for: the request, and who could give it.
struct Wanted {
    id: ApprovalId,
    people: Vec<String>,
}

/// How a run stands when nothing goes on any more.
enum End {
    Sealed(Box<Sealed>),
    Parked { asked: Vec<Wanted>, so_far: String },
    Stopped(String),
}

pub(crate) fn run(args: &RunArgs, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let actor: Actor = args.actor.parse().map_err(|error| Failure::told(Exit::BadInput, error))?;
    // A workflow file is read and checked before anything is opened or written.
    let fresh = args.file.as_ref().map(|file| prepare(file, args, common, &actor)).transpose()?;
    let home = match &fresh {
        Some(_) => Home::write(&common.data)?,
        None => Home::change(&common.data)?,
    };
    let cancel = args.reason.clone().map(|reason| (actor.clone(), reason));
    let plan = match (fresh, args.resume.as_ref().or(args.cancel.as_ref())) {
        (Some(fresh), _) => fresh,
        (None, Some(run)) => prepare_resume(&home, run, cancel, common)?,
        (None, None) => {
            return Err(Failure::told(
                Exit::BadInput,
                "name a workflow file, or a run with --resume or --cancel",
            ));
        }
    };
    let canon = bind_canon(&home, &plan, args, &actor, terminal)?;
    let adapters = models::adapters(args, &plan.base, canon.as_deref(), plan.run, &plan.roots)?;
    let workers = Workers::new(adapters).context("cannot start the workers")?;
    let committer = home.committer()?;
    let mut driver = driver(&home, workers, committer.clone())?;
    let end = drive(&mut driver, plan.run, plan.input, canon.as_deref(), terminal);
    drop(driver);
    committer.shutdown();
    let exit = report(&home, plan.run, end?, terminal)?;
    // Who wanted the run ended has what was asked for.
    let is_meant = args.cancel.is_some() && exit == Exit::Interrupted;
    Ok(if is_meant { Exit::Done } else { exit })
}

/// Read and check a workflow file and its inputs.
fn prepare(file: &Path, args: &RunArgs, common: &Common, actor: &Actor) -> anyhow::Result<Plan> {
    let source = read_workflow(file)?;
    let flow = cog_flow::parse(&source, &file.display().to_string()).map_err(|errors| {
        Failure::told(Exit::BadInput, format!("the workflow has errors\n\n{errors}"))
    })?;
    let mut given = BTreeMap::new();
    for input in &args.input {
        let (name, value) = input.split_once('=').ok_or_else(|| {
            Failure::told(Exit::BadInput, format!("`--input {input}` must be NAME=VALUE"))
        })?;
        given.insert(name.to_owned(), value.to_owned());
    }
    let bad = |errors: &dyn std::fmt::Display| Failure::told(Exit::BadInput, errors);
    let inputs = flow.bind(&given).map_err(|errors| bad(&errors))?;
    let base = file.parent().filter(|base| !base.as_os_str().is_empty());
    let base = base.unwrap_or_else(|| Path::new(".")).to_owned();
    let environment = args.environment.as_deref().unwrap_or(&flow.environment);
    let bound = flow.roots(&inputs, environment).map_err(|errors| bad(&errors))?;
    let (mut access, mut places, mut roots) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for root in bound {
        let given = args.input.iter().any(|input| input.ends_with(&format!("={}", root.path)));
        // A folder given on the command line is meant from where the person stands.
        let path = if given { PathBuf::from(&root.path) } else { base.join(&root.path) };
        let path = folders::real(&path);
        folders::keep_apart(&root.name, &path, &common.data)?;
        let write = root.access == cog_flow::Access::Write;
        access.insert(root.name.clone(), if write { Access::Write } else { Access::Read });
        places.insert(root.name.clone(), path.display().to_string());
        roots.insert(root.name, RootBinding { path, write, create: root.create });
    }
    let run = RunId::new(SystemClock.now(), &mut SystemEntropy::new())?;
    let (domain, flow) = (flow.domain.clone(), Arc::new(flow));
    let start = Start {
        run,
        flow: Arc::clone(&flow),
        source,
        inputs,
        roots: access,
        places,
        base: folders::real(&base).display().to_string(),
        initiator: actor.clone(),
        environment: args.environment.clone(),
    };
    Ok(Plan { run, input: Input::Start(Box::new(start)), flow, domain, roots, base })
}

fn read_workflow(file: &Path) -> anyhow::Result<String> {
    let size = std::fs::metadata(file).map(|meta| meta.len());
    let size = size.map_err(|error| {
        Failure::told(Exit::BadInput, format!("cannot read {}: {error}", file.display()))
    })?;
    if size > WORKFLOW_BYTES_MAX {
        let message = format!("{} has {size} bytes; a workflow has at most 1 MiB", file.display());
        return Err(Failure::told(Exit::BadInput, message));
    }
    std::fs::read_to_string(file).map_err(|error| {
        Failure::told(Exit::BadInput, format!("cannot read {}: {error}", file.display()))
    })
}

/// Rebuild an open run from the ledger, to go on with it or to end it.
fn prepare_resume(
    home: &Home,
    run: &str,
    cancel: Option<(Actor, String)>,
    common: &Common,
) -> anyhow::Result<Plan> {
    let run: RunId = run.parse().map_err(|error| Failure::told(Exit::BadInput, error))?;
    let records = home.records(run)?;
    let history = replay_run(&records).map_err(|error: Mismatch| {
        Failure::told(Exit::Failed, format!("{run} cannot be resumed: {error}"))
    })?;
    if history.is_sealed() {
        let message = format!("{run} has ended; a sealed run cannot go on");
        return Err(Failure::advise(Exit::Conflict, message, format!("cognitionos replay {run}")));
    }
    for (name, path) in history.places() {
        folders::keep_apart(name, Path::new(path), &common.data)?;
    }
    let domain = records.first().map(|first| first.entry.domain().to_owned()).unwrap_or_default();
    let roots = history.places().iter().map(|(name, path)| {
        let write = history.roots().get(name) == Some(&Access::Write);
        (name.clone(), RootBinding { path: PathBuf::from(path), write, create: false })
    });
    // A run can be ended although a folder is gone: what was done there nobody can tell.
    let roots = roots.filter(|(_, root)| cancel.is_none() || root.path.is_dir());
    let (roots, base) = (roots.collect(), PathBuf::from(history.base()));
    let flow = history.flow();
    let input = Input::Resume(Box::new(Resumption { records, cancel }));
    Ok(Plan { run, input, flow, domain, roots, base })
}

/// The canon in force in the run's domain. The first run of a domain founds it from the
/// folder; later the folder must be the version in force, or be proposed.
fn bind_canon(
    home: &Home,
    plan: &Plan,
    args: &RunArgs,
    actor: &Actor,
    terminal: &Terminal,
) -> anyhow::Result<Option<Arc<Canon>>> {
    let change = home.change_control()?;
    let in_force = change.in_force(&plan.domain);
    let beside = plan.base.join("canon");
    let dir = args.canon.clone().or_else(|| canon_dir::is_canon(&beside).then_some(beside));
    let Some(dir) = dir else {
        let Some(digest) = in_force else {
            terminal.note(&terminal.tint(
                Tone::Ask,
                "no canon: no --canon DIR and no folder `canon` beside the workflow, so everything is refused",
            ));
            return Ok(None);
        };
        return Ok(home.canon(digest)?.map(Arc::new));
    };
    let (source, canon) = canon_dir::load(&dir)?;
    if canon.domain() != plan.domain {
        let message = format!(
            "the canon in {} is for the domain `{}`, the workflow belongs to `{}`",
            dir.display(),
            canon.domain(),
            plan.domain
        );
        return Err(Failure::told(Exit::BadInput, message));
    }
    match in_force {
        Some(digest) if digest == canon.digest() => Ok(Some(Arc::new(canon))),
        Some(digest) if args.canon.is_none() => {
            let message = format!(
                "the folder {} is not the canon in force ({}); the one in force decides. To change it: cognitionos canon propose {}",
                dir.display(),
                digest.short(),
                dir.display()
            );
            terminal.note(&terminal.tint(Tone::Ask, &message));
            Ok(home.canon(digest)?.map(Arc::new))
        }
        Some(digest) => Err(Failure::advise(
            Exit::Conflict,
            format!(
                "the canon in force in `{}` is {}, and {} is {}: a canon changes only by proposal",
                plan.domain,
                digest.short(),
                dir.display(),
                canon.digest().short()
            ),
            format!("cognitionos canon propose {} --as user:NAME", dir.display()),
        )),
        None => found(home, plan, args, actor, &source, canon, terminal),
    }
}

/// Put the first canon of a domain in force.
fn found(
    home: &Home,
    plan: &Plan,
    args: &RunArgs,
    actor: &Actor,
    source: &Source,
    canon: Canon,
    terminal: &Terminal,
) -> anyhow::Result<Option<Arc<Canon>>> {
    let failed = canon.test().failed.len();
    if failed > 0 {
        let fail = "of the canon's tests fail";
        let fail = counted(failed as u64, "of the canon's tests fails", fail);
        return Err(Failure::advise(
            Exit::BadInput,
            format!("{fail}, so it cannot be put in force"),
            "cognitionos canon test DIR",
        ));
    }
    home.keep_canon(source, canon.digest())?;
    let environment = args.environment.as_deref().unwrap_or(&plan.flow.environment);
    let draft = home.change_control()?.found(&canon, environment, actor)?;
    home.append(vec![draft])?;
    terminal.note(&format!(
        "canon {} founds the domain `{}` ({})",
        canon.name(),
        canon.domain(),
        canon.digest().short()
    ));
    Ok(Some(Arc::new(canon)))
}

fn driver(
    home: &Home,
    workers: Workers,
    committer: cog_store::Committer,
) -> anyhow::Result<Driver> {
    let settings = Settings { tenant: home.tenant, status: TenantStatus::Active };
    let clock = Arc::new(SystemClock);
    let mut engine = Engine::new(settings, clock.clone(), Box::new(SystemEntropy::new()));
    let select = cog_store::Select { kinds: CANON_KINDS.into(), ..cog_store::Select::default() };
    home.each(select, |entry| engine.observe(entry))?;
    let newest = cog_store::Select { newest_first: true, limit: 1, ..cog_store::Select::default() };
    let last = home.scope()?.select(&newest).map_err(crate::home::told)?;
    last.iter().for_each(|entry| engine.observe(entry));
    for canon in home.canons()?.into_values() {
        engine.know(canon);
    }
    Ok(Driver::new(engine, Box::new(Committed(committer)), Box::new(workers), clock))
}

fn drive(
    driver: &mut Driver,
    run: RunId,
    input: Input,
    canon: Option<&Canon>,
    terminal: &Terminal,
) -> anyhow::Result<End> {
    let mut view = View::new(terminal);
    let inbox = driver.inbox();
    inbox.send(input);
    loop {
        for notice in driver.turn(TURN_MS)? {
            view.show(&notice);
            match notice.what {
                What::Sealed(sealed) => {
                    view.clear();
                    return Ok(End::Sealed(Box::new(sealed)));
                }
                What::Stopped { message } => {
                    view.clear();
                    return Ok(End::Stopped(message));
                }
                What::Parked { approvals } => {
                    view.clear();
                    if !terminal.interactive || !ask(driver, run, &approvals, terminal) {
                        let asked = approvals.iter().map(|id| wanted(driver, *id, canon)).collect();
                        return Ok(End::Parked { asked, so_far: view.totals() });
                    }
                }
                What::Started { .. }
                | What::Permitted { .. }
                | What::Refused { .. }
                | What::Asked { .. }
                | What::Waiting { .. }
                | What::Retried { .. }
                | What::Settled { .. }
                | What::Planned { .. }
                | What::NotCounted { .. } => {}
            }
        }
    }
}

/// Who could give a consent: those in the groups it takes, but not who asks for it.
fn wanted(driver: &Driver, id: ApprovalId, canon: Option<&Canon>) -> Wanted {
    let request = driver.engine().gate().approvals().get(id);
    let groups = request.map(|request| request.need.of.as_slice()).unwrap_or_default();
    let people = canon.into_iter().flat_map(|canon| groups.iter().flat_map(|it| canon.people(it)));
    let own = |who: &String| request.is_some_and(|it| *who == it.actor || *who == it.initiator);
    Wanted { id, people: people.filter(|who| !own(who)).collect() }
}

/// Ask whoever sits at the terminal. Says whether anything was answered.
fn ask(driver: &Driver, run: RunId, approvals: &[ApprovalId], terminal: &Terminal) -> bool {
    let inbox = driver.inbox();
    let mut answered = false;
    for id in approvals {
        let Some(request) = driver.engine().gate().approvals().get(*id) else { continue };
        let of = request.need.of.join(" or ");
        terminal.say(&format!("\n  {} waits for {} of {of}", request.step, request.need.count));
        let who = terminal.question("  Answer as (user:NAME; empty to leave it open): ");
        let Ok(who) = who.trim().parse::<Actor>() else { continue };
        let yes = terminal
            .confirm(&format!("  Approve {} on {} as {who}?", request.action, request.resource));
        let verdict = if yes { Ok(()) } else { Err("refused at the terminal".to_owned()) };
        inbox.send(Input::Answer { run, approval: *id, who, verdict });
        answered = true;
    }
    answered
}

fn report(home: &Home, run: RunId, end: End, terminal: &Terminal) -> anyhow::Result<Exit> {
    let checkpoint = home.scope()?.checkpoint().map_err(crate::home::told)?;
    let head = checkpoint.map(|checkpoint| (checkpoint.size(), checkpoint.root()));
    if terminal.json
        && let Some((size, root)) = head
    {
        terminal.emit(&cog_base::Value::map([
            ("event", cog_base::Value::from("checkpoint")),
            ("run", run.into()),
            ("size", size.into()),
            ("root", root.into()),
        ]));
    }
    let exit = match &end {
        End::Sealed(sealed) => {
            if !terminal.json {
                for line in sealed_lines(terminal, run, sealed) {
                    terminal.say(&line);
                }
            }
            exit_of(sealed)
        }
        End::Parked { asked, so_far } => {
            if !terminal.json {
                parked(run, asked, so_far, terminal);
            }
            Exit::Waiting
        }
        End::Stopped(message) => {
            return Err(Failure::advise(
                Exit::Failed,
                format!("{run} stopped: the ledger could not be written: {message}"),
                format!("mend the cause, then: cognitionos run --resume {run}"),
            ));
        }
    };
    if !terminal.json && !terminal.quiet {
        if let Some((size, root)) = head {
            let entries = counted(size, "entry", "entries");
            terminal.say(&format!("  checkpoint: {entries}, root {}", root.short()));
        }
        look_closer(run, terminal);
    }
    Ok(exit)
}

fn parked(run: RunId, asked: &[Wanted], so_far: &str, terminal: &Terminal) {
    let word = terminal.tint(Tone::Ask, "waiting for approval");
    terminal.say(&format!("\n{word}  {run}\n{so_far}"));
    terminal.say("  The rest goes on when it is answered:");
    for Wanted { id, people } in asked {
        let who = people.first().map_or("user:NAME", String::as_str);
        terminal.say(&format!("  cognitionos approvals approve {id} --as {who}"));
    }
    terminal.say(&format!("  cognitionos run --resume {run}"));
}

fn look_closer(run: RunId, terminal: &Terminal) {
    terminal.say("\nLook closer:");
    terminal.say(&format!("  cognitionos ledger list --run {run}"));
    terminal.say(&format!("  cognitionos replay {run}"));
    terminal.say("  cognitionos ledger verify");
}

fn exit_of(sealed: &Sealed) -> Exit {
    let error = sealed.error.as_ref();
    let code = error.and_then(|error| error.get("code")?.as_text()).unwrap_or_default();
    match (sealed.status.as_str(), code) {
        ("completed", _) => Exit::Done,
        ("cancelled", _) => Exit::Interrupted,
        (_, "over_budget" | "budget.exceeded" | "quota.exceeded") => Exit::Limit,
        ("refused", _) => Exit::Refused,
        (_, code) if code.ends_with("timeout") || code.ends_with("timed_out") => Exit::Timeout,
        _ => Exit::Failed,
    }
}
