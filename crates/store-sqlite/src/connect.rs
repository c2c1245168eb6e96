//! Connections and their settings.

use std::time::Duration;

use cog_store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::failed;
use crate::folder::Folder;

/// How long a call waits for a program that is not ours and has the database locked.
const BUSY: Duration = Duration::from_secs(2);
const STATEMENTS_MAX: usize = 64;
/// Memory for pages of the writer and of each reader, in KiB.
const WRITER_CACHE_KIB: i64 = 16_384;
const READER_CACHE_KIB: i64 = 4_096;

/// The connection that makes the database if there is none yet.
pub(crate) fn for_creating(folder: &Folder) -> Result<Connection, StoreError> {
    let db = open(folder, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    set(&db, "synchronous", 2)?;
    Ok(db)
}

/// The connection that writes.
pub(crate) fn for_writing(folder: &Folder) -> Result<Connection, StoreError> {
    let db = open(folder, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    set(&db, "cache_size", -WRITER_CACHE_KIB)?;
    // What is removed is overwritten: keys and bodies must be gone.
    set(&db, "secure_delete", 1)?;
    durable(&db)?;
    Ok(db)
}

/// The connection that copies the write-ahead log.
pub(crate) fn for_checkpoints(folder: &Folder) -> Result<Connection, StoreError> {
    let db = open(folder, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    durable(&db)?;
    Ok(db)
}

/// A connection that only reads.
pub(crate) fn for_reading(folder: &Folder) -> Result<Connection, StoreError> {
    let db = open(folder, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    set(&db, "cache_size", -READER_CACHE_KIB)?;
    Ok(db)
}

/// A commit is synced before it is answered; the log is copied when we say so.
fn durable(db: &Connection) -> Result<(), StoreError> {
    set(db, "synchronous", 2)?;
    set(db, "wal_autocheckpoint", 0)
}

fn open(folder: &Folder, flags: OpenFlags) -> Result<Connection, StoreError> {
    let cannot = |error| failed("open the database", error);
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(folder.database(), flags).map_err(cannot)?;
    db.busy_timeout(BUSY).map_err(cannot)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // The write-ahead log stays as it is when a connection closes: it was grown on purpose.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(cannot)?;
    // Ours has neither, and somebody else's must not act.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).map_err(cannot)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false).map_err(cannot)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).map_err(cannot)?;
    set(&db, "trusted_schema", 0)?;
    set(&db, "cell_size_check", 1)?;
    set(&db, "temp_store", 2)?;
    Ok(db)
}

fn set(db: &Connection, name: &str, value: i64) -> Result<(), StoreError> {
    // Some settings answer with a row, some do not.
    match db.pragma_update_and_check(None, name, value, |_| Ok(())) {
        Ok(()) | Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Err(error) => Err(failed("set up the database", error)),
    }
}
