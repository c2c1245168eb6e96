//! Nodes that share a PostgreSQL database, in one process: each with a store, a committer and
//! threads of its own, in a world that counts what is done.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "these tests wait for nodes and for a server that they stop and start"
)]

#[path = "node/asking.rs"]
mod asking;
#[path = "node/canons.rs"]
mod canons;
#[path = "node/changing.rs"]
mod changing;
#[path = "node/panics.rs"]
mod panics;
#[path = "node/parking.rs"]
mod parking;
#[path = "node/people.rs"]
mod people;
#[path = "node/queue.rs"]
mod queue;
#[path = "node/times.rs"]
mod times;
#[path = "node/town.rs"]
mod town;
