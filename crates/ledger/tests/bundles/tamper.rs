//! Ten thousand random changes of an honest bundle: every one is found, and nothing is said
//! against the intact ones.

use std::collections::BTreeMap;

use cog_ledger::bundle::{Check, verify};
use cog_ledger::{Checkpoint, SigningKey, VerifierKey};

use crate::house::House;
use crate::told::Told;
use crate::ways::{Chance, WAYS};

const MUTATIONS: u64 = 10_000;

/// A bundle with what its verifier has from elsewhere.
pub(crate) struct Target {
    pub(crate) bundle: Vec<u8>,
    pub(crate) trusted: Vec<VerifierKey>,
    pub(crate) against: Vec<Checkpoint>,
    /// The same log with another last entry than `against`.
    pub(crate) fork: Vec<u8>,
    /// The key of the genesis entry, handed over since.
    pub(crate) old_key: SigningKey,
}

impl Target {
    /// What is said of a bundle: nothing when it is none, else each finding with its entry.
    pub(crate) fn findings(&self, bundle: &[u8], compared: bool) -> Option<Vec<Finding>> {
        let against = if compared { self.against.as_slice() } else { &[] };
        let check = Check { trusted: &self.trusted, against };
        let verified = verify(&mut &bundle[..], &check).ok()?;
        let kept = verified.findings().kept().iter();
        Some(kept.map(|finding| (finding.code, finding.seq)).collect())
    }

    pub(crate) fn is_found(&self, bundle: &[u8]) -> bool {
        self.findings(bundle, false).is_none_or(|findings| !findings.is_empty())
    }
}

pub(crate) type Finding = (&'static str, Option<u64>);

/// A change, and what is said of it.
pub(crate) struct Change {
    pub(crate) number: u64,
    pub(crate) way: &'static str,
    /// Which of the targets was changed.
    pub(crate) target: usize,
    /// Whether the verifier compares it with the head it has.
    pub(crate) compared: bool,
    pub(crate) bundle: Vec<u8>,
    pub(crate) findings: Option<Vec<Finding>>,
}

#[test]
fn every_one_of_ten_thousand_changes_is_found() {
    let targets: Vec<_> = (100..104).flat_map(targets).collect();
    for target in &targets {
        for compared in [false, true] {
            assert_eq!(target.findings(&target.bundle, compared), Some(Vec::new()), "false alarm");
        }
    }
    let told = Told::of(&targets);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let work = |worker| {
        let numbers = (worker..MUTATIONS).step_by(workers);
        let tell = |change: Change| (change.way, told.as_ref().map(|told| told.line(&change)));
        numbers.map(|number| tell(tamper(&targets, number))).collect::<Vec<_>>()
    };
    let changes: Vec<_> = std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> =
            (0..workers as u64).map(|worker| scope.spawn(move || work(worker))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    changes.iter().for_each(|(way, _)| *counts.entry(way).or_default() += 1);
    for (name, count) in &counts {
        println!("{count:6}  {name}");
    }
    let (total, intact) = (changes.len() as u64, targets.len());
    println!(
        "counted: {total} changes of bundles, of {} kinds, all found; 0 false alarms on {intact}",
        counts.len()
    );
    assert_eq!((total, counts.len()), (MUTATIONS, WAYS.len()));
    if let Some(told) = told {
        told.write(changes.into_iter().filter_map(|(_, line)| line));
    }
}

/// The change of this number, which is found.
fn tamper(targets: &[Target], number: u64) -> Change {
    let mut chance = Chance::new(number);
    loop {
        let place = chance.below(targets.len());
        let target = &targets[place];
        let (way, tampered) = WAYS[chance.below(WAYS.len())];
        let changed = tampered(target, &mut chance).filter(|bundle| *bundle != target.bundle);
        let Some(bundle) = changed else { continue };
        let compared = way == "split view";
        let findings = target.findings(&bundle, compared);
        let is_found = findings.as_ref().is_none_or(|findings| !findings.is_empty());
        assert!(is_found, "not found: {way}, number {number}");
        return Change { number, way, target: place, compared, bundle, findings };
    }
}

/// A whole and a pruned bundle of one house.
fn targets(seed: u64) -> [Target; 2] {
    let mut house = House::honest(seed);
    let trusted = vec![house.keys().pop().unwrap()];
    let against = vec![house.head()];
    let fork = House::honest_until(seed, "another").bundle();
    let first = house.keys().remove(0);
    let old_key = house.ring.signing_key(&first);
    let to = house.log().entries().find_map(|entry| entry.count("to")).unwrap();
    [house.bundle(), house.bundle_from(to, true)].map(|bundle| Target {
        bundle,
        trusted: trusted.clone(),
        against: against.clone(),
        fork: fork.clone(),
        old_key: old_key.clone(),
    })
}
