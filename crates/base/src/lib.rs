//! The ground floor: words every other crate shares.
//!
//! Canonical JSON, digests, ids, time, money, randomness and sealed bytes. Time and
//! randomness are capabilities that somebody hands in ([`Clock`], [`Entropy`]): nothing
//! in the domain crates reaches for them.

#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod bounds;
pub mod cipher;
pub mod digest;
pub mod entropy;
pub mod hosts;
pub mod id;
pub mod json;
pub mod mac;
pub mod money;
pub mod period;
pub mod place;
pub mod process;
pub mod sources;
pub mod suggest;
pub mod time;
pub mod turns;
pub mod words;

pub use digest::Digest;
pub use entropy::Entropy;
pub use json::Value;
pub use money::Micros;
pub use period::Period;
pub use sources::{SOURCES_MAX, Source, Sources};
pub use time::{Clock, Timestamp};

/// Bytes of stack of each thread that loads or asks a canon, reads a workflow or verifies. It is
/// set and the same for all, so that nothing depends on what a machine gives (`ulimit -s`); what is
/// nested as deep as the limits let it needs an eighth of it at most.
pub const STACK_BYTES: usize = 16 << 20;
