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

    fn operations_left(&self) -> u64 {
        self.run.operations_left.get()
    }

    fn took(&self, operations: u64) {
        let left = &self.run.operations_left;
        left.set(left.get().saturating_sub(operations));
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Event, Run, Status};

    /// What the expressions of a run may take together is bounded, whatever each of them takes.
    #[test]
    fn a_run_whose_expressions_take_too_much_together_fails() {
        let source = "name: t\ndomain: d\nsteps:\n  - { id: nap, sleep: { ms: 1 } }\n  - id: all\n    needs: [nap]\n    \
                      foreach: ${{ [1, 2, 3, 4, 5, 6, 7, 8] }}\n    uses: compute\n    \
                      with: { x: \"${{ [item, 2, 3].map(a, a + 1).size() }}\" }\n";
        for (left, expected) in [(10_000, Status::Completed), (60, Status::Failed)] {
            let flow = Arc::new(crate::parse(source, "t.yaml").unwrap());
            let (mut run, _) = Run::start(flow, Default::default());
            run.operations_left.set(left);
            let timer = run.open_steps().next().unwrap().clone();
            let actions = run.apply(Event::Due { timer }).unwrap();
            assert_eq!(run.status(), expected, "{actions:?}");
            let told = format!("{actions:?}");
            assert_eq!(told.contains("too much work together"), expected == Status::Failed);
        }
    }
}
