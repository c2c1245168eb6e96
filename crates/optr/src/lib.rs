//! Plan selection: which of several candidate plans to take.
//!
//! A pure function of the candidates, the constraints and the weights. Every step of a plan
//! must be admissible, and the whole must fit the budget, the deadline and the envelope (the
//! blast radius that the canon allows one run), which is counted as the gate counts it. Among
//! those that are left the least score wins: expected cost, plus the price of time, plus the
//! risk-weighted loss. All arithmetic is on integers, a tie goes to the smaller digest, and
//! the verdict on every candidate is kept, so that the choice can be explained and recomputed
//! from the ledger.

#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod constraints;
mod fault;
mod plan;
mod schedule;
mod select;
mod verdict;

pub use constraints::{Constraints, Envelope, Used, Weights};
pub use plan::{Admissible, Candidate, Risk, StepEstimate, UnknownRisk};
pub use select::{Room, room, score, select};
pub use verdict::{Outcome, Selection, Verdict};

/// Most candidates that one selection looks at. With more, all fall out.
pub const MAX_CANDIDATES: usize = 64;

/// Most steps of one candidate. With more, the candidate falls out.
pub const MAX_STEPS: usize = 256;

/// Most characters of a reason that a verdict keeps; the rest is cut off, so that the entry
/// of a selection stays small whatever a policy's reason says.
pub const MAX_REASON_CHARS: usize = 240;
