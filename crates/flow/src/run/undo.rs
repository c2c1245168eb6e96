//! Undoing a run that did not complete: the `on_cancel` of each step that completed, the
//! last first and one after the other, then that of the flow.

use std::sync::Arc;

use cog_base::Value;
use cog_base::json::{Json, Map};

use super::Run;
use super::cell::{CellId, Fall, FrameKind, Role};
use super::event::Status;
use crate::definition::Body;
use crate::path::StepPath;

/// What is left to undo, and how the run ends then.
#[derive(Clone, Debug)]
pub(super) struct Undoing {
    status: Status,
    error: Map,
    /// Whether the steps of the flow itself come yet.
    last: bool,
    undone: u64,
    /// What could not be undone.
    failed: Vec<Value>,
}

/// The note of a step that was undone.
pub const UNDONE: &str = "undone";
/// The note of a step that was to be undone, and something fell.
pub const NOT_UNDONE: &str = "could not be undone";
/// The level of a path under which the steps that undo stand.
pub(super) const LEVEL: &str = "on_cancel";

impl Run {
    /// A step completed: it is to be undone if the run does not complete.
    pub(super) fn note_undo(&mut self, id: CellId) {
        let cell = self.cells.get(id);
        // The items of a `foreach` are undone, each by itself.
        let whole_loop = matches!(cell.role, Role::Whole { .. }) && cell.step.foreach.is_some();
        let is_ours = self.undoing.is_none() && !self.takes_over;
        if cell.step.on_cancel.is_none() || whole_loop || !is_ours {
            return;
        }
        // What undoes a group that completed stands for what would undo the steps inside.
        if let Body::Group(_) = cell.step.body {
            let (cells, path) = (&self.cells, &cell.path);
            self.to_undo.retain(|inner| !cells.get(*inner).path.is_within(path));
        }
        self.to_undo.push(id);
    }

    /// Begins to undo the run if its end asks for that. Says whether there is something to do.
    pub(super) fn begin_undo(&mut self, status: Status, error: Option<&Value>) -> bool {
        let undo = &self.flow.undo;
        let asked = match status {
            Status::Cancelled => true,
            Status::Failed => undo.on_failed,
            Status::Refused => undo.on_refused,
            Status::Running | Status::Waiting | Status::Completed | Status::Continued => false,
        };
        let last = undo.steps.is_some();
        if !asked || (self.to_undo.is_empty() && !last) {
            return false;
        }
        let error = error.and_then(Value::as_map).cloned().unwrap_or_default();
        self.undoing = Some(Undoing { status, error, last, undone: 0, failed: Vec::new() });
        self.undo_next();
        true
    }

    fn undo_next(&mut self) {
        if let Some(id) = self.to_undo.pop() {
            let cell = self.cells.get(id);
            let (step, frame, path) = (Arc::clone(&cell.step), cell.frame, cell.path.child(LEVEL));
            let Some(block) = step.on_cancel.clone() else { return };
            let kind = FrameKind::Undo(Some(id));
            if self.open_frame(block, Some(frame), kind, Some(&path)).is_none() {
                let error = Self::too_many_steps().to_value();
                let step = self.cells.get(id).path.clone();
                self.end_undo(Some(id), Some(Fall { refused: false, error, step }));
            }
            return;
        }
        let root = self.flow.undo.steps.clone();
        if let (Some(undoing), Some(block)) = (&mut self.undoing, root)
            && std::mem::take(&mut undoing.last)
        {
            let (kind, path) = (FrameKind::Undo(None), StepPath::root(LEVEL));
            let first = Some(super::Arena::first());
            if self.open_frame(block, first, kind, Some(&path)).is_some() {
                return;
            }
        }
        self.end_undoing();
    }

    /// The steps that undo one step are over. What they could not do stops nothing: the
    /// others are undone all the same.
    pub(super) fn end_undo(&mut self, undone: Option<CellId>, fall: Option<Fall>) {
        if let Some(id) = undone {
            let note = if fall.is_some() { NOT_UNDONE } else { UNDONE };
            self.cells.get_mut(id).note = Some(note.to_owned());
        }
        if let Some(undoing) = &mut self.undoing {
            match fall {
                Some(fall) => undoing.failed.push(fall.located()),
                None => undoing.undone += u64::from(undone.is_some()),
            }
        }
        self.undo_next();
    }

    /// Everything is undone as far as it can be: the run ends as it would have.
    fn end_undoing(&mut self) {
        let undoing = self.undoing.clone();
        let Some(Undoing { status, error: mut members, undone, failed, .. }) = undoing else {
            return;
        };
        members.insert("undone".to_owned(), undone.into());
        if !failed.is_empty() {
            members.insert("not_undone".to_owned(), Value::list(failed));
        }
        self.conclude(status, Some(Json::Map(members)));
    }
}
