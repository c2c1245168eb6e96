//! What a history tells of its run: how it stands, what it waits for, and what it came with.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::id::{ApprovalId, ReceiptId};
use cog_base::{Micros, Value};
use cog_flow::{Flow, StepPath};
use cog_gate::snapshot::Access;
use cog_gate::{Intent, Limits, Origin};

use super::{Armed, History};
use crate::active::Waits;
use crate::notice::Intervention;
use crate::start::folders;
use crate::steps::subject_of;

impl History {
    /// The timers that somebody still waits for.
    pub(crate) fn timers(&self) -> impl Iterator<Item = (&StepPath, &Armed)> {
        self.armed.iter().filter(|(step, _)| {
            let asked = self.active.asks.get(*step).is_some_and(|ask| ask.approval.is_some());
            let listens = self.active.listening.contains_key(*step);
            let is_bound = self.active.bounded.contains(*step);
            asked || listens || is_bound || self.active.sleeping.contains(*step)
        })
    }

    pub(crate) fn intent_of(&self, receipt: ReceiptId) -> Option<&Intent> {
        self.intents.get(&receipt)
    }

    /// The steps that failed by themselves, in order, each with why: an expression that could
    /// not be evaluated, arguments that make no effect. What failed of an effect says its outcome.
    pub fn fell(&self) -> impl Iterator<Item = (&StepPath, &str)> {
        self.fell.iter().map(|(step, message)| (step, message.as_str()))
    }

    /// How the run ended, if it has: status and output.
    #[must_use]
    pub fn end(&self) -> Option<(&str, &Value)> {
        self.active.end.as_ref().map(|end| (end.status.as_str(), &end.output))
    }

    /// Whether an effect, a choice or a question that it wanted so far holds data of `subject`.
    /// While the run is open they must be kept: without them it can neither go on nor be ended.
    #[must_use]
    pub fn concerns(&self, subject: &str) -> bool {
        self.subjects.contains(subject)
    }

    /// Whose data the run holds, for all of it that has no subject of its own.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.active.run.subject_of()
    }

    /// Whose data it is about what a request of the run asks for.
    #[must_use]
    pub fn subject_of(&self, request: ApprovalId) -> Option<&str> {
        subject_of(&self.active, request)
    }

    /// Whether the session is sealed.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Where it comes from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.active.origin
    }

    /// Who has ended it, if somebody has.
    #[must_use]
    pub fn cancelled(&self) -> Option<&Intervention> {
        self.active.cancelled.as_ref()
    }

    /// What it waits for, when after its last entry nothing but somebody outside can bring it on.
    #[must_use]
    pub fn waits(&self) -> Option<Waits> {
        let is_still = self.active.is_paused() || self.active.undone().is_empty();
        self.active.waits().filter(|_| is_still && !self.active.is_ended())
    }

    /// The requests that it waits for. An answer to any other counts for nothing.
    #[must_use]
    pub fn waits_for(&self) -> Vec<ApprovalId> {
        self.active.waits_for()
    }

    /// The steps that wait for a signal, each with its name.
    #[must_use]
    pub fn signals_awaited(&self) -> Vec<(String, String)> {
        self.active.signals_awaited()
    }

    /// What it may use.
    pub(crate) fn limits(&self) -> Limits {
        let budget = &self.active.flow.budget;
        Limits {
            cost: budget.cost_micros.map(Micros::new),
            effects: budget.effects,
            roots: self.roots.clone(),
            folders: folders(&self.places, self.base()),
        }
    }

    /// The workflow's name.
    #[must_use]
    pub fn workflow(&self) -> &str {
        &self.active.origin.workflow
    }

    /// Where the roots stood when the run began.
    #[must_use]
    pub fn places(&self) -> &BTreeMap<String, String> {
        &self.places
    }

    /// The folder of the workflow file.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.active.base
    }

    /// The definition.
    #[must_use]
    pub fn flow(&self) -> Arc<Flow> {
        Arc::clone(&self.active.flow)
    }

    /// The roots and what the run may do there.
    #[must_use]
    pub fn roots(&self) -> &BTreeMap<String, Access> {
        &self.roots
    }
}
