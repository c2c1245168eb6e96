//! What goes into the machine and what comes out of it.

use std::collections::BTreeMap;

use cog_base::json::{Json, MAX_TAKEN_DEPTH, Map};
use cog_base::{Sources, Timestamp, Value};

use crate::definition::{Retry, Risk, Terms};
use crate::form::Form;
use crate::limits::{MAX_SIGNAL_BYTES, MAX_SIGNAL_ID_BYTES};
use crate::path::{StepPath, is_id};

/// Something that happened. Each answers an [`Action`], but for `Signalled`, which somebody
/// sent, and `Cancelled` and `OverBudget`, which somebody decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The effect of a step took place.
    Completed {
        /// The step.
        step: StepPath,
        /// What the effect gave, after redaction.
        output: Value,
    },
    /// The gate refused the effect of a step.
    Refused {
        /// The step.
        step: StepPath,
        /// The denial: `{id, code, reason}`.
        denial: Value,
    },
    /// The effect of a step failed, after the retries it had. Also the answer to
    /// [`Action::Cancel`] when the effect was stopped.
    Failed {
        /// The step.
        step: StepPath,
        /// Why.
        error: StepError,
    },
    /// Enough people agreed.
    Approved {
        /// The step.
        step: StepPath,
        /// Who, as `user:name`.
        by: Vec<String>,
        /// What each of them filled in.
        forms: BTreeMap<String, Map>,
    },
    /// Somebody said no.
    Rejected {
        /// The step.
        step: StepPath,
        /// Who.
        by: String,
        /// Why, in their words.
        reason: String,
    },
    /// A plan was selected, or none was admissible.
    Planned {
        /// The step.
        step: StepPath,
        /// The id of the plan; nothing when none is admissible.
        plan: Option<String>,
        /// Why, for people.
        reason: String,
    },
    /// The place of a step has its name.
    Marked {
        /// The step.
        step: StepPath,
    },
    /// The time of a timer came: a sleep is over, not enough people answered an approval in time, or
    /// the steps inside one took too long.
    Due {
        /// The step whose timer it is.
        timer: StepPath,
    },
    /// A message from outside reached the run. The first step that waits for it takes it;
    /// until one does, the run keeps it.
    Signalled(Signal),
    /// The next run takes the place of this one, which is over.
    Continued {
        /// The step.
        step: StepPath,
    },
    /// Somebody cancelled the run.
    Cancelled {
        /// Why.
        reason: String,
    },
    /// The budget of the run is spent.
    OverBudget {
        /// Which part of it.
        reason: String,
    },
}

/// A message from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Its id, given by the sender: the same id is the same signal.
    pub id: String,
    /// Its name, which `wait_for` names.
    pub name: String,
    /// Who sent it, as `kind:name`.
    pub from: String,
    /// What it says.
    pub payload: Value,
}

/// A signal that no run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignal {
    /// Its id.
    #[error(
        "the id of a signal has 1 to {MAX_SIGNAL_ID_BYTES} letters, digits and `.`, `_`, `:`, `/`, `@`, `-`"
    )]
    Id,
    /// Its name.
    #[error("the name of a signal has a-z first, then a-z, 0-9, `_` and `-`, at most 64")]
    Name,
    /// What it says.
    #[error(
        "what a signal says has at most {MAX_SIGNAL_BYTES} bytes, and {MAX_TAKEN_DEPTH} levels"
    )]
    Payload,
}

impl Signal {
    /// Whether a run can take it.
    ///
    /// # Errors
    /// [`BadSignal`] says what is wrong with it.
    pub fn check(&self) -> Result<(), BadSignal> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@-".contains(&byte);
        if self.id.is_empty() || self.id.len() > MAX_SIGNAL_ID_BYTES || !self.id.bytes().all(fits) {
            return Err(BadSignal::Id);
        }
        if !is_id(&self.name) {
            return Err(BadSignal::Name);
        }
        let bytes = self.payload.canonical().len();
        let fits = bytes <= MAX_SIGNAL_BYTES && self.payload.is_within(MAX_TAKEN_DEPTH);
        if fits { Ok(()) } else { Err(BadSignal::Payload) }
    }

    /// The output of the step that took it: `{id, name, from, payload}`.
    pub(crate) fn into_value(self) -> Value {
        let Self { id, name, from, payload } = self;
        Value::map([
            ("id", Value::from(id)),
            ("name", name.into()),
            ("from", from.into()),
            ("payload", payload),
        ])
    }
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepError {
    /// A stable word, such as `timeout`.
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// Whether trying again might help.
    pub transient: bool,
}

