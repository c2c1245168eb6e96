//! Old entries go; what proves them stays.

use cog_ledger::Kind;
use cog_ledger::merkle::{consistency, inclusion, verify_consistency, verify_inclusion};
use cog_store::{Cut, PAGE_MAX, Select, Tree};

use crate::{
    House, Place, body, canon_activated, evidence, outcome, receipt, run, sealed, started, tenant,
    with_body,
};

/// Runs of 102 entries, one after the other, each in its own commits.
fn append_runs(house: &mut House<'_>, runs: std::ops::Range<u64>) {
    for number in runs {
        house.append(tenant(1), [started(run(number))]);
        for effect in 0..50 {
            let id = number * 1_000 + effect;
            let receipt = with_body(receipt(run(number), id), None, body(10));
            house.append(tenant(1), [receipt, outcome(run(number), id)]);
        }
        house.append(tenant(1), [sealed(run(number), "completed")]);
    }
}

fn prune(house: &House<'_>, before: u64) -> Cut {
    let named = house.store().prunable(tenant(1), before).unwrap();
    let cut = house.store().prune_entries(tenant(1), before).unwrap();
    assert_eq!((cut.from, cut.to), (named.start, named.end), "what was named is what went");
    cut
}

/// Inclusion of every entry, also of those that are gone, and growth between all heads.
pub fn proofs_stay_valid(place: &dyn Place) {
    let mut house = House::at(place);
    append_runs(&mut house, 1..8);
    let all = house.entries(tenant(1));
    assert!(prune(&house, 600).to == 512);
    house.reopen();
    let scope = house.scope(tenant(1));
    let heads = scope.checkpoints(0, PAGE_MAX).unwrap();
    let head = heads.last().unwrap();
    for entry in &all {
        assert_eq!(scope.leaf(entry.seq()).unwrap(), Some(entry.leaf()));
        let path = inclusion(&mut Tree(&*scope), entry.seq(), head.size()).unwrap();
        assert!(verify_inclusion(entry.leaf(), entry.seq(), head.size(), head.root(), &path));
    }
    for older in &heads {
        let path = consistency(&mut Tree(&*scope), older.size(), head.size()).unwrap();
        let (size, root) = (head.size(), head.root());
        assert!(verify_consistency(older.size(), older.root(), size, root, &path));
    }
    assert!(house.entries(tenant(1)).iter().all(|entry| all.contains(entry)));
}

/// Down to a multiple of 256, and never past the beginning of an open run.
pub fn it_keeps_whole_segments_and_open_runs(place: &dyn Place) {
    let mut house = House::at(place);
    append_runs(&mut house, 1..4);
    house.append(tenant(1), [started(run(77))]);
    let open_from = house.scope(tenant(1)).session(run(77)).unwrap().unwrap().first;
    append_runs(&mut house, 10..16);
    assert_eq!(prune(&house, 255).to, 0);
    let cut = prune(&house, u64::MAX);
    assert_eq!(cut.to, open_from - open_from % 256);
    house.append(tenant(1), [sealed(run(77), "failed")]);
    assert!(prune(&house, u64::MAX).to > open_from);
}

/// A log always has its last entry.
pub fn it_keeps_the_last_entry(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(tenant(1), [started(run(1))]);
    house.append(tenant(1), (0..253).map(|number| receipt(run(1), number)));
    house.append(tenant(1), [sealed(run(1), "completed")]);
    let tail = house.scope(tenant(1)).tail().unwrap().unwrap();
    assert_eq!(tail.frontier.size(), 256);
    assert_eq!(prune(&house, u64::MAX).to, 0);
    assert!(house.scope(tenant(1)).entry(255).unwrap().is_some());
    house.append(tenant(1), [evidence("1")]);
    assert_eq!(prune(&house, u64::MAX).to, 256);
    assert!(house.scope(tenant(1)).entry(255).unwrap().is_none());
}

/// The genesis, canons and evidence are what the rest stands on.
pub fn it_keeps_what_is_outside_runs(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(tenant(1), [canon_activated("1")]);
    append_runs(&mut house, 1..7);
    assert!(prune(&house, 512).removed > 500);
    let old: Vec<Kind> = house
        .pages(tenant(1), &Select { to: 512, limit: 10, ..Select::default() })
        .iter()
        .map(cog_ledger::Entry::kind)
        .collect();
    assert_eq!(old, [Kind::Genesis, Kind::CanonActivated]);
    let newest = Select::newest(Kind::CanonActivated);
    assert_eq!(house.scope(tenant(1)).select(&newest).unwrap().len(), 1);
}

/// Neither by place, id, kind nor run, and its body neither.
pub fn what_is_gone_is_not_found(place: &dyn Place) {
    let mut house = House::at(place);
    append_runs(&mut house, 1..8);
    let gone = house.scope(tenant(1)).entry(2).unwrap().unwrap();
    assert!(house.scope(tenant(1)).body(2).unwrap().is_some());
    assert_eq!(prune(&house, 512).to, 512);
    let scope = house.scope(tenant(1));
    assert!(scope.entry(2).unwrap().is_none() && scope.body(2).unwrap().is_none());
    assert!(scope.find(gone.id().unwrap()).unwrap().is_empty());
    assert!(scope.session(run(1)).unwrap().is_none());
    assert!(scope.select(&Select::session(run(1))).unwrap().is_empty());
    let starts = Select { kinds: vec![Kind::SessionStarted], ..Select::default() };
    assert_eq!(scope.select(&starts).unwrap().len(), 1);
    // Run 6 began before the cut: its later entries are still there, from both ends.
    let half = scope.session(run(6)).unwrap().unwrap();
    assert!(half.first > 500 && half.last > 512);
    let kept = scope.select(&Select::session(run(6))).unwrap();
    assert_eq!(kept.first().unwrap().seq(), half.first.max(512));
    drop(scope);
    for newest_first in [false, true] {
        let select = Select { newest_first, limit: 7, ..Select::session(run(6)) };
        assert_eq!(house.pages(tenant(1), &select).len(), kept.len());
    }
    assert_eq!(house.scope(tenant(1)).pruned().unwrap().entries, 512);
}

/// Step by step comes to the same as at once.
pub fn it_goes_on_where_it_ended(place: &dyn Place) {
    let mut house = House::at(place);
    append_runs(&mut house, 1..12);
    let first = prune(&house, 256);
    let none = prune(&house, 300);
    let second = prune(&house, 1_024);
    assert_eq!((first.from, first.to), (0, 256));
    assert_eq!((none.from, none.to, none.removed), (256, 256, 0));
    assert_eq!((second.from, second.to), (256, 1_024));
    assert_eq!(first.removed + second.removed, 1_023, "all but the genesis");
    house.reopen();
    let scope = house.scope(tenant(1));
    assert!((0..1_100).all(|seq| scope.leaf(seq).unwrap().is_some()));
}

/// The log goes on as if nothing had happened.
pub fn a_pruned_log_is_written_on(place: &dyn Place) {
    let mut house = House::at(place);
    append_runs(&mut house, 1..6);
    prune(&house, 512);
    house.forget();
    append_runs(&mut house, 20..23);
    house.reopen();
    append_runs(&mut house, 30..31);
    let scope = house.scope(tenant(1));
    let tail = scope.tail().unwrap().unwrap();
    assert_eq!(tail.frontier.size(), 1 + 102 * 9);
    assert_eq!(cog_store::frontier(&*scope, tail.frontier.size()).unwrap(), tail.frontier);
}
