//! Signals: messages from outside, in the log before the run goes on because of them.
//!
//! A run keeps what no step has asked for yet. The sender gives each signal an id, so that
//! whoever does not know whether it arrived sends it again and nothing happens twice.

use cog_base::Value;
use cog_base::entropy::NoEntropy;
use cog_base::id::RunId;
use cog_base::json::Map;
use cog_flow::{Event, Signal};
use cog_ledger::{BodyDraft, Draft, Kind};

use crate::active::{Active, Later};
use crate::engine::{Await, Engine, Turn};
use crate::history::{History, Mismatch, Record, no_body, unexpected};
use crate::notice::What;
use crate::start::draft;

/// Signals that one run takes in its life.
pub const SIGNALS_MAX: usize = 10_000;

/// A signal on its way to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The signal.
    pub signal: Signal,
    /// Whose personal data it holds.
    pub subject: Option<String>,
}

/// What becomes of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hearing {
    /// The run takes it.
    Taken,
    /// The run has it already: the same id, and the same in all else.
    Known,
    /// The run does not take it.
    Refused(String),
}

impl Active {
    /// What would become of a signal.
    fn hears(&self, sent: &Sent) -> Hearing {
        let signal = &sent.signal;
        if let Err(bad) = signal.check() {
            return Hearing::Refused(bad.to_string());
        }
        // A message that no step will ever take is a mistake of whoever sends it.
        if !self.flow.signals.contains(&signal.name) {
            let known: Vec<_> = self.flow.signals.iter().map(String::as_str).collect();
            let message = match known.as_slice() {
                [] => "none of its steps waits for a signal".to_owned(),
                known => {
                    format!(
                        "its steps wait for {}, and not for `{}`",
                        known.join(", "),
                        signal.name
                    )
                }
            };
            return Hearing::Refused(message);
        }
        match self.signals.get(&signal.id) {
            Some(known) if known.signal == *signal => Hearing::Known,
            Some(_) => Hearing::Refused(format!("another signal had the id `{}`", signal.id)),
            None if self.signals.len() >= SIGNALS_MAX => {
                Hearing::Refused(format!("a run takes at most {SIGNALS_MAX} signals"))
            }
            None => Hearing::Taken,
        }
    }

    pub(crate) fn signal_draft(&self, sent: &Sent) -> Draft {
        let Sent { signal, subject } = sent;
        let data = Map::from([
            ("signal".into(), signal.id.as_str().into()),
            ("name".into(), signal.name.as_str().into()),
        ]);
        let mut body = Map::from([("payload".into(), signal.payload.clone())]);
        if let Some(subject) = subject {
            body.insert("subject".into(), subject.as_str().into());
        }
        let bytes = Value::Map(body).canonical();
        let body = BodyDraft { subject: subject.clone(), bytes };
        let mut entry = draft(&self.origin, Kind::Signal, None, data, Some(body));
        entry.actor.clone_from(&signal.from);
        entry.about(self.run.subject_of());
        entry
    }
}

impl Engine {
    /// Put a signal on its way into the ledger and let the run go on behind it.
    pub(crate) fn signal(
        &mut self,
        id: RunId,
        sent: Sent,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get_mut(&id) else {
            let message = "the run is not under way here".to_owned();
            turn.tell(id, What::NotTaken { signal: sent.signal.id, message });
            return Ok(());
        };
        if !active.answers.is_empty() {
            active.queued.push(Later::Signal(Box::new(sent)));
            return Ok(());
        }
        let Signal { id: signal, name, from, .. } = sent.signal.clone();
        let refused = match active.hears(&sent) {
            Hearing::Known => {
                turn.tell_behind(id, What::Signalled { signal, name, from, again: true });
                return Ok(());
            }
            Hearing::Refused(message) => Err(message),
            Hearing::Taken => {
                let heard = active.run.apply(Event::Signalled(sent.signal.clone()));
                heard.map_err(|out_of_order| out_of_order.why().to_owned())
            }
        };
        let actions = match refused {
            Ok(actions) => actions,
            Err(message) => {
                turn.tell(id, What::NotTaken { signal, message });
                return Ok(());
            }
        };
        let draft = active.signal_draft(&sent);
        active.signals.insert(signal.clone(), sent);
        active.parked = false;
        turn.append(active.origin.tenant, id, draft, Await::Nothing);
        turn.tell_behind(id, What::Signalled { signal, name, from, again: false });
        self.act(id, actions, turn)
    }
}

impl History {
    /// The entry that a signal to this run becomes; nothing when the run has it already.
    ///
    /// # Errors
    /// Why the run does not take it.
    pub fn signal(&self, sent: &Sent) -> Result<Option<Draft>, String> {
        match self.active.hears(sent) {
            Hearing::Known => Ok(None),
            Hearing::Refused(_) | Hearing::Taken if self.sealed => {
                Err("the run has ended".to_owned())
            }
            Hearing::Refused(message) => Err(message),
            Hearing::Taken => {
                let heard = self.active.run.clone().apply(Event::Signalled(sent.signal.clone()));
                heard.map_err(|out_of_order| out_of_order.why().to_owned())?;
                Ok(Some(self.active.signal_draft(sent)))
            }
        }
    }

    /// A signal of the log: the run takes it as it did then.
    pub(crate) fn signalled(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let body = record.body.as_ref().ok_or(no_body(entry))?;
        let text = |name: &str| entry.text(name).unwrap_or_default().to_owned();
        let signal = Signal {
            id: text("signal"),
            name: text("name"),
            from: entry.actor().to_owned(),
            payload: body.get("payload").cloned().unwrap_or(Value::Null),
        };
        let subject = body.get("subject").and_then(Value::as_text).map(str::to_owned);
        self.subjects.extend(subject.clone());
        let sent = Sent { signal: signal.clone(), subject };
        match self.active.hears(&sent) {
            Hearing::Taken => {}
            Hearing::Known => return Err(unexpected(entry, "the run has it already")),
            Hearing::Refused(message) => return Err(unexpected(entry, &message)),
        }
        self.active.signals.insert(signal.id.clone(), sent);
        let actions = self.active.run.apply(Event::Signalled(signal));
        let actions = actions.map_err(|error| unexpected(entry, &error.to_string()))?;
        self.take(actions);
        Ok(())
    }
}
