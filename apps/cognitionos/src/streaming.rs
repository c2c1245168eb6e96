//! What an effect gives while it is under way, on its way into the log: many small writes of a
//! program become few entries.

#![expect(clippy::disallowed_methods, reason = "the program's edge: waits are real here")]

use std::pin::Pin;
use std::time::Duration;

use cog_gate::piece::PIECE_BYTES_MAX;
use cog_gate::{AnyEffect, Cleared};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Sleep, sleep};

/// How long what was given waits for more before it is recorded, in milliseconds.
const GATHER_MS: u64 = 200;

/// Takes what one effect gives to whoever records it.
pub(crate) struct Telling {
    tell: Box<dyn FnMut(&'static str, String) + Send>,
    heard: UnboundedReceiver<(&'static str, String)>,
    /// What waits to be recorded, and until when.
    gathered: Option<(&'static str, String, Pin<Box<Sleep>>)>,
}

/// Have what the effect gives told, piece by piece, each with the name of its stream.
pub(crate) fn telling(
    cleared: Cleared<AnyEffect>,
    tell: impl FnMut(&'static str, String) + Send + 'static,
) -> (Cleared<AnyEffect>, Telling) {
    let (say, heard) = unbounded_channel();
    // When nobody hears it any more, the effect is over.
    let cleared = cleared.heard_by(move |name, text| drop(say.send((name, text.to_owned()))));
    (cleared, Telling { tell: Box::new(tell), heard, gathered: None })
}

impl Telling {
    /// Tell until the work is over, and before it all that is left: what failed keeps what it gave.
    pub(crate) async fn until<T>(mut self, work: &mut JoinHandle<T>) -> Result<T, JoinError> {
        loop {
            let Self { heard, gathered, .. } = &mut self;
            let is_due = async {
                match gathered {
                    Some((.., due)) => due.as_mut().await,
                    None => std::future::pending().await,
                }
            };
            let new = tokio::select! {
                biased;
                ended = &mut *work => {
                    while let Ok((name, text)) = self.heard.try_recv() {
                        self.gather(name, &text);
                    }
                    self.tell();
                    return ended;
                }
                () = is_due => None,
                Some(new) = heard.recv() => Some(new),
            };
            match new {
                Some((name, text)) => self.gather(name, &text),
                None => self.tell(),
            }
        }
    }

    fn gather(&mut self, name: &'static str, text: &str) {
        if self.gathered.as_ref().is_some_and(|(of, ..)| *of != name) {
            self.tell();
        }
        let mut rest = text;
        while !rest.is_empty() {
            let (_, gathered, _) = self.gathered.get_or_insert_with(|| {
                (name, String::new(), Box::pin(sleep(Duration::from_millis(GATHER_MS))))
            });
            let room = PIECE_BYTES_MAX.saturating_sub(gathered.len());
            let (fits, further) = rest.split_at(rest.floor_char_boundary(room));
            gathered.push_str(fits);
            rest = further;
            if !rest.is_empty() {
                self.tell();
            }
        }
    }

    fn tell(&mut self) {
        if let Some((name, text, _)) = self.gathered.take() {
            (self.tell)(name, text);
        }
    }
}
