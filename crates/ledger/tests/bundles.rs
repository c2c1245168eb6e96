//! Bundles of a house that keeps a ledger: intact, dishonest and tampered with.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "tests fail by panicking, and one writes down what it did where it is asked to"
)]

#[path = "bundles/asked.rs"]
mod asked;
#[path = "bundles/audit.rs"]
mod audit;
#[path = "bundles/delegated.rs"]
mod delegated;
#[path = "bundles/forge.rs"]
mod forge;
#[path = "bundles/house.rs"]
mod house;
#[path = "bundles/intact.rs"]
mod intact;
#[path = "bundles/keyed.rs"]
mod keyed;
#[path = "bundles/paused.rs"]
mod paused;
#[path = "bundles/tamper.rs"]
mod tamper;
#[path = "bundles/told.rs"]
mod told;
#[path = "bundles/versions.rs"]
mod versions;
#[path = "bundles/ways.rs"]
mod ways;
