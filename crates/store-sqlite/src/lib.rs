//! The embedded store: one folder with one SQLite database, and the keys beside it.
//!
//! | file | what it is |
//! | --- | --- |
//! | `ledger.db`, `-wal`, `-shm` | logs, bodies (sealed), canons, runs |
//! | `keys/master.key` | seals every other key; only its owner may read it |
//! | `keys/high-water` | how long each log is known to have been |
//! | `lock` | who writes here |
//!
//! One connection writes, in whole commits that are synced before they are answered; any
//! number read, each an unchanging state. See ARCHITECTURE.md, "The embedded store".

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the home of the database, of its folder and of the key files in it"
)]

mod beside;
mod binding;
mod check;
mod connect;
mod cursors;
mod entries;
mod error;
mod folder;
mod keep;
mod log;
mod mailing;
mod marks;
mod opening;
mod owning;
mod parking;
mod place;
mod reading;
mod runs;
mod schema;
mod shared;
mod shelf;
mod wal;
mod writing;

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};

use cog_base::Entropy;
use cog_base::id::{TenantId, Uuid};
use cog_ledger::audit::Findings;
use cog_ledger::{KeyRing, Shelf};
use cog_store::{Store, StoreError, TenantTx};

pub use crate::check::Tables;

use crate::error::failed;
use crate::folder::{Folder, Lock};
use crate::log::Vault;
use crate::owning::Bell;
use crate::reading::{Checked, Readers, Scope};
use crate::writing::Writing;

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Reading and writing; by one process at a time. What is missing is made.
    ReadWrite,
    /// Reading; also while another process writes.
    ReadOnly,
}

/// A log that was found shorter than it had been, or of which nobody knows how long it had been,
/// and was accepted so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// Whose log.
    pub tenant: TenantId,
    /// How many entries are known to have been committed; nothing when its mark is gone.
    pub was: Option<u64>,
    /// How many there are.
    pub now: u64,
}

/// The store in one folder. Clones share it.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    folder: Folder,
    vault: Arc<Vault>,
    readers: Readers,
    checked: Checked,
    writing: Option<Mutex<Writing>>,
    has_writer: AtomicBool,
    bell: Bell,
    /// Given back last of all.
    _lock: Option<Lock>,
}

impl SqliteStore {
    /// Open the store in `folder`. `entropy` gives keys and nonces: the system's, except in
    /// simulation.
    ///
    /// # Errors
    /// [`StoreError`] says what is in the way: another process, permissions of the keys, a
    /// missing master key, a database that went back in time, damage.
    pub fn open(folder: &Path, mode: Mode, entropy: Box<dyn Entropy>) -> Result<Self, StoreError> {
        let folder = Folder::new(folder);
        let inner = match mode {
            Mode::ReadWrite => opening::for_writing(folder, entropy)?,
            Mode::ReadOnly => opening::for_reading(folder)?,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Open the store in `folder` for reading although logs are shorter than they had been or
    /// have no mark, and say which: to see whether what was put back is whole before it is accepted.
    ///
    /// # Errors
    /// [`StoreError`] as [`SqliteStore::open`].
    pub fn look_behind(folder: &Path) -> Result<(Self, Vec<Restored>), StoreError> {
        let (inner, behind) = opening::for_looking(Folder::new(folder))?;
        Ok((Self { inner: Arc::new(inner) }, behind))
    }

    /// The tables and indexes that are missing, or are not made as they were. It costs little.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn check_schema(&self) -> Result<Findings, StoreError> {
        check::schema(self)
    }

    /// Accept that logs in `folder` are shorter than they had been or have no mark, because an old
    /// backup was restored on purpose, so that it can be opened again. Returns which; the caller
    /// tells the user and records it.
    ///
    /// # Errors
    /// [`StoreError`] as [`SqliteStore::open`].
    pub fn accept_restore(folder: &Path) -> Result<Vec<Restored>, StoreError> {
        opening::accept_restore(&Folder::new(folder))
    }

    /// Check the whole database page by page, which takes as long as reading it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] names the first damage.
    pub fn check_pages(&self) -> Result<(), StoreError> {
        let db = self.inner.readers.take(&self.inner.folder)?;
        let found: String = db
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(|error| failed("check the database", error))?;
        self.inner.readers.give(db);
        if found == "ok" { Ok(()) } else { Err(StoreError::corrupt(found)) }
    }

    /// Let the database grow to so many bytes and no further: beyond, writing fails as on a
    /// full disk. What it has already stays. Lasts until the store is closed.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    pub fn limit_bytes(&self, bytes: u64) -> Result<(), StoreError> {
        let cannot = |error| failed("limit the database", error);
        let writing = self.inner.writing()?;
        let page: u64 =
            writing.db.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(cannot)?;
        let pages = i64::try_from(bytes.div_ceil(page)).unwrap_or(i64::MAX);
        writing
            .db
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .map_err(cannot)
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }
}

impl Store for SqliteStore {
    fn shelf(&self) -> Result<Box<dyn Shelf + Send>, StoreError> {
        shelf::take(&self.inner)
    }

    fn signing_keys(&self) -> Result<Box<dyn KeyRing>, StoreError> {
        shelf::keys(&self.inner)
    }

    fn scope(&self, tenant: TenantId) -> Result<Box<dyn TenantTx + '_>, StoreError> {
        Ok(Box::new(Scope::open(&self.inner, tenant)?))
    }

    fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let db = self.inner.readers.take(&self.inner.folder)?;
        let tenants = tenants(&db)?;
        self.inner.readers.give(db);
        Ok(tenants.into_iter().map(|(tenant, _)| tenant).collect())
    }
}

impl Inner {
    /// The connection that writes, for as long as it is held.
    pub(crate) fn writing(&self) -> Result<MutexGuard<'_, Writing>, StoreError> {
        let writing = self.writing.as_ref().ok_or(StoreError::ReadOnly)?;
        // A panic in the middle of a write leaves a transaction that is rolled back, and
        // what is remembered is read again.
        Ok(writing.lock().unwrap_or_else(|poisoned| {
            let mut writing = poisoned.into_inner();
            writing.forget();
            writing
        }))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Ok(mut writing) = self.writing() else { return };
        writing.checkpointer = None;
        if writing.is_touched {
            wal::close(&writing.db);
            // The marks are a safeguard: a store that cannot sync them is closed all the same.
            let _ = writing.marks.sync();
        }
    }
}

/// Every tenant with the size of its log, in order.
pub(crate) fn tenants(db: &rusqlite::Connection) -> Result<Vec<(TenantId, u64)>, StoreError> {
    let cannot = |error| failed("read which logs there are", error);
    let mut read = db
        .prepare_cached("SELECT tenant, size FROM log WHERE size > 0 ORDER BY tenant")
        .map_err(cannot)?;
    let rows = read
        .query_map([], |row| {
            let tenant = Uuid::from_u128(u128::from_be_bytes(row.get(0)?));
            Ok((TenantId::from_uuid(tenant), row.get(1)?))
        })
        .map_err(cannot)?;
    rows.collect::<Result<_, _>>().map_err(cannot)
}
