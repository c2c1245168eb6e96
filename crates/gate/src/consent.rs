//! A step that only asks people: it performs nothing, so no permit can be made of it.

use cog_base::Value;
use cog_base::json::Map;

use crate::decision::Need;
use crate::effect::{Effect, Footprint, Redo, Resource, Sealed};

/// Where the arguments have what those who say yes fill in.
pub const FORM: &str = "form";

/// What people are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// The step that asks.
    pub step: String,
    /// The question.
    pub message: String,
    /// Who must agree.
    pub need: Need,
    /// What those who say yes fill in, if there is anything.
    pub form: Option<Value>,
    /// How long the answer is waited for, in milliseconds.
    pub expires_ms: u64,
}

impl Consent {
    /// The action in entries.
    pub const ACTION: &'static str = "approve";
}

impl Sealed for Consent {}

impl Effect for Consent {
    fn action(&self) -> &'static str {
        Self::ACTION
    }
    fn resource(&self) -> Resource {
        Resource { kind: "Step", name: self.step.clone() }
    }
    fn args(&self) -> Map {
        let of = Value::list(self.need.of.iter().map(String::as_str));
        let mut args = Map::from([
            ("message".into(), self.message.as_str().into()),
            ("count".into(), self.need.count.into()),
            ("of".into(), of),
        ]);
        let need = self.need.to_value();
        args.extend(need.get("escalate").map(|later| ("escalate".to_owned(), later.clone())));
        args.extend(self.form.clone().map(|form| (FORM.to_owned(), form)));
        args
    }
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }
    fn redo(&self) -> Redo {
        Redo::Safe
    }
}
