//! The one connection that writes, and what a commit of the ledger writes.

mod rows;
mod runs;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cog_base::cipher::Key;
use cog_base::id::TenantId;
use cog_base::{Digest, Entropy};
use cog_ledger::{Entry, SealedBatch, SealedBody};
use cog_store::index::{is_rare, kind_code};
use cog_store::vault::{Drawn, LOG_KEY, SUBJECT_KEY, Which, seal_body};
use cog_store::{Pruned, StoreError};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::binding::{Chain, End, Links};
use crate::error::failed;
use crate::log::{Log, Vault};
use crate::marks::Marks;
use crate::owning;
use crate::place::{LOGS_MAX, check_size};
use crate::wal::{self, Checkpointer};
use rows::Rows;
pub(crate) use runs::MARK_EVERY;
use runs::Runs;

/// The most logs whose ends are held; beyond it all are dropped and read again.
const LOGS_HELD_MAX: usize = 65_536;

/// Everything that writes to the database goes through here.
pub(crate) struct Writing {
    pub(crate) db: Connection,
    pub(crate) vault: Arc<Vault>,
    pub(crate) entropy: Drawn,
    pub(crate) marks: Marks,
    logs: HashMap<TenantId, Held>,
    /// Tenants of which it is noted that there may be work.
    pub(crate) noted: HashSet<TenantId>,
    /// Subjects whose keys are known, by log and name.
    pub(crate) subjects: HashMap<(i64, Digest), i64>,
    scratch: Vec<u8>,
    /// Whether anything was written since the store was opened.
    pub(crate) is_touched: bool,
    /// Taken away before the store is closed.
    pub(crate) checkpointer: Option<Checkpointer>,
    /// Pages in the write-ahead log.
    pages: u32,
}

/// A log as this connection left it, with its open runs.
struct Held {
    log: Log,
    runs: Runs,
}

/// How far a log reaches.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) no: i64,
    pub(crate) size: u64,
    pub(crate) pruned: Pruned,
    /// The first entry of the oldest open run.
    pub(crate) first_open: Option<u64>,
}

impl Writing {
    pub(crate) fn new(
        db: Connection,
        vault: Arc<Vault>,
        entropy: Drawn,
        marks: Marks,
        checkpointer: Checkpointer,
    ) -> Self {
        Self {
            db,
            vault,
            entropy,
            marks,
            logs: HashMap::new(),
            noted: HashSet::new(),
            subjects: HashMap::new(),
            scratch: Vec::new(),
            is_touched: false,
            checkpointer: Some(checkpointer),
            pages: 0,
        }
    }

    /// Keep all batches or none.
    pub(crate) fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), StoreError> {
        self.is_touched = true;
        if let Some(checkpointer) = &mut self.checkpointer {
            checkpointer.between_commits(self.pages, &self.db);
        }
        let result = self.begin_marks(batches).and_then(|()| self.write(batches));
        if result.is_err() {
            self.forget();
        }
        result?;
        self.count_pages();
        for batch in batches {
            // The commit is durable whatever becomes of the mark; a mark that stays behind
            // only makes a later rollback harder to notice.
            let size = batch.first + batch.entries.len() as u64;
            let _ = self.marks.raise(batch.tenant, size);
        }
        Ok(())
    }

    /// Note how long the write-ahead log is after a commit of this thread.
    pub(crate) fn count_pages(&mut self) {
        self.pages = wal::pages_after_commit();
    }

    /// A log that has entries and no mark would be taken for one that went back in time.
    fn begin_marks(&mut self, batches: &[SealedBatch]) -> Result<(), StoreError> {
        batches.iter().try_for_each(|batch| self.marks.begin(batch.tenant))
    }

    /// Drop what is remembered of the database; it is read again when needed.
    pub(crate) fn forget(&mut self) {
        self.logs.clear();
        self.noted.clear();
        self.subjects.clear();
        // A subject's number that was rolled back is given again, to another key.
        self.vault.forget_all();
    }

    /// How far a log reaches, if it has begun.
    pub(crate) fn extent(&mut self, tenant: TenantId) -> Result<Option<Extent>, StoreError> {
        if !self.logs.contains_key(&tenant) {
            let Some(held) = Held::read(&self.db, &self.vault, tenant)? else { return Ok(None) };
            hold(&mut self.logs, tenant, held);
        }
        let extent = |held: &Held| {
            let log = &held.log;
            let first_open = held.runs.first().map(|first| log.range().seq(first));
            Extent { no: log.no, size: log.end.size, pruned: log.end.pruned, first_open }
        };
        Ok(self.logs.get(&tenant).map(extent))
    }

    /// Change a log that has begun in one transaction, and what was pruned of it.
    pub(crate) fn change<T>(
        &mut self,
        tenant: TenantId,
        change: impl FnOnce(&Transaction<'_>, &mut Log) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.is_touched = true;
        let held = match self.logs.remove(&tenant) {
            Some(held) => Some(held),
            None => Held::read(&self.db, &self.vault, tenant)?,
        };
        let Some(mut held) = held else { return Ok(None) };
        let tx = begin(&self.db)?;
        let result = change(&tx, &mut held.log)?;
        held.log.write(&tx, &mut self.entropy)?;
        tx.commit().map_err(|error| failed("change a log", error))?;
        hold(&mut self.logs, tenant, held);
        Ok(Some(result))
    }

    fn write(&mut self, batches: &[SealedBatch]) -> Result<(), StoreError> {
        let tx = begin(&self.db)?;
        {
            let mut rows = Rows::prepare(&tx)?;
            let mut sealing = Sealing {
                tx: &tx,
                vault: &self.vault,
                entropy: &mut self.entropy,
                subjects: &mut self.subjects,
                scratch: &mut self.scratch,
            };
            for batch in batches.iter().filter(|batch| !batch.entries.is_empty()) {
                if self.noted.insert(batch.tenant) {
                    owning::note(&tx, batch.tenant)?;
                }
                let mut held = match self.logs.remove(&batch.tenant) {
                    Some(held) => held,
                    None => match Held::read(&tx, &self.vault, batch.tenant)? {
                        Some(held) => held,
                        None => Held::create(&tx, &self.vault, batch.tenant, sealing.entropy)?,
                    },
                };
                held.add(&mut rows, &mut sealing, batch)?;
                hold(&mut self.logs, batch.tenant, held);
            }
        }
        tx.commit().map_err(|error| failed("commit to the ledger", error))
    }
}

