//! Questions to a language model. The answer is evidence, never authority.

use cog_base::bounds::{MODEL_MESSAGES_MAX, MODEL_TEMPERATURE_MILLI_MAX, MODEL_TOKENS_MAX};
use cog_base::json::Map;
use cog_base::{Micros, Value};
use cog_canon::Canon;

use super::args::{Args, BadArgs};
use super::{Effect, Footprint, Prices, Redo, Resource};

/// The most tokens of an answer when nothing is said.
const TOKENS: u64 = 1_024;

/// Ask a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelChat {
    /// The model's name in canon.
    pub model: String,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// The most tokens the answer may have; with the prices of canon it bounds the cost.
    pub tokens_max: u64,
    /// The sampling temperature in thousandths.
    pub temperature_milli: u64,
    /// Whether the answer must be JSON.
    pub json: bool,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Its text.
    pub content: String,
}

impl ModelChat {
    pub(super) fn from_args(args: &Map) -> Result<Self, BadArgs> {
        let known = ["model", "messages", "tokens_max", "temperature_milli", "json"];
        let args = Args::new("model.chat", &known, args)?;
        let given = args
            .get("messages")
            .ok_or(BadArgs::Missing { action: "model.chat", name: "messages" })?;
        let wrong = || {
            let expected = "a list of at most 1000 {role: system|user|assistant, content}";
            args.wrong("messages", expected, given)
        };
        let list =
            given.as_list().filter(|list| list.len() <= MODEL_MESSAGES_MAX).ok_or_else(wrong)?;
        let messages = list.iter().map(Message::from_value).collect::<Option<_>>();
        Ok(Self {
            model: args.text("model")?,
            messages: messages.ok_or_else(wrong)?,
            tokens_max: args.number("tokens_max", TOKENS, MODEL_TOKENS_MAX)?,
            temperature_milli: args.number("temperature_milli", 0, MODEL_TEMPERATURE_MILLI_MAX)?,
            json: args.flag("json")?,
        })
    }

    /// An upper bound of the question's tokens: no tokenizer makes more than one of a byte,
    /// and a few frame each message.
    #[must_use]
    pub fn input_tokens_max(&self) -> u64 {
        let bytes = |message: &Message| message.content.len() + message.role.len() + 8;
        self.messages.iter().map(bytes).sum::<usize>() as u64 + 16
    }
}

impl Message {
    fn from_value(value: &Value) -> Option<Self> {
        let members = value.as_map().filter(|members| members.len() == 2)?;
        let role = members.get("role")?.as_text()?;
        let content = members.get("content")?.as_text()?.to_owned();
        matches!(role, "system" | "user" | "assistant")
            .then(|| Self { role: role.to_owned(), content })
    }
}

impl Effect for ModelChat {
    fn action(&self) -> &'static str {
        "model.chat"
    }
    fn resource(&self) -> Resource {
        Resource { kind: "Model", name: self.model.clone() }
    }
    fn args(&self) -> Map {
        let messages = self.messages.iter().map(|message| {
            Value::map([
                ("role", Value::from(message.role.as_str())),
                ("content", Value::from(message.content.as_str())),
            ])
        });
        Map::from([
            ("model".into(), self.model.as_str().into()),
            ("messages".into(), Value::list(messages)),
            ("tokens_max".into(), self.tokens_max.into()),
            ("temperature_milli".into(), self.temperature_milli.into()),
            ("json".into(), self.json.into()),
        ])
    }
    fn footprint(&self) -> Footprint {
        Footprint::default()
    }
    fn redo(&self) -> Redo {
        Redo::Safe
    }
    fn prices(&self, canon: &Canon) -> Option<Prices> {
        canon.settings().models.get(&self.model).map(|model| Prices {
            input: model.input_micros_per_million,
            output: model.output_micros_per_million,
        })
    }
    fn cost_max(&self, prices: Prices) -> Micros {
        prices.of(self.input_tokens_max(), self.tokens_max)
    }
}
