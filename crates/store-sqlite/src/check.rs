//! The tables against the entries: everything that is derived is derived again and compared
//! with what is kept, in both directions. This reads the whole log; that nothing is hidden
//! from what is read every day, reading itself makes sure (see `binding.rs`).

mod ends;
mod entries;
mod keys;
mod runs;
mod tables;

use cog_base::id::TenantId;
use cog_ledger::audit::Findings;
use cog_store::StoreError;
use rusqlite::Connection;

use crate::SqliteStore;
use crate::error::failed;
use crate::log::Log;
use crate::log::Vault;

/// The most faults of pages that are named.
const PAGES_NAMED_MAX: i64 = 20;

impl SqliteStore {
    /// Compare every table of a tenant's log with what its entries say, and the pages and
    /// indexes of the whole database with each other. What is found is named with the codes
    /// of `docs/reference/findings.md`. It takes as long as reading the log.
    ///
    /// # Errors
    /// [`StoreError`] when something cannot be read at all.
    pub fn check_tables(&self, tenant: TenantId) -> Result<Findings, StoreError> {
        let inner = self.inner();
        let db = inner.readers.take(&inner.folder)?;
        let cannot = |error| failed("check the tables", error);
        db.execute_batch("BEGIN").map_err(cannot)?;
        let mut findings = Findings::default();
        let checked = check(&db, &inner.vault, tenant, &mut findings);
        db.execute_batch("ROLLBACK").map_err(cannot)?;
        inner.readers.give(db);
        match checked {
            // What cannot be read is a finding of its own, and ends the comparison.
            Err(StoreError::Corrupt { what, .. }) => findings.add(None, "store.unreadable", what),
            other => other?,
        }
        Ok(findings)
    }
}

fn check(
    db: &Connection,
    vault: &Vault,
    tenant: TenantId,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    pages(db, findings)?;
    tables::strays(db, findings)?;
    let Some(log) = Log::read(db, vault, tenant)? else { return Ok(()) };
    let derived = entries::derive(db, &log, findings)?;
    ends::compare(&log, &derived, findings);
    runs::compare(db, &log, &derived, findings)?;
    tables::compare(db, &log, &derived, findings)?;
    keys::compare(db, vault, &log, &derived.keys, findings)
}

/// Every page, and every index against its table.
fn pages(db: &Connection, findings: &mut Findings) -> Result<(), StoreError> {
    let cannot = |error| failed("check the pages of the database", error);
    let sql = format!("PRAGMA integrity_check({PAGES_NAMED_MAX})");
    let mut read = db.prepare(&sql).map_err(cannot)?;
    let rows = read.query_map([], |row| row.get::<_, String>(0)).map_err(cannot)?;
    for row in rows {
        let found = row.map_err(cannot)?;
        if found != "ok" {
            findings.add(None, "store.pages", format!("the database: {found}"));
        }
    }
    Ok(())
}
