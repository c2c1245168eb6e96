//! A town of nodes around one database, and the world that they act on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cog_base::cipher::Key;
use cog_base::entropy::SeededEntropy;
use cog_base::id::{ApprovalId, MailId, ReceiptId, RunId, TenantId, Uuid};
use cog_base::{Clock, Entropy, Micros, Timestamp, Value};
use cog_engine::{Hands, Inbox, Input, Placed, Terms};
use cog_finished::Rules;
use cog_gate::{AnyEffect, Cleared, Effect, Found};
use cog_ledger::audit::Audit;
use cog_ledger::{Entry, Kind};
use cog_node::{Kit, Node, Parts, Ready, Request, Settings, Told, Wanted, ask};
use cog_services::postgres::{APPLICATION, Database, OWNER};
use cog_store::{Delivery, Files, Posted, Select, Session, Shared};
use cog_store_postgres::{MIGRATION_LATEST, Options, PostgresStore, migrate};
use cog_store_sqlite::{Mode, SqliteStore};

const LEASE: Duration = Duration::from_secs(2);
/// Longer than anything here may take.
pub(crate) const LONG: Duration = Duration::from_secs(60);

static NUMBER: AtomicU64 = AtomicU64::new(1);

#[derive(Clone, Copy)]
pub(crate) struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
    }
}

/// A clock that is wrong by so many seconds.
pub(crate) struct Wrong(pub(crate) i64);

impl Clock for Wrong {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(Now.now().micros() + self.0 * 1_000_000)
    }
}

fn entropy() -> Box<dyn Entropy> {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Box::new(SeededEntropy::new(number << 32 | u64::from(std::process::id())))
}

pub(crate) fn tenant(number: u64) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(u128::from(number)))
}

/// What was done, by tenant and path of what was written: by which receipts.
#[derive(Default)]
pub(crate) struct World {
    marks: Mutex<BTreeMap<(RunId, String), Vec<ReceiptId>>>,
    /// How long an effect takes, in milliseconds.
    pub(crate) takes_ms: AtomicU64,
    /// Whether effects that have begun go no further.
    pub(crate) is_held: AtomicBool,
    /// For whom the kit panics, and how often it did.
    pub(crate) panics: Mutex<(Option<Panics>, u64)>,
    /// Whether nodes find none of the folders of runs.
    pub(crate) is_bare: AtomicBool,
    /// How many effects are being performed, and how many were at most.
    performed: Mutex<(usize, usize)>,
}

impl World {
    /// How often each thing was done.
    pub(crate) fn counts(&self) -> Vec<usize> {
        self.marks.lock().unwrap().values().map(Vec::len).collect()
    }

    /// How many effects were performed at once, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.performed.lock().unwrap().1
    }
}

/// Where a kit panics, for one tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Panics {
    /// On the thread that drives the engine.
    Perform(TenantId),
    /// On the thread that takes the mail.
    Bind(TenantId),
}

impl World {
    fn perhaps_panic(&self, here: Panics) {
        let mut panics = self.panics.lock().unwrap_or_else(PoisonError::into_inner);
        if panics.0 == Some(here) {
            panics.1 += 1;
            drop(panics);
            panic!("injected");
        }
    }
}

/// Effects on the world of the town, each after a while on a thread of its own.
struct Tools {
    /// For whom these hands are, if they are hands.
    tenant: Option<TenantId>,
    world: Arc<World>,
}

fn path(effect: &AnyEffect) -> String {
    effect.args().get("path").and_then(Value::as_text).unwrap_or_default().to_owned()
}

fn written(path: &str) -> Value {
    Value::map([("path", Value::from(path)), ("bytes", 1_u64.into())])
}

