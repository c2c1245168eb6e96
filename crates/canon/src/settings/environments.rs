//! `[environments]`: where a canon governs, and where effects are real.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::data::Wrong;

/// The environments of a domain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environments {
    /// Those that the canon governs. In any other everything is refused.
    pub allow: BTreeSet<String>,
    /// Those of them that are production: effects there are the real ones.
    #[serde(default)]
    pub production: BTreeSet<String>,
    /// Whether in production, too, recordings and servers that somebody names may answer for models.
    #[serde(default)]
    pub stand_ins: bool,
}

impl Environments {
    /// Whether the canon says which environments are production.
    #[must_use]
    pub fn tells_production(&self) -> bool {
        !self.production.is_empty()
    }

    /// Whether effects in this environment are real ones, as the canon has it.
    #[must_use]
    pub fn is_production(&self, name: &str) -> bool {
        self.production.contains(name)
    }

    /// Whether nothing but the model that the canon names may answer there.
    #[must_use]
    pub fn bars_stand_ins(&self, name: &str) -> bool {
        self.is_production(name) && !self.stand_ins
    }

    /// What the types do not catch.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.allow.is_empty() {
            let hint = "name those it governs, such as [\"production\"], or leave the table out";
            let what = "`environments.allow` is empty";
            return Err(("[environments]".into(), what.into(), hint.into()));
        }
        if let Some(other) = self.production.iter().find(|name| !self.allow.contains(*name)) {
            let what = format!("`{other}` is production and not an environment of the canon");
            let hint = format!("name it in `environments.allow`, too: \"{other}\"");
            return Err((other.clone(), what, hint));
        }
        if self.stand_ins && !self.tells_production() {
            let what = "`environments.stand_ins` is for production, and there is none";
            let hint = "name it, such as production = [\"production\"], or leave it out";
            return Err(("stand_ins".into(), what.into(), hint.into()));
        }
        Ok(())
    }
}
