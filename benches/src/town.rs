//! Nodes around a private PostgreSQL, all in this process, with hands that are done at once; and
//! clerks who ask for runs by mail, as the program does.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use cog_base::Clock as _;
use cog_base::cipher::Key;
use cog_base::id::{MailId, ReceiptId, RunId, TenantId, Uuid};
use cog_engine::{Hands, Inbox, Place, Placed, Terms, What};
use cog_gate::{AnyEffect, Cleared};
use cog_node::{Kit, Node, Parts, Ready, Request, Settings, Told, Wanted, ask};
use cog_services::postgres::{APPLICATION, Cluster, Database, OWNER, programs};
use cog_store::{Posted, Stats};
use cog_store_postgres::{MIGRATION_LATEST, Options as StoreOptions, PostgresStore, migrate};

use crate::canons::{Generated, SHARED, Spread};
use crate::kernel::{Instantly, POLICIES, Paces};
use crate::server::Server;
use crate::system::{SystemClock, SystemEntropy};

/// How long a claim lasts: as the program has it.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// Threads that ask for runs; each waits until what it asks for is durable.
const CLERKS: usize = 8;
/// Those of somebody noisy.
const CLERKS_NOISY: usize = 2;
/// The longest silence of the nodes before the bench gives up.
const SILENCE: Duration = Duration::from_secs(60);

/// Whether there is a PostgreSQL to be had; else why not.
pub(crate) fn missing() -> Option<String> {
    let why = "PostgreSQL is not installed; see `cargo xtask test`";
    programs().is_none().then(|| why.to_owned())
}

/// A tenant by its number.
pub(crate) fn tenant(number: u64) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(u128::from(number) + 1))
}

/// What is heard of runs.
#[derive(Debug)]
pub(crate) enum Heard {
    /// It was asked for, and that is durable; so long it took.
    Asked { took: Duration },
    /// An effect was settled.
    Settled { run: RunId, at: Instant },
    /// A run is over.
    Sealed { tenant: TenantId, run: RunId, at: Instant },
    /// A run waits for time or people.
    Waits,
    /// Runs have left memory.
    Left(usize),
    /// Something is not as it should be.
    Odd(String),
}

/// A run that is to be asked for.
struct Order {
    tenant: TenantId,
    wanted: Wanted,
}

pub(crate) struct Town {
    /// Ends the clerks by being dropped. Those of the second wait for nobody but each other.
    orders: Vec<Sender<Order>>,
    clerks: Vec<std::thread::JoinHandle<()>>,
    nodes: Vec<Node>,
    pub(crate) paces: Paces,
    pub(crate) heard: Receiver<Heard>,
    say: Sender<Heard>,
    entropy: SystemEntropy,
    pub(crate) store: PostgresStore,
    pub(crate) database: Database,
    pub(crate) server: Server,
    _cluster: Cluster,
}

