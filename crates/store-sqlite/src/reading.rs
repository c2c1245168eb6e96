//! Reading: connections that each hold one unchanging state, and a tenant's scope of it.

mod chains;
mod look;
mod select;
mod sessions;

pub(crate) use sessions::Checked;

use std::sync::{Mutex, PoisonError};

use cog_base::id::{RunId, TenantId};
use cog_base::json::{Value, parse};
use cog_base::{Digest, Timestamp};
use cog_ledger::body::commitment;
use cog_ledger::bundle::CanonFiles;
use cog_ledger::merkle::Frontier;
use cog_ledger::{Checkpoint, Entry, Tail};
use cog_store::vault::open_body;
use cog_store::{Files, OpenBody, Pruned, Recorded, Select, Session, StoreError, TenantTx};
use rusqlite::{Connection, OptionalExtension as _, Params, params};

use crate::Inner;
use crate::connect;
use crate::entries;
use crate::error::failed;
use crate::folder::Folder;
use crate::log::{Log, Vault};
use crate::place::LEVEL_STEP;
use crate::writing::read_subject_key;

/// The most idle connections that are kept.
const IDLE_MAX: usize = 8;
/// The leaf hashes of so many entries lie together once they are pruned.
pub(crate) const SEGMENT: u64 = 256;
const DIGEST_BYTES: usize = 32;

/// Connections that wait for work.
#[derive(Default)]
pub(crate) struct Readers(Mutex<Vec<Connection>>);

impl Readers {
    pub(crate) fn take(&self, folder: &Folder) -> Result<Connection, StoreError> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| connect::for_reading(folder), Ok)
    }

    pub(crate) fn give(&self, db: Connection) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(db);
        }
    }
}

/// One tenant's part of the state at the time it was opened.
pub(crate) struct Scope<'a> {
    inner: &'a Inner,
    /// Taken out only when the scope ends.
    db: Option<Connection>,
    tenant: TenantId,
    log: Option<Log>,
}

impl<'a> Scope<'a> {
    pub(crate) fn open(inner: &'a Inner, tenant: TenantId) -> Result<Self, StoreError> {
        let db = inner.readers.take(&inner.folder)?;
        db.execute_batch("BEGIN").map_err(|error| failed("read a log", error))?;
        let mut scope = Self { inner, db: Some(db), tenant, log: None };
        let log = Log::read(scope.db(), &inner.vault, tenant)?;
        scope.log = log.filter(|log| log.end.size > 0);
        Ok(scope)
    }

    #[expect(clippy::expect_used, reason = "INVARIANT: the connection leaves only in drop")]
    fn db(&self) -> &Connection {
        self.db.as_ref().expect("the scope has ended")
    }

    fn damaged(&self, what: &str) -> StoreError {
        StoreError::corrupt(format!("{what} of {}", self.tenant))
    }

    fn digest(&self, bytes: &[u8], what: &str) -> Result<Digest, StoreError> {
        let bytes = bytes.try_into().map_err(|_| self.damaged(what))?;
        Ok(Digest::from_bytes(bytes))
    }

    fn entry_at(&self, log: &Log, seq: u64) -> Result<Option<Entry>, StoreError> {
        Ok(entries::read(self.db(), log, seq)?.map(|found| found.entry))
    }

    fn frontier(&self, log: &Log) -> Result<Frontier, StoreError> {
        let roots = log.end.frontier.chunks(DIGEST_BYTES);
        let roots = roots.map(|root| self.digest(root, "the tree")).collect::<Result<_, _>>()?;
        Frontier::from_roots(log.end.size, roots).map_err(|_| self.damaged("the tree"))
    }

    /// The leaf hash of an entry that was pruned.
    fn pruned_leaf(&self, log: &Log, seq: u64) -> Result<Option<Digest>, StoreError> {
        let begin = seq - seq % SEGMENT;
        let hashes: Option<Vec<u8>> = self
            .db()
            .prepare_cached("SELECT hashes FROM tile WHERE place = ?1")
            .and_then(|mut read| {
                read.query_row([log.range().place(begin)], |row| row.get(0)).optional()
            })
            .map_err(|error| failed("read a leaf hash", error))?;
        let Some(hashes) = hashes else { return Ok(None) };
        let nth = usize::try_from(seq - begin).unwrap_or(usize::MAX);
        let hash = hashes.chunks_exact(DIGEST_BYTES).nth(nth);
        hash.map(|hash| self.digest(hash, "a leaf hash")).transpose()
    }

