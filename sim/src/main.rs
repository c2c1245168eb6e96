//! `cog-sim seed N` tells the story of one seed, `cog-sim seeds FIRST COUNT` runs some, and
//! `cog-sim soak [MINUTES]` runs fresh ones.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a tool for the terminal that takes fresh seeds from the clock"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cog_sim::{Broken, Summary, World, run_seed};

/// How long a soak runs when nothing is said, in minutes.
const MINUTES: u64 = 10;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |place| args.get(place).and_then(|text: &String| text.parse::<u64>().ok());
    let result = match (args.first().map(String::as_str), number(1), number(2)) {
        (Some("seed"), Some(seed), _) => tell(seed),
        (Some("seeds"), Some(first), Some(count)) => all(first, count),
        (Some("soak"), minutes, _) => soak(minutes.unwrap_or(MINUTES)),
        _ => {
            println!("usage: cog-sim seed N | seeds FIRST COUNT | soak [MINUTES]");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(broken) => {
            println!("BROKEN {broken}");
            ExitCode::FAILURE
        }
    }
}

/// The ledger that a seed leaves behind, then what is wrong with it, if anything.
fn tell(seed: u64) -> Result<(), Broken> {
    let mut world = World::seeded(seed)?;
    let ran = world.run_until_quiet();
    for line in world.story() {
        println!("{line}");
    }
    ran?;
    println!("{}", world.check()?);
    Ok(())
}

fn all(first: u64, count: u64) -> Result<(), Broken> {
    let mut total = Summary::default();
    for seed in first..first.saturating_add(count) {
        total = total.plus(run_seed(seed)?);
    }
    println!("{count} seeds from {first}: {total}");
    Ok(())
}

fn soak(minutes: u64) -> Result<(), Broken> {
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = u64::try_from(since.as_micros()).unwrap_or(0);
    let (mut seeds, mut total) = (0_u64, Summary::default());
    while Instant::now() < end {
        total = total.plus(run_seed(first.wrapping_add(seeds))?);
        seeds += 1;
    }
    println!("{seeds} seeds from {first}: {total}");
    Ok(())
}
