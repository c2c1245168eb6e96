//! The embedded store in a folder.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "these tests look after the folder, the database and a child process, from outside"
)]

#[path = "store/damage.rs"]
mod damage;
#[path = "store/folder.rs"]
mod folder;
#[path = "store/full.rs"]
mod full;
#[path = "store/hidden.rs"]
mod hidden;
#[path = "store/honest.rs"]
mod honest;
#[path = "store/kill.rs"]
mod kill;
#[path = "store/place.rs"]
mod place;
#[path = "store/restore.rs"]
mod restore;
#[path = "store/secrets.rs"]
mod secrets;

#[path = "store/told.rs"]
mod told;

use place::Folder;

mod conformance {
    use crate::Folder;

    cog_conformance::conformance!(Folder::new);
    cog_conformance::conformance!(@shared Folder::new);
}
