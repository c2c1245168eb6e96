//! The tables, and what number their form has.
//!
//! Places are integers of [`crate::place`]. Entries and bodies are rows keyed by place, so
//! that an append goes to the right edge of the tree and reading a range is one walk.

use std::collections::BTreeMap;
use std::path::Path;

use cog_store::StoreError;
use rusqlite::Connection;

use crate::error::failed;

/// "COG" and a zero byte: what `file` and we know our files by.
const APPLICATION_ID: i64 = 0x434F_4700;
/// The record of a decision takes about 2 KB: of 4,096 a page a third stays empty, and each page
/// is two writes. Half as many of these make a quarter more steps in batches, and cost one run
/// alone nothing that shows.
const PAGE_BYTES: i64 = 8_192;

/// The number of the format. Format 1 did not bind its tables to the key of the log, so that
/// nobody can tell whether they are whole: it is not read, nor brought to this one. Format 2
/// had no cursors and format 3 nothing for a node: they are read as they are, and brought to this
/// one when they are written to.
const FORMAT: i64 = 4;
const FORMAT_OLDEST: i64 = 2;
/// The format with which cursors came.
pub(crate) const CURSORS_SINCE: i64 = 3;
/// The format with which came what a node takes.
pub(crate) const NODES_SINCE: i64 = 4;

const TABLES: &str = "
-- One row for each log: its end, from which the writer goes on. `state` is sealed, and what
-- binds the tables to the key of the log: see `binding.rs`.
CREATE TABLE log (
    no INTEGER PRIMARY KEY,
    tenant BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    frontier BLOB NOT NULL,
    last_leaf BLOB NOT NULL,
    last_at INTEGER NOT NULL,
    own_key BLOB NOT NULL,
    bodies_from INTEGER NOT NULL DEFAULT 0,
    entries_from INTEGER NOT NULL DEFAULT 0,
    state BLOB NOT NULL
) STRICT;
-- `back` is how far back the entry before it in its run is; 0 for the first of a run and
-- nothing outside runs. `kin` is the same for its kind, in runs or outside; nothing for kinds
-- that are not rare. `tag` binds all of these. `head` is the signed head of the log as it was
-- after this entry, for the last of a commit.
CREATE TABLE entry (
    place INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    back INTEGER,
    kin INTEGER,
    tag BLOB NOT NULL,
    head TEXT,
    bytes BLOB NOT NULL
) STRICT;
CREATE TABLE entry_id (key INTEGER, place INTEGER, PRIMARY KEY (key, place))
    STRICT, WITHOUT ROWID;
CREATE TABLE entry_kind (kind INTEGER, place INTEGER, PRIMARY KEY (kind, place))
    STRICT, WITHOUT ROWID;
