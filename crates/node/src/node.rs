//! Starting and stopping a node.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use cog_base::id::TenantId;
use cog_base::{Clock, Digest, Entropy, STACK_BYTES};
use cog_canon::Canon;
use cog_engine::Ledger;
use cog_engine::driver::{Reply, contained};
use cog_ledger::{AppendError, Draft, Writer};
use cog_store::{Committer, Shared, StoreError, Wakeup};

use crate::desk::{Desk, told};
use crate::keeper::{Event, Keeper, Place};
use crate::kit::Kit;
use crate::lane::Lane;
use crate::told::Told;

/// The most canons that are kept in memory; beyond it all are read again when needed.
const CANONS_MAX: usize = 1_024;
/// How many beats there are in the length of a claim: renewals that may fail in a row before it
/// ends.
const BEATS_PER_LEASE: u32 = 8;

/// How a node is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What entries name as the program that wrote them.
    pub engine: String,
    /// How long a claim lasts, as the store has it.
    pub lease: Duration,
    /// The most tenants of one node.
    pub tenants_max: u32,
    /// The most runs of one tenant that are in memory at once; more requests wait in the store.
    pub runs_max: usize,
    /// Pairs of threads that work on tenants.
    pub lanes: usize,
    /// A run that only time or somebody outside brings on leaves memory, unless it goes on by
    /// itself within this time.
    pub stay: Duration,
    /// How long a node that stops waits for effects that are under way.
    pub grace: Duration,
}

impl Settings {
    /// A node whose claims last so long, with two lanes, for at most 1,024 tenants of at most
    /// 1,024 runs in memory, which waits for effects for 30 seconds when it stops. Runs that wait
    /// for longer than ten seconds leave memory.
    #[must_use]
    pub fn new(engine: &str, lease: Duration) -> Self {
        let (tenants_max, runs_max, lanes) = (1_024, 1_024, 2);
        let (stay, grace) = (Duration::from_secs(10), Duration::from_secs(30));
        Self { engine: engine.to_owned(), lease, tenants_max, runs_max, lanes, stay, grace }
    }

    /// How often claims are renewed.
    pub(crate) fn beat(&self) -> Duration {
        self.lease / BEATS_PER_LEASE
    }

    /// Runs come back so long before they go on by themselves: half of what they would have
    /// stayed for, so that none leaves again, and several beats, so that none is late.
    pub(crate) fn early(&self) -> Duration {
        self.stay / 2
    }
}

/// What a node is made of.
pub struct Parts {
    /// The store that the nodes share.
    pub store: Arc<dyn Shared>,
    /// The adapters.
    pub kit: Arc<dyn Kit>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// A new source of randomness for each who needs one.
    pub entropy: Box<dyn Fn() -> Box<dyn Entropy> + Send + Sync>,
    /// What happens is told here, on the threads of the node: it must be quick.
    pub tell: Box<dyn Fn(Told) + Send + Sync>,
}

/// What all threads of a node share.
pub(crate) struct House {
    pub(crate) settings: Settings,
    pub(crate) store: Arc<dyn Shared>,
    pub(crate) committer: Committer,
    pub(crate) kit: Arc<dyn Kit>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Box<dyn Fn() -> Box<dyn Entropy> + Send + Sync>,
    tell: Box<dyn Fn(Told) + Send + Sync>,
    canons: Mutex<HashMap<Digest, Arc<Canon>>>,
}

impl House {
    pub(crate) fn tell(&self, told: Told) {
        // An onlooker that panics has not heard it, and harms nobody.
        let _ = contained(|| (self.tell)(told));
    }

