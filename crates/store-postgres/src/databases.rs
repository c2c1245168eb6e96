//! Several databases as one, for whoever asks: it looks where a tenant is, and looks again when
//! it has moved meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use cog_base::id::{MailId, TenantId};
use cog_base::{Digest, Entropy};
use cog_ledger::{KeyRing, Shelf};
use cog_store::{
    Cursor, CursorStep, Cursors, Cut, DeadLetter, Delivery, Erasable, Erased, Files, Keep,
    Shared as _, Store, StoreError, TenantTx,
};

use crate::places::{HOME, Whereabouts};
use crate::writing::Patience;
use crate::{Options, PostgresStore};

/// The databases, of which the first is the home: it knows where tenants begin. Each is opened
/// when it is first needed, so that one that is away is in nobody's way who does not need it.
pub struct Databases {
    places: Vec<Place>,
    entropy: Box<dyn Fn() -> Box<dyn Entropy> + Send + Sync>,
    /// How long it is tried again when a tenant is just moving.
    patience: Duration,
    /// In which database a tenant was last.
    last: Mutex<HashMap<TenantId, usize>>,
}

struct Place {
    name: String,
    options: Options,
    store: OnceLock<PostgresStore>,
}

impl Databases {
    /// The databases of these options. If there is one alone it need not have a name; of several
    /// the first is the home.
    #[must_use]
    pub fn new(
        options: Vec<Options>,
        entropy: Box<dyn Fn() -> Box<dyn Entropy> + Send + Sync>,
        patience: Duration,
    ) -> Self {
        let place = |options: Options| {
            let name = options.name.clone().unwrap_or_else(|| HOME.to_owned());
            Place { name, options, store: OnceLock::new() }
        };
        let places = options.into_iter().map(place).collect();
        Self { places, entropy, patience, last: Mutex::default() }
    }

    /// What the databases are called, the home first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| place.name.as_str())
    }

    /// The database of a name.
    ///
    /// # Errors
    /// [`StoreError`] when there is none of that name, or it cannot be opened.
    pub fn named(&self, name: &str) -> Result<&PostgresStore, StoreError> {
        let place = self.places.iter().position(|place| place.name == name);
        let unknown =
            || StoreError::io(format!("use the database `{name}`"), "no address is given");
        self.store(place.ok_or_else(unknown)?)
    }

    /// The home database.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be opened.
    pub fn home(&self) -> Result<&PostgresStore, StoreError> {
        self.store(0)
    }

    /// Do something in the database that has a tenant. While it is just moving, it is done again
    /// until it is somewhere: `act` must be something that may be done twice.
    ///
    /// # Errors
    /// Those of `act`, or when nobody knows where the tenant is.
    pub fn with<'a, T>(
        &'a self,
        tenant: TenantId,
        mut act: impl FnMut(&'a PostgresStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut patience = Patience::new(self.patience);
        loop {
            let done = self.at(tenant).and_then(&mut act);
            let Err(StoreError::Moved { to, .. }) = &done else { return done };
            self.last().remove(&tenant);
            let is_known = self.places.iter().any(|place| place.name == *to);
            if !is_known || !patience.wait() {
                return done;
            }
        }
    }

    /// How mail stands, as [`cog_store::Shared::delivery`].
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn delivery(&self, tenant: TenantId, id: MailId) -> Result<Option<Delivery>, StoreError> {
        self.with(tenant, |store| store.delivery(tenant, id))
    }

    /// The database that has a tenant, or is the first to hear of it.
    ///
    /// # Errors
    /// [`StoreError`] when nobody knows which.
    pub fn at(&self, tenant: TenantId) -> Result<&PostgresStore, StoreError> {
        if self.places.len() == 1 {
            return self.store(0);
        }
        let last = self.last().get(&tenant).copied();
        if let Some(place) = last {
            return self.store(place);
        }
        let place = match self.follow(tenant) {
            Err(StoreError::Unreachable { doing, source }) => {
                let away = StoreError::Unreachable { doing, source };
                self.look_everywhere(tenant).ok_or(away)?
            }
            other => other?,
        };
        self.last().insert(tenant, place);
        self.store(place)
    }

    /// From the home on, where each says that it is.
    fn follow(&self, tenant: TenantId) -> Result<usize, StoreError> {
        let mut place = 0;
        let mut seen = BTreeSet::new();
        loop {
            match self.store(place)?.whereabouts(tenant)? {
                Whereabouts::Here { .. } | Whereabouts::Leaving(_) | Whereabouts::Arriving(_) => {
                    return Ok(place);
                }
                Whereabouts::Elsewhere(to) => {
                    let next = self.places.iter().position(|place| place.name == to);
                    // Of two that both say so, one is about to know better.
                    match next.filter(|_| seen.insert(place)) {
                        Some(next) => place = next,
                        None => return Err(StoreError::Moved { tenant, to }),
                    }
                }
            }
        }
    }

    /// Without the home, a tenant is found that has begun in a database that is there.
    fn look_everywhere(&self, tenant: TenantId) -> Option<usize> {
        (1..self.places.len()).find(|place| {
            let store = self.store(*place);
            let found = store.and_then(|store| store.whereabouts(tenant));
            matches!(found, Ok(Whereabouts::Here { begun: true } | Whereabouts::Leaving(_)))
        })
    }

    fn store(&self, place: usize) -> Result<&PostgresStore, StoreError> {
        let unknown = || StoreError::io("use a database", "no address is given");
        let place = self.places.get(place).ok_or_else(unknown)?;
        if let Some(store) = place.store.get() {
            return Ok(store);
        }
        let opened = PostgresStore::open(place.options.clone(), (self.entropy)())?;
        Ok(place.store.get_or_init(|| opened))
    }

    fn last(&self) -> MutexGuard<'_, HashMap<TenantId, usize>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever asks reads; the logs are written by nodes, each in its database.
