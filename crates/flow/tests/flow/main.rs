//! Workflow files as people write them, and what becomes of them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "tests fail by panicking"
)]

mod again;
mod bombs;
mod bounded;
mod bounds;
mod cel;
mod checkpoints;
mod children;
mod codes;
mod diagnostics;
mod events;
mod expressions;
mod harness;
mod inputs;
mod limits;
mod properties;
mod rounds;
mod schedules;
mod semantics;
mod signals;
mod sources;
mod undo;
mod until;
mod whole;
