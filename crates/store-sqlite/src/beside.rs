//! What the store keeps beside the ledger: transactions and looks of their own.

use cog_base::id::TenantId;
use cog_store::StoreError;
use rusqlite::{Connection, Transaction};

use crate::error::failed;
use crate::writing::begin;
use crate::{SqliteStore, schema};

/// An id of a tenant as the database keeps it.
pub(crate) fn bytes(tenant: TenantId) -> [u8; 16] {
    tenant.uuid().as_u128().to_be_bytes()
}

/// What ended a piece of work early.
pub(crate) enum Stop {
    Database(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Stop {
    fn told(self, doing: &str) -> StoreError {
        match self {
            Self::Database(error) => failed(doing, error),
            Self::Store(error) => error,
        }
    }
}

impl SqliteStore {
    /// One transaction beside those of the ledger, synced like them.
    pub(crate) fn write<T>(
        &self,
        doing: &str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Stop>,
    ) -> Result<T, StoreError> {
        let mut writing = self.inner().writing()?;
        writing.is_touched = true;
        let tx = begin(&writing.db)?;
        let done = work(&tx).map_err(|stop| stop.told(doing))?;
        tx.commit().map_err(|error| failed(doing, error))?;
        writing.count_pages();
        Ok(done)
    }

    /// A look at the database as it is now. Where the tables that came with format `since` are not
    /// made yet there is nothing to see.
    pub(crate) fn read<T: Default, E: Into<Stop>>(
        &self,
        (doing, since): (&str, i64),
        look: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let db = self.inner().readers.take(&self.inner().folder)?;
        let seen = if schema::format(&db)? >= since {
            look(&db).map_err(|stop| stop.into().told(doing))?
        } else {
            T::default()
        };
        self.inner().readers.give(db);
        Ok(seen)
    }
}
