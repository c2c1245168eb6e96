//! What is chosen from: candidate plans and the estimates of their steps.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use cog_base::{Digest, Micros};

/// A candidate course of action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The name of the plan in the workflow.
    pub id: String,
    /// The digest of the plan; it breaks ties.
    pub digest: Digest,
    /// The steps, in any order.
    pub steps: Vec<StepEstimate>,
}

/// One intended effect of a plan, and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepEstimate {
    /// The name of the step, unique in its plan.
    pub id: String,
    /// The action, such as `file.write`.
    pub action: String,
    /// The keys it writes, such as `file:payments/acme.json`, as the gate counts them: what it
    /// only reads uses nothing of the envelope. Empty when the arguments are not yet known.
    pub writes: BTreeSet<String>,
    /// What the canon says about the intent.
    pub admissible: Admissible,
    /// Expected cost.
    pub cost: Micros,
    /// Expected duration in milliseconds.
    pub latency_ms: u64,
    /// The risk class of the effect.
    pub risk: Risk,
    /// Money that the effect moves, in minor units of its currency.
    pub amount_minor: u64,
    /// The steps of the same plan that must end before this one begins.
    pub needs: Vec<String>,
}

/// What the gate says about an intent before the plan is taken, with the leases in force:
/// where another effect holds what it touches and the canon does not let it wait, it is a no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admissible {
    /// The intent would be allowed now.
    Yes,
    /// The intent would be allowed once somebody approves. The plan stays in the running.
    NeedsApproval {
        /// Who has to approve, such as `1 of role:finance`.
        by: String,
    },
    /// The intent would be refused. The plan falls out.
    No {
        /// The reason code of the refusal.
        code: String,
        /// The reason in words.
        reason: String,
    },
    /// The arguments depend on the output of an earlier step of the plan, so that only the
    /// gate can tell, when the step is reached. The plan stays in the running.
    NotYetKnown,
}

/// How much harm an effect can do. The canon puts an expected loss on each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Risk {
    /// Easily undone.
    Low,
    /// Undone with effort.
    Medium,
    /// Costly to undo.
    High,
    /// Cannot be undone.
    Critical,
}

/// A word that is not a risk class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a risk class; expected low, medium, high or critical")]
pub struct UnknownRisk(String);

impl Risk {
    /// All classes, from the least to the most harm.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word in workflows, canons and the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Risk {
    type Err = UnknownRisk;

    fn from_str(word: &str) -> Result<Self, UnknownRisk> {
        let known = Self::ALL.into_iter().find(|risk| risk.as_str() == word);
        known.ok_or_else(|| UnknownRisk(word.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_risk_class_is_read_as_it_is_written() {
        for risk in Risk::ALL {
            assert_eq!(risk.to_string().parse(), Ok(risk));
        }
        assert_eq!("HIGH".parse::<Risk>(), Err(UnknownRisk("HIGH".to_owned())));
    }

    #[test]
    fn risk_classes_are_ordered_by_harm() {
        assert!(Risk::ALL.is_sorted());
    }
}