impl StepError {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), transient: false }
    }

    /// `{code, message, transient}`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Json::Map(Map::from([
            ("code".to_owned(), Value::from(self.code.as_str())),
            ("message".to_owned(), Value::from(self.message.as_str())),
            ("transient".to_owned(), Value::from(self.transient)),
        ]))
    }
}

/// Something to do. Every `Perform`, `Choose`, `Ask`, `StartRun` and `Arm` is answered by one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Put an effect before the gate and perform it. Answered by `Completed`, `Refused` or
    /// `Failed`, also after a [`Action::Cancel`].
    Perform {
        /// The step.
        step: StepPath,
        /// The effect: `file.read`.
        uses: String,
        /// Who acts; nothing for the initiator of the run.
        actor: Option<String>,
        /// The arguments, as the file gives them.
        with: Map,
        /// How often it is tried under its one receipt.
        retry: Retry,
        /// How long is waited for what.
        terms: Terms,
        /// Whose personal data the output holds.
        subject: Option<String>,
        /// What the arguments came from.
        sources: Sources,
    },
    /// Select a plan. Answered by `Planned`.
    Choose {
        /// The step.
        step: StepPath,
        /// What is to be reached.
        goal: String,
        /// What the plan must keep to.
        constraints: Constraints,
        /// The candidates: those that did not fall before.
        plans: Vec<PlanSpec>,
        /// 1 for the first selection, then one more for each plan that fell.
        attempt: u32,
        /// Whose personal data goal and candidates hold.
        subject: Option<String>,
    },
    /// Ask people. Answered by `Approved`, `Rejected` or, after `expires_ms`, `Due`.
    Ask {
        /// The step.
        step: StepPath,
        /// Who may answer: `role:name` or `user:name`.
        by: Vec<String>,
        /// How many must agree.
        count: u32,
        /// The question.
        message: String,
        /// Milliseconds until `Due`.
        expires_ms: u64,
        /// After how many milliseconds who else may answer.
        escalate: Option<(u64, Vec<String>)>,
        /// What those who say yes fill in.
        form: Form,
        /// Whose personal data the question holds.
        subject: Option<String>,
        /// What the question came from.
        sources: Sources,
    },
    /// Wait. Answered by `Due`.
    Arm {
        /// The step that sleeps.
        timer: StepPath,
        /// Milliseconds.
        ms: u64,
    },
    /// Wait until a time. Answered by `Due`.
    ArmUntil {
        /// The step that sleeps.
        timer: StepPath,
        /// The time.
        at: Timestamp,
    },
    /// Bound the time of the steps inside this one. Answered by `Due`, unless `Unbound` comes before.
    Bound {
        /// The step.
        step: StepPath,
        /// Milliseconds.
        ms: u64,
    },
    /// The steps inside are over, or are being stopped: their time does not matter any more.
    Unbound {
        /// The step.
        step: StepPath,
    },
    /// Give the place a name, in the ledger. Answered by `Marked`.
    Mark {
        /// The step.
        step: StepPath,
        /// The name, which no other step of the file gives.
        name: String,
    },
    /// Wait for a signal. Answered by `Signalled` or, after `timeout_ms`, `Due`.
    Listen {
        /// The step.
        step: StepPath,
        /// The name of the signal.
        signal: String,
        /// Milliseconds until `Due`; nothing for as long as it takes.
        timeout_ms: Option<u64>,
    },
    /// Begin another run. Answered by `Completed` with its outputs, `Refused` or `Failed` when it
    /// ended; by `Completed` when it began, if nobody waits for it.
    StartRun {
        /// The step.
        step: StepPath,
        /// The workflow, by its name in [`Flow::children`](crate::Flow::children).
        workflow: String,
        /// Its inputs, as the file gives them.
        inputs: Map,
        /// What each of them came from.
        sources: BTreeMap<String, Sources>,
        /// Whether the step is over when that run is.
        wait: bool,
        /// Whether that run goes on when this one is cancelled.
        outlives: bool,
        /// Whose personal data it holds, where its own file does not say so.
        subject: Option<String>,
    },
    /// End the run by beginning the next one, when nothing else of it is left
    /// ([`Run::continues`](crate::Run::continues)). Answered by `Continued`, or `Failed`.
    Continue {
        /// The step.
        step: StepPath,
        /// The inputs of the next run, as the file gives them.
        inputs: Map,
        /// What each of them came from.
        sources: BTreeMap<String, Sources>,
    },
    /// Stop what the step is doing. A `Perform` and a `StartRun` are still answered, with what
    /// became of it; a `Choose`, an `Ask`, an `Arm` and a `Listen` are not. A `Listen` is also
    /// stopped when its signal came.
    Cancel {
        /// The step.
        step: StepPath,
    },
    /// Nothing is to be done: a step failed by itself, before anything was asked for, such as
    /// in its expressions. Not answered; for those who watch the run.
    Fell {
        /// The step.
        step: StepPath,
        /// Why.
        error: StepError,
    },
    /// The run is over; nothing comes after it.
    Finish {
        /// How it ended.
        status: Status,
        /// The outputs of the flow; null unless completed.
        output: Value,
        /// What ended it: `{step, code, message | reason, …}`; nothing when completed.
        error: Option<Value>,
        /// What outputs and error came from.
        sources: Sources,
    },
}

