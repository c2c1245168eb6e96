//! What every finished run of a journey must stand, whatever the journey is about: it is rebuilt
//! from what the program left behind and compared, event by event, and its decisions are made again.

use std::path::{Path, PathBuf};

use cog_base::cipher::Key;
use cog_base::entropy::SeededEntropy;
use cog_finished::{Leases, Rules};
use cog_store::StoreError;
use cog_store_postgres::{Options, PostgresStore};
use cog_store_sqlite::{Mode, SqliteStore};

/// Compare what is finished in each data folder below this one.
pub(crate) fn compare(folder: &Path) -> Result<(), String> {
    for data in stores(folder) {
        let told = |why: String| format!("{}: {why}", data.display());
        let store = match SqliteStore::open(&data, Mode::ReadOnly, entropy()) {
            Ok(store) => store,
            // A program that was killed had not made its ledger yet.
            Err(StoreError::Missing { .. }) => continue,
            Err(error) => return Err(told(error.to_string())),
        };
        cog_finished::compare(&store, Rules::EMBEDDED).map_err(told)?;
    }
    Ok(())
}

/// Compare what is finished in a database of nodes.
pub(crate) fn compare_shared(url: &str, key: &Path) -> Result<(), String> {
    let key = std::fs::read(key).map_err(|error| format!("{}: {error}", key.display()))?;
    let key = key.try_into().map_err(|_| "that is no master key".to_owned())?;
    let options = Options::new(url, "comparing", Key::from_bytes(key));
    let options = Options { claims_itself: false, ..options };
    let store = PostgresStore::open(options, entropy()).map_err(|error| error.to_string())?;
    // Each run has a folder of its own here, which all call the same.
    cog_finished::compare(&store, Rules { leases: Leases::WithinRuns, ..Rules::STRICT })
}

/// The folders with a ledger, at any depth.
fn stores(folder: &Path) -> Vec<PathBuf> {
    let (mut stores, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        if folder.join("ledger.db").is_file() {
            stores.push(folder);
            continue;
        }
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    stores
}

/// Nothing is written, so that nothing is drawn.
fn entropy() -> Box<SeededEntropy> {
    Box::new(SeededEntropy::new(0))
}
