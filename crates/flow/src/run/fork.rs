//! A run that goes on from a place of another: what is over stays, what is not begins anew.

use std::sync::Arc;

use cog_base::Value;
use cog_base::json::{Json, Map};

use super::Run;
use super::cell::{CellId, Phase};
use super::event::{Action, StepStatus};

impl Run {
    /// What is fed from here on happens at this moment: see [`super::StepView::began`].
    pub fn at(&mut self, moment: u64) {
        self.moment = moment;
    }

    /// What begins from here on sees other inputs and other `facts`, as in [`Run::start_as`].
    /// What is over keeps what it came to.
    pub fn see(&mut self, inputs: Map, facts: Map) {
        let mut run = facts;
        if let Json::Map(own) = self.flow.facts() {
            run.extend(own);
        }
        self.inputs = Json::Map(inputs);
        self.facts = Json::Map(run);
    }

    /// Begins everything anew that waits for an event, by what the run sees now: in place of
    /// the actions so far come those that it returns. Nothing that is over is undone by this
    /// run: it was another's doing.
    pub fn begin_again(&mut self) -> Vec<Action> {
        self.to_undo.clear();
        self.actions.clear();
        let open: Vec<CellId> = self.open.values().copied().collect();
        for id in open {
            if self.cells.get(id).cancelled {
                self.drop_cell(id, "cancelled");
                continue;
            }
            self.unlisten(id);
            self.enter(id, Phase::Waiting, StepStatus::Waiting);
            let moment = self.moment;
            let cell = self.cells.get_mut(id);
            cell.began = Some(moment);
            // It is offered for the first time, or for the same time again.
            if let Some(choice) = &mut cell.choice {
                choice.attempt = choice.attempt.saturating_sub(1);
            }
            let step = Arc::clone(&cell.step);
            self.begin(id, &step);
        }
        self.drain()
    }

    /// Whether the run is over, or is being ended or undone: nothing goes on from there.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.status.is_final() || self.ending.is_some() || self.undoing.is_some()
    }

    /// The inputs that steps see.
    #[must_use]
    pub const fn inputs(&self) -> &Value {
        &self.inputs
    }
}
