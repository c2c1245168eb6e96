//! The tables against the entries: everything that is derived is derived again and compared
//! with what is kept, in both directions. This reads the whole log; that nothing is hidden
//! from what is read every day, reading itself makes sure (see `binding.rs`).
//!
//! Damage ends nothing here: what cannot be read is a finding, and the rest is looked at.

mod bodies;
mod ends;
mod entries;
mod held;
mod keys;
mod pages;
mod runs;
mod tables;

use cog_base::id::TenantId;
use cog_ledger::audit::Findings;
use cog_ledger::{Checkpoint, Entry};
use cog_store::StoreError;
use rusqlite::{Connection, OptionalExtension as _};

use crate::SqliteStore;
use crate::error::failed;
use crate::log::{Log, Vault};
use crate::place::Range;
use crate::schema;

/// What looking at the whole of a log came to.
#[derive(Debug, Default)]
pub struct Tables {
    /// What is wrong, with the codes of `docs/reference/findings.md`.
    pub findings: Findings,
    /// How many entries the log says that it has.
    pub size: u64,
    /// The newest signed head that fits the entries before it, all of them: these hold,
    /// whatever else is damaged.
    pub held: Option<Checkpoint>,
}

impl Tables {
    /// Whether every entry of the log holds, so that only what stands beside them can be damaged.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.held.as_ref().is_some_and(|head| head.size() == self.size)
    }
}

impl SqliteStore {
    /// Compare every table of a tenant's log with what its entries say, and the pages and
    /// indexes of the whole database with each other. It takes as long as reading the log. Of
    /// a log that does not hold as a whole, the bodies are looked at too; of any other, its
    /// bundle has them.
    ///
    /// # Errors
    /// [`StoreError`] when the disk fails or another program has the database locked. Damage
    /// is a finding.
    pub fn check_tables(&self, tenant: TenantId) -> Result<Tables, StoreError> {
        let inner = self.inner();
        let db = inner.readers.take(&inner.folder)?;
        let cannot = |error| failed("check the tables", error);
        db.execute_batch("BEGIN").map_err(cannot)?;
        let mut tables = Tables::default();
        let checked = check(&db, &inner.vault, tenant, &mut tables);
        db.execute_batch("ROLLBACK").map_err(cannot)?;
        inner.readers.give(db);
        part(&mut tables.findings, checked)?;
        Ok(tables)
    }

    /// The entries before `size`, as their bytes are: those of a head that [`Tables::held`]
    /// named, also when they are not found any more by what stands beside them. Entries that
    /// were pruned are passed over.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when one of them is not there; or as [`SqliteStore::open`].
    pub fn held_entries(
        &self,
        tenant: TenantId,
        size: u64,
        take: &mut dyn FnMut(Entry),
    ) -> Result<(), StoreError> {
        let db = self.inner().readers.take(&self.inner().folder)?;
        if let Some((range, _)) = extent(&db, tenant)? {
            held::entries(&db, range, size, take)?;
        }
        self.inner().readers.give(db);
        Ok(())
    }
}

/// The tables and indexes that are not made as they were.
pub(crate) fn schema(store: &SqliteStore) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    let db = store.inner().readers.take(&store.inner().folder)?;
    made(&db, &mut findings)?;
    store.inner().readers.give(db);
    Ok(findings)
}

fn check(
    db: &Connection,
    vault: &Vault,
    tenant: TenantId,
    tables: &mut Tables,
) -> Result<(), StoreError> {
    let findings = &mut tables.findings;
    made(db, findings)?;
    let done = pages::check(db, findings);
    part(findings, done)?;
    let done = tables::strays(db, findings);
    part(findings, done)?;
    let Some((range, size)) = extent(db, tenant)? else { return Ok(()) };
    tables.size = size;
    let log = match Log::read(db, vault, tenant) {
        Ok(Some(log)) => log,
        Ok(None) => return Ok(()),
        // Without the end of the log nothing beside the entries can be told true from false.
        Err(StoreError::Corrupt { what, .. }) => {
            findings.add(None, "store.unreadable", what);
            tables.held = held::unopened(db, range, 0..size, findings)?;
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let derived = match entries::derive(db, &log, findings) {
        // A table is gone that entries are compared with.
        Err(error @ StoreError::Corrupt { .. }) => {
            part(findings, Err(error))?;
            let kept = log.end.pruned.entries..size;
            tables.held = held::unopened(db, range, kept, findings)?;
            return Ok(());
        }
        derived => derived?,
    };
    tables.held = derived.heads.newest(&derived.keys, findings);
    ends::compare(&log, &derived, findings);
    let done = runs::compare(db, &log, &derived, findings);
    part(findings, done)?;
    tables::compare(db, &log, &derived, findings)?;
    let done = keys::compare(db, vault, &log, &derived.keys, findings);
    part(findings, done)?;
    if tables.held.as_ref().is_none_or(|head| head.size() != size) {
        // Whatever the reason, a log that does not hold as a whole is not passed over.
        if tables.findings.is_empty() {
            tables.findings.add(None, "store.head", "no signed head covers the end of the log");
        }
        let done = bodies::compare(db, vault, &log, &mut tables.findings);
        part(&mut tables.findings, done)?;
    }
    Ok(())
}

/// What cannot be read is a finding of its own, and ends one comparison alone.
fn part(findings: &mut Findings, done: Result<(), StoreError>) -> Result<(), StoreError> {
    match done {
        Err(StoreError::Corrupt { what, .. }) => {
            // The same table stops more than one comparison.
            let is_told = findings.kept().iter().any(|finding| finding.message == what);
            if !is_told {
                findings.add(None, "store.unreadable", what);
            }
        }
        other => other?,
    }
    Ok(())
}

/// Every table and index, made as it was.
fn made(db: &Connection, findings: &mut Findings) -> Result<(), StoreError> {
    match schema::differing(db) {
        Ok(names) => {
            for name in names {
                findings.add(None, "store.schema", schema::not_as_made(&name));
            }
            Ok(())
        }
        Err(error) => part(findings, Err(error)),
    }
}

/// The places of a tenant's log and how many entries it says that it has, without its key.
fn extent(db: &Connection, tenant: TenantId) -> Result<Option<(Range, u64)>, StoreError> {
    let row = db
        .query_row(
            "SELECT no, size FROM log WHERE tenant = ?1",
            [tenant.uuid().as_u128().to_be_bytes()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional();
    let row = row.map_err(|error| failed("read the end of a log", error))?;
    Ok(row.map(|(no, size)| (Range::of(no), size)))
}
