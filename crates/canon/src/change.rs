//! Change control: who may change a canon, and never alone.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::Canon;
use crate::obligation::PERSON;

/// How a canon is changed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRule {
    /// How many different approvers a change needs, at least 1.
    pub approvals: u64,
    /// Who counts as an approver: `role:board`, `user:cfo`.
    pub approvers: Vec<String>,
}

/// Why a change of canon is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefusal {
    /// Not enough approvers of the named groups.
    #[error("the change has {have} of {needed} approvals by {}", of.join(" or "))]
    TooFew {
        /// How many are needed.
        needed: u64,
        /// How many counted.
        have: u64,
        /// Who counts.
        of: Vec<String>,
    },
    /// Nobody but the proposer approved.
    #[error("{proposer} proposed the change and cannot be the only one to approve it")]
    OnlyProposer {
        /// Who proposed.
        proposer: String,
    },
}

impl ChangeRule {
    /// Whether these approvers are enough for a change that `proposer` proposed, by the
    /// facts of `canon`: enough different people of the named groups, and one at least
    /// who is not the proposer.
    ///
    /// # Errors
    /// [`ChangeRefusal`] says what is missing.
    pub fn admits(
        &self,
        canon: &Canon,
        proposer: &str,
        approvers: &[&str],
    ) -> Result<(), ChangeRefusal> {
        // A role is a member of itself, and what an agent says is evidence: people approve.
        let eligible = |who: &&str| {
            who.starts_with(PERSON)
                && self.approvers.iter().any(|group| canon.is_member(who, group))
        };
        let counted: BTreeSet<&str> = approvers.iter().copied().filter(eligible).collect();
        let have = counted.len() as u64;
        if have < self.approvals {
            let of = self.approvers.clone();
            return Err(ChangeRefusal::TooFew { needed: self.approvals, have, of });
        }
        if counted.iter().all(|who| *who == proposer) {
            return Err(ChangeRefusal::OnlyProposer { proposer: proposer.to_owned() });
        }
        Ok(())
    }
}
