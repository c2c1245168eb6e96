//! Fixed seeds and fresh ones.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::disallowed_types,
    reason = "fresh seeds come from the clock"
)]

use std::time::{SystemTime, UNIX_EPOCH};

use cog_sim::{Broken, Summary, World, run_seed};

const FIXED: u64 = 1_200;
const FRESH: u64 = 400;

/// What must go wrong in the fixed worlds.
const FAULTS: [&str; 20] = [
    "answer.late",
    "answer.repeated",
    "clock.jump",
    "commit.failed",
    "commit.failed_in_passing",
    "commit.lost",
    "commit.torn",
    "crash",
    "effect.failed",
    "effect.failed_in_passing",
    "effect.outlived",
    "effect.reported_twice",
    "effect.unclear",
    "engine.dropped",
    "marks.behind",
    "misdirected",
    "repeated",
    "resumed.twice",
    "store.rolled_back",
    "tail.not_read",
];
/// What operators must do in them.
const ACTS: [&str; 11] = [
    "approval.delegated",
    "bodies.erased",
    "canon.activated",
    "canon.activated_beside",
    "canon.decided",
    "canon.proposed",
    "checkpoint.created",
    "checkpoint.restored",
    "key.rotated",
    "queue.called",
    "segment.pruned",
];

/// Run some seeds on two threads, each world on one of them.
fn run(seeds: impl Iterator<Item = u64>) -> Result<Summary, Broken> {
    let all: Vec<u64> = seeds.collect();
    let (some, others) = all.split_at(all.len() / 2);
    let fold = |seeds: &[u64]| {
        let mut seeds = seeds.iter();
        seeds.try_fold(Summary::default(), |total, seed| Ok(total.plus(run_seed(*seed)?)))
    };
    let both = std::thread::scope(|threads| {
        let some = threads.spawn(|| fold(some));
        (fold(others), some.join())
    });
    let (others, some) = (both.0, both.1.expect("no world panics"));
    Ok(some?.plus(others?))
}

#[test]
fn fixed_seeds_keep_every_invariant() {
    let total = run(0..FIXED).expect("every invariant holds");
    println!("counted: {FIXED} simulated worlds of fixed seeds: {}", total);
    assert!(total.faults.of("crash") > FIXED / 2, "the worlds crash: {total}");
    assert!(total.forks > FIXED, "runs go on from others: {total}");
    for fault in FAULTS {
        assert!(total.faults.of(fault) > 0, "{fault} never happens: {total}");
    }
    for act in ACTS {
        assert!(total.acts.of(act) > 0, "{act} is never done: {total}");
    }
}

#[test]
fn fresh_seeds_keep_every_invariant() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let base = since.as_nanos() as u64;
    let seeds = (0..FRESH).map(|offset| base.wrapping_add(offset));
    let total = run(seeds).expect("every invariant holds");
    println!("counted: {FRESH} simulated worlds of fresh seeds, from {base}: {}", total);
}

/// Those who may not end a run try to, and those who may do: the worlds show both.
#[test]
fn runs_are_ended_and_strangers_are_refused() {
    let (mut ended, mut refused) = (0, 0);
    for seed in 0..120 {
        let mut world = World::seeded(seed).expect("a world");
        world.run_until_quiet().expect("it comes to rest");
        let story = world.story().join("\n");
        ended += story.matches(r#""source":"cancel""#).count();
        refused += story.matches(r#""action":"run.cancel""#).count();
    }
    assert!(ended > 10 && refused > 10, "{ended} ended, {refused} refused");
}

/// Personal data is held back from the host, the model and other runs, and what a policy lowers goes out.
#[test]
fn what_is_personal_is_held_back_and_what_is_lowered_is_not() {
    let (mut held, mut lowered) = ([0, 0], 0);
    for seed in 0..60 {
        let mut world = World::seeded(seed).expect("a world");
        world.run_until_quiet().expect("it comes to rest");
        let story = world.story().join("\n");
        held[0] += story.matches(r#""code":"data.above_host""#).count();
        held[1] += story.matches(r#""code":"data.above_model""#).count();
        lowered += story.matches(r#""declassify":"internal""#).count();
    }
    assert!(held[0] > 1 && held[1] > 1 && lowered > 1, "{held:?} held back, {lowered} lowered");
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    // The second has the embedded store, and loses its power.
    for seed in [3, 44, 77, 1_234] {
        assert_eq!(run_seed(seed), run_seed(seed));
    }
}
