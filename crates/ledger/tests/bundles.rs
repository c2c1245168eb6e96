//! Bundles of a house that keeps a ledger: intact, dishonest and tampered with.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "bundles/audit.rs"]
mod audit;
#[path = "bundles/house.rs"]
mod house;
#[path = "bundles/intact.rs"]
mod intact;
#[path = "bundles/tamper.rs"]
mod tamper;
