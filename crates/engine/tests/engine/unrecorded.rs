//! Appends that fail: the run stops where its ledger ends, and what the gate held for what was
//! never recorded is free for others.

use cog_engine::What;

use crate::house::House;

const WRITE: &str =
    "  - { id: a, uses: file.write, with: { root: out, path: same, text: b, mode: replace } }\n";

fn stopped(house: &House) -> usize {
    house.notices.iter().filter(|notice| matches!(notice.what, What::Stopped { .. })).count()
}

#[test]
fn what_an_unrecorded_receipt_held_is_free_for_others() {
    let mut house = House::new();
    house.no_space = true;
    house.start(WRITE);
    assert!(house.under_way.is_empty() && house.engine.open_runs() == 0);
    assert_eq!(stopped(&house), 1);
    let other = house.start(WRITE);
    house.done("written");
    house.assert_replays(other);
}

/// Who waited for the lease of a receipt that was never recorded goes on at once.
#[test]
fn who_waited_for_it_goes_on() {
    let mut house = House::new();
    house.hold = true;
    let first = house.start(WRITE);
    let other = house.start(WRITE);
    assert!(house.story(first).is_empty() && house.under_way.is_empty());
    house.no_space = true;
    house.release();
    assert_eq!((stopped(&house), house.engine.open_runs()), (1, 1));
    house.done("written");
    house.assert_replays(other);
}

/// An effect that is under way when its run stops keeps its lease until it is over.
#[test]
fn what_is_under_way_keeps_its_lease_until_it_is_over() {
    let mut house = House::new();
    let read = "  - { id: b, uses: file.read, with: { root: out, path: b } }\n";
    let first = house.start(&format!("{WRITE}{read}"));
    let write = house.next();
    house.no_space = true;
    house.done("read");
    assert_eq!((stopped(&house), house.engine.open_runs()), (1, 0));
    let other = house.start(WRITE);
    assert!(house.under_way.is_empty(), "the first may still write");
    house.under_way.push_front(write);
    house.done("written");
    assert_eq!(house.under_way.len(), 1);
    house.done("written");
    house.assert_replays(other);
    assert!(!house.story(first).iter().any(|line| line.starts_with("outcome")));
}