-- The leaf hashes of a pruned segment, one after the other.
CREATE TABLE tile (place INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT;
CREATE TABLE node (place INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
-- Signed heads within what was pruned. The place is the log and the size that the head is of.
CREATE TABLE checkpoint (place INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT;
-- `key` is nothing for the log's own key.
CREATE TABLE body (place INTEGER PRIMARY KEY, key INTEGER, sealed BLOB NOT NULL) STRICT;
CREATE INDEX body_key ON body (key) WHERE key IS NOT NULL;
CREATE TABLE subject_key (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    log INTEGER NOT NULL,
    subject BLOB NOT NULL,
    wrapped BLOB NOT NULL,
    UNIQUE (log, subject)
) STRICT;
-- A run is keyed by the place of its first entry. It is open until its last entry is its
-- seal, and `status` is what that says.
CREATE TABLE session (
    first INTEGER PRIMARY KEY,
    log INTEGER NOT NULL,
    id BLOB NOT NULL,
    last INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    started INTEGER NOT NULL,
    status TEXT,
    is_open INTEGER NOT NULL,
    UNIQUE (log, id)
) STRICT;
CREATE INDEX session_open ON session (first) WHERE is_open = 1;
-- Every so many entries of a run, where to enter the chain of its entries.
CREATE TABLE session_mark (session INTEGER, place INTEGER, PRIMARY KEY (session, place))
    STRICT, WITHOUT ROWID;
-- A canon may come before the first entry of its log.
CREATE TABLE canon (
    tenant BLOB,
    digest BLOB,
    files TEXT NOT NULL,
    PRIMARY KEY (tenant, digest)
) STRICT;
CREATE TABLE signing_key (
    tenant BLOB,
    name TEXT,
    id INTEGER,
    sealed BLOB NOT NULL,
    PRIMARY KEY (tenant, name, id)
) STRICT;
-- Written when a store is closed.
CREATE TABLE housekeeping (one INTEGER PRIMARY KEY CHECK (one = 1), closed INTEGER NOT NULL)
    STRICT;
INSERT INTO housekeeping VALUES (1, 0);
";

/// What came with format [`CURSORS_SINCE`].
const CURSORS: &str = "
-- How far each consumer of a log has come. It may come before the first entry of its log.
CREATE TABLE cursor (
    no INTEGER PRIMARY KEY,
    tenant BLOB NOT NULL,
    consumer TEXT NOT NULL,
    next INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    UNIQUE (tenant, consumer)
) STRICT;
-- Events that a consumer could not be brought to take, by the entry each is made of.
CREATE TABLE dead_letter (
    cursor INTEGER,
    seq INTEGER,
    attempts INTEGER NOT NULL,
    at INTEGER NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (cursor, seq)
) STRICT, WITHOUT ROWID;
-- The last fence of a cursor that was given. None is given twice.
CREATE TABLE fence (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL) STRICT;
INSERT INTO fence VALUES (1, 0);
";

/// What came with format [`NODES_SINCE`].
const NODES: &str = "
-- Which tenants there is work for, and which of them the process has that writes here. `turn` orders
-- those that wait.
CREATE TABLE owner (
    tenant BLOB PRIMARY KEY,
    held INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    wanted INTEGER NOT NULL,
    turn INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX owner_waiting ON owner (turn) WHERE wanted = 1 AND held = 0;
CREATE INDEX owner_held ON owner (tenant) WHERE held = 1;
-- What is asked of whoever owns the log of a tenant. A row stays until the log says what came
-- of it, or for good when nothing does, with the reason.
CREATE TABLE mail (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant BLOB NOT NULL,
    id BLOB NOT NULL,
    kind TEXT NOT NULL,
    session BLOB,
    sealed BLOB NOT NULL,
    refused TEXT,
    UNIQUE (tenant, id)
) STRICT;
CREATE INDEX mail_waiting ON mail (tenant, no) WHERE refused IS NULL;
-- Names that were given to requests, as keyed digests, and the run that each stands for.
CREATE TABLE request (
    tenant BLOB,
    name BLOB,
    digest BLOB NOT NULL,
    session BLOB NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
-- Runs that nobody has in memory, by the place of their first entry, and when each goes on by itself.
-- Whatever is recorded of a run takes it back.
CREATE TABLE parked (session INTEGER PRIMARY KEY, log INTEGER NOT NULL, wake INTEGER) STRICT;
CREATE INDEX parked_wake ON parked (log, wake) WHERE wake IS NOT NULL;
-- Nobody has looked yet which of the runs of earlier releases go on.
INSERT INTO owner SELECT tenant, 0, 0, 0, 1, no FROM log WHERE size > 0;
";

/// Make an empty file ours. Nobody else has it open yet, and until the write-ahead log is
/// switched on, a power cut leaves it empty.
pub(crate) fn create(db: &Connection) -> Result<(), StoreError> {
    let cannot = |error| failed("create the database", error);
    db.pragma_update(None, "page_size", PAGE_BYTES).map_err(cannot)?;
    db.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES} {CURSORS} {NODES} PRAGMA application_id = {APPLICATION_ID};
         PRAGMA user_version = {FORMAT}; COMMIT;"
    ))
    .map_err(cannot)?;
    db.pragma_update(None, "journal_mode", "wal").map_err(cannot)
}

/// The names of tables, indexes, views and triggers that are missing, were added, or are not made
/// as ours are.
pub(crate) fn differing(db: &Connection) -> Result<Vec<String>, StoreError> {
    let cannot = |error| failed("read which tables there are", error);
    let ours = Connection::open_in_memory().map_err(cannot)?;
    ours.execute_batch(TABLES).map_err(cannot)?;
    let format = format(db)?;
    for (since, tables) in [(CURSORS_SINCE, CURSORS), (NODES_SINCE, NODES)] {
        if format >= since {
            ours.execute_batch(tables).map_err(cannot)?;
        }
    }
    let (ours, kept) = (made(&ours)?, made(db)?);
    let names = ours.keys().chain(kept.keys().filter(|name| !ours.contains_key(*name)));
    Ok(names.filter(|name| ours.get(*name) != kept.get(*name)).cloned().collect())
}

/// What is said of one of those.
pub(crate) fn not_as_made(name: &str) -> String {
    format!(
        "the table, index, view or trigger `{name}` was added, is missing or is not as it was made"
    )
}

/// What the database is made of, by name.
fn made(db: &Connection) -> Result<BTreeMap<String, String>, StoreError> {
    let cannot = |error| failed("read which tables there are", error);
    let sql = "SELECT name, type || ' ' || tbl_name || ' ' || coalesce(sql, '') FROM sqlite_schema";
    let mut read = db.prepare(sql).map_err(cannot)?;
    let rows = read.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(cannot)?;
    rows.collect::<Result<_, _>>().map_err(cannot)
}

/// Check that the file is ours and has this release's format.
pub(crate) fn check(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let number = |name| {
        let read = db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        read.map_err(|error| failed("read the database", error))
    };
    if number("application_id")? != APPLICATION_ID {
        return Err(StoreError::NotOurs { path: path.to_owned() });
    }
    match number("user_version")? {
        FORMAT_OLDEST..=FORMAT => Ok(()),
        found if found > FORMAT => Err(StoreError::TooNew { found, known: FORMAT }),
        found => Err(StoreError::TooOld { found, known: FORMAT_OLDEST }),
    }
}

/// Bring a file of an earlier format, which [`check`] has let pass, to this release's.
pub(crate) fn bring_up(db: &Connection) -> Result<(), StoreError> {
    let format = format(db)?;
    let missing = [(CURSORS_SINCE, CURSORS), (NODES_SINCE, NODES)];
    let missing = missing.into_iter().filter(|(since, _)| format < *since);
    let missing: String = missing.map(|(_, tables)| tables).collect();
    if missing.is_empty() {
        return Ok(());
    }
    db.execute_batch(&format!("BEGIN IMMEDIATE; {missing} PRAGMA user_version = {FORMAT}; COMMIT;"))
        .map_err(|error| failed("bring the database to this release's format", error))
}

/// The number of the format of a file.
pub(crate) fn format(db: &Connection) -> Result<i64, StoreError> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| failed("read the database", error))
}