/// What a chosen plan must keep to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Most cost in millionths of a US dollar.
    pub cost_micros: Option<u64>,
    /// Longest time in milliseconds.
    pub deadline_ms: Option<u64>,
}

/// A candidate plan with what is known of it before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanSpec {
    /// The id.
    pub id: String,
    /// What its author expects of it.
    pub expect: Expect,
    /// Its effects, in the order of the file.
    pub steps: Vec<PlanStep>,
}

/// What the author of a plan expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Cost in millionths of a US dollar.
    pub cost_micros: u64,
    /// Time in milliseconds.
    pub latency_ms: u64,
    /// Risk.
    pub risk: Risk,
}

/// An effect of a candidate plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanStep {
    /// The id.
    pub id: String,
    /// The ids of the steps of the plan that come before.
    pub needs: Vec<String>,
    /// The effect.
    pub uses: String,
    /// Who acts; nothing for the initiator of the run.
    pub actor: Option<String>,
    /// The arguments; nothing when they depend on what the plan itself brings about.
    pub with: Option<Map>,
    /// Whose personal data the arguments hold.
    pub subject: Option<String>,
    /// What the arguments came from.
    pub sources: Sources,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Something is going on.
    Running,
    /// Nothing goes on but waiting for people or for signals.
    Waiting,
    /// Every step is done, or was handled.
    Completed,
    /// A step failed and nothing handled it, or the budget is spent.
    Failed,
    /// A step was refused and nothing handled it.
    Refused,
    /// Somebody cancelled it.
    Cancelled,
    /// The next run of the same definition took its place.
    Continued,
}

impl Status {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Continued => "continued",
        }
    }

    /// Whether nothing can happen any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Running | Self::Waiting => false,
            Self::Completed | Self::Failed | Self::Refused | Self::Cancelled | Self::Continued => {
                true
            }
        }
    }
}

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepStatus {
    /// Steps it needs are not done.
    Waiting,
    /// It is at work.
    Running,
    /// It waits for people or for a signal.
    Parked,
    /// It is done.
    Completed,
    /// It was refused.
    Refused,
    /// It failed.
    Failed,
    /// It did not run, or was cancelled.
    Skipped,
}

impl StepStatus {
    /// The word for it, as expressions see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Parked => "parked",
            Self::Completed => "completed",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// A step as the live view shows it.
#[derive(Clone, Copy, Debug)]
pub struct StepView<'r> {
    /// Its path.
    pub path: &'r StepPath,
    /// Its name, or its id when it has none.
    pub name: &'r str,
    /// How it stands.
    pub status: StepStatus,
    /// What it gave; null while it has given nothing.
    pub output: &'r Value,
    /// Why it fell; null where it did not.
    pub error: &'r Value,
    /// Why, where there is something to say.
    pub note: Option<&'r str>,
    /// The moment at which it began, as the driver calls it; nothing before it has.
    pub began: Option<u64>,
}

/// An event that answers nothing: the step is unknown, is over, or waits for something
/// else. The state is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{event}` for {subject} is out of order: {why}")]
pub struct OutOfOrder {
    pub(crate) event: &'static str,
    pub(crate) subject: String,
    pub(crate) why: String,
}

impl OutOfOrder {
    /// Why nothing waits for the event, in words.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}
