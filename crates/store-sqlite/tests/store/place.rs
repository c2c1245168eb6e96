//! A folder for one test.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cog_base::entropy::SeededEntropy;
use cog_conformance::{Place, SharedPlace};
use cog_store::{Keep, Shared, StoreError};
use cog_store_sqlite::{Mode, SqliteStore};

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A new folder that goes with the value. The store is in `data` in it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("store-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A path in the folder of the store.
    pub(crate) fn data(&self, path: &str) -> PathBuf {
        self.0.join("data").join(path)
    }

    /// A path beside it.
    pub(crate) fn beside(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    pub(crate) fn try_open(&self, mode: Mode) -> Result<SqliteStore, StoreError> {
        open(&self.data(""), mode)
    }

    pub(crate) fn store(&self) -> SqliteStore {
        self.try_open(Mode::ReadWrite).unwrap()
    }

    /// The database, for tampering. The store is closed.
    pub(crate) fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.data("ledger.db")).unwrap()
    }
}

/// Opens with a randomness that is never the same twice in this process.
pub(crate) fn open(path: &Path, mode: Mode) -> Result<SqliteStore, StoreError> {
    let seed = NUMBER.fetch_add(1, Ordering::Relaxed) << 32 | u64::from(std::process::id());
    SqliteStore::open(path, mode, Box::new(SeededEntropy::new(seed)))
}

impl Place for Folder {
    fn open(&self) -> Arc<dyn Keep> {
        Arc::new(self.store())
    }
}

impl SharedPlace for Folder {
    fn share(&self) -> Arc<dyn Shared> {
        Arc::new(self.store())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
