//! What survives a crash: a store that sometimes fails before, while or after it keeps something,
//! and beside it a copy of everything that it said it kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cog_base::entropy::{Entropy, SeededEntropy};
use cog_base::id::TenantId;
use cog_base::json::parse;
use cog_engine::Record;
use cog_ledger::keys::{KeyRing, SignError, Signer};
use cog_ledger::memory::KeptLog;
use cog_ledger::{Entry, Kind, SealedBatch, Shelf, ShelfError, Tail, Writer};
use cog_store::{Keep, MemoryStore, Select, Store, StoreError, TenantTx};

use crate::counts::Counts;
use crate::place::Place;

/// A store that keeps things for administrators too.
pub(crate) trait Keeping: Store + Keep {}

impl<S: Store + Keep> Keeping for S {}

/// The store and the copy. Clones share them.
#[derive(Clone)]
pub(crate) struct Disk {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    store: Arc<dyn Keeping>,
    /// Where the embedded store is; nothing for a store in memory.
    place: Option<Place>,
    /// What was kept, as it was kept: nothing is erased or pruned here.
    logs: BTreeMap<TenantId, Arc<KeptLog>>,
    receipts: BTreeSet<(TenantId, String)>,
    /// A commit of which nobody knows whether it was kept.
    doubt: Option<Vec<SealedBatch>>,
    rate: u64,
    dice: SeededEntropy,
    faults: Counts,
}

/// What becomes of a call of the store.
enum Luck {
    Fine,
    /// Nothing is done.
    Fails,
    /// Nothing is done, and it may be tried again.
    Passes,
    /// It is done, and nobody is told.
    Lost,
    /// The power goes in the middle of it.
    Torn,
}

