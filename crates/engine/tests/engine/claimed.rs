//! Runs that were open when a process died: what they may have under way is known before they are.

use cog_base::id::RunId;
use cog_engine::{Input, Resumption};
use cog_gate::Found;
use cog_ledger::Kind;

use crate::house::House;

const SHARED: &str =
    "  - { id: only, uses: file.write, with: { root: out, path: shared, text: x } }\n";

/// A run has an effect under way when its process dies. The next one is asked for the same thing.
fn wanted_twice(house: &mut House) -> (RunId, RunId) {
    let late = house.start(SHARED);
    assert_eq!(house.under_way.len(), 1);
    house.restart_without_runs(true);
    let early = house.start(SHARED);
    assert!(house.under_way.is_empty(), "two at once write the same");
    assert_eq!(house.story(early), ["session.started"; 0]);
    (late, early)
}

#[test]
fn what_a_run_has_under_way_is_held_before_it_is_there() {
    let mut house = House::new();
    let (late, early) = wanted_twice(&mut house);
    let records = house.records(late);
    house.give(Input::Resume(Box::new(Resumption { records, kin: Vec::new(), cancel: None })));
    let (run, receipt, _) = house.probes.pop_front().unwrap();
    assert!(house.under_way.is_empty(), "nobody knows what became of the first");
    let output = cog_base::Value::map([("path", "shared")]);
    house.give(Input::Probed { run, receipt, found: Found::Done(output) });
    house.done("x");
    assert_eq!(house.story(late).last().unwrap(), "session.sealed completed");
    assert_eq!(house.story(early).last().unwrap(), "session.sealed completed");
}

#[test]
fn what_a_run_holds_is_free_when_it_stays_behind() {
    let mut house = House::new();
    let (late, early) = wanted_twice(&mut house);
    let receipts = house.records(late);
    let receipts = receipts.iter().filter(|it| it.entry.kind() == Kind::Receipt);
    let receipts: Vec<_> = receipts.filter_map(|it| it.entry.id()?.parse().ok()).collect();
    house.give(Input::Unclaim(receipts));
    house.done("x");
    assert_eq!(house.story(early).last().unwrap(), "session.sealed completed");
}

#[test]
fn nobody_takes_from_a_run_that_is_there_what_it_holds() {
    let mut house = House::new();
    let run = house.start(SHARED);
    let receipt = house.under_way.front().unwrap().cleared.idempotency_key();
    house.give(Input::Unclaim(vec![receipt]));
    house.start(SHARED);
    assert_eq!(house.under_way.len(), 1, "{run} holds it still");
}