impl Store for Databases {
    fn shelf(&self) -> Result<Box<dyn Shelf + Send>, StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn signing_keys(&self) -> Result<Box<dyn KeyRing>, StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn scope(&self, tenant: TenantId) -> Result<Box<dyn TenantTx + '_>, StoreError> {
        self.with(tenant, |store| store.scope(tenant))
    }

    fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let mut all = BTreeSet::new();
        for place in 0..self.places.len() {
            all.extend(self.store(place)?.tenants()?);
        }
        Ok(all.into_iter().collect())
    }
}

impl Cursors for Databases {
    fn take_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        from: u64,
    ) -> Result<Cursor, StoreError> {
        self.with(tenant, |store| store.take_cursor(tenant, consumer, from))
    }

    fn move_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        step: &CursorStep,
    ) -> Result<(), StoreError> {
        self.with(tenant, |store| store.move_cursor(tenant, consumer, step))
    }

    fn set_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        next: u64,
    ) -> Result<Cursor, StoreError> {
        self.with(tenant, |store| store.set_cursor(tenant, consumer, next))
    }

    fn drop_cursor(&self, tenant: TenantId, consumer: &str) -> Result<bool, StoreError> {
        self.with(tenant, |store| store.drop_cursor(tenant, consumer))
    }

    fn cursors(&self, tenant: TenantId) -> Result<Vec<Cursor>, StoreError> {
        self.with(tenant, |store| store.cursors(tenant))
    }

    fn dead_letters(
        &self,
        tenant: TenantId,
        consumer: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.with(tenant, |store| store.dead_letters(tenant, consumer, from, limit))
    }
}

impl Keep for Databases {
    fn put_canon(&self, tenant: TenantId, digest: Digest, files: &Files) -> Result<(), StoreError> {
        self.with(tenant, |store| store.put_canon(tenant, digest, files))
    }

    fn erasable(&self, tenant: TenantId, subject: &str) -> Result<Erasable, StoreError> {
        self.with(tenant, |store| store.erasable(tenant, subject))
    }

    fn erase(&self, tenant: TenantId, subject: &str) -> Result<Erased, StoreError> {
        self.with(tenant, |store| store.erase(tenant, subject))
    }

    fn bodies(&self, tenant: TenantId, range: Range<u64>) -> Result<Vec<(u64, u64)>, StoreError> {
        self.with(tenant, |store| store.bodies(tenant, range.clone()))
    }

    fn erase_bodies(&self, tenant: TenantId, entries: &[u64]) -> Result<u64, StoreError> {
        self.with(tenant, |store| store.erase_bodies(tenant, entries))
    }

    fn prune_bodies(&self, tenant: TenantId, before: u64) -> Result<Cut, StoreError> {
        self.with(tenant, |store| store.prune_bodies(tenant, before))
    }

    fn prunable(&self, tenant: TenantId, before: u64) -> Result<Range<u64>, StoreError> {
        self.with(tenant, |store| store.prunable(tenant, before))
    }

    fn prune_entries(&self, tenant: TenantId, before: u64) -> Result<Cut, StoreError> {
        self.with(tenant, |store| store.prune_entries(tenant, before))
    }

    fn backup(&self, path: &Path) -> Result<(), StoreError> {
        self.home()?.backup(path)
    }
}
