//! The place of the one writer of this node, and the signing keys.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cog_base::entropy::Entropy;
use cog_base::id::TenantId;
use cog_ledger::keys::SigningKey;
use cog_ledger::{KeyRing, SealedBatch, Shelf, ShelfError, SignError, Signer, Tail};
use cog_store::vault::SIGNING_KEY;
use cog_store::{StoreError, TenantTx as _};
use tokio_postgres::types::ToSql;

use crate::Inner;
use crate::id::Id;
use crate::reading::Scope;

/// Once more after the answer was lost, it is the same key.
const KEEP_KEY: &str = "INSERT INTO signing_key (tenant, name, id, sealed)
    VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
const READ_KEY: &str = "SELECT sealed FROM signing_key
    WHERE tenant = $1 AND name = $2 AND id = $3";

pub(crate) fn take(inner: &Arc<Inner>) -> Result<Box<dyn Shelf + Send>, StoreError> {
    if inner.has_writer.swap(true, Ordering::AcqRel) {
        return Err(StoreError::WriterTaken);
    }
    Ok(Box::new(OneShelf(Arc::clone(inner))))
}

/// The one shelf of a store; it gives its place back when dropped.
struct OneShelf(Arc<Inner>);

impl Drop for OneShelf {
    fn drop(&mut self) {
        self.0.has_writer.store(false, Ordering::Release);
    }
}

impl Shelf for OneShelf {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        Ok(self.0.writing().commit(&self.0, batches)?)
    }

    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        // Claimed first, so that what is read cannot change before it is written on.
        if self.0.claims_itself {
            self.0.claim_missing(&[tenant])?;
        }
        let tail = Scope::open(&self.0, tenant)?.tail()?;
        self.0.writing().fresh.remove(&tenant);
        Ok(tail)
    }
}

/// Signing keys, sealed by the master key, in the database.
pub(crate) struct Keys(pub(crate) Arc<Inner>);

impl KeyRing for Keys {
    fn create(
        &mut self,
        tenant: TenantId,
        name: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<Box<dyn Signer>, SignError> {
        let key = SigningKey::new(name, entropy)?;
        let seed = key.expose_seed();
        let sealed = self.0.vault.wrap(tenant, SIGNING_KEY, &seed, self.0.writing().entropy())?;
        let number = i64::from(key.public().id());
        let values: &[&(dyn ToSql + Sync)] = &[&Id::from(tenant), &name, &number, &sealed];
        self.0
            .pool
            .change("keep a signing key", tenant, |link| Ok(link.query(KEEP_KEY, values)?))
            .map_err(store)?;
        Ok(Box::new(key))
    }

    fn open(
        &mut self,
        tenant: TenantId,
        name: &str,
        id: u32,
    ) -> Result<Box<dyn Signer>, SignError> {
        let number = i64::from(id);
        let values: &[&(dyn ToSql + Sync)] = &[&Id::from(tenant), &name, &number];
        let read = |link: &mut crate::link::Link| Ok(link.query(READ_KEY, values)?);
        let rows = self.0.pool.write("read a signing key", tenant, read).map_err(store)?;
        let no_key = || SignError::NoKey { tenant, name: name.to_owned(), id };
        let row = rows.first().ok_or_else(no_key)?;
        let seed = self.0.vault.unwrap(tenant, SIGNING_KEY, row.get(0)).map_err(store)?;
        Ok(Box::new(SigningKey::from_seed(name, &seed)?))
    }
}

fn store(error: StoreError) -> SignError {
    SignError::Store(Box::new(error))
}
