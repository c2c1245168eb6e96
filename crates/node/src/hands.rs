//! The hands of one life of a tenant's engine: they know what is under way, and begin nothing
//! while the claim is in doubt.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cog_base::id::{ReceiptId, RunId};
use cog_engine::{Hands, Inbox, Place};
use cog_gate::{AnyEffect, Cleared};

use crate::lease::Lease;

/// An effect that waits until the claim is sure.
struct Waiting {
    run: RunId,
    cleared: Cleared<AnyEffect>,
    timeout_ms: Option<u64>,
    inbox: Inbox,
}

struct Inner {
    hands: Box<dyn Hands>,
    waiting: Vec<Waiting>,
    /// Runs that runs begin, of which nobody has been asked yet where their folders stand.
    placing: Vec<(Place, Inbox)>,
}

/// Something under way: counted until it is answered, or forgotten.
struct One {
    under_way: Arc<AtomicUsize>,
    counts: AtomicBool,
}

impl One {
    fn of(under_way: &Arc<AtomicUsize>) -> Self {
        under_way.fetch_add(1, Ordering::AcqRel);
        Self { under_way: Arc::clone(under_way), counts: AtomicBool::new(true) }
    }

    fn is_over(&self) {
        if self.counts.swap(false, Ordering::AcqRel) {
            self.under_way.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.is_over();
    }
}

/// Hands that count. Clones are the same ones.
#[derive(Clone)]
pub(crate) struct Careful {
    inner: Arc<Mutex<Inner>>,
    under_way: Arc<AtomicUsize>,
    lease: Arc<Lease>,
}

impl Careful {
    pub(crate) fn new(hands: Box<dyn Hands>, lease: Arc<Lease>) -> Self {
        let inner = Inner { hands, waiting: Vec::new(), placing: Vec::new() };
        Self { inner: Arc::new(Mutex::new(inner)), under_way: Arc::default(), lease }
    }

    /// How many effects and probes are under way, or wait to be.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Acquire)
    }

    /// Begin what waited, now that the claim was renewed; forget it when it is over. Whoever
    /// has the tenant then finds the receipts open.
    pub(crate) fn go_on(&self) {
        let mut inner = self.lock();
        if inner.waiting.is_empty() || !(self.lease.is_sure() || self.lease.is_over()) {
            return;
        }
        for waiting in std::mem::take(&mut inner.waiting) {
            let Waiting { run, cleared, timeout_ms, inbox } = waiting;
            // What is dropped here is counted down.
            if !self.lease.is_over() {
                inner.hands.perform(run, cleared, timeout_ms, inbox);
            }
        }
    }

    /// Runs that runs begin, for whoever may wait for the store to find out where their folders
    /// stand.
    pub(crate) fn placing(&self) -> Vec<(Place, Inbox)> {
        std::mem::take(&mut self.lock().placing)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Count what is about to begin, and count it down before its answer is sent, or when nobody
    /// is left who could send one.
    fn counting(&self, inbox: Inbox) -> Inbox {
        let one = One::of(&self.under_way);
        Inbox::new(move |input| {
            one.is_over();
            inbox.send(input);
        })
    }
}

impl Hands for Careful {
    fn perform(
        &self,
        run: RunId,
        cleared: Cleared<AnyEffect>,
        timeout_ms: Option<u64>,
        inbox: Inbox,
    ) {
        if self.lease.is_over() {
            return;
        }
        let inbox = self.counting(inbox);
        let mut inner = self.lock();
        if self.lease.is_sure() {
            inner.hands.perform(run, cleared, timeout_ms, inbox);
        } else {
            inner.waiting.push(Waiting { run, cleared, timeout_ms, inbox });
        }
    }

    fn probe(&self, run: RunId, receipt: ReceiptId, effect: AnyEffect, inbox: Inbox) {
        let inbox = self.counting(inbox);
        self.lock().hands.probe(run, receipt, effect, inbox);
    }

    fn place(&self, place: Place, inbox: Inbox) {
        self.lock().placing.push((place, inbox));
    }
}
