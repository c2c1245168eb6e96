//! A store that forgets everything when the program ends: for simulation and tests, and the
//! measure that every other store is held against.

mod cursors;
mod log;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cog_base::Digest;
use cog_base::entropy::Entropy;
use cog_base::id::TenantId;
use cog_ledger::memory::MemoryKeys;
use cog_ledger::{KeyRing, SealedBatch, Shelf, ShelfError, SignError, Signer, Tail};

use crate::{Cut, Erasable, Erased, Files, Keep, Store, StoreError, TenantTx};
use log::{Log, Scope};

const SUBJECT_CONTEXT: &str = "cognitionos/memory-subject/v1";

/// Keeps logs in memory. Clones share one store.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    logs: BTreeMap<TenantId, Arc<Log>>,
    keys: MemoryKeys,
    cursors: cursors::Kept,
    /// The last fence that was given.
    fence: u64,
    has_writer: bool,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, tenant: TenantId, change: impl FnOnce(&mut Log) -> T) -> T {
        change(Arc::make_mut(self.state().logs.entry(tenant).or_default()))
    }
}

impl Store for MemoryStore {
    fn shelf(&self) -> Result<Box<dyn Shelf + Send>, StoreError> {
        let mut state = self.state();
        if std::mem::replace(&mut state.has_writer, true) {
            return Err(StoreError::WriterTaken);
        }
        Ok(Box::new(OneShelf(self.clone())))
    }

    fn signing_keys(&self) -> Result<Box<dyn KeyRing>, StoreError> {
        Ok(Box::new(Keys(self.clone())))
    }

    fn scope(&self, tenant: TenantId) -> Result<Box<dyn TenantTx + '_>, StoreError> {
        let log = self.state().logs.get(&tenant).cloned().unwrap_or_default();
        Ok(Box::new(Scope { tenant, log }))
    }

    fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let state = self.state();
        let begun = state.logs.iter().filter(|(_, log)| log.size() > 0);
        Ok(begun.map(|(tenant, _)| *tenant).collect())
    }
}

impl Keep for MemoryStore {
    fn put_canon(&self, tenant: TenantId, digest: Digest, files: &Files) -> Result<(), StoreError> {
        self.change(tenant, |log| log.canons.insert(digest, files.clone()));
        Ok(())
    }

    fn erasable(&self, tenant: TenantId, subject: &str) -> Result<Erasable, StoreError> {
        let entries =
            self.state().logs.get(&tenant).map_or_else(Vec::new, |log| log.about(subject));
        let subject = Digest::in_context(SUBJECT_CONTEXT, subject.as_bytes());
        Ok(Erasable { subject, entries })
    }

    fn erase(&self, tenant: TenantId, subject: &str) -> Result<Erased, StoreError> {
        let bodies = self.change(tenant, |log| log.erase(subject));
        Ok(Erased { subject: Digest::in_context(SUBJECT_CONTEXT, subject.as_bytes()), bodies })
    }

    fn bodies(&self, tenant: TenantId, range: Range<u64>) -> Result<Vec<(u64, u64)>, StoreError> {
        Ok(self.state().logs.get(&tenant).map_or_else(Vec::new, |log| log.kept(range)))
    }

    fn erase_bodies(&self, tenant: TenantId, entries: &[u64]) -> Result<u64, StoreError> {
        Ok(self.change(tenant, |log| log.erase_bodies(entries)))
    }

    fn prune_bodies(&self, tenant: TenantId, before: u64) -> Result<Cut, StoreError> {
        Ok(self.change(tenant, |log| log.prune_bodies(before)))
    }

    fn prunable(&self, tenant: TenantId, before: u64) -> Result<Range<u64>, StoreError> {
        Ok(self.state().logs.get(&tenant).map_or(0..0, |log| log.prunable(before)))
    }

    fn prune_entries(&self, tenant: TenantId, before: u64) -> Result<Cut, StoreError> {
        Ok(self.change(tenant, |log| log.prune_entries(before)))
    }

    fn backup(&self, path: &Path) -> Result<(), StoreError> {
        let source = "a store in memory has nowhere to write to";
        Err(StoreError::io(format!("back up to `{}`", path.display()), source))
    }
}

/// The one shelf of a store; it gives its place back when dropped.
struct OneShelf(MemoryStore);

impl Drop for OneShelf {
    fn drop(&mut self) {
        self.0.state().has_writer = false;
    }
}

impl Shelf for OneShelf {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        let mut state = self.0.state();
        let mut sizes = BTreeMap::new();
        for batch in batches {
            let kept = state.logs.get(&batch.tenant).map_or(0, |log| log.size());
            let size = sizes.entry(batch.tenant).or_insert(kept);
            if batch.first != *size {
                let (tenant, first, size) = (batch.tenant, batch.first, *size);
                return Err(StoreError::HeadMoved { tenant, first, size }.into());
            }
            *size += batch.entries.len() as u64;
        }
        for batch in batches {
            Arc::make_mut(state.logs.entry(batch.tenant).or_default()).add(batch);
        }
        Ok(())
    }

    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        Ok(self.0.state().logs.get(&tenant).and_then(|log| log.tail.clone()))
    }
}

struct Keys(MemoryStore);

impl KeyRing for Keys {
    fn create(
        &mut self,
        tenant: TenantId,
        name: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<Box<dyn Signer>, SignError> {
        self.0.state().keys.create(tenant, name, entropy)
    }

    fn open(
        &mut self,
        tenant: TenantId,
        name: &str,
        id: u32,
    ) -> Result<Box<dyn Signer>, SignError> {
        self.0.state().keys.open(tenant, name, id)
    }
}
