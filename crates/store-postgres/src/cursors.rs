//! Where consumers stand. Any node may deliver for a tenant; the fence of a cursor sees to
//! it that of two who do, one moves it.

use cog_base::Timestamp;
use cog_base::id::TenantId;
use cog_store::cursors::{check_consumer, check_consumers, check_dead_letters, kept_why};
use cog_store::{Cursor, CursorStep, Cursors, DeadLetter, Select, StoreError};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::PostgresStore;
use crate::id::Id;
use crate::link::Link;
use crate::pool::Stop;
use crate::reading::{number, place};

// The fence is drawn while the row is locked, so that who comes later has the greater one.
const TAKE: &str = "INSERT INTO cursor (tenant, consumer, next, fence)
    VALUES ($1, $2, $3, nextval('cursor_fence'))
    ON CONFLICT (tenant, consumer) DO UPDATE SET fence = nextval('cursor_fence')
    RETURNING next, fence";
const SET: &str = "INSERT INTO cursor (tenant, consumer, next, fence)
    VALUES ($1, $2, $3, nextval('cursor_fence'))
    ON CONFLICT (tenant, consumer) DO UPDATE
    SET next = excluded.next, fence = nextval('cursor_fence')
    RETURNING next, fence";
const COUNT: &str = "SELECT count(*) FROM cursor WHERE tenant = $1";
const MOVE: &str = "UPDATE cursor SET next = greatest(next, $4)
    WHERE tenant = $1 AND consumer = $2 AND fence = $3 RETURNING next";
const REVIVE: &str =
    "DELETE FROM dead_letter WHERE tenant = $1 AND consumer = $2 AND seq = ANY ($3)";
const GIVE_UP: &str = "INSERT INTO dead_letter (tenant, consumer, seq, attempts, at, why)
    SELECT $1, $2, * FROM unnest($3::bigint[], $4::integer[], $5::bigint[], $6::text[])
    ON CONFLICT (tenant, consumer, seq) DO UPDATE
    SET attempts = excluded.attempts, at = excluded.at, why = excluded.why";
const COUNT_DEAD: &str = "SELECT count(*) FROM dead_letter WHERE tenant = $1 AND consumer = $2";
const DROP: &str = "DELETE FROM cursor WHERE tenant = $1 AND consumer = $2 RETURNING next";
const DROP_DEAD: &str = "DELETE FROM dead_letter WHERE tenant = $1 AND consumer = $2";
const ALL: &str = "SELECT consumer, next, fence, (SELECT count(*) FROM dead_letter
        WHERE tenant = $1 AND dead_letter.consumer = cursor.consumer)
    FROM cursor WHERE tenant = $1 ORDER BY consumer COLLATE \"C\"";
const DEAD: &str = "SELECT seq, attempts, at, why FROM dead_letter
    WHERE tenant = $1 AND consumer = $2 AND seq >= $3 ORDER BY seq LIMIT $4";

impl Cursors for PostgresStore {
    fn take_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        from: u64,
    ) -> Result<Cursor, StoreError> {
        self.raise("take a cursor", TAKE, (tenant, consumer, from))
    }

    fn move_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        step: &CursorStep,
    ) -> Result<(), StoreError> {
        self.inner.pool.change("move a cursor", tenant, |link| {
            let id = Id::from(tenant);
            let (fence, next) = (place(step.fence), place(step.next));
            if link.query(MOVE, &[&id, &consumer, &fence, &next])?.is_empty() {
                let consumer = consumer.to_owned();
                return Err(StoreError::Overtaken { tenant, consumer }.into());
            }
            if !step.revived.is_empty() {
                let revived: Vec<i64> = step.revived.iter().map(|seq| place(*seq)).collect();
                link.query(REVIVE, &[&id, &consumer, &revived])?;
            }
            if !step.dead.is_empty() {
                give_up(link, id, consumer, &step.dead)?;
                check_dead_letters(count(link, COUNT_DEAD, &[&id, &consumer])?)?;
            }
            Ok(())
        })
    }

    fn set_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        next: u64,
    ) -> Result<Cursor, StoreError> {
        self.raise("set a cursor", SET, (tenant, consumer, next))
    }

    fn drop_cursor(&self, tenant: TenantId, consumer: &str) -> Result<bool, StoreError> {
        self.inner.pool.change("drop a cursor", tenant, |link| {
            let id = Id::from(tenant);
            // First the cursor: whoever moves it waits, and then finds none.
            let dropped = link.query(DROP, &[&id, &consumer])?;
            link.query(DROP_DEAD, &[&id, &consumer])?;
            Ok(!dropped.is_empty())
        })
    }

    fn cursors(&self, tenant: TenantId) -> Result<Vec<Cursor>, StoreError> {
        let cursor = |row: &Row| Cursor {
            consumer: row.get(0),
            next: number(row.get(1)),
            fence: number(row.get(2)),
            dead_letters: number(row.get(3)),
        };
        self.inner.pool.look("read where consumers stand", tenant, |link| {
            Ok(link.query(ALL, &[&Id::from(tenant)])?.iter().map(cursor).collect())
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
        let letter = |row: &Row| DeadLetter {
            seq: number(row.get(0)),
            attempts: row.get::<_, i32>(1).unsigned_abs(),
            at: Timestamp::from_micros(row.get(2)),
            why: row.get(3),
        };
        let (from, limit) = (place(from), place(limit as u64));
        self.inner.pool.look("read dead letters", tenant, |link| {
            let rows = link.query(DEAD, &[&Id::from(tenant), &consumer, &from, &limit])?;
            Ok(rows.iter().map(letter).collect())
        })
    }
}

impl PostgresStore {
    fn raise(
        &self,
        doing: &str,
        sql: &'static str,
        (tenant, consumer, next): (TenantId, &str, u64),
    ) -> Result<Cursor, StoreError> {
        check_consumer(consumer)?;
        self.inner.pool.change(doing, tenant, |link| {
            let id = Id::from(tenant);
            let rows = link.query(sql, &[&id, &consumer, &place(next)])?;
            let lost = || StoreError::corrupt(format!("the cursor of `{consumer}`"));
            let row = rows.first().ok_or_else(lost)?;
            check_consumers(count(link, COUNT, &[&id])?)?;
            Ok(Cursor {
                consumer: consumer.to_owned(),
                next: number(row.get(0)),
                fence: number(row.get(1)),
                dead_letters: count(link, COUNT_DEAD, &[&id, &consumer])?,
            })
        })
    }
}

fn give_up(
    link: &mut Link,
    id: Id,
    consumer: &str,
    dead: &[DeadLetter],
) -> Result<(), tokio_postgres::Error> {
    // The last one of an entry counts, as it would one by one.
    let by_seq: std::collections::BTreeMap<u64, &DeadLetter> =
        dead.iter().map(|letter| (letter.seq, letter)).collect();
    let seqs: Vec<i64> = by_seq.keys().map(|seq| place(*seq)).collect();
    let attempts: Vec<i32> =
        by_seq.values().map(|letter| i32::try_from(letter.attempts).unwrap_or(i32::MAX)).collect();
    let at: Vec<i64> = by_seq.values().map(|letter| letter.at.micros()).collect();
    // The database keeps no NUL in a text.
    let why: Vec<String> =
        by_seq.values().map(|letter| kept_why(&letter.why).replace('\0', " ")).collect();
    link.query(GIVE_UP, &[&id, &consumer, &seqs, &attempts, &at, &why]).map(drop)
}

fn count(link: &mut Link, sql: &'static str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, Stop> {
    Ok(link.query(sql, values)?.first().map_or(0, |row| number(row.get(0))))
}
