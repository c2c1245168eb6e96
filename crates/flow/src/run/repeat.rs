//! `repeat`: the steps of a group in rounds, one after the other, until something is so.
//!
//! A round is a frame like that of any group, inside one that binds `item`, what the round before
//! came to, and `index`. The step stays one cell: its handlers, its time and what undoes it are
//! about all of its rounds.

use std::sync::Arc;

use cog_base::Value;
use cog_base::json::Json;

use super::Run;
use super::again::LONG_MS;
use super::cell::{Cell, CellId, Fall, Frame, FrameId, FrameKind, Phase, Rounds};
use super::event::{Action, StepError, StepStatus};
use super::step::{Outcome, wrong_kind};
use crate::definition::{Block, Body, Repeat};
use crate::limits::MAX_SLEEP_MS;
use crate::path::StepPath;

impl Cell {
    /// By which path an event finds it: that of the round that comes next, between two rounds.
    pub(super) fn waits_as(&self) -> StepPath {
        match (&self.phase, &self.rounds) {
            (Phase::Pausing(_), Some(rounds)) => self.path.item(rounds.index),
            (_, Some(_) | None) => self.path.clone(),
        }
    }
}

impl Run {
    pub(super) fn begin_rounds(&mut self, id: CellId) -> Result<(), StepError> {
        self.cells.get_mut(id).rounds = Some(Box::default());
        self.open_round(id)?;
        self.bound(id);
        Ok(())
    }

    fn open_round(&mut self, id: CellId) -> Result<(), StepError> {
        let cell = self.cells.get_mut(id);
        let Body::Group(block) = &cell.step.body else { return Ok(()) };
        let block = Arc::clone(block);
        let rounds = cell.rounds.get_or_insert_default();
        let (index, value) = (rounds.index, rounds.before.take().unwrap_or(Json::Null));
        let (parent, path, sources) = (cell.frame, cell.path.item(index), cell.sources.clone());
        let level = self.frames.add(Frame {
            parent: Some(parent),
            kind: FrameKind::Item { value, sources, index, cell: None },
            block: Arc::new(Block::default()),
            first: self.cells.next(),
            open: 0,
            fall: None,
            stopping: false,
        });
        let inside = self.open_frame(block, Some(level), FrameKind::Group(id), Some(&path));
        let inside = inside.ok_or_else(Self::too_many_steps)?;
        self.enter(id, Phase::Inside(inside), StepStatus::Running);
        Ok(())
    }

    /// The steps of a round are over.
    pub(super) fn end_round(&mut self, id: CellId, frame: FrameId, fall: Option<Fall>) {
        let cell = self.cells.get(id);
        let (step, cancelled) = (Arc::clone(&cell.step), cell.cancelled);
        let index = cell.rounds.as_ref().map_or(0, |rounds| rounds.index);
        let Some(repeat) = &step.repeat else { return };
        // What the steps came to is taken from them below.
        let next = match fall {
            None if !cancelled => self.next_round(repeat, frame, index),
            None | Some(_) => Ok(None),
        };
        self.add_frame(id, frame);
        let steps = self.gather(frame);
        self.leave_round(frame, step.keeps);
        if cancelled {
            return self.finish(id, Outcome::Skipped("cancelled"));
        }
        if let (None, Ok(Some(ms))) = (&fall, &next) {
            let before = Some(Value::map([("steps", steps)]));
            self.cells.get_mut(id).rounds = Some(Box::new(Rounds { index: index + 1, before }));
            return if *ms == 0 { self.go_on(id) } else { self.pause(id, *ms) };
        }
        let rounds = Value::from(u64::from(index) + 1);
        let output = Value::map([("rounds", rounds), ("steps", steps)]);
        match (fall, next) {
            (None, Ok(_)) => self.finish(id, Outcome::Completed(output)),
            (Some(fall), _) => {
                self.cells.get_mut(id).output = output;
                self.finish(id, Outcome::Fell(fall));
            }
            (None, Err(error)) => {
                let shown = self.reads([&repeat.until].into_iter().chain(&repeat.every_ms), frame);
                let cell = self.cells.get_mut(id);
                cell.sources.add(&shown);
                cell.output = output;
                self.fail(id, error);
            }
        }
    }

    /// After how many milliseconds the next round begins; nothing if that was the last.
    fn next_round(
        &self,
        repeat: &Repeat,
        frame: FrameId,
        index: u32,
    ) -> Result<Option<u64>, StepError> {
        let until = self.evaluate(&repeat.until, frame)?;
        if until.as_bool().ok_or_else(|| wrong_kind("`until`", "true or false", &until))? {
            return Ok(None);
        }
        if index.saturating_add(1) >= repeat.most {
            let message = format!("`until` does not hold, and {} rounds are the most", repeat.most);
            return Err(StepError::new("repeat.most", message));
        }
        let Some(ms) = &repeat.every_ms else { return Ok(Some(0)) };
        let ms = self.evaluate_number(ms, frame, "`every_ms`")?;
        if ms > MAX_SLEEP_MS.unsigned_abs() {
            return Err(StepError::new("limit", "more than 366 days between two rounds"));
        }
        Ok(Some(ms))
    }

    /// Nothing sees what the round before a round that is over came to, but for steps that undo.
    fn leave_round(&mut self, frame: FrameId, keep: bool) {
        let Some(level) = self.frames.get(frame).parent.filter(|_| !keep) else { return };
        if let FrameKind::Item { value, .. } = &mut self.frames.get_mut(level).kind {
            *value = Json::Null;
        }
    }

    /// The next round begins after so many milliseconds.
    pub(super) fn pause(&mut self, id: CellId, ms: u64) {
        self.enter(id, Phase::Pausing(ms), StepStatus::Running);
        let timer = self.cells.get(id).waits_as();
        if ms >= LONG_MS {
            self.long.insert(timer.clone());
        }
        self.open.insert(timer.clone(), id);
        self.actions.push(Action::Arm { timer, ms });
    }

    /// The next round begins.
    pub(super) fn go_on(&mut self, id: CellId) {
        self.unlisten(id);
        if let Err(error) = self.open_round(id) {
            self.fail(id, error);
        }
    }

    /// The time of all rounds is over between two of them.
    pub(super) fn fall_in_pause(&mut self, id: CellId, fall: Fall) {
        let step = self.cells.get(id).waits_as();
        self.actions.push(Action::Cancel { step });
        self.unlisten(id);
        let cell = self.cells.get_mut(id);
        if let Some(rounds) = &mut cell.rounds
            && let Some(Json::Map(mut output)) = rounds.before.take()
        {
            output.insert("rounds".to_owned(), u64::from(rounds.index).into());
            cell.output = Json::Map(output);
        }
        self.finish(id, Outcome::Fell(fall));
    }
}
