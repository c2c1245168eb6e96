//! A shelf and a key ring that forget everything when the program ends: for simulation,
//! tests and for embedding where somebody else keeps the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cog_base::Digest;
use cog_base::entropy::Entropy;
use cog_base::id::TenantId;

use crate::body::SealedBody;
use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::keys::{KeyRing, SignError, Signer, SigningKey};
use crate::shelf::{SealedBatch, SealedEntry, Shelf, ShelfError, Tail};

/// A log kept in memory.
#[derive(Debug, Clone, Default)]
pub struct KeptLog {
    /// Its entries and their bodies.
    pub entries: Vec<SealedEntry>,
    /// Subtree roots by level and index.
    pub nodes: BTreeMap<(u8, u64), Digest>,
    /// Every signed head, one for each batch.
    pub checkpoints: Vec<Checkpoint>,
    tail: Option<Tail>,
}

impl KeptLog {
    /// The entries alone.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.iter().map(|sealed| &sealed.entry)
    }

    /// The bodies that are still there, with the sequence number of their entry.
    pub fn bodies(&self) -> impl Iterator<Item = (u64, &SealedBody)> {
        self.entries.iter().filter_map(|sealed| {
            let body = sealed.body.as_ref()?;
            Some((sealed.entry.seq(), body))
        })
    }
}

/// Keeps logs in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryShelf {
    logs: BTreeMap<TenantId, KeptLog>,
}

impl MemoryShelf {
    /// The log of a tenant.
    #[must_use]
    pub fn log(&self, tenant: TenantId) -> Option<&KeptLog> {
        self.logs.get(&tenant)
    }
}

impl Shelf for MemoryShelf {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        for batch in batches {
            let size = self.logs.get(&batch.tenant).map_or(0, |log| log.entries.len() as u64);
            if batch.first != size {
                return Err(ShelfError::lasting(format!(
                    "a batch begins at {} where the log of {} has {size} entries",
                    batch.first, batch.tenant
                )));
            }
        }
        for batch in batches {
            let Some(last) = batch.entries.last() else { continue };
            let log = self.logs.entry(batch.tenant).or_default();
            log.tail = Some(Tail {
                frontier: batch.frontier.clone(),
                last_leaf: last.entry.leaf(),
                last_at: last.entry.at(),
                checkpoint: batch.checkpoint.clone(),
            });
            log.entries.extend(batch.entries.iter().cloned());
            log.nodes.extend(batch.nodes.iter().map(|node| ((node.level, node.index), node.hash)));
            log.checkpoints.push(batch.checkpoint.clone());
        }
        Ok(())
    }

    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        Ok(self.logs.get(&tenant).and_then(|log| log.tail.clone()))
    }
}

/// Keeps signing keys in memory. Clones share them, so that they outlive a writer.
#[derive(Debug, Clone, Default)]
pub struct MemoryKeys(Arc<Mutex<BTreeMap<(TenantId, u32), SigningKey>>>);

impl KeyRing for MemoryKeys {
    fn create(
        &mut self,
        tenant: TenantId,
        name: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<Box<dyn Signer>, SignError> {
        let key = SigningKey::new(name, entropy)?;
        let mut keys = self.0.lock().map_err(|_| SignError::Store("the ring broke".into()))?;
        keys.insert((tenant, key.public().id()), key.clone());
        Ok(Box::new(key))
    }

    fn open(
        &mut self,
        tenant: TenantId,
        name: &str,
        id: u32,
    ) -> Result<Box<dyn Signer>, SignError> {
        let keys = self.0.lock().map_err(|_| SignError::Store("the ring broke".into()))?;
        let key = keys.get(&(tenant, id)).filter(|key| key.public().name() == name);
        let no_key = || SignError::NoKey { tenant, name: name.to_owned(), id };
        Ok(Box::new(key.ok_or_else(no_key)?.clone()))
    }
}
