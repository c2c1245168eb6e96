//! Runs that nobody has in memory, and when each goes on by itself.

use std::collections::BTreeSet;

use cog_base::Timestamp;
use cog_base::id::{RunId, TenantId};
use cog_store::{Claim, Parked, StoreError};
use rusqlite::{Row, Transaction, params};

use crate::SqliteStore;
use crate::beside::{Stop, bytes};
use crate::error::failed;
use crate::log::Log;
use crate::mailing::{of_run, run_of};
use crate::owning::check;
use crate::runs;
use crate::schema::NODES_SINCE;
use crate::shared::NODE;

const PARK: &str = "INSERT INTO parked (session, log, wake)
    SELECT first, log, ?3 FROM session
    WHERE log = (SELECT no FROM log WHERE tenant = ?1) AND id = ?2 AND status IS NULL
    ON CONFLICT DO UPDATE SET wake = excluded.wake";
const UNPARK: &str = "DELETE FROM parked WHERE session = ?1";
const DUE: &str = "SELECT session, id FROM parked JOIN session ON session.first = parked.session
    WHERE parked.log = (SELECT no FROM log WHERE tenant = ?1) AND wake <= ?2
    ORDER BY wake LIMIT ?3";
const NEXT_WAKE: &str =
    "SELECT min(wake) FROM parked WHERE log = (SELECT no FROM log WHERE tenant = ?1)";
const PARKED: &str = "SELECT session FROM parked WHERE log = ?1";

/// Whatever is recorded of a run takes the note back.
pub(crate) fn take_back(tx: &Transaction<'_>, session: i64) -> Result<(), StoreError> {
    tx.prepare_cached(UNPARK)
        .and_then(|mut remove| remove.execute([session]))
        .map(drop)
        .map_err(|error| failed("note that a run is not parked", error))
}

impl SqliteStore {
    pub(crate) fn note_parked(&self, claim: &Claim, parked: &[Parked]) -> Result<(), StoreError> {
        self.write("note which runs are parked", |tx| {
            check(tx, NODE, claim)?;
            let mut park = tx.prepare_cached(PARK)?;
            for Parked { run, wake } in parked {
                let wake = wake.map(Timestamp::micros);
                park.execute(params![bytes(claim.tenant), of_run(*run), wake])?;
            }
            Ok(())
        })
    }

    pub(crate) fn take_due(
        &self,
        claim: &Claim,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<RunId>, StoreError> {
        self.write("read which parked runs are due", |tx| {
            check(tx, NODE, claim)?;
            let run = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, run_of(row.get(1)?)));
            let due: Vec<(i64, RunId)> = tx
                .prepare_cached(DUE)?
                .query_map(params![bytes(claim.tenant), until.micros(), limit], run)?
                .collect::<rusqlite::Result<_>>()?;
            let mut remove = tx.prepare_cached(UNPARK)?;
            for (session, _) in &due {
                remove.execute([session])?;
            }
            Ok(due.into_iter().map(|(_, run)| run).collect())
        })
    }

    pub(crate) fn first_wake(&self, tenant: TenantId) -> Result<Option<Timestamp>, StoreError> {
        let wake = self.read(("read when a parked run is due", NODES_SINCE), |db| {
            db.prepare_cached(NEXT_WAKE)?
                .query_row([bytes(tenant)], |row| row.get::<_, Option<i64>>(0))
        })?;
        Ok(wake.map(Timestamp::from_micros))
    }

    /// The open runs are those that the state of the log counts.
    pub(crate) fn not_parked(&self, tenant: TenantId) -> Result<Vec<RunId>, StoreError> {
        let vault = &self.inner().vault;
        self.read(("read which runs are not parked", NODES_SINCE), |db| {
            let Some(log) = Log::read(db, vault, tenant)? else { return Ok(Vec::new()) };
            let parked: BTreeSet<i64> = db
                .prepare_cached(PARKED)?
                .query_map([log.no], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let is_awake = |run: &runs::Run| run.started && !parked.contains(&run.first);
            let open = runs::open(db, &log)?.into_values().filter(is_awake);
            let mut awake: Vec<(i64, RunId)> = open.map(|run| (run.first, run.id)).collect();
            awake.sort_unstable();
            Ok::<_, Stop>(awake.into_iter().map(|(_, run)| run).collect())
        })
    }
}
