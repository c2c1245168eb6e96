//! A run that a schedule is to start because somebody asks for it, as mail.

use cog_base::id::RunId;
use cog_base::{Timestamp, Value};
use cog_gate::Actor;
use cog_ledger::entry::NAME_BYTES_MAX;

use super::{BadRequest, actor_of, sized, text_of, time_of};

/// The member that tells such a request from one for a run that no schedule starts.
pub(super) const FIRE: &str = "fire";

/// A run that somebody has a schedule start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fire {
    /// Its id, chosen by who asks: there is one run of it, however often it is delivered.
    pub run: RunId,
    /// The schedule.
    pub schedule: String,
    /// The time of the schedule that it is for, of which no run was started; nothing for a run now.
    pub at: Option<Timestamp>,
    /// Whether it may run beside others of the schedule, whatever that says.
    pub beside: bool,
    /// Who asks.
    pub who: Actor,
}

impl Fire {
    /// Whether another run is asked for by it for the same time.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        (&self.schedule, self.at) == (&other.schedule, other.at) && self.run != other.run
    }

    pub(super) fn to_value(&self) -> Value {
        let at = self.at.map(|at| ("at", at.into()));
        let members = [
            (FIRE, Value::from(self.schedule.as_str())),
            ("beside", self.beside.into()),
            ("who", self.who.as_str().into()),
        ];
        Value::map(members.into_iter().chain(at))
    }

    pub(super) fn read(run: RunId, value: &Value) -> Result<Self, BadRequest> {
        let schedule = sized(FIRE, text_of(value, FIRE)?, (1, NAME_BYTES_MAX))?;
        let beside = value.get("beside").and_then(Value::as_bool);
        Ok(Self {
            run,
            schedule,
            at: time_of(value, "at")?,
            beside: beside.ok_or(BadRequest::Member("beside"))?,
            who: actor_of(value, "who")?,
        })
    }
}
