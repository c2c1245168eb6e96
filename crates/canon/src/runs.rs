//! Who may end a run: whoever began it, and whom the canon names. And who may have runs begun at
//! times: whom it knows, or names.

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
    /// Who may set a new schedule, if not whoever stands in the facts.
    pub schedule: Option<Vec<String>>,
    /// Who may activate a version of a workflow, if not whoever stands in the facts.
    pub activate: Option<Vec<String>>,
    /// Who may be let answer a request in the place of somebody who may, beside those who may anyway.
    /// Nobody is where it says nothing.
    pub delegate: Option<Vec<String>>,
}

impl RunRule {
    /// Who is named, and what for.
    pub(crate) fn entitled(&self) -> [(&[String], &'static str); 4] {
        let schedule = self.schedule.as_deref().unwrap_or_default();
        let activate = self.activate.as_deref().unwrap_or_default();
        let delegate = self.delegate.as_deref().unwrap_or_default();
        [
            (&self.cancel, "end a run"),
            (schedule, "set a schedule"),
            (activate, "activate a workflow"),
            (delegate, "answer for somebody"),
        ]
    }
}

impl Canon {
    /// Whether `who` may end a run that somebody else began: a person who stands in the facts,
    /// and is one of those that `[runs] cancel` names. Neither an agent nor a service is,
    /// whatever role it is in.
    #[must_use]
    pub fn may_cancel(&self, who: &str) -> bool {
        let groups = &self.settings().runs.cancel;
        self.is_person_of(who, groups)
    }

    /// Whether `who` may set a schedule that is not there: one of those that `[runs] schedule`
    /// names, and a person; or, where it names nobody, whoever stands in the facts.
    #[must_use]
    pub fn may_schedule(&self, who: &str) -> bool {
        let groups = self.settings().runs.schedule.as_deref();
        groups.map_or_else(|| self.knows(who), |groups| self.is_person_of(who, groups))
    }

    /// Whether `who` may activate a version of a workflow: one of those that `[runs] activate` names,
    /// and a person; or, where it names nobody, whoever stands in the facts.
    #[must_use]
    pub fn may_activate(&self, who: &str) -> bool {
        let groups = self.settings().runs.activate.as_deref();
        groups.map_or_else(|| self.knows(who), |groups| self.is_person_of(who, groups))
    }

    /// Whether `who` may be let answer in the place of somebody of these groups: a person who is of them,
    /// or one of those that `[runs] delegate` names. Nobody may where it says nothing.
    #[must_use]
    pub fn may_stand_in(&self, who: &str, of: &[String]) -> bool {
        let named = self.settings().runs.delegate.as_deref();
        named.is_some_and(|named| self.is_person_of(who, named) || self.is_person_of(who, of))
    }

    fn is_person_of(&self, who: &str, groups: &[String]) -> bool {
        who.starts_with(PERSON) && groups.iter().any(|group| self.is_member(who, group))
    }
}
