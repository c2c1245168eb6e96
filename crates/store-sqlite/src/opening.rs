//! Opening a folder: who may, with which keys, and whether the data are as new as they were.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use cog_base::cipher::Key;
use cog_base::entropy::Entropy;
use cog_store::StoreError;
use cog_store::vault::Drawn;
use rusqlite::Connection;

use crate::error::failed;
use crate::folder::Folder;
use crate::log::Vault;
use crate::marks::{self, Marks};
use crate::owning::{self, Bell};
use crate::reading::{Checked, Readers};
use crate::wal::Checkpointer;
use crate::writing::Writing;
use crate::{Inner, Restored, connect, schema, tenants, wal};

pub(crate) fn for_writing(
    folder: Folder,
    mut entropy: Box<dyn Entropy>,
) -> Result<Inner, StoreError> {
    folder.create()?;
    let lock = folder.lock()?;
    folder.check_permissions()?;
    let master = make_database(&folder, &mut *entropy)?;
    wal::grow(&folder)?;
    let db = connect::for_writing(&folder)?;
    schema::check(&db, &folder.database())?;
    unmodified(&db)?;
    if let Some(log) = shorter(&db, &folder)?.pop() {
        return Err(went_back(&folder, log));
    }
    schema::bring_up(&db)?;
    owning::free_all(&db)?;
    wal::count_pages(&db);
    let vault = Arc::new(Vault::new(master));
    let marks = Marks::open(&folder.high_water())?;
    let checkpointer = Checkpointer::spawn(&folder)?;
    let entropy = Drawn::new(entropy);
    let writing = Writing::new(db, Arc::clone(&vault), entropy, marks, checkpointer);
    Ok(Inner {
        folder,
        vault,
        readers: Readers::default(),
        checked: Checked::default(),
        writing: Some(Mutex::new(writing)),
        has_writer: AtomicBool::new(false),
        bell: Bell::default(),
        _lock: Some(lock),
    })
}

pub(crate) fn for_reading(folder: Folder) -> Result<Inner, StoreError> {
    let (inner, mut behind) = for_looking(folder)?;
    match behind.pop() {
        Some(log) => Err(went_back(&inner.folder, log)),
        None => Ok(inner),
    }
}

fn went_back(folder: &Folder, log: Restored) -> StoreError {
    let Restored { tenant, was, now } = log;
    match was {
        Some(was) => StoreError::RolledBack { tenant, was, now },
        None => StoreError::NoMark { tenant, now, path: folder.high_water() },
    }
}

/// Open for reading, also when logs are shorter than they had been or have no mark: those that
/// are.
pub(crate) fn for_looking(folder: Folder) -> Result<(Inner, Vec<Restored>), StoreError> {
    if !folder.has_database() {
        return Err(StoreError::Missing { folder: folder.path().to_owned() });
    }
    folder.check_permissions()?;
    let master = folder.read_master()?;
    let db = connect::for_reading(&folder).map_err(|error| never_made(&folder, error))?;
    schema::check(&db, &folder.database())?;
    let behind = shorter(&db, &folder)?;
    let readers = Readers::default();
    readers.give(db);
    let inner = Inner {
        folder,
        vault: Arc::new(Vault::new(master)),
        readers,
        checked: Checked::default(),
        writing: None,
        has_writer: AtomicBool::new(false),
        bell: Bell::default(),
        _lock: None,
    };
    Ok((inner, behind))
}

/// A database whose making was cut short, which only a writer rolls back, is none. Once it is made,
/// it is written by another way than that.
fn never_made(folder: &Folder, error: StoreError) -> StoreError {
    let StoreError::Io { source, .. } = &error else { return error };
    let said = source.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error);
    if said.is_some_and(|said| said.extended_code == rusqlite::ffi::SQLITE_READONLY_ROLLBACK) {
        return StoreError::Missing { folder: folder.path().to_owned() };
    }
    error
}

pub(crate) fn accept_restore(folder: &Folder) -> Result<Vec<Restored>, StoreError> {
    if !folder.has_database() {
        return Err(StoreError::Missing { folder: folder.path().to_owned() });
    }
    let _lock = folder.lock()?;
    folder.check_permissions()?;
    let db = connect::for_writing(folder)?;
    schema::check(&db, &folder.database())?;
    let restored = shorter(&db, folder)?;
    let path = folder.high_water();
    let mut marks = Marks::open(&path)?;
    for log in &restored {
        let lowered = marks.raise(log.tenant, log.now);
        lowered.map_err(crate::error::on_path("write", &path))?;
    }
    marks.sync().map_err(crate::error::on_path("sync", &path))?;
    Ok(restored)
}

/// Make the database if there is none, and read or make the master key. A key is made only
/// while nothing is sealed yet.
fn make_database(folder: &Folder, entropy: &mut dyn Entropy) -> Result<Key, StoreError> {
    let db = connect::for_creating(folder)?;
    let tables: i64 = db
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| failed("read the database", error))?;
    if tables > 0 {
        return folder.read_master();
    }
    let master =
        if folder.has_master() { folder.read_master()? } else { folder.create_master(entropy)? };
    schema::create(&db)?;
    Ok(master)
}

/// Refuse to write into tables that are not made as ours are: what somebody added could act.
fn unmodified(db: &Connection) -> Result<(), StoreError> {
    match schema::differing(db)?.first() {
        Some(name) => Err(StoreError::corrupt(schema::not_as_made(name))),
        None => Ok(()),
    }
}

/// The logs that are shorter than they had been, or have no mark.
fn shorter(db: &Connection, folder: &Folder) -> Result<Vec<Restored>, StoreError> {
    // The marks first: they are raised after each commit, so none is ahead of what is read next.
    let marks = marks::read(&folder.high_water())?;
    let sizes: std::collections::BTreeMap<_, _> = tenants(db)?.into_iter().collect();
    let behind = marks.iter().filter_map(|(tenant, mark)| {
        let now = sizes.get(tenant).copied().unwrap_or(0);
        (now < mark.size).then_some(Restored { tenant: *tenant, was: Some(mark.size), now })
    });
    let mut shorter: Vec<_> = behind.collect();
    if sizes.keys().any(|tenant| !marks.contains_key(tenant)) {
        // A log may have begun since; its line was made before.
        let marks = marks::read(&folder.high_water())?;
        let unmarked = sizes.iter().filter(|(tenant, _)| !marks.contains_key(tenant));
        shorter.extend(unmarked.map(|(&tenant, &now)| Restored { tenant, was: None, now }));
    }
    Ok(shorter)
}
