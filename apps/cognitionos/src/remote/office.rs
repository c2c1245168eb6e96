//! The hands of a node whose effects are performed by workers: what was cleared goes on the board,
//! and what a worker says of it comes back as what was performed.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program's edge: leases of workers end by a real clock"
)]

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cog_base::Clock;
use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_engine::{Hands, Inbox, Input, Place, Placed};
use cog_flow::Terms;
use cog_gate::{AnyEffect, Cleared};
use cog_node::{Kit, Ready};
use cog_store::Shared;
use cog_worker::{Asked, Board, Now, Offer, Poll, Root, Standing};
use tokio::sync::Notify;

use crate::commands::run::family;
use crate::folders::Secrets;
use crate::system::SystemClock;

/// How often it is looked after what nobody says anything about, while something is on the board.
const TICK: Duration = Duration::from_millis(100);
/// How long nothing is handed out of logs that could not be read, in milliseconds.
const REST_MS: u64 = 2_000;

/// The board of a node, with a clock, and a bell for those who wait for work.
pub(crate) struct Office {
    board: Mutex<Board>,
    begun: Instant,
    /// The clock by which receipts end: that of the node.
    clock: OnceLock<Arc<dyn Clock>>,
    /// The logs that the receipts are in.
    store: OnceLock<Arc<dyn Shared>>,
    /// Until when nothing is handed out, as the logs could not be read.
    rests_until_ms: AtomicU64,
    /// There may be something to do.
    pub(crate) bell: Arc<Notify>,
}

impl Office {
    pub(crate) fn new() -> Self {
        Self::with(Board::new(SystemClock.now()), Arc::default())
    }

    /// That of a node at another database, for the same workers.
    pub(crate) fn beside(&self) -> Self {
        Self::with(self.board().beside(), Arc::clone(&self.bell))
    }

    fn with(board: Board, bell: Arc<Notify>) -> Self {
        let (clock, store, rests_until_ms) = Default::default();
        Self { board: Mutex::new(board), begun: Instant::now(), clock, store, rests_until_ms, bell }
    }

    /// Receipts are in these logs.
    pub(crate) fn reads(&self, store: Arc<dyn Shared>) {
        // There is one database.
        let _ = self.store.set(store);
    }

    /// The logs that the receipts are in; nothing as long as the database was away from the start.
    pub(crate) fn store(&self) -> Option<Arc<dyn Shared>> {
        self.store.get().cloned()
    }

    /// Receipts end by this clock. Until it is known there are none.
    pub(crate) fn go_by(&self, clock: Arc<dyn Clock>) {
        // There is one node.
        let _ = self.clock.set(clock);
    }

    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Now {
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let at = self.clock.get().map_or_else(|| SystemClock.now(), |clock| clock.now());
        Now { ms, at }
    }

    /// Offer what waits and the worker can do, unless the logs could not be read just now.
    pub(crate) fn offer(&self, poll: &Poll) -> Vec<Offer> {
        let now = self.now();
        if now.ms < self.rests_until_ms.load(Ordering::Relaxed) {
            return Vec::new();
        }
        self.board().offer(poll, now)
    }

    /// The logs cannot be read: nothing is handed out for a while.
    pub(crate) fn rest(&self) {
        self.rests_until_ms.store(self.now().ms.saturating_add(REST_MS), Ordering::Relaxed);
    }

    fn put(&self, asked: Asked, standing: Standing, inbox: Inbox) {
        let now = self.now();
        self.board().put(asked, standing, inbox, now);
        self.bell.notify_waiters();
    }

    /// Look after the board for as long as this lives, and tell of what waits for a worker.
    pub(crate) async fn look_after(
        self: Arc<Self>,
        tell: impl Fn(TenantId, RunId, &'static str) + Send,
    ) {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            if self.board().is_empty() {
                continue;
            }
            let now = self.now();
            let waiting = self.board().tick(now);
            // What was put up again may be what somebody waits for.
            self.bell.notify_waiters();
            waiting.into_iter().for_each(|(tenant, run, action)| tell(tenant, run, action));
        }
    }
}

/// Where the runs of a node stand, for workers to be told.
type Standings = HashMap<(TenantId, RunId), Standing>;

/// A kit that performs nothing itself.
pub(crate) struct Dispatch {
    office: Arc<Office>,
    /// What no root may hold.
    secrets: Secrets,
    standings: Arc<Mutex<Standings>>,
}

impl Dispatch {
    pub(crate) fn new(office: Arc<Office>, secrets: Secrets) -> Self {
        Self { office, secrets, standings: Arc::default() }
    }
}

fn lock(standings: &Mutex<Standings>) -> MutexGuard<'_, Standings> {
    standings.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kit for Dispatch {
    fn hands(&self, tenant: TenantId) -> Box<dyn Hands> {
        let (office, standings) = (Arc::clone(&self.office), Arc::clone(&self.standings));
        Box::new(Counter { tenant, office, standings })
    }

    /// The folders are the worker's: here it is only seen to that none of them holds the keys.
    fn bind(&self, ready: &Ready<'_>) -> Result<(), String> {
        let mut roots = BTreeMap::new();
        for (name, root) in ready.roots {
            let kept = self.secrets.keep_apart(name, std::path::Path::new(&root.path));
            kept.map_err(|error| error.to_string())?;
            let (path, write, create) = (root.path.clone(), root.write, root.create);
            roots.insert(name.clone(), Root { path, write, create });
        }
        let standing = Standing { base: ready.base.to_owned(), roots, ..Standing::default() };
        lock(&self.standings).insert((ready.tenant, ready.run), standing);
        Ok(())
    }

    fn place(&self, place: &Place) -> Result<Placed, String> {
        let placed = family::placed(&self.secrets, place).map(|(placed, ..)| placed);
        placed.map_err(|error| format!("{error:#}"))
    }

    fn unbind(&self, tenant: TenantId, run: RunId) {
        lock(&self.standings).remove(&(tenant, run));
        self.office.board().forget(tenant, run);
    }
}

/// The hands of one engine.
struct Counter {
    tenant: TenantId,
    office: Arc<Office>,
    standings: Arc<Mutex<Standings>>,
}

impl Counter {
    fn standing(&self, run: RunId) -> Option<Standing> {
        lock(&self.standings).get(&(self.tenant, run)).cloned()
    }
}

impl Hands for Counter {
    fn perform(&self, run: RunId, cleared: Cleared<AnyEffect>, terms: Terms, inbox: Inbox) {
        match self.standing(run) {
            Some(standing) => {
                let Terms { timeout_ms, heartbeat_ms, start_within_ms, stream } = terms;
                let standing =
                    Standing { timeout_ms, heartbeat_ms, start_within_ms, stream, ..standing };
                self.office.put(Asked::Perform(Box::new(cleared)), standing, inbox);
            }
            // The run went elsewhere. Nobody began it.
            None => inbox.send(Input::Performed(Box::new(cleared.not_begun()))),
        }
    }

    fn withdraw(&self, _run: RunId, receipt: ReceiptId) {
        self.office.board().cancel(self.tenant, receipt);
        self.office.bell.notify_waiters();
    }

    fn probe(&self, run: RunId, receipt: ReceiptId, effect: AnyEffect, inbox: Inbox) {
        let standing = self.standing(run).unwrap_or_default();
        let asked = Asked::Probe { tenant: self.tenant, run, receipt, effect };
        self.office.put(asked, standing, inbox);
    }
}
