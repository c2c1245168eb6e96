//! Reading: a tenant's scope of one unchanging state.

mod bodies;
mod select;
mod tree;

use std::cell::RefCell;

use cog_base::cipher::Key;
use cog_base::id::{RunId, TenantId};
use cog_base::json::{Value, parse};
use cog_base::{Digest, Timestamp};
use cog_ledger::merkle::Frontier;
use cog_ledger::{Checkpoint, Entry, Tail};
use cog_store::vault::{LOG_KEY, SUBJECT_KEY, Which};
use cog_store::{Files, OpenBody, Pruned, Recorded, Select, Session, StoreError, TenantTx};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::Inner;
use crate::error::failed;
use crate::id::Id;
use crate::link::Link;
use crate::places::is_here;
use crate::pool::begin;

/// The leaf hashes of so many entries lie together once they are pruned.
pub(crate) const SEGMENT: u64 = 256;
const DIGEST_BYTES: usize = 32;

const LOG: &str = "SELECT size, frontier, last_leaf, last_at, own_key, bodies_from, entries_from
    FROM log WHERE tenant = $1";
const ENTRY: &str = "SELECT leaf, bytes FROM entry WHERE tenant = $1 AND seq = $2";
const LEAF: &str = "SELECT leaf FROM entry WHERE tenant = $1 AND seq = $2";
const HEADS: &str = "SELECT note FROM checkpoint WHERE tenant = $1 AND size BETWEEN $2 AND $3
    ORDER BY size LIMIT $4";
const BODY: &str = "SELECT key, sealed FROM body WHERE tenant = $1 AND seq = $2";
pub(crate) const SUBJECT: &str = "SELECT wrapped FROM subject_key WHERE tenant = $1 AND no = $2";
const OPEN_RUNS: &str = "SELECT id FROM session WHERE tenant = $1 AND status IS NULL AND started
    ORDER BY first";
const NEWEST_RUNS: &str = "SELECT id, first, last, entries, status FROM session WHERE tenant = $1
    ORDER BY first DESC LIMIT $2";
const RUN: &str = "SELECT id, first, last, entries, status FROM session
    WHERE tenant = $1 AND id = $2";
const CANON: &str = "SELECT files FROM canon WHERE tenant = $1 AND digest = $2";

/// One tenant's part of the state at the time it was opened.
pub(crate) struct Scope<'a> {
    inner: &'a Inner,
    /// Taken out only when the scope ends.
    link: RefCell<Option<Link>>,
    tenant: TenantId,
    log: Option<Log>,
    /// What was read of the tree, for the next proof.
    tree: RefCell<tree::Tree>,
}

/// The row of the log.
struct Log {
    size: u64,
    frontier: Vec<u8>,
    last_leaf: Vec<u8>,
    last_at: i64,
    own_key: Vec<u8>,
    pruned: Pruned,
}

impl Log {
    fn read(row: &Row) -> Self {
        Self {
            size: number(row.get(0)),
            frontier: row.get(1),
            last_leaf: row.get(2),
            last_at: row.get(3),
            own_key: row.get(4),
            pruned: Pruned { bodies: number(row.get(5)), entries: number(row.get(6)) },
        }
    }
}

