//! What an administrator puts and removes.

use std::ops;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use cog_base::Digest;
use cog_base::id::TenantId;
use cog_base::json::Value;
use cog_ledger::Entry;
use cog_store::index::id_key;
use cog_store::vault::Which;
use cog_store::{Cut, Erasable, Erased, Files, Keep, StoreError};
use rusqlite::{Connection, Transaction, params};

use crate::entries;
use crate::error::{failed, on_path};
use crate::folder::sync_folder;
use crate::log::Log;
use crate::place::Range;
use crate::reading::SEGMENT;
use crate::writing::{Writing, begin, find_subject};
use crate::{SqliteStore, wal};

/// Rows removed in one transaction, so that commits of the ledger come in between.
const ROWS_MAX: u64 = 4_096;

impl SqliteStore {
    /// The same as [`Keep::erase`], of the subject that entries name by this digest: for whoever
    /// finishes what was recorded.
    ///
    /// # Errors
    /// As [`Keep::erase`].
    pub fn erase_named(&self, tenant: TenantId, name: Digest) -> Result<u64, StoreError> {
        let mut writing = self.inner().writing()?;
        let Some(log) = writing.extent(tenant)? else { return Ok(0) };
        let Some(key) = find_subject(&writing.db, log.no, name)? else { return Ok(0) };
        writing.is_touched = true;
        let bodies = destroy_key(&writing.db, key)?;
        writing.subjects.remove(&(log.no, name));
        writing.vault.forget(Which::Subject(key));
        drop(writing);
        // From here on nothing of them can be read; the rest is making room.
        while remove_bodies_of(&*self.inner().writing()?, key)? > 0 {}
        self.wipe()?;
        Ok(bodies)
    }
}

impl Keep for SqliteStore {
    fn put_canon(&self, tenant: TenantId, digest: Digest, files: &Files) -> Result<(), StoreError> {
        let text = Value::map(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
        let text = String::from_utf8_lossy(&text.canonical()).into_owned();
        let mut writing = self.inner().writing()?;
        writing.is_touched = true;
        let row = params![tenant.uuid().as_u128().to_be_bytes(), digest.as_bytes(), text];
        let tx = begin(&writing.db)?;
        tx.execute(
            "INSERT INTO canon (tenant, digest, files) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET files = ?3",
            row,
        )
        .and_then(|_| tx.commit())
        .map_err(|error| failed("keep a canon", error))
    }

    fn erasable(&self, tenant: TenantId, subject: &str) -> Result<Erasable, StoreError> {
        let name = self.inner().vault.subject(tenant, subject);
        let none = Erasable { subject: name, entries: Vec::new() };
        let mut writing = self.inner().writing()?;
        let Some(log) = writing.extent(tenant)? else { return Ok(none) };
        let Some(key) = find_subject(&writing.db, log.no, name)? else { return Ok(none) };
        let range = Range::of(log.no);
        let mut find = writing
            .db
            .prepare_cached("SELECT place FROM body WHERE key = ?1 ORDER BY place")
            .map_err(|error| failed("find the bodies of a subject", error))?;
        let entries = find
            .query_map([key], |row| Ok(range.seq(row.get(0)?)))
            .and_then(Iterator::collect)
            .map_err(|error| failed("find the bodies of a subject", error))?;
        Ok(Erasable { subject: name, entries })
    }

    fn erase(&self, tenant: TenantId, subject: &str) -> Result<Erased, StoreError> {
        let name = self.inner().vault.subject(tenant, subject);
        Ok(Erased { subject: name, bodies: self.erase_named(tenant, name)? })
    }

    fn bodies(
        &self,
        tenant: TenantId,
        range: ops::Range<u64>,
    ) -> Result<Vec<(u64, u64)>, StoreError> {
        let inner = self.inner();
        let db = inner.readers.take(&inner.folder)?;
        let log = Log::read(&db, &inner.vault, tenant)?;
        let kept = log.map(|log| kept(&db, log.range(), range)).transpose()?;
        inner.readers.give(db);
        Ok(kept.unwrap_or_default())
    }

    fn erase_bodies(&self, tenant: TenantId, entries: &[u64]) -> Result<u64, StoreError> {
        let mut removed = 0;
        for some in entries.chunks(ROWS_MAX as usize) {
            let mut writing = self.inner().writing()?;
            let Some(log) = writing.extent(tenant)? else { return Ok(0) };
            writing.is_touched = true;
            removed += remove_bodies(&writing.db, Range::of(log.no), some)?;
        }
        self.wipe()?;
        Ok(removed)
    }

    fn prune_bodies(&self, tenant: TenantId, before: u64) -> Result<Cut, StoreError> {
        let Some(log) = self.inner().writing()?.extent(tenant)? else { return Ok(nothing()) };
        let from = log.pruned.bodies;
        let to = before.min(log.size).max(from);
        let (mut at, mut removed) = (from, 0);
        while at < to {
            let next = to.min(at + ROWS_MAX);
            let prune = |tx: &Transaction<'_>, log: &mut Log| prune_some_bodies(tx, log, next);
            removed += self.inner().writing()?.change(tenant, prune)?.unwrap_or(0);
            at = next;
        }
        self.wipe()?;
        Ok(Cut { from, to, removed })
    }

    fn prunable(&self, tenant: TenantId, before: u64) -> Result<ops::Range<u64>, StoreError> {
        let Some(log) = self.inner().writing()?.extent(tenant)? else { return Ok(0..0) };
        let last = log.size.saturating_sub(1);
        let to = before.min(log.first_open.map_or(last, |first| first.min(last)));
        let from = log.pruned.entries;
        Ok(from..(to - to % SEGMENT).max(from))
    }

    fn prune_entries(&self, tenant: TenantId, before: u64) -> Result<Cut, StoreError> {
        let ops::Range { start: from, end: to } = self.prunable(tenant, before)?;
        let (mut at, mut removed) = (from, 0);
        while at < to {
            let next = to.min(at + ROWS_MAX);
            let prune = |tx: &Transaction<'_>, log: &mut Log| prune_segments(tx, log, (at, next));
            removed += self.inner().writing()?.change(tenant, prune)?.unwrap_or(0);
            at = next;
        }
        self.wipe()?;
        Ok(Cut { from, to, removed })
    }

    fn backup(&self, path: &Path) -> Result<(), StoreError> {
        let made = std::fs::DirBuilder::new().mode(0o700).create(path);
        made.map_err(on_path("create the folder", path))?;
        let copy = path.join("ledger.db");
        let db = self.inner().readers.take(&self.inner().folder)?;
        let target = copy.to_string_lossy().into_owned();
        db.execute("VACUUM INTO ?1", [target]).map_err(|error| failed("write a backup", error))?;
        self.inner().readers.give(db);
        let synced = std::fs::File::open(&copy).and_then(|file| file.sync_all());
        synced.map_err(on_path("sync", &copy))?;
        sync_folder(path)
    }
}

impl SqliteStore {
    /// Write over what was removed: the database at once, as it is set to, and the
    /// write-ahead log by emptying it. For a reader that holds an older state it is waited a
    /// moment; with one that stays, what was removed stands in the files.
    fn wipe(&self) -> Result<(), StoreError> {
        let writing = self.inner().writing()?;
        let busy: i64 = writing
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|error| failed("empty the write-ahead log", error))?;
        let folder = &self.inner().folder;
        if busy != 0 {
            return Err(StoreError::Unwiped { folder: folder.path().to_owned() });
        }
        wal::grow(folder)
    }
}

