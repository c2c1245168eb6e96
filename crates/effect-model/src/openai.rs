//! Any server that speaks the OpenAI chat-completions protocol.

mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::Value;
use cog_base::id::ReceiptId;
use cog_base::json::{Integer, Loose, Members, parse_loose};
use cog_effect_http::{BadEndpoint, Client, Exchange, Reply, Trouble, endpoint};
use cog_gate::Failure;
use cog_gate::effect::ModelChat;
use cog_gate::piece::Mouth;

use self::stream::Listener;
pub(crate) use self::stream::TEXT;
use crate::answer::{Answer, TEXT_BYTES_MAX};
use crate::secret::Secret;

/// Where OpenAI itself answers.
pub const OPENAI_URL: &str = "https://api.openai.com/v1";
/// The variable of the environment that holds the key for it.
pub const OPENAI_KEY: &str = "OPENAI_API_KEY";

/// The longest a model may take to answer, in milliseconds.
const TIMEOUT_MS: u64 = 300_000;
/// The largest answer that is read, in bytes: the text as JSON and room for the rest.
const BYTES_MAX: u64 = 16 << 20;
/// The same of an answer that is streamed: each token comes in an object of its own.
const STREAM_BYTES_MAX: u64 = 128 << 20;
/// What a server may send that is asked to stream: one that cannot answers as it can.
const STREAMED: &str = "text/event-stream, application/json";
/// How much of a server's complaint is shown.
const SHOWN_CHARS: usize = 300;

/// A model behind an OpenAI-compatible server.
#[derive(Debug)]
pub struct OpenAi {
    base_url: String,
    model: String,
    api_key: Option<Secret>,
    http: Arc<Client>,
}

/// Whether OpenAI itself answers at this URL, and so gets the key that is for it alone.
#[must_use]
pub fn is_openai(base_url: &str) -> bool {
    base_url.starts_with("https://api.openai.com/")
}

/// A question without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unanswered {
    pub(crate) failure: Failure,
    /// Whether it may be on the bill all the same.
    pub(crate) billed: bool,
}

impl OpenAi {
    /// The model that the server at `base_url` (such as `http://localhost:11434/v1`) calls
    /// `model`. Requests go to that host and port only, which may be private, as the
    /// operator named them.
    ///
    /// # Errors
    /// [`BadEndpoint`] when `base_url` is not an http or https URL.
    pub fn new(base_url: &str, model: &str, api_key: Option<Secret>) -> Result<Self, BadEndpoint> {
        let http = Arc::new(Client::new(endpoint(base_url)?));
        Ok(Self::with_client(base_url, model, api_key, http))
    }

    /// The same over a client with a policy of its own.
    #[must_use]
    pub fn with_client(
        base_url: &str,
        model: &str,
        api_key: Option<Secret>,
        http: Arc<Client>,
    ) -> Self {
        let base_url = base_url.trim_end_matches('/').to_owned();
        Self { base_url, model: model.to_owned(), api_key, http }
    }

    /// Ask. The receipt is the idempotency key. Where there is a mouth, the answer is streamed, and the
    /// mouth says its text while it comes.
    pub(crate) async fn ask(
        &self,
        chat: &ModelChat,
        receipt: ReceiptId,
        mouth: Option<Mouth>,
    ) -> Result<Answer, Unanswered> {
        if is_openai(&self.base_url) && self.api_key.is_none() {
            let message = format!("{} wants a key: export {OPENAI_KEY}=…", self.place());
            let failure = failure("model.no_key", message, false);
            return Err(Unanswered { failure, billed: false });
        }
        // The list of this client is the one place where the canon says the model is.
        let within_list = |_: &str, _: &str, _| Ok(());
        let exchange = self.exchange(chat, receipt, mouth.is_some());
        let listener = Listener::new(mouth);
        let hears = |status, headers: &BTreeMap<String, String>, new: &[u8]| {
            listener.hear(status, headers, new);
        };
        match self.http.exchange_heard(&exchange, &within_list, &hears).await {
            Ok(reply) => self.read(chat, &reply, listener),
            Err(Trouble::Failed(failure)) => Err(unreachable(failure, false)),
            // A question changes nothing in the world: one whose answer was lost may be
            // asked again, whatever the protocol's method. It may be on the bill, though.
            Err(Trouble::Unknown(failure)) => Err(unreachable(failure, true)),
        }
    }

    fn exchange(&self, chat: &ModelChat, receipt: ReceiptId, streams: bool) -> Exchange {
        let accept = if streams { STREAMED } else { "application/json" };
        let mut headers = BTreeMap::from([
            ("content-type".to_owned(), "application/json".to_owned()),
            ("accept".to_owned(), accept.to_owned()),
        ]);
        if let Some(key) = &self.api_key {
            headers.insert("authorization".into(), format!("Bearer {}", key.reveal()));
        }
        Exchange {
            method: "POST".into(),
            url: format!("{}/chat/completions", self.base_url),
            headers,
            body: Some(self.body(chat, streams).canonical()),
            idempotency_key: receipt.to_string(),
            timeout_ms: TIMEOUT_MS,
            bytes_max: if streams { STREAM_BYTES_MAX } else { BYTES_MAX },
        }
    }

