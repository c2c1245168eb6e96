//! What may be supposed of the canon beyond what it says, to see what would be decided then.

use std::collections::BTreeSet;

use cog_canon::Settings;

/// What is supposed. A decision that is recorded supposes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Supposed {
    /// These settings, in place of those of the canon.
    pub(crate) settings: Option<Box<Settings>>,
    /// That the canon knows who asks.
    pub(crate) knows: bool,
    /// That who asks, if a person, began the run.
    pub(crate) began: bool,
    /// That there are enough people who could agree.
    pub(crate) answerable: bool,
    /// That a policy permits it and asks for nothing.
    pub(crate) permits: bool,
    /// Limits of policies that leave room: the policy, and the limit in words.
    pub(crate) raised: BTreeSet<(String, String)>,
}
