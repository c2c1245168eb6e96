//! The history checker: from the ledger alone it shows whether each run kept its order, joins,
//! retries, timers, limits, consents and undoing.
//!
//! The engine rebuilds a run by feeding its entries to the machine that ran it: an error in the
//! machine comes back as it was. This crate shares no code with engine, gate or machine. It
//! takes the parsed definition, evaluates its expressions, and says for each step from which
//! entry on it may begin, with which entry it is over and what it came to; every entry must fit.
//! [`Property`] is the list of what is checked.

#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod account;
mod admission;
mod chain;
mod checker;
mod consent;
mod family;
mod lease;
mod lineage;
mod log;
mod property;
mod reading;
mod report;
mod seal;
mod versions;

pub use checker::{Checker, Leases, Record, Rules, check};
pub use property::Property;
pub use report::Report;
