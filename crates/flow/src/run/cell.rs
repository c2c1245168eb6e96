//! The state: steps of this run, and the frames they stand in.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use cog_base::json::{Json, Map};
use cog_base::{Sources, Value};

use super::arena::Id;
use super::event::StepStatus;
use crate::definition::{Block, Step};
use crate::path::StepPath;

pub(super) type CellId = Id<Cell>;
pub(super) type FrameId = Id<Frame>;

/// One step of this run, or one item of a `foreach` step.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) step: Arc<Step>,
    pub(super) path: StepPath,
    /// Where its expressions are evaluated.
    pub(super) frame: FrameId,
    pub(super) role: Role,
    pub(super) phase: Phase,
    pub(super) status: StepStatus,
    pub(super) output: Value,
    pub(super) error: Value,
    pub(super) note: Option<String>,
    /// What its output or its error came from.
    pub(super) sources: Sources,
    /// Steps it needs that are not done.
    pub(super) open_needs: usize,
    /// Whether what it does is being stopped: its end counts for nothing.
    pub(super) cancelled: bool,
    pub(super) choice: Option<Box<Choice>>,
    pub(super) rounds: Option<Box<Rounds>>,
    /// The moment at which it began.
    pub(super) began: Option<u64>,
    /// It has begun, or is over, and what needs it or stands inside waits for steps that it
    /// needs and that begin anew.
    pub(super) held: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// The step at this position of its frame.
    Whole { position: usize },
    /// An item of this step.
    Item { whole: CellId, index: u32 },
}

/// What a cell waits for.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The steps it needs.
    Waiting,
    /// The answer to `Perform`.
    Effect,
    /// The answer to `Choose`.
    Choosing,
    /// The answer to `Ask`.
    Asking,
    /// The answer to `Arm`.
    Sleeping,
    /// The answer to `Mark`.
    Marking,
    /// The answer to `Listen`.
    Listening(Box<Listening>),
    /// The end of its steps, or of those of its chosen plan.
    Inside(FrameId),
    /// The answer to `Arm`, so many milliseconds, to begin its next round.
    Pausing(u64),
    /// The end of its items.
    Looping(Box<Loop>),
    /// The end of the steps of its handler.
    Handling(FrameId),
    /// Nothing: it is over.
    Done,
}

impl Phase {
    /// Whether only somebody outside can bring it on.
    pub(super) const fn is_parked(&self) -> bool {
        matches!(self, Self::Asking | Self::Listening(_))
    }
}

/// What signal a step waits for.
#[derive(Clone, Debug)]
pub(super) struct Listening {
    pub(super) signal: String,
    pub(super) matching: Map,
}

/// A `foreach` on its way.
#[derive(Clone, Debug)]
pub(super) struct Loop {
    pub(super) left: VecDeque<Value>,
    /// What the items came from.
    pub(super) sources: Sources,
    pub(super) next: u32,
    pub(super) open: BTreeSet<u32>,
    /// The cell of each item that was started.
    pub(super) cells: Vec<CellId>,
    pub(super) records: Vec<Value>,
    pub(super) fall: Option<Fall>,
}

/// The rounds of a `repeat` so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds {
    /// The number of the one that runs or comes next.
    pub(super) index: u32,
    /// What the steps of the one before came to, as the one that comes next sees it.
    pub(super) before: Option<Value>,
}

/// The selections of a `choose` step so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    pub(super) attempt: u32,
    /// Positions of the plans that fell.
    pub(super) fallen: BTreeSet<usize>,
    /// The position of the plan that runs.
    pub(super) plan: usize,
    /// How the last plan fell.
    pub(super) last: Option<Fall>,
}

/// A refusal or a failure that nothing handled yet.
#[derive(Clone, Debug)]
pub(super) struct Fall {
    pub(super) refused: bool,
    pub(super) error: Value,
    /// The innermost step it came from.
    pub(super) step: StepPath,
}

impl Fall {
    /// Whether people said no, and not a rule: another plan for the same goal is no way
    /// round them.
    pub(super) fn is_by_people(&self) -> bool {
        let code = self.error.get("code").and_then(Value::as_text);
        self.refused && matches!(code, Some("approval.rejected" | "approval_rejected"))
    }

    /// The error with the step it came from.
    pub(super) fn located(&self) -> Value {
        let mut members = match self.error.as_map() {
            Some(members) => members.clone(),
            None => Map::from([("error".to_owned(), self.error.clone())]),
        };
        if !members.contains_key("step") {
            members.insert("step".to_owned(), Value::from(&self.step));
        }
        Json::Map(members)
    }
}

/// Steps that are in sight of each other, in this run.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) parent: Option<FrameId>,
    pub(super) kind: FrameKind,
    pub(super) block: Arc<Block>,
    /// The cell of the first step; the others follow.
    pub(super) first: CellId,
    /// Cells that are not over.
    pub(super) open: usize,
    /// The first unhandled fall of a step.
    pub(super) fall: Option<Fall>,
    /// Whether nothing new starts here.
    pub(super) stopping: bool,
}

#[derive(Clone, Debug)]
pub(super) enum FrameKind {
    Root,
    /// The steps of a group.
    Group(CellId),
    /// The steps of the chosen plan.
    Plan(CellId),
    /// The steps of a handler.
    Handler(CellId),
    /// The steps that undo a step; those of the flow itself have none.
    Undo(Option<CellId>),
    /// No steps: an item and its cell, or a round, which has none.
    Item {
        value: Value,
        /// What the item came from.
        sources: Sources,
        index: u32,
        cell: Option<CellId>,
    },
}

impl FrameKind {
    /// The cell whose steps these are.
    pub(super) const fn owner(&self) -> Option<CellId> {
        match self {
            Self::Root => None,
            Self::Group(cell) | Self::Plan(cell) | Self::Handler(cell) => Some(*cell),
            Self::Item { cell, .. } | Self::Undo(cell) => *cell,
        }
    }
}
