//! A store with a writer over it, for one test.

use std::sync::Arc;

use cog_base::entropy::SeededEntropy;
use cog_base::id::TenantId;
use cog_base::{Clock, Timestamp};
use cog_ledger::{Draft, Durable, Entry, Shelf, Writer};
use cog_store::{Keep, PAGE_MAX, Select, TenantTx};

use crate::Place;

/// A clock that always says the same.
pub struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000)
    }
}

/// The one writer of an open store, and the store.
type Open = (Writer<Box<dyn Shelf + Send>>, Arc<dyn Keep>);

/// A store at a place, and its one writer.
pub struct House<'a> {
    place: &'a dyn Place,
    open: Option<Open>,
    entropy: SeededEntropy,
}

impl<'a> House<'a> {
    /// Open the store at `place`.
    pub fn at(place: &'a dyn Place) -> Self {
        let mut house = Self { place, open: None, entropy: SeededEntropy::new(7) };
        house.open();
        house
    }

    fn open(&mut self) {
        let store = self.place.open();
        let shelf = store.shelf().unwrap();
        let writer = Writer::new(shelf, store.signing_keys().unwrap(), "cognitionos/test");
        self.open = Some((writer, store));
    }

    /// Close the store and open it again.
    pub fn reopen(&mut self) {
        drop(self.open.take());
        self.open();
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &dyn Keep {
        &*self.open.as_ref().unwrap().1
    }

    /// The store, to read from while the house is written to. Gone before it is closed.
    #[must_use]
    pub fn shared(&self) -> Arc<dyn Keep> {
        Arc::clone(&self.open.as_ref().unwrap().1)
    }

    /// The writer.
    pub fn writer(&mut self) -> &mut Writer<Box<dyn Shelf + Send>> {
        &mut self.open.as_mut().unwrap().0
    }

    /// A second writer over the first one's shelf, which knows nothing yet.
    pub fn forget(&mut self) {
        let (writer, store) = self.open.take().unwrap();
        let keys = store.signing_keys().unwrap();
        self.open = Some((Writer::new(writer.into_shelf(), keys, "cognitionos/test"), store));
    }

    /// One tenant's scope.
    #[must_use]
    pub fn scope(&self, tenant: TenantId) -> Box<dyn TenantTx + '_> {
        self.store().scope(tenant).unwrap()
    }

    /// Append to one log in one commit.
    pub fn append(
        &mut self,
        tenant: TenantId,
        drafts: impl IntoIterator<Item = Draft>,
    ) -> Vec<Durable<Entry>> {
        self.append_all(drafts.into_iter().map(|draft| (tenant, draft)).collect())
    }

    /// Append to several logs in one commit.
    pub fn append_all(&mut self, drafts: Vec<(TenantId, Draft)>) -> Vec<Durable<Entry>> {
        self.append_later(drafts, 0)
    }

    /// The same, so many milliseconds later.
    pub fn append_later(&mut self, drafts: Vec<(TenantId, Draft)>, ms: u64) -> Vec<Durable<Entry>> {
        let mut entropy = self.entropy.clone();
        let now = Stopped.now().plus_ms(ms);
        let entries = self.writer().append(drafts, now, &mut entropy).unwrap();
        self.entropy = entropy;
        entries
    }

    /// Hand a log over to a new key.
    pub fn rotate(&mut self, tenant: TenantId) {
        let mut entropy = self.entropy.clone();
        self.writer().rotate(tenant, Stopped.now(), &mut entropy).unwrap();
        self.entropy = entropy;
    }

    /// All entries of a log, page by page.
    #[must_use]
    pub fn entries(&self, tenant: TenantId) -> Vec<Entry> {
        self.pages(tenant, &Select { limit: PAGE_MAX, ..Select::default() })
    }

    /// Everything that `select` asks for, page by page.
    #[must_use]
    pub fn pages(&self, tenant: TenantId, select: &Select) -> Vec<Entry> {
        let scope = self.scope(tenant);
        let mut all: Vec<Entry> = Vec::new();
        let mut select = select.clone();
        loop {
            let page = scope.select(&select).unwrap();
            assert!(page.len() <= select.limit);
            let is_last = page.len() < select.limit;
            if let Some(last) = page.last() {
                select = select.after(last);
            }
            all.extend(page);
            if is_last {
                return all;
            }
        }
    }
}
