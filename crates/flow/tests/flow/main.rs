//! Workflow files as people write them, and what becomes of them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod harness;
mod semantics;
