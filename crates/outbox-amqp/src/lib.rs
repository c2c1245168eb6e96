//! Events to RabbitMQ, or whatever else speaks AMQP 0-9-1.
//!
//! Messages go to a durable topic exchange, by the type of the event, and are kept by the
//! broker on disk. An event counts as delivered when the broker has confirmed it, so when
//! every queue that takes it has it; one that no queue takes comes back and is refused.

#![expect(
    clippy::disallowed_methods,
    reason = "the home of the way to the broker: it waits for it, with limits"
)]

mod link;
mod message;
mod sink;

pub use link::{AmqpError, CALL_MS, NAME_BYTES_MAX, Options};
pub use message::CONTENT_TYPE;
pub use sink::AmqpSink;
