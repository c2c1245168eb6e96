//! `submit`: ask the nodes that share a database for a run.

pub(crate) mod waiting;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cog_base::id::{MailId, RunId, TenantId};
use cog_base::{Clock as _, Value};
use cog_engine::{Forking, Input, Start};
use cog_flow::Flow;
use cog_gate::Actor;
use cog_gate::change::ChangeControl;
use cog_node::{Forked, Request, Wanted, ask};
use cog_store::{Files, Posted, Select, Store as _};
use cog_store_postgres::Databases;

use self::waiting::{Patience, wait};
use crate::canon_dir;
use crate::cli::nodes::{At, SubmitArgs};
use crate::cli::{Beginning, Common};
use crate::commands::run::active;
use crate::commands::run::again::word;
use crate::commands::run::fork::prepare as prepare_fork;
use crate::commands::run::named::{Definition, name};
use crate::commands::run::prepare;
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told};
use crate::shared::{is_known, make_known, open, tenant};
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::{Terminal, Tone, plain};

pub(crate) fn submit(
    args: &SubmitArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let actor = given::actor(&args.begin.by.actor)?;
    let tenant = tenant(&args.tenant)?;
    let waits = args.wait.then(|| Patience::of(args.timeout));
    let asked = (args.key.as_deref(), waits);
    if let Some(parent) = &args.fork {
        let at = At { tenant: Some(args.tenant.clone()), shared: args.shared.clone() };
        let home = Home::at(&at, || Home::read(&common.data))?;
        let from = (args.from.as_deref().unwrap_or_default(), &args.begin);
        let request = fork(&home, parent, from, common, terminal)?;
        return post(home.database()?, tenant, &request, asked, terminal);
    }
    let Some(file) = &args.file else {
        return Err(Failure::told(Exit::BadInput, "name a workflow, or a run with --fork"));
    };
    if let Some(name) = name(file) {
        return by_name(name, (args, common, &actor), terminal);
    }
    let definition = Definition::of_file(file)?;
    let Asked { wanted, flow, domain, environment } = wanted(definition, args, common, &actor)?;
    let store = open(&args.shared, "submit")?;
    if args.new_tenant {
        make_known(&store, tenant)?
    } else {
        is_known(&store, tenant)?
    }
    // What was asked for under a key stays that; of anything else the node says it.
    if args.key.is_none() {
        active::check_in(&*store.scope(tenant).map_err(told)?, &flow, file)?;
    }
    found(&store, tenant, args, (&domain, &environment, &wanted), terminal)?;
    post(&store, tenant, &Request::Start(Box::new(wanted)), asked, terminal)
}

/// Ask for a run of the active version of the workflow of this name. Under a key it is what was asked for
/// before, whichever version is active now.
fn by_name(
    name: &str,
    (args, common, actor): (&SubmitArgs, &Common, &Actor),
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let at = At { tenant: Some(args.tenant.clone()), shared: args.shared.clone() };
    let home = Home::at(&at, || Home::read(&common.data))?;
    let (store, tenant, key) = (home.database()?, home.tenant, args.key.as_deref());
    if !args.new_tenant {
        is_known(store, tenant)?;
    }
    let of = |before| {
        let definition = Definition::of_name(&home, name, before, terminal)?;
        wanted(definition, args, common, actor)
    };
    let Asked { wanted, domain, environment, .. } = of(None)?;
    found(store, tenant, args, (&domain, &environment, &wanted), terminal)?;
    let waits = args.wait.then(|| Patience::of(args.timeout));
    let first = Request::Start(Box::new(wanted));
    let (request, posted) = match sent(store, tenant, &first, key)? {
        Posted::Differs(run) => {
            let before = Request::Start(Box::new(of(Some(run))?.wanted));
            let posted = sent(store, tenant, &before, key)?;
            (before, posted)
        }
        posted @ (Posted::Waiting | Posted::Before(_)) => (first, posted),
    };
    follow((store, tenant), (&request, posted), (key, waits), terminal)
}

/// Go on from a place of a run in the database, as `run --fork` does in a folder, and wait.
pub(crate) fn go_on(
    home: &Home,
    parent: &str,
    from: (&str, &Beginning),
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let request = fork(home, parent, from, common, terminal)?;
    post(home.database()?, home.tenant, &request, (None, Some(Patience::ENDLESS)), terminal)
}

