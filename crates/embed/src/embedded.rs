//! The engine in the process of somebody else.

use std::sync::Arc;
use std::time::Duration;

use cog_base::Clock;
use cog_base::Entropy;
use cog_base::id::TenantId;
use cog_node::{Kit, Node, Parts, Settings, Told};
use cog_store::{Shared, Stats};

use crate::bell::Bell;
use crate::effects::{Effects, Tools};
use crate::error::Error;
use crate::system::{SystemClock, SystemEntropy};
use crate::tenant::Tenant;

/// What entries name as the program that wrote them, unless the settings say otherwise.
const ENGINE: &str = concat!("cog-embed/", env!("CARGO_PKG_VERSION"));
/// How long a claim on a tenant lasts where nodes share a database.
const LEASE: Duration = Duration::from_secs(2);

/// The engine, running in this process over a store: that of a folder, or a database that other nodes
/// share. It stops with [`Embedded::stop`], or when the value is dropped.
///
/// See `docs/guide/library.md` for an example of everything.
pub struct Embedded {
    node: Node,
    store: Arc<dyn Shared>,
    clock: Arc<dyn Clock>,
    entropy: fn() -> Box<dyn Entropy>,
    bell: Arc<Bell>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Embedded")
    }
}

impl Embedded {
    /// Run the engine over a store; `effects` does what runs are permitted.
    ///
    /// # Errors
    /// [`Error::Store`] when the store has a writer already, or there is no thread to be had.
    pub fn open(store: Arc<dyn Shared>, effects: impl Effects) -> Result<Self, Error> {
        let kit = Arc::new(Tools(Arc::new(effects)));
        Self::with(store, kit, Settings::new(ENGINE, LEASE), |_| {})
    }

    /// The same with adapters that are bound run by run, with settings, and with somebody who is told
    /// what happens, on threads of the engine: they must be quick.
    ///
    /// # Errors
    /// As [`Embedded::open`].
    pub fn with(
        store: Arc<dyn Shared>,
        kit: Arc<dyn Kit>,
        settings: Settings,
        tell: impl Fn(Told) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let (bell, clock) = (Arc::new(Bell::default()), Arc::new(SystemClock));
        let entropy: fn() -> Box<dyn Entropy> = || Box::new(SystemEntropy::new());
        let rung = Arc::clone(&bell);
        let parts = Parts {
            store: Arc::clone(&store),
            kit,
            clock: clock.clone(),
            entropy: Box::new(entropy),
            tell: Box::new(move |told| {
                tell(told);
                rung.ring();
            }),
        };
        let node = Node::start(settings, parts)?;
        Ok(Self { node, store, clock, entropy, bell })
    }

    /// A tenant of the store.
    #[must_use]
    pub fn tenant(&self, id: TenantId) -> Tenant {
        let given: (Arc<dyn Clock>, _) = (Arc::clone(&self.clock), (self.entropy)());
        Tenant::heard_at(Arc::clone(&self.store), id, given, Arc::clone(&self.bell))
    }

    /// The one tenant of a store that is for one alone, such as a folder: the first that it has, or a
    /// new one.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be read.
    pub fn own(&self) -> Result<Tenant, Error> {
        let id = match self.store.tenants()?.first() {
            Some(id) => *id,
            None => TenantId::new(self.clock.now(), (self.entropy)().as_mut())?,
        };
        Ok(self.tenant(id))
    }

    /// What was recorded so far, and in how many commits.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.node.stats()
    }

    /// Begin nothing more, wait for the effects that are under way, and end. What is not over then
    /// goes on when the store is opened again.
    pub fn stop(self) {
        self.node.stop();
    }
}
