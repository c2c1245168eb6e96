//! The store as one life of a node has it: its time is that of the test, calls are heard at once,
//! and when the life is over nothing of it reaches the store any more.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cog_base::id::{MailId, RunId, TenantId};
use cog_base::{Clock, Digest, Timestamp};
use cog_ledger::{KeyRing, SealedBatch, Shelf, ShelfError, Tail};
use cog_store::{
    After, Claim, Cursor, CursorStep, Cursors, Cut, DeadLetter, Delivery, Erasable, Erased, Except,
    Files, Keep, Mail, Parked, Posted, Renewed, RequestKey, Shared, Store, StoreError, TenantTx,
    Wakeup, Wakeups,
};

/// The time, which a test moves.
pub(crate) struct Hours(AtomicI64);

impl Hours {
    pub(crate) fn from(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.micros()))
    }

    /// Go on to a time, if it is later.
    pub(crate) fn reach(&self, at: Timestamp) {
        self.0.fetch_max(at.micros(), Ordering::Relaxed);
    }
}

impl Clock for Hours {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// What a life has of its own.
pub(crate) struct Life {
    pub(crate) hours: Arc<Hours>,
    pub(crate) is_over: AtomicBool,
    /// How often something was recorded.
    pub(crate) commits: AtomicU64,
    called: Mutex<VecDeque<Wakeup>>,
}

impl Life {
    pub(crate) fn new(hours: Arc<Hours>) -> Self {
        let called = Mutex::new(VecDeque::from([Wakeup::Anything]));
        Self { hours, is_over: AtomicBool::new(false), commits: AtomicU64::new(0), called }
    }

    /// Whether somebody called, and the node has not heard it.
    pub(crate) fn is_called(&self) -> bool {
        !self.called.lock().unwrap().is_empty()
    }
}

#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) store: Arc<dyn Shared>,
    pub(crate) life: Arc<Life>,
    /// Tenants of the same store that others are done with.
    pub(crate) others: Vec<TenantId>,
}

impl Link {
    fn there(&self) -> Result<&dyn Shared, StoreError> {
        if self.life.is_over.load(Ordering::Relaxed) {
            let (doing, source) = ("reach the store".to_owned(), "this life is over".into());
            return Err(StoreError::Unreachable { doing, source });
        }
        Ok(&*self.store)
    }
}

struct Counted(Box<dyn Shelf + Send>, Link);

impl Shelf for Counted {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        self.1.there()?;
        self.1.life.commits.fetch_add(1, Ordering::Relaxed);
        self.0.commit(batches)
    }

    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        self.1.there()?;
        self.0.tail(tenant)
    }
}

impl Store for Link {
    fn shelf(&self) -> Result<Box<dyn Shelf + Send>, StoreError> {
        Ok(Box::new(Counted(self.there()?.shelf()?, self.clone())))
    }

    fn signing_keys(&self) -> Result<Box<dyn KeyRing>, StoreError> {
        self.there()?.signing_keys()
    }

    fn scope(&self, tenant: TenantId) -> Result<Box<dyn TenantTx + '_>, StoreError> {
        self.there()?.scope(tenant)
    }

    fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        self.there()?.tenants()
    }
}

impl Cursors for Link {
    fn take_cursor(&self, tenant: TenantId, name: &str, from: u64) -> Result<Cursor, StoreError> {
        self.there()?.take_cursor(tenant, name, from)
    }

    fn move_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        step: &CursorStep,
    ) -> Result<(), StoreError> {
        self.there()?.move_cursor(tenant, consumer, step)
    }

    fn set_cursor(&self, tenant: TenantId, name: &str, next: u64) -> Result<Cursor, StoreError> {
        self.there()?.set_cursor(tenant, name, next)
    }

    fn drop_cursor(&self, tenant: TenantId, consumer: &str) -> Result<bool, StoreError> {
        self.there()?.drop_cursor(tenant, consumer)
    }

    fn cursors(&self, tenant: TenantId) -> Result<Vec<Cursor>, StoreError> {
        self.there()?.cursors(tenant)
    }

    fn dead_letters(
        &self,
        tenant: TenantId,
        consumer: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.there()?.dead_letters(tenant, consumer, from, limit)
    }
}

impl Keep for Link {
    fn put_canon(&self, tenant: TenantId, digest: Digest, files: &Files) -> Result<(), StoreError> {
        self.there()?.put_canon(tenant, digest, files)
    }

