//! Frames: opening the steps of a block, and what the end of them means.

use std::sync::Arc;

use cog_base::json::{Json, Map};
use cog_base::{Sources, Value};

use super::cell::{Cell, CellId, Fall, Frame, FrameId, FrameKind, Phase, Role};
use super::event::StepStatus;
use super::step::Outcome;
use super::{Run, StepError, Work};
use crate::definition::Block;
use crate::limits::MAX_RUN_STEPS;
use crate::path::StepPath;

impl Run {
    /// Opens the steps of a block; nothing when the run has too many already. An empty
    /// block is over at once.
    pub(super) fn open_frame(
        &mut self,
        block: Arc<Block>,
        parent: Option<FrameId>,
        kind: FrameKind,
        prefix: Option<&StepPath>,
    ) -> Option<FrameId> {
        if self.cells.len() + block.steps.len() > MAX_RUN_STEPS {
            return None;
        }
        let frame = self.frames.add(Frame {
            parent,
            kind,
            first: self.cells.next(),
            open: block.steps.len(),
            block: Arc::clone(&block),
            fall: None,
            stopping: false,
        });
        for (position, step) in block.steps.iter().enumerate() {
            let path = match prefix {
                Some(prefix) => prefix.child(&step.id),
                None => StepPath::root(&step.id),
            };
            let cell = Cell::new(Arc::clone(step), path, frame, Role::Whole { position });
            let ready = cell.open_needs == 0;
            let cell = self.cells.add(cell);
            if ready {
                self.queue.push_back(Work::Start(cell));
            }
        }
        if block.steps.is_empty() {
            self.queue.push_back(Work::End(frame));
        }
        Some(frame)
    }

    /// A run that has too many steps.
    pub(super) fn too_many_steps() -> StepError {
        StepError::new("limit", format!("the run would have more than {MAX_RUN_STEPS} steps"))
    }

    /// One cell of the frame is over.
    pub(super) fn close_cell(&mut self, frame: FrameId) {
        let entry = self.frames.get_mut(frame);
        entry.open = entry.open.saturating_sub(1);
        if entry.open == 0 {
            self.queue.push_back(Work::End(frame));
        }
    }

    /// A step that counts as done: starts those that waited for it alone.
    pub(super) fn release(&mut self, frame: FrameId, position: usize) {
        let entry = self.frames.get(frame);
        if entry.stopping {
            return;
        }
        let (block, first) = (Arc::clone(&entry.block), entry.first);
        for dependent in block.dependents.get(position).into_iter().flatten() {
            let id = first.plus(*dependent);
            let cell = self.cells.get_mut(id);
            cell.open_needs = cell.open_needs.saturating_sub(1);
            if cell.open_needs == 0 {
                self.queue.push_back(Work::Start(id));
            }
        }
    }

    /// Every cell of the frame is over.
    pub(super) fn end_frame(&mut self, frame: FrameId) {
        let fall = self.frames.get_mut(frame).fall.take();
        match self.frames.get(frame).kind {
            FrameKind::Root => self.end_run(fall),
            FrameKind::Group(cell) => self.end_group(cell, frame, fall),
            FrameKind::Plan(cell) => self.end_plan(cell, frame, fall),
            FrameKind::Handler(cell) => self.settle(cell, fall),
            FrameKind::Undo(cell) => self.end_undo(cell, fall),
            FrameKind::Item { .. } => {}
        }
    }

    fn end_group(&mut self, cell: CellId, frame: FrameId, fall: Option<Fall>) {
        if self.cells.get(cell).step.repeat.is_some() {
            return self.end_round(cell, frame, fall);
        }
        let output = Value::map([("steps", self.gather(frame))]);
        self.add_frame(cell, frame);
        if self.cells.get(cell).cancelled {
            return self.finish(cell, Outcome::Skipped("cancelled"));
        }
        match fall {
            None => self.finish(cell, Outcome::Completed(output)),
            Some(fall) => {
                self.cells.get_mut(cell).output = output;
                self.finish(cell, Outcome::Fell(fall));
            }
        }
    }

    /// What the steps of a frame came to: `{id: {status, output, error}}`. Taken, not
    /// copied: nothing sees into a frame that is over, but for steps that undo.
    pub(super) fn gather(&mut self, frame: FrameId) -> Value {
        let (count, first, keep) = {
            let entry = self.frames.get(frame);
            let keep = entry.block.keeps();
            (entry.block.steps.len(), entry.first, keep)
        };
        let mut steps = Map::new();
        for position in 0..count {
            let cell = self.cells.get_mut(first.plus(position));
            let facts = Value::map([
                ("status", Value::from(cell.status.as_str())),
                ("output", take(&mut cell.output, keep)),
                ("error", take(&mut cell.error, keep)),
            ]);
            steps.insert(cell.step.id.clone(), facts);
        }
        Json::Map(steps)
    }
}

/// The value, which stays where it is only if `keep` says so.
pub(super) fn take(value: &mut Value, keep: bool) -> Value {
    if keep { value.clone() } else { std::mem::replace(value, Json::Null) }
}

impl Cell {
    pub(super) fn new(
        step: Arc<crate::definition::Step>,
        path: StepPath,
        frame: FrameId,
        role: Role,
    ) -> Self {
        Self {
            open_needs: step.needs.len(),
            step,
            path,
            frame,
            role,
            phase: Phase::Waiting,
            status: StepStatus::Waiting,
            output: Json::Null,
            error: Json::Null,
            note: None,
            sources: Sources::default(),
            cancelled: false,
            choice: None,
            rounds: None,
            began: None,
            held: false,
        }
    }
}
