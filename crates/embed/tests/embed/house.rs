//! A house with a store of its own, in a folder or in a database, and an engine over it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cog_base::Clock as _;
use cog_base::cipher::Key;
use cog_embed::{
    Actor, AnyEffect, Cleared, Effect as _, Effects, Embedded, Files, Micros, Performed,
    SystemClock, SystemEntropy, Tenant, TenantId, Value,
};
use cog_services::postgres::{APPLICATION, Database, OWNER};
use cog_store::Shared;
use cog_store_postgres::{MIGRATION_LATEST, Options, PostgresStore, migrate};
use cog_store_sqlite::{Mode, SqliteStore};

/// Longer than anything here may take.
pub(crate) const WAIT: Duration = Duration::from_secs(60);

static NUMBER: AtomicU64 = AtomicU64::new(1);

enum Place {
    Database(Database),
    Folder(PathBuf),
}

pub(crate) struct House {
    place: Place,
    id: TenantId,
}

impl Drop for House {
    fn drop(&mut self) {
        if let Place::Folder(folder) = &self.place {
            // What cannot be removed is found under its name and does no harm.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

impl House {
    pub(crate) fn in_a_database() -> Self {
        let database = Database::new().unwrap();
        migrate(&database.url(OWNER), APPLICATION, MIGRATION_LATEST).unwrap();
        Self::of(Place::Database(database))
    }

    pub(crate) fn in_a_folder() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("house-{}-{number}", std::process::id());
        Self::of(Place::Folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)))
    }

    fn of(place: Place) -> Self {
        let id = TenantId::new(SystemClock.now(), &mut SystemEntropy::new()).unwrap();
        Self { place, id }
    }

    pub(crate) fn store(&self) -> Arc<dyn Shared> {
        let entropy = Box::new(SystemEntropy::new());
        match &self.place {
            Place::Folder(folder) => {
                Arc::new(SqliteStore::open(folder, Mode::ReadWrite, entropy).unwrap())
            }
            Place::Database(database) => {
                let (url, master) = (database.url(APPLICATION), Key::from_bytes([7; 32]));
                let mut options = Options::new(&url, "house", master);
                (options.claims_itself, options.lease) = (false, Duration::from_secs(2));
                Arc::new(PostgresStore::open(options, entropy).unwrap())
            }
        }
    }

    /// An engine over the store, and the tenant under the canon of the shop.
    pub(crate) fn open(&self, effects: impl Effects) -> (Embedded, Tenant) {
        let engine = Embedded::open(self.store(), effects).unwrap();
        let tenant = engine.tenant(self.id);
        tenant.found(&canon(), "development", &actor("user:cfo")).unwrap();
        (engine, tenant)
    }
}

pub(crate) fn actor(text: &str) -> Actor {
    text.parse().unwrap()
}

fn canon() -> Files {
    let files = [
        ("canon.toml", include_str!("../guide/canon/canon.toml")),
        ("schema.cedarschema", include_str!("../guide/canon/schema.cedarschema")),
        ("policies/shop.cedar", include_str!("../guide/canon/policies/shop.cedar")),
        ("facts/people.json", include_str!("../guide/canon/facts/people.json")),
    ];
    files.map(|(path, text)| (path.to_owned(), text.to_owned())).into()
}

/// Everything that is permitted is done at once, and does nothing.
pub(crate) fn perform(cleared: Cleared<AnyEffect>) -> Performed<AnyEffect> {
    let path = cleared.effect().args().get("path").cloned().unwrap_or(Value::Null);
    cleared.done(Value::map([("path", path), ("bytes", 1_u64.into())]), Micros::ZERO)
}

/// A workflow of the shop with these steps.
pub(crate) fn workflow(steps: &str) -> String {
    format!(
        "name: some\ndomain: shop\nroots: {{ out: {{ path: out, access: write }} }}\nsteps:\n{steps}"
    )
}

pub(crate) const WRITE: &str = "  - { id: write, as: 'agent:clerk', uses: file.write, \
    with: { root: out, path: a.txt, text: a } }\n";
pub(crate) const HEAR: &str = "  - { id: hear, wait_for: { signal: go } }\n";
