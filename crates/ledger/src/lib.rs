//! The ledger: for each tenant one append-only Merkle log (RFC 9162, SHA-256) of canonical
//! JSON entries, with signed heads (C2SP `tlog-checkpoint`), offline proofs (C2SP
//! `tlog-proof`), bundles that an outsider checks, and the audit of what the entries say.
//!
//! The crate does no I/O and knows neither clock nor randomness: storage is a [`Shelf`],
//! keys are a [`KeyRing`], time and randomness are handed in. [`Writer::append`] is the only
//! source of [`Durable`] values, and so the only way to show that something is recorded.

#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod audit;
pub mod body;
pub mod bundle;
pub mod checkpoint;
pub mod entry;
pub mod keys;
pub mod kind;
pub mod log;
pub mod memory;
pub mod merkle;
pub mod note;
pub mod proof;
pub mod session;
pub mod shelf;

mod canonical;
mod hasher;

pub use body::{BodyDraft, SealedBody};
pub use checkpoint::Checkpoint;
pub use entry::{Draft, Entry, EntryError, Prepared};
pub use keys::{KeyRing, SignError, Signer, SigningKey};
pub use kind::Kind;
pub use log::{AppendError, Durable, Writer};
pub use note::VerifierKey;
pub use shelf::{Node, SealedBatch, SealedEntry, Shelf, ShelfError, Tail};
