//! Where consumers stand. One process writes here at a time, and moves cursors in the order
//! in which it was asked to.

use cog_base::Timestamp;
use cog_base::id::TenantId;
use cog_store::cursors::{check_consumer, check_consumers, check_dead_letters, kept_why};
use cog_store::{Cursor, CursorStep, Cursors, DeadLetter, Select, StoreError};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use crate::SqliteStore;
use crate::beside::{Stop, bytes};
use crate::schema::CURSORS_SINCE;

/// A number as the database keeps it.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Cursors for SqliteStore {
    fn take_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        from: u64,
    ) -> Result<Cursor, StoreError> {
        check_consumer(consumer)?;
        self.write("take a cursor", |tx| raise(tx, tenant, consumer, (from, false)))
    }

    fn move_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        step: &CursorStep,
    ) -> Result<(), StoreError> {
        self.write("move a cursor", |tx| {
            let no: Option<i64> = tx
                .prepare_cached(
                    "UPDATE cursor SET next = max(next, ?4)
                     WHERE tenant = ?1 AND consumer = ?2 AND fence = ?3 RETURNING no",
                )?
                .query_row(
                    params![bytes(tenant), consumer, number(step.fence), number(step.next)],
                    |row| row.get(0),
                )
                .optional()?;
            let overtaken = || StoreError::Overtaken { tenant, consumer: consumer.to_owned() };
            let no = no.ok_or_else(overtaken)?;
            let mut revive =
                tx.prepare_cached("DELETE FROM dead_letter WHERE cursor = ?1 AND seq = ?2")?;
            for seq in &step.revived {
                revive.execute([no, number(*seq)])?;
            }
            give_up(tx, no, &step.dead)
        })
    }

    fn set_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        next: u64,
    ) -> Result<Cursor, StoreError> {
        check_consumer(consumer)?;
        self.write("set a cursor", |tx| raise(tx, tenant, consumer, (next, true)))
    }

    fn drop_cursor(&self, tenant: TenantId, consumer: &str) -> Result<bool, StoreError> {
        self.write("drop a cursor", |tx| {
            let no: Option<i64> = tx
                .prepare("DELETE FROM cursor WHERE tenant = ?1 AND consumer = ?2 RETURNING no")?
                .query_row(params![bytes(tenant), consumer], |row| row.get(0))
                .optional()?;
            tx.execute("DELETE FROM dead_letter WHERE cursor = ?1", [no])?;
            Ok(no.is_some())
        })
    }

    fn cursors(&self, tenant: TenantId) -> Result<Vec<Cursor>, StoreError> {
        self.read(("read where consumers stand", CURSORS_SINCE), |db| {
            let cursor = |row: &Row<'_>| {
                Ok(Cursor {
                    consumer: row.get(0)?,
                    next: row.get(1)?,
                    fence: row.get(2)?,
                    dead_letters: row.get(3)?,
                })
            };
            db.prepare_cached(
                "SELECT consumer, next, fence,
                     (SELECT count(*) FROM dead_letter WHERE cursor = cursor.no)
                 FROM cursor WHERE tenant = ?1 ORDER BY consumer",
            )?
            .query_map([bytes(tenant)], cursor)?
            .collect::<rusqlite::Result<Vec<_>>>()
        })
    }

    fn dead_letters(
        &self,
        tenant: TenantId,
        consumer: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        Select { limit, ..Select::default() }.check()?;
        self.read(("read dead letters", CURSORS_SINCE), |db| {
            let letter = |row: &Row<'_>| {
                Ok(DeadLetter {
                    seq: row.get(0)?,
                    attempts: row.get(1)?,
                    at: Timestamp::from_micros(row.get(2)?),
                    why: row.get(3)?,
                })
            };
            db.prepare_cached(
                "SELECT seq, attempts, at, why FROM dead_letter
                 WHERE cursor = (SELECT no FROM cursor WHERE tenant = ?1 AND consumer = ?2)
                 AND seq >= ?3 ORDER BY seq LIMIT ?4",
            )?
            .query_map(params![bytes(tenant), consumer, number(from), limit], letter)?
            .collect::<rusqlite::Result<Vec<_>>>()
        })
    }
}

/// Raise the fence of a cursor, making it if there is none. A new one and one that is set
/// comes to stand at `next`.
fn raise(
    tx: &Transaction<'_>,
    tenant: TenantId,
    consumer: &str,
    (next, is_set): (u64, bool),
) -> Result<Cursor, Stop> {
    let fence: i64 =
        tx.query_row("UPDATE fence SET last = last + 1 RETURNING last", [], |row| row.get(0))?;
    let (no, next) = tx
        .prepare_cached(
            "INSERT INTO cursor (tenant, consumer, next, fence) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (tenant, consumer) DO UPDATE
             SET fence = ?4, next = iif(?5, ?3, next) RETURNING no, next",
        )?
        .query_row(params![bytes(tenant), consumer, number(next), fence, is_set], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, u64>(1)?))
        })?;
    let consumers = "SELECT count(*) FROM cursor WHERE tenant = ?1";
    check_consumers(tx.query_row(consumers, [bytes(tenant)], |row| row.get(0))?)?;
    Ok(Cursor {
        consumer: consumer.to_owned(),
        next,
        fence: fence.unsigned_abs(),
        dead_letters: count_dead(tx, no)?,
    })
}

fn give_up(tx: &Transaction<'_>, no: i64, dead: &[DeadLetter]) -> Result<(), Stop> {
    if dead.is_empty() {
        return Ok(());
    }
    let mut insert = tx.prepare_cached(
        "INSERT INTO dead_letter (cursor, seq, attempts, at, why) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET attempts = ?3, at = ?4, why = ?5",
    )?;
    for letter in dead {
        let (seq, at, why) = (number(letter.seq), letter.at.micros(), kept_why(&letter.why));
        insert.execute(params![no, seq, letter.attempts, at, why])?;
    }
    check_dead_letters(count_dead(tx, no)?)?;
    Ok(())
}

fn count_dead(tx: &Transaction<'_>, no: i64) -> Result<u64, rusqlite::Error> {
    tx.query_row("SELECT count(*) FROM dead_letter WHERE cursor = ?1", [no], |row| row.get(0))
}
