//! What stays of a clearance while an adapter has it, so that an attempt of which nobody
//! will report can still be settled, or made again where that changes nothing.

use crate::door::{Cleared, Failure, Pass, Performed};
use crate::effect::{Effect, Redo};

/// What stays of a clearance with whoever hands it to an adapter. It cannot be performed:
/// all it can become is the report on a lost attempt.
#[derive(Debug)]
pub struct Counterfoil<E> {
    effect: E,
    pass: Pass,
}

/// Why an adapter will never report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lapse {
    /// The attempt outlived its time, and was dropped.
    TimedOut,
    /// The task of the adapter ended without an answer: it panicked.
    Gone,
}

impl<E: Effect + Clone> Cleared<E> {
    /// What stays behind when an adapter gets this clearance.
    #[must_use]
    pub fn counterfoil(&self) -> Counterfoil<E> {
        Counterfoil { effect: self.effect().clone(), pass: self.pass().carbon() }
    }
}

impl<E: Effect> Counterfoil<E> {
    /// Nobody will report on the attempt. What can be done again without harm failed, and may
    /// be tried again; whether anything else was done nobody can tell. In both cases the whole
    /// reserve of the attempt counts as spent: what was asked for may have been billed.
    pub fn lost(self, lapse: Lapse) -> Performed<E> {
        let Self { effect, pass } = self;
        let (redo, reserve) = (effect.redo(), pass.reserve);
        let cleared = Cleared::new(effect, pass);
        match redo {
            Redo::Safe => cleared.failed(lapse.failure(), reserve),
            Redo::Probe | Redo::Unknown => cleared.unknown(),
        }
    }
}

impl Pass {
    /// A copy of a pass whose receipt is in the ledger already.
    fn carbon(&self) -> Self {
        Self {
            receipt: self.receipt,
            intent: self.intent,
            effect: self.effect,
            draft: None,
            expires: self.expires,
            reserve: self.reserve,
            prices: self.prices,
            redact: self.redact.clone(),
            subject: self.subject.clone(),
            attempts: self.attempts,
            onward: self.onward.clone(),
            spent: self.spent,
            scope: self.scope.clone(),
            ear: None,
        }
    }
}

impl Lapse {
    fn failure(self) -> Failure {
        let (code, message) = match self {
            Self::TimedOut => ("effect.timeout", "it did not answer in time"),
            Self::Gone => ("effect.lost", "its adapter ended without an answer"),
        };
        Failure { code: code.to_owned(), message: message.to_owned(), transient: true }
    }
}
