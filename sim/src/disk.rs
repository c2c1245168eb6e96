//! A disk that keeps what was committed, and sometimes fails before or after.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cog_base::entropy::{Entropy, SeededEntropy};
use cog_base::id::TenantId;
use cog_ledger::keys::{KeyRing, SignError, Signer};
use cog_ledger::memory::{KeptLog, MemoryKeys, MemoryShelf};
use cog_ledger::{Kind, SealedBatch, Shelf, ShelfError, Tail};

/// What survives a crash: the log and the keys.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    shelf: MemoryShelf,
    keys: MemoryKeys,
    rate: u64,
    dice: Option<SeededEntropy>,
    faults: u64,
}

/// The side of the disk that the writer sees.
pub(crate) struct DiskShelf(pub(crate) Disk);

/// The keys on the disk.
pub(crate) struct DiskKeys(pub(crate) Disk);

impl Disk {
    /// A disk that fails once in `rate` commits.
    pub(crate) fn new(seed: u64, rate: u64) -> Self {
        let inner = Inner { rate, dice: Some(SeededEntropy::new(seed)), ..Inner::default() };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self, tenant: TenantId) -> Option<KeptLog> {
        self.lock().shelf.log(tenant).cloned()
    }

    /// Whether a receipt is durable.
    pub(crate) fn holds(&self, tenant: TenantId, receipt: &str) -> bool {
        self.lock().shelf.log(tenant).is_some_and(|log| {
            let mut newest_first = log.entries.iter().rev();
            newest_first.any(|sealed| {
                sealed.entry.kind() == Kind::Receipt && sealed.entry.id() == Some(receipt)
            })
        })
    }

    pub(crate) fn faults(&self) -> u64 {
        self.lock().faults
    }

    /// From here on it fails once in `rate` commits.
    pub(crate) fn fail_again(&self, rate: u64) {
        self.lock().rate = rate;
    }

    /// From here on it does not fail any more.
    pub(crate) fn heal(&self) {
        self.lock().rate = 0;
    }
}

impl Inner {
    fn roll(&mut self) -> u64 {
        let rate = self.rate;
        match self.dice.as_mut() {
            Some(dice) if rate > 0 => dice.below(rate * 2),
            _ => u64::MAX,
        }
    }
}

impl Shelf for DiskShelf {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        let mut inner = self.0.lock();
        let roll = inner.roll();
        if roll == 0 {
            inner.faults += 1;
            return Err(ShelfError::lasting("no space left on the simulated disk"));
        }
        inner.shelf.commit(batches)?;
        if roll == 1 {
            inner.faults += 1;
            return Err(ShelfError::lasting("kept, but the answer was lost"));
        }
        Ok(())
    }

    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        self.0.lock().shelf.tail(tenant)
    }
}

impl KeyRing for DiskKeys {
    fn create(
        &mut self,
        tenant: TenantId,
        origin: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<Box<dyn Signer>, SignError> {
        self.0.lock().keys.create(tenant, origin, entropy)
    }

    fn open(
        &mut self,
        tenant: TenantId,
        origin: &str,
        id: u32,
    ) -> Result<Box<dyn Signer>, SignError> {
        self.0.lock().keys.open(tenant, origin, id)
    }
}
