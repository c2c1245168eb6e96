//! Runs that a run begins.

use std::sync::Arc;

use super::Run;
use super::cell::{CellId, FrameId, Phase};
use super::event::{Action, StepError};
use crate::definition::ChildCall;

impl Run {
    pub(super) fn start_run(
        &mut self,
        id: CellId,
        child: &ChildCall,
        frame: FrameId,
    ) -> Result<(), StepError> {
        let sources = self.handed(id, child.inputs.values());
        self.cells.get_mut(id).sources = sources;
        let inputs = self.evaluate_members(&child.inputs, frame)?;
        let step = Arc::clone(&self.cells.get(id).step);
        let subject = self.subject(&step, frame)?;
        let given = child.inputs.iter();
        let sources = given.map(|(name, value)| (name.clone(), self.handed(id, [value])));
        let sources = sources.collect();
        self.actions.push(Action::StartRun {
            step: self.cells.get(id).path.clone(),
            workflow: child.workflow.clone(),
            inputs,
            sources,
            wait: child.wait,
            outlives: child.outlives,
            subject,
        });
        self.listen(id, Phase::Effect);
        Ok(())
    }
}
