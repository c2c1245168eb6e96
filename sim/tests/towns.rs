//! Towns of several nodes: fixed seeds and fresh ones.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::disallowed_types,
    reason = "fresh seeds come from the clock"
)]

use std::thread::Builder;
use std::time::{SystemTime, UNIX_EPOCH};

use cog_sim::{Broken, Summary, Town, run_town};

const FIXED: u64 = 300;
const FRESH: u64 = 40;
/// Nodes that are in the middle of calls have others step above them.
const STACK_BYTES: usize = 64 << 20;

/// What must go wrong in the fixed towns.
const FAULTS: [&str; 16] = [
    "answer.lost",
    "call.lost",
    "call.repeated",
    "call.slow",
    "call.takes_long",
    "clock.jump",
    "database.restarted",
    "effect.cut_short",
    "effect.failed",
    "effect.outlived",
    "node.cut_off",
    "node.has_a_twin",
    "node.killed",
    "node.killed_in_a_call",
    "node.paused",
    "tenant.stolen",
];
/// What nodes must do in them.
const ACTS: [&str; 8] = [
    "mail.refused",
    "runs.parked",
    "schedule.fired",
    "tenant.claimed",
    "tenant.lost",
    "tenant.opened",
    "tenant.released",
    "tenant.stalled",
];

/// Run some seeds on two threads, each town on one of them.
fn run(seeds: impl Iterator<Item = u64>) -> Result<Summary, Broken> {
    let all: Vec<u64> = seeds.collect();
    let fold = |seeds: &[u64]| {
        let mut seeds = seeds.iter();
        seeds.try_fold(Summary::default(), |total, seed| Ok(total.plus(run_town(*seed)?)))
    };
    let halves = all.split_at(all.len() / 2);
    let (some, others) = std::thread::scope(|threads| {
        let begin = |seeds| {
            let thread = Builder::new().stack_size(STACK_BYTES);
            thread.spawn_scoped(threads, move || fold(seeds)).expect("there is a thread")
        };
        let both = [begin(halves.0), begin(halves.1)];
        let [some, others] = both.map(|thread| thread.join().expect("no town panics"));
        (some, others)
    });
    Ok(some?.plus(others?))
}

#[test]
fn fixed_towns_keep_every_invariant() {
    let total = run(0..FIXED).expect("every invariant holds");
    println!("counted: {FIXED} simulated towns of fixed seeds: {total}");
    for fault in FAULTS {
        assert!(total.faults.of(fault) > 0, "{fault} never happens: {total}");
    }
    for act in ACTS {
        assert!(total.acts.of(act) > 0, "{act} is never done: {total}");
    }
}

#[test]
fn fresh_towns_keep_every_invariant() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let base = since.as_nanos() as u64;
    let seeds = (0..FRESH).map(|offset| base.wrapping_add(offset));
    let total = run(seeds).expect("every invariant holds");
    println!("counted: {FRESH} simulated towns of fresh seeds, from {base}: {total}");
}

#[test]
fn a_town_tells_the_same_story_twice() {
    let told = |seed: u64, nodes: usize| {
        let town = Town::seeded_with(seed, nodes).expect("a town");
        town.run_until_quiet().expect("it comes to rest");
        let heard: Vec<String> = town.told().iter().map(|told| format!("{told:?}")).collect();
        (town.story(), heard, town.check().expect("every invariant holds"))
    };
    for (seed, nodes) in [(3, 2), (44, 3), (77, 4), (1_234, 3)] {
        let (first, again) = (told(seed, nodes), told(seed, nodes));
        assert!(!first.0.is_empty());
        assert_eq!(first, again, "seed {seed}");
    }
}
