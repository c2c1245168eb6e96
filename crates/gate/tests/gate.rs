//! The gate in a house with a canon, a run and a ledger: what it decides, that it decides it
//! again from the record, and that its accounts hold whatever is asked in whatever order.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "gate/accounts.rs"]
mod accounts;
#[path = "gate/acts.rs"]
mod acts;
#[path = "gate/completions.rs"]
mod completions;
#[path = "gate/consents.rs"]
mod consents;
#[path = "gate/data.rs"]
mod data;
#[path = "gate/decisions.rs"]
mod decisions;
#[path = "gate/environments.rs"]
mod environments;
#[path = "gate/flips.rs"]
mod flips;
#[path = "gate/hosts.rs"]
mod hosts;
#[expect(dead_code, reason = "the attack suite lives in the same house")]
#[path = "gate/house.rs"]
mod house;
#[path = "gate/lists.rs"]
mod lists;
#[path = "gate/minimal.rs"]
mod minimal;
#[path = "gate/named.rs"]
mod named;
#[path = "gate/periods.rs"]
mod periods;
#[path = "gate/procedure.rs"]
mod procedure;
#[path = "gate/records.rs"]
mod records;
