//! Who may end a run: whoever began it, and whom the canon names.

use serde::Deserialize;

use crate::Canon;
use crate::obligation::PERSON;

/// What a canon says of runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunRule {
    /// Who may end a run that somebody else began: `role:operations`, `user:boss`. Nobody when
    /// it is empty.
    pub cancel: Vec<String>,
}

impl Canon {
    /// Whether `who` may end a run that somebody else began: a person who stands in the facts,
    /// and is one of those that `[runs] cancel` names. Neither an agent nor a service is,
    /// whatever role it is in.
    #[must_use]
    pub fn may_cancel(&self, who: &str) -> bool {
        let groups = &self.settings().runs.cancel;
        who.starts_with(PERSON) && groups.iter().any(|group| self.is_member(who, group))
    }
}
