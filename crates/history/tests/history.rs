//! Histories written by hand: each property is kept by one and broken by another.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "history/apart.rs"]
mod apart;
#[path = "history/asked.rs"]
mod asked;
#[path = "history/ends.rs"]
mod ends;
#[path = "history/erased.rs"]
mod erased;
#[path = "history/forks.rs"]
mod forks;
#[path = "history/limits.rs"]
mod limits;
#[path = "history/order.rs"]
mod order;
#[path = "history/told.rs"]
mod told;
#[path = "history/waits.rs"]
mod waits;
