//! What performs effects: something of the embedder's own, made into what a node is given.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use cog_base::STACK_BYTES;
use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_engine::{Hands, Inbox, Input, Place, Placed};
use cog_flow::Terms;
use cog_gate::{AnyEffect, Cleared, Found, Lapse, Performed};
use cog_node::{Kit, Ready};

use crate::begin::under;

/// Performs effects, each on a thread of its own. A function is one.
///
/// An effect comes as a [`Cleared`], which only the gate makes, and only when its receipt is durable.
/// What came of it is said with [`Cleared::done`], [`Cleared::failed`] or [`Cleared::unknown`].
pub trait Effects: Send + Sync + 'static {
    /// Do what was cleared, once.
    fn perform(&self, cleared: Cleared<AnyEffect>) -> Performed<AnyEffect>;

    /// Whether an effect was done whose outcome was lost in a crash. It must not act. Where nobody
    /// can tell, and doing it again is not safe, the outcome is `unknown`.
    fn probe(&self, _run: RunId, _receipt: ReceiptId, _effect: &AnyEffect) -> Found {
        Found::CannotTell
    }
}

impl<F> Effects for F
where
    F: Fn(Cleared<AnyEffect>) -> Performed<AnyEffect> + Send + Sync + 'static,
{
    fn perform(&self, cleared: Cleared<AnyEffect>) -> Performed<AnyEffect> {
        self(cleared)
    }
}

/// The kit of a node that performs everything with these. Roots stand below the folder that a run
/// was begun with; whether there is anything is for who performs.
pub(crate) struct Tools<E>(pub(crate) Arc<E>);

struct Threads<E>(Arc<E>);

impl<E: Effects> Kit for Tools<E> {
    fn hands(&self, _: TenantId) -> Box<dyn Hands> {
        Box::new(Threads(Arc::clone(&self.0)))
    }

    fn bind(&self, _: &Ready<'_>) -> Result<(), String> {
        Ok(())
    }

    fn place(&self, place: &Place) -> Result<Placed, String> {
        let base = match &place.workflow {
            Some(workflow) => {
                let file = under(&place.base, workflow);
                file.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned())
            }
            None => place.base.clone(),
        };
        let stands = place.roots.iter().map(|root| (root.name.clone(), under(&base, &root.path)));
        let places: BTreeMap<String, String> = stands.collect();
        Ok(Placed { base, places })
    }

    fn unbind(&self, _: TenantId, _: RunId) {}
}

impl<E: Effects> Hands for Threads<E> {
    fn perform(&self, _: RunId, cleared: Cleared<AnyEffect>, terms: Terms, inbox: Inbox) {
        let (effects, counterfoil) = (Arc::clone(&self.0), cleared.counterfoil());
        let tell = inbox.clone();
        let begun = thread(move || {
            let performed = attempt(effects, cleared, terms.timeout_ms);
            tell.send(Input::Performed(Box::new(performed)));
        });
        if !begun {
            inbox.send(Input::Performed(Box::new(counterfoil.lost(Lapse::Gone))));
        }
    }

    fn probe(&self, run: RunId, receipt: ReceiptId, effect: AnyEffect, inbox: Inbox) {
        let (effects, tell) = (Arc::clone(&self.0), inbox.clone());
        let begun = thread(move || {
            let found = catch_unwind(AssertUnwindSafe(|| effects.probe(run, receipt, &effect)));
            let found = found.unwrap_or(Found::CannotTell);
            tell.send(Input::Probed { run, receipt, found });
        });
        if !begun {
            inbox.send(Input::Probed { run, receipt, found: Found::CannotTell });
        }
    }
}

/// Perform an effect, for so long at most. Of one that panics or takes too long it is said what can be
/// known.
fn attempt<E: Effects>(
    effects: Arc<E>,
    cleared: Cleared<AnyEffect>,
    timeout_ms: Option<u64>,
) -> Performed<AnyEffect> {
    let counterfoil = cleared.counterfoil();
    let (say, heard) = channel();
    let work = move || {
        let performed = catch_unwind(AssertUnwindSafe(|| effects.perform(cleared)));
        // Whoever gave up on it does not listen any more.
        performed.into_iter().for_each(|performed| drop(say.send(performed)));
    };
    let performed = match timeout_ms {
        None => {
            work();
            heard.try_recv().map_err(|_| Lapse::Gone)
        }
        Some(ms) => {
            thread(work);
            heard.recv_timeout(Duration::from_millis(ms)).map_err(|error| match error {
                RecvTimeoutError::Timeout => Lapse::TimedOut,
                RecvTimeoutError::Disconnected => Lapse::Gone,
            })
        }
    };
    performed.unwrap_or_else(|lapse| counterfoil.lost(lapse))
}

/// Whether there was a thread to be had for it.
fn thread(work: impl FnOnce() + Send + 'static) -> bool {
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work).is_ok()
}
