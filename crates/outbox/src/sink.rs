//! Where events go.

use std::sync::Arc;

use cog_events::Event;

/// What became of one event of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The consumer has it and answers for it.
    Confirmed,
    /// The consumer does not take this event: there is no queue for it, it is too large, it
    /// is turned down. It is tried again, and then given up as a dead letter.
    Refused(String),
    /// Nobody can tell: the consumer was not there, or did not answer. It is tried again for
    /// as long as it takes.
    Lost(String),
}

/// Takes events for one consumer.
pub trait Sink: Send {
    /// Deliver the events, which are of different lanes, and say of each, in their order,
    /// what became of it. What there is no verdict on is [`Verdict::Lost`]. It may take its
    /// time, with a limit: nobody else waits for it.
    fn deliver(&mut self, events: &[Arc<Event>]) -> Vec<Verdict>;
}

/// A function that takes one event, or says why it does not.
impl<F: FnMut(&Event) -> Verdict + Send> Sink for F {
    fn deliver(&mut self, events: &[Arc<Event>]) -> Vec<Verdict> {
        events.iter().map(|event| self(event)).collect()
    }
}
