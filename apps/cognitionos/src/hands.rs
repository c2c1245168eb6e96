//! The adapters, each with its kind of effect: the only place where engine and adapters
//! meet. Effects run in tasks of their own, so that nothing begun is lost when somebody
//! stops waiting.

#![expect(clippy::disallowed_methods, reason = "the program's edge: waits are real here")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cog_base::id::{ReceiptId, RunId};
use cog_effect_file::FileAdapter;
use cog_effect_http::HttpAdapter;
use cog_effect_model::ModelAdapter;
use cog_effect_process::ProcessAdapter;
use cog_effect_session::SessionAdapter;
use cog_engine::driver::{Append, Reply};
use cog_engine::{Hands, Inbox, Input, Ledger, Place, Placed};
use cog_flow::Terms;
use cog_gate::{Adapter, AnyCleared, AnyEffect, Cleared, Found, Lapse, Performed};
use cog_ledger::Draft;
use cog_store::{Committer, Submission};
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::streaming;

/// One adapter for each kind of effect.
pub(crate) struct Adapters {
    pub(crate) file: Arc<FileAdapter>,
    pub(crate) http: HttpAdapter,
    pub(crate) process: ProcessAdapter,
    pub(crate) model: ModelAdapter,
}

/// Makes the adapters of a run that another begins.
pub(crate) type Binder = Box<dyn Fn(&Place) -> Result<(Placed, Adapters), String> + Send>;

/// Adapters on a runtime, for each run its own.
pub(crate) struct Workers {
    runtime: Runtime,
    bound: Mutex<HashMap<RunId, Arc<Adapters>>>,
    binder: Binder,
}

impl Workers {
    pub(crate) fn new(binder: Binder) -> std::io::Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.thread_stack_size(cog_base::STACK_BYTES).enable_all().build()?;
        Ok(Self { runtime, bound: Mutex::default(), binder })
    }

    /// From now on these perform the effects of a run.
    pub(crate) fn bind(&self, run: RunId, adapters: Adapters) {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        bound.insert(run, Arc::new(adapters));
    }

    fn of(&self, run: RunId) -> Option<Arc<Adapters>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner).get(&run).cloned()
    }

    /// Where other tasks of this process run.
    pub(crate) fn runtime(&self) -> Handle {
        self.runtime.handle().clone()
    }

    /// Call `then` whenever this signal comes.
    pub(crate) fn listen(
        &self,
        kind: SignalKind,
        mut then: impl FnMut() + Send + 'static,
    ) -> std::io::Result<()> {
        let _inside = self.runtime.enter();
        let mut stream = signal(kind)?;
        self.runtime.spawn(async move {
            while stream.recv().await.is_some() {
                then();
            }
        });
        Ok(())
    }
}

impl Adapters {
    pub(crate) async fn perform(&self, cleared: Cleared<AnyEffect>) -> Performed<AnyEffect> {
        match cleared.split() {
            AnyCleared::FileRead(cleared) => self.file.perform(cleared).await.into(),
            AnyCleared::FileWrite(cleared) => self.file.perform(cleared).await.into(),
            AnyCleared::FileDelete(cleared) => self.file.perform(cleared).await.into(),
            AnyCleared::HttpRequest(cleared) => self.http.perform(cleared).await.into(),
            AnyCleared::ProcessRun(cleared) => self.process.perform(cleared).await.into(),
            AnyCleared::ModelChat(cleared) => self.model.perform(cleared).await.into(),
            AnyCleared::SessionAccept(cleared) => SessionAdapter.perform(cleared).await.into(),
        }
    }

    pub(crate) async fn probe(&self, effect: &AnyEffect, run: RunId, receipt: ReceiptId) -> Found {
        match effect {
            AnyEffect::FileRead(effect) => self.file.probe(effect, run, receipt).await,
            AnyEffect::FileWrite(effect) => self.file.probe(effect, run, receipt).await,
            AnyEffect::FileDelete(effect) => self.file.probe(effect, run, receipt).await,
            AnyEffect::HttpRequest(effect) => self.http.probe(effect, run, receipt).await,
            AnyEffect::ProcessRun(effect) => self.process.probe(effect, run, receipt).await,
            AnyEffect::ModelChat(effect) => self.model.probe(effect, run, receipt).await,
            AnyEffect::SessionAccept(effect) => SessionAdapter.probe(effect, run, receipt).await,
        }
    }
}

