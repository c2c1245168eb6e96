//! Runs as their entries are written. The entries of a run form a chain: each knows how far
//! back the one before it is. That costs no index, and a mark every so many entries lets a
//! reader enter the chain in the middle.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use cog_base::id::RunId;
use cog_ledger::{Entry, Kind};
use cog_store::StoreError;
use rusqlite::{Transaction, params};

use crate::binding::Sum;
use crate::error::failed;
use crate::log::Log;
use crate::parking;
use crate::runs::{self, Run};

/// A run has a mark at every so many entries.
pub(crate) const MARK_EVERY: u64 = 64;

/// Every open run of one log. None is ever dropped alone: what is read from the database is
/// believed only when all of it is read.
#[derive(Default)]
pub(super) struct Runs {
    open: HashMap<RunId, Held>,
    changed: Vec<RunId>,
}

struct Held {
    run: Run,
    /// What the sum of the log has for it; nothing for one that it does not count yet.
    counted: Option<Sum>,
    is_kept: bool,
    is_changed: bool,
    /// Whether its last entry is its seal.
    is_sealed: bool,
}

impl Runs {
    /// Those that are open now.
    pub(super) fn read(tx: &rusqlite::Connection, log: &Log) -> Result<Self, StoreError> {
        let held = |(id, run): (RunId, Run)| {
            let counted = Some(run.mark(&log.bindings));
            (id, Held { run, counted, is_kept: true, is_changed: false, is_sealed: false })
        };
        let open = runs::open(tx, log)?.into_iter().map(held).collect();
        Ok(Self { open, changed: Vec::new() })
    }

    /// Where the oldest open run begins.
    pub(super) fn first(&self) -> Option<i64> {
        self.open.values().map(|held| held.run.first).min()
    }

    /// Take in an entry. Returns how far back the one before it in its run is: 0 for the
    /// first, nothing outside runs.
    pub(super) fn add(
        &mut self,
        tx: &Transaction<'_>,
        log: &Log,
        place: i64,
        entry: &Entry,
    ) -> Result<Option<i64>, StoreError> {
        let Some(id) = entry.session() else { return Ok(None) };
        let held = match self.open.entry(id) {
            Slot::Occupied(slot) => slot.into_mut(),
            Slot::Vacant(slot) => {
                let kept = runs::sealed(tx, log, id)?;
                let is_kept = kept.is_some();
                let run = kept.unwrap_or_else(|| Run::new(id, place));
                let (counted, is_changed) = (None, false);
                slot.insert(Held { run, counted, is_kept, is_changed, is_sealed: false })
            }
        };
        let run = &mut held.run;
        let back = place - run.last;
        run.last = place;
        run.entries += 1;
        run.started |= entry.kind() == Kind::SessionStarted;
        held.is_sealed = entry.kind() == Kind::SessionSealed;
        if held.is_sealed {
            run.status = entry.text("status").map(str::to_owned);
        }
        if run.entries.is_multiple_of(MARK_EVERY) {
            mark(tx, run.first, place)?;
        }
        if !std::mem::replace(&mut held.is_changed, true) {
            self.changed.push(id);
        }
        Ok(Some(back))
    }

    /// Write what changed, and count it in the state of the log.
    pub(super) fn write(&mut self, tx: &Transaction<'_>, log: &mut Log) -> Result<(), StoreError> {
        for id in std::mem::take(&mut self.changed) {
            let Some(held) = self.open.get_mut(&id) else { continue };
            held.is_changed = false;
            held.write(tx, log)?;
            if held.is_sealed {
                self.open.remove(&id);
            }
        }
        log.state.open = self.open.len() as u64;
        Ok(())
    }
}

impl Held {
    fn write(&mut self, tx: &Transaction<'_>, log: &mut Log) -> Result<(), StoreError> {
        let before = self.counted.take().unwrap_or_default();
        self.counted = (!self.is_sealed).then(|| self.run.mark(&log.bindings));
        log.state.sum = log.state.sum.minus(before).plus(self.counted.unwrap_or_default());
        let is_kept = std::mem::replace(&mut self.is_kept, true);
        let run = &self.run;
        if is_kept {
            parking::take_back(tx, run.first)?;
        }
        let written = if !is_kept {
            self.insert(tx, log)
        } else if self.is_sealed || run.status.is_some() {
            tx.prepare_cached(
                "UPDATE session SET last = ?2, entries = ?3, started = ?4, status = ?5,
                 is_open = ?6 WHERE first = ?1",
            )
            .and_then(|mut update| {
                let (status, is_open) = (&run.status, !self.is_sealed);
                update.execute(params![
                    run.first,
                    run.last,
                    run.entries,
                    run.started,
                    status,
                    is_open
                ])
            })
        } else {
            // What says that it is open stays as it is, and so does the index over it.
            tx.prepare_cached(
                "UPDATE session SET last = ?2, entries = ?3, started = ?4 WHERE first = ?1",
            )
            .and_then(|mut update| {
                update.execute(params![run.first, run.last, run.entries, run.started])
            })
        };
        written.map(drop).map_err(|error| failed("write a run", error))
    }

    fn insert(&self, tx: &Transaction<'_>, log: &Log) -> rusqlite::Result<usize> {
        let run = &self.run;
        let id = run.id.uuid().as_u128().to_be_bytes();
        let (status, is_open) = (&run.status, !self.is_sealed);
        tx.prepare_cached(
            "INSERT INTO session (first, log, id, last, entries, started, status, is_open)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            run.first,
            log.no,
            id,
            run.last,
            run.entries,
            run.started,
            status,
            is_open
        ])
    }
}

fn mark(tx: &Transaction<'_>, session: i64, place: i64) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO session_mark (session, place) VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute([session, place]))
        .map(drop)
        .map_err(|error| failed("mark an entry of a run", error))
}
