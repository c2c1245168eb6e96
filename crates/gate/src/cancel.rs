//! Ending a run from outside: it performs nothing, so no permit can be made of it.

use cog_base::id::RunId;
use cog_base::json::Map;

use crate::effect::{Effect, Footprint, Redo, Resource, Sealed};

/// That somebody wants a run to end. The decision about it is that of
/// [`Gate::refuse_cancel`](crate::Gate::refuse_cancel).
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
