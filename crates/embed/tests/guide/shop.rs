//! The shop of the examples: its canon, its people, and a folder of its own for each example.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cog_embed::{
    Actor, AnyEffect, Cleared, Effect as _, Embedded, Files, Micros, Performed, SystemEntropy,
    Tenant, Value,
};
use cog_store::StoreError;
use cog_store_sqlite::{Mode, SqliteStore};

/// What an example gives.
pub(crate) type Done = Result<(), Box<dyn Error>>;

/// Longer than anything here may take.
pub(crate) const WAIT: Duration = Duration::from_secs(60);

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// A folder that goes with its example.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("shop-{}-{number}", std::process::id());
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    /// The store in it.
    pub(crate) fn store(&self) -> Result<Arc<SqliteStore>, StoreError> {
        let entropy = Box::new(SystemEntropy::new());
        Ok(Arc::new(SqliteStore::open(&self.0, Mode::ReadWrite, entropy)?))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is found under its name and does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The engine of the shop.
pub(crate) struct Shop {
    pub(crate) tenant: Tenant,
    pub(crate) ada: Actor,
    pub(crate) cfo: Actor,
    pub(crate) engine: Embedded,
    pub(crate) folder: Folder,
}

/// The canon of the shop: its clerk may write and delete in `out`.
pub(crate) fn canon() -> Files {
    let files = [
        ("canon.toml", include_str!("canon/canon.toml")),
        ("schema.cedarschema", include_str!("canon/schema.cedarschema")),
        ("policies/shop.cedar", include_str!("canon/policies/shop.cedar")),
        ("facts/people.json", include_str!("canon/facts/people.json")),
    ];
    files.map(|(path, text)| (path.to_owned(), text.to_owned())).into()
}

/// Everything that is permitted is done at once, and does nothing.
pub(crate) fn perform(cleared: Cleared<AnyEffect>) -> Performed<AnyEffect> {
    let path = cleared.effect().args().get("path").cloned().unwrap_or(Value::Null);
    cleared.done(Value::map([("path", path), ("bytes", 1_u64.into())]), Micros::ZERO)
}

/// The tenant of an engine, under the canon of the shop, and who begins runs.
pub(crate) fn founded(engine: &Embedded) -> Result<(Tenant, Actor), Box<dyn Error>> {
    let tenant = engine.own()?;
    tenant.found(&canon(), "development", &"user:cfo".parse()?)?;
    Ok((tenant, "user:ada".parse()?))
}

pub(crate) fn shop() -> Result<Shop, Box<dyn Error>> {
    let folder = Folder::new();
    let engine = Embedded::open(folder.store()?, perform)?;
    let (tenant, ada) = founded(&engine)?;
    Ok(Shop { tenant, ada, cfo: "user:cfo".parse()?, engine, folder })
}