    fn body(&self, chat: &ModelChat, streams: bool) -> Loose {
        let messages = chat.messages.iter().map(|message| {
            Loose::map([
                ("role", Loose::from(message.role.as_str())),
                ("content", message.content.as_str().into()),
            ])
        });
        // OpenAI renamed the bound; the servers that follow its protocol did not.
        let bound = if is_openai(&self.base_url) { "max_completion_tokens" } else { "max_tokens" };
        let temperature = f64::from(u32::try_from(chat.temperature_milli).unwrap_or(0)) / 1_000.0;
        let mut body = Members::from([
            ("model".to_owned(), Loose::from(self.model.as_str())),
            ("messages".to_owned(), Loose::list(messages)),
            (bound.to_owned(), chat.tokens_max.into()),
            ("temperature".to_owned(), Loose::Float(temperature)),
            ("stream".to_owned(), streams.into()),
        ]);
        if streams {
            // Otherwise a stream does not say what it used.
            let options = Loose::map([("include_usage", true)]);
            body.insert("stream_options".into(), options);
        }
        if chat.json {
            let format = Loose::map([("type", Loose::from("json_object"))]);
            body.insert("response_format".into(), format);
        }
        Loose::Map(body)
    }

    fn read(
        &self,
        chat: &ModelChat,
        reply: &Reply,
        listener: Listener,
    ) -> Result<Answer, Unanswered> {
        let bytes = reply.body.as_ref().map_err(|lost| {
            if (300..400).contains(&reply.status) {
                return unreachable(lost.clone(), false);
            }
            let failure = failure("model.bad_answer", lost.message.clone(), lost.transient);
            Unanswered { failure, billed: true }
        })?;
        let text = String::from_utf8_lossy(bytes);
        if !(200..300).contains(&reply.status) {
            return Err(Unanswered { failure: self.refused(reply.status, &text), billed: false });
        }
        let bad = |message: String| {
            let message = format!("{} {message}", self.place());
            Unanswered { failure: failure("model.bad_answer", message, true), billed: true }
        };
        let answer = match listener.end() {
            Some(said) => said.and_then(|said| said.answer(chat, &self.model)).map_err(bad)?,
            None => parse_loose(&text)
                .ok()
                .and_then(|value| answer(chat, &self.model, &value))
                .ok_or_else(|| bad(format!("gave no choice with a text: {}", shown(&text))))?,
        };
        if answer.text.len() > TEXT_BYTES_MAX {
            let message = format!("{} gave more than {TEXT_BYTES_MAX} bytes", self.place());
            let failure = failure("model.bad_answer", message, false);
            return Err(Unanswered { failure, billed: true });
        }
        Ok(answer)
    }

    fn refused(&self, status: u16, text: &str) -> Failure {
        let (code, transient) = match status {
            401 | 403 => ("model.unauthorised", false),
            404 => ("model.not_found", false),
            408 | 409 | 425 | 429 | 500..=599 => ("model.overloaded", true),
            _ => ("model.refused", false),
        };
        let complaint = parse_loose(text).ok();
        let complaint = complaint
            .as_ref()
            .and_then(|value| value.at(&["error", "message"]).or(value.get("error")))
            .and_then(Loose::as_text)
            .unwrap_or(text);
        let message = format!("{} answered {status}: {}", self.place(), shown(complaint));
        failure(code, message, transient)
    }

    /// What is recorded of who answered: where it was asked, and for which model.
    pub(crate) fn served(&self) -> Value {
        Value::map([
            ("provider", Value::from("openai")),
            ("base_url", self.base_url.as_str().into()),
            ("model", self.model.as_str().into()),
        ])
    }

    fn place(&self) -> String {
        format!("the model `{}` at `{}`", self.model, self.base_url)
    }
}

/// The first choice of a chat completion. A server that does not count tokens, or counts none
/// or fewer, is billed at the upper bound: no tokenizer makes more than one token of a byte.
fn answer(chat: &ModelChat, model: &str, value: &Loose) -> Option<Answer> {
    let choice = value.get("choices")?.as_list()?.first()?;
    let text = choice.at(&["message", "content"])?.as_text()?.to_owned();
    let model = word(value.get("model")).unwrap_or_else(|| model.to_owned());
    let finish_reason = word(choice.get("finish_reason")).unwrap_or_else(|| "stop".into());
    Some(billed(chat, text, (model, finish_reason), value.get("usage")))
}

fn word(value: Option<&Loose>) -> Option<String> {
    value.and_then(Loose::as_text).map(str::to_owned)
}

/// This text as an answer, with what its server says that it used.
fn billed(
    chat: &ModelChat,
    text: String,
    (model, finish_reason): (String, String),
    usage: Option<&Loose>,
) -> Answer {
    let tokens = |name| usage.and_then(|usage| usage.get(name)).and_then(count);
    Answer {
        model,
        input_tokens: tokens("prompt_tokens").unwrap_or_else(|| chat.input_tokens_max()),
        output_tokens: tokens("completion_tokens")
            .unwrap_or_else(|| (text.len() as u64).min(chat.tokens_max).max(1)),
        finish_reason,
        text,
    }
}

/// A count of tokens. One beyond 53 bits is as good as the largest: neither can be.
fn count(value: &Loose) -> Option<u64> {
    let largest = Integer::MAX.unsigned_abs();
    match value {
        Loose::Int(_) => value.as_u64().filter(|count| *count > 0),
        Loose::Float(float) => (*float > 9e15).then_some(largest),
        Loose::Null | Loose::Bool(_) | Loose::Text(_) | Loose::List(_) | Loose::Map(_) => None,
    }
}

fn unreachable(failure: Failure, billed: bool) -> Unanswered {
    let code = if failure.code == "http.timeout" { "model.timeout" } else { "model.unreachable" };
    Unanswered { failure: Failure { code: code.into(), ..failure }, billed }
}

fn failure(code: &str, message: String, transient: bool) -> Failure {
    Failure { code: code.into(), message, transient }
}

fn shown(text: &str) -> String {
    let text = text.trim();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests;
