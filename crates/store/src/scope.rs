//! The traits: the store, a tenant's scope of it, and what an administrator may remove.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use cog_base::Digest;
use cog_base::id::{RunId, TenantId};
use cog_ledger::{Checkpoint, Entry, KeyRing, Kind, Shelf, Tail};

use crate::{Cursors, Select, StoreError};

/// The most entries in a page of [`TenantTx::each_record`]: their bodies are in memory together.
pub const RECORDS_PAGE: usize = 128;

/// The files of one version of canon: path and text.
pub type Files = BTreeMap<String, String>;

/// Keeps the logs of all tenants with their bodies, keys and canons.
pub trait Store: Send + Sync {
    /// The place of the one writer. A second one is refused while the first lives.
    ///
    /// # Errors
    /// [`StoreError::WriterTaken`], or [`StoreError::ReadOnly`].
    fn shelf(&self) -> Result<Box<dyn Shelf + Send>, StoreError>;

    /// The signing keys of the logs, kept sealed beside them.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`].
    fn signing_keys(&self) -> Result<Box<dyn KeyRing>, StoreError>;

    /// Everything of one tenant as it is now: what is committed later is not seen. Keep it
    /// short, as it holds back the store's housekeeping.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn scope(&self, tenant: TenantId) -> Result<Box<dyn TenantTx + '_>, StoreError>;

    /// Every tenant that has a log, in order.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn tenants(&self) -> Result<Vec<TenantId>, StoreError>;
}

/// One tenant's part of a store at one moment, for reading. Nothing of another tenant can
/// be reached through it.
pub trait TenantTx: Send {
    /// Whose it is.
    fn tenant(&self) -> TenantId;

    /// The end of the log, or nothing when there is none.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read or does not hold together.
    fn tail(&self) -> Result<Option<Tail>, StoreError>;

    /// The entry at `seq`, unless it is beyond the end or pruned. It is read strictly and
    /// compared with its leaf hash.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is not what was kept.
    fn entry(&self, seq: u64) -> Result<Option<Entry>, StoreError>;

    /// A page of entries.
    ///
    /// # Errors
    /// [`StoreError::TooMuch`] for a page beyond [`crate::PAGE_MAX`].
    fn select(&self, select: &Select) -> Result<Vec<Entry>, StoreError>;

    /// Every entry that is asked for, page by page of [`Select::limit`] entries.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn each(&self, select: Select, take: &mut dyn FnMut(&Entry)) -> Result<(), StoreError> {
        let mut next = select;
        loop {
            let page = self.select(&next)?;
            let Some(last) = page.last() else { return Ok(()) };
            let is_last = page.len() < next.limit;
            next = next.after(last);
            page.iter().for_each(&mut *take);
            if is_last {
                return Ok(());
            }
        }
    }

    /// These entries, each with its body as [`TenantTx::body`] gives it. A store that is far away
    /// reads the bodies of all of them at once.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when one does not open or is not what was committed to.
    fn with_bodies(&self, entries: Vec<Entry>) -> Result<Vec<Recorded>, StoreError> {
        let with_body = |entry: Entry| Ok((self.body(entry.seq())?, entry));
        let found = entries.into_iter().map(with_body);
        found.map(|found| found.map(|(body, entry)| (entry, body))).collect()
    }

    /// A page of entries with their bodies.
    ///
    /// # Errors
    /// Those of [`TenantTx::select`] and [`TenantTx::with_bodies`].
    fn records(&self, select: &Select) -> Result<Vec<Recorded>, StoreError> {
        self.with_bodies(self.select(select)?)
    }

    /// Every entry that is asked for with its body, page by page of at most [`RECORDS_PAGE`].
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn each_record(
        &self,
        select: Select,
        take: &mut dyn FnMut(Recorded),
    ) -> Result<(), StoreError> {
        let mut next = Select { limit: select.limit.min(RECORDS_PAGE), ..select };
        loop {
            let page = self.records(&next)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            let is_last = page.len() < next.limit;
            next = next.after(last);
            page.into_iter().for_each(&mut *take);
            if is_last {
                return Ok(());
            }
        }
    }

    /// What may be under way of these runs, which are open: of each that has receipts without an
    /// outcome its first entry and those receipts. In their order.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn under_way(&self, runs: &[RunId]) -> Result<Vec<Entry>, StoreError> {
        let mut found = Vec::new();
        for run in runs {
            let mut open = BTreeMap::new();
            let kinds = vec![Kind::Receipt, Kind::Outcome];
            self.each(Select { kinds, ..Select::session(*run) }, &mut |entry| {
                let Some(id) = entry.id().map(str::to_owned) else { return };
                if entry.kind() == Kind::Receipt {
                    open.insert(id, entry.clone());
                } else {
                    open.remove(&id);
                }
            })?;
            if let Some(session) = self.session(*run)?.filter(|_| !open.is_empty()) {
                found.extend(self.entry(session.first)?);
                let first = |entry: &Entry| entry.seq() == session.first;
                found.extend(open.into_values().filter(|entry| !first(entry)));
            }
        }
        found.sort_by_key(Entry::seq);
        Ok(found)
    }

    /// The entries whose [`Entry::id`] is `id`, oldest first: a receipt and its outcome, a
    /// request for approval and its answer. At most [`crate::PAGE_MAX`].
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn find(&self, id: &str) -> Result<Vec<Entry>, StoreError> {
        self.select(&Select { id: Some(id.to_owned()), ..Select::default() })
    }

    /// The body of the entry at `seq`, opened and compared with the entry's commitment;
    /// nothing when it has none any more or never had one.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it does not open or is not what was committed to.
    fn body(&self, seq: u64) -> Result<Option<OpenBody>, StoreError>;

    /// The leaf hash at `seq`. It outlives the entry.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn leaf(&self, seq: u64) -> Result<Option<Digest>, StoreError>;

    /// The root of a perfect subtree, where one is kept: levels 8, 16, 24, …
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, StoreError>;

    /// The newest signed head.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError>;

    /// Signed heads of at least `size` entries, the smallest first; at most `limit`, and at
    /// most [`crate::PAGE_MAX`].
    ///
    /// # Errors
    /// [`StoreError::TooMuch`] beyond that.
    fn checkpoints(&self, size: u64, limit: usize) -> Result<Vec<Checkpoint>, StoreError>;

    /// Every run that was started and not sealed, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn open_sessions(&self) -> Result<Vec<RunId>, StoreError>;

    /// The newest `limit` runs, the newest first; at most [`crate::PAGE_MAX`].
    ///
    /// # Errors
    /// [`StoreError::TooMuch`] beyond that.
    fn sessions(&self, limit: usize) -> Result<Vec<Session>, StoreError>;

    /// One run.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn session(&self, id: RunId) -> Result<Option<Session>, StoreError>;

    /// The files of a version of canon.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn canon(&self, digest: Digest) -> Result<Option<Files>, StoreError>;

    /// What was pruned.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn pruned(&self) -> Result<Pruned, StoreError>;
}