impl Hands for Tools {
    fn perform(&self, run: RunId, cleared: Cleared<AnyEffect>, _: Terms, inbox: Inbox) {
        let world = Arc::clone(&self.world);
        self.tenant.into_iter().for_each(|tenant| world.perhaps_panic(Panics::Perform(tenant)));
        {
            let mut performed = world.performed.lock().unwrap();
            performed.0 += 1;
            performed.1 = performed.1.max(performed.0);
        }
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(world.takes_ms.load(Ordering::Relaxed)));
            while world.is_held.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let path = path(cleared.effect());
            let receipt = cleared.idempotency_key();
            world.marks.lock().unwrap().entry((run, path.clone())).or_default().push(receipt);
            world.performed.lock().unwrap().0 -= 1;
            let performed = cleared.done(written(&path), Micros::ZERO);
            inbox.send(Input::Performed(Box::new(performed)));
        });
    }

    fn probe(&self, run: RunId, receipt: ReceiptId, effect: AnyEffect, inbox: Inbox) {
        let path = path(&effect);
        let marks = self.world.marks.lock().unwrap();
        let is_there = marks.contains_key(&(run, path.clone()));
        let found = if is_there { Found::Done(written(&path)) } else { Found::NotDone };
        inbox.send(Input::Probed { run, receipt, found });
    }
}

impl Kit for Tools {
    fn hands(&self, tenant: TenantId) -> Box<dyn Hands> {
        Box::new(Tools { tenant: Some(tenant), world: Arc::clone(&self.world) })
    }

    fn bind(&self, ready: &Ready<'_>) -> Result<(), String> {
        self.world.perhaps_panic(Panics::Bind(ready.tenant));
        if self.world.is_bare.load(Ordering::Relaxed) {
            return Err("there are no folders".to_owned());
        }
        match ready.roots.get("archive") {
            Some(root) if root.path == "/nowhere" => Err("there is no such folder".to_owned()),
            _ => Ok(()),
        }
    }

    fn place(&self, place: &cog_engine::Place) -> Result<Placed, String> {
        let places = place.roots.iter().map(|root| (root.name.clone(), "/srv/archive".to_owned()));
        Ok(Placed { base: place.base.clone(), places: places.collect() })
    }

    fn unbind(&self, _: TenantId, _: RunId) {}
}

pub(crate) struct Town {
    place: Place,
    pub(crate) world: Arc<World>,
    /// To ask, and to look.
    pub(crate) store: Arc<dyn Shared>,
    /// All that was asked for by mail.
    posted: Mutex<Vec<(TenantId, MailId)>>,
}

/// Where the store is.
enum Place {
    /// In a database, which any number of nodes share.
    Database(Database),
    /// In a folder that goes with the town; there is one node at a time.
    Folder(PathBuf),
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Folder(folder) = self {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Whatever a test is about: every run of it that is finished is rebuilt and compared.
impl Drop for Town {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            cog_finished::compare(&*self.store, Rules::STRICT)
                .unwrap_or_else(|why| panic!("{why}"));
        }
    }
}

/// A node, and what it tells.
pub(crate) struct House {
    pub(crate) node: Node,
    pub(crate) told: Receiver<Told>,
}

impl Town {
    pub(crate) fn new() -> Self {
        Self::around(Database::new().unwrap())
    }

    pub(crate) fn around(database: Database) -> Self {
        migrate(&database.url(OWNER), APPLICATION, MIGRATION_LATEST).unwrap();
        let store = open(&database, "asking");
        Self::at(Place::Database(database), Arc::new(store))
    }

    /// With the store of one folder, which is the town's and its node's.
    pub(crate) fn in_a_folder() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("town-{}-{number}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let store = SqliteStore::open(&folder, Mode::ReadWrite, entropy()).unwrap();
        Self::at(Place::Folder(folder), Arc::new(store))
    }

    fn at(place: Place, store: Arc<dyn Shared>) -> Self {
        let world = Arc::new(World::default());
        world.takes_ms.store(2, Ordering::Relaxed);
        Self { place, world, store, posted: Mutex::default() }
    }

    pub(crate) fn database(&self) -> &Database {
        match &self.place {
            Place::Database(database) => database,
            Place::Folder(folder) => panic!("{} is no database", folder.display()),
        }
    }

    pub(crate) fn node(&self, name: &str) -> House {
        self.node_with(name, |_| {})
    }

