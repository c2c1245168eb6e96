//! The log is the outbox: what goes out is made of its entries, and all that is kept of a
//! consumer is its place in it.
//!
//! [`Machine`] decides what to do next for one consumer, purely: read on, deliver, record how
//! far it came, wait. A [`Dispatcher`] does it, on a thread for each consumer, so that one
//! that stands still holds up no other. Where it delivers to is a [`Sink`]: a message broker
//! (`cog-outbox-amqp`), a function, or the [`Bus`] of this process.
//!
//! Every event is delivered at least once, with the same id each time, and the events of one
//! run in their order.

#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod breaker;
mod bus;
mod dispatcher;
mod line;
mod machine;
mod page;
mod sink;

pub use breaker::Breaker;
pub use bus::{Bus, CAPACITY_MAX, Heard, SUBSCRIBERS_MAX, Subscription, TooMany};
pub use dispatcher::{Consumer, Dispatcher, POLL_MS, Watch};
pub use machine::{Machine, Notice, Policy, Step};
pub use page::{Page, page};
pub use sink::{Sink, Verdict};
