//! `timeout_ms` of a group, one rule at a time.

use cog_flow::{Event, Status};
use expect_test::expect;

use crate::diagnostics::check_steps;
use crate::harness::{World, path, with_steps};

const GROUP: &str = "
- id: g
  timeout_ms: 5000
  on_error: ON_ERROR
  steps:
    - { id: a, uses: file.read, with: { root: in, path: a } }
    - { id: nap, needs: [a], sleep: { ms: 100 } }
    - { id: b, needs: [nap], uses: file.read, with: { root: in, path: b } }
- { id: c, needs: [g], uses: compute, with: { of: \"${{ steps.g.error }}\", a: \"${{ steps.g.output.steps.a.status }}\" } }";

fn group(on_error: &str) -> World {
    World::start(&with_steps(&GROUP.replace("ON_ERROR", on_error)))
}

#[test]
fn what_is_over_in_time_is_as_without_a_bound() {
    let mut world = group("fail");
    world.expect(&["bound g 5000", "perform g.a"]);
    world.complete("g.a", "{}");
    world.due("g.nap");
    world.expect(&["arm g.nap 100", "perform g.b"]);
    world.complete("g.b", "{}");
    world.expect(&["unbound g", "finish completed"]);
    assert!(world.apply(Event::Due { timer: path("g") }).is_err(), "nobody waits for it");
}

#[test]
fn what_is_under_way_is_stopped_and_waited_for_and_nothing_new_begins() {
    let mut world = group("fail");
    world.lines();
    world.due("g");
    world.expect(&["cancel g.a"]);
    assert_eq!(world.status(), Status::Running);
    world.complete("g.a", "{}");
    world.expect(&["finish failed: g timeout"]);
    world.expect_steps(&["g failed", "c skipped", "g.a completed", "g.nap skipped", "g.b skipped"]);
}

#[test]
fn a_timer_inside_is_stopped_with_it_and_a_handler_has_its_say() {
    let mut world = group("continue");
    world.complete("g.a", "{}");
    world.lines();
    world.due("g");
    world.expect(&["cancel g.nap", "finish completed"]);
    let c = world.run.steps().find(|step| step.path.as_str() == "c").unwrap().output.to_string();
    expect![[r#"{"a":"completed","of":{"code":"timeout","message":"it took longer than 5000 ms","transient":false}}"#]]
        .assert_eq(&c);
}

#[test]
fn the_handler_of_a_group_is_not_bounded_by_it() {
    let mut world = group("{ steps: [ { id: h, uses: file.read, with: { root: in, path: h } } ] }");
    world.complete("g.a", "{}");
    world.due("g");
    world.lines();
    assert!(world.apply(Event::Due { timer: path("g") }).is_err());
    world.complete("g.on_error.h", "{}");
    world.expect(&["finish completed"]);
}

#[test]
fn a_group_that_falls_by_itself_has_its_own_error() {
    let mut world = World::start(&with_steps(
        "
- id: g
  timeout_ms: 5000
  steps:
    - { id: a, uses: file.read, with: { root: in, path: a } }
    - { id: b, uses: file.read, with: { root: in, path: b } }",
    ));
    world.lines();
    world.fail("g.a", "file.not_found");
    world.expect(&["unbound g", "cancel g.b"]);
    assert!(world.apply(Event::Due { timer: path("g") }).is_err());
    world.complete("g.b", "{}");
    world.expect(&["finish failed: g.a file.not_found"]);
}

#[test]
fn each_item_has_its_own_time() {
    let mut world = World::start(&with_steps(
        "
- id: each
  foreach: [1, 2]
  on_error: continue
  timeout_ms: 70
  steps:
    - { id: a, approve: { by: [\"user:cfo\"], message: ok? } }",
    ));
    world.expect(&[
        "bound each[0] 70",
        "bound each[1] 70",
        "ask each[0].a: ok?",
        "ask each[1].a: ok?",
    ]);
    assert_eq!(world.status(), Status::Waiting);
    world.due("each[1]");
    world.expect(&["cancel each[1].a"]);
    world.approve("each[0].a");
    world.expect(&["unbound each[0]", "finish completed"]);
    world.expect_steps(&[
        "each completed",
        "each[0] completed",
        "each[1] failed",
        "each[0].a completed",
        "each[1].a skipped",
    ]);
}

#[test]
fn who_ends_the_run_ends_the_time_as_well() {
    let mut world = group("fail");
    world.lines();
    world.must(Event::Cancelled { reason: "enough".into() });
    world.expect(&["unbound g", "cancel g.a"]);
    assert!(world.apply(Event::Due { timer: path("g") }).is_err());
}

#[test]
fn what_is_wrong_with_the_time() {
    check_steps(
        "- { id: a, timeout_ms: 0, steps: [ { id: b, uses: compute, timeout_ms: 5, with: { x: 1 } } ] }",
        expect![[r#"
            pay.yaml:5:26: `timeout_ms` must be from 1 to 31622400000, this is 0
             5 |   - { id: a, timeout_ms: 0, steps: [ { id: b, uses: compute, timeout_ms: 5, with: { x: 1 } } ] }
               |                          ^
               = hint: write a whole number within these bounds

            pay.yaml:5:62: `timeout_ms` means nothing here; it goes with an effect or `steps`
             5 |   - { id: a, timeout_ms: 0, steps: [ { id: b, uses: compute, timeout_ms: 5, with: { x: 1 } } ] }
               |                                                              ^
               = hint: leave it out
        "#]],
    );
}
