//! What an entry of the ledger is to the outside: a CloudEvent.
//!
//! An event is a function of its entry and of what its run's entries say ([`Facts`]). It is
//! kept nowhere and can be made again at any time, with the same id. Nothing of a body is in
//! it but counts, so that what is erased was never sent out.

#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod event;
mod facts;
pub mod hook;
mod inbox;
mod registry;
mod rules;

pub use event::{BYTES_MAX, Event};
pub use facts::{Facts, Tokens};
pub use inbox::{IDS_MAX, Inbox};
pub use registry::{NOT_OF_A_RUN, OF_A_RUN, Types, status, type_of};
pub use rules::{Broken, check, read};
