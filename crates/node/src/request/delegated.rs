//! Having another person answer a request for approval, as it goes to the owner of a log.

use cog_base::Value;
use cog_base::id::{ApprovalId, RunId};
use cog_gate::Actor;

use super::{BadRequest, REASON_BYTES_MAX, actor_of, sized, text_of};

/// Who is to answer in whose place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegated {
    /// The run that waits.
    pub run: RunId,
    /// What for.
    pub approval: ApprovalId,
    /// Who would answer.
    pub who: Actor,
    /// Who is to.
    pub to: Actor,
    /// Why, if that is said.
    pub reason: Option<String>,
}

impl Delegated {
    pub(super) fn to_value(&self) -> Value {
        Value::map([
            ("approval", Value::from(self.approval)),
            ("who", self.who.as_str().into()),
            ("to", self.to.as_str().into()),
            ("reason", self.reason.as_deref().into()),
        ])
    }

    pub(super) fn read(run: RunId, value: &Value) -> Result<Self, BadRequest> {
        let approval = text_of(value, "approval")?.parse();
        let approval = approval.map_err(|_| BadRequest::Member("approval"))?;
        let reason = value.get("reason").and_then(Value::as_text).map(str::to_owned);
        let reason = reason.map(|text| sized("reason", text, (0, REASON_BYTES_MAX))).transpose()?;
        Ok(Self { run, approval, who: actor_of(value, "who")?, to: actor_of(value, "to")?, reason })
    }
}
