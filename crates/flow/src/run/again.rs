//! A run that ends by beginning the next one of the same definition.

use std::collections::BTreeMap;

use super::Run;
use super::cell::{CellId, FrameId, Phase};
use super::event::{Action, OutOfOrder, Signal, StepError};
use super::step::Outcome;
use super::{Wait, event::Status};
use crate::definition::Body;
use crate::path::StepPath;
use crate::template::Template;
use cog_base::Value;
use cog_base::json::{Json, Map};

/// A timer of less time does not bring a chain of runs on by itself.
pub(super) const LONG_MS: u64 = 1_000;

impl Run {
    pub(super) fn continue_as_new(
        &mut self,
        id: CellId,
        inputs: &BTreeMap<String, Template>,
        frame: FrameId,
    ) -> Result<(), StepError> {
        let sources = self.handed(id, inputs.values());
        self.cells.get_mut(id).sources = sources;
        let given = inputs.iter();
        let sources = given.map(|(name, value)| (name.clone(), self.handed(id, [value])));
        let sources = sources.collect();
        let inputs = self.evaluate_members(inputs, frame)?;
        let step = self.cells.get(id).path.clone();
        self.actions.push(Action::Continue { step, inputs, sources });
        self.listen(id, Phase::Effect);
        Ok(())
    }

    /// The step that ends the run by beginning the next one, once nothing else of it is left.
    #[must_use]
    pub fn continues(&self) -> Option<&StepPath> {
        let mut open = self.open.iter();
        let (path, id) = open.next().filter(|_| open.next().is_none())?;
        let cell = self.cells.get(*id);
        let is_it = matches!(cell.step.body, Body::Continue(_)) && !cell.cancelled;
        (is_it && !self.is_ending()).then_some(path)
    }

    /// The next run is to begin: this one is over.
    pub(super) fn continued(&mut self, step: &StepPath) -> Result<(), OutOfOrder> {
        let cell = self.waiting("continued", step, &[Wait::Effect])?;
        if self.continues() != Some(step) {
            let why = "the run does not continue as new there, or not yet".to_owned();
            let subject = format!("step `{step}`");
            return Err(OutOfOrder { event: "continued", subject, why });
        }
        self.is_continued = true;
        self.finish(cell, Outcome::Completed(Json::Map(Map::new())));
        Ok(())
    }

    /// How a run ends that nothing of it made fall, if by beginning the next one.
    pub(super) fn goes_on(&self) -> Option<(Status, Option<Value>)> {
        self.is_continued.then_some((Status::Continued, None))
    }

    /// Whether something took place in it that a chain of runs may wait for: an effect or a run
    /// that completed, a signal that was taken, an answer, or a wait of a second at least. A chain
    /// of runs without would spin.
    #[must_use]
    pub const fn has_moved(&self) -> bool {
        self.has_moved
    }

    /// A step waits for at most so long.
    pub(super) fn takes_time(&mut self, id: CellId, ms: u64) {
        if ms >= LONG_MS {
            self.long.insert(self.cells.get(id).path.clone());
        }
    }

    /// The effect or the run of a step completed.
    pub(super) fn moves(&mut self, id: CellId) {
        let is_real = match &self.cells.get(id).step.body {
            Body::Effect(_) => true,
            Body::Run(call) => call.wait,
            Body::Compute(_)
            | Body::Group(_)
            | Body::Choose(_)
            | Body::Approve(_)
            | Body::Sleep(_)
            | Body::WaitFor(_)
            | Body::Checkpoint(_)
            | Body::Continue(_) => false,
        };
        self.has_moved |= is_real;
    }

    /// The signals that no step has taken, the oldest first: the next run is handed them.
    pub fn kept_signals(&self) -> impl Iterator<Item = &Signal> {
        self.signals.iter()
    }
}
