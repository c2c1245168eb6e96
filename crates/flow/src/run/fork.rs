//! A run that goes on from a place of another: what is over stays, what is not begins anew.
//!
//! People's consent does not stay. A step that asked them asks again, one that was to ask and was
//! skipped decides anew whether it does, and what they are shown is computed anew. Whatever
//! begins anew and needs such a step waits for it, also where it needs it by way of steps that
//! stay.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::json::{Json, Map};
use cog_base::{Sources, Value};

use super::arena::Arena;
use super::cell::{CellId, Fall, FrameId, FrameKind, Phase, Role};
use super::event::{Action, Status, StepStatus};
use super::{Run, Work};
use crate::definition::{Block, Body, Flow};
use crate::path::StepPath;

/// A consent that can be neither taken over nor asked for anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptConsent {
    /// The step at which people consented, or would have been asked.
    pub asked: StepPath,
    /// The step around it that is over: from before it a run can go on.
    pub around: StepPath,
}

impl Run {
    /// What is fed from here on happens at this moment: see [`super::StepView::began`].
    pub fn at(&mut self, moment: u64) {
        self.moment = moment;
    }

    /// As [`Run::start_classed`], for a run that goes on from the very start of another: see
    /// [`Run::begin_again`].
    #[must_use]
    pub fn start_over(
        flow: Arc<Flow>,
        inputs: Map,
        facts: Map,
        classes: BTreeMap<String, String>,
    ) -> (Self, Vec<Action>) {
        let mut run = Self::new(flow, inputs, facts, classes);
        run.takes_over = true;
        let actions = run.open_root();
        (run, actions)
    }

    /// What begins from here on sees other inputs and other `facts`, as in [`Run::start_as`].
    /// What is over keeps what it came to, and is not undone by this run: it was another's doing.
    pub fn see(&mut self, inputs: Map, facts: Map) {
        self.takes_over = true;
        self.to_undo.clear();
        let (subject, facts) = super::known(&self.flow, &inputs, facts);
        self.subject = subject.or(self.subject.take());
        self.inputs = Json::Map(inputs);
        self.facts = facts;
    }

    /// A consent inside a step that is over: nothing goes on from here, because it would be
    /// taken over.
    #[must_use]
    pub fn kept_consent(&self) -> Option<KeptConsent> {
        let id = self.cells.ids().find(|id| self.keeps_consent(*id))?;
        let mut around = id;
        while !self.stands_open(around)
            && let Some(next) = self.around(around)
        {
            around = next;
        }
        let path = |id: CellId| self.cells.get(id).path.clone();
        Some(KeptConsent { asked: path(id), around: path(around) })
    }

    fn keeps_consent(&self, id: CellId) -> bool {
        let cell = self.cells.get(id);
        if !matches!(cell.phase, Phase::Done) {
            return false;
        }
        let by_run = matches!(cell.step.body, Body::Run(_)) && self.flow.asks_people(&cell.step);
        let whole_loop = matches!(cell.role, Role::Whole { .. }) && cell.step.foreach.is_some();
        let asked = matches!(cell.step.body, Body::Approve(_)) && !whole_loop;
        match cell.status {
            StepStatus::Completed if by_run && !whole_loop => true,
            StepStatus::Completed => asked && !self.stands_open(id),
            // What the last entry released sees what the new run sees, its `if` as well.
            StepStatus::Skipped => {
                let is_now = cell.began == Some(self.moment);
                self.was_passed_by(id) && !is_now && !self.stands_open(id)
            }
            StepStatus::Waiting
            | StepStatus::Running
            | StepStatus::Refused
            | StepStatus::Failed
            | StepStatus::Parked => false,
        }
    }

    /// Whether its `if` was false, so that people were not asked there.
    fn was_passed_by(&self, id: CellId) -> bool {
        let cell = self.cells.get(id);
        !cell.cancelled && self.flow.asks_people(&cell.step)
    }

    /// Whether a step could begin where this one stands.
    fn stands_open(&self, id: CellId) -> bool {
        let cell = self.cells.get(id);
        matches!(cell.role, Role::Whole { .. }) && self.is_open(cell.frame)
    }

    /// Whether the steps of a frame go on.
    fn is_open(&self, frame: FrameId) -> bool {
        let entry = self.frames.get(frame);
        let inside = |owner: CellId| {
            let cell = self.cells.get(owner);
            let is_its = match &cell.phase {
                Phase::Inside(inner) | Phase::Handling(inner) => *inner == frame,
                Phase::Waiting
                | Phase::Effect
                | Phase::Choosing
                | Phase::Asking
                | Phase::Sleeping
                | Phase::Marking
                | Phase::Listening(_)
                | Phase::Pausing(_)
                | Phase::Looping(_)
                | Phase::Done => false,
            };
            is_its && self.is_open(cell.frame)
        };
        let of_kind = match &entry.kind {
            FrameKind::Root => true,
            FrameKind::Group(owner) | FrameKind::Plan(owner) | FrameKind::Handler(owner) => {
                inside(*owner)
            }
            FrameKind::Item { cell, .. } => cell.is_some_and(|item| {
                let whole = self.around(item);
                let is_whole_open = whole.is_some_and(|it| self.is_open(self.cells.get(it).frame));
                is_whole_open && !matches!(self.cells.get(item).phase, Phase::Done)
            }),
            FrameKind::Undo(_) => false,
        };
        of_kind && !entry.stopping
    }

