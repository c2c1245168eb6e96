//! `cog-sim seed N` tells the story of one seed, `cog-sim seeds FIRST COUNT` runs some, and
//! `cog-sim soak [MINUTES] [--json]` runs fresh ones. With `--nodes N` a seed is a town of so many nodes;
//! `cog-sim towns FIRST COUNT` runs some of those, and a soak runs both in turn.
//! `cog-sim large events|flights|schedules COUNT` runs a scenario of size.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a tool for the terminal that takes fresh seeds from the clock"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cog_sim::{Broken, Summary, Town, World, large, run_seed, run_town, soak};

/// How long a soak runs when nothing is said, in minutes.
const MINUTES: u64 = 10;

/// Nodes that are in the middle of calls have others step above them.
const STACK_BYTES: usize = 256 << 20;

fn main() -> ExitCode {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
    let ended = thread.map(std::thread::JoinHandle::join);
    if let Ok(Ok(code)) = ended { code } else { ExitCode::FAILURE }
}

fn work() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |place| args.get(place).and_then(|text: &String| text.parse::<u64>().ok());
    let word = |place: usize| args.get(place).map(String::as_str);
    let nodes = (word(2) == Some("--nodes")).then(|| number(3)).flatten();
    let result = match (args.first().map(String::as_str), number(1), number(2)) {
        (Some("seed"), Some(seed), _) => match nodes {
            Some(nodes) => tell_town(seed, nodes),
            None => tell(seed),
        },
        (Some("towns"), Some(first), Some(count)) => towns(first, count),
        (Some("large"), _, Some(count)) => of_size(word(1).unwrap_or_default(), count),
        (Some("seeds"), Some(first), Some(count)) => all(first, count),
        (Some("soak"), minutes, _) => {
            let json = args.iter().any(|word| word == "--json");
            return soak_for(minutes.unwrap_or(MINUTES), json);
        }
        _ => {
            println!(
                "usage: cog-sim seed N [--nodes N] | seeds FIRST COUNT | towns FIRST COUNT | \
                 soak [MINUTES] [--json] | large events|flights|schedules COUNT"
            );
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

/// What the nodes of a town told, and the ledgers that it leaves behind.
fn tell_town(seed: u64, nodes: u64) -> Result<(), Broken> {
    let town = Town::seeded_with(seed, usize::try_from(nodes).unwrap_or(1))?;
    let ran = town.run_until_quiet();
    for (node, told) in town.told() {
        println!("node {node}: {told:?}");
    }
    for line in town.story() {
        println!("{line}");
    }
    ran?;
    println!("{}", town.check()?);
    Ok(())
}

fn towns(first: u64, count: u64) -> Result<(), Broken> {
    let mut total = Summary::default();
    for seed in first..first.saturating_add(count) {
        total = total.plus(run_town(seed)?);
    }
    println!("{count} towns from {first}: {total}");
    Ok(())
}

fn of_size(what: &str, count: u64) -> Result<(), Broken> {
    let begun = Instant::now();
    let told = match what {
        "events" => large::events(count)?,
        "flights" => large::flights(count)?,
        _ => large::schedules(count)?,
    };
    let large::Told { events, runs, took_ms } = told;
    let seconds = begun.elapsed().as_secs();
    println!("{what} {count}: {events} entries, {runs} runs, {took_ms} simulated ms, {seconds} s");
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

/// What a seed comes to; a panic is something that does not hold.
fn whole(seed: u64, run: fn(u64) -> Result<Summary, Broken>) -> Result<Summary, Broken> {
    let ran = std::panic::catch_unwind(|| run(seed));
    ran.unwrap_or_else(|_| Err(Broken { seed, what: "a panic; run the seed to see it".to_owned() }))
}

/// Run fresh worlds and towns for so long. Whatever came of it stands in the document that is printed
/// last.
fn soak_for(minutes: u64, json: bool) -> ExitCode {
    let begun = Instant::now();
    let end = begun + Duration::from_secs(minutes * 60);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = u64::try_from(since.as_micros()).unwrap_or(0);
    let world = |seed| whole(seed, run_seed);
    let soaked = soak(first, || Instant::now() < end, world, |seed| whole(seed, run_town));
    if json {
        println!("{}", soaked.to_value(begun.elapsed().as_secs()));
    } else {
        println!("{soaked}");
    }
    if soaked.failed.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
