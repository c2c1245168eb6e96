//! The hands of one life of a tenant's engine: they know what is under way, begin no more at once
//! than one tenant may, and nothing while the claim is in doubt.

use std::collections::VecDeque;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_engine::{Hands, Inbox, Input, Place};
use cog_flow::Terms;
use cog_gate::{AnyEffect, Cleared};

use crate::house::House;
use crate::lease::Lease;

/// An effect that waits until the claim is sure, and fewer are being performed.
struct Waiting {
    run: RunId,
    cleared: Cleared<AnyEffect>,
    terms: Terms,
    inbox: Inbox,
}

struct Inner {
    hands: Box<dyn Hands>,
    waiting: VecDeque<Waiting>,
    /// Runs that runs begin, of which nobody has been asked yet where their folders stand.
    placing: Vec<(Place, Inbox)>,
}

/// Something that began: counted until it is answered, or forgotten.
struct One {
    all: Arc<AtomicUsize>,
    counts: AtomicBool,
}

impl One {
    fn of(all: &Arc<AtomicUsize>) -> Self {
        all.fetch_add(1, Ordering::AcqRel);
        Self { all: Arc::clone(all), counts: AtomicBool::new(true) }
    }

    fn is_over(&self) {
        if self.counts.swap(false, Ordering::AcqRel) {
            self.all.fetch_sub(1, Ordering::AcqRel);
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
    /// How many effects are being performed, and the most that may be.
    performed: Arc<AtomicUsize>,
    effects_max: usize,
    lease: Arc<Lease>,
}

impl Careful {
    /// Those of a tenant, for one life of its engine.
    pub(crate) fn of(house: &House, tenant: TenantId, lease: &Arc<Lease>) -> Self {
        let hands = house.kit.hands(tenant);
        let inner = Inner { hands, waiting: VecDeque::new(), placing: Vec::new() };
        let (under_way, performed) = Default::default();
        Self {
            inner: Arc::new(Mutex::new(inner)),
            under_way,
            performed,
            effects_max: house.settings.effects_max.max(1),
            lease: Arc::clone(lease),
        }
    }

    /// How many effects and probes are under way, or wait to be.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Acquire)
    }

    /// Begin what waited, as far as the claim is sure and there is room; forget it when the claim is
    /// over. Whoever has the tenant then finds the receipts open.
    pub(crate) fn go_on(&self) {
        let mut inner = self.lock();
        if self.lease.is_over() {
            // What is dropped here is counted down.
            return inner.waiting.clear();
        }
        while !inner.waiting.is_empty() && self.may_begin() {
            let Some(waiting) = inner.waiting.pop_front() else { return };
            let Waiting { run, cleared, terms, inbox } = waiting;
            let inbox = counting(&self.performed, inbox);
            inner.hands.perform(run, cleared, terms, inbox);
        }
    }

    /// Whether one more effect may begin now. When not, it does when one is over, or with the next
    /// renewal of the claim.
    fn may_begin(&self) -> bool {
        self.lease.is_sure() && self.performed.load(Ordering::Acquire) < self.effects_max
    }

    /// Runs that runs begin, for whoever may wait for the store to find out where their folders
    /// stand.
    pub(crate) fn placing(&self) -> Vec<(Place, Inbox)> {
        std::mem::take(&mut self.lock().placing)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Count what is about to begin, and count it down before its answer is sent, or when nobody
/// is left who could send one. What it gives before is no answer.
fn counting(count: &Arc<AtomicUsize>, inbox: Inbox) -> Inbox {
    let one = One::of(count);
    Inbox::new(move |input| {
        if !matches!(input, Input::Given(_)) {
            one.is_over();
        }
        inbox.send(input);
    })
}

impl Hands for Careful {
    fn perform(&self, run: RunId, cleared: Cleared<AnyEffect>, terms: Terms, inbox: Inbox) {
        if self.lease.is_over() {
            return;
        }
        let inbox = counting(&self.under_way, inbox);
        let mut inner = self.lock();
        if inner.waiting.is_empty() && self.may_begin() {
            let inbox = counting(&self.performed, inbox);
            inner.hands.perform(run, cleared, terms, inbox);
        } else {
            inner.waiting.push_back(Waiting { run, cleared, terms, inbox });
        }
    }

    fn withdraw(&self, run: RunId, receipt: ReceiptId) {
        let mut inner = self.lock();
        let place = inner.waiting.iter().position(|it| it.cleared.idempotency_key() == receipt);
        let Some(waiting) = place.and_then(|place| inner.waiting.remove(place)) else {
            return inner.hands.withdraw(run, receipt);
        };
        drop(inner);
        waiting.inbox.send(Input::Performed(Box::new(waiting.cleared.not_begun())));
    }

    fn probe(&self, run: RunId, receipt: ReceiptId, effect: AnyEffect, inbox: Inbox) {
        let inbox = counting(&self.under_way, inbox);
        self.lock().hands.probe(run, receipt, effect, inbox);
    }

    fn place(&self, place: Place, inbox: Inbox) {
        self.lock().placing.push((place, inbox));
    }
}
