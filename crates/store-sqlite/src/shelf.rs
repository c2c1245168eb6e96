//! The place of the one writer, and the signing keys.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cog_base::entropy::Entropy;
use cog_base::id::TenantId;
use cog_ledger::keys::SigningKey;
use cog_ledger::{KeyRing, SealedBatch, Shelf, ShelfError, SignError, Signer, Tail};
use cog_store::vault::SIGNING_KEY;
use cog_store::{StoreError, TenantTx as _};
use rusqlite::{OptionalExtension as _, params};

use crate::Inner;
use crate::error::failed;
use crate::reading::Scope;
use crate::writing::begin;

pub(crate) fn take(inner: &Arc<Inner>) -> Result<Box<dyn Shelf + Send>, StoreError> {
    drop(inner.writing()?);
    if inner.has_writer.swap(true, Ordering::AcqRel) {
        return Err(StoreError::WriterTaken);
    }
    Ok(Box::new(OneShelf(Arc::clone(inner))))
}

pub(crate) fn keys(inner: &Arc<Inner>) -> Result<Box<dyn KeyRing>, StoreError> {
    drop(inner.writing()?);
    Ok(Box::new(Keys(Arc::clone(inner))))
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
        Ok(self.0.writing()?.commit(batches)?)
    }

    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        Ok(Scope::open(&self.0, tenant)?.tail()?)
    }
}

/// Signing keys, sealed by the master key, in the database.
struct Keys(Arc<Inner>);

impl KeyRing for Keys {
    fn create(
        &mut self,
        tenant: TenantId,
        name: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<Box<dyn Signer>, SignError> {
        let key = SigningKey::new(name, entropy)?;
        let mut writing = self.0.writing().map_err(store)?;
        let writing = &mut *writing;
        writing.is_touched = true;
        let seed = key.expose_seed();
        let sealed = writing.vault.wrap(tenant, SIGNING_KEY, &seed, &mut writing.entropy)?;
        let row = params![tenant.uuid().as_u128().to_be_bytes(), name, key.public().id(), sealed];
        let tx = begin(&writing.db).map_err(store)?;
        tx.execute(
            "INSERT INTO signing_key (tenant, name, id, sealed) VALUES (?1, ?2, ?3, ?4)",
            row,
        )
        .and_then(|_| tx.commit())
        .map_err(|error| store(failed("keep a signing key", error)))?;
        Ok(Box::new(key))
    }

    fn open(
        &mut self,
        tenant: TenantId,
        name: &str,
        id: u32,
    ) -> Result<Box<dyn Signer>, SignError> {
        let writing = self.0.writing().map_err(store)?;
        let row = params![tenant.uuid().as_u128().to_be_bytes(), name, id];
        let sealed: Option<Vec<u8>> = writing
            .db
            .prepare_cached(
                "SELECT sealed FROM signing_key WHERE tenant = ?1 AND name = ?2 AND id = ?3",
            )
            .and_then(|mut read| read.query_row(row, |row| row.get(0)).optional())
            .map_err(|error| store(failed("read a signing key", error)))?;
        let no_key = || SignError::NoKey { tenant, name: name.to_owned(), id };
        let sealed = sealed.ok_or_else(no_key)?;
        let seed = writing.vault.unwrap(tenant, SIGNING_KEY, &sealed).map_err(store)?;
        Ok(Box::new(SigningKey::from_seed(name, &seed)?))
    }
}

fn store(error: StoreError) -> SignError {
    SignError::Store(Box::new(error))
}
