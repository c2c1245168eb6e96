//! Where the store of a test is: a folder of its own, or a database that it shares with tests that
//! are over.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cog_base::cipher::Key;
use cog_base::entropy::{Entropy, SeededEntropy};
use cog_base::id::{TenantId, Uuid};
use cog_services::postgres::{APPLICATION, Database, OWNER};
use cog_store::Shared;
use cog_store_postgres::{MIGRATION_LATEST, Options, PostgresStore, migrate};
use cog_store_sqlite::{Mode, SqliteStore};

/// Claims outlast every test: what a life had is free when it is over.
const LEASE: Duration = Duration::from_secs(600);

static NUMBER: AtomicU64 = AtomicU64::new(1);
/// Databases that tests are done with, each with the tenants that are in it: to make one takes a
/// second.
static USED: Mutex<Vec<Homestead>> = Mutex::new(Vec::new());

struct Homestead {
    place: Place,
    tenants: Vec<TenantId>,
}

enum Place {
    Folder(PathBuf),
    Database(Database),
}

/// A store that is opened by one life after the other.
pub(crate) struct Home {
    stead: Option<Homestead>,
}

impl Home {
    pub(crate) fn folder() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("workflows-{}-{number}", std::process::id());
        let place = Place::Folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        Self { stead: Some(Homestead { place, tenants: Vec::new() }) }
    }

    pub(crate) fn database() -> Self {
        let used = USED.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let make = || {
            let database = Database::new().unwrap();
            migrate(&database.url(OWNER), APPLICATION, MIGRATION_LATEST).unwrap();
            Homestead { place: Place::Database(database), tenants: Vec::new() }
        };
        Self { stead: Some(used.unwrap_or_else(make)) }
    }

    pub(crate) const fn name(&self) -> &'static str {
        if self.is_shared() { "PostgreSQL" } else { "SQLite" }
    }

    /// Whether any number of nodes could share it.
    pub(crate) const fn is_shared(&self) -> bool {
        matches!(&self.stead, Some(Homestead { place: Place::Database(_), .. }))
    }

    /// A new tenant, and those that were here before.
    pub(crate) fn tenant(&mut self) -> (TenantId, Vec<TenantId>) {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let tenant = TenantId::from_uuid(Uuid::from_u128(u128::from(number)));
        let tenants = &mut self.stead.as_mut().unwrap().tenants;
        let others = tenants.clone();
        tenants.push(tenant);
        (tenant, others)
    }

    /// Open it as another process would.
    pub(crate) fn open(&self) -> Arc<dyn Shared> {
        match &self.stead.as_ref().unwrap().place {
            Place::Folder(folder) => {
                Arc::new(SqliteStore::open(folder, Mode::ReadWrite, entropy()).unwrap())
            }
            Place::Database(database) => {
                let (url, key) = (database.url(APPLICATION), Key::from_bytes([7; 32]));
                let mut options = Options::new(&url, "node", key);
                (options.claims_itself, options.lease) = (false, LEASE);
                Arc::new(PostgresStore::open(options, entropy()).unwrap())
            }
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let Some(stead) = self.stead.take() else { return };
        match &stead.place {
            Place::Folder(folder) => {
                let _ = std::fs::remove_dir_all(folder);
            }
            // What a test left behind that failed is nobody's else.
            Place::Database(_) if std::thread::panicking() => {}
            Place::Database(_) => USED.lock().unwrap_or_else(PoisonError::into_inner).push(stead),
        }
    }
}

/// A randomness that is never the same twice in this process.
fn entropy() -> Box<dyn Entropy> {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Box::new(SeededEntropy::new(number << 32 | u64::from(std::process::id())))
}
