//! What somebody wants of a run as a whole: it performs nothing, so no permit can be made of it.

use cog_base::id::RunId;
use cog_base::json::Map;

use crate::effect::{Effect, Footprint, Redo, Resource, Sealed};

/// What may be wanted of a run. Those who may end it may hold it and let it go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// That it ends.
    Cancel,
    /// That it is held.
    Pause,
    /// That it goes on.
    Unpause,
}

impl Wish {
    const ALL: [Self; 3] = [Self::Cancel, Self::Pause, Self::Unpause];

    /// The action in entries.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Cancel => "run.cancel",
            Self::Pause => "run.pause",
            Self::Unpause => "run.unpause",
        }
    }

    /// The wish that an action in an entry stands for; nothing for what a step wants.
    #[must_use]
    pub fn of(action: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|wish| wish.action() == action)
    }
}

/// That somebody wants something of a run. The decision about it is that of
/// [`Gate::refuse_of_run`](crate::Gate::refuse_of_run).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfRun {
    /// The run.
    pub run: RunId,
    /// What.
    pub wish: Wish,
    /// Why.
    pub reason: String,
}

impl Sealed for OfRun {}

impl Effect for OfRun {
    fn action(&self) -> &'static str {
        self.wish.action()
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