const fn nothing() -> Cut {
    Cut { from: 0, to: 0, removed: 0 }
}

/// Destroy a subject's key. Returns how many bodies nobody can open any more.
fn destroy_key(db: &Connection, key: i64) -> Result<u64, StoreError> {
    let cannot = |error| failed("destroy the key of a subject", error);
    let tx = begin(db)?;
    let bodies = tx
        .query_row("SELECT count(*) FROM body WHERE key = ?1", [key], |row| row.get(0))
        .map_err(cannot)?;
    tx.execute("DELETE FROM subject_key WHERE no = ?1", [key]).map_err(cannot)?;
    tx.commit().map_err(cannot)?;
    Ok(bodies)
}

fn remove_bodies_of(writing: &Writing, key: i64) -> Result<usize, StoreError> {
    let tx = begin(&writing.db)?;
    let removed = tx.execute(
        "DELETE FROM body WHERE place IN (SELECT place FROM body WHERE key = ?1 LIMIT ?2)",
        params![key, ROWS_MAX],
    );
    let removed = removed.and_then(|count| tx.commit().map(|()| count));
    removed.map_err(|error| failed("remove the bodies of a subject", error))
}

/// The bodies of a range, each with the bytes that it takes.
fn kept(
    db: &Connection,
    places: Range,
    range: ops::Range<u64>,
) -> Result<Vec<(u64, u64)>, StoreError> {
    let cannot = |error| failed("find the bodies of a log", error);
    let mut find = db
        .prepare_cached(
            "SELECT place, length(sealed) FROM body WHERE place >= ?1 AND place < ?2
             ORDER BY place",
        )
        .map_err(cannot)?;
    let span = [places.place(range.start), places.place(range.end)];
    find.query_map(span, |row| Ok((places.seq(row.get(0)?), row.get::<_, u32>(1)?.into())))
        .and_then(Iterator::collect)
        .map_err(cannot)
}

