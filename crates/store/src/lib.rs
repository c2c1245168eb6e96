//! Where everything is kept: the traits that the engines and apps know, without a database.
//!
//! [`Store`] keeps the logs of all tenants. Reading goes through [`TenantTx`], and there is
//! no other way to a tenant's rows: the tenant scope is the type. Writing a log goes through
//! the one [`cog_ledger::Writer`] over [`Store::shelf`], which the [`Committer`] drives so
//! that whoever waits shares one commit. What an administrator may remove goes through
//! [`Keep`]. How far the consumers of a log have come is kept by [`Cursors`].

#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod committer;
pub mod cursors;
mod error;
pub mod index;
mod memory;
mod scope;
mod select;
pub mod shared;
mod since;
mod tree;
pub mod vault;

pub use committer::{
    Committer, DRAFTS_PER_BATCH_MAX, HeadReply, QUEUE_MAX, RETRIES_MAX, Reply,
    SUBMISSIONS_PER_BATCH_MAX, Stats, Stepper, Submission,
};
pub use cursors::{Cursor, CursorStep, Cursors, DeadLetter};
pub use error::{Cause, StoreError};
pub use memory::MemoryStore;
pub use scope::{
    Cut, Erasable, Erased, Files, Keep, OpenBody, Pruned, RECORDS_PAGE, Recorded, Session, Store,
    TenantTx,
};
pub use select::{PAGE_MAX, Select};
pub use shared::{
    After, Claim, Delivery, Except, MAIL_MAX, Mail, Parked, Posted, Renewed, RequestKey, Shared,
    Wakeup, Wakeups,
};
pub use since::first_since;
pub use tree::{Tree, frontier};
