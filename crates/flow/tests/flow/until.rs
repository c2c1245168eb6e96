//! Sleeping until a time, and when a run began.

use cog_base::Value;
use cog_flow::{Run, Status};
use expect_test::expect;

use crate::diagnostics::check_steps;
use crate::harness::{World, flow, with_steps};

/// A world whose run began at noon.
fn at_noon(steps: &str) -> World {
    let flow = flow(&with_steps(steps));
    assert!(flow.tells_start);
    let facts = [("started_at".to_owned(), Value::from("2026-11-21T12:00:00.000000Z"))];
    let (run, actions) = Run::start_as(flow, Default::default(), facts.into());
    World { run, actions }
}

#[test]
fn a_step_sleeps_until_a_time_with_any_offset() {
    let mut world =
        World::start(&with_steps("- { id: nap, sleep: { until: \"2026-12-24T18:00:00+01:00\" } }"));
    world.expect(&["arm nap until 2026-12-24T17:00:00.000000Z"]);
    assert_eq!(world.status(), Status::Running);
    world.due("nap");
    world.expect(&["finish completed"]);
}

#[test]
fn when_the_run_began_is_a_fact_that_expressions_may_reckon_from() {
    let steps = "
- id: nap
  sleep: { until: \"${{ run.started_at.substring(0, 11) + '18:00:00Z' }}\" }";
    let mut world = at_noon(steps);
    world.expect(&["arm nap until 2026-11-21T18:00:00.000000Z"]);
    world.due("nap");
    world.expect(&["finish completed"]);
    assert!(world.run.has_moved(), "it waited for longer than a second");
    // Of a time that is over before the run begins a chain may not spin.
    let mut world = at_noon(&steps.replace("18:00:00Z", "12:00:00Z"));
    world.due("nap");
    assert!(!world.run.has_moved());
}

#[test]
fn what_is_no_time_fails_the_step() {
    let mut world = at_noon("- { id: nap, sleep: { until: \"${{ run.started_at + 'x' }}\" } }");
    world.expect(&["fell nap expression", "finish failed: nap expression"]);
}

#[test]
fn a_file_that_does_not_ask_is_not_told_when_its_run_began() {
    assert!(!flow(&with_steps("- { id: nap, sleep: { ms: 1 } }")).tells_start);
}

#[test]
fn what_is_wrong_with_the_sleep() {
    check_steps(
        "- { id: a, sleep: {} }\n- { id: b, sleep: { ms: 1, until: x } }\n- { id: c, sleep: { until: tomorrow } }\n- { id: d, sleep: { until: \"${{ 'a' + 'b' }}\" } }",
        expect![[r#"
            pay.yaml:5:21: `sleep` needs one of `ms` and `until`
             5 |   - { id: a, sleep: {} }
               |                     ^
               = hint: such as `{ ms: 60000 }` or `{ until: "2026-12-24T18:00:00Z" }`

            pay.yaml:6:21: `sleep` needs one of `ms` and `until`
             6 |   - { id: b, sleep: { ms: 1, until: x } }
               |                     ^
               = hint: such as `{ ms: 60000 }` or `{ until: "2026-12-24T18:00:00Z" }`

            pay.yaml:7:30: `until` must be a time
             7 |   - { id: c, sleep: { until: tomorrow } }
               |                              ^
               = hint: such as 2026-12-24T18:00:00Z

            pay.yaml:8:30: `until` must be a time, this always comes to a string
             8 |   - { id: d, sleep: { until: "${{ 'a' + 'b' }}" } }
               |                              ^
        "#]],
    );
}