/// What bodies are sealed with.
struct Sealing<'a> {
    tx: &'a Transaction<'a>,
    vault: &'a Vault,
    entropy: &'a mut Drawn,
    subjects: &'a mut HashMap<(i64, Digest), i64>,
    scratch: &'a mut Vec<u8>,
}

/// Begin a write. The lock is taken at once, so that nothing is read that then changes.
pub(crate) fn begin(db: &Connection) -> Result<Transaction<'_>, StoreError> {
    Transaction::new_unchecked(db, TransactionBehavior::Immediate)
        .map_err(|error| failed("begin to write to the ledger", error))
}

fn hold(logs: &mut HashMap<TenantId, Held>, tenant: TenantId, held: Held) {
    if logs.len() >= LOGS_HELD_MAX {
        logs.clear();
    }
    logs.insert(tenant, held);
}

impl Held {
    fn read(db: &Connection, vault: &Vault, tenant: TenantId) -> Result<Option<Self>, StoreError> {
        let Some(log) = Log::read(db, vault, tenant)? else { return Ok(None) };
        let runs = Runs::read(db, &log)?;
        Ok(Some(Self { log, runs }))
    }

    fn create(
        tx: &Transaction<'_>,
        vault: &Vault,
        tenant: TenantId,
        entropy: &mut Drawn,
    ) -> Result<Self, StoreError> {
        let key = Key::new(entropy)?;
        let wrapped = vault.wrap(tenant, LOG_KEY, key.expose(), entropy)?;
        let bytes = tenant.uuid().as_u128().to_be_bytes();
        // The end is written when the first entries are.
        tx.prepare_cached(
            "INSERT INTO log (tenant, size, frontier, last_leaf, last_at, own_key, state)
             VALUES (?1, 0, x'', x'', 0, ?2, x'')",
        )
        .and_then(|mut insert| insert.execute(params![bytes, wrapped]))
        .map_err(|error| failed("begin a log", error))?;
        let no = tx.last_insert_rowid();
        let asked = no.unsigned_abs();
        if asked >= LOGS_MAX {
            return Err(StoreError::TooMuch { what: "logs in one store", asked, max: LOGS_MAX });
        }
        Ok(Self { log: Log::empty(no, tenant, key), runs: Runs::default() })
    }

    /// Write a batch at the end of the log.
    fn add(
        &mut self,
        rows: &mut Rows<'_>,
        sealing: &mut Sealing<'_>,
        batch: &SealedBatch,
    ) -> Result<(), StoreError> {
        let (tenant, first, size) = (batch.tenant, batch.first, self.log.end.size);
        if first != size {
            return Err(StoreError::HeadMoved { tenant, first, size });
        }
        check_size(size + batch.entries.len() as u64)?;
        let range = self.log.range();
        let head = batch.checkpoint.to_string();
        for sealed in &batch.entries {
            let place = range.place(sealed.entry.seq());
            let head = (sealed.entry.seq() + 1 == batch.frontier.size()).then_some(head.as_str());
            self.add_entry(rows, sealing.tx, head, &sealed.entry)?;
            if let Some(body) = &sealed.body {
                let (key, bytes) = sealing.body(&self.log, sealed.entry.seq(), body)?;
                rows.body(place, key, &bytes)?;
            }
        }
        rows.nodes(range, &batch.nodes)?;
        self.runs.write(sealing.tx, &mut self.log)?;
        let roots = batch.frontier.roots().iter();
        if let Some(last) = batch.entries.last() {
            self.log.end = End {
                size: batch.frontier.size(),
                frontier: roots.flat_map(|root| *root.as_bytes()).collect(),
                last_leaf: last.entry.leaf().as_bytes().to_vec(),
                last_at: last.entry.at().micros(),
                pruned: self.log.end.pruned,
            };
        }
        self.log.write(sealing.tx, sealing.entropy)
    }

