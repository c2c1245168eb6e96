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

/// A machine that stood still hears first of what it waited for, and then that the time is over.
#[test]
fn a_run_whose_time_is_over_begins_nothing_whatever_it_hears_of_first() {
    let next = [
        "uses: file.read, with: { root: out, path: a }",
        "approve: { by: [\"role:finance\"], message: Go on? }",
        "checkpoint: here",
        "choose: { goal: g, plans: [ { id: p, expect: { cost_micros: 1, latency_ms: 1, risk: low }, steps: [ { id: x, uses: file.read, with: { root: out, path: a } } ] } ] }",
    ];
    let undo =
        "on_cancel: { steps: [ { id: u, uses: file.delete, with: { root: out, path: a } } ] }";
    for next in next {
        let mut house = House::new();
        let first = write("a", "a").replace("uses", &format!("{undo}, uses"));
        let steps = format!("{first}  - {{ id: b, needs: [a], {next} }}\n");
        let run = house.start_with("budget: { minutes: 1 }\ncompensate_on: [failed]", &steps);
        house.later(60_000);
        house.done("a");
        house.done("undone");
        let story = [
            "receipt",
            "outcome completed 1",
            "evidence timer",
            "receipt",
            "outcome completed 1",
            "session.sealed failed",
        ];
        assert_eq!(house.story(run), story, "{next}");
        house.assert_replays(run);
    }
}

#[test]
fn that_the_time_of_a_run_is_over_is_on_record_once() {
    let mut house = House::new();
    let undo =
        "on_cancel: { steps: [ { id: u, uses: file.delete, with: { root: out, path: a } } ] }";
    let first = write("a", "a").replace("uses", &format!("{undo}, uses"));
    let steps = format!("{first}{}", write("b", "b").replace("uses", "needs: [a], uses"));
    let run = house.start_with("budget: { minutes: 1 }\ncompensate_on: [failed]", &steps);
    house.later(60_000);
    house.done("a");
    house.ring();
    house.done("undone");
    let times = house.story(run).iter().filter(|it| *it == "evidence timer").count();
    assert_eq!(times, 1, "{:?}", house.story(run));
    house.assert_replays(run);
}
