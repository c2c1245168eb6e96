//! What stands in `docs/guide/library.md`, run: each block there is the region of that name here,
//! line by line. `UPDATE_EXPECT=1` writes the blocks anew.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "the examples are in a folder, and the page is a file"
)]

#[path = "guide/opening.rs"]
mod opening;
#[path = "guide/page.rs"]
mod page;
#[path = "guide/past.rs"]
mod past;
#[path = "guide/people.rs"]
mod people;
#[path = "guide/shop.rs"]
mod shop;
#[path = "guide/steps.rs"]
mod steps;
#[path = "guide/times.rs"]
mod times;