impl Town {
    /// A database without nodes.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let cluster = Cluster::start(&[])?;
        let database = Database::in_cluster(&cluster.template())?;
        migrate(&database.url(OWNER), APPLICATION, MIGRATION_LATEST)?;
        let store = open(&database.url(APPLICATION), "asking")?;
        let server = Server::of(&database)?;
        let (say, heard) = channel();
        let (mut orders, mut clerks) = (Vec::new(), Vec::new());
        for count in [CLERKS, CLERKS_NOISY] {
            let (order, taken) = channel();
            let taken = Arc::new(Mutex::new(taken));
            orders.push(order);
            clerks.extend((0..count).map(|_| {
                let (store, taken, say) = (store.clone(), Arc::clone(&taken), say.clone());
                std::thread::spawn(move || clerk(&store, &taken, &say))
            }));
        }
        Ok(Self {
            orders,
            clerks,
            nodes: Vec::new(),
            paces: Paces::default(),
            heard,
            say,
            entropy: SystemEntropy::new(),
            store,
            database,
            server,
            _cluster: cluster,
        })
    }

    /// Begin a node.
    pub(crate) fn node(&mut self, change: impl FnOnce(&mut Settings)) -> anyhow::Result<()> {
        let mut settings = Settings::new("cognitionos/bench", LEASE);
        change(&mut settings);
        let say = Mutex::new(self.say.clone());
        let name = format!("node-{}", self.nodes.len());
        let store = open(&self.database.url(APPLICATION), &name)?;
        let kit = Tools { paces: self.paces.clone(), holds: false };
        let tell = move |told| {
            if let Some(heard) = heard(told) {
                let say = say.lock().unwrap_or_else(PoisonError::into_inner);
                // A bench that has heard enough does not listen any more.
                let _ = say.send(heard);
            }
        };
        self.nodes.push(Node::start(settings, parts(store, kit, Box::new(tell)))?);
        Ok(())
    }

    /// Put the generated canon in force for so many tenants.
    pub(crate) fn found(&mut self, tenants: u64) -> anyhow::Result<()> {
        let source = Generated::new(POLICIES, Spread::Scattered).source();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
        let files = source.files().iter().map(|(path, bytes)| Ok((path.clone(), text(bytes)?)));
        let files: anyhow::Result<BTreeMap<String, String>> = files.collect();
        let (environment, who) = ("production".to_owned(), "user:cfo".parse()?);
        let found = Request::Found { files: files?, environment, who };
        for number in 0..tenants {
            let id = MailId::new(SystemClock.now(), &mut self.entropy)?;
            ask(&self.store, tenant(number), id, &found, None)?;
        }
        Ok(())
    }

    /// Have a clerk ask for a run. What is heard of it comes later.
    pub(crate) fn start(&mut self, tenant: TenantId, source: &str) -> anyhow::Result<RunId> {
        self.start_by(0, tenant, source)
    }

    /// The same, by the clerks of somebody noisy.
    pub(crate) fn start_noisy(&mut self, tenant: TenantId, source: &str) -> anyhow::Result<RunId> {
        self.start_by(1, tenant, source)
    }

    fn start_by(&mut self, who: usize, tenant: TenantId, source: &str) -> anyhow::Result<RunId> {
        let wanted = wanted(source, &mut self.entropy)?;
        let run = wanted.run;
        let orders = self.orders.get(who).context("the clerks have gone")?;
        orders.send(Order { tenant, wanted }).map_err(|_| anyhow!("the clerks have gone"))?;
        Ok(run)
    }

    /// Wait for the next thing.
    pub(crate) fn hear(&self) -> anyhow::Result<Heard> {
        match self.heard.recv_timeout(SILENCE) {
            Ok(Heard::Odd(what)) => bail!("a run did not go as it should: {what}"),
            Ok(heard) => Ok(heard),
            Err(RecvTimeoutError::Timeout) => bail!("nothing was heard for {SILENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("the nodes are gone"),
        }
    }

    /// The same, but wait no longer than this.
    pub(crate) fn hear_for(&self, wait: Duration) -> anyhow::Result<Option<Heard>> {
        match self.heard.recv_timeout(wait) {
            Ok(Heard::Odd(what)) => bail!("a run did not go as it should: {what}"),
            Ok(heard) => Ok(Some(heard)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("the nodes are gone"),
        }
    }

    /// What the committers of all nodes did so far.
    pub(crate) fn stats(&self) -> Stats {
        let sum = |sum: Stats, node: &Node| {
            let stats = node.stats();
            Stats {
                batches: sum.batches + stats.batches,
                submissions: sum.submissions + stats.submissions,
                entries: sum.entries + stats.entries,
                syncs: sum.syncs + stats.syncs,
                retries: sum.retries + stats.retries,
            }
        };
        self.nodes.iter().fold(Stats::default(), sum)
    }

    /// Have all nodes end.
    pub(crate) fn stop(&mut self) {
        self.nodes.drain(..).for_each(Node::stop);
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        self.orders.clear();
        for clerk in self.clerks.drain(..) {
            // A panic there has told its story.
            let _ = clerk.join();
        }
        self.stop();
    }
}

/// A run of a workflow that reads in one folder.
fn wanted(source: &str, entropy: &mut SystemEntropy) -> anyhow::Result<Wanted> {
    Ok(Wanted {
        run: RunId::new(SystemClock.now(), entropy)?,
        source: source.to_owned(),
        children: None,
        given: BTreeMap::new(),
        places: [(SHARED.to_owned(), "/srv".to_owned())].into(),
        base: "/srv".to_owned(),
        initiator: "user:operator".parse()?,
        labels: Default::default(),
        trigger: None,
        priority: None,
        not_before: None,
        environment: Some("production".to_owned()),
    })
}

fn parts(store: PostgresStore, kit: Tools, tell: Box<dyn Fn(Told) + Send + Sync>) -> Parts {
    Parts {
        store: Arc::new(store),
        kit: Arc::new(kit),
        clock: Arc::new(SystemClock),
        entropy: Box::new(|| Box::new(SystemEntropy::new())),
        tell,
    }
}

/// Be a node of a database until somebody kills it, and print a line for each receipt. One that
/// holds performs nothing.
pub(crate) fn serve(url: &str, name: &str, holds: bool) -> anyhow::Result<()> {
    let kit = Tools { paces: Paces::default(), holds };
    let tell = |told| {
        if let Told::Run { notice, .. } = told
            && matches!(notice.what, What::Permitted { .. })
        {
            println!("permitted");
        }
    };
    let settings = Settings::new("cognitionos/bench", LEASE);
    let _node = Node::start(settings, parts(open(url, name)?, kit, Box::new(tell)))?;
    loop {
        std::thread::park();
    }
}

fn open(url: &str, name: &str) -> anyhow::Result<PostgresStore> {
    let mut options = StoreOptions::new(url, name, Key::from_bytes([7; 32]));
    (options.claims_itself, options.lease) = (false, LEASE);
    Ok(PostgresStore::open(options, Box::new(SystemEntropy::new()))?)
}

/// Ask for what is ordered, one after the other.
fn clerk(store: &PostgresStore, orders: &Mutex<Receiver<Order>>, say: &Sender<Heard>) {
    loop {
        let order = orders.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Order { tenant, wanted }) = order else { return };
        let began = Instant::now();
        let id = MailId::from_uuid(wanted.run.uuid());
        let posted = ask(store, tenant, id, &Request::Start(Box::new(wanted)), None);
        let heard = match posted {
            Ok(Posted::Waiting) => Heard::Asked { took: began.elapsed() },
            Ok(posted) => Heard::Odd(format!("a request that is new is {posted:?}")),
            Err(error) => Heard::Odd(error.to_string()),
        };
        // As above.
        let _ = say.send(heard);
    }
}

