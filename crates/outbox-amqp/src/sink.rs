//! The sink: publishes, and waits until the broker answers for it.

use std::sync::Arc;

use cog_events::Event;
use cog_outbox::{Sink, Verdict};
use lapin::options::BasicPublishOptions;
use lapin::types::{FieldTable, ShortString};
use lapin::{Confirmation, PublisherConfirm};
use tokio::runtime::{Builder, Runtime};

use crate::link::{AmqpError, Link, Options, name, within};
use crate::message::{properties, short};

/// Delivers to one exchange of one broker. It connects when it first has something to
/// deliver, and anew whenever the connection is lost.
pub struct AmqpSink {
    options: Options,
    exchange: ShortString,
    link: Option<Link>,
    runtime: Runtime,
}

impl AmqpSink {
    /// A sink that is not connected yet.
    ///
    /// # Errors
    /// [`AmqpError::Name`] for an exchange that cannot be, [`AmqpError::Runtime`].
    pub fn new(options: Options) -> Result<Self, AmqpError> {
        let exchange = name(&options.exchange)?;
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { options, exchange, link: None, runtime })
    }

    /// Make a queue for a consumer, if it is not there: durable, with the events of the types
    /// that match one of the patterns. What the consumer turns down goes to the queue of dead
    /// letters.
    ///
    /// # Errors
    /// [`AmqpError`] when the broker does not.
    pub fn make_queue(&mut self, queue: &str, patterns: &[&str]) -> Result<(), AmqpError> {
        self.make_queue_with(queue, patterns, FieldTable::default())
    }

    /// As [`AmqpSink::make_queue`], with further arguments of the queue, such as a maximum.
    ///
    /// # Errors
    /// [`AmqpError`] when the broker does not.
    pub fn make_queue_with(
        &mut self,
        queue: &str,
        patterns: &[&str],
        arguments: FieldTable,
    ) -> Result<(), AmqpError> {
        let patterns: Vec<String> = patterns.iter().map(|one| (*one).to_owned()).collect();
        let Self { runtime, options, link, .. } = self;
        runtime.block_on(async {
            let open = connected(link, options).await?;
            let made = open.consumer(&options.exchange, queue, &patterns, arguments).await;
            if made.is_err() {
                // The broker closes the channel on which it refuses something.
                *link = None;
            }
            made
        })
    }

    async fn publish(
        link: &Link,
        exchange: &ShortString,
        event: &Event,
        call_ms: u64,
    ) -> Result<PublisherConfirm, AmqpError> {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let key = short(event.kind()).ok_or_else(|| AmqpError::Name(event.kind().to_owned()))?;
        let publish = link.channel.basic_publish(
            exchange.clone(),
            key,
            options,
            event.json().as_bytes(),
            properties(event),
        );
        within(call_ms, "publish", publish).await
    }
}

/// The connection, made anew when there is none or it is over.
async fn connected<'a>(
    link: &'a mut Option<Link>,
    options: &Options,
) -> Result<&'a Link, AmqpError> {
    let is_over = |link: &Link| !link.channel.status().connected();
    if link.as_ref().is_some_and(is_over) {
        *link = None;
    }
    match link {
        Some(open) => Ok(open),
        None => Ok(link.insert(Link::open(options).await?)),
    }
}

impl Sink for AmqpSink {
    fn deliver(&mut self, events: &[Arc<Event>]) -> Vec<Verdict> {
        let Self { runtime, options, exchange, link } = self;
        let (verdicts, is_sound) = runtime.block_on(async {
            let open = match connected(link, options).await {
                Ok(open) => open,
                Err(error) => return (vec![Verdict::Lost(error.to_string())], false),
            };
            let mut confirms = Vec::with_capacity(events.len());
            let mut broken = None;
            for event in events {
                match Self::publish(open, exchange, event, options.call_ms).await {
                    Ok(confirm) => confirms.push(confirm),
                    Err(error) => {
                        broken = Some(error);
                        break;
                    }
                }
            }
            let mut verdicts = Vec::with_capacity(events.len());
            let mut is_sound = broken.is_none();
            for confirm in confirms {
                let (verdict, answered) = answer(confirm, options.call_ms).await;
                verdicts.push(verdict);
                is_sound &= answered;
                if !answered {
                    break;
                }
            }
            if let (Some(error), true) = (broken, verdicts.len() < events.len()) {
                verdicts.push(Verdict::Lost(error.to_string()));
            }
            (verdicts, is_sound)
        });
        if !is_sound {
            // Late answers are of no use any more: what they are about is published again.
            *link = None;
        }
        verdicts
    }
}

/// What the broker says to one message, and whether it says anything.
async fn answer(confirm: PublisherConfirm, call_ms: u64) -> (Verdict, bool) {
    match within(call_ms, "confirm a message", confirm).await {
        Ok(Confirmation::Ack(None)) => (Verdict::Confirmed, true),
        Ok(Confirmation::Ack(Some(returned))) => {
            let why = format!("no queue takes it: {}", returned.reply_text);
            (Verdict::Refused(why), true)
        }
        Ok(Confirmation::Nack(_)) => (Verdict::Refused("a queue turned it down".to_owned()), true),
        Ok(Confirmation::NotRequested) => {
            (Verdict::Lost("the broker does not confirm".to_owned()), false)
        }
        Err(error) => (Verdict::Lost(error.to_string()), false),
    }
}

impl Drop for AmqpSink {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            self.runtime.block_on(link.close());
        }
    }
}
