//! What an effect gives while it is under way: whoever performs it hands it on piece by piece, and it
//! is on record before the outcome. Evidence alone: nothing is decided by it, and the outcome holds
//! all of it again.

use std::fmt;
use std::sync::Arc;

use cog_base::Value;
use cog_base::id::{ReceiptId, RunId};
use cog_base::json::Map;
use cog_ledger::{BodyDraft, Draft, Kind};

use crate::door::{Cleared, Scope};
use crate::effect::Effect;

/// The most text of one entry, in bytes.
pub const PIECE_BYTES_MAX: usize = 16 * 1024;
/// How much of what one effect gives is on record before its outcome, in bytes.
pub const GIVEN_BYTES_MAX: u64 = 1024 * 1024;

/// The streams of effects: what a program writes, and what a model says.
const STREAMS: [&str; 3] = ["stdout", "stderr", "text"];

/// The stream of this name, if effects have one.
#[must_use]
pub fn stream(name: &str) -> Option<&'static str> {
    STREAMS.into_iter().find(|it| *it == name)
}

/// Says what an effect gives: from which of its streams, and what.
pub type Mouth = Arc<dyn Fn(&'static str, &str) + Send + Sync>;

/// Hears what an effect gives.
#[derive(Clone)]
pub(crate) struct Ear(Mouth);

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ear")
    }
}

/// Makes pieces of what the effect of one receipt gives. Only a clearance has one to give.
#[derive(Debug, Clone)]
pub struct Voice {
    receipt: ReceiptId,
    scope: Scope,
    subject: Option<String>,
}

/// Part of what an effect gives.
#[derive(Debug)]
pub struct Piece {
    voice: Voice,
    name: &'static str,
    text: String,
}

impl<E: Effect> Cleared<E> {
    /// What makes pieces of what this effect gives. None where the canon removes something of it: that
    /// can be told of the whole alone.
    #[must_use]
    pub fn voice(&self) -> Option<Voice> {
        let pass = self.pass();
        let (receipt, scope) = (pass.receipt, pass.scope.clone());
        pass.redact.is_empty().then(|| Voice { receipt, scope, subject: pass.subject.clone() })
    }

    /// From here on, `hear` hears what the adapter says the effect gives.
    pub fn heard_by(self, hear: impl Fn(&'static str, &str) + Send + Sync + 'static) -> Self {
        let (effect, mut pass) = self.into_parts();
        pass.ear = Some(Ear(Arc::new(hear)));
        Self::new(effect, pass)
    }

    /// For adapters: what says whatever the effect gives, from which of its streams. None when nobody
    /// listens.
    #[must_use]
    pub fn mouth(&self) -> Option<Mouth> {
        self.pass().ear.as_ref().map(|ear| Arc::clone(&ear.0))
    }
}

impl Voice {
    /// This text of that stream.
    #[must_use]
    pub fn says(&self, name: &'static str, text: String) -> Piece {
        Piece { voice: self.clone(), name, text }
    }
}

impl Piece {
    /// The receipt of the effect.
    #[must_use]
    pub fn receipt(&self) -> ReceiptId {
        self.voice.receipt
    }

    /// The run it belongs to.
    #[must_use]
    pub fn session(&self) -> RunId {
        self.voice.scope.session
    }

    /// From which stream of the effect it comes, such as `stdout`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The entry, behind so many bytes of the same effect.
    #[must_use]
    pub fn draft(&self, offset: u64) -> Draft {
        let data = Map::from([
            ("receipt".into(), self.voice.receipt.into()),
            ("name".into(), self.name.into()),
            ("offset".into(), offset.into()),
            ("bytes".into(), (self.text.len() as u64).into()),
        ]);
        let bytes = Value::map([("text", self.text.as_str())]).canonical();
        let body = BodyDraft { subject: self.voice.subject.clone(), bytes };
        self.voice.scope.draft(Kind::Output, data, Some(body))
    }
}
