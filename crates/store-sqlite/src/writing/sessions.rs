//! Runs as their entries are written. The entries of a run form a chain: each knows how far
//! back the one before it is. That costs no index, and a mark every so many entries lets a
//! reader enter the chain in the middle.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use cog_base::id::RunId;
use cog_ledger::{Entry, Kind};
use cog_store::StoreError;
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::error::failed;

/// A run has a mark at every so many entries.
pub(crate) const MARK_EVERY: u64 = 64;
/// The most runs remembered; beyond it all are dropped and read again.
const RUNS_MAX: usize = 65_536;

#[derive(Default)]
pub(super) struct Sessions {
    runs: HashMap<(i64, RunId), Run>,
    changed: Vec<(i64, RunId)>,
}

struct Run {
    first: i64,
    last: i64,
    entries: u64,
    started: bool,
    status: Option<String>,
    is_changed: bool,
}

impl Sessions {
    pub(super) fn clear(&mut self) {
        self.runs.clear();
        self.changed.clear();
    }

    /// Take in an entry. Returns how far back the one before it in its run is: 0 for the
    /// first, nothing outside runs.
    pub(super) fn add(
        &mut self,
        tx: &Transaction<'_>,
        log: i64,
        place: i64,
        entry: &Entry,
    ) -> Result<Option<i64>, StoreError> {
        let Some(id) = entry.session() else { return Ok(None) };
        let key = (log, id);
        let run = match self.runs.entry(key) {
            Slot::Occupied(slot) => slot.into_mut(),
            Slot::Vacant(slot) => {
                let new = Run {
                    first: place,
                    last: place,
                    entries: 0,
                    started: false,
                    status: None,
                    is_changed: false,
                };
                slot.insert(read(tx, log, id)?.unwrap_or(new))
            }
        };
        let back = place - run.last;
        run.last = place;
        run.entries += 1;
        run.started |= entry.kind() == Kind::SessionStarted;
        if entry.kind() == Kind::SessionSealed {
            run.status = entry.text("status").map(str::to_owned);
        }
        if !std::mem::replace(&mut run.is_changed, true) {
            self.changed.push(key);
        }
        if run.entries.is_multiple_of(MARK_EVERY) {
            mark(tx, run.first, place)?;
        }
        Ok(Some(back))
    }

    /// Write what changed.
    pub(super) fn write(&mut self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        for key in std::mem::take(&mut self.changed) {
            let Some(run) = self.runs.get_mut(&key) else { continue };
            run.is_changed = false;
            write(tx, key, run)?;
            if run.status.is_some() {
                self.runs.remove(&key);
            }
        }
        if self.runs.len() > RUNS_MAX {
            self.runs.clear();
        }
        Ok(())
    }
}

fn mark(tx: &Transaction<'_>, session: i64, place: i64) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO session_mark (session, place) VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute([session, place]))
        .map(drop)
        .map_err(|error| failed("mark an entry of a run", error))
}

fn write(tx: &Transaction<'_>, (log, id): (i64, RunId), run: &Run) -> Result<(), StoreError> {
    let id = id.uuid().as_u128().to_be_bytes();
    tx.prepare_cached(
        "INSERT INTO session (first, log, id, last, entries, started, status)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (first) DO UPDATE
         SET last = ?4, entries = ?5, started = ?6, status = ?7",
    )
    .and_then(|mut upsert| {
        let row = params![run.first, log, id, run.last, run.entries, run.started, run.status];
        upsert.execute(row)
    })
    .map(drop)
    .map_err(|error| failed("write a run", error))
}

fn read(tx: &Transaction<'_>, log: i64, id: RunId) -> Result<Option<Run>, StoreError> {
    let id = id.uuid().as_u128().to_be_bytes();
    tx.prepare_cached(
        "SELECT first, last, entries, started, status FROM session WHERE log = ?1 AND id = ?2",
    )
    .and_then(|mut read| {
        read.query_row(params![log, id], |row| {
            Ok(Run {
                first: row.get(0)?,
                last: row.get(1)?,
                entries: row.get(2)?,
                started: row.get(3)?,
                status: row.get(4)?,
                is_changed: false,
            })
        })
        .optional()
    })
    .map_err(|error| failed("read a run", error))
}
