//! What expressions see from one place of a run.

use cog_base::Value;

use super::Run;
use super::cell::{CellId, FrameId, FrameKind};
use crate::expr::{Bindings, StepFacts};

pub(super) struct View<'r> {
    pub(super) run: &'r Run,
    pub(super) frame: FrameId,
}

impl View<'_> {
    pub(super) fn frames(&self) -> impl Iterator<Item = FrameId> {
        std::iter::successors(Some(self.frame), |id| self.run.frames.get(*id).parent)
    }
}

impl Bindings for View<'_> {
    fn inputs(&self) -> &Value {
        &self.run.inputs
    }

    fn run(&self) -> &Value {
        &self.run.facts
    }

    fn item(&self) -> Option<(&Value, u32)> {
        self.frames().find_map(|id| match &self.run.frames.get(id).kind {
            FrameKind::Item { value, index, .. } => Some((value, *index)),
            FrameKind::Root
            | FrameKind::Group(_)
            | FrameKind::Plan(_)
            | FrameKind::Handler(_)
            | FrameKind::Undo(_) => None,
        })
    }

    fn step(&self, id: &str) -> Option<StepFacts<'_>> {
        let cell = self.run.cells.get(self.cell(id)?);
        Some(StepFacts { status: cell.status.as_str(), output: &cell.output, error: &cell.error })
    }
}

impl View<'_> {
    /// The step that is seen by this id.
    pub(super) fn cell(&self, id: &str) -> Option<CellId> {
        self.frames().find_map(|frame| {
            let frame = self.run.frames.get(frame);
            if let FrameKind::Item { cell: Some(cell), .. } = frame.kind {
                // Inside its own handler an item is seen instead of the whole step.
                return (self.run.cells.get(cell).step.id == id).then_some(cell);
            }
            frame.block.index.get(id).map(|position| frame.first.plus(*position))
        })
    }
}
