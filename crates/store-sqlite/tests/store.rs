//! The embedded store in a folder.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests look after the store's folder, from outside"
)]

#[path = "store/place.rs"]
mod place;

use place::Folder;

mod conformance {
    use crate::Folder;

    cog_conformance::conformance!(Folder::new);
}
