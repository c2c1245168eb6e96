//! `serve`: be one of the nodes that share a database, or a worker of some.

mod worker;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::Context as _;
use cog_base::id::{RunId, TenantId};
use cog_base::{Timestamp, Value};
use cog_engine::What;
use cog_node::{Kit, Node, Parts, Settings, Told};
use cog_store::Shared as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::nodes::{Bounds, Role, ServeArgs};
use crate::failure::Exit;
use crate::folders::Secrets;
use crate::home::told;
use crate::kit::Toolbox;
use crate::remote::Dispatch;
use crate::shared::{LEASE, open};
use crate::system::{SystemClock, SystemEntropy, env};
use crate::terminal::{Terminal, Tone, plain};

/// What entries name as the program that wrote them.
const ENGINE: &str = concat!("cognitionos/", env!("CARGO_PKG_VERSION"));
/// How often it is looked whether somebody wants the node to end.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) fn serve(args: &ServeArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.thread_stack_size(cog_base::STACK_BYTES).enable_all().build();
    let runtime = runtime.context("cannot start the workers")?;
    let ends = ends(&runtime).context("cannot listen to signals")?;
    let name = args.node.clone().or_else(|| env("HOSTNAME")).unwrap_or_else(|| "node".to_owned());
    if args.role == Role::Worker {
        return worker::work(args, &name, (&runtime, &ends), terminal);
    }
    let store = open(&args.shared, &name)?;
    let (node, store) = (store.node().to_owned(), Arc::new(store));
    let mut secrets = Secrets::of_node(&args.shared.master_key_file);
    let (tell, heard) = channel();
    let counter = if args.role == Role::Scheduler {
        secrets.add("the token of workers", &args.workers.worker_token_file);
        Some(worker::counter(args, Arc::clone(&store) as _, &runtime, terminal)?)
    } else {
        None
    };
    let kit: Arc<dyn Kit> = match &counter {
        Some(counter) => Arc::new(Dispatch::new(Arc::clone(&counter.office), secrets)),
        None => Arc::new(Toolbox::new(runtime.handle().clone(), secrets)),
    };
    let parts = Parts {
        store,
        kit,
        clock: Arc::new(SystemClock),
        entropy: Box::new(|| Box::new(SystemEntropy::new())),
        // Nobody hears it when the program ends.
        tell: Box::new(move |told| drop(tell.send(told))),
    };
    let running = Node::start(settings(&args.bounds), parts).map_err(told)?;
    say(terminal, "serving", &format!("as {node}"), &[("node", node.as_str().into())]);
    while ends.try_recv().is_err() {
        match heard.recv_timeout(LOOK) {
            Ok(told) => show(terminal, &told),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        counter.iter().for_each(|counter| counter.show(terminal));
    }
    say(terminal, "stopping", "when what is under way is over", &[]);
    counter.iter().for_each(|counter| counter.close());
    running.stop();
    heard.try_iter().for_each(|told| show(terminal, &told));
    counter.into_iter().for_each(worker::Open::stop);
    say(terminal, "stopped", "every tenant was given back", &[]);
    Ok(Exit::Done)
}

fn settings(bounds: &Bounds) -> Settings {
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Settings {
        runs_max: size(bounds.prefetch),
        effects_max: size(bounds.concurrency),
        tenants_max: bounds.tenants,
        weights: bounds.weight.iter().copied().collect(),
        ..Settings::new(ENGINE, LEASE)
    }
}

/// Hears of SIGTERM and Ctrl-C.
pub(crate) fn ends(runtime: &tokio::runtime::Runtime) -> std::io::Result<Receiver<()>> {
    let (end, ends) = channel();
    let _inside = runtime.enter();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut stream, end) = (signal(kind)?, end.clone());
        runtime.spawn(async move {
            while stream.recv().await.is_some() {
                let _ = end.send(());
            }
        });
    }
    Ok(ends)
}