/// A count as the database has it. One that no log can reach stands for "beyond".
pub(crate) fn place(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// A count from the database, where none is negative.
pub(crate) fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

impl<'a> Scope<'a> {
    pub(crate) fn open(inner: &'a Inner, tenant: TenantId) -> Result<Self, StoreError> {
        let (link, log) = inner.pool.on_link("read a log", |link| {
            begin(link, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", tenant)?;
            let rows = link.query(LOG, &[&Id::from(tenant)])?;
            let log = rows.first().map(Log::read);
            is_here(link, tenant).inspect_err(|_| drop(link.batch("ROLLBACK")))?;
            Ok(log)
        })?;
        let tree = RefCell::default();
        Ok(Self { inner, link: RefCell::new(Some(link)), tenant, log, tree })
    }

    #[expect(clippy::expect_used, reason = "INVARIANT: the connection leaves only in drop")]
    fn query(
        &self,
        doing: &str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let id = Id::from(self.tenant);
        let own: &(dyn ToSql + Sync) = &id;
        let values: Vec<&(dyn ToSql + Sync)> =
            std::iter::once(own).chain(values.iter().copied()).collect();
        let mut link = self.link.borrow_mut();
        let link = link.as_mut().expect("the scope has ended");
        link.query(sql, &values).map_err(|error| failed(doing, error))
    }

    fn damaged(&self, what: &str) -> StoreError {
        StoreError::corrupt(format!("{what} of {}", self.tenant))
    }

    fn digest(&self, bytes: &[u8], what: &str) -> Result<Digest, StoreError> {
        let bytes = bytes.try_into().map_err(|_| self.damaged(what))?;
        Ok(Digest::from_bytes(bytes))
    }

    /// Read an entry strictly, and see that it is the one at its place.
    fn parse(&self, seq: u64, leaf: &[u8], bytes: &[u8]) -> Result<Entry, StoreError> {
        let entry = Entry::parse(bytes).map_err(|error| StoreError::Corrupt {
            what: format!("entry {seq} of {}", self.tenant),
            source: Some(Box::new(error)),
        })?;
        let is_own = entry.tenant() == self.tenant && entry.seq() == seq;
        if !is_own || entry.leaf().as_bytes() != leaf {
            return Err(self.damaged(&format!("entry {seq}")));
        }
        Ok(entry)
    }

    fn heads(&self, log: &Log, size: u64, limit: usize) -> Result<Vec<Checkpoint>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values: &[&(dyn ToSql + Sync)] = &[&place(size), &place(log.size), &limit];
        let rows = self.query("read a signed head", HEADS, values)?;
        let parse =
            |row: &Row| Checkpoint::parse(row.get(0)).map_err(|_| self.damaged("a signed head"));
        rows.iter().map(parse).collect()
    }

    fn head(&self, log: &Log) -> Result<Checkpoint, StoreError> {
        let heads = self.heads(log, log.size, 1)?;
        heads.into_iter().next().ok_or_else(|| self.damaged("the signed head"))
    }

    /// See that the last entry is the one that the end of the log names.
    fn check_end(&self, log: &Log) -> Result<(), StoreError> {
        let last = place(log.size.saturating_sub(1));
        let rows = self.query("read the end of a log", LEAF, &[&last])?;
        let is_last = rows.first().is_some_and(|row| row.get::<_, &[u8]>(0) == log.last_leaf);
        if is_last { Ok(()) } else { Err(self.damaged("the end of the log")) }
    }

    /// Always from the database: a key that another node destroyed must not go on living in
    /// the memory of this one.
    fn subject_key(&self, no: i64) -> Result<Option<Key>, StoreError> {
        let rows = self.query("read the key of a subject", SUBJECT, &[&no])?;
        let open = |row: &Row| self.inner.vault.unwrap(self.tenant, SUBJECT_KEY, row.get(0));
        let secret = rows.first().map(open).transpose()?;
        Ok(secret.map(|secret| Key::from_bytes(*secret)))
    }

    fn log_key(&self, log: &Log) -> Result<Option<Key>, StoreError> {
        let vault = &self.inner.vault;
        vault.key(Which::Log(self.tenant), || {
            let secret = vault.unwrap(self.tenant, LOG_KEY, &log.own_key)?;
            Ok(Some(Key::from_bytes(*secret)))
        })
    }
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        // A connection that cannot end its reading is not used again.
        if let Some(link) = self.link.take()
            && link.batch("ROLLBACK").is_ok()
        {
            self.inner.pool.give(link);
        }
    }
}

fn session(row: &Row) -> Session {
    Session {
        id: row.get::<_, Id>(0).run(),
        first: number(row.get(1)),
        last: number(row.get(2)),
        entries: number(row.get(3)),
        status: row.get(4),
    }
}

