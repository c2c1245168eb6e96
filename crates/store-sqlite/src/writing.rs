//! The one connection that writes, and what a commit of the ledger writes.

mod rows;
mod sessions;

use std::collections::HashMap;
use std::sync::Arc;

use cog_base::cipher::Key;
use cog_base::id::TenantId;
use cog_base::{Digest, Entropy};
use cog_ledger::SealedBatch;
use cog_store::StoreError;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::error::failed;
use crate::marks::Marks;
use crate::place::{LOGS_MAX, Range, check_size};
use crate::vault::{Drawn, Vault, Which};
use crate::wal::{self, Checkpointer};
use rows::Rows;
pub(crate) use sessions::MARK_EVERY;
use sessions::Sessions;

/// The most logs whose ends are held; beyond it all are dropped and read again.
const LOGS_HELD_MAX: usize = 65_536;
pub(crate) const LOG_KEY: &[u8] = b"log";
pub(crate) const SUBJECT_KEY: &[u8] = b"subject";

/// Everything that writes to the database goes through here.
pub(crate) struct Writing {
    pub(crate) db: Connection,
    pub(crate) vault: Arc<Vault>,
    pub(crate) entropy: Drawn,
    pub(crate) marks: Marks,
    logs: HashMap<TenantId, Log>,
    sessions: Sessions,
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

/// The end of a log as this connection left it.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) no: i64,
    pub(crate) size: u64,
    key: Key,
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
            sessions: Sessions::default(),
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
        let result = self.write(batches);
        if result.is_err() {
            self.forget();
        }
        result?;
        self.pages = wal::pages_after_commit();
        for batch in batches {
            // The commit is durable whatever becomes of the mark; a mark that stays behind
            // only makes a later rollback harder to notice.
            let size = batch.first + batch.entries.len() as u64;
            let _ = self.marks.raise(batch.tenant, size);
        }
        Ok(())
    }

    /// Drop what is remembered of the database; it is read again when needed.
    pub(crate) fn forget(&mut self) {
        self.logs.clear();
        self.sessions.clear();
        self.subjects.clear();
        // A subject's number that was rolled back is given again, to another key.
        self.vault.forget_all();
    }

    /// A log, read from the database if need be.
    pub(crate) fn log(&mut self, tenant: TenantId) -> Result<Option<Log>, StoreError> {
        if let Some(log) = self.logs.get(&tenant) {
            return Ok(Some(log.clone()));
        }
        let log = read_log(&self.db, &self.vault, tenant)?;
        if let Some(log) = &log {
            hold(&mut self.logs, tenant, log.clone());
        }
        Ok(log)
    }

    fn write(&mut self, batches: &[SealedBatch]) -> Result<(), StoreError> {
        let tx = begin(&self.db)?;
        {
            let mut rows = Rows::prepare(&tx)?;
            for batch in batches {
                if batch.entries.is_empty() {
                    continue;
                }
                let log = match self.logs.remove(&batch.tenant) {
                    Some(log) => log,
                    None => match read_log(&tx, &self.vault, batch.tenant)? {
                        Some(log) => log,
                        None => create_log(&tx, &self.vault, batch.tenant, &mut self.entropy)?,
                    },
                };
                let mut sealing = Sealing {
                    tx: &tx,
                    vault: &self.vault,
                    entropy: &mut self.entropy,
                    subjects: &mut self.subjects,
                    scratch: &mut self.scratch,
                    tenant: batch.tenant,
                    log: &log,
                };
                let size = write_batch(&mut rows, &mut sealing, &mut self.sessions, batch)?;
                hold(&mut self.logs, batch.tenant, Log { size, ..log });
            }
            self.sessions.write(&tx)?;
        }
        tx.commit().map_err(|error| failed("commit to the ledger", error))
    }
}

/// What the bodies of one batch are sealed with.
struct Sealing<'a> {
    tx: &'a Transaction<'a>,
    vault: &'a Vault,
    entropy: &'a mut Drawn,
    subjects: &'a mut HashMap<(i64, Digest), i64>,
    scratch: &'a mut Vec<u8>,
    tenant: TenantId,
    log: &'a Log,
}

/// Begin a write. The lock is taken at once, so that nothing is read that then changes.
pub(crate) fn begin(db: &Connection) -> Result<Transaction<'_>, StoreError> {
    Transaction::new_unchecked(db, TransactionBehavior::Immediate)
        .map_err(|error| failed("begin to write to the ledger", error))
}

fn hold(logs: &mut HashMap<TenantId, Log>, tenant: TenantId, log: Log) {
    if logs.len() >= LOGS_HELD_MAX {
        logs.clear();
    }
    logs.insert(tenant, log);
}