/// What an administrator may put and remove. None of it changes a log: whoever calls
/// records what was done, or is about to be, as an entry.
pub trait Keep: Cursors {
    /// Keep the files of a version of canon. The caller has checked the digest.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be kept.
    fn put_canon(&self, tenant: TenantId, digest: Digest, files: &Files) -> Result<(), StoreError>;

    /// The entries with a body about `subject`, in order: those that [`Keep::erase`] would leave
    /// without, so that it can be recorded first. With them what stands for the name.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn erasable(&self, tenant: TenantId, subject: &str) -> Result<Erasable, StoreError>;

    /// Destroy the key and the salts of everything kept about `subject`. Every proof stays
    /// valid, and nothing of the bodies can be had again from this store.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be done; then it is not done.
    fn erase(&self, tenant: TenantId, subject: &str) -> Result<Erased, StoreError>;

    /// The entries of a range that have a body, in order, each with the bytes that it takes.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn bodies(&self, tenant: TenantId, range: Range<u64>) -> Result<Vec<(u64, u64)>, StoreError>;

    /// Destroy the bodies of these entries, whosever they are, and say how many there were. Every
    /// proof stays valid.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be done in full; what is done stays done.
    fn erase_bodies(&self, tenant: TenantId, entries: &[u64]) -> Result<u64, StoreError>;

    /// Destroy the bodies of the entries before `seq`.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be done in full; what is done stays done.
    fn prune_bodies(&self, tenant: TenantId, before: u64) -> Result<Cut, StoreError>;

    /// Which entries [`Keep::prune_entries`] would remove, so that it can be recorded first:
    /// from the end of the pruning before, up to `before` rounded down to a whole segment (256
    /// entries), and never past the first entry of an open run or the last entry. Empty when
    /// there are none.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn prunable(&self, tenant: TenantId, before: u64) -> Result<Range<u64>, StoreError>;

    /// Remove the entries that [`Keep::prunable`] names, with their bodies. Leaf hashes,
    /// subtree roots and signed heads stay, so that every proof can be made as before. Entries
    /// outside any run stay too: keys, canons and prunings are what the rest of the log stands
    /// on. One that was cut short goes on where it ended.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be done in full; what is done stays done.
    fn prune_entries(&self, tenant: TenantId, before: u64) -> Result<Cut, StoreError>;

    /// Write a whole and consistent copy of the data to `path`, which must not exist.
    /// The keys are not in it: back them up once, apart from the data.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    fn backup(&self, path: &Path) -> Result<(), StoreError>;
}

/// An entry with its body, if it has one still.
pub type Recorded = (Entry, Option<OpenBody>);

/// A body as it was recorded, with what proves that it is the one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBody {
    /// The salt of the commitment.
    pub salt: [u8; 32],
    /// Canonical JSON.
    pub bytes: Vec<u8>,
}

/// A run as its entries tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Which run.
    pub id: RunId,
    /// Its first entry.
    pub first: u64,
    /// Its last entry so far.
    pub last: u64,
    /// How many entries it has so far.
    pub entries: u64,
    /// How it ended, as its seal says; nothing while it is open.
    pub status: Option<String>,
}

/// Up to where a log was pruned; 0 where it was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Bodies of entries before this one are gone.
    pub bodies: u64,
    /// Entries before this one are gone, but for those outside any run.
    pub entries: u64,
}

/// What an erasure would destroy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasable {
    /// A keyed digest of the subject, to record instead of the name.
    pub subject: Digest,
    /// The entries whose bodies would go, in order.
    pub entries: Vec<u64>,
}

/// What an erasure did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// A keyed digest of the subject, to record instead of the name.
    pub subject: Digest,
    /// How many bodies are gone.
    pub bodies: u64,
}

/// What a pruning did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Where it began: the end of the pruning before.
    pub from: u64,
    /// Where it ended.
    pub to: u64,
    /// How many rows are gone.
    pub removed: u64,
}