impl Disk {
    /// A disk that fails once in `rate` commits, with the embedded store or with one in memory.
    ///
    /// # Errors
    /// Why there is no folder.
    pub(crate) fn new(seed: u64, rate: u64, is_embedded: bool) -> Result<Self, String> {
        let (store, place): (Arc<dyn Keeping>, _) = if is_embedded {
            let (place, store) = Place::new(seed)?;
            (Arc::new(store), Some(place))
        } else {
            (Arc::new(MemoryStore::new()), None)
        };
        let inner = Inner {
            store,
            place,
            logs: BTreeMap::new(),
            receipts: BTreeSet::new(),
            doubt: None,
            rate,
            dice: SeededEntropy::new(seed),
            faults: Counts::default(),
        };
        Ok(Self { inner: Arc::new(Mutex::new(inner)) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store(&self) -> Arc<dyn Keeping> {
        Arc::clone(&self.lock().store)
    }

    /// A writer over the store. There is one at a time.
    pub(crate) fn writer(&self) -> Result<Writer<Box<dyn Shelf + Send>>, StoreError> {
        let store = self.store();
        let shelf = Box::new(DiskShelf { shelf: store.shelf()?, disk: self.clone() });
        let keys = Box::new(DiskKeys { keys: store.signing_keys()?, disk: self.clone() });
        Ok(Writer::new(shelf, keys, "cognitionos/sim"))
    }

    /// Everything that the store said it kept of a log.
    pub(crate) fn log(&self, tenant: TenantId) -> Arc<KeptLog> {
        self.lock().logs.get(&tenant).cloned().unwrap_or_default()
    }

    /// The entries of runs with their bodies, as far as the store still has them.
    pub(crate) fn records(&self, tenant: TenantId) -> Result<Vec<Record>, StoreError> {
        let store = self.store();
        let scope = store.scope(tenant)?;
        let mut entries = Vec::new();
        scope.each(Select::default(), &mut |entry: &Entry| {
            entries.extend(entry.session().map(|_| entry.clone()));
        })?;
        entries.into_iter().map(|entry| record(&*scope, entry)).collect()
    }

    /// Whether a receipt is durable.
    pub(crate) fn holds(&self, tenant: TenantId, receipt: &str) -> bool {
        self.lock().receipts.contains(&(tenant, receipt.to_owned()))
    }

    pub(crate) fn faults(&self) -> Counts {
        self.lock().faults.clone()
    }

    /// From here on it fails once in `rate` commits.
    pub(crate) fn fail_again(&self, rate: u64) {
        self.lock().rate = rate;
    }

    /// From here on it does not fail any more.
    pub(crate) fn heal(&self) {
        self.lock().rate = 0;
    }

    /// Whether the power is gone: nothing that happens from here on is kept.
    pub(crate) fn is_torn(&self) -> bool {
        self.lock().place.as_ref().is_some_and(|place| place.torn.is_some())
    }

    /// The machine stops. What is on the disk is opened again; nobody else may hold the store.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn crash(&self) -> Result<(), String> {
        let mut inner = self.lock();
        let Inner { store, place, logs, dice, faults, .. } = &mut *inner;
        let Some(place) = place else { return Ok(()) };
        let image = place.left(logs, dice, faults)?;
        *store = Arc::new(MemoryStore::new());
        *store = Arc::new(place.open_again(&image, logs)?);
        Ok(())
    }

    /// Whether every log ends where the last entry is that was acknowledged.
    ///
    /// # Errors
    /// Where it ends instead.
    pub(crate) fn ends_where_it_should(&self) -> Result<(), String> {
        let inner = self.lock();
        for (tenant, log) in &inner.logs {
            let scope = inner.store.scope(*tenant).map_err(|error| error.to_string())?;
            let tail = scope.tail().map_err(|error| error.to_string())?;
            let end = tail.map(|tail| (tail.frontier.size(), tail.last_leaf));
            let last = log.entries.last().map(|it| (log.entries.len() as u64, it.entry.leaf()));
            if end != last {
                return Err(format!("the log of {tenant} ends at {end:?}, not at {last:?}"));
            }
        }
        Ok(())
    }

    /// Find out what became of the commit that is in doubt: kept for all tenants, or for none.
    ///
    /// # Errors
    /// What is there instead.
    pub(crate) fn settle(&self) -> Result<(), String> {
        if self.is_torn() {
            return Ok(());
        }
        let mut inner = self.lock();
        let Some(batches) = inner.doubt.take() else { return Ok(()) };
        let mut kept = BTreeSet::new();
        for batch in &batches {
            let scope = inner.store.scope(batch.tenant).map_err(|error| error.to_string())?;
            let tail = scope.tail().map_err(|error| error.to_string())?;
            let size = tail.map_or(0, |tail| tail.frontier.size());
            let whole = batch.first + batch.entries.len() as u64;
            if size != batch.first && size != whole {
                let first = batch.first;
                return Err(format!("of {first}..{whole}, which was in doubt, {size} are there"));
            }
            kept.insert(size == whole);
        }
        if kept.len() > 1 {
            return Err("a commit was kept for one tenant and not for another".to_owned());
        }
        if kept.contains(&true) {
            inner.note(&batches);
        }
        Ok(())
    }
}

impl Inner {
    fn luck(&mut self, what: [&'static str; 4]) -> Luck {
        let roll = if self.rate > 0 { self.dice.below(self.rate * 3) } else { u64::MAX };
        let (luck, name) = match (roll, what) {
            (0, [fails, ..]) => (Luck::Fails, fails),
            (1, [_, passes, ..]) => (Luck::Passes, passes),
            (2, [_, _, lost, _]) => (Luck::Lost, lost),
            // A folder is what power can be lost in.
            (3..=5, [.., torn]) if self.place.is_some() => (Luck::Torn, torn),
            (_, _) => return Luck::Fine,
        };
        self.faults.add(name);
        luck
    }

    /// Reading may fail, too.
    fn read(&mut self, what: &'static str) -> Result<(), ShelfError> {
        if self.rate == 0 || self.dice.below(self.rate * 3) > 0 {
            return Ok(());
        }
        self.faults.add(what);
        Err(ShelfError::lasting("the simulated disk cannot be read"))
    }

    /// Take note of what the store said it kept.
    fn note(&mut self, batches: &[SealedBatch]) {
        for batch in batches {
            let log = Arc::make_mut(self.logs.entry(batch.tenant).or_default());
            log.entries.extend(batch.entries.iter().cloned());
            log.checkpoints.push(batch.checkpoint.clone());
            for sealed in batch.entries.iter().filter(|it| it.entry.kind() == Kind::Receipt) {
                let id = sealed.entry.id().unwrap_or_default().to_owned();
                self.receipts.insert((batch.tenant, id));
            }
        }
    }
}

/// An entry with what the store still has of its body.
fn record(scope: &dyn TenantTx, entry: Entry) -> Result<Record, StoreError> {
    let open = entry.commit().map(|_| scope.body(entry.seq())).transpose()?.flatten();
    let text = open.and_then(|open| String::from_utf8(open.bytes).ok());
    Ok(Record { entry: Arc::new(entry), body: text.and_then(|text| parse(&text).ok()) })
}

/// The side of the disk that the writer sees.
struct DiskShelf {
    shelf: Box<dyn Shelf + Send>,
    disk: Disk,
}

/// The keys on the disk.
struct DiskKeys {
    keys: Box<dyn KeyRing>,
    disk: Disk,
}

impl DiskShelf {
    /// Commit, and keep what a disk has that loses its power meanwhile.
    fn tear(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        let image = |disk: &Disk| {
            let inner = disk.lock();
            inner.place.as_ref().map(|place| place.folder.image()).transpose()
        };
        let before = image(&self.disk).map_err(ShelfError::lasting)?;
        self.shelf.commit(batches)?;
        let after = image(&self.disk).map_err(ShelfError::lasting)?;
        let mut inner = self.disk.lock();
        let Inner { place, dice, doubt, .. } = &mut *inner;
        if let (Some(place), Some(before), Some(after)) = (place, before, after) {
            place.torn = Some(before.torn(&after, dice));
        }
        *doubt = Some(batches.to_vec());
        Err(ShelfError::lasting("the power went"))
    }
}

impl Shelf for DiskShelf {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        if self.disk.is_torn() {
            return Err(ShelfError::lasting("the power is gone"));
        }
        self.disk.settle().map_err(ShelfError::lasting)?;
        let luck = self.disk.lock().luck([
            "commit.failed",
            "commit.failed_in_passing",
            "commit.lost",
            "commit.torn",
        ]);
        match luck {
            Luck::Fails => return Err(ShelfError::lasting("no space on the simulated disk")),
            Luck::Passes => return Err(ShelfError::transient("the simulated disk is busy")),
            Luck::Torn => return self.tear(batches),
            Luck::Fine | Luck::Lost => {}
        }
        self.shelf.commit(batches)?;
        let mut inner = self.disk.lock();
        if matches!(luck, Luck::Lost) {
            inner.doubt = Some(batches.to_vec());
            return Err(ShelfError::lasting("kept, but the answer was lost"));
        }
        inner.note(batches);
        Ok(())
    }

    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        self.disk.lock().read("tail.not_read")?;
        self.shelf.tail(tenant)
    }
}

impl KeyRing for DiskKeys {
    fn create(
        &mut self,
        tenant: TenantId,
        origin: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<Box<dyn Signer>, SignError> {
        let luck = self.disk.lock().luck(["key.not_made", "key.not_made", "key.lost", "key.lost"]);
        match luck {
            Luck::Fails | Luck::Passes => Err(SignError::Store("no key was made".into())),
            Luck::Fine => self.keys.create(tenant, origin, entropy),
            Luck::Lost | Luck::Torn => {
                self.keys.create(tenant, origin, entropy)?;
                Err(SignError::Store("a key was made, and nobody was told".into()))
            }
        }
    }

    fn open(
        &mut self,
        tenant: TenantId,
        origin: &str,
        id: u32,
    ) -> Result<Box<dyn Signer>, SignError> {
        let read = self.disk.lock().read("key.not_read");
        read.map_err(|why| SignError::Store(why.source))?;
        self.keys.open(tenant, origin, id)
    }
}
