//! The whole kernel on one thread, from a seed, with a world that fails.
//!
//! Engines, gate, ledger and the committer are the very code of the program, for several tenants
//! that share a process; clock, storage and adapters are simulated and lose, delay, repeat and
//! crash. After each run [`World::check`] demands that every effect had exactly one receipt
//! before it and one outcome after it, that nothing was done twice, that the ledgers audit, that
//! everything replays, and that no tenant saw anything of another. A seed that fails fails again.

mod apart;
mod boot;
mod check;
mod common;
mod counts;
mod disk;
mod folder;
mod forks;
mod house;
pub mod large;
mod operators;
mod outside;
mod place;
mod scenario;
mod schedule;
mod soak;
mod stored;
mod town;
mod world;

pub use check::Broken;
pub use counts::{Counts, Summary};
pub use scenario::FLOWS;
pub use soak::{Soaked, soak};
pub use town::{Call, Mishap, Plan, Side, Town, Trap, Troubles};
pub use world::{Faults, Store, World};

/// Run one seed to its end and check what it left behind.
///
/// # Errors
/// [`Broken`] names the invariant that does not hold.
pub fn run_seed(seed: u64) -> Result<Summary, Broken> {
    let mut world = World::seeded(seed)?;
    world.run_until_quiet()?;
    world.check()
}

/// Run the town of one seed to its end and check what it left behind.
///
/// # Errors
/// [`Broken`] names the invariant that does not hold.
pub fn run_town(seed: u64) -> Result<Summary, Broken> {
    let town = Town::seeded(seed)?;
    town.run_until_quiet()?;
    town.check()
}
