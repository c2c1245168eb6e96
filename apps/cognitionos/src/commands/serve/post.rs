//! A node at one of the databases.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use cog_base::{Clock as _, Timestamp};
use cog_node::{Kit, Node, Parts, Settings, Told};
use cog_store::{Keep, Shared, StoreError};
use cog_store_postgres::{Options, PostgresStore};
use cog_wire::Server;

use super::voice::{Voice, say, show, voiced};
use super::{hooks, worker};
use crate::cli::nodes::{Bounds, Role, ServeArgs};
use crate::failure::{Exit, Failure};
use crate::folders::Secrets;
use crate::home::{ENGINE, told};
use crate::kit::Toolbox;
use crate::outgoing::{self, Outgoing, Sending};
use crate::remote::Dispatch;
use crate::shared::{LEASE, each, further};
use crate::system::{SteadyClock, SystemClock, SystemEntropy};
use crate::terminal::Terminal;

/// How long after it was found away a database is tried again, in milliseconds.
const AGAIN_MS: u64 = 2_000;

/// A node at one of the databases.
pub(super) struct Post {
    pub(super) options: Options,
    pub(super) running: Option<Node>,
    pub(super) outgoing: Option<Arc<Outgoing>>,
    /// Where workers come for work.
    pub(super) counter: Option<worker::Open>,
    /// Where webhooks come in.
    pub(super) hooks: Option<Server>,
    /// The database is away: when it is tried again.
    again: Option<Timestamp>,
}

pub(super) fn posts(args: &ServeArgs, name: &str) -> anyhow::Result<Vec<Post>> {
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
    pub(super) fn is_due(&self) -> bool {
        self.running.is_none() && self.again.is_none_or(|again| SystemClock.now() >= again)
    }

    /// Be a node at this database. Of several, one that is away is tried again later.
    pub(super) fn begin(
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