    /// Canons that were loaded. A version is the digest of its files, whoever's it is.
    pub(crate) fn canons(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Canon>>> {
        self.canons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn remember(&self, canon: Arc<Canon>) {
        let mut canons = self.canons();
        if canons.len() >= CANONS_MAX {
            canons.clear();
        }
        canons.insert(canon.digest(), canon);
    }
}

/// A running node. It stops with [`Node::stop`], or when the value is dropped.
pub struct Node {
    keeper: Sender<Event>,
    /// Ends the threads that only listen, by being dropped.
    alive: Vec<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
    house: Arc<House>,
}

impl Node {
    /// Start a node.
    ///
    /// # Errors
    /// [`StoreError::WriterTaken`] when the store has a writer already, [`StoreError::Io`] when
    /// there is no thread to be had.
    pub fn start(settings: Settings, parts: Parts) -> Result<Self, StoreError> {
        let Parts { store, kit, clock, entropy, tell } = parts;
        let writer = Writer::new(store.shelf()?, store.signing_keys()?, &settings.engine);
        let committer = Committer::spawn(writer, Arc::clone(&clock), entropy());
        let (lanes, beat) = (settings.lanes.max(1), settings.beat());
        let canons = Mutex::default();
        let house = House { settings, store, committer, kit, clock, entropy, tell, canons };
        let house = Arc::new(house);
        let (keeper, events) = channel();
        let (mut threads, mut places) = (Vec::new(), Vec::new());
        for _ in 0..lanes {
            let ((desk, papers), (lane, orders)) = (channel(), channel());
            places.push(Place { desk: desk.clone(), lane: lane.clone() });
            let driving = Lane::new(Arc::clone(&house), orders, desk);
            let reading = Desk::new(Arc::clone(&house), papers, lane, keeper.clone());
            threads.push(thread(move || driving.run())?);
            threads.push(thread(move || reading.run())?);
        }
        let keeping = Keeper::new(Arc::clone(&house), events, places);
        threads.push(thread(move || keeping.run())?);
        let (alive, ends) = channel();
        let (to_keeper, listening) = (keeper.clone(), Arc::clone(&house));
        threads.push(thread(move || listen(&listening, &to_keeper, &ends, beat))?);
        let (alive_too, ends) = channel();
        let to_keeper = keeper.clone();
        threads.push(thread(move || {
            while is_alive(&ends, beat) && to_keeper.send(Event::Beat).is_ok() {}
        })?);
        Ok(Self { keeper, alive: vec![alive, alive_too], threads, house })
    }

    /// Take nothing more, wait for the effects that are under way, give every tenant back, and
    /// end. What is not over when the grace is, is found by whoever claims the tenant next.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        let _ = self.keeper.send(Event::Stop);
        // The beats go on until the keeper has ended.
        let last = self.threads.len().saturating_sub(2);
        for thread in self.threads.drain(..last) {
            let _ = thread.join();
        }
        self.alive.clear();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        self.house.committer.shutdown();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

/// A thread whose stack is the same on every machine: it loads and asks canons.
fn thread(work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
    thread.map_err(|error| StoreError::io("begin a thread of the node", error))
}

/// Wait so long, and say whether the node still runs then.
fn is_alive(ends: &Receiver<()>, wait: Duration) -> bool {
    ends.recv_timeout(wait) == Err(RecvTimeoutError::Timeout)
}

/// Pass on what is called.
fn listen(house: &House, keeper: &Sender<Event>, ends: &Receiver<()>, beat: Duration) {
    let mut wakeups = house.store.wakeups();
    while is_alive(ends, Duration::ZERO) {
        let event = match wakeups.next(beat) {
            Ok(Wakeup::Tenant(tenant)) => Event::Called(tenant),
            Ok(Wakeup::Anything) => Event::Anything,
            Ok(Wakeup::Nothing) => continue,
            // The keeper tells that the store is away.
            Err(_) if is_alive(ends, beat) => continue,
            Err(_) => return,
        };
        if keeper.send(event).is_err() {
            return;
        }
    }
}

/// The committer as the ledger of engines.
pub(crate) struct Committed(pub(crate) Committer);

impl Ledger for Committed {
    fn submit(&self, drafts: Vec<(TenantId, Draft)>, reply: Reply) {
        let reply = move |result: Result<_, Arc<AppendError>>| {
            reply(result.map_err(|error| told(error.as_ref())));
        };
        self.0.submit(drafts, Box::new(reply));
    }
}