    pub(crate) fn node_with(&self, name: &str, change: impl FnOnce(&mut Settings)) -> House {
        self.node_by(name, Arc::new(Now), change)
    }

    /// A node on a machine with this clock.
    pub(crate) fn node_by(
        &self,
        name: &str,
        clock: Arc<dyn Clock>,
        change: impl FnOnce(&mut Settings),
    ) -> House {
        let mut settings = Settings::new("cognitionos/test", LEASE);
        change(&mut settings);
        let (tell, told): (Sender<Told>, _) = channel();
        let tell = Mutex::new(tell);
        let parts = Parts {
            store: match &self.place {
                Place::Database(database) => Arc::new(open(database, name)),
                Place::Folder(_) => Arc::clone(&self.store),
            },
            kit: Arc::new(Tools { tenant: None, world: Arc::clone(&self.world) }),
            clock,
            entropy: Box::new(entropy),
            // A test that has seen enough does not listen any more.
            tell: Box::new(move |told| drop(tell.lock().unwrap().send(told))),
        };
        House { node: Node::start(settings, parts).unwrap(), told }
    }

    /// Ask for a run of `pages` writes, one after the other.
    pub(crate) fn start(&self, tenant: TenantId, pages: u64) -> RunId {
        let writes = (1..=pages).map(|page| {
            let after = if page > 1 { format!("needs: [w{}], ", page - 1) } else { String::new() };
            format!(
                "  - {{ id: w{page}, {after}uses: file.write, as: \"agent:archivist\", \
                 with: {{ root: archive, path: page-{page}, mode: create, text: x }} }}\n"
            )
        });
        self.start_steps(tenant, &writes.collect::<String>())
    }

    pub(crate) fn start_steps(&self, tenant: TenantId, steps: &str) -> RunId {
        self.request(tenant, &canon());
        let wanted = wanted(steps, "/srv/archive");
        let (run, id) = (wanted.run, MailId::from_uuid(wanted.run.uuid()));
        let posted = ask(&*self.store, tenant, id, &Request::Start(Box::new(wanted)), None);
        assert_eq!(posted.unwrap(), Posted::Waiting);
        self.posted.lock().unwrap().push((tenant, id));
        run
    }

    /// Ask for something else.
    pub(crate) fn request(&self, tenant: TenantId, request: &Request) -> MailId {
        let id = MailId::new(Now.now(), entropy().as_mut()).unwrap();
        self.post(tenant, id, request);
        id
    }

    pub(crate) fn post(&self, tenant: TenantId, id: MailId, request: &Request) {
        ask(&*self.store, tenant, id, request, None).unwrap();
        self.posted.lock().unwrap().push((tenant, id));
    }

    pub(crate) fn session(&self, tenant: TenantId, run: RunId) -> Option<Session> {
        self.store.scope(tenant).unwrap().session(run).unwrap()
    }

    /// Wait until a run asks for approval.
    pub(crate) fn approval(&self, tenant: TenantId, run: RunId) -> ApprovalId {
        let mut asked = None;
        wait("it is asked", || {
            let entries = self.entries(tenant);
            let request = entries.iter().find(|entry| {
                entry.kind() == Kind::ApprovalRequested && entry.session() == Some(run)
            });
            asked = request.and_then(|entry| entry.id()?.parse().ok());
            asked.is_some()
        });
        asked.unwrap()
    }

    /// Wait until a run is sealed, and say how.
    pub(crate) fn end(&self, tenant: TenantId, run: RunId) -> String {
        let mut status = None;
        wait(&format!("{run} ends"), || {
            status = self.session(tenant, run).and_then(|session| session.status);
            status.is_some()
        });
        status.unwrap()
    }

    pub(crate) fn entries(&self, tenant: TenantId) -> Vec<Entry> {
        let scope = self.store.scope(tenant).unwrap();
        let (mut entries, mut select) = (Vec::new(), Select::default());
        loop {
            let page = scope.select(&select).unwrap();
            let Some(last) = page.last() else { return entries };
            select = select.after(last);
            entries.extend(page);
        }
    }

