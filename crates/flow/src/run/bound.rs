//! The time of the steps inside a group. When it is over they are stopped as by a fall.

use super::Run;
use super::again::LONG_MS;
use super::cell::{CellId, Fall, FrameId, FrameKind, Phase};
use super::event::{Action, StepError};

impl Run {
    /// The steps inside have begun: their time counts from here, if it is bounded.
    pub(super) fn bound(&mut self, id: CellId) {
        let cell = self.cells.get(id);
        if let Some(ms) = cell.step.timeout_ms {
            let step = cell.path.clone();
            self.bounded.insert(step.clone(), id);
            self.actions.push(Action::Bound { step, ms });
        }
    }

    /// The steps inside are over, or are being stopped by something else.
    pub(super) fn unbound(&mut self, id: CellId) {
        let cell = self.cells.get(id);
        if cell.step.timeout_ms.is_none() || self.bounded.get(&cell.path) != Some(&id) {
            return;
        }
        let step = cell.path.clone();
        self.bounded.remove(&step);
        self.actions.push(Action::Unbound { step });
    }

    /// The steps of a frame are being stopped: the time of the group that they are matters no more.
    pub(super) fn unbound_frame(&mut self, frame: FrameId) {
        if let FrameKind::Group(owner) = self.frames.get(frame).kind {
            self.unbound(owner);
        }
    }

    /// The time of the steps inside is over.
    pub(super) fn out_of_time(&mut self, id: CellId) {
        let cell = self.cells.get(id);
        let Some(ms) = cell.step.timeout_ms else { return };
        let (phase, step) = (cell.phase.clone(), cell.path.clone());
        let error = StepError::new("timeout", format!("it took longer than {ms} ms"));
        let fall = Fall { refused: false, error: error.to_value(), step };
        match phase {
            Phase::Inside(frame) => self.fall_frame(frame, fall),
            Phase::Pausing(_) => self.fall_in_pause(id, fall),
            Phase::Waiting
            | Phase::Effect
            | Phase::Choosing
            | Phase::Asking
            | Phase::Sleeping
            | Phase::Marking
            | Phase::Listening(_)
            | Phase::Looping(_)
            | Phase::Handling(_)
            | Phase::Done => return,
        }
        self.has_moved |= ms >= LONG_MS;
    }

    /// In a run that goes on from another the time of what is open counts from there.
    pub(super) fn bound_again(&mut self) {
        for id in std::mem::take(&mut self.bounded).into_values() {
            self.bound(id);
        }
    }
}
