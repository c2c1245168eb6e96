//! Nodes in one process, each with a committer and threads of its own, in a world that counts what is
//! done: around a PostgreSQL database that they share, and one alone around the store of a folder.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "these tests wait for nodes and for a server that they stop and start"
)]

/// Makes a test of each function for either store: each is handed a new town.
macro_rules! on_each_store {
    ($($test:ident),* $(,)?) => {
        mod in_a_database {
            $(
                #[test]
                fn $test() {
                    super::$test(&crate::town::Town::new());
                }
            )*
        }
        mod in_a_folder {
            $(
                #[test]
                fn $test() {
                    super::$test(&crate::town::Town::in_a_folder());
                }
            )*
        }
    };
}

#[path = "node/again.rs"]
mod again;
#[path = "node/asking.rs"]
mod asking;
#[path = "node/canons.rs"]
mod canons;
#[path = "node/changing.rs"]
mod changing;
#[path = "node/opening.rs"]
mod opening;
#[path = "node/panics.rs"]
mod panics;
#[path = "node/parking.rs"]
mod parking;
#[path = "node/people.rs"]
mod people;
#[path = "node/queue.rs"]
mod queue;
#[path = "node/sharing.rs"]
mod sharing;
#[path = "node/times.rs"]
mod times;
#[path = "node/town.rs"]
mod town;
#[path = "node/versions.rs"]
mod versions;
