//! An answer that comes piece by piece: server-sent events, each a chunk of the completion, up to
//! `[DONE]` (OpenAI API reference, "Streaming"; HTML standard, section 9.2 for the events).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use cog_base::json::{Loose, parse_loose};
use cog_gate::effect::ModelChat;
use cog_gate::piece::Mouth;

use super::{billed, shown, word};
use crate::answer::{Answer, TEXT_BYTES_MAX};

/// The stream that an answer's text is said from.
pub(crate) const TEXT: &str = "text";

/// Hears an answer while it comes, and has its text said.
pub(super) struct Listener(Option<(Mouth, Mutex<Option<Heard>>)>);

impl Listener {
    /// One that has the text said by this mouth; without one it hears nothing.
    pub(super) fn new(mouth: Option<Mouth>) -> Self {
        Self(mouth.map(|mouth| (mouth, Mutex::default())))
    }

    /// Hear what is new, if it is part of a stream: a server may answer in one piece all the same.
    pub(super) fn hear(&self, status: u16, headers: &BTreeMap<String, String>, new: &[u8]) {
        let Some((mouth, heard)) = &self.0 else { return };
        let kind = headers.get("content-type").map(|kind| kind.trim().to_ascii_lowercase());
        if status == 200 && kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.get_or_insert_default().hear(new, mouth);
        }
    }

    /// What was said in all, or why that is no answer; nothing when it was no stream.
    pub(super) fn end(self) -> Option<Result<Said, String>> {
        let heard = self.0?.1.into_inner().unwrap_or_else(PoisonError::into_inner)?;
        Some(heard.said.whole())
    }
}

#[derive(Default)]
struct Heard {
    lines: Lines,
    /// The data of the event that is being read.
    data: String,
    said: Said,
}

impl Heard {
    fn hear(&mut self, new: &[u8], mouth: &Mouth) {
        let Self { lines, data, said } = self;
        lines.take(new, &mut |line| {
            if line.is_empty() {
                if let Some(text) = said.chunk(&std::mem::take(data)) {
                    mouth(TEXT, &text);
                }
            } else if let Some(more) = line.strip_prefix("data:") {
                let more = more.strip_prefix(' ').unwrap_or(more);
                // Several lines of data are one text.
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(more);
            }
        });
    }
}

/// Lines that end with CR, LF or both, whichever way they are cut into pieces.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
    /// The last byte was CR: an LF belongs to it.
    is_behind_cr: bool,
}

impl Lines {
    fn take(&mut self, new: &[u8], each: &mut dyn FnMut(&str)) {
        for byte in new {
            let was_behind_cr = std::mem::replace(&mut self.is_behind_cr, *byte == b'\r');
            match byte {
                b'\n' if was_behind_cr => {}
                b'\n' | b'\r' => {
                    each(&String::from_utf8_lossy(&self.begun));
                    self.begun.clear();
                }
                _ => self.begun.push(*byte),
            }
        }
    }
}

/// What the chunks of an answer say together.
#[derive(Default)]
pub(super) struct Said {
    text: String,
    model: Option<String>,
    finish_reason: Option<String>,
    usage: Option<Loose>,
    is_done: bool,
    /// Why nothing can be made of it.
    wrong: Option<String>,
}

impl Said {
    /// Take a chunk; what is new of the text.
    fn chunk(&mut self, data: &str) -> Option<String> {
        if data == "[DONE]" {
            self.is_done = true;
        }
        // Behind the end, and behind what is wrong, nothing counts.
        if data.is_empty() || self.is_done || self.wrong.is_some() {
            return None;
        }
        let Ok(chunk) = parse_loose(data) else {
            self.wrong = Some(format!("streamed what is no JSON: {}", shown(data)));
            return None;
        };
        if let Some(error) = chunk.get("error").filter(|error| !matches!(error, Loose::Null)) {
            let message = error.get("message").unwrap_or(error);
            let message = message.as_text().map_or_else(|| message.to_string(), str::to_owned);
            self.wrong = Some(format!("broke off: {}", shown(&message)));
            return None;
        }
        self.model = self.model.take().or_else(|| word(chunk.get("model")));
        if let Some(usage @ Loose::Map(_)) = chunk.get("usage") {
            self.usage = Some(usage.clone());
        }
        let is_first = |choice: &&Loose| {
            choice.get("index").is_none_or(|index| index.as_u64().is_some_and(|index| index == 0))
        };
        let choice = chunk.get("choices")?.as_list()?.iter().find(is_first)?;
        self.finish_reason = word(choice.get("finish_reason")).or(self.finish_reason.take());
        let new = choice.at(&["delta", "content"])?.as_text().filter(|new| !new.is_empty())?;
        if self.text.len() <= TEXT_BYTES_MAX {
            self.text.push_str(new);
        }
        (self.text.len() <= TEXT_BYTES_MAX).then(|| new.to_owned())
    }

    /// All of it, or what is wrong with it.
    fn whole(self) -> Result<Self, String> {
        match &self.wrong {
            Some(wrong) => Err(wrong.clone()),
            None if self.is_done || self.finish_reason.is_some() => Ok(self),
            None => Err("stopped in the middle of its answer".to_owned()),
        }
    }

