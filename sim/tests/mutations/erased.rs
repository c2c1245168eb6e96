//! Honest histories of which bodies were erased: nothing that is left is accused.

use cog_base::entropy::SeededEntropy;
use cog_history::{Record, Rules, check};
use cog_ledger::Kind;
use cog_sim::{Store, World};

use crate::FAULTS;

/// Worlds of whose histories bodies are erased.
const WORLDS: u64 = 60;
/// How often bodies of one history are erased anew, by chance.
const EACH: u64 = 12;
/// Of how many bodies one is erased, in turn.
const ONE_OF: [u64; 4] = [2, 4, 10, 30];

#[test]
fn an_honest_history_is_not_accused_for_what_was_erased() {
    let (mut erased, mut accused) = (0_u64, Vec::new());
    for seed in 0..WORLDS {
        let mut world = World::with_faults(seed, FAULTS, Store::Memory).expect("a world");
        world.run_until_quiet().expect("the world comes to rest");
        for (tenant, records) in world.records().into_iter().enumerate() {
            for round in 0..EACH {
                let mut dice = SeededEntropy::new(seed ^ round << 32);
                let one_of = ONE_OF[(round % 4) as usize];
                let left = records.iter().map(|it| left(it, round % 3 == 0, one_of, &mut dice));
                let left: Vec<Record> = left.collect();
                erased +=
                    left.iter().zip(&records).filter(|(a, b)| a.body != b.body).count() as u64;
                if let Some(finding) = check(left, Rules::STRICT).findings.kept().first() {
                    accused.push(format!("seed {seed}, tenant {tenant}, round {round}: {finding}"));
                }
            }
        }
    }
    assert!(accused.is_empty(), "{} accused: {accused:#?}", accused.len());
    println!("counted: {erased} bodies erased of honest histories");
}

/// An entry with or without its body. What a run began with is kept, but in a few: without that
/// it is not followed.
fn left(record: &Record, signals: bool, one_of: u64, dice: &mut SeededEntropy) -> Record {
    let kind = record.entry.kind();
    let is_start = kind == Kind::SessionStarted;
    let often = if is_start { 40 } else { one_of };
    let is_gone = (!signals || kind == Kind::Signal) && dice.below(often) == 0;
    let body = record.body.clone().filter(|_| !is_gone);
    Record { entry: std::sync::Arc::clone(&record.entry), body }
}
