//! What recomputing the decisions of a bundle came to. This program cannot: that takes the gate and
//! the canon, which `cognitionos verify` has.

use std::path::Path;

use cog_base::Value;
use cog_ledger::audit::Findings;

use crate::VerifyError;

/// Whether the decisions of a bundle were recomputed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decisions {
    /// They were, with what came of it.
    Recomputed(Counts),
    /// They were not, and why.
    No(&'static str),
}

/// How many decisions there are, and what came of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Receipts, refusals, requests for approval and selections of plans.
    pub all: u64,
    /// Those of them that were recomputed; of the others a body or a canon is not here.
    pub recomputed: u64,
    /// Those of the recomputed that come out otherwise.
    pub differ: u64,
    /// Runs that follow from their definition and inputs, and were held to what they must show.
    pub runs: u64,
    /// Runs of which that cannot be told.
    pub runs_unknown: u64,
    /// Decisions on what a domain did in a period that began before what is here: that all of it was
    /// counted cannot be told.
    pub periods_unknown: u64,
}

/// Recomputes the decisions in a bundle that holds otherwise, and adds what is wrong.
pub type Recompute<'a> = &'a dyn Fn(&Path, &mut Findings) -> Result<Decisions, VerifyError>;

pub(crate) const NOT_BY_THIS: Decisions = Decisions::No(
    "this program does not recompute decisions; `cognitionos verify` does, from the same bundle",
);
pub(crate) const NOT_OF_THIS: Decisions =
    Decisions::No("decisions were not recomputed, as the bundle does not hold");

impl Decisions {
    pub(crate) fn to_value(&self) -> Value {
        let Self::Recomputed(counts) = self else { return Value::Null };
        Value::map([
            ("all", Value::from(counts.all)),
            ("recomputed", counts.recomputed.into()),
            ("differ", counts.differ.into()),
            ("runs", counts.runs.into()),
            ("runs_unknown", counts.runs_unknown.into()),
            ("periods_unknown", counts.periods_unknown.into()),
        ])
    }
}
