//! What an administrator puts and removes. Any node may: the rows of a log are locked where
//! its writer would be in the way.

use std::ops::Range;
use std::path::Path;

use cog_base::Digest;
use cog_base::id::TenantId;
use cog_base::json::Value;
use cog_store::{Cut, Erasable, Erased, Files, Keep, StoreError};
use tokio_postgres::types::ToSql;

use crate::PostgresStore;
use crate::id::{Hash, Id};
use crate::link::Link;
use crate::pool::Stop;
use crate::reading::{SEGMENT, number, place};

/// Rows removed in one transaction, so that commits of the ledger come in between.
const ROWS_MAX: u64 = 4_096;

const PUT_CANON: &str = "INSERT INTO canon (tenant, digest, files) VALUES ($1, $2, $3)
    ON CONFLICT (tenant, digest) DO UPDATE SET files = excluded.files";
const DESTROY: &str = "DELETE FROM subject_key WHERE tenant = $1 AND subject = $2 RETURNING no";
const COUNT_SEALED: &str = "SELECT count(*) FROM body WHERE tenant = $1 AND key = $2";
const SEALED: &str = "SELECT seq FROM body WHERE tenant = $1 AND key IN (
        SELECT no FROM subject_key WHERE tenant = $1 AND subject = $2) ORDER BY seq";
const REMOVE_SEALED: &str = "WITH gone AS (DELETE FROM body WHERE tenant = $1 AND seq IN (
        SELECT seq FROM body WHERE tenant = $1 AND key = $2 LIMIT $3) RETURNING 1)
    SELECT count(*) FROM gone";
const KEPT: &str = "SELECT seq, octet_length(sealed) FROM body
    WHERE tenant = $1 AND seq >= $2 AND seq < $3 ORDER BY seq";
const REMOVE: &str = "WITH gone AS (
        DELETE FROM body WHERE tenant = $1 AND seq = ANY ($2) RETURNING 1)
    SELECT count(*) FROM gone";
const MARKS: &str = "SELECT size, bodies_from, entries_from, (
        SELECT min(first) FROM session WHERE tenant = $1 AND status IS NULL)
    FROM log WHERE tenant = $1";
const PRUNE_BODIES: &str = "WITH gone AS (
        DELETE FROM body WHERE tenant = $1 AND seq < $2 RETURNING 1)
    SELECT count(*) FROM gone";
const BODIES_FROM: &str = "UPDATE log SET bodies_from = $2 WHERE tenant = $1";
const TILES: &str = "INSERT INTO tile (tenant, seq, hashes)
    SELECT $1, seq - seq % 256, string_agg(leaf, ''::bytea ORDER BY seq)
    FROM entry WHERE tenant = $1 AND seq >= $2 AND seq < $3 GROUP BY seq - seq % 256
    RETURNING octet_length(hashes)";
const PRUNE_ENTRIES: &str = "WITH gone AS (DELETE FROM entry
        WHERE tenant = $1 AND seq >= $2 AND seq < $3 AND session IS NOT NULL RETURNING 1)
    SELECT count(*) FROM gone";
const PRUNE_THEIR_BODIES: &str = "DELETE FROM body
    WHERE tenant = $1 AND seq >= $2 AND seq < $3 AND NOT EXISTS (
        SELECT FROM entry WHERE tenant = $1 AND entry.seq = body.seq)";
const PRUNE_RUNS: &str = "DELETE FROM session WHERE tenant = $1 AND last < $2";
const ENTRIES_FROM: &str = "UPDATE log SET entries_from = $2 WHERE tenant = $1";

/// The marks of a log.
struct Marks {
    size: u64,
    bodies_from: u64,
    entries_from: u64,
    first_open: Option<u64>,
}

