//! The history checker under attack: histories of the simulation are changed in ways that mean
//! something, linked and sealed anew, and every change must be found.
//!
//! Who forges a history can make its hashes and the sums of its seals agree. So that is done
//! here too: what is found is found by what the entries say.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests fail by panicking"
)]

#[path = "mutations/chained.rs"]
mod chained;
#[path = "mutations/changes.rs"]
mod changes;
#[path = "mutations/erased.rs"]
mod erased;
#[path = "mutations/forked.rs"]
mod forked;
#[path = "mutations/tape.rs"]
mod tape;

use std::collections::BTreeMap;

use changes::{CHANGES, Change};
use cog_base::entropy::SeededEntropy;
use cog_history::{Rules, check};
use cog_sim::{Faults, Store, World};
use tape::Tape;

/// Worlds whose histories are changed, each in every way that it allows.
const WORLDS: u64 = 120;
/// How often each change is made at most.
const EACH_MAX: u64 = 20;

/// How often each change was made, and what found it.
type Counts = BTreeMap<&'static str, (u64, BTreeMap<&'static str, u64>)>;

/// A clock that was set back hides how long something took, and so here it never is.
const FAULTS: Faults = Faults {
    crash: 150,
    commit: 200,
    transient: 10,
    failed: 40,
    unclear: 60,
    clock: u64::MAX,
    cancel: 40,
    pause: 40,
    fork: 80,
    late: u64::MAX,
    misdirected: u64::MAX,
    repeat: u64::MAX,
    operate: u64::MAX,
};

#[test]
fn every_change_of_a_history_is_found() {
    let changes = [CHANGES, chained::CHANGES].concat();
    println!("{}", changed(&changes, Tape::without_forks));
}

#[test]
fn every_change_of_a_run_that_goes_on_from_another_is_found() {
    println!("{}", changed(forked::CHANGES, Tape::clone));
}

/// Make each change in the histories of worlds, and see that it is found. How often, and by what.
fn changed(changes: &[(&'static str, Change)], of: fn(&Tape) -> Tape) -> String {
    let mut counts = Counts::new();
    let mut missed = Vec::new();
    for seed in 0..WORLDS {
        let mut world = World::with_faults(seed, FAULTS, Store::Memory).expect("a world");
        world.run_until_quiet().expect("the world comes to rest");
        for records in world.records() {
            change_each(seed, &of(&Tape::read(&records)), changes, (&mut counts, &mut missed));
        }
    }
    let all: u64 = counts.values().map(|(tried, _)| tried).sum();
    assert!(missed.is_empty(), "{} of {all} were not found: {missed:#?}", missed.len());
    let names = changes.iter().map(|(name, _)| *name);
    let never: Vec<_> = names.filter(|name| !counts.contains_key(name)).collect();
    assert!(never.is_empty(), "changes that were never made: {never:?}");
    format!("{counts:#?}\ncounted: {all} changes of histories, of {} kinds", counts.len())
}

/// Make each change in one history, and see that it is found.
fn change_each(
    seed: u64,
    tape: &Tape,
    changes: &[(&'static str, Change)],
    (counts, missed): (&mut Counts, &mut Vec<String>),
) {
    let mut tape = tape.clone();
    tape.seal_anew();
    let unchanged = check(tape.records(), Rules::STRICT);
    assert!(unchanged.holds(), "seed {seed}: {:?}", unchanged.findings.kept());
    for (name, change) in changes {
        if counts.get(name).is_some_and(|(tried, _)| *tried >= EACH_MAX) {
            continue;
        }
        let mut dice = SeededEntropy::new(seed ^ 0xC4A);
        let mut changed = tape.clone();
        if change(&mut changed, &mut dice).is_none() {
            continue;
        }
        changed.seal_anew();
        let report = check(changed.records(), Rules::STRICT);
        let (tried, codes) = counts.entry(name).or_default();
        *tried += 1;
        for code in report.findings.kept().iter().map(|finding| finding.code) {
            *codes.entry(code).or_default() += 1;
        }
        if report.holds() {
            missed.push(format!("seed {seed}: {name}"));
        }
    }
}
