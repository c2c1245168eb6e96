//! The answer: which plan was chosen, and what became of each of the others.

use cog_base::{Digest, Micros, Value};

use crate::MAX_REASON_CHARS;
use crate::fault::Fault;

/// The outcome of a selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The place of the chosen candidate in the list that was given, and so in `table`;
    /// nothing when all fell out.
    pub chosen: Option<usize>,
    /// The verdict on every candidate, in the order given.
    pub table: Vec<Verdict>,
}

/// The verdict on one candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The name of the plan.
    pub candidate: String,
    /// The digest of the plan.
    pub digest: Digest,
    /// Its score, or why it fell out.
    pub outcome: Outcome,
}

/// What became of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It could be taken. The least total wins.
    Scored {
        /// Expected cost of all steps.
        cost: Micros,
        /// Expected milliseconds from start to end, along the longest path.
        latency_ms: u64,
        /// Expected loss of all steps, before the weight.
        risk_loss: Micros,
        /// Cost + price of time + weighted loss, each part rounded up to a whole micro.
        total: Micros,
        /// Who would have to approve a step of it, each once, sorted.
        approvals: Vec<String>,
    },
    /// It could not be taken.
    FellOut {
        /// A stable code.
        code: String,
        /// The reason in words.
        reason: String,
    },
}

impl Outcome {
    pub(crate) fn fell_out(fault: &Fault) -> Self {
        let reason = fault.to_string().chars().take(MAX_REASON_CHARS).collect();
        Self::FellOut { code: fault.code().to_owned(), reason }
    }

    /// The score, if the candidate could be taken.
    #[must_use]
    pub const fn total(&self) -> Option<Micros> {
        match self {
            Self::Scored { total, .. } => Some(*total),
            Self::FellOut { .. } => None,
        }
    }

    fn to_value(&self) -> (&'static str, Value) {
        match self {
            Self::Scored { cost, latency_ms, risk_loss, total, approvals } => {
                let score = Value::map([
                    ("cost_micros", Value::from(*cost)),
                    ("latency_ms", Value::from(*latency_ms)),
                    ("risk_loss_micros", Value::from(*risk_loss)),
                    ("total_micros", Value::from(*total)),
                    ("approvals", Value::list(approvals.iter().map(String::as_str))),
                ]);
                ("score", score)
            }
            Self::FellOut { code, reason } => {
                let fell_out = Value::map([("code", code.as_str()), ("text", reason.as_str())]);
                ("reason", fell_out)
            }
        }
    }
}

impl Selection {
    /// The verdict on the chosen candidate.
    #[must_use]
    pub fn winner(&self) -> Option<&Verdict> {
        self.table.get(self.chosen?)
    }

    /// The form for the ledger: `{chosen?, candidates: [{plan, digest, score | reason}]}`,
    /// with `score` `{cost_micros, latency_ms, risk_loss_micros, total_micros, approvals}` and
    /// `reason` `{code, text}`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let candidates = self.table.iter().map(|verdict| {
            Value::map([
                ("plan", Value::from(verdict.candidate.as_str())),
                ("digest", Value::from(verdict.digest)),
                verdict.outcome.to_value(),
            ])
        });
        let chosen = self.winner().map(|won| ("chosen", Value::from(won.candidate.as_str())));
        Value::map(chosen.into_iter().chain([("candidates", Value::list(candidates))]))
    }
}