    /// The step inside which one stands; of an item the whole step.
    fn around(&self, id: CellId) -> Option<CellId> {
        let cell = self.cells.get(id);
        match cell.role {
            Role::Item { whole, .. } => Some(whole),
            Role::Whole { .. } => self.frames.get(cell.frame).kind.owner(),
        }
    }

    /// Begins everything anew that waits for an event, and what asks people, by what the run sees
    /// now: in place of the actions so far come those that it returns.
    pub fn begin_again(&mut self) -> Vec<Action> {
        self.takes_over = false;
        self.actions.clear();
        let anew: Vec<CellId> = self.cells.ids().filter(|id| self.is_anew(*id)).collect();
        anew.iter().for_each(|id| self.renew(*id));
        if !anew.is_empty() && self.undoing.is_none() {
            // It may have been over with the very entry behind which it goes on.
            (self.status, self.output) = (Status::Running, Json::Null);
        }
        self.hold(Arena::first(), false);
        self.bound_again();
        let open: Vec<_> = self.open.iter().map(|(path, id)| (path.clone(), *id)).collect();
        for (path, id) in open {
            // One that begins anew and fails by itself stops those beside it.
            if self.open.get(&path) != Some(&id) {
                continue;
            }
            if self.cells.get(id).cancelled {
                self.drop_cell(id, "cancelled");
                continue;
            }
            if let Phase::Pausing(ms) = self.cells.get(id).phase {
                self.pause(id, ms);
                continue;
            }
            self.wait_again(id);
            let moment = self.moment;
            let cell = self.cells.get_mut(id);
            cell.began = Some(moment);
            let step = Arc::clone(&cell.step);
            self.begin(id, &step);
        }
        let free = anew.into_iter().filter(|id| self.cells.get(*id).open_needs == 0);
        let free: Vec<Work> = free.map(Work::Start).collect();
        self.queue.extend(free);
        self.drain()
    }

    /// Whether a step that is over begins anew.
    fn is_anew(&self, id: CellId) -> bool {
        let cell = self.cells.get(id);
        if !matches!(cell.phase, Phase::Done) || !self.stands_open(id) {
            return false;
        }
        let is_each = cell.step.foreach.is_some();
        match cell.status {
            StepStatus::Skipped => self.flow.asks_people(&cell.step) || self.is_shown(id),
            StepStatus::Completed if is_each => {
                // There was no item to ask about.
                let no_item = cell.output.as_list().is_some_and(<[Value]>::is_empty);
                no_item && self.flow.asks_people(&cell.step)
            }
            StepStatus::Completed => {
                matches!(cell.step.body, Body::Approve(_)) || self.is_shown(id)
            }
            StepStatus::Waiting
            | StepStatus::Running
            | StepStatus::Refused
            | StepStatus::Failed
            | StepStatus::Parked => false,
        }
    }

    /// Whether the step computes what people are shown.
    fn is_shown(&self, id: CellId) -> bool {
        let cell = self.cells.get(id);
        let is_compute = matches!(cell.step.body, Body::Compute(_));
        let Role::Whole { position } = cell.role else { return false };
        let block = &self.frames.get(cell.frame).block;
        is_compute && self.flow.shown_to_people(block).contains(&position)
    }

    /// A step that is over is as if it had not begun.
    fn renew(&mut self, id: CellId) {
        let cell = self.cells.get_mut(id);
        (cell.phase, cell.status) = (Phase::Waiting, StepStatus::Waiting);
        (cell.output, cell.error) = (Json::Null, Json::Null);
        cell.sources = Sources::default();
        (cell.note, cell.began, cell.cancelled) = (None, None, false);
        let frame = cell.frame;
        let entry = self.frames.get_mut(frame);
        entry.open = entry.open.saturating_add(1);
    }

    /// A step that waits for an event is as if it had not begun.
    fn wait_again(&mut self, id: CellId) {
        self.unlisten(id);
        self.enter(id, Phase::Waiting, StepStatus::Waiting);
        let cell = self.cells.get_mut(id);
        cell.began = None;
        cell.sources = Sources::default();
        // It is offered for the first time, or for the same time again.
        if let Some(choice) = &mut cell.choice {
            choice.attempt = choice.attempt.saturating_sub(1);
        }
    }

