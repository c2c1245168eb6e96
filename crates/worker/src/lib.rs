//! Workers in other processes: what is said between them and whoever owns a log, and the board on
//! which the owner keeps what waits for one.
//!
//! It is pure: the time is handed in, and who carries the words is somebody else's. What a worker
//! checks before it acts is in `cog_gate::runner`. See docs/reference/workers.md.

#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod board;
mod job;
mod protocol;

pub use board::{Board, Now, Offer};
pub use job::{Asked, Standing};
pub use protocol::{
    Came, Given, KINDS_MAX, Malformed, POLL_MAX, Poll, Refused, Report, Root, Sign, TENANTS_MAX,
    Task, WAIT_MS_MAX, What,
};

/// How long a worker may be silent about an effect that it began, unless the step says otherwise.
pub const LEASE_MS: u64 = 10_000;
/// How long a worker may take to begin what it was offered; then it is offered again.
pub const OFFER_MS: u64 = 5_000;
/// What waits for longer without a worker is told of.
pub const TOLD_MS: u64 = 5_000;