    /// The answer that it is.
    pub(super) fn answer(self, chat: &ModelChat, model: &str) -> Result<Answer, String> {
        if self.text.is_empty() && self.finish_reason.is_none() {
            return Err("gave no choice with a text".to_owned());
        }
        let model = self.model.unwrap_or_else(|| model.to_owned());
        let finish_reason = self.finish_reason.unwrap_or_else(|| "stop".into());
        Ok(billed(chat, self.text, (model, finish_reason), self.usage.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const EVENTS: &str = "text/event-stream; charset=utf-8";

    fn chat() -> ModelChat {
        ModelChat {
            model: "reader".into(),
            messages: Vec::new(),
            tokens_max: 64,
            temperature_milli: 0,
            json: false,
        }
    }

    /// What was said of a body that comes in pieces of so many bytes, and what it comes to:
    /// `text/model/input/output/finish`, what is wrong, or nothing where it was no stream.
    fn heard((status, kind): (u16, &str), body: &str, bytes: usize) -> (String, String) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&said);
        let listener = Listener::new(Some(Arc::new(move |name: &'static str, text: &str| {
            to.lock().unwrap().push(format!("{name}:{text}"));
        })));
        let headers = BTreeMap::from([("content-type".to_owned(), kind.to_owned())]);
        for piece in body.as_bytes().chunks(bytes) {
            listener.hear(status, &headers, piece);
        }
        let end = match listener.end().map(|said| said.and_then(|it| it.answer(&chat(), "llama"))) {
            None => String::new(),
            Some(Err(wrong)) => wrong,
            Some(Ok(Answer { text, model, input_tokens, output_tokens, finish_reason })) => {
                format!("{text}/{model}/{input_tokens}/{output_tokens}/{finish_reason}")
            }
        };
        (said.lock().unwrap().join(" "), end)
    }

    fn check(body: &str, said: &str, end: &str) {
        for bytes in [1, 7, usize::MAX] {
            let found = heard((200, EVENTS), body, bytes);
            assert_eq!((found.0.as_str(), found.1.as_str()), (said, end), "{bytes} {body:?}");
        }
    }

    /// The event of a chunk that adds this text.
    fn adds(text: &str) -> String {
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":{text:?}}},\"index\":0}}]}}\n\n")
    }

    const STOP: &str =
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\",\"index\":0}]}\n\n";
    const USED: &str = "data: {\"choices\":[],\"model\":\"late\",\
        \"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    #[test]
    fn an_answer_is_said_as_it_comes_and_is_the_same_as_a_whole() {
        let role = "data: {\"model\":\"llama-3\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\
            \"content\":\"\"},\"finish_reason\":null,\"index\":0}],\"usage\":null}\n\n";
        let whole = [role, &adds("Grü"), &adds("ße 😀"), STOP, USED, DONE].concat();
        check(&whole, "text:Grü text:ße 😀", "Grüße 😀/llama-3/12/5/stop");
        check(&whole.replace('\n', "\r\n"), "text:Grü text:ße 😀", "Grüße 😀/llama-3/12/5/stop");
        check(&whole.replace('\n', "\r"), "text:Grü text:ße 😀", "Grüße 😀/llama-3/12/5/stop");
        // Comments and other fields are none of our business, and a space may be missing.
        let other =
            format!(": ping\nevent: chunk\nid: 7\n\n{}", adds("hi").replace("data: ", "data:"));
        let bound = chat().input_tokens_max();
        check(&(other + STOP), "text:hi", &format!("hi/llama/{bound}/2/stop"));
        check(
            &["data: {\"choices\":\ndata: []}\n\n", &adds("a"), DONE].concat(),
            "text:a",
            &format!("a/llama/{bound}/1/stop"),
        );
        // Another choice than the first is nobody's answer.
        let second = adds("b").replace("\"index\":0", "\"index\":1");
        check(&[&second, &adds("a"), DONE].concat(), "text:a", &format!("a/llama/{bound}/1/stop"));
        check(&[STOP, DONE].concat(), "", &format!("/llama/{bound}/1/stop"));
        check(&[DONE, &adds("late")].concat(), "", "gave no choice with a text");
    }

    #[test]
    fn what_is_no_whole_answer_is_none() {
        let cut = "stopped in the middle of its answer";
        check(&adds("half"), "text:half", cut);
        check("data: {\"choices\":[]}", "", cut);
        let error = "data: {\"error\":{\"message\":\"out of\\nmemory\"}}\n\n";
        check(
            &[&adds("a"), error, &adds("b"), DONE].concat(),
            "text:a",
            "broke off: out of memory",
        );
        check("data: {\"error\":\"no\"}\n\n", "", "broke off: no");
        check("data: {\n\n", "", "streamed what is no JSON: {");
    }

    #[test]
    fn more_text_than_an_answer_has_is_not_said() {
        let half = adds(&"x".repeat(TEXT_BYTES_MAX / 2 + 1));
        let (said, end) = heard((200, EVENTS), &[&half, &half, &half, DONE].concat(), 1 << 16);
        assert_eq!(said.len(), "text:".len() + TEXT_BYTES_MAX / 2 + 1);
        assert!(end.split('/').next().is_some_and(|text| text.len() > TEXT_BYTES_MAX));
    }

    #[test]
    fn what_is_no_stream_is_not_heard() {
        for of in [(200, "application/json"), (500, EVENTS), (204, ""), (200, "")] {
            assert_eq!(heard(of, &[&adds("a"), DONE].concat(), 64), Default::default(), "{of:?}");
        }
    }
}
