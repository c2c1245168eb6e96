//! Sleeping until a time: what the log says, and who takes the run over.

use cog_base::Timestamp;

use crate::house::House;

/// At two minutes past noon.
const NAP: &str = "
  - id: nap
    sleep: { until: \"${{ run.started_at.substring(0, 11) + '12:02:00Z' }}\" }
  - { id: a, needs: [nap], uses: file.write, with: { root: out, path: a, text: \"${{ run.started_at }}\" } }
";

#[test]
fn a_run_sleeps_until_a_time_also_when_it_is_taken_over() {
    for restarts in [false, true] {
        let mut house = House::new();
        let began = house.now();
        let run = house.start(NAP);
        let until: Timestamp = "2026-11-24T12:02:00.000000Z".parse().unwrap();
        let left = until.ms_since(began);
        house.later(100_000);
        if restarts {
            house.restart();
        }
        let waits = house.ring();
        let wanted = if restarts { left - 100_000 } else { left };
        assert!(matches!(waits.as_slice(), [ms] if ms.abs_diff(wanted) <= 1), "{waits:?} {wanted}");
        house.done("a");
        let story =
            ["evidence timer", "receipt", "outcome completed 1", "session.sealed completed"];
        assert_eq!(house.story(run), story);
        house.assert_replays(run);
        let body = house.records(run).remove(0).body.unwrap();
        assert_eq!(body.get("started_at"), Some(&began.into()));
    }
}

#[test]
fn a_run_that_goes_on_from_another_began_when_it_began_itself() {
    let mut house = House::new();
    let run = house.start(NAP);
    house.later(60_000);
    let began = house.now();
    let fork = house.fork(run, "nap", &[]);
    house.ring();
    house.done("a");
    house.done("a");
    for run in [run, fork] {
        house.assert_replays(run);
    }
    let body = house.records(fork).remove(0).body.unwrap();
    assert_eq!(body.get("started_at"), Some(&began.into()));
}
