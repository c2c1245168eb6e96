//! Why a candidate falls out.

use cog_base::Micros;
use cog_base::words::minor;

use crate::{MAX_CANDIDATES, MAX_STEPS, Risk};

/// The first reason, in the order of the checks, for which a candidate falls out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{found} candidates; a selection looks at {MAX_CANDIDATES} at most")]
    TooManyCandidates { found: usize },
    #[error("{found} steps; a plan has {MAX_STEPS} at most")]
    TooManySteps { found: usize },
    #[error("two steps are called `{step}`")]
    DuplicateStep { step: String },
    #[error("step `{step}` needs `{need}`, which is no step of the plan")]
    UnknownNeed { step: String, need: String },
    #[error("the steps need each other in a circle")]
    Cycle,
    #[error("step `{step}` would be refused: {reason}")]
    Inadmissible { step: String, code: String, reason: String },
    #[error("the run would write {found} resources; the envelope allows {max}")]
    Resources { found: u64, max: u64 },
    #[error(
        "the run would move {} minor units; the envelope allows {}",
        minor((*found).into()),
        minor((*max).into())
    )]
    Amount { found: u64, max: u64 },
    #[error("the run would do all of {}, which the envelope forbids", actions.join(", "))]
    Forbidden { actions: Vec<String> },
    #[error("expected cost {found}; the budget is {max}")]
    Budget { found: Micros, max: Micros },
    #[error("expected duration {found} ms; the deadline is {max} ms")]
    Deadline { found: u64, max: u64 },
    #[error("step `{step}` has risk `{risk}`, on which the canon puts no loss")]
    Unpriced { step: String, risk: Risk },
    #[error("the {what} does not fit 64 bits")]
    Overflow { what: &'static str },
}

impl Fault {
    /// The stable code. For an inadmissible step it is the code of the refusal.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::TooManyCandidates { .. } => "plan.too_many_candidates",
            Self::TooManySteps { .. } => "plan.too_many_steps",
            Self::DuplicateStep { .. } => "plan.duplicate_step",
            Self::UnknownNeed { .. } => "plan.unknown_need",
            Self::Cycle => "plan.cycle",
            Self::Inadmissible { code, .. } => code,
            Self::Resources { .. } => "envelope.resources",
            Self::Amount { .. } => "envelope.amount",
            Self::Forbidden { .. } => "envelope.combination",
            Self::Budget { .. } => "plan.budget",
            Self::Deadline { .. } => "plan.deadline",
            Self::Unpriced { .. } => "plan.unpriced_risk",
            Self::Overflow { .. } => "plan.overflow",
        }
    }
}
