//! The store in a PostgreSQL database.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "these tests wait for a server that they stop and start"
)]

#[path = "store/faults.rs"]
mod faults;
#[path = "store/mail.rs"]
mod mail;
#[path = "store/migrations.rs"]
mod migrations;
#[path = "store/moving.rs"]
mod moving;
#[path = "store/owning.rs"]
mod owning;
#[path = "store/parking.rs"]
mod parking;
#[path = "store/place.rs"]
mod place;
#[path = "store/rights.rs"]
mod rights;
#[path = "store/tls.rs"]
mod tls;

mod conformance {
    use crate::place::Database;

    cog_conformance::conformance!(Database::new);
    cog_conformance::conformance!(@shared Database::new);
}