fn say(terminal: &Terminal, event: &str, words: &str, members: &[(&str, Value)]) {
    if terminal.json {
        let event = ("event", Value::from(event));
        let members = members.iter().map(|(name, value)| (*name, value.clone()));
        terminal.emit(&Value::map(std::iter::once(event).chain(members)));
    } else if !terminal.quiet {
        terminal.say(&format!("{event:<9} {words}"));
    }
}

/// A time of a schedule, and the run that was started for it, or why none was.
fn fired(
    terminal: &Terminal,
    tenant: (&'static str, Value),
    (schedule, at): (&str, Timestamp),
    run: Result<RunId, &str>,
) {
    let came = run.map_or_else(plain, |run| run.to_string());
    let members = [
        tenant,
        ("schedule", schedule.into()),
        ("at", at.into()),
        ("run", run.ok().into()),
        ("skipped", run.err().into()),
    ];
    say(terminal, "fired", &format!("{} {at}: {came}", plain(schedule)), &members);
}

fn show(terminal: &Terminal, told: &Told) {
    let about = |tenant: &TenantId| ("tenant", Value::from(*tenant));
    match told {
        Told::Claimed { tenant, fence } => {
            let members = [about(tenant), ("fence", fence.to_string().into())];
            say(terminal, "claimed", &format!("{tenant}, fence {fence}"), &members);
        }
        Told::Opened { tenant, runs } => {
            let members = [about(tenant), ("runs", (*runs as u64).into())];
            say(terminal, "opened", &format!("{tenant}, {runs} runs in memory"), &members);
        }
        Told::Lost { tenant } => {
            let word = terminal.tint(Tone::Bad, "to another node");
            say(terminal, "lost", &format!("{tenant} {word}"), &[about(tenant)]);
        }
        Told::Released { tenant } => {
            say(terminal, "released", &tenant.to_string(), &[about(tenant)]);
        }
        Told::Stalled { tenant, why } => {
            let members = [about(tenant), ("why", why.as_str().into())];
            say(terminal, "stalled", &format!("{tenant}: {}", plain(why)), &members);
        }
        Told::Panicked { tenant, why } => {
            let members = [about(tenant), ("why", why.as_str().into())];
            let words = format!(
                "internal error in the engine of {tenant}, which is made anew: {}",
                plain(why)
            );
            say(terminal, "panicked", &words, &members);
        }
        Told::Left { tenant, run, why } => {
            let members = [about(tenant), ("run", (*run).into()), ("why", why.as_str().into())];
            say(terminal, "left", &format!("{run}: {}", plain(why)), &members);
        }
        Told::Parked { tenant, runs } => {
            let members = [about(tenant), ("runs", (*runs as u64).into())];
            say(terminal, "parked", &format!("{tenant}, {runs} runs that wait"), &members);
        }
        Told::Refused { tenant, mail, why } => {
            let members = [about(tenant), ("mail", (*mail).into()), ("why", why.as_str().into())];
            say(terminal, "refused", &format!("{mail}: {}", plain(why)), &members);
        }
        Told::Fired { tenant, schedule, at, run } => {
            let came = run.as_ref().copied().map_err(String::as_str);
            fired(terminal, about(tenant), (schedule, *at), came);
        }
        Told::Run { tenant, notice } => {
            let run = notice.run;
            let run_of = [about(tenant), ("run", run.into())];
            if let What::Started { workflow } = &notice.what {
                say(terminal, "started", &format!("{run} {}", plain(workflow)), &run_of);
            } else if let What::Sealed(sealed) = &notice.what {
                let [tenant, run_of] = run_of;
                let members = [tenant, run_of, ("status", sealed.status.as_str().into())];
                say(terminal, "sealed", &format!("{run} {}", sealed.status), &members);
            }
        }
        Told::Away { why } => {
            let word = terminal.tint(Tone::Bad, "the database is away");
            say(
                terminal,
                "away",
                &format!("{word}: {}", plain(why)),
                &[("why", why.as_str().into())],
            );
        }
        Told::Back => say(terminal, "back", "the database is there again", &[]),
    }
}
