//! Starting and stopping a node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use cog_base::id::TenantId;
use cog_base::{Clock, Entropy, STACK_BYTES};
use cog_ledger::{Shelf, Writer};
use cog_store::{Committer, Shared, Stats, StoreError};

use crate::desk::{Desk, Paper};
use crate::house::House;
use crate::keeper::{Event, Keeper, Place};
use crate::kit::Kit;
use crate::lane::{Lane, Order};
use crate::listener::Listener;
use crate::time::StoreClock;
use crate::told::Told;

/// How many beats there are in the length of a claim: renewals that may fail in a row before it
/// ends.
const BEATS_PER_LEASE: u32 = 8;

/// The most effects of one tenant at once, unless the settings say otherwise.
const EFFECTS_MAX: usize = 256;

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
    /// The most effects of one tenant that are performed at once; more wait for one to end.
    pub effects_max: usize,
    /// Pairs of threads that work on tenants.
    pub lanes: usize,
    /// A run that only time or somebody outside brings on leaves memory, unless it goes on by
    /// itself within this time.
    pub stay: Duration,
    /// How long a node that stops waits for effects that are under way.
    pub grace: Duration,
    /// Which tenants get how many times as much of a thread and of a commit as others, when there is
    /// more to do than they can ([`cog_base::turns::Turns::weighing`]).
    pub weights: BTreeMap<TenantId, u32>,
}

impl Settings {
    /// A node whose claims last so long, with two lanes, for at most 1,024 tenants of at most
    /// 1,024 runs in memory and 256 effects at once, which waits for effects for 30 seconds when it stops. Runs that wait
    /// for longer than ten seconds leave memory. All tenants weigh the same.
    #[must_use]
    pub fn new(engine: &str, lease: Duration) -> Self {
        let (tenants_max, runs_max, effects_max, lanes) = (1_024, 1_024, EFFECTS_MAX, 2);
        let (stay, grace) = (Duration::from_secs(10), Duration::from_secs(30));
        let (engine, weights) = (engine.to_owned(), BTreeMap::new());
        Self { engine, lease, tenants_max, runs_max, effects_max, lanes, stay, grace, weights }
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
    /// The clock of this machine. It may be wrong: everything is dated by the time of the store, which
    /// the machine only carries on. It should be one that nobody sets.
    pub clock: Arc<dyn Clock>,
    /// A new source of randomness for each who needs one.
    pub entropy: Box<dyn Fn() -> Box<dyn Entropy> + Send + Sync>,
    /// What happens is told here, on the threads of the node: it must be quick.
    pub tell: Box<dyn Fn(Told) + Send + Sync>,
}

impl Parts {
    /// What appends to the logs of the store.
    pub(crate) fn writer(
        &self,
        settings: &Settings,
    ) -> Result<Writer<Box<dyn Shelf + Send>>, StoreError> {
        let keys = self.store.signing_keys()?;
        Ok(Writer::new(self.store.shelf()?, keys, &settings.engine))
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
        let writer = parts.writer(&settings)?;
        let clock = Arc::new(StoreClock::new(Arc::clone(&parts.clock)));
        let committer = Committer::spawn_weighing(
            settings.weights.clone(),
            writer,
            Arc::clone(&clock) as _,
            (parts.entropy)(),
        );
        let beat = settings.beat();
        let house = Arc::new(House::new(settings, parts, clock, committer, None));
        let Machines { keeper: (keeping, events, keeper), pairs, mut listener } =
            Machines::of(&house);
        let mut threads = Vec::new();
        for Pair { desk: (reading, papers), lane: (driving, orders) } in pairs {
            threads.push(thread(move || driving.run(&orders))?);
            threads.push(thread(move || reading.run(&papers))?);
        }
        threads.push(thread(move || keeping.run(&events))?);
        let (alive, ends) = channel();
        threads.push(thread(move || listen(&mut listener, &ends, beat))?);
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

    /// The clock that the node goes by: the time of its store.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.house.clock) as _
    }

    /// What the committer of this node did so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.house.committer.stats()
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
fn listen(listener: &mut Listener, ends: &Receiver<()>, beat: Duration) {
    while is_alive(ends, Duration::ZERO) {
        match listener.step(beat) {
            Ok(true) => {}
            // The keeper tells that the store is away.
            Err(_) if is_alive(ends, beat) => {}
            Ok(false) | Err(_) => return,
        }
    }
}

/// The machines of a node, each with what it is told.
pub(crate) struct Machines {
    pub(crate) keeper: (Keeper, Receiver<Event>, Sender<Event>),
    pub(crate) pairs: Vec<Pair>,
    pub(crate) listener: Listener,
}

/// A desk and its lane.
pub(crate) struct Pair {
    pub(crate) desk: (Desk, Receiver<Paper>),
    pub(crate) lane: (Lane, Receiver<Order>),
}

impl Machines {
    pub(crate) fn of(house: &Arc<House>) -> Self {
        let (keeper, events) = channel();
        let (mut pairs, mut places) = (Vec::new(), Vec::new());
        for _ in 0..house.settings.lanes.max(1) {
            let ((desk, papers), (lane, orders)) = (channel(), channel());
            places.push(Place { desk: desk.clone(), lane: lane.clone() });
            let driving = Lane::new(Arc::clone(house), desk.clone());
            let reading = Desk::new(Arc::clone(house), desk, lane, keeper.clone());
            pairs.push(Pair { desk: (reading, papers), lane: (driving, orders) });
        }
        let listener = Listener::new(house.store.wakeups(), keeper.clone());
        let keeping = Keeper::new(Arc::clone(house), places);
        Self { keeper: (keeping, events, keeper), pairs, listener }
    }
}
