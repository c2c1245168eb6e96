//! The machine: `(state, event) → (state, actions)`.
//!
//! A run is a tree of frames (steps in sight of each other) with a cell for each step.
//! What has to be done next is in a queue, so that a chain of steps that need no world
//! costs no recursion, and so that the order of actions follows the order of the file.
//!
//! Rules, each with a test in `tests/flow/semantics.rs`:
//! - A step starts when every step it needs is over and, if it fell, was handled. A
//!   skipped step counts as done.
//! - An unhandled fall stops its frame: nothing new starts, what runs is cancelled, and
//!   when the last effect under way was answered, the step around falls in the same way.
//!   So no second plan starts while an effect of the first may still take place.
//! - `on_error`, `on_refused` and `on_cancel` of a `foreach` step are about each item; those of a
//!   `repeat` are about all of its rounds together.
//! - A run that is cancelled, and one that fell where the flow asks for it, is undone before
//!   it ends. Nothing stops that but its own end.

mod again;
mod arena;
mod block;
mod bound;
mod cell;
mod child;
mod choose;
mod event;
mod foreach;
mod fork;
mod repeat;
mod signal;
mod sources;
mod step;
mod stop;
mod undo;
mod view;

use std::cell::Cell as StdCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use cog_base::json::{Json, Map};
use cog_base::{Sources, Value};

use crate::definition::Flow;
use crate::limits::{MAX_COMPUTED_BYTES, MAX_RUN_OPERATIONS};
use crate::path::StepPath;
use crate::template::evaluate_map;
use arena::Arena;
use cell::{Cell, CellId, Fall, Frame, FrameId, FrameKind, Phase};
pub use event::{
    Action, BadSignal, Constraints, Event, Expect, OutOfOrder, PlanSpec, PlanStep, Signal, Status,
    StepError, StepStatus, StepView,
};
pub use fork::KeptConsent;
use step::Outcome;
use undo::Undoing;
pub use undo::{NOT_UNDONE, UNDONE};
use view::View;

/// One run of a flow.
#[derive(Clone, Debug)]
pub struct Run {
    flow: Arc<Flow>,
    inputs: Value,
    /// The classes of data that inputs were handed over with.
    classes: BTreeMap<String, String>,
    /// What all inputs together came from.
    input_sources: Sources,
    facts: Value,
    /// Whose data it holds, for all that has no subject of its own.
    subject: Option<String>,
    frames: Arena<Frame>,
    cells: Arena<Cell>,
    /// The cells that wait for an event.
    open: BTreeMap<StepPath, CellId>,
    /// How many of those wait for people or for signals.
    parked: usize,
    /// The cells whose steps inside have so much time and no more.
    bounded: BTreeMap<StepPath, CellId>,
    /// Signals that no step has taken yet, oldest first.
    signals: VecDeque<Signal>,
    /// Bytes that `compute` steps may still keep.
    computed_left: u64,
    /// What its expressions may still take.
    operations_left: StdCell<u64>,
    /// What the driver calls the moment: steps that begin are marked with it.
    moment: u64,
    queue: VecDeque<Work>,
    actions: Vec<Action>,
    /// Steps that completed and can be undone, in the order in which they did.
    to_undo: Vec<CellId>,
    /// What completes now is what another run did, which this one goes on from.
    takes_over: bool,
    /// Set once the steps are over and the run is being undone.
    undoing: Option<Undoing>,
    /// The next run of the same definition takes the place of this one.
    is_continued: bool,
    /// Something took place that a chain of runs may wait for.
    has_moved: bool,
    /// The steps that wait for a second or longer.
    long: BTreeSet<StepPath>,
    /// Why the run is being ended from outside.
    ending: Option<(Status, Value)>,
    status: Status,
    output: Value,
}

/// Whose data a run holds, and what expressions see of the run.
fn known(flow: &Flow, inputs: &Map, mut facts: Map) -> (Option<String>, Value) {
    let given = facts.remove("subject").and_then(|it| it.as_text().map(str::to_owned));
    if let Json::Map(own) = flow.facts() {
        facts.extend(own);
    }
    // Inputs that were bound have one that can be told.
    let own = flow.subject_of(inputs).ok().flatten();
    (own.or(given), Json::Map(facts))
}

/// Something to do inside the machine.
#[derive(Clone, Copy, Debug)]
enum Work {
    Start(CellId),
    End(FrameId),
}

impl Run {
    /// Starts a run with inputs from [`Flow::bind`].
    #[must_use]
    pub fn start(flow: Arc<Flow>, inputs: Map) -> (Self, Vec<Action>) {
        Self::start_as(flow, inputs, Map::new())
    }

    /// Starts a run whose expressions also see `facts` as `run.<name>`: `id` and
    /// `initiator`. `workflow`, `domain` and `environment` are there always. The fact `subject` is
    /// not shown: it says whose data the run holds where its file does not ([`Run::subject_of`]).
    #[must_use]
    pub fn start_as(flow: Arc<Flow>, inputs: Map, facts: Map) -> (Self, Vec<Action>) {
        Self::start_classed(flow, inputs, facts, BTreeMap::new())
    }