    /// The newest signed head, which must be that of the tree.
    fn head(&self, log: &Log) -> Result<Checkpoint, StoreError> {
        let damaged = || self.damaged("the signed head");
        let size = log.end.size;
        let head = self.heads(log, size, 1)?.into_iter().next().ok_or_else(damaged)?;
        let is_own = head.size() == size && head.root() == self.frontier(log)?.root();
        if is_own { Ok(head) } else { Err(damaged()) }
    }

    fn heads(&self, log: &Log, size: u64, limit: usize) -> Result<Vec<Checkpoint>, StoreError> {
        let (range, pruned) = (log.range(), log.end.pruned.entries);
        let sql = "SELECT note FROM checkpoint WHERE place >= ?1 AND place <= ?2
             ORDER BY place LIMIT ?3";
        let mut heads = self.notes(sql, params![range.place(size), range.place(pruned), limit])?;
        let sql = "SELECT head FROM entry WHERE place >= ?1 AND place < ?2 AND head IS NOT NULL
             ORDER BY place LIMIT ?3";
        let from = range.place(size.saturating_sub(1).max(pruned));
        let rest = limit.saturating_sub(heads.len());
        heads.extend(self.notes(sql, params![from, range.place(log.end.size), rest])?);
        Ok(heads)
    }

    fn notes(&self, sql: &str, params: impl Params) -> Result<Vec<Checkpoint>, StoreError> {
        let cannot = |error| failed("read a signed head", error);
        let mut read = self.db().prepare_cached(sql).map_err(cannot)?;
        let notes = read.query_map(params, |row| row.get::<_, String>(0)).map_err(cannot)?;
        let parse = |note: rusqlite::Result<String>| {
            let damaged = |_| self.damaged("a signed head");
            Checkpoint::parse(&note.map_err(cannot)?).map_err(damaged)
        };
        notes.map(parse).collect()
    }
}