    fn erasable(&self, tenant: TenantId, subject: &str) -> Result<Erasable, StoreError> {
        self.there()?.erasable(tenant, subject)
    }

    fn erase(&self, tenant: TenantId, subject: &str) -> Result<Erased, StoreError> {
        self.there()?.erase(tenant, subject)
    }

    fn bodies(&self, tenant: TenantId, range: Range<u64>) -> Result<Vec<(u64, u64)>, StoreError> {
        self.there()?.bodies(tenant, range)
    }

    fn erase_bodies(&self, tenant: TenantId, entries: &[u64]) -> Result<u64, StoreError> {
        self.there()?.erase_bodies(tenant, entries)
    }

    fn prune_bodies(&self, tenant: TenantId, before: u64) -> Result<Cut, StoreError> {
        self.there()?.prune_bodies(tenant, before)
    }

    fn prunable(&self, tenant: TenantId, before: u64) -> Result<Range<u64>, StoreError> {
        self.there()?.prunable(tenant, before)
    }

    fn prune_entries(&self, tenant: TenantId, before: u64) -> Result<Cut, StoreError> {
        self.there()?.prune_entries(tenant, before)
    }

    fn backup(&self, path: &Path) -> Result<(), StoreError> {
        self.there()?.backup(path)
    }
}

impl Shared for Link {
    fn node(&self) -> &str {
        self.store.node()
    }

    fn time(&self) -> Result<Timestamp, StoreError> {
        self.there().map(|_| self.life.hours.now())
    }

    fn claim_waiting(&self, limit: u32, except: &[TenantId]) -> Result<Vec<Claim>, StoreError> {
        self.there()?.claim_waiting(limit, &[except, &self.others].concat())
    }

    fn next_end(&self) -> Result<Option<Duration>, StoreError> {
        // Nobody else has anything.
        self.there().map(|_| None)
    }

    fn renew(&self) -> Result<Renewed, StoreError> {
        let renewed = self.there()?.renew()?;
        let at = renewed.at.map(|_| self.life.hours.now());
        Ok(Renewed { at, ..renewed })
    }

    fn release(&self, tenant: TenantId, after: After) -> Result<(), StoreError> {
        self.there()?.release(tenant, after)
    }

    fn wakeups(&self) -> Box<dyn Wakeups> {
        Box::new(Heard(Arc::clone(&self.life)))
    }

    fn post(
        &self,
        tenant: TenantId,
        mail: &Mail,
        key: Option<RequestKey<'_>>,
    ) -> Result<Posted, StoreError> {
        let posted = self.there()?.post(tenant, mail, key)?;
        self.life.called.lock().unwrap().push_back(Wakeup::Tenant(tenant));
        Ok(posted)
    }

    fn mail(
        &self,
        claim: &Claim,
        except: Except<'_>,
    ) -> Result<Vec<Result<Mail, MailId>>, StoreError> {
        self.there()?.mail(claim, except)
    }

    fn remove_mail(&self, claim: &Claim, ids: &[MailId]) -> Result<(), StoreError> {
        self.there()?.remove_mail(claim, ids)
    }

    fn refuse_mail(&self, claim: &Claim, id: MailId, why: &str) -> Result<(), StoreError> {
        self.there()?.refuse_mail(claim, id, why)
    }

    fn delivery(&self, tenant: TenantId, id: MailId) -> Result<Option<Delivery>, StoreError> {
        self.there()?.delivery(tenant, id)
    }

    fn park(&self, claim: &Claim, parked: &[Parked]) -> Result<(), StoreError> {
        self.there()?.park(claim, parked)
    }

    fn unpark(
        &self,
        claim: &Claim,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<RunId>, StoreError> {
        self.there()?.unpark(claim, until, limit)
    }

    fn next_wake(&self, tenant: TenantId) -> Result<Option<Timestamp>, StoreError> {
        self.there()?.next_wake(tenant)
    }

    fn awake(&self, tenant: TenantId) -> Result<Vec<RunId>, StoreError> {
        self.there()?.awake(tenant)
    }
}

/// What this life hears of calls.
struct Heard(Arc<Life>);

impl Wakeups for Heard {
    fn next(&mut self, _: Duration) -> Result<Wakeup, StoreError> {
        Ok(self.0.called.lock().unwrap().pop_front().unwrap_or(Wakeup::Nothing))
    }
}