fn remove_bodies(db: &Connection, range: Range, entries: &[u64]) -> Result<u64, StoreError> {
    let cannot = |error| failed("remove bodies", error);
    let tx = begin(db)?;
    let mut removed = 0;
    {
        let mut remove = tx.prepare_cached("DELETE FROM body WHERE place = ?1").map_err(cannot)?;
        for seq in entries {
            removed += remove.execute([range.place(*seq)]).map_err(cannot)? as u64;
        }
    }
    tx.commit().map_err(cannot)?;
    Ok(removed)
}

fn prune_some_bodies(tx: &Transaction<'_>, log: &mut Log, to: u64) -> Result<u64, StoreError> {
    let span = [log.range().place(0), log.range().place(to)];
    let removed = tx
        .execute("DELETE FROM body WHERE place >= ?1 AND place < ?2", span)
        .map_err(|error| failed("prune bodies", error))?;
    log.end.pruned.bodies = to;
    Ok(removed as u64)
}

/// Remove the entries of runs in some whole segments, and keep their leaf hashes.
fn prune_segments(
    tx: &Transaction<'_>,
    log: &mut Log,
    (from, to): (u64, u64),
) -> Result<u64, StoreError> {
    let cannot = |error| failed("prune entries", error);
    let range = log.range();
    let mut begin = from;
    while begin < to {
        let hashes = leaves(tx, log, begin)?;
        tx.execute(
            "INSERT INTO tile (place, hashes) VALUES (?1, ?2)",
            params![range.place(begin), hashes],
        )
        .map_err(cannot)?;
        begin += SEGMENT;
    }
    let span = [range.place(from), range.place(to)];
    unindex(tx, span)?;
    let heads = "INSERT INTO checkpoint (place, note) SELECT place + 1, head FROM entry
         WHERE place >= ?1 AND place < ?2 AND head IS NOT NULL";
    tx.execute(heads, span).map_err(cannot)?;
    let removed = tx
        .execute("DELETE FROM entry WHERE place >= ?1 AND place < ?2 AND back IS NOT NULL", span)
        .map_err(cannot)?;
    tx.execute(
        "DELETE FROM body WHERE place >= ?1 AND place < ?2
         AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.place = body.place)",
        span,
    )
    .map_err(cannot)?;
    let ended = [range.place(0), range.place(to)];
    tx.execute(
        "DELETE FROM session_mark WHERE session >= ?1 AND place >= ?1 AND place < ?2",
        ended,
    )
    .map_err(cannot)?;
    tx.execute("DELETE FROM session WHERE first >= ?1 AND first < ?2 AND last < ?2", ended)
        .map_err(cannot)?;
    log.end.pruned.entries = to;
    Ok(removed as u64)
}

fn leaves(tx: &Transaction<'_>, log: &Log, begin: u64) -> Result<Vec<u8>, StoreError> {
    let mut leaves = Vec::new();
    for seq in begin..begin + SEGMENT {
        let found = entries::read_links(tx, log, log.range().place(seq))?;
        let (_, leaf) = found.ok_or_else(|| log.damaged(&format!("entry {seq}")))?;
        leaves.extend_from_slice(leaf.as_bytes());
    }
    Ok(leaves)
}

/// Remove what the entries of runs in a span are found by.
fn unindex(tx: &Transaction<'_>, span: [i64; 2]) -> Result<(), StoreError> {
    let cannot = |error| failed("prune entries", error);
    let prepare = |sql| tx.prepare_cached(sql).map_err(cannot);
    let mut read = prepare(
        "SELECT place, kind, bytes FROM entry
         WHERE place >= ?1 AND place < ?2 AND back IS NOT NULL",
    )?;
    let mut by_id = prepare("DELETE FROM entry_id WHERE key = ?1 AND place = ?2")?;
    let mut by_kind = prepare("DELETE FROM entry_kind WHERE kind = ?1 AND place = ?2")?;
    let mut rows = read.query(span).map_err(cannot)?;
    while let Some(row) = rows.next().map_err(cannot)? {
        let (place, kind): (i64, i64) = (row.get(0).map_err(cannot)?, row.get(1).map_err(cannot)?);
        let bytes: Vec<u8> = row.get(2).map_err(cannot)?;
        by_kind.execute([kind, place]).map_err(cannot)?;
        // What cannot be read has no id; its row goes like the others.
        let id = Entry::parse(&bytes).ok().and_then(|entry| entry.id().map(id_key));
        if let Some(key) = id {
            by_id.execute([key, place]).map_err(cannot)?;
        }
    }
    Ok(())
}