impl Keep for PostgresStore {
    fn put_canon(&self, tenant: TenantId, digest: Digest, files: &Files) -> Result<(), StoreError> {
        let text = Value::map(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
        let text = String::from_utf8_lossy(&text.canonical()).into_owned();
        let values: &[&(dyn ToSql + Sync)] = &[&Id::from(tenant), &Hash(digest), &text];
        self.inner.pool.change("keep a canon", tenant, |link| {
            link.query(PUT_CANON, values)?;
            Ok(())
        })
    }

    fn erasable(&self, tenant: TenantId, subject: &str) -> Result<Erasable, StoreError> {
        let name = self.inner.vault.subject(tenant, subject);
        let entries = self.inner.pool.look("find the bodies of a subject", tenant, |link| {
            let rows = link.query(SEALED, &[&Id::from(tenant), &Hash(name)])?;
            Ok(rows.iter().map(|row| number(row.get(0))).collect())
        })?;
        Ok(Erasable { subject: name, entries })
    }

    fn erase(&self, tenant: TenantId, subject: &str) -> Result<Erased, StoreError> {
        let name = self.inner.vault.subject(tenant, subject);
        let id = Id::from(tenant);
        let destroyed = self.inner.pool.change("destroy the key of a subject", tenant, |link| {
            // Waits for a commit that uses the key; what that writes is then counted.
            let rows = link.query(DESTROY, &[&id, &Hash(name)])?;
            let Some(row) = rows.first() else { return Ok(None) };
            let no: i64 = row.get(0);
            Ok(Some((no, count(link, COUNT_SEALED, &[&id, &no])?)))
        })?;
        let Some((no, bodies)) = destroyed else { return Ok(Erased { subject: name, bodies: 0 }) };
        // From here on nothing of them can be read; the rest is making room.
        let limit = place(ROWS_MAX);
        let remove = |link: &mut Link| Ok(count(link, REMOVE_SEALED, &[&id, &no, &limit])?);
        while self.inner.pool.change("remove the bodies of a subject", tenant, remove)? > 0 {}
        Ok(Erased { subject: name, bodies })
    }

    fn bodies(&self, tenant: TenantId, range: Range<u64>) -> Result<Vec<(u64, u64)>, StoreError> {
        let (id, from, to) = (Id::from(tenant), place(range.start), place(range.end));
        self.inner.pool.look("find the bodies of a log", tenant, |link| {
            let rows = link.query(KEPT, &[&id, &from, &to])?;
            let kept = |row: &tokio_postgres::Row| {
                (number(row.get(0)), number(row.get::<_, i32>(1).into()))
            };
            Ok(rows.iter().map(kept).collect())
        })
    }

    fn erase_bodies(&self, tenant: TenantId, entries: &[u64]) -> Result<u64, StoreError> {
        let (id, mut removed) = (Id::from(tenant), 0);
        for some in entries.chunks(ROWS_MAX as usize) {
            let places: Vec<i64> = some.iter().map(|seq| place(*seq)).collect();
            removed += self.inner.pool.change("remove bodies", tenant, |link| {
                Ok(count(link, REMOVE, &[&id, &places])?)
            })?;
        }
        Ok(removed)
    }

    fn prune_bodies(&self, tenant: TenantId, before: u64) -> Result<Cut, StoreError> {
        let Some(marks) = self.marks(tenant)? else { return Ok(nothing()) };
        let (from, to) = (marks.bodies_from, before.min(marks.size).max(marks.bodies_from));
        let (mut at, mut removed) = (from, 0);
        while at < to {
            at = to.min(at + ROWS_MAX);
            let (id, end) = (Id::from(tenant), place(at));
            removed += self.inner.pool.change("prune bodies", tenant, |link| {
                let removed = count(link, PRUNE_BODIES, &[&id, &end])?;
                link.query(BODIES_FROM, &[&id, &end])?;
                Ok(removed)
            })?;
        }
        Ok(Cut { from, to, removed })
    }

    fn prunable(&self, tenant: TenantId, before: u64) -> Result<Range<u64>, StoreError> {
        let Some(marks) = self.marks(tenant)? else { return Ok(0..0) };
        let last = marks.size.saturating_sub(1);
        let to = before.min(marks.first_open.map_or(last, |first| first.min(last)));
        Ok(marks.entries_from..(to - to % SEGMENT).max(marks.entries_from))
    }

    fn prune_entries(&self, tenant: TenantId, before: u64) -> Result<Cut, StoreError> {
        let Range { start: from, end: to } = self.prunable(tenant, before)?;
        let (mut at, mut removed) = (from, 0);
        while at < to {
            let next = to.min(at + ROWS_MAX);
            let prune = |link: &mut Link| prune_segments(link, tenant, (at, next));
            removed += self.inner.pool.change("prune entries", tenant, prune)?;
            at = next;
        }
        Ok(Cut { from, to, removed })
    }

    /// A node is not who backs a server up: this is always refused.
    fn backup(&self, _: &Path) -> Result<(), StoreError> {
        let why = "the server's own tools do that, for all nodes at once: continuous archiving \
                   with pg_basebackup, or pg_dump as a role with BYPASSRLS";
        Err(StoreError::io("write a backup of a PostgreSQL database from a node", why))
    }
}

impl PostgresStore {
    fn marks(&self, tenant: TenantId) -> Result<Option<Marks>, StoreError> {
        self.inner.pool.look("read what was pruned", tenant, |link| {
            let rows = link.query(MARKS, &[&Id::from(tenant)])?;
            Ok(rows.first().map(|row| Marks {
                size: number(row.get(0)),
                bodies_from: number(row.get(1)),
                entries_from: number(row.get(2)),
                first_open: row.get::<_, Option<i64>>(3).map(number),
            }))
        })
    }
}

const fn nothing() -> Cut {
    Cut { from: 0, to: 0, removed: 0 }
}

fn count(
    link: &mut Link,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<u64, tokio_postgres::Error> {
    let rows = link.query(sql, values)?;
    Ok(rows.first().map_or(0, |row| number(row.get(0))))
}

/// Remove the entries of runs in some whole segments, and keep their leaf hashes.
fn prune_segments(link: &mut Link, tenant: TenantId, (from, to): (u64, u64)) -> Result<u64, Stop> {
    let (id, begin, end) = (Id::from(tenant), place(from), place(to));
    let span: &[&(dyn ToSql + Sync)] = &[&id, &begin, &end];
    let tiles = link.query(TILES, span)?;
    let is_whole = tiles.iter().all(|row| number(row.get::<_, i32>(0).into()) == SEGMENT * 32);
    if !is_whole || tiles.len() as u64 != (to - from) / SEGMENT {
        return Err(
            StoreError::corrupt(format!("the segments from entry {from} of {tenant}")).into()
        );
    }
    let removed = count(link, PRUNE_ENTRIES, span)?;
    link.query(PRUNE_THEIR_BODIES, span)?;
    link.query(PRUNE_RUNS, &[&id, &end])?;
    link.query(ENTRIES_FROM, &[&id, &end])?;
    Ok(removed)
}
