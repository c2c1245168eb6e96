//! What is asked of the owner of a tenant's log, and what is read in it.

mod activating;
mod asking;
mod going_on;
mod looking;
mod starting;
mod waiting;

pub use asking::Signal;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cog_base::entropy::NoEntropy;
use cog_base::id::{MailId, RunId, TenantId};
use cog_base::{Clock, Entropy, Timestamp};
use cog_gate::Actor;
use cog_node::{Came, Request, ask, came_of};
use cog_store::{Delivery, Files, Posted, Shared, TenantTx};

use crate::begin::Begin;
use crate::bell::Bell;
use crate::error::Error;
use crate::system::{SystemClock, SystemEntropy};

/// How long it is waited for what is recorded at once, unless somebody says otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// A tenant: runs are asked for, and read, here. Clones are the same one.
///
/// Nothing here writes the log. What is wanted goes as mail to the owner of the log: the node of this
/// process, or any other one that shares the store. So it is asked for once it is posted, whatever
/// becomes of this process.
#[derive(Clone)]
pub struct Tenant {
    pub(crate) id: TenantId,
    pub(crate) store: Arc<dyn Shared>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<Mutex<Box<dyn Entropy>>>,
    pub(crate) bell: Arc<Bell>,
    patience: Duration,
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tenant").field(&self.id).finish()
    }
}

impl Tenant {
    /// A tenant of a store that nodes elsewhere work with.
    #[must_use]
    pub fn of(store: Arc<dyn Shared>, id: TenantId) -> Self {
        let (clock, entropy) = (Arc::new(SystemClock), Box::new(SystemEntropy::new()));
        Self::heard_at(store, id, (clock, entropy), Arc::default())
    }

    pub(crate) fn heard_at(
        store: Arc<dyn Shared>,
        id: TenantId,
        (clock, entropy): (Arc<dyn Clock>, Box<dyn Entropy>),
        bell: Arc<Bell>,
    ) -> Self {
        let entropy = Arc::new(Mutex::new(entropy));
        Self { id, store, clock, entropy, bell, patience: PATIENCE }
    }

    /// The same, which waits so long for what is recorded at once: an answer, a signal, a pause. 30
    /// seconds if nothing is said.
    #[must_use]
    pub const fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> TenantId {
        self.id
    }

    /// Everything of it as it is now, for reading.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn scope(&self) -> Result<Box<dyn TenantTx + '_>, Error> {
        Ok(self.store.scope(self.id)?)
    }

    /// Put the first canon of a domain in force, in the name of `who`. Where there is one nothing is
    /// changed: that is done by proposal.
    ///
    /// # Errors
    /// [`Error::Refused`] when the canon does not load.
    pub fn found(&self, files: &Files, environment: &str, who: &Actor) -> Result<(), Error> {
        let (files, environment) = (files.clone(), environment.to_owned());
        self.ask(&Request::Found { files, environment, who: who.clone() }).map(drop)
    }

    /// Begin a run, and say which it is. It is asked for durably then; it goes on by itself. With a
    /// [key](Begin::key), what was asked for before is not begun again.
    ///
    /// # Errors
    /// [`Error::Workflow`] or [`Error::Inputs`] for what could never begin, [`Error::KeyTaken`] when
    /// the key stands for something else.
    pub fn start(&self, begin: Begin) -> Result<RunId, Error> {
        let key = begin.key.clone();
        let run = self.new_id(RunId::new)?;
        let wanted = begin.wanted(run)?;
        self.post_run(run, &Request::Start(Box::new(wanted)), key.as_deref())
    }

    /// Post what begins a run.
    pub(crate) fn post_run(
        &self,
        run: RunId,
        request: &Request,
        key: Option<&str>,
    ) -> Result<RunId, Error> {
        let id = MailId::from_uuid(run.uuid());
        match ask(&*self.store, self.id, id, request, key)? {
            Posted::Waiting => Ok(run),
            Posted::Before(run) => Ok(run),
            Posted::Differs(run) => {
                Err(Error::KeyTaken { key: key.unwrap_or_default().to_owned(), run })
            }
        }
    }

    /// Ask for something, and wait until the log says what came of it: the number of the entry, if it
    /// is known which.
    pub(crate) fn ask(&self, request: &Request) -> Result<Option<u64>, Error> {
        let id = match request.begins() {
            Some(run) => MailId::from_uuid(run.uuid()),
            None => self.new_id(MailId::new)?,
        };
        ask(&*self.store, self.id, id, request, None)?;
        self.in_time("the answer", self.patience, || {
            Ok(match self.store.delivery(self.id, id)? {
                Some(Delivery::Waiting) => None,
                Some(Delivery::Refused(why)) => return Err(Error::Refused(why)),
                None => Some(match came_of(&*self.scope()?, request)? {
                    Some(Came::Done(seq)) => Some(seq),
                    Some(Came::Refused { why, .. }) => return Err(Error::Refused(why)),
                    None => None,
                }),
            })
        })
    }

    pub(crate) fn new_id<I>(
        &self,
        make: impl Fn(Timestamp, &mut dyn Entropy) -> Result<I, NoEntropy>,
    ) -> Result<I, Error> {
        let mut entropy = self.entropy.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(make(self.clock.now(), entropy.as_mut())?)
    }
}