/// What asks for a run that goes on from a place of another.
fn fork(
    home: &Home,
    parent: &str,
    (from, begin): (&str, &Beginning),
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Request> {
    let actor = given::actor(&begin.by.actor)?;
    let plan = prepare_fork(home, parent, (from, begin), common, &actor, terminal)?;
    let Input::Fork(forking) = plan.input else {
        return Err(Failure::told(Exit::Failed, "a place of a run is not the start of another"));
    };
    let Forking { run, fork, places, initiator, .. } = *forking;
    let forked = Forked { run, fork, given: inputs(begin), places, initiator };
    Ok(Request::Fork(Box::new(forked)))
}

/// Ask for a run, under a name if it has one, and wait for it if that is wanted.
fn post(
    store: &Databases,
    tenant: TenantId,
    request: &Request,
    asked: (Option<&str>, Option<Patience>),
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let posted = sent(store, tenant, request, asked.0)?;
    follow((store, tenant), (request, posted), asked, terminal)
}

/// The run that a request is to begin.
fn begins(request: &Request) -> anyhow::Result<RunId> {
    request.begins().ok_or_else(|| Failure::told(Exit::Failed, "this begins no run"))
}

fn sent(
    store: &Databases,
    tenant: TenantId,
    request: &Request,
    key: Option<&str>,
) -> anyhow::Result<Posted> {
    let id = MailId::from_uuid(begins(request)?.uuid());
    store.with(tenant, |store| ask(store, tenant, id, request, key)).map_err(told)
}

/// Say which run it is that was asked for, and wait for it if that is wanted.
fn follow(
    (store, tenant): (&Databases, TenantId),
    (request, posted): (&Request, Posted),
    (key, waits): (Option<&str>, Option<Patience>),
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let (run, is_new) = match posted {
        Posted::Waiting => (begins(request)?, true),
        Posted::Before(run) => (run, false),
        Posted::Differs(run) => {
            return Err(Failure::advise(
                Exit::Conflict,
                format!(
                    "something else was asked for as `{}`: {run}",
                    plain(key.unwrap_or_default())
                ),
                "give this request another --key",
            ));
        }
    };
    if terminal.json {
        terminal.emit(&Value::map([
            ("event", Value::from("submitted")),
            ("run", run.into()),
            ("tenant", tenant.into()),
            ("again", (!is_new).into()),
        ]));
    } else {
        terminal.say(&run.to_string());
        if !is_new {
            terminal.note("it was asked for before; nothing was added");
        }
    }
    waits.map_or(Ok(Exit::Done), |patience| wait(store, tenant, run, patience, terminal))
}

/// The inputs that are given, by name.
fn inputs(begin: &Beginning) -> BTreeMap<String, String> {
    let given = begin.input.iter().filter_map(|input| input.split_once('='));
    given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A run that is asked for.
struct Asked {
    wanted: Wanted,
    flow: Arc<Flow>,
    domain: String,
    environment: String,
}

/// What is to be run, checked as `run` checks it.
fn wanted(
    definition: Definition,
    args: &SubmitArgs,
    common: &Common,
    actor: &Actor,
) -> anyhow::Result<Asked> {
    let plan = prepare::fresh(definition, &args.begin, common, actor)?;
    let Input::Start(start) = plan.input else {
        return Err(Failure::told(Exit::Failed, "a workflow file is not the start of a run"));
    };
    let environment = start.environment.clone().unwrap_or_else(|| start.flow.environment.clone());
    let flow = Arc::clone(&start.flow);
    let wanted = asked(*start, &args.begin)?;
    Ok(Asked { wanted, flow, domain: plan.domain, environment })
}

/// What is asked for, as it is said.
pub(crate) fn asked(start: Start, begin: &Beginning) -> anyhow::Result<Wanted> {
    Ok(Wanted {
        run: start.run,
        children: start.flow.children_record(),
        source: start.source,
        given: inputs(begin),
        places: start.places,
        base: start.base,
        labels: given::labels(&begin.label)?,
        trigger: None,
        priority: begin.priority,
        not_before: start.ask.not_before,
        initiator: start.initiator,
        environment: start.environment,
    })
}

/// Send the canon that founds the domain along, if the domain has none yet.
fn found(
    store: &Databases,
    tenant: TenantId,
    args: &SubmitArgs,
    (domain, environment, wanted): (&str, &str, &Wanted),
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let beside = Path::new(&wanted.base).join("canon");
    let dir = args.begin.canon.clone().or_else(|| canon_dir::is_canon(&beside).then_some(beside));
    let in_force = in_force(store, tenant, domain)?;
    let Some(dir) = dir else {
        if in_force.is_none() {
            let message = "no canon: no --canon DIR and no folder `canon` beside the workflow, so \
                           everything is refused";
            terminal.note(&terminal.tint(Tone::Ask, message));
        }
        return Ok(());
    };
    let (source, canon) = canon_dir::load(&dir)?;
    if canon.domain() != domain {
        let (dir, own) = (dir.display(), canon.domain());
        let message = format!("the canon in {dir} is for the domain `{own}`, not `{domain}`");
        return Err(Failure::told(Exit::BadInput, message));
    }
    if let Some(digest) = in_force {
        if digest != canon.digest() {
            terminal.warn(&format!(
                "the folder {} is not the canon in force ({}); the one in force decides",
                dir.display(),
                digest.short()
            ));
        }
        return Ok(());
    }
    if !canon.test().failed.is_empty() {
        let advice = format!("cognitionos canon test {}", word(&dir.display().to_string()));
        return Err(Failure::advise(Exit::BadInput, "tests of the canon fail", advice));
    }
    let mut files = Files::new();
    for (path, bytes) in source.files() {
        files.insert(path.clone(), String::from_utf8(bytes.clone())?);
    }
    let (environment, who) = (environment.to_owned(), wanted.initiator.clone());
    let request = Request::Found { files, environment, who };
    let id = MailId::new(SystemClock.now(), &mut SystemEntropy::new())?;
    store.with(tenant, |store| ask(store, tenant, id, &request, None)).map_err(told)?;
    let message = format!("canon {} is to found the domain `{domain}`", plain(canon.name()));
    terminal.note(&message);
    Ok(())
}

fn in_force(
    store: &Databases,
    tenant: TenantId,
    domain: &str,
) -> anyhow::Result<Option<cog_base::Digest>> {
    let scope = store.scope(tenant).map_err(told)?;
    let mut change = ChangeControl::default();
    let select = Select { kinds: ChangeControl::KINDS.into(), ..Select::default() };
    scope.each(select, &mut |entry| change.observe(entry)).map_err(told)?;
    Ok(change.in_force(domain))
}
