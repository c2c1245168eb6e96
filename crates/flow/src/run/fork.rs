//! A run that goes on from a place of another: what is over stays, what is not begins anew.

use std::sync::Arc;

use cog_base::Value;
use cog_base::json::{Json, Map};

use super::Run;
use super::cell::Phase;
use super::event::{Action, StepStatus};
use crate::definition::Flow;

impl Run {
    /// What is fed from here on happens at this moment: see [`super::StepView::began`].
    pub fn at(&mut self, moment: u64) {
        self.moment = moment;
    }

    /// As [`Run::start_as`], for a run that goes on from the very start of another: see
    /// [`Run::begin_again`].
    #[must_use]
    pub fn start_over(flow: Arc<Flow>, inputs: Map, facts: Map) -> (Self, Vec<Action>) {
        let mut run = Self::new(flow, inputs, facts);
        run.takes_over = true;
        let actions = run.open_root();
        (run, actions)
    }

    /// What begins from here on sees other inputs and other `facts`, as in [`Run::start_as`].
    /// What is over keeps what it came to, and is not undone by this run: it was another's doing.
    pub fn see(&mut self, inputs: Map, facts: Map) {
        self.takes_over = true;
        self.to_undo.clear();
        let mut run = facts;
        if let Json::Map(own) = self.flow.facts() {
            run.extend(own);
        }
        self.inputs = Json::Map(inputs);
        self.facts = Json::Map(run);
    }

    /// Begins everything anew that waits for an event, by what the run sees now: in place of
    /// the actions so far come those that it returns.
    pub fn begin_again(&mut self) -> Vec<Action> {
        self.takes_over = false;
        self.actions.clear();
        let open: Vec<_> = self.open.iter().map(|(path, id)| (path.clone(), *id)).collect();
        for (path, id) in open {
            // One that begins anew and fails by itself stops those beside it.
            if self.open.get(&path) != Some(&id) {
                continue;
            }
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
