//! What performs effects. An adapter can do nothing by itself: it needs a [`Cleared`],
//! and only the gate makes one.

use std::future::Future;
use std::pin::Pin;

use cog_base::Value;
use cog_base::id::{ReceiptId, RunId};

use crate::door::{Cleared, Performed};
use crate::effect::Effect;

/// A future that may move between threads.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Performs one kind of effect.
pub trait Adapter<E: Effect>: Send + Sync {
    /// Do what was cleared, once, and say what came of it. The receipt's id is the
    /// idempotency key: a second try of the same receipt must not act twice where the
    /// world lets the adapter see the first.
    fn perform(&self, cleared: Cleared<E>) -> Work<'_, Performed<E>>;

    /// Whether the effect of a receipt whose outcome was lost was done, in the run whose
    /// places are meant. It must not act; all it may remove is what an unfinished try of this
    /// very receipt left behind.
    fn probe<'a>(&'a self, effect: &'a E, session: RunId, receipt: ReceiptId) -> Work<'a, Found>;
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was done; this is what it gave.
    Done(Value),
    /// It was not done.
    NotDone,
    /// Nobody can tell.
    CannotTell,
}
