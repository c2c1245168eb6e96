//! A real broker, that is killed in the middle of things.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "these tests wait for a broker that they kill and start"
)]

#[path = "broker/consumer.rs"]
mod consumer;
#[path = "broker/killed.rs"]
mod killed;
#[path = "broker/messages.rs"]
mod messages;
#[path = "broker/place.rs"]
mod place;
