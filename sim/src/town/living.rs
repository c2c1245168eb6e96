//! A life of a node in a town: its clock, its way to the store, and the hands that it is given.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_base::{Clock, Timestamp};
use cog_engine::{Hands, Inbox, Place, Placed, Terms};
use cog_gate::{AnyEffect, Cleared};
use cog_node::{Kit, Ready, Stepped};
use cog_store::StoreError;

use super::Inner;
use super::database::{Database, Life};
use super::link::{Call, Wire};
use super::trouble::Side;
use super::work::{Task, Work};

/// The clock of a machine: that of the database, and how far it is ahead or behind.
pub(super) struct NodeClock {
    database: Arc<Database>,
    skew: AtomicI64,
    /// Where it stands still, in microseconds; `i64::MIN` while it goes.
    stands_at: AtomicI64,
}

impl NodeClock {
    pub(super) fn new(database: Arc<Database>, skew: i64) -> Self {
        let stands_at = AtomicI64::new(i64::MIN);
        Self { database, skew: AtomicI64::new(skew), stands_at }
    }

    /// When the clock shows this, by the database.
    pub(super) fn to_database(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_micros(at.micros().saturating_sub(self.skew.load(Ordering::Relaxed)))
    }

    pub(super) fn jump(&self, micros: i64) {
        self.skew.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn stand_still(&self) {
        self.stands_at.store(self.now().micros(), Ordering::Relaxed);
    }

    /// Go on, from where it stood or with the right time.
    pub(super) fn go_on(&self, is_late: bool) {
        let stood = self.stands_at.swap(i64::MIN, Ordering::Relaxed);
        if is_late && stood != i64::MIN {
            self.skew.fetch_add(stood - self.now().micros(), Ordering::Relaxed);
        }
    }
}

impl Clock for NodeClock {
    fn now(&self) -> Timestamp {
        let stands_at = self.stands_at.load(Ordering::Relaxed);
        if stands_at != i64::MIN {
            return Timestamp::from_micros(stands_at);
        }
        let now = self.database.now().micros();
        Timestamp::from_micros(now.saturating_add(self.skew.load(Ordering::Relaxed)))
    }
}

/// A life of a node.
pub(super) struct Living {
    /// Which node it is a life of.
    pub(super) node: usize,
    pub(super) life: Life,
    pub(super) clock: Arc<NodeClock>,
    stepped: OnceLock<Arc<Stepped>>,
    /// Until when it does not reach the database, by the database.
    cut_until: AtomicI64,
    /// Until when nothing of it goes on.
    paused_until: AtomicI64,
    is_dead: AtomicBool,
    pub(super) is_stopping: AtomicBool,
    /// How many of its machines are in the middle of something.
    pub(super) at_work: AtomicUsize,
}

impl Living {
    pub(super) fn new(node: usize, life: Life, clock: NodeClock) -> Self {
        let never = || AtomicI64::new(i64::MIN);
        Self {
            node,
            life,
            clock: Arc::new(clock),
            stepped: OnceLock::new(),
            cut_until: never(),
            paused_until: never(),
            is_dead: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            at_work: AtomicUsize::new(0),
        }
    }

    pub(super) fn begin(&self, stepped: Arc<Stepped>) {
        // It begins once.
        let _ = self.stepped.set(stepped);
    }

    pub(super) fn stepped(&self) -> Option<&Arc<Stepped>> {
        self.stepped.get()
    }

    pub(super) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    /// Whether it is gone, by itself or not.
    pub(super) fn is_over(&self) -> bool {
        self.is_dead() || self.stepped().is_some_and(|stepped| stepped.is_over())
    }

    pub(super) fn die(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
        if let Some(stepped) = self.stepped() {
            stepped.kill();
        }
    }

    pub(super) fn cut(&self, until: Timestamp) {
        self.cut_until.fetch_max(until.micros(), Ordering::Relaxed);
    }

    pub(super) fn pause(&self, until: Timestamp) {
        self.paused_until.fetch_max(until.micros(), Ordering::Relaxed);
    }

    pub(super) fn heal(&self) {
        self.cut_until.store(i64::MIN, Ordering::Relaxed);
        self.paused_until.store(i64::MIN, Ordering::Relaxed);
    }

    pub(super) fn is_cut(&self, now: Timestamp) -> bool {
        self.is_dead() || now.micros() < self.cut_until.load(Ordering::Relaxed)
    }

    pub(super) fn is_paused(&self, now: Timestamp) -> bool {
        now.micros() < self.paused_until.load(Ordering::Relaxed)
    }

    /// When something of it is due, by the database.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_over() {
            return None;
        }
        if self.is_paused(now) {
            return Some(Timestamp::from_micros(self.paused_until.load(Ordering::Relaxed)));
        }
        self.stepped()?.next().map(|at| self.clock.to_database(at))
    }
}

/// A way to the store that can be held up and cut.
pub(super) struct Line {
    pub(super) town: Weak<Inner>,
    pub(super) living: Weak<Living>,
}

pub(super) fn away(call: Call) -> StoreError {
    let (doing, source) = (format!("{call:?}"), "it is cut off".into());
    StoreError::Unreachable { doing, source }
}

impl Wire for Line {
    fn there(&self, call: Call) -> Result<(), StoreError> {
        let (Some(town), Some(living)) = (self.town.upgrade(), self.living.upgrade()) else {
            return Err(away(call));
        };
        town.moment(&living, call, Side::There)
    }

    fn back(&self, call: Call) -> Result<(), StoreError> {
        let (Some(town), Some(living)) = (self.town.upgrade(), self.living.upgrade()) else {
            return Err(away(call));
        };
        town.moment(&living, call, Side::Back)
    }
}

/// A way that is always good, for people.
pub(super) struct Good;

impl Wire for Good {
    fn there(&self, _: Call) -> Result<(), StoreError> {
        Ok(())
    }

    fn back(&self, _: Call) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What a life acts with: it is done when the town says so.
pub(super) struct Tools {
    pub(super) town: Weak<Inner>,
    pub(super) living: Weak<Living>,
    /// For whom, if these are hands.
    pub(super) tenant: Option<TenantId>,
}

impl Tools {
    fn take(&self, task: Task, inbox: Inbox) {
        let (Some(town), Some(living)) = (self.town.upgrade(), self.living.upgrade()) else {
            return;
        };
        if let Some(tenant) = self.tenant.filter(|_| !living.is_dead()) {
            let due = town.database.now();
            town.take_on(Work { living, tenant, task, inbox, due });
        }
    }
}

impl Hands for Tools {
    fn perform(&self, _: RunId, cleared: Cleared<AnyEffect>, _: Terms, inbox: Inbox) {
        self.take(Task::Effect(Box::new(cleared)), inbox);
    }

    fn probe(&self, run: RunId, receipt: ReceiptId, effect: AnyEffect, inbox: Inbox) {
        self.take(Task::Probe { run, receipt, effect: Box::new(effect) }, inbox);
    }
}

impl Kit for Tools {
    fn hands(&self, tenant: TenantId) -> Box<dyn Hands> {
        let (town, living) = (Weak::clone(&self.town), Weak::clone(&self.living));
        Box::new(Self { town, living, tenant: Some(tenant) })
    }

    fn bind(&self, _: &Ready<'_>) -> Result<(), String> {
        Ok(())
    }

    fn place(&self, place: &Place) -> Result<Placed, String> {
        let places = place.roots.iter().map(|root| (root.name.clone(), "/srv/out".to_owned()));
        Ok(Placed { base: place.base.clone(), places: places.collect() })
    }

    fn unbind(&self, _: TenantId, _: RunId) {}
}
