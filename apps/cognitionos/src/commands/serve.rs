//! `serve`: be one of the nodes that share a database, or a worker of some.

mod hooks;
mod worker;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use anyhow::Context as _;
use cog_base::id::{RunId, TenantId};
use cog_base::{Clock as _, Timestamp, Value};
use cog_engine::What;
use cog_node::{Kit, Node, Parts, Settings, Told};
use cog_store::{Keep, Shared, StoreError};
use cog_store_postgres::{Options, PostgresStore};
use cog_wire::Server;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::nodes::{Bounds, Role, ServeArgs};
use crate::failure::{Exit, Failure};
use crate::folders::Secrets;
use crate::home::told;
use crate::kit::Toolbox;
use crate::outgoing::{self, Outgoing, Sending};
use crate::remote::Dispatch;
use crate::shared::{LEASE, each, further};
use crate::system::{SteadyClock, SystemClock, SystemEntropy, env};
use crate::terminal::{Terminal, Tone, plain};

/// What entries name as the program that wrote them.
const ENGINE: &str = concat!("cognitionos/", env!("CARGO_PKG_VERSION"));
/// How often it is looked whether somebody wants the node to end.
const LOOK: Duration = Duration::from_millis(100);
/// How long after it was found away a database is tried again, in milliseconds.
const AGAIN_MS: u64 = 2_000;

