//! What all machines of a node share, and how one of them waits for another.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cog_base::id::TenantId;
use cog_base::{Clock, Digest, Entropy, Timestamp};
use cog_canon::Canon;
use cog_engine::Ledger;
use cog_engine::driver::{Append, Reply, contained};
use cog_ledger::{AppendError, Draft, Durable, Entry, ShelfError};
use cog_store::{Committer, Shared, Submission};

use crate::desk::told;
use crate::kit::Kit;
use crate::node::{Parts, Settings};
use crate::time::StoreClock;
use crate::told::Told;

/// The most canons that are kept in memory; beyond it all are read again when needed.
const CANONS_MAX: usize = 1_024;

/// What is done while one machine waits for another, where both are on one thread.
pub(crate) type Meanwhile = Box<dyn Fn() + Send + Sync>;

/// What all machines of a node share.
pub(crate) struct House {
    pub(crate) settings: Settings,
    pub(crate) store: Arc<dyn Shared>,
    pub(crate) committer: Committer,
    pub(crate) kit: Arc<dyn Kit>,
    /// The time of the store: what is written is dated by it.
    pub(crate) clock: Arc<StoreClock>,
    /// The clock of the machine, to wait by.
    pub(crate) machine: Arc<dyn Clock>,
    pub(crate) entropy: Box<dyn Fn() -> Box<dyn Entropy> + Send + Sync>,
    tell: Box<dyn Fn(Told) + Send + Sync>,
    canons: Mutex<HashMap<Digest, Arc<Canon>>>,
    /// Nothing where each machine has a thread.
    meanwhile: Option<Meanwhile>,
}

impl House {
    pub(crate) fn new(
        settings: Settings,
        parts: Parts,
        clock: Arc<StoreClock>,
        committer: Committer,
        meanwhile: Option<Meanwhile>,
    ) -> Self {
        let Parts { store, kit, clock: machine, entropy, tell } = parts;
        let canons = Mutex::default();
        Self { settings, store, committer, kit, clock, machine, entropy, tell, canons, meanwhile }
    }

    /// The time, by the store.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn tell(&self, told: Told) {
        // An onlooker that panics has not heard it, and harms nobody.
        let _ = contained(|| (self.tell)(told));
    }

    /// Canons that were loaded. A version is the digest of its files, whoever's it is.
    pub(crate) fn canons(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Canon>>> {
        self.canons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn remember(&self, canon: Arc<Canon>) {
        let mut canons = self.canons();
        if canons.len() >= CANONS_MAX {
            canons.clear();
        }
        canons.insert(canon.digest(), canon);
    }

    /// Wait until everything is decided that was submitted before.
    pub(crate) fn until_decided(&self, tenant: TenantId) {
        let (answer, wait) = channel();
        // Whether the end could be read does not matter.
        self.committer.submit_head(tenant, Box::new(move |_| drop(answer)));
        self.wait_for::<()>(&wait);
    }

    /// Record all of `drafts` or none, and wait for it.
    pub(crate) fn append(
        &self,
        drafts: Vec<(TenantId, Draft)>,
    ) -> Result<Vec<Durable<Entry>>, Arc<AppendError>> {
        let (answer, wait) = channel();
        self.committer.submit(drafts, Box::new(move |result| drop(answer.send(result))));
        self.wait_for(&wait).unwrap_or_else(|| Err(ended()))
    }

    /// Have another key sign a log, and wait for it.
    pub(crate) fn rotate(&self, tenant: TenantId) -> Result<Vec<Durable<Entry>>, Arc<AppendError>> {
        let (answer, wait) = channel();
        let reply = Box::new(move |result| drop(answer.send(result)));
        self.committer.submit_rotation(tenant, reply);
        self.wait_for(&wait).unwrap_or_else(|| Err(ended()))
    }

    /// Wait for what somebody else says; nothing when nobody is left who would.
    pub(crate) fn wait_for<T>(&self, answer: &Receiver<T>) -> Option<T> {
        let Some(meanwhile) = &self.meanwhile else { return answer.recv().ok() };
        loop {
            match answer.try_recv() {
                Ok(answer) => return Some(answer),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => meanwhile(),
            }
        }
    }
}

fn ended() -> Arc<AppendError> {
    Arc::new(ShelfError::lasting("the committer has ended").into())
}

/// The committer as the ledger of engines.
pub(crate) struct Committed(pub(crate) Committer);

impl Ledger for Committed {
    fn submit(&self, drafts: Vec<(TenantId, Draft)>, reply: Reply) {
        self.submit_all(vec![(drafts, reply)]);
    }

    fn submit_all(&self, appends: Vec<Append>) {
        self.0.submit_all(appends.into_iter().map(submission));
    }
}

/// An append of an engine as the committer takes it.
fn submission((drafts, reply): Append) -> Submission {
    let reply = move |result: Result<_, Arc<AppendError>>| {
        reply(result.map_err(|error| told(error.as_ref())));
    };
    (drafts, Box::new(reply))
}