impl TenantTx for Scope<'_> {
    fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn tail(&self) -> Result<Option<Tail>, StoreError> {
        let Some(log) = &self.log else { return Ok(None) };
        self.check_end(log)?;
        let roots = log.frontier.chunks(DIGEST_BYTES);
        let roots = roots.map(|root| self.digest(root, "the tree")).collect::<Result<_, _>>()?;
        let frontier = Frontier::from_roots(log.size, roots);
        Ok(Some(Tail {
            frontier: frontier.map_err(|_| self.damaged("the tree"))?,
            last_leaf: self.digest(&log.last_leaf, "the end of the log")?,
            last_at: Timestamp::from_micros(log.last_at),
            checkpoint: self.head(log)?,
        }))
    }

    fn entry(&self, seq: u64) -> Result<Option<Entry>, StoreError> {
        if self.log.is_none() {
            return Ok(None);
        }
        let rows = self.query("read an entry", ENTRY, &[&place(seq)])?;
        rows.first().map(|row| self.parse(seq, row.get(0), row.get(1))).transpose()
    }

    fn select(&self, select: &Select) -> Result<Vec<Entry>, StoreError> {
        select.check()?;
        if self.log.is_none() || select.limit == 0 {
            return Ok(Vec::new());
        }
        self.page(select)
    }

    fn body(&self, seq: u64) -> Result<Option<OpenBody>, StoreError> {
        let Some(log) = &self.log else { return Ok(None) };
        let rows = self.query("read a body", BODY, &[&place(seq)])?;
        let (Some(row), Some(entry)) = (rows.first(), self.entry(seq)?) else { return Ok(None) };
        let key = match row.get(0) {
            None => self.log_key(log)?,
            Some(no) => self.subject_key(no)?,
        };
        key.map(|key| self.opened(&key, &entry, row.get(1))).transpose()
    }

    fn with_bodies(&self, entries: Vec<Entry>) -> Result<Vec<Recorded>, StoreError> {
        let Some(log) = &self.log else { return Ok(Vec::new()) };
        self.read_with_bodies(log, entries)
    }

    fn under_way(&self, runs: &[RunId]) -> Result<Vec<Entry>, StoreError> {
        if self.log.is_none() { Ok(Vec::new()) } else { self.read_under_way(runs) }
    }

    fn leaf(&self, seq: u64) -> Result<Option<Digest>, StoreError> {
        if self.log.as_ref().is_none_or(|log| seq >= log.size) {
            return Ok(None);
        }
        self.kept_leaf(seq)
    }

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, StoreError> {
        if self.log.is_none() {
            return Ok(None);
        }
        self.kept_node(level, index)
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        self.log.as_ref().map(|log| self.head(log)).transpose()
    }

    fn checkpoints(&self, size: u64, limit: usize) -> Result<Vec<Checkpoint>, StoreError> {
        Select { limit, ..Select::default() }.check()?;
        self.log.as_ref().map_or_else(|| Ok(Vec::new()), |log| self.heads(log, size, limit))
    }

    fn open_sessions(&self) -> Result<Vec<RunId>, StoreError> {
        let rows = self.query("read which runs are open", OPEN_RUNS, &[])?;
        Ok(rows.iter().map(|row| row.get::<_, Id>(0).run()).collect())
    }

    fn sessions(&self, limit: usize) -> Result<Vec<Session>, StoreError> {
        Select { limit, ..Select::default() }.check()?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.query("read the newest runs", NEWEST_RUNS, &[&limit])?;
        Ok(rows.iter().map(session).collect())
    }

    fn session(&self, id: RunId) -> Result<Option<Session>, StoreError> {
        let rows = self.query("read a run", RUN, &[&Id::from(id)])?;
        Ok(rows.first().map(session))
    }

    fn canon(&self, digest: Digest) -> Result<Option<Files>, StoreError> {
        let rows = self.query("read a canon", CANON, &[&digest.as_bytes().as_slice()])?;
        let Some(row) = rows.first() else { return Ok(None) };
        let damaged = || self.damaged("a canon");
        let Ok(Value::Map(files)) = parse(row.get(0)) else { return Err(damaged()) };
        let file = |(path, text): (String, Value)| {
            text.as_text().map(|text| (path, text.to_owned())).ok_or_else(damaged)
        };
        files.into_iter().map(file).collect::<Result<_, _>>().map(Some)
    }

    fn pruned(&self) -> Result<Pruned, StoreError> {
        Ok(self.log.as_ref().map(|log| log.pruned).unwrap_or_default())
    }
}
