//! `repeat`, one rule at a time.

use cog_flow::{Event, Status};
use expect_test::expect;

use crate::diagnostics::check_steps;
use crate::harness::{World, path, with_steps};

const POLL: &str = "
- id: poll
  repeat: { until: steps.ask.output.ready, most: MOST, every_ms: 5000 }
  on_error: ON_ERROR
  steps:
    - { id: ask, uses: file.read, with: { root: in, path: \"p${{ index }}\" } }
- { id: c, needs: [poll], uses: compute, with: { of: \"${{ steps.poll.output }}\", error: \"${{ steps.poll.error }}\" } }";

fn poll(most: u32, on_error: &str) -> World {
    let text = POLL.replace("MOST", &most.to_string()).replace("ON_ERROR", on_error);
    World::start(&with_steps(&text))
}

fn output(world: &World, step: &str) -> String {
    let found = world.run.steps().find(|it| it.path.as_str() == step);
    found.map(|it| it.output.to_string()).unwrap_or_default()
}

#[test]
fn rounds_come_one_after_the_other_until_it_holds() {
    let mut world = poll(9, "fail");
    world.expect(&["perform poll[0].ask"]);
    world.complete("poll[0].ask", r#"{"ready":false}"#);
    world.expect(&["arm poll[1] 5000"]);
    assert_eq!(world.status(), Status::Running);
    world.due("poll[1]");
    world.expect(&["perform poll[1].ask"]);
    world.complete("poll[1].ask", r#"{"ready":true}"#);
    world.expect(&["finish completed"]);
    expect![[r#"{"error":null,"of":{"rounds":2,"steps":{"ask":{"error":null,"output":{"ready":true},"status":"completed"}}}}"#]]
        .assert_eq(&output(&world, "c"));
    assert!(world.apply(Event::Due { timer: path("poll[2]") }).is_err(), "there is no third");
}

#[test]
fn a_first_round_may_be_the_last() {
    let mut world = poll(1, "fail");
    world.lines();
    world.complete("poll[0].ask", r#"{"ready":true}"#);
    world.expect(&["finish completed"]);
}

#[test]
fn behind_the_last_round_that_there_may_be_the_group_fails() {
    for (on_error, end) in
        [("fail", "finish failed: poll repeat.most"), ("continue", "finish completed")]
    {
        let mut world = poll(2, on_error);
        world.complete("poll[0].ask", r#"{"ready":false}"#);
        world.due("poll[1]");
        world.lines();
        world.complete("poll[1].ask", r#"{"ready":false}"#);
        world.expect(&["fell poll repeat.most", end]);
    }
}

#[test]
fn a_fall_inside_is_one_of_the_group_and_there_is_no_other_round() {
    let mut world = poll(9, "continue");
    world.lines();
    world.fail("poll[0].ask", "busy");
    world.expect(&["finish completed"]);
    expect![[r#"{"error":{"code":"busy","message":"busy!","step":"poll[0].ask","transient":false},"of":{"rounds":1,"steps":{"ask":{"error":{"code":"busy","message":"busy!","transient":false},"output":null,"status":"failed"}}}}"#]]
        .assert_eq(&output(&world, "c"));
}

#[test]
fn what_is_not_true_or_false_fails_the_group() {
    let mut world = poll(9, "fail");
    world.lines();
    world.complete("poll[0].ask", r#"{"ready":7}"#);
    world.expect(&["fell poll expression", "finish failed: poll expression"]);
}

#[test]
fn a_round_sees_what_the_one_before_came_to() {
    let mut world = World::start(&with_steps(
        "
- id: count
  repeat: { until: \"steps.sum.output.of >= 10\", most: 20 }
  steps:
    - { id: sum, uses: compute, with: { of: \"${{ item == null ? 1 : item.steps.sum.output.of + index }}\" } }
- { id: c, needs: [count], uses: compute, with: { of: \"${{ steps.count.output.steps.sum.output.of }}\", rounds: \"${{ steps.count.output.rounds }}\" } }",
    ));
    world.expect(&["finish completed"]);
    // 1, and 1, 2, 3, 4 more.
    expect![[r#"{"of":11,"rounds":5}"#]].assert_eq(&output(&world, "c"));
}

#[test]
fn the_time_of_all_rounds_counts_between_them_too() {
    let mut world = World::start(&with_steps(
        "
- id: poll
  timeout_ms: 60000
  repeat: { until: steps.ask.output.ready, most: 9, every_ms: \"${{ 1000 * (index + 1) }}\" }
  steps:
    - { id: ask, uses: file.read, with: { root: in, path: p } }",
    ));
    world.expect(&["bound poll 60000", "perform poll[0].ask"]);
    world.complete("poll[0].ask", r#"{"ready":false}"#);
    world.due("poll[1]");
    world.complete("poll[1].ask", r#"{"ready":false}"#);
    world.expect(&["arm poll[1] 1000", "perform poll[1].ask", "arm poll[2] 2000"]);
    world.due("poll");
    world.expect(&["cancel poll[2]", "finish failed: poll timeout"]);
    assert!(output(&world, "poll").contains("\"rounds\":2"));
}

#[test]
fn a_run_that_is_cancelled_between_two_rounds_undoes_those_that_were() {
    let mut world = World::start(&with_steps(
        "
- id: poll
  repeat: { until: \"index == 7\", most: 9, every_ms: 10 }
  steps:
    - id: put
      uses: file.write
      with: { root: in, path: \"p${{ index }}\", text: x }
      on_cancel: { steps: [ { id: drop, uses: file.delete, with: { root: in, path: \"p${{ index }}\" } } ] }",
    ));
    for round in 0..2 {
        world.complete(&format!("poll[{round}].put"), "{}");
        if round == 0 {
            world.due("poll[1]");
        }
    }
    world.lines();
    world.must(Event::Cancelled { reason: "enough".into() });
    world.expect(&["cancel poll[2]", "perform poll[1].put.on_cancel.drop"]);
    world.complete("poll[1].put.on_cancel.drop", "{}");
    world.expect(&["perform poll[0].put.on_cancel.drop"]);
    world.complete("poll[0].put.on_cancel.drop", "{}");
    world.expect(&["finish cancelled: - cancelled"]);
}

#[test]
fn what_undoes_the_group_stands_for_all_rounds() {
    let mut world = World::start(&with_steps(
        "
- id: poll
  repeat: { until: \"index == 1\", most: 9 }
  on_cancel: { steps: [ { id: all, uses: file.delete, with: { root: in, path: all } } ] }
  steps:
    - id: put
      uses: file.write
      with: { root: in, path: \"p${{ index }}\", text: x }
      on_cancel: { steps: [ { id: drop, uses: file.delete, with: { root: in, path: \"p${{ index }}\" } } ] }
- { id: nap, needs: [poll], sleep: { ms: 5 } }",
    ));
    world.complete("poll[0].put", "{}");
    world.complete("poll[1].put", "{}");
    world.lines();
    world.must(Event::Cancelled { reason: "enough".into() });
    world.expect(&["cancel nap", "perform poll.on_cancel.all"]);
}

#[test]
fn rounds_stand_inside_items_and_items_inside_rounds() {
    let mut world = World::start(&with_steps(
        "
- id: each
  foreach: [a, b]
  max_parallel: 1
  steps:
    - { id: name, uses: compute, with: { of: \"${{ item }}\" } }
    - id: poll
      needs: [name]
      repeat: { until: \"index == 1\", most: 2 }
      steps:
        - id: part
          foreach: [1, 2]
          max_parallel: 1
          uses: file.read
          with: { root: in, path: \"${{ steps.name.output.of }}${{ item }}\" }",
    ));
    let mut seen = Vec::new();
    loop {
        let Some(step) = world.run.open_steps().next().map(ToString::to_string) else { break };
        world.complete(&step, "{}");
        seen.push(step);
    }
    let expected: Vec<String> =
        (0..8).map(|n| format!("each[{}].poll[{}].part[{}]", n / 4, n / 2 % 2, n % 2)).collect();
    assert_eq!(seen, expected);
    assert_eq!(world.status(), Status::Completed);
}

#[test]
fn rounds_without_end_end_with_the_most_there_are() {
    let mut world = World::start(&with_steps(
        "
- id: spin
  repeat: { until: false, most: 10000 }
  steps:
    - { id: one, uses: compute, with: { of: \"${{ index }}\" } }",
    ));
    world.expect(&["fell spin repeat.most", "finish failed: spin repeat.most"]);
    assert_eq!(world.run.steps().count(), 10_001);
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    check_steps(
        "
- id: a
  repeat: { until: steps.b.output.x }
  steps: [ { id: b, uses: compute, with: { x: \"${{ item }}\" } } ]
- id: c
  foreach: [1]
  repeat: { until: true, most: 0 }
  steps: [ { id: d, uses: compute, with: { x: 1 } } ]
- { id: e, repeat: { until: true, most: 1 }, uses: compute, with: { x: 1 } }
- id: f
  repeat: { until: \"steps.f.output.x\", most: 10001, every_ms: -1 }
  on_error: { steps: [ { id: h, uses: compute, with: { x: \"${{ index }}\" } } ] }
  steps: [ { id: g, uses: compute, with: { x: 1 } } ]",
        expect![[r#"
            pay.yaml:6:13: `repeat` needs `most`
             6 |     repeat: { until: steps.b.output.x }
               |             ^
               = hint: add a line `most: …`

            pay.yaml:10:5: `repeat` and `foreach` do not go together
             10 |     repeat: { until: true, most: 0 }
                |     ^
               = hint: put one of the two on a group inside the other

            pay.yaml:10:34: `most` must be from 1 to 10000, this is 0
             10 |     repeat: { until: true, most: 0 }
                |                                  ^
               = hint: write a whole number within these bounds

            pay.yaml:12:14: `repeat` means nothing here; it goes with `steps`
             12 |   - { id: e, repeat: { until: true, most: 1 }, uses: compute, with: { x: 1 } }
                |              ^
               = hint: leave it out

            pay.yaml:14:28: the step `f` is not done while it runs
             14 |     repeat: { until: "steps.f.output.x", most: 10001, every_ms: -1 }
                |                            ^
               = hint: a step cannot read its own output; only its handlers can

            pay.yaml:14:48: `most` must be from 1 to 10000, this is 10001
             14 |     repeat: { until: "steps.f.output.x", most: 10001, every_ms: -1 }
                |                                                ^
               = hint: write a whole number within these bounds

            pay.yaml:14:65: `every_ms` must be from 0 to 31622400000, this is -1
             14 |     repeat: { until: "steps.f.output.x", most: 10001, every_ms: -1 }
                |                                                                 ^
               = hint: write a whole number within these bounds

            pay.yaml:15:66: `item` and `index` are bound only inside a `foreach` or a `repeat`
             15 |     on_error: { steps: [ { id: h, uses: compute, with: { x: "${{ index }}" } } ] }
                |                                                                  ^
               = hint: its own `if` is decided before it
        "#]],
    );
}
