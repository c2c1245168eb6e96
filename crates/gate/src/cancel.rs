//! Ending and holding a run from outside: it performs nothing, so no permit can be made of it.

use cog_base::id::RunId;
use cog_base::json::Map;

use crate::effect::{Effect, Footprint, Redo, Resource, Sealed};

/// What somebody wants of a run as a whole. The decision about it is that of
/// [`Gate::refuse_of_run`](crate::Gate::refuse_of_run).
pub trait OfRun: Effect {}

/// That somebody wants a run to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// The run.
    pub run: RunId,
    /// Why.
    pub reason: String,
}

impl Cancel {
    /// The action in entries.
    pub const ACTION: &'static str = "run.cancel";
}

impl Sealed for Cancel {}
impl OfRun for Cancel {}

impl Effect for Cancel {
    fn action(&self) -> &'static str {
        Self::ACTION
    }
    fn resource(&self) -> Resource {
        Resource { kind: "Run", name: self.run.to_string() }
    }
    fn args(&self) -> Map {
        Map::from([("reason".into(), self.reason.as_str().into())])
    }
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }
    fn redo(&self) -> Redo {
        Redo::Safe
    }
}

/// That somebody wants a run to be held, or to go on. Those may who may end it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The run.
    pub run: RunId,
    /// Whether it is to be held, and not to go on.
    pub pauses: bool,
    /// Why.
    pub reason: String,
}

impl Hold {
    /// The action in entries of whoever wants a run to be held.
    pub const PAUSE: &'static str = "run.pause";
    /// The action in entries of whoever wants it to go on.
    pub const UNPAUSE: &'static str = "run.unpause";
}

impl Sealed for Hold {}
impl OfRun for Hold {}

impl Effect for Hold {
    fn action(&self) -> &'static str {
        if self.pauses { Self::PAUSE } else { Self::UNPAUSE }
    }
    fn resource(&self) -> Resource {
        Resource { kind: "Run", name: self.run.to_string() }
    }
    fn args(&self) -> Map {
        Map::from([("reason".into(), self.reason.as_str().into())])
    }
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }
    fn redo(&self) -> Redo {
        Redo::Safe
    }
}

/// Whether an action is about a run as a whole, and nothing that a step of it wants.
#[must_use]
pub fn is_of_run(action: &str) -> bool {
    [Cancel::ACTION, Hold::PAUSE, Hold::UNPAUSE].contains(&action)
}