    /// The same, where inputs came from another run: with the class of data that each is of.
    #[must_use]
    pub fn start_classed(
        flow: Arc<Flow>,
        inputs: Map,
        facts: Map,
        classes: BTreeMap<String, String>,
    ) -> (Self, Vec<Action>) {
        let mut run = Self::new(flow, inputs, facts, classes);
        let actions = run.open_root();
        (run, actions)
    }

    fn open_root(&mut self) -> Vec<Action> {
        let block = Arc::clone(&self.flow.steps);
        self.open_frame(block, None, FrameKind::Root, None);
        self.drain()
    }

    fn new(flow: Arc<Flow>, inputs: Map, facts: Map, classes: BTreeMap<String, String>) -> Self {
        let (subject, facts) = known(&flow, &inputs, facts);
        let input_sources = sources::of_inputs(&flow, &classes);
        Self {
            flow,
            inputs: Json::Map(inputs),
            classes,
            input_sources,
            facts,
            subject,
            frames: Arena::new(),
            cells: Arena::new(),
            open: BTreeMap::new(),
            parked: 0,
            bounded: BTreeMap::new(),
            signals: VecDeque::new(),
            computed_left: MAX_COMPUTED_BYTES,
            operations_left: StdCell::new(MAX_RUN_OPERATIONS),
            moment: 0,
            queue: VecDeque::new(),
            actions: Vec::new(),
            to_undo: Vec::new(),
            takes_over: false,
            undoing: None,
            is_continued: false,
            has_moved: false,
            long: BTreeSet::new(),
            ending: None,
            status: Status::Running,
            output: Json::Null,
        }
    }

    /// Takes in what happened and says what to do next.
    ///
    /// # Errors
    /// [`OutOfOrder`] when nothing waits for this event; the state is as it was.
    pub fn apply(&mut self, event: Event) -> Result<Vec<Action>, OutOfOrder> {
        match event {
            Event::Completed { step, output } => {
                let cell = self.waiting("completed", &step, &[Wait::Effect])?;
                self.moves(cell);
                self.finish(cell, Outcome::Completed(output));
            }
            Event::Refused { step, denial } => {
                let waits = [Wait::Effect, Wait::Choosing, Wait::Asking];
                let cell = self.waiting("refused", &step, &waits)?;
                self.finish(cell, Outcome::Refused(denial));
            }
            Event::Failed { step, error } => {
                let waits = [Wait::Effect, Wait::Choosing, Wait::Asking];
                let cell = self.waiting("failed", &step, &waits)?;
                self.finish(cell, Outcome::Failed(error));
            }
            Event::Approved { step, by, forms } => {
                let cell = self.waiting("approved", &step, &[Wait::Asking])?;
                self.has_moved = true;
                let output = step::agreed(&self.cells.get(cell).step.body, by, forms);
                self.finish(cell, Outcome::Completed(output));
            }
            Event::Rejected { step, by, reason } => {
                let cell = self.waiting("rejected", &step, &[Wait::Asking])?;
                self.has_moved = true;
                self.finish(cell, step::denied("approval_rejected", &reason, Some(&by)));
            }
            Event::Planned { step, plan, reason } => {
                self.planned(&step, plan.as_deref(), &reason)?
            }
            Event::Marked { step } => {
                let cell = self.waiting("marked", &step, &[Wait::Marking])?;
                self.finish(cell, Outcome::Completed(Json::Map(Map::new())));
            }
            Event::Continued { step } => self.continued(&step)?,
            Event::Due { timer } => self.due(&timer)?,
            Event::Signalled(signal) => self.signalled(signal)?,
            Event::Cancelled { reason } => {
                self.end_early("cancelled", Status::Cancelled, &reason)?
            }
            Event::OverBudget { reason } => {
                self.end_early("over_budget", Status::Failed, &reason)?
            }
        }
        Ok(self.drain())
    }