    fn add_entry(
        &mut self,
        rows: &mut Rows<'_>,
        tx: &Transaction<'_>,
        head: Option<&str>,
        entry: &Entry,
    ) -> Result<(), StoreError> {
        let place = self.log.range().place(entry.seq());
        let back = self.runs.add(tx, &self.log, place, entry)?;
        let state = &mut self.log.state;
        let kin = is_rare(entry.kind())
            .then(|| state.extend(Chain::of(entry.kind(), back.is_some()), entry.seq()));
        let links = Links { kind: kind_code(entry.kind()), back, kin };
        let tag = self.log.bindings.tag(place, links, entry.leaf());
        rows.entry(place, links, tag, head, entry)
    }
}

impl Sealing<'_> {
    /// The body sealed, with the number of its subject's key if it has one.
    fn body(
        &mut self,
        log: &Log,
        seq: u64,
        body: &SealedBody,
    ) -> Result<(Option<i64>, Vec<u8>), StoreError> {
        let subject = body.subject.as_deref();
        let subject = subject.map(|subject| self.subject_key(log, subject)).transpose()?;
        let key = subject.as_ref().map_or(&log.key, |(_, key)| key);
        let with = (&mut *self.scratch, &mut *self.entropy as &mut dyn Entropy);
        let sealed = seal_body(key, (log.tenant, seq), &body.salt, &body.bytes, with)?;
        Ok((subject.map(|(no, _)| no), sealed))
    }

    /// The key of a subject, made when it is first needed.
    fn subject_key(&mut self, log: &Log, subject: &str) -> Result<(i64, Key), StoreError> {
        let name = self.vault.subject(log.tenant, subject);
        if let Some(no) = self.subjects.get(&(log.no, name)) {
            let no = *no;
            let read = || read_subject_key(self.tx, self.vault, log.tenant, no);
            if let Some(key) = self.vault.key(Which::Subject(no), read)? {
                return Ok((no, key));
            }
        }
        let (no, key) = match find_subject(self.tx, log.no, name)? {
            Some(no) => {
                let read = || read_subject_key(self.tx, self.vault, log.tenant, no);
                let gone = || StoreError::corrupt("the key of a subject");
                (no, self.vault.key(Which::Subject(no), read)?.ok_or_else(gone)?)
            }
            None => self.create_subject_key(log, name)?,
        };
        if self.subjects.len() >= LOGS_HELD_MAX {
            self.subjects.clear();
        }
        self.subjects.insert((log.no, name), no);
        Ok((no, key))
    }

    fn create_subject_key(&mut self, log: &Log, name: Digest) -> Result<(i64, Key), StoreError> {
        let key = Key::new(self.entropy)?;
        let wrapped = self.vault.wrap(log.tenant, SUBJECT_KEY, key.expose(), self.entropy)?;
        self.tx
            .prepare_cached("INSERT INTO subject_key (log, subject, wrapped) VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![log.no, name.as_bytes(), wrapped]))
            .map_err(|error| failed("keep the key of a subject", error))?;
        Ok((self.tx.last_insert_rowid(), key))
    }
}

/// The number of a subject's key.
pub(crate) fn find_subject(
    db: &Connection,
    log: i64,
    name: Digest,
) -> Result<Option<i64>, StoreError> {
    db.prepare_cached("SELECT no FROM subject_key WHERE log = ?1 AND subject = ?2")
        .and_then(|mut find| {
            find.query_row(params![log, name.as_bytes()], |row| row.get(0)).optional()
        })
        .map_err(|error| failed("look up a subject", error))
}

/// The key with this number, unless it was destroyed.
pub(crate) fn read_subject_key(
    db: &Connection,
    vault: &Vault,
    tenant: TenantId,
    no: i64,
) -> Result<Option<Key>, StoreError> {
    let wrapped: Option<Vec<u8>> = db
        .prepare_cached("SELECT wrapped FROM subject_key WHERE no = ?1")
        .and_then(|mut read| read.query_row([no], |row| row.get(0)).optional())
        .map_err(|error| failed("read the key of a subject", error))?;
    let open = |wrapped: Vec<u8>| vault.unwrap(tenant, SUBJECT_KEY, &wrapped);
    Ok(wrapped.map(open).transpose()?.map(|secret| Key::from_bytes(*secret)))
}
