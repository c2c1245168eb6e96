//! Stopping: what runs is cancelled, what waits never starts, effects are waited for.

use cog_base::Value;

use super::cell::{CellId, Fall, FrameId, Phase, Role};
use super::event::{Action, OutOfOrder, Status, StepStatus};
use super::{Arena, Run};

impl Run {
    /// Ends the run from outside.
    pub(super) fn end_early(
        &mut self,
        code: &'static str,
        status: Status,
        reason: &str,
    ) -> Result<(), OutOfOrder> {
        let refuse = |why: String| Err(OutOfOrder { event: code, subject: "the run".into(), why });
        if self.status.is_final() {
            return refuse(format!("the run is {}", self.status.as_str()));
        }
        if self.ending.is_some() || self.undoing.is_some() {
            return refuse("the run is being ended already".to_owned());
        }
        self.ending = Some((status, Value::map([("code", code), ("message", reason)])));
        self.stop_frame(Arena::first());
        Ok(())
    }

    /// A step of the frame fell and nothing handled it.
    pub(super) fn fall_frame(&mut self, frame: FrameId, fall: Fall) {
        self.unbound_frame(frame);
        let entry = self.frames.get_mut(frame);
        if entry.fall.is_none() {
            entry.fall = Some(fall);
        }
        self.stop_frame(frame);
    }

    /// Nothing new starts in the frame; what runs in it is cancelled.
    fn stop_frame(&mut self, frame: FrameId) {
        let entry = self.frames.get_mut(frame);
        if entry.stopping {
            return;
        }
        entry.stopping = true;
        let (first, count) = (entry.first, entry.block.steps.len());
        for position in 0..count {
            self.cancel(first.plus(position));
        }
    }

    /// Cancels the items of a `foreach` that are not over.
    pub(super) fn stop_items(&mut self, whole: CellId) {
        let Phase::Looping(state) = &self.cells.get(whole).phase else { return };
        for item in state.cells.clone() {
            self.cancel(item);
        }
    }

    pub(super) fn cancel(&mut self, id: CellId) {
        let cell = self.cells.get_mut(id);
        if cell.cancelled {
            return;
        }
        match &cell.phase {
            Phase::Done => {}
            Phase::Waiting => self.drop_cell(id, "not run"),
            Phase::Effect => {
                cell.cancelled = true;
                cell.note = Some("cancelling".to_owned());
                self.actions.push(Action::Cancel { step: cell.path.clone() });
            }
            Phase::Choosing
            | Phase::Asking
            | Phase::Sleeping
            | Phase::Marking
            | Phase::Listening(_) => {
                let step = cell.path.clone();
                self.actions.push(Action::Cancel { step });
                self.drop_cell(id, "cancelled");
            }
            Phase::Pausing(_) => {
                let step = cell.waits_as();
                self.actions.push(Action::Cancel { step });
                self.unbound(id);
                self.drop_cell(id, "cancelled");
            }
            Phase::Inside(frame) | Phase::Handling(frame) => {
                let frame = *frame;
                cell.cancelled = true;
                self.unbound(id);
                self.stop_frame(frame);
            }
            Phase::Looping(_) => {
                cell.cancelled = true;
                self.stop_items(id);
            }
        }
    }

    /// A cell with nothing under way is over without having come to anything.
    pub(super) fn drop_cell(&mut self, id: CellId, note: &str) {
        self.unlisten(id);
        let cell = self.cells.get_mut(id);
        cell.cancelled = true;
        cell.status = StepStatus::Skipped;
        cell.note = Some(note.to_owned());
        cell.phase = Phase::Done;
        let (frame, role) = (cell.frame, cell.role);
        match role {
            Role::Whole { .. } => self.close_cell(frame),
            Role::Item { whole, index } => self.settle_item(whole, index, id, None),
        }
    }
}