    /// How the run stands.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.status == Status::Running && self.parked > 0 && self.parked == self.open.len() {
            return Status::Waiting;
        }
        self.status
    }

    /// Every step that came into sight so far, in the order in which it did.
    pub fn steps(&self) -> impl Iterator<Item = StepView<'_>> {
        self.cells.iter().map(|cell| StepView {
            path: &cell.path,
            name: cell.step.name.as_deref().unwrap_or(&cell.step.id),
            status: cell.status,
            output: &cell.output,
            error: &cell.error,
            note: cell.note.as_deref(),
            began: cell.began,
        })
    }

    /// The steps that wait for an event.
    pub fn open_steps(&self) -> impl Iterator<Item = &StepPath> {
        self.open.keys()
    }

    /// The outputs of the flow; null until it completed.
    #[must_use]
    pub fn output(&self) -> Value {
        self.output.clone()
    }

    /// The flow that runs.
    #[must_use]
    pub const fn flow(&self) -> &Arc<Flow> {
        &self.flow
    }

    /// Whose personal data the run holds, for all of it that has no subject of its own.
    #[must_use]
    pub fn subject_of(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The cell of a step that waits for one of these answers.
    fn waiting(
        &self,
        event: &'static str,
        step: &StepPath,
        waits: &[Wait],
    ) -> Result<CellId, OutOfOrder> {
        let subject = || format!("step `{step}`");
        let Some(id) = self.open.get(step).copied() else {
            let why = match self.cells.iter().find(|cell| cell.path == *step) {
                Some(cell) => format!("the step is {}", cell.status.as_str()),
                None => "there is no such step in this run".to_owned(),
            };
            return Err(OutOfOrder { event, subject: subject(), why });
        };
        let wait = Wait::of(&self.cells.get(id).phase);
        if wait.is_some_and(|wait| waits.contains(&wait)) {
            return Ok(id);
        }
        let why = format!("the step waits for {}", wait.map_or("nothing", Wait::words));
        Err(OutOfOrder { event, subject: subject(), why })
    }

    fn due(&mut self, timer: &StepPath) -> Result<(), OutOfOrder> {
        if let Some(cell) = self.bounded.remove(timer) {
            self.out_of_time(cell);
            return Ok(());
        }
        let waits = [Wait::Sleeping, Wait::Asking, Wait::Listening, Wait::Pausing];
        let cell = self.waiting("due", timer, &waits)?;
        self.has_moved |= self.long.remove(timer);
        match Wait::of(&self.cells.get(cell).phase) {
            Some(Wait::Asking) => {
                let denied =
                    step::denied("approval_expired", "not enough people answered in time", None);
                self.finish(cell, denied);
            }
            Some(Wait::Listening) => self.signal_is_late(cell),
            Some(Wait::Pausing) => self.go_on(cell),
            Some(Wait::Sleeping | Wait::Effect | Wait::Choosing | Wait::Marking) | None => {
                self.finish(cell, Outcome::Completed(Json::Map(Map::new())));
            }
        }
        Ok(())
    }

    /// Works the queue off and hands out what is to be done.
    fn drain(&mut self) -> Vec<Action> {
        while let Some(work) = self.queue.pop_front() {
            match work {
                Work::Start(cell) => self.start_cell(cell),
                Work::End(frame) => self.end_frame(frame),
            }
        }
        std::mem::take(&mut self.actions)
    }

    /// The outermost frame is over: so is the run.
    fn end_run(&mut self, fall: Option<Fall>) {
        let (status, error) = match (self.ending.take(), fall) {
            (Some((status, error)), _) => (status, Some(error)),
            (None, Some(fall)) if fall.refused => (Status::Refused, Some(fall.located())),
            (None, Some(fall)) => (Status::Failed, Some(fall.located())),
            (None, None) => self.goes_on().unwrap_or_else(|| self.evaluate_outputs()),
        };
        if !self.begin_undo(status, error.as_ref()) {
            self.conclude(status, error);
        }
    }

    fn conclude(&mut self, status: Status, error: Option<Value>) {
        self.status = status;
        let output = self.output.clone();
        let sources = self.answer_sources(status);
        self.actions.push(Action::Finish { status, output, error, sources });
    }

    fn evaluate_outputs(&mut self) -> (Status, Option<Value>) {
        let flow = Arc::clone(&self.flow);
        let view = View { run: self, frame: Arena::first() };
        match evaluate_map(&flow.outputs, &view) {
            Ok(output) => {
                self.output = Json::Map(output);
                (Status::Completed, None)
            }
            Err(error) => {
                let message = format!("the outputs of the flow: {error}");
                let error = StepError::new("expression", message);
                (Status::Failed, Some(error.to_value()))
            }
        }
    }
}

/// What a cell waits for from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Effect,
    Choosing,
    Asking,
    Sleeping,
    Marking,
    Listening,
    Pausing,
}

impl Wait {
    const fn of(phase: &Phase) -> Option<Self> {
        match phase {
            Phase::Effect => Some(Self::Effect),
            Phase::Choosing => Some(Self::Choosing),
            Phase::Asking => Some(Self::Asking),
            Phase::Sleeping => Some(Self::Sleeping),
            Phase::Marking => Some(Self::Marking),
            Phase::Listening(_) => Some(Self::Listening),
            Phase::Pausing(_) => Some(Self::Pausing),
            Phase::Waiting
            | Phase::Inside(_)
            | Phase::Looping(_)
            | Phase::Handling(_)
            | Phase::Done => None,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Effect => "its effect",
            Self::Choosing => "a selection",
            Self::Asking => "an approval",
            Self::Sleeping => "a timer",
            Self::Marking => "a checkpoint",
            Self::Listening => "a signal",
            Self::Pausing => "its next round",
        }
    }
}
