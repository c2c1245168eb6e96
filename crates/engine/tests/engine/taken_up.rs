//! What a run that waits or was broken off may rely on: its time counts from the ledger, and
//! nobody takes what it holds.

use cog_base::id::RunId;
use cog_engine::Input;
use cog_ledger::Kind;

use crate::house::House;

fn write(id: &str, path: &str) -> String {
    format!("  - {{ id: {id}, uses: file.write, with: {{ root: out, path: {path}, text: t }} }}\n")
}

fn receipts(house: &House, run: RunId) -> usize {
    house.records(run).iter().filter(|it| it.entry.kind() == Kind::Receipt).count()
}

#[test]
fn a_timer_counts_from_when_what_armed_it_is_durable() {
    let mut house = House::new();
    house.hold = true;
    let _run = house.start("  - { id: nap, sleep: { ms: 50 } }\n");
    assert!(house.timers.is_empty(), "nothing is armed by what may never be recorded");
    house.release();
    assert_eq!(house.ring(), [50]);
}

#[test]
fn a_run_that_is_taken_up_first_does_not_take_what_another_holds() {
    let mut house = House::new();
    let nap = "  - { id: nap, sleep: { ms: 1 } }\n";
    let late = write("late", "same").replace("uses", "needs: [nap], uses");
    let waits = house.start(&format!("{nap}{late}"));
    let holds = house.start(&write("early", "same"));
    house.ring();
    assert_eq!((receipts(&house, waits), receipts(&house, holds)), (0, 1));
    // The process dies with the effect under way. The run that waits is taken up before the one
    // that holds the file.
    house.restart();
    assert_eq!(receipts(&house, waits), 0, "nobody knows yet what became of the other's effect");
    let (run, receipt, _) = house.probes.pop_front().expect("somebody looks for its traces");
    let output = cog_base::Value::map([("path", "same")]);
    house.give(Input::Probed { run, receipt, found: cog_gate::Found::Done(output) });
    assert_eq!(receipts(&house, waits), 1);
}

#[test]
fn a_run_whose_time_is_over_begins_nothing_when_it_is_taken_up_again() {
    let mut house = House::new();
    let read = "uses: file.read, with: { root: out, path: a }";
    let run = house.start_with("budget: { minutes: 1 }", &format!("  - {{ id: a, {read} }}\n"));
    house.later(61_000);
    house.restart();
    let story = house.story(run);
    let expected = ["receipt", "evidence timer", "outcome abandoned 1", "session.sealed failed"];
    assert_eq!(story, expected);
    house.assert_replays(run);
}