fn heard(told: Told) -> Option<Heard> {
    match told {
        Told::Run { tenant, notice } => {
            let run = notice.run;
            if let What::Settled { disposition: "completed", .. } = notice.what {
                return Some(Heard::Settled { run, at: Instant::now() });
            }
            if let What::Sealed(sealed) = &notice.what
                && sealed.status == "completed"
            {
                return Some(Heard::Sealed { tenant, run, at: Instant::now() });
            }
            if matches!(notice.what, What::Sleeping { .. } | What::Asked { .. }) {
                return Some(Heard::Waits);
            }
            let is_odd = matches!(
                notice.what,
                What::Settled { .. }
                    | What::Sealed(_)
                    | What::Refused { .. }
                    | What::NotBegun { .. }
                    | What::Stopped { .. }
            );
            is_odd.then(|| Heard::Odd(format!("{:?}", notice.what)))
        }
        Told::Parked { runs, .. } => Some(Heard::Left(runs)),
        odd @ (Told::Lost { .. }
        | Told::Stalled { .. }
        | Told::Panicked { .. }
        | Told::Left { .. }
        | Told::Refused { .. }
        | Told::Away { .. }) => Some(Heard::Odd(format!("{odd:?}"))),
        Told::Claimed { .. }
        | Told::Opened { .. }
        | Told::Released { .. }
        | Told::Fired { .. }
        | Told::Back => None,
    }
}

/// Adapters that are done at once, or never.
struct Tools {
    paces: Paces,
    holds: bool,
}

/// Hands that begin nothing.
struct Never;

impl Hands for Never {
    fn perform(&self, _: RunId, _: Cleared<AnyEffect>, _: Terms, _: Inbox) {}

    fn probe(&self, _: RunId, _: ReceiptId, _: AnyEffect, _: Inbox) {}
}

impl Kit for Tools {
    fn hands(&self, _: TenantId) -> Box<dyn Hands> {
        if self.holds { Box::new(Never) } else { Box::new(Instantly(self.paces.clone())) }
    }

    fn bind(&self, _: &Ready<'_>) -> Result<(), String> {
        Ok(())
    }

    fn place(&self, _: &Place) -> Result<Placed, String> {
        Err("runs are not begun by runs here".to_owned())
    }

    fn unbind(&self, _: TenantId, _: RunId) {}
}