pub(crate) fn serve(args: &ServeArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.thread_stack_size(cog_base::STACK_BYTES).enable_all().build();
    let runtime = runtime.context("cannot start the workers")?;
    let ends = ends(&runtime).context("cannot listen to signals")?;
    let name = args.node.clone().or_else(|| env("HOSTNAME")).unwrap_or_else(|| "node".to_owned());
    if args.role == Role::Worker {
        if args.hooks.hooks.is_some() {
            let (why, advice) = ("a worker takes no webhooks", "leave --hooks away, or --role");
            return Err(Failure::advise(Exit::BadInput, why, advice));
        }
        return worker::work(args, &name, (&runtime, &ends), terminal);
    }
    let (tell, heard) = channel();
    let mut posts = posts(args, &name)?;
    for (place, post) in posts.iter_mut().enumerate() {
        post.begin(args, &runtime, (place, &tell), terminal)?;
    }
    while ends.try_recv().is_err() {
        match heard.recv_timeout(LOOK) {
            Ok((place, told)) => hear(&posts, place, &told, terminal),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        for (place, post) in posts.iter_mut().enumerate().filter(|(_, post)| post.is_due()) {
            post.begin(args, &runtime, (place, &tell), terminal)?;
        }
        posts.iter().filter_map(|post| post.counter.as_ref()).for_each(|it| it.show(terminal));
    }
    say(terminal, "stopping", "when what is under way is over", &[]);
    posts.iter_mut().filter_map(|post| post.hooks.take()).for_each(Server::stop);
    posts.iter().filter_map(|post| post.counter.as_ref()).for_each(worker::Open::close);
    // At once, so that none waits for another's effects.
    std::thread::scope(|threads| {
        for running in posts.iter_mut().filter_map(|post| post.running.take()) {
            threads.spawn(|| running.stop());
        }
    });
    heard.try_iter().for_each(|(place, told)| hear(&posts, place, &told, terminal));
    posts.into_iter().filter_map(|post| post.counter).for_each(worker::Open::stop);
    say(terminal, "stopped", "every tenant was given back", &[]);
    Ok(Exit::Done)
}

/// A node at one of the databases.
struct Post {
    options: Options,
    running: Option<Node>,
    outgoing: Option<Arc<Outgoing>>,
    /// Where workers come for work.
    counter: Option<worker::Open>,
    /// Where webhooks come in.
    hooks: Option<Server>,
    /// The database is away: when it is tried again.
    again: Option<Timestamp>,
}

fn posts(args: &ServeArgs, name: &str) -> anyhow::Result<Vec<Post>> {
    let options = each(&args.shared, name)?;
    if args.role == Role::Scheduler && options.len() > 1 {
        let advice = "leave --database away, or --role";
        let why = "a scheduler of workers is a node at one database alone";
        return Err(Failure::advise(Exit::BadInput, why, advice));
    }
    if args.hooks.hooks.is_some() && options.len() > 1 {
        let advice = "leave --database away, or --hooks";
        let why = "a node that takes webhooks is one at one database alone";
        return Err(Failure::advise(Exit::BadInput, why, advice));
    }
    let post = |options| {
        let (running, outgoing, counter, hooks, again) = Default::default();
        Post { options, running, outgoing, counter, hooks, again }
    };
    Ok(options.into_iter().map(post).collect())
}

impl Post {
    fn is_due(&self) -> bool {
        self.running.is_none() && self.again.is_none_or(|again| SystemClock.now() >= again)
    }

    /// Be a node at this database. Of several, one that is away is tried again later.
    fn begin(
        &mut self,
        args: &ServeArgs,
        runtime: &tokio::runtime::Runtime,
        (place, tell): (usize, &Sender<(usize, Told)>),
        terminal: &Terminal,
    ) -> anyhow::Result<()> {
        let voice = Voice { terminal, database: self.options.name.as_deref() };
        let entropy = Box::new(SystemEntropy::new());
        let store = match PostgresStore::open(self.options.clone(), entropy) {
            Err(error @ StoreError::Unreachable { .. }) if self.options.name.is_some() => {
                if self.again.replace(SystemClock.now().plus_ms(AGAIN_MS)).is_none() {
                    show(&voice, &Told::Away { why: error.to_string() });
                }
                return Ok(());
            }
            other => other.map_err(told)?,
        };
        let (node, tell) = (store.node().to_owned(), tell.clone());
        let mut secrets = Secrets::of_node(&args.shared.master_key_file);
        let addresses = further(&args.shared)?.into_values().chain(args.events.clone());
        addresses.for_each(|file| secrets.add("the address of a server", &file));
        hooks::files(args)?.iter().for_each(|file| secrets.add("the secret of a webhook", file));
        let (store, hears) = (Arc::new(store), voiced(&self.options, terminal));
        if args.role == Role::Scheduler {
            secrets.add("the token of workers", &args.workers.worker_token_file);
            let counter = worker::counter(args, Arc::clone(&store) as _, runtime, terminal)?;
            self.counter = Some(counter);
        }
        // One for each: a tenant may come from one database to another.
        let kit: Arc<dyn Kit> = match &self.counter {
            Some(counter) => Arc::new(Dispatch::new(Arc::clone(&counter.office), secrets)),
            None => Arc::new(Toolbox::new(runtime.handle().clone(), secrets)),
        };
        let keep: Arc<dyn Keep> = Arc::<PostgresStore>::clone(&store);
        let begin = |at| outgoing::begin(at, &args.queues, keep, hears).map(Arc::new);
        self.outgoing = args.events.as_deref().map(begin).transpose()?;
        let kit: Arc<dyn Kit> = match &self.outgoing {
            Some(outgoing) => Arc::new(Sending { kit, outgoing: Arc::clone(outgoing) }),
            None => kit,
        };
        let parts = Parts {
            store,
            kit,
            clock: Arc::new(SteadyClock::new()),
            entropy: Box::new(|| Box::new(SystemEntropy::new())),
            // Nobody hears it when the program ends.
            tell: Box::new(move |told| drop(tell.send((place, told)))),
        };
        let shared: Arc<dyn Shared> = Arc::clone(&parts.store);
        let running = Node::start(settings(&args.bounds), parts).map_err(told)?;
        self.counter.iter().for_each(|counter| counter.office.go_by(running.clock()));
        self.running = Some(running);
        self.hooks = hooks::open(args, &shared, runtime, terminal)?;
        say(voice, "serving", &format!("as {node}"), &[("node", node.as_str().into())]);
        Ok(())
    }
}

/// Says what happens to events, on the thread that sends them.
fn voiced(options: &Options, terminal: &Terminal) -> outgoing::Hears {
    let (database, terminal) = (options.name.clone(), terminal.clone());
    Box::new(move |event, words, members| {
        let voice = Voice { terminal: &terminal, database: database.as_deref() };
        say(voice, event, words, members);
    })
}

fn hear(posts: &[Post], place: usize, told: &Told, terminal: &Terminal) {
    let database = posts.get(place).and_then(|post| post.options.name.as_deref());
    if let Some(outgoing) = posts.get(place).and_then(|post| post.outgoing.as_ref()) {
        outgoing.hear(told);
    }
    show(&Voice { terminal, database }, told);
}

/// Where it is said what happens, and of which database.
#[derive(Clone, Copy)]
struct Voice<'a> {
    terminal: &'a Terminal,
    database: Option<&'a str>,
}

impl<'a> From<&'a Terminal> for Voice<'a> {
    fn from(terminal: &'a Terminal) -> Self {
        Self { terminal, database: None }
    }
}

impl<'a> From<&Voice<'a>> for Voice<'a> {
    fn from(voice: &Self) -> Self {
        *voice
    }
}

impl Deref for Voice<'_> {
    type Target = Terminal;

    fn deref(&self) -> &Terminal {
        self.terminal
    }
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

fn say<'a>(voice: impl Into<Voice<'a>>, event: &str, words: &str, members: &[(&str, Value)]) {
    let terminal = voice.into();
    if terminal.json {
        let event = ("event", Value::from(event));
        let database = terminal.database.map(|name| ("database", Value::from(name)));
        let members = members.iter().map(|(name, value)| (*name, value.clone()));
        terminal.emit(&Value::map(std::iter::once(event).chain(members).chain(database)));
    } else if !terminal.quiet {
        let at = terminal.database.map(|name| format!("{name}: ")).unwrap_or_default();
        terminal.say(&format!("{event:<9} {at}{words}"));
    }
}

/// A time of a schedule, and the run that was started for it, or why none was.
fn fired(
    terminal: &Voice<'_>,
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

fn show(terminal: &Voice<'_>, told: &Told) {
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
