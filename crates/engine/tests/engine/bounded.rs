//! Groups whose time is over: its place in the log, crashes, forks and replay.

use crate::house::House;

const GROUP: &str = "
  - id: g
    timeout_ms: 60000
    on_error: continue
    steps:
      - { id: a, uses: file.write, with: { root: out, path: a, text: x } }
      - { id: go, needs: [a], wait_for: { signal: go } }
  - { id: b, needs: [g], uses: file.write, with: { root: out, path: b, text: \"${{ steps.g.error.code }}\" } }
";
const LATE: [&str; 6] = [
    "receipt",
    "outcome completed 1",
    "evidence timer",
    "receipt",
    "outcome completed 1",
    "session.sealed completed",
];

#[test]
fn the_time_of_a_group_counts_from_its_beginning_and_its_end_stands_in_the_log() {
    let mut house = House::new();
    let run = house.start(GROUP);
    house.done("a");
    house.later(60_000);
    assert_eq!(house.ring(), [60_000]);
    house.done("b");
    assert_eq!(house.story(run), LATE);
    house.assert_replays(run);
}

#[test]
fn who_takes_the_run_over_counts_on_and_begins_nothing_that_is_too_late() {
    for late in [false, true] {
        let mut house = House::new();
        let run = house.start(GROUP);
        house.done("a");
        house.later(if late { 61_000 } else { 59_000 });
        house.restart();
        if !late {
            assert_eq!(house.story(run).len(), 2);
            house.later(1_000);
            assert_eq!(house.ring(), [1_000]);
        }
        house.done("b");
        assert_eq!(house.story(run), LATE, "late: {late}");
        house.assert_replays(run);
    }
}

#[test]
fn an_effect_under_way_is_waited_for_and_its_retries_are_over() {
    let mut house = House::new();
    let run = house.start(GROUP);
    house.later(60_000);
    house.ring();
    assert!(house.sealed(run).is_none());
    house.done("a all the same");
    house.done("b");
    let story = ["receipt", "evidence timer", "outcome completed 1"];
    assert_eq!(house.story(run), [&story[..], &LATE[3..]].concat());
    house.assert_replays(run);
}

#[test]
fn in_a_run_that_goes_on_from_it_the_time_of_an_open_group_counts_anew() {
    let mut house = House::new();
    let run = house.start(GROUP);
    house.done("a");
    house.later(50_000);
    let fork = house.fork(run, "g.go", &[]);
    house.later(60_000);
    assert_eq!(house.ring(), [60_000, 60_000]);
    house.done("b");
    house.done("b");
    assert_eq!(house.story(fork), LATE[2..]);
    house.assert_replays(run);
    house.assert_replays(fork);
}
