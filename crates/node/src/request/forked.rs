//! A run that is to go on from a place of another, as mail.

use std::collections::BTreeMap;

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::json::Map;
use cog_engine::Fork;
use cog_gate::Actor;

use super::{BadRequest, actor_of, places_of, texts, texts_of};

/// The member that tells such a request from one for a run that begins by itself.
pub(super) const FORK: &str = "fork";

/// A run that somebody wants to go on from a place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forked {
    /// Its id, chosen by who asks: there is one run of it, however often it is delivered.
    pub run: RunId,
    /// Where it goes on from.
    pub fork: Fork,
    /// The inputs that are others from there on, by name.
    pub given: BTreeMap<String, String>,
    /// Where its roots stand, absolute and without symbolic links.
    pub places: BTreeMap<String, String>,
    /// Who starts it.
    pub initiator: Actor,
}

impl Forked {
    pub(super) fn to_value(&self) -> Value {
        let Fork { session, seq, step } = &self.fork;
        let mut fork = Map::from([
            ("session".to_owned(), Value::from(*session)),
            ("seq".to_owned(), (*seq).into()),
        ]);
        fork.extend(step.as_deref().map(|step| ("step".to_owned(), step.into())));
        Value::map([
            (FORK, Value::Map(fork)),
            ("given", texts(&self.given)),
            ("places", texts(&self.places)),
            ("initiator", self.initiator.as_str().into()),
        ])
    }

    pub(super) fn read(run: RunId, value: &Value) -> Result<Self, BadRequest> {
        let bad = || BadRequest::Member(FORK);
        let fork = value.get(FORK).ok_or_else(bad)?;
        let text = |name: &str| fork.get(name).and_then(Value::as_text);
        let session = text("session").and_then(|id| id.parse().ok()).ok_or_else(bad)?;
        let seq = fork.get("seq").and_then(Value::as_u64).ok_or_else(bad)?;
        Ok(Self {
            run,
            fork: Fork { session, seq, step: text("step").map(str::to_owned) },
            given: texts_of(value, "given")?,
            places: places_of(value)?,
            initiator: actor_of(value, "initiator")?,
        })
    }
}