impl Hands for Workers {
    fn perform(&self, run: RunId, cleared: Cleared<AnyEffect>, terms: Terms, inbox: Inbox) {
        match self.of(run) {
            Some(adapters) => perform(self.runtime.handle(), adapters, cleared, terms, inbox),
            None => {
                let lost = cleared.counterfoil().lost(Lapse::Gone);
                inbox.send(Input::Performed(Box::new(lost)));
            }
        }
    }

    fn probe(&self, run: RunId, receipt: ReceiptId, effect: AnyEffect, inbox: Inbox) {
        match self.of(run) {
            Some(adapters) => {
                probe(self.runtime.handle(), adapters, (run, receipt), effect, inbox);
            }
            None => inbox.send(Input::Probed { run, receipt, found: Found::CannotTell }),
        }
    }

    fn place(&self, place: Place, inbox: Inbox) {
        let Place { parent, run, .. } = place;
        let placed = (self.binder)(&place).map(|(placed, adapters)| {
            self.bind(run, adapters);
            placed
        });
        inbox.send(Input::Placed { parent, run, placed });
    }
}

/// Perform in a task of its own, and send what came of it.
pub(crate) fn perform(
    runtime: &Handle,
    adapters: Arc<Adapters>,
    cleared: Cleared<AnyEffect>,
    terms: Terms,
    inbox: Inbox,
) {
    let counterfoil = cleared.counterfoil();
    let (cleared, telling) = match cleared.voice().filter(|_| terms.stream) {
        None => (cleared, None),
        Some(voice) => {
            let inbox = inbox.clone();
            let (cleared, telling) = streaming::telling(cleared, move |name, text| {
                inbox.send(Input::Given(Box::new(voice.says(name, text))));
            });
            (cleared, Some(telling))
        }
    };
    let mut work = runtime.spawn(async move {
        let work = adapters.perform(cleared);
        match terms.timeout_ms {
            None => Some(work.await),
            Some(ms) => tokio::time::timeout(Duration::from_millis(ms), work).await.ok(),
        }
    });
    runtime.spawn(async move {
        let ended = match telling {
            Some(telling) => telling.until(&mut work).await,
            None => work.await,
        };
        // A panic in an adapter ends its own task alone; the receipt is then settled by
        // what can be known.
        let performed = match ended {
            Ok(Some(performed)) => performed,
            Ok(None) => counterfoil.lost(Lapse::TimedOut),
            Err(_) => counterfoil.lost(Lapse::Gone),
        };
        inbox.send(Input::Performed(Box::new(performed)));
    });
}

/// Look for traces in a task of its own, and send what was found.
pub(crate) fn probe(
    runtime: &Handle,
    adapters: Arc<Adapters>,
    (run, receipt): (RunId, ReceiptId),
    effect: AnyEffect,
    inbox: Inbox,
) {
    let work = runtime.spawn(async move { adapters.probe(&effect, run, receipt).await });
    runtime.spawn(async move {
        let found = work.await.unwrap_or(Found::CannotTell);
        inbox.send(Input::Probed { run, receipt, found });
    });
}

/// The committer as the engine's ledger.
pub(crate) struct Committed(pub(crate) Committer);

impl Ledger for Committed {
    fn submit(&self, drafts: Vec<(cog_base::id::TenantId, Draft)>, reply: Reply) {
        self.submit_all(vec![(drafts, reply)]);
    }

    fn submit_all(&self, appends: Vec<Append>) {
        let submission = |(drafts, reply): Append| -> Submission {
            let reply = move |result: Result<_, Arc<cog_ledger::AppendError>>| {
                reply(result.map_err(|error| format!("{:#}", anyhow::Error::new(error))));
            };
            (drafts, Box::new(reply))
        };
        self.0.submit_all(appends.into_iter().map(submission));
    }
}
