//! A folder for one test.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cog_base::entropy::SeededEntropy;
use cog_conformance::Place;
use cog_store::Keep;
use cog_store_sqlite::{Mode, SqliteStore};

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A new, empty folder that goes with the value.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("cog-store-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The store in it, for writing.
    pub(crate) fn store(&self) -> SqliteStore {
        self.try_open(Mode::ReadWrite).unwrap()
    }

    pub(crate) fn try_open(&self, mode: Mode) -> Result<SqliteStore, cog_store::StoreError> {
        SqliteStore::open(&self.0.join("data"), mode, Box::new(SeededEntropy::new(5)))
    }
}

impl Place for Folder {
    fn open(&self) -> Arc<dyn Keep> {
        Arc::new(self.store())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