    /// The log of a tenant is whole, and each receipt in it has one outcome. Returns the
    /// outcomes.
    pub(crate) fn assert_whole(&self, tenant: TenantId) -> Vec<String> {
        let (mut audit, mut outcomes) = (Audit::new(0), BTreeMap::<String, Vec<String>>::new());
        for entry in self.entries(tenant) {
            audit.entry(&entry);
            let id = entry.id().unwrap_or_default().to_owned();
            if entry.kind() == Kind::Receipt {
                assert!(outcomes.insert(id, Vec::new()).is_none());
            } else if entry.kind() == Kind::Outcome {
                let word = entry.text("disposition").unwrap_or_default().to_owned();
                outcomes.get_mut(&id).unwrap().push(word);
            }
        }
        let findings = audit.finish().findings;
        assert!(findings.kept().is_empty(), "{:?}", findings.kept());
        let of_one = |outcomes: Vec<String>| {
            assert_eq!(outcomes.len(), 1, "one outcome for each receipt");
            outcomes.into_iter().next().unwrap()
        };
        outcomes.into_values().map(of_one).collect()
    }

    /// No mail is left but what was refused.
    pub(crate) fn wait_for_empty_mail(&self) {
        wait("the mail is gone", || self.mail() == 0);
    }

    /// How much of it waits.
    pub(crate) fn mail(&self) -> usize {
        let posted = self.posted.lock().unwrap();
        let delivery = |(tenant, id): &(TenantId, MailId)| self.store.delivery(*tenant, *id);
        posted.iter().filter(|it| delivery(it).unwrap() == Some(Delivery::Waiting)).count()
    }
}

impl House {
    /// Wait until it tells this.
    pub(crate) fn wait_for(&self, is_it: impl Fn(&Told) -> bool) -> Told {
        let begun = Instant::now();
        loop {
            let left = LONG.checked_sub(begun.elapsed()).unwrap_or_default();
            match self.told.recv_timeout(left) {
                Ok(told) if is_it(&told) => return told,
                Ok(_) => {}
                Err(error) => panic!("it was not told: {error}"),
            }
        }
    }
}

fn open(database: &Database, name: &str) -> PostgresStore {
    let mut options = Options::new(&database.url(APPLICATION), name, Key::from_bytes([7; 32]));
    options.claims_itself = false;
    options.lease = LEASE;
    PostgresStore::open(options, entropy()).unwrap()
}

pub(crate) fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "{what}: it took too long");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The canon of the fourth example, which lets the archivist write new pages.
pub(crate) fn canon() -> Request {
    let files = [
        ("canon.toml", include_str!("../../../../examples/04-survives-kill-9/canon/canon.toml")),
        (
            "schema.cedarschema",
            include_str!("../../../../examples/04-survives-kill-9/canon/schema.cedarschema"),
        ),
        (
            "policies/archive.cedar",
            include_str!("../../../../examples/04-survives-kill-9/canon/policies/archive.cedar"),
        ),
        (
            "facts/people.json",
            include_str!("../../../../examples/04-survives-kill-9/canon/facts/people.json"),
        ),
    ];
    let files: Files = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
    let who = "user:head-of-archive".parse().unwrap();
    Request::Found { files, environment: "development".into(), who }
}

pub(crate) fn wanted(steps: &str, place: &str) -> Wanted {
    let source = format!(
        "name: pages\ndomain: archive\nroots: {{ archive: {{ path: out, access: write }} }}\n\
         steps:\n{steps}"
    );
    Wanted {
        run: RunId::new(Now.now(), entropy().as_mut()).unwrap(),
        source,
        children: None,
        given: BTreeMap::new(),
        places: [("archive".to_owned(), place.to_owned())].into(),
        base: "/srv".into(),
        labels: BTreeMap::new(),
        trigger: None,
        priority: None,
        not_before: None,
        initiator: "user:operator".parse().unwrap(),
        environment: None,
    }
}
