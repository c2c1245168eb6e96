//! A node over the data folder, or at one of the databases.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use cog_base::id::TenantId;
use cog_base::{Clock as _, Timestamp, Value};
use cog_node::{Kit, Node, Parts, Settings, Told};
use cog_store::{Keep, Shared, StoreError};
use cog_store_postgres::{Options, PostgresStore};
use cog_wire::Server;

use super::hooks;
use super::voice::{Voice, say, show, voiced};
use crate::cli::nodes::{Bounds, ServeArgs};
use crate::failure::{Exit, Failure};
use crate::folders::Secrets;
use crate::home::{ENGINE, Home, told};
use crate::kit::Toolbox;
use crate::outgoing::{self, Outgoing, Sending};
use crate::remote::{Dispatch, Office};
use crate::shared::{LEASE, each, further, is_named};
use crate::system::{SteadyClock, SystemClock, SystemEntropy};
use crate::terminal::Terminal;

/// How long after it was found away a database is tried again, in milliseconds.
const AGAIN_MS: u64 = 2_000;

/// Where the ledgers of a node are.
enum At {
    /// In the data folder, which has this one node.
    Folder(PathBuf),
    /// In a database that nodes share.
    Database(Box<Options>),
}

/// A node over its ledgers.
pub(super) struct Post {
    at: At,
    /// Whose ledger is in the data folder.
    own: Option<TenantId>,
    pub(super) running: Option<Node>,
    pub(super) outgoing: Option<Arc<Outgoing>>,
    /// What waits for workers.
    pub(super) office: Option<Arc<Office>>,
    /// Where webhooks come in.
    pub(super) hooks: Option<Server>,
    /// The database is away: when it is tried again.
    again: Option<Timestamp>,
}

/// A node at each of the databases that are named; where none is, the one of the data folder.
pub(super) fn posts(args: &ServeArgs, data: &Path) -> anyhow::Result<Vec<Post>> {
    let post = |at| {
        let (own, running, outgoing, office, hooks, again) = Default::default();
        Post { at, own, running, outgoing, office, hooks, again }
    };
    if !is_named(&args.shared) {
        if args.node.is_some() {
            let (why, advice) = ("the node of a data folder has no name", "leave --node away");
            return Err(Failure::advise(Exit::BadInput, why, advice));
        }
        return Ok(vec![post(At::Folder(data.to_owned()))]);
    }
    let options = each(&args.shared, &super::name(args))?;
    if args.hooks.hooks.is_some() && options.len() > 1 {
        let advice = "leave --database away, or --hooks";
        let why = "a node that takes webhooks is one at one database alone";
        return Err(Failure::advise(Exit::BadInput, why, advice));
    }
    Ok(options.into_iter().map(|options| post(At::Database(Box::new(options)))).collect())
}

impl Post {
    pub(super) fn is_due(&self) -> bool {
        self.running.is_none() && self.again.is_none_or(|again| SystemClock.now() >= again)
    }

    /// What the database is called, where there are several.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.at {
            At::Folder(_) => None,
            At::Database(options) => options.name.as_deref(),
        }
    }

    /// The store, and what of it no effect may reach; nothing while one of several databases is away.
    fn opened(
        &mut self,
        args: &ServeArgs,
        terminal: &Terminal,
    ) -> anyhow::Result<Option<(Arc<dyn Shared>, Secrets)>> {
        let options = match &self.at {
            At::Folder(data) => {
                let (store, tenant) = Home::write(data)?.into_folder()?;
                self.own = Some(tenant);
                return Ok(Some((Arc::new(store), Secrets::of_folder(data))));
            }
            At::Database(options) => options,
        };
        let store = PostgresStore::open((**options).clone(), Box::new(SystemEntropy::new()));
        match store {
            Err(error) => self.later(error, terminal).map(|()| None),
            Ok(store) => {
                let mut secrets = Secrets::of_node(&args.shared.master_key_file);
                for file in further(&args.shared)?.into_values() {
                    secrets.add("the address of a server", &file);
                }
                Ok(Some((Arc::new(store), secrets)))
            }
        }
    }

    /// Of several databases one that is away is tried again.
    fn later(&mut self, error: StoreError, terminal: &Terminal) -> anyhow::Result<()> {
        if self.name().is_none() || !matches!(error, StoreError::Unreachable { .. }) {
            return Err(told(error));
        }
        if self.again.replace(SystemClock.now().plus_ms(AGAIN_MS)).is_none() {
            let voice = Voice { terminal, database: self.name() };
            show(&voice, &Told::Away { why: error.to_string() });
        }
        Ok(())
    }

    /// Be a node here. Of several databases, one that is away is tried again later.
    pub(super) fn begin(
        &mut self,
        args: &ServeArgs,
        runtime: &tokio::runtime::Runtime,
        (place, tell): (usize, &Sender<(usize, Told)>),
        terminal: &Terminal,
    ) -> anyhow::Result<()> {
        let Some((store, mut secrets)) = self.opened(args, terminal)? else { return Ok(()) };
        let (node, tell) = (store.node().to_owned(), tell.clone());
        if let Some(file) = &args.events {
            secrets.add("the address of a server", file);
        }
        hooks::files(args)?.iter().for_each(|file| secrets.add("the secret of a webhook", file));
        let hears = voiced(self.name(), terminal);
        // One for each: a tenant may come from one database to another.
        let kit: Arc<dyn Kit> = match &self.office {
            Some(office) => {
                secrets.add("the token of workers", &args.workers.worker_token_file);
                office.reads(Arc::clone(&store));
                Arc::new(Dispatch::new(Arc::clone(office), secrets))
            }
            None => Arc::new(Toolbox::new(runtime.handle().clone(), secrets)),
        };
        let keep: Arc<dyn Keep> = Arc::clone(&store) as _;
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
        let running = match Node::start(settings(&args.bounds), parts) {
            Err(error) => return self.later(error, terminal),
            Ok(running) => running,
        };
        self.office.iter().for_each(|office| office.go_by(running.clock()));
        self.running = Some(running);
        self.hooks = hooks::open(args, (&shared, self.own), runtime, terminal)?;
        let voice = Voice { terminal, database: self.name() };
        let words = match (&self.at, self.own) {
            (At::Folder(data), Some(tenant)) => format!("{}, which has {tenant}", data.display()),
            (At::Folder(_) | At::Database(_), _) => format!("as {node}"),
        };
        let own = self.own.map(|tenant| ("tenant", tenant.into()));
        let members: Vec<(&str, Value)> =
            std::iter::once(("node", node.as_str().into())).chain(own).collect();
        say(voice, "serving", &words, &members);
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
