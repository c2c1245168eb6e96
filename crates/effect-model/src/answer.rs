//! What a model answered, and how it becomes an output.

use cog_base::json::parse_loose;
use cog_base::{Micros, Value};
use cog_gate::Failure;
use cog_gate::effect::{ModelChat, Prices};

/// The longest text of an answer, in bytes.
pub const TEXT_BYTES_MAX: usize = 4 << 20;
/// How much of an unreadable answer is shown.
const SHOWN_CHARS: usize = 120;

/// A model's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it said.
    pub text: String,
    /// Which model it was, in its server's words.
    pub model: String,
    /// The tokens of the question.
    pub input_tokens: u64,
    /// The tokens of the answer.
    pub output_tokens: u64,
    /// Why it stopped: `stop`, `length`, …
    pub finish_reason: String,
}

impl Answer {
    /// What it costs at these prices.
    #[must_use]
    pub fn cost(&self, prices: Prices) -> Micros {
        prices.of(self.input_tokens, self.output_tokens)
    }

    /// The answer as it is recorded.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::map([
            ("text", Value::from(self.text.as_str())),
            ("model", self.model.as_str().into()),
            ("input_tokens", self.input_tokens.into()),
            ("output_tokens", self.output_tokens.into()),
            ("finish_reason", self.finish_reason.as_str().into()),
        ])
    }

    /// The output of `model.chat`. When JSON was asked for, the text is read as JSON too;
    /// numbers with a fraction become decimal text.
    ///
    /// # Errors
    /// `model.bad_json` when JSON was asked for and the text holds none. Another try may
    /// help, unless the answer is a recording.
    pub(crate) fn output(&self, chat: &ModelChat) -> Result<Value, Failure> {
        let Value::Map(mut output) = self.to_value() else { return Ok(self.to_value()) };
        if chat.json {
            output.insert("json".into(), self.json()?);
        }
        Ok(Value::Map(output))
    }

    fn json(&self) -> Result<Value, Failure> {
        let read = parse_loose(unfenced(&self.text));
        read.map(cog_base::json::Loose::lenient).map_err(|error| {
            let shown: String = self.text.chars().take(SHOWN_CHARS).collect();
            let cut = if self.finish_reason == "length" {
                "; it was cut off at `tokens_max`"
            } else {
                ""
            };
            Failure {
                code: "model.bad_json".into(),
                message: format!(
                    "the model's answer is not JSON: {error}{cut}; it begins `{shown}`"
                ),
                transient: true,
            }
        })
    }
}

/// The text without the Markdown fence that models like to put around JSON.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text.strip_prefix("```").and_then(|text| text.strip_suffix("```")) else {
        return text;
    };
    // The first line may name the language.
    match inner.split_once('\n') {
        Some((language, rest)) if language.trim().chars().all(char::is_alphanumeric) => rest,
        Some(_) | None => inner.strip_prefix("json").unwrap_or(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        Answer {
            text: text.into(),
            model: "m".into(),
            input_tokens: 10,
            output_tokens: 3,
            finish_reason: "stop".into(),
        }
    }

    fn check(text: &str, expected: &str) {
        let chat = ModelChat {
            model: "reader".into(),
            messages: Vec::new(),
            tokens_max: 1,
            temperature_milli: 0,
            json: true,
        };
        let found = answer(text).output(&chat).map_or_else(
            |failure| failure.code,
            |output| output.get("json").map(Value::to_string).unwrap_or_default(),
        );
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn json_is_read_with_and_without_a_fence() {
        check(r#"{"total": 12.50, "n": 2}"#, r#"{"n":2,"total":"12.5"}"#);
        check("  [1]\n", "[1]");
        check("```json\n{\"a\":1}\n```", r#"{"a":1}"#);
        check("```\n{\"a\":1}\n```\n", r#"{"a":1}"#);
        check("```json {\"a\":1} ```", r#"{"a":1}"#);
        check("```{\"a\":\n1}```", r#"{"a":1}"#);
        check("{\"a\":1}```", "model.bad_json");
        check("Here you are: {}", "model.bad_json");
        check(r#"{"a":1,"a":2}"#, "model.bad_json");
        check("", "model.bad_json");
    }

    #[test]
    fn an_answer_that_was_cut_off_says_so() {
        let cut = Answer { finish_reason: "length".into(), ..answer("{\"a\":") };
        let failure = cut.json().unwrap_err();
        assert!(failure.transient);
        assert!(failure.message.contains("cut off at `tokens_max`"), "{}", failure.message);
    }

    #[test]
    fn text_is_left_alone_when_text_was_asked_for() {
        let chat = ModelChat {
            model: "reader".into(),
            messages: Vec::new(),
            tokens_max: 1,
            temperature_milli: 0,
            json: false,
        };
        assert_eq!(
            answer("```json\n1\n```").output(&chat).unwrap().to_string(),
            r#"{"finish_reason":"stop","input_tokens":10,"model":"m","output_tokens":3,"text":"```json\n1\n```"}"#
        );
    }

    #[test]
    fn tokens_are_billed_and_rounded_up() {
        let prices = Prices { input: 150_000, output: 600_000 };
        assert_eq!(answer("").cost(prices), Micros::new(4));
    }
}
