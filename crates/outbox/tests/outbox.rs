//! The outbox: what goes out of a log, to whom, how often and in which order.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "tests fail by panicking, whatever else it is"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "dispatchers run on threads of their own, in real time"
)]

#[path = "outbox/bus.rs"]
mod bus;
#[path = "outbox/dispatching.rs"]
mod dispatching;
#[path = "outbox/house.rs"]
mod house;
#[path = "outbox/machine.rs"]
mod machine;
#[path = "outbox/pages.rs"]
mod pages;
#[path = "outbox/simulated.rs"]
mod simulated;