/// The body of an entry, if it is kept and its key was not destroyed.
pub(crate) fn body_at(
    db: &Connection,
    vault: &Vault,
    log: &Log,
    entry: &Entry,
) -> Result<Option<OpenBody>, StoreError> {
    let seq = entry.seq();
    let row: Option<(Option<i64>, Vec<u8>)> = db
        .prepare_cached("SELECT key, sealed FROM body WHERE place = ?1")
        .and_then(|mut read| {
            let place = log.range().place(seq);
            read.query_row([place], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .map_err(|error| failed("read a body", error))?;
    let Some((subject, sealed)) = row else { return Ok(None) };
    let key = match subject {
        None => Some(log.key.clone()),
        // Always from the database: a key that another process destroyed must not go on
        // living in the memory of this one.
        Some(no) => read_subject_key(db, vault, log.tenant, no)?,
    };
    let Some(key) = key else { return Ok(None) };
    let body = open_body(&key, (log.tenant, seq), &sealed)?;
    if entry.commit() != Some(commitment(&body.salt, &body.bytes)) {
        return Err(log.damaged(&format!("the body of entry {seq}")));
    }
    Ok(Some(body))
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        // A connection that cannot end its reading is not used again.
        if let Some(db) = self.db.take()
            && db.execute_batch("ROLLBACK").is_ok()
        {
            self.inner.readers.give(db);
        }
    }
}

impl TenantTx for Scope<'_> {
    fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn tail(&self) -> Result<Option<Tail>, StoreError> {
        let Some(log) = &self.log else { return Ok(None) };
        let last_leaf = self.digest(&log.end.last_leaf, "the end of the log")?;
        let last = self.entry_at(log, log.end.size.saturating_sub(1))?;
        if last.is_none_or(|last| last.leaf() != last_leaf) {
            return Err(self.damaged("the end of the log"));
        }
        Ok(Some(Tail {
            frontier: self.frontier(log)?,
            last_leaf,
            last_at: Timestamp::from_micros(log.end.last_at),
            checkpoint: self.head(log)?,
        }))
    }

    fn entry(&self, seq: u64) -> Result<Option<Entry>, StoreError> {
        self.log.as_ref().map_or(Ok(None), |log| self.entry_at(log, seq))
    }

    fn select(&self, select: &Select) -> Result<Vec<Entry>, StoreError> {
        select.check()?;
        self.log.as_ref().map_or_else(|| Ok(Vec::new()), |log| self.page(log, select))
    }

    fn body(&self, seq: u64) -> Result<Option<OpenBody>, StoreError> {
        let Some(log) = &self.log else { return Ok(None) };
        let Some(entry) = self.entry_at(log, seq)? else { return Ok(None) };
        body_at(self.db(), &self.inner.vault, log, &entry)
    }

    /// Beside the entry, which is not read again.
    fn with_bodies(&self, entries: Vec<Entry>) -> Result<Vec<Recorded>, StoreError> {
        let Some(log) = &self.log else { return Ok(Vec::new()) };
        let (db, vault) = (self.db(), &self.inner.vault);
        let with_body = |entry: Entry| Ok((body_at(db, vault, log, &entry)?, entry));
        let found = entries.into_iter().map(with_body);
        found.map(|found| found.map(|(body, entry)| (entry, body))).collect()
    }

    fn leaf(&self, seq: u64) -> Result<Option<Digest>, StoreError> {
        let Some(log) = self.log.as_ref().filter(|log| seq < log.end.size) else { return Ok(None) };
        match entries::read_links(self.db(), log, log.range().place(seq))? {
            Some((_, leaf)) => Ok(Some(leaf)),
            None => self.pruned_leaf(log, seq),
        }
    }

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, StoreError> {
        let Some(log) = self.log.as_ref().filter(|_| level.is_multiple_of(LEVEL_STEP)) else {
            return Ok(None);
        };
        let hash: Option<Vec<u8>> = self
            .db()
            .prepare_cached("SELECT hash FROM node WHERE place = ?1")
            .and_then(|mut read| {
                read.query_row([log.range().node(level, index)], |row| row.get(0)).optional()
            })
            .map_err(|error| failed("read a subtree root", error))?;
        hash.map(|hash| self.digest(&hash, "a subtree root")).transpose()
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        self.log.as_ref().map(|log| self.head(log)).transpose()
    }

    fn checkpoints(&self, size: u64, limit: usize) -> Result<Vec<Checkpoint>, StoreError> {
        Select { limit, ..Select::default() }.check()?;
        self.log.as_ref().map_or_else(|| Ok(Vec::new()), |log| self.heads(log, size, limit))
    }

    fn open_sessions(&self) -> Result<Vec<RunId>, StoreError> {
        self.log.as_ref().map_or_else(|| Ok(Vec::new()), |log| self.open_runs(log))
    }

    fn sessions(&self, limit: usize) -> Result<Vec<Session>, StoreError> {
        Select { limit, ..Select::default() }.check()?;
        self.log.as_ref().map_or_else(|| Ok(Vec::new()), |log| self.newest_runs(log, limit))
    }

    fn session(&self, id: RunId) -> Result<Option<Session>, StoreError> {
        self.log.as_ref().map_or(Ok(None), |log| self.run(log, id))
    }

    fn canon(&self, digest: Digest) -> Result<Option<Files>, StoreError> {
        let tenant = self.tenant.uuid().as_u128().to_be_bytes();
        let text: Option<String> = self
            .db()
            .prepare_cached("SELECT files FROM canon WHERE tenant = ?1 AND digest = ?2")
            .and_then(|mut read| {
                read.query_row(params![tenant, digest.as_bytes()], |row| row.get(0)).optional()
            })
            .map_err(|error| failed("read a canon", error))?;
        let Some(text) = text else { return Ok(None) };
        let damaged = || self.damaged("a canon");
        let Ok(Value::Map(files)) = parse(&text) else { return Err(damaged()) };
        let file = |(path, text): (String, Value)| {
            text.as_text().map(|text| (path, text.to_owned())).ok_or_else(damaged)
        };
        let files = files.into_iter().map(file).collect::<Result<_, _>>()?;
        let canon = CanonFiles { digest, files };
        if canon.computed() == digest { Ok(Some(canon.files)) } else { Err(damaged()) }
    }

    fn pruned(&self) -> Result<Pruned, StoreError> {
        Ok(self.log.as_ref().map(|log| log.end.pruned).unwrap_or_default())
    }
}
