//! What makes two questions the same.

use cog_base::{Digest, Value};
use cog_gate::Effect as _;
use cog_gate::effect::ModelChat;

/// The key under which an answer is recorded: the digest of the messages, the temperature
/// and whether JSON is wanted. The model's name and the bound on tokens stay out, so that a
/// recording serves under any name and budget.
#[must_use]
pub fn request_key(chat: &ModelChat) -> Digest {
    let mut args = chat.args();
    for other in ["model", "tokens_max"] {
        args.remove(other);
    }
    Digest::in_context("cognitionos/model-request/v1", &Value::Map(args).canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cog_gate::effect::Message;

    fn chat(content: &str) -> ModelChat {
        ModelChat {
            model: "reader".into(),
            messages: vec![Message { role: "user".into(), content: content.into() }],
            tokens_max: 100,
            temperature_milli: 0,
            json: false,
        }
    }

    #[test]
    fn the_key_is_pinned() {
        // sha256 of `cognitionos/model-request/v1`, a line feed, and
        // {"json":false,"messages":[{"content":"hello","role":"user"}],"temperature_milli":0}
        let pinned = "sha256:82f2fff324ef5fc0e8a9279a9e87d4ac4eac003c87c2ebb895e1726cf907f403";
        assert_eq!(request_key(&chat("hello")).to_string(), pinned);
    }

    #[test]
    fn the_question_makes_the_key_and_its_name_and_bound_do_not() {
        let key = request_key(&chat("hello"));
        let change = |change: fn(&mut ModelChat)| {
            let mut chat = chat("hello");
            change(&mut chat);
            request_key(&chat)
        };
        assert_eq!(change(|chat| chat.model = "other".into()), key);
        assert_eq!(change(|chat| chat.tokens_max = 7), key);
        assert_ne!(change(|chat| chat.temperature_milli = 1), key);
        assert_ne!(change(|chat| chat.json = true), key);
        assert_ne!(request_key(&chat("hello ")), key);
        assert_ne!(
            change(|chat| {
                for message in &mut chat.messages {
                    message.role = "system".into();
                }
            }),
            key
        );
    }
}