fn write_batch(
    rows: &mut Rows<'_>,
    sealing: &mut Sealing<'_>,
    sessions: &mut Sessions,
    batch: &SealedBatch,
) -> Result<u64, StoreError> {
    let log = sealing.log;
    if batch.first != log.size {
        let (tenant, first, size) = (batch.tenant, batch.first, log.size);
        return Err(StoreError::HeadMoved { tenant, first, size });
    }
    let range = Range::of(log.no);
    for sealed in &batch.entries {
        let place = range.place(sealed.entry.seq());
        let back = sessions.add(sealing.tx, log.no, place, &sealed.entry)?;
        rows.entry(place, back, &sealed.entry)?;
        if let Some(body) = &sealed.body {
            let (key, bytes) = sealing.body(sealed.entry.seq(), body)?;
            rows.body(place, key, &bytes)?;
        }
    }
    let size = log.size + batch.entries.len() as u64;
    check_size(size)?;
    rows.nodes(range, &batch.nodes)?;
    rows.end(log.no, batch)?;
    Ok(size)
}

impl Sealing<'_> {
    /// The body sealed, with the number of its subject's key if it has one.
    fn body(
        &mut self,
        seq: u64,
        body: &cog_ledger::SealedBody,
    ) -> Result<(Option<i64>, Vec<u8>), StoreError> {
        let place = (self.tenant, seq);
        let Some(subject) = &body.subject else {
            let with = (&mut *self.scratch, &mut *self.entropy as &mut dyn Entropy);
            let key = &self.log.key;
            return Ok((None, crate::vault::seal_body(key, place, &body.salt, &body.bytes, with)?));
        };
        let (no, key) = self.subject_key(subject)?;
        let with = (&mut *self.scratch, &mut *self.entropy as &mut dyn Entropy);
        Ok((Some(no), crate::vault::seal_body(&key, place, &body.salt, &body.bytes, with)?))
    }

    /// The key of a subject, made when it is first needed.
    fn subject_key(&mut self, subject: &str) -> Result<(i64, Key), StoreError> {
        let name = self.vault.subject(self.tenant, subject);
        if let Some(no) = self.subjects.get(&(self.log.no, name)) {
            let no = *no;
            let read = || read_subject_key(self.tx, self.vault, self.tenant, no);
            if let Some(key) = self.vault.key(Which::Subject(no), read)? {
                return Ok((no, key));
            }
        }
        let (no, key) = match find_subject(self.tx, self.log.no, name)? {
            Some(no) => {
                let read = || read_subject_key(self.tx, self.vault, self.tenant, no);
                let gone = || StoreError::corrupt("the key of a subject");
                (no, self.vault.key(Which::Subject(no), read)?.ok_or_else(gone)?)
            }
            None => self.create_subject_key(name)?,
        };
        if self.subjects.len() >= LOGS_HELD_MAX {
            self.subjects.clear();
        }
        self.subjects.insert((self.log.no, name), no);
        Ok((no, key))
    }

    fn create_subject_key(&mut self, name: Digest) -> Result<(i64, Key), StoreError> {
        let key = Key::new(self.entropy)?;
        let wrapped = self.vault.wrap(self.tenant, SUBJECT_KEY, key.expose(), self.entropy)?;
        self.tx
            .prepare_cached("INSERT INTO subject_key (log, subject, wrapped) VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![self.log.no, name.as_bytes(), wrapped]))
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

fn read_log(db: &Connection, vault: &Vault, tenant: TenantId) -> Result<Option<Log>, StoreError> {
    let bytes = tenant.uuid().as_u128().to_be_bytes();
    let row: Option<(i64, u64, Vec<u8>)> = db
        .prepare_cached("SELECT no, size, own_key FROM log WHERE tenant = ?1")
        .and_then(|mut read| {
            read.query_row([bytes], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
        })
        .map_err(|error| failed("read the end of a log", error))?;
    let Some((no, size, wrapped)) = row else { return Ok(None) };
    let key = Key::from_bytes(*vault.unwrap(tenant, LOG_KEY, &wrapped)?);
    Ok(Some(Log { no, size, key }))
}

fn create_log(
    tx: &Transaction<'_>,
    vault: &Vault,
    tenant: TenantId,
    entropy: &mut Drawn,
) -> Result<Log, StoreError> {
    let key = Key::new(entropy)?;
    let wrapped = vault.wrap(tenant, LOG_KEY, key.expose(), entropy)?;
    let bytes = tenant.uuid().as_u128().to_be_bytes();
    tx.prepare_cached(
        "INSERT INTO log (tenant, size, frontier, last_leaf, last_at, own_key)
         VALUES (?1, 0, x'', x'', 0, ?2)",
    )
    .and_then(|mut insert| insert.execute(params![bytes, wrapped]))
    .map_err(|error| failed("begin a log", error))?;
    let no = tx.last_insert_rowid();
    let count = no.unsigned_abs();
    if count >= LOGS_MAX {
        return Err(StoreError::TooMuch { what: "logs in one store", asked: count, max: LOGS_MAX });
    }
    Ok(Log { no, size: 0, key })
}
