//! The adapter of `model.chat`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use cog_base::id::{ReceiptId, RunId};
use cog_base::{Digest, Micros, Value};
use cog_gate::effect::ModelChat;
use cog_gate::piece::Mouth;
use cog_gate::{Adapter, Cleared, Effect as _, Failure, Found, Performed, Work};

use crate::answer::Answer;
use crate::bill::Bill;
use crate::cassette::Cassette;
use crate::key::request_key;
use crate::openai::{OpenAi, TEXT, Unanswered};

/// What answers for a model.
#[derive(Debug, Clone)]
pub enum Provider {
    /// Recorded answers.
    Cassette(Arc<Cassette>),
    /// A server.
    OpenAi(Arc<OpenAi>),
}

impl Provider {
    /// What is recorded of who answered a question.
    fn served(&self, chat: &ModelChat) -> Value {
        match self {
            Self::Cassette(cassette) => cassette.served(&request_key(chat)),
            Self::OpenAi(server) => server.served(),
        }
    }
}

/// Takes what live models answered, one cassette line at a time. It reports its own
/// troubles: an answer that was paid for is not lost because it could not be recorded.
pub trait Recorder: Send + Sync {
    /// Keep this line, which ends with a line break.
    fn record(&self, line: &str);
}

/// Asks the models that canon names.
pub struct ModelAdapter {
    providers: BTreeMap<String, Provider>,
    recording: Option<Recording>,
}

struct Recording {
    sink: Arc<dyn Recorder>,
    /// A question is recorded once, so that the cassette stays readable.
    known: Mutex<BTreeSet<Digest>>,
}

impl std::fmt::Debug for ModelAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelAdapter").field("providers", &self.providers).finish_non_exhaustive()
    }
}

impl ModelAdapter {
    /// An adapter for these models, by their names in canon.
    #[must_use]
    pub fn new(providers: BTreeMap<String, Provider>) -> Self {
        Self { providers, recording: None }
    }

    /// The same, with the answers of servers recorded, but for the questions in `known`.
    #[must_use]
    pub fn recording(self, sink: Arc<dyn Recorder>, known: BTreeSet<Digest>) -> Self {
        Self { recording: Some(Recording { sink, known: Mutex::new(known) }), ..self }
    }

    async fn chat(&self, cleared: Cleared<ModelChat>) -> Performed<ModelChat> {
        let (chat, receipt) = (cleared.effect(), cleared.idempotency_key());
        let asked = self.ask(chat, receipt, cleared.mouth()).await;
        let answer = match asked {
            Ok(answer) => answer,
            Err(Unanswered { failure, billed: false }) => {
                return cleared.failed(failure, Micros::ZERO);
            }
            Err(Unanswered { failure, billed: true }) => {
                let cost = cleared.effect().cost_max(cleared.prices());
                return cleared.failed(failure, cost);
            }
        };
        let bill = Bill::of(cleared.effect(), &answer, cleared.prices());
        match self.output(cleared.effect(), &answer) {
            Ok(output) => cleared.done(bill.noted(output), bill.booked),
            // The answer is useless and was paid for.
            Err(failure) => cleared.failed(bill.told(failure), bill.booked),
        }
    }

    async fn ask(
        &self,
        chat: &ModelChat,
        receipt: ReceiptId,
        mouth: Option<Mouth>,
    ) -> Result<Answer, Unanswered> {
        match self.providers.get(&chat.model) {
            Some(Provider::Cassette(cassette)) => {
                let answer = recorded(cassette, chat)?;
                if let Some(mouth) = mouth {
                    mouth(TEXT, &answer.text);
                }
                Ok(answer)
            }
            Some(Provider::OpenAi(server)) => {
                let answer = server.ask(chat, receipt, mouth).await?;
                self.record(chat, &answer);
                Ok(answer)
            }
            None => {
                let known: Vec<&str> = self.providers.keys().map(String::as_str).collect();
                let (model, known) = (&chat.model, known.join(", "));
                Err(lasting(
                    "model.unknown",
                    format!("no provider answers for the model `{model}`; there are: {known}"),
                ))
            }
        }
    }

    fn output(&self, chat: &ModelChat, answer: &Answer) -> Result<Value, Failure> {
        let provider = self.providers.get(&chat.model);
        let recorded = matches!(provider, Some(Provider::Cassette(_)));
        // A recording says the same each time.
        let mut output = answer
            .output(chat)
            .map_err(|failure| Failure { transient: failure.transient && !recorded, ..failure })?;
        if let (Value::Map(output), Some(provider)) = (&mut output, provider) {
            output.insert("served_by".into(), provider.served(chat));
        }
        Ok(output)
    }

    fn record(&self, chat: &ModelChat, answer: &Answer) {
        let Some(recording) = &self.recording else { return };
        let key = request_key(chat);
        let fresh = recording.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        if fresh {
            recording.sink.record(&Cassette::line(key, answer, &chat.model));
        }
    }
}

impl Adapter<ModelChat> for ModelAdapter {
    fn perform(&self, cleared: Cleared<ModelChat>) -> Work<'_, Performed<ModelChat>> {
        Box::pin(self.chat(cleared))
    }

    /// Asking again changes nothing, so a lost answer counts as not given.
    fn probe<'a>(
        &'a self,
        _effect: &'a ModelChat,
        _session: RunId,
        _receipt: ReceiptId,
    ) -> Work<'a, Found> {
        Box::pin(std::future::ready(Found::NotDone))
    }
}

fn recorded(cassette: &Cassette, chat: &ModelChat) -> Result<Answer, Unanswered> {
    let key = request_key(chat);
    cassette
        .answer(&key)
        .cloned()
        .ok_or_else(|| lasting("model.not_recorded", cassette.no_answer(&chat.model, &key)))
}

fn lasting(code: &str, message: String) -> Unanswered {
    let failure = Failure { code: code.into(), message, transient: false };
    Unanswered { failure, billed: false }
}

#[cfg(test)]
mod tests;
