//! The whole kernel on one thread, from a seed, with a world that fails.
//!
//! Engine, gate and ledger are the very code of the program; clock, storage and adapters
//! are simulated and lose, delay, repeat and crash. After each run [`World::check`] demands
//! that every effect had exactly one receipt before it and one outcome after it, that
//! nothing was done twice, that the ledger audits, and that everything replays. A seed
//! that fails fails again.

mod check;
mod disk;
mod forks;
mod outside;
mod scenario;
mod schedule;
mod world;

pub use check::Broken;
pub use scenario::{FLOWS, Scenario};
pub use world::{Faults, Summary, World};

/// Run one seed to its end and check what it left behind.
///
/// # Errors
/// [`Broken`] names the invariant that does not hold.
pub fn run_seed(seed: u64) -> Result<Summary, Broken> {
    let mut world = World::seeded(seed);
    world.run_until_quiet()?;
    world.check()
}
