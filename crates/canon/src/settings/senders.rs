//! `[sources]`: which completions of sessions that ran elsewhere are looked at, and whose heads
//! prove them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::data::{Mark, Wrong};

/// A source of completions: whoever sets this `source` in its events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sender {
    /// The verifier keys whose signed heads prove what it says. A proof under another key is
    /// refused.
    pub keys: BTreeSet<String>,
    /// The class of what it says.
    pub class: Option<String>,
}

/// What the types do not catch.
pub(super) fn check(senders: &BTreeMap<String, Sender>) -> Result<(), Wrong> {
    if senders.contains_key("") {
        let hint = "name the `source` of its events, such as \"/core-engine/workflows\"";
        return Err(("[sources".into(), "a source has an empty name".into(), hint.into()));
    }
    let is_key = |key: &str| key.splitn(3, '+').filter(|part| !part.is_empty()).count() == 3;
    let stray = |(name, sender): (&String, &Sender)| {
        let key = sender.keys.iter().find(|key| !is_key(key))?;
        Some((name.clone(), key.clone()))
    };
    let Some((name, key)) = senders.iter().find_map(stray) else { return Ok(()) };
    let what = format!("`{key}`, which is to prove what `{name}` says, is no verifier key");
    let hint = "write what `cognitionos ledger key` prints there: name+1a2b3c4d+AbCd…";
    Err((key, what, hint.into()))
}

/// What sources are marked with.
pub(super) fn marks(
    senders: &BTreeMap<String, Sender>,
) -> impl Iterator<Item = ((&'static str, String), Mark)> {
    senders.iter().map(|(name, sender)| {
        (("Source", name.clone()), Mark { class: sender.class.clone(), class_max: None })
    })
}