    /// Have what has begun in a frame wait for the steps that begin anew, where it needs them;
    /// all of it when the step around waits.
    fn hold(&mut self, frame: FrameId, around: bool) {
        let entry = self.frames.get(frame);
        if entry.stopping {
            return;
        }
        let (block, first) = (Arc::clone(&entry.block), entry.first);
        let held = self.held(&block, first, around);
        for (position, step) in block.steps.iter().enumerate() {
            let id = first.plus(position);
            let is_open = |need: &&usize| {
                let is_held = held.get(**need).copied().unwrap_or_default();
                is_held || !matches!(self.cells.get(first.plus(**need)).phase, Phase::Done)
            };
            let needs = step.needs.iter().filter_map(|need| block.index.get(need));
            let open_needs = needs.filter(is_open).count() + usize::from(around);
            let is_held = held.get(position).copied().unwrap_or_default();
            self.hold_cell(id, is_held, open_needs);
        }
    }

    /// Which steps of a block have begun and need one that begins anew.
    fn held(&self, block: &Block, first: CellId, around: bool) -> Vec<bool> {
        let phase = |position: usize| &self.cells.get(first.plus(position)).phase;
        // What is asked or done now begins anew as well, and in a fork of a fork steps that are over
        // may need it.
        let is_open = |position: &usize| !matches!(phase(*position), Phase::Done);
        let count = block.steps.len();
        let mut held = vec![around; count];
        let mut left: Vec<usize> = (0..count).filter(is_open).collect();
        while let Some(position) = left.pop() {
            for dependent in block.dependents.get(position).into_iter().flatten() {
                if let Some(known) = held.get_mut(*dependent).filter(|known| !**known) {
                    *known = true;
                    left.push(*dependent);
                }
            }
        }
        held
    }

    fn hold_cell(&mut self, id: CellId, is_held: bool, open_needs: usize) {
        let phase = self.cells.get(id).phase.clone();
        let cell = self.cells.get_mut(id);
        match phase {
            Phase::Waiting => cell.open_needs = open_needs,
            Phase::Done => {
                cell.open_needs = open_needs;
                cell.held = is_held;
            }
            Phase::Inside(inside) | Phase::Handling(inside) => {
                cell.open_needs = open_needs;
                cell.held = is_held;
                self.hold(inside, is_held);
            }
            Phase::Pausing(_) => {
                cell.open_needs = open_needs;
                cell.held = is_held;
                if is_held {
                    self.unlisten(id);
                }
            }
            Phase::Looping(state) => {
                cell.open_needs = open_needs;
                cell.held = is_held;
                for index in &state.open {
                    if let Some(item) = state.cells.get(*index as usize) {
                        self.hold_cell(*item, is_held, usize::from(is_held));
                    }
                }
            }
            Phase::Effect
            | Phase::Choosing
            | Phase::Asking
            | Phase::Sleeping
            | Phase::Marking
            | Phase::Listening(_) => {
                if is_held && !cell.cancelled {
                    cell.open_needs = open_needs;
                    self.wait_again(id);
                }
            }
        }
    }

    /// A step that has begun waited for others that began anew, and they are over.
    pub(super) fn let_go(&mut self, id: CellId) {
        let cell = self.cells.get(id);
        let (frame, step, role) = (cell.frame, Arc::clone(&cell.step), cell.role);
        let phase = cell.phase.clone();
        if let (Phase::Done, Role::Whole { position }) = (&phase, role) {
            return self.release(frame, position);
        }
        // What it was to run by may be otherwise now.
        if let Role::Whole { .. } = role {
            match self.condition(&step, frame) {
                Ok(true) => {}
                Ok(false) => return self.cancel(id),
                Err(error) => {
                    let (path, error) = (self.cells.get(id).path.clone(), error.to_value());
                    let fall = Fall { refused: false, error, step: path };
                    let shown = self.handed(id, &step.condition);
                    self.cells.get_mut(id).sources.add(&shown);
                    return self.fall_frame(frame, fall);
                }
            }
        }
        match phase {
            Phase::Inside(inside) | Phase::Handling(inside) => {
                let entry = self.frames.get(inside);
                let (first, count) = (entry.first, entry.block.steps.len());
                (0..count).for_each(|position| self.free(first.plus(position)));
            }
            Phase::Looping(state) => {
                let items = state.open.iter().filter_map(|index| state.cells.get(*index as usize));
                items.for_each(|item| self.free(*item));
            }
            Phase::Pausing(ms) => self.pause(id, ms),
            Phase::Waiting
            | Phase::Effect
            | Phase::Choosing
            | Phase::Asking
            | Phase::Sleeping
            | Phase::Marking
            | Phase::Listening(_)
            | Phase::Done => {}
        }
    }

    /// The step around one waits no more.
    fn free(&mut self, id: CellId) {
        let cell = self.cells.get_mut(id);
        if cell.held || matches!(cell.phase, Phase::Waiting) {
            cell.open_needs = cell.open_needs.saturating_sub(1);
            if cell.open_needs == 0 {
                self.queue.push_back(Work::Start(id));
            }
        }
    }

    /// Whether the run is over, or is being ended or undone: nothing goes on from there.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.status.is_final() || self.ending.is_some() || self.undoing.is_some()
    }

    /// The inputs that steps see.
    #[must_use]
    pub const fn inputs(&self) -> &Value {
        &self.inputs
    }
}
