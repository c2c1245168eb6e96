//! `foreach`: items in order, some at once, a record of each.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use cog_base::json::{Json, Map};
use cog_base::{Sources, Value};

use super::block::take;
use super::cell::{Cell, CellId, Fall, Frame, FrameId, FrameKind, Loop, Phase, Role};
use super::event::{StepError, StepStatus};
use super::step::Outcome;
use super::{Run, Work};
use crate::definition::{Block, Body, Foreach};
use crate::limits::{MAX_FOREACH_ITEMS, MAX_RUN_STEPS};

impl Run {
    pub(super) fn begin_loop(&mut self, id: CellId, foreach: &Foreach, frame: FrameId) {
        let sources = self.handed(id, [&foreach.items]);
        self.cells.get_mut(id).sources = sources.clone();
        let items = match self.evaluate(&foreach.items, frame) {
            Ok(Json::List(items)) if items.len() <= MAX_FOREACH_ITEMS => items,
            Ok(Json::List(items)) => {
                let message = format!("{} items, more than {MAX_FOREACH_ITEMS}", items.len());
                return self.fail(id, StepError::new("limit", message));
            }
            Ok(other) => {
                let message = format!("`foreach` must be a list, it came to {}", other.kind());
                return self.fail(id, StepError::new("expression", message));
            }
            Err(error) => return self.fail(id, error),
        };
        let records = vec![Json::Null; items.len()];
        let state = Loop {
            left: VecDeque::from(items),
            sources,
            next: 0,
            open: BTreeSet::new(),
            cells: Vec::new(),
            records,
            fall: None,
        };
        self.enter(id, Phase::Looping(Box::new(state)), StepStatus::Running);
        self.advance_loop(id, foreach.max_parallel);
    }

    fn loop_mut(&mut self, id: CellId) -> Option<&mut Loop> {
        match &mut self.cells.get_mut(id).phase {
            Phase::Looping(state) => Some(state),
            Phase::Waiting
            | Phase::Effect
            | Phase::Choosing
            | Phase::Asking
            | Phase::Sleeping
            | Phase::Marking
            | Phase::Listening(_)
            | Phase::Pausing(_)
            | Phase::Inside(_)
            | Phase::Handling(_)
            | Phase::Done => None,
        }
    }

    /// Starts items while there is room; ends the loop when there is nothing left.
    fn advance_loop(&mut self, id: CellId, max_parallel: u32) {
        loop {
            let cancelled = self.cells.get(id).cancelled;
            let full = self.cells.len() >= MAX_RUN_STEPS;
            let Some(state) = self.loop_mut(id) else { return };
            let stopping = cancelled || state.fall.is_some();
            if state.open.is_empty() && (stopping || state.left.is_empty()) {
                return self.end_loop(id);
            }
            if stopping || state.open.len() >= max_parallel as usize {
                return;
            }
            let Some(value) = state.left.pop_front() else { return };
            if full {
                let error = Self::too_many_steps().to_value();
                let step = self.cells.get(id).path.clone();
                self.fall_loop(id, Fall { refused: false, error, step });
                continue;
            }
            let index = state.next;
            state.next += 1;
            state.open.insert(index);
            let sources = state.sources.clone();
            self.start_item(id, index, value, sources);
        }
    }

    fn start_item(&mut self, whole: CellId, index: u32, value: Value, sources: Sources) {
        let (step, parent, path) = {
            let cell = self.cells.get(whole);
            (Arc::clone(&cell.step), cell.frame, cell.path.item(index))
        };
        let frame = self.frames.add(Frame {
            parent: Some(parent),
            kind: FrameKind::Item { value, sources, index, cell: None },
            block: Arc::new(Block::default()),
            first: self.cells.next(),
            open: 0,
            fall: None,
            stopping: false,
        });
        let cell = self.cells.add(Cell::new(step, path, frame, Role::Item { whole, index }));
        if let FrameKind::Item { cell: own, .. } = &mut self.frames.get_mut(frame).kind {
            *own = Some(cell);
        }
        if let Some(state) = self.loop_mut(whole) {
            state.cells.push(cell);
        }
        self.queue.push_back(Work::Start(cell));
    }

    /// An item is over, handlers and all.
    pub(super) fn settle_item(
        &mut self,
        whole: CellId,
        index: u32,
        item: CellId,
        fall: Option<Fall>,
    ) {
        let record = self.record(item);
        let sources = self.cells.get(item).sources.clone();
        self.cells.get_mut(whole).sources.add(&sources);
        let max_parallel =
            self.cells.get(whole).step.foreach.as_ref().map_or(1, |each| each.max_parallel);
        let Some(state) = self.loop_mut(whole) else { return };
        state.open.remove(&index);
        if let Some(slot) = state.records.get_mut(index as usize) {
            *slot = record;
        }
        if let Some(fall) = fall {
            self.fall_loop(whole, fall);
        }
        self.advance_loop(whole, max_parallel);
    }

    /// An item fell and nothing handled it: no more items, and those that run are stopped.
    fn fall_loop(&mut self, whole: CellId, fall: Fall) {
        let Some(state) = self.loop_mut(whole) else { return };
        if state.fall.is_none() {
            state.fall = Some(fall);
            self.stop_items(whole);
        }
    }

    /// `{item, status, error}` and what the body gives: `output`, or `steps`, or `plan`
    /// and `steps`.
    fn record(&mut self, item: CellId) -> Value {
        let cell = self.cells.get_mut(item);
        let keep = cell.step.keeps;
        let output = take(&mut cell.output, keep);
        let error = take(&mut cell.error, keep);
        let status = Value::from(cell.status.as_str());
        let mut record = Map::from([("status".to_owned(), status), ("error".to_owned(), error)]);
        match (&cell.step.body, output) {
            (Body::Group(_) | Body::Choose(_), Json::Map(members)) => record.extend(members),
            (Body::Group(_), _) => drop(record.insert("steps".to_owned(), Json::Map(Map::new()))),
            (Body::Choose(_), _) => {
                record.insert("plan".to_owned(), Json::Null);
                record.insert("steps".to_owned(), Json::Map(Map::new()));
            }
            (
                Body::Effect(_)
                | Body::Compute(_)
                | Body::Approve(_)
                | Body::Sleep(_)
                | Body::WaitFor(_)
                | Body::Checkpoint(_)
                | Body::Run(_)
                | Body::Continue(_),
                output,
            ) => {
                record.insert("output".to_owned(), output);
            }
        }
        let frame = cell.frame;
        if let FrameKind::Item { value, .. } = &mut self.frames.get_mut(frame).kind {
            record.insert("item".to_owned(), take(value, keep));
        }
        Json::Map(record)
    }

    fn end_loop(&mut self, id: CellId) {
        let Some(state) = self.loop_mut(id) else { return };
        let records = std::mem::take(&mut state.records);
        let fall = state.fall.take();
        let cell = self.cells.get_mut(id);
        if cell.cancelled {
            cell.status = StepStatus::Skipped;
            cell.note = Some("cancelled".to_owned());
            return self.settle(id, None);
        }
        match fall {
            None => self.finish(id, Outcome::Completed(Json::List(records))),
            Some(fall) => {
                // The handlers had their say about the item.
                cell.status = if fall.refused { StepStatus::Refused } else { StepStatus::Failed };
                cell.error = fall.located();
                cell.note = Some(format!("because of {}", fall.step));
                self.settle(id, Some(fall));
            }
        }
    }
}
