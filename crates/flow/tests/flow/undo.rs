//! Undoing runs that did not complete, one rule at a time.

use cog_flow::{Event, Status};

use crate::harness::{World, with_steps};

/// Three bookings one after the other, each with what undoes it.
fn trip(more: &str) -> String {
    let book = |id: &str, needs: &str| {
        format!(
            "- id: {id}\n  needs: [{needs}]\n  uses: file.write\n  with: {{ root: in, path: {id}, text: book }}\n  \
             on_cancel:\n    steps:\n      - {{ id: undo, uses: file.delete, with: {{ root: in, path: \"${{{{ steps.{id}.output.path }}}}\" }} }}\n"
        )
    };
    with_steps(&(book("flight", "") + &book("hotel", "flight") + &book("car", "hotel"))) + more
}

fn cancel(world: &mut World) {
    world.apply(Event::Cancelled { reason: "enough".into() }).unwrap();
}

#[test]
fn a_cancelled_run_is_undone_the_last_step_first_and_one_after_the_other() {
    let mut world = World::start(&trip(""));
    world.complete("flight", r#"{"path":"f1"}"#);
    world.complete("hotel", r#"{"path":"h1"}"#);
    world.lines();
    cancel(&mut world);
    world.expect(&["cancel car"]);
    world.fail("car", "cancelled");
    world.expect(&["perform hotel.on_cancel.undo"]);
    assert_eq!(world.status(), Status::Running);
    world.complete("hotel.on_cancel.undo", "1");
    world.expect(&["perform flight.on_cancel.undo"]);
    world.complete("flight.on_cancel.undo", "1");
    world.expect(&["finish cancelled: - cancelled"]);
}

#[test]
fn what_was_done_although_it_was_cancelled_is_undone_too() {
    let mut world = World::start(&trip(""));
    world.lines();
    cancel(&mut world);
    world.expect(&["cancel flight"]);
    world.complete("flight", r#"{"path":"f1"}"#);
    world.expect(&["perform flight.on_cancel.undo"]);
}

#[test]
fn nothing_completed_nothing_undone() {
    let mut world = World::start(&trip(""));
    world.lines();
    cancel(&mut world);
    world.lines();
    world.fail("flight", "cancelled");
    world.expect(&["finish cancelled: - cancelled"]);
}

#[test]
fn a_failed_run_is_undone_only_where_the_flow_says_so() {
    for (more, undone) in
        [("", false), ("compensate_on: [failed]\n", true), ("compensate_on: [refused]\n", false)]
    {
        let mut world = World::start(&trip(more));
        world.complete("flight", r#"{"path":"f1"}"#);
        world.lines();
        world.fail("hotel", "full");
        if undone {
            world.expect(&["perform flight.on_cancel.undo"]);
            world.complete("flight.on_cancel.undo", "1");
        }
        world.expect(&["finish failed: hotel full"]);
    }
}

#[test]
fn a_refused_run_is_undone_where_the_flow_says_so() {
    let mut world = World::start(&trip("compensate_on: [failed, refused]\n"));
    world.complete("flight", r#"{"path":"f1"}"#);
    world.lines();
    world.refuse("hotel", "rule");
    world.expect(&["perform flight.on_cancel.undo"]);
}

#[test]
fn what_cannot_be_undone_is_named_and_the_rest_is_undone_all_the_same() {
    let mut world = World::start(&trip(""));
    world.complete("flight", r#"{"path":"f1"}"#);
    world.complete("hotel", r#"{"path":"h1"}"#);
    cancel(&mut world);
    world.fail("car", "cancelled");
    world.fail("hotel.on_cancel.undo", "gone");
    world.complete("flight.on_cancel.undo", "1");
    let Some(cog_flow::Action::Finish { status, error: Some(error), .. }) = world.actions.last()
    else {
        panic!("{:?}", world.actions)
    };
    assert_eq!(*status, Status::Cancelled);
    assert_eq!(
        error.to_string(),
        r#"{"code":"cancelled","message":"enough","not_undone":[{"code":"gone","message":"gone!","step":"hotel.on_cancel.undo","transient":false}],"undone":1}"#
    );
}

#[test]
fn a_run_that_is_being_undone_is_not_cancelled_again() {
    let mut world = World::start(&trip("compensate_on: [failed]\n"));
    world.complete("flight", r#"{"path":"f1"}"#);
    world.fail("hotel", "full");
    for event in [Event::Cancelled { reason: "x".into() }, Event::OverBudget { reason: "x".into() }]
    {
        let error = world.apply(event).unwrap_err().to_string();
        assert!(error.ends_with("the run is being ended already"), "{error}");
    }
}

#[test]
fn a_completed_run_is_not_undone() {
    let mut world = World::start(&trip("compensate_on: [failed, refused]\n"));
    for step in ["flight", "hotel", "car"] {
        world.complete(step, r#"{"path":"x"}"#);
    }
    assert_eq!(world.lines().last().unwrap(), "finish completed");
}

#[test]
fn the_steps_of_the_flow_come_last_and_see_what_became_of_the_others() {
    let more = "on_cancel:\n  steps:\n    - { id: note, uses: file.write, with: { root: in, path: log, text: \"${{ steps.flight.status }} ${{ steps.car.status }}\" } }\n";
    let mut world = World::start(&trip(more));
    world.complete("flight", r#"{"path":"f1"}"#);
    world.lines();
    cancel(&mut world);
    world.fail("hotel", "cancelled");
    world.complete("flight.on_cancel.undo", "1");
    world.expect(&["cancel hotel", "perform flight.on_cancel.undo", "perform on_cancel.note"]);
    world.complete("on_cancel.note", "1");
    world.expect(&["finish cancelled: - cancelled"]);
}

#[test]
fn items_and_steps_of_groups_are_undone_and_see_what_they_saw() {
    let text = with_steps(
        "- id: all\n  foreach: [\"a\", \"b\"]\n  steps:\n    - id: one\n      uses: file.write\n      with: { root: in, path: \"${{ item }}\", text: x }\n      \
         on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: in, path: \"${{ item }}-${{ steps.one.output.id }}\" } } ] }\n\
         - { id: wait, needs: [all], uses: file.read, with: { root: in, path: x } }",
    );
    let mut world = World::start(&text);
    world.complete("all[0].one", r#"{"id":"x0"}"#);
    world.complete("all[1].one", r#"{"id":"x1"}"#);
    world.lines();
    cancel(&mut world);
    world.fail("wait", "cancelled");
    let path = |world: &mut World| match world.actions.pop() {
        Some(cog_flow::Action::Perform { with, .. }) => with.get("path").unwrap().to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(path(&mut world), r#""b-x1""#);
    world.complete("all[1].one.on_cancel.undo", "1");
    assert_eq!(path(&mut world), r#""a-x0""#);
    world.complete("all[0].one.on_cancel.undo", "1");
    assert_eq!(world.status(), Status::Cancelled);
}

#[test]
fn what_undoes_a_completed_group_stands_for_what_undoes_its_steps() {
    let text = with_steps(
        "- id: trip\n  steps:\n    - { id: a, uses: file.read, with: { root: in, path: x }, on_cancel: { steps: [ { id: u, uses: file.read, with: { root: in, path: x } } ] } }\n  \
         on_cancel: { steps: [ { id: u, uses: file.read, with: { root: in, path: x } } ] }\n\
         - { id: wait, needs: [trip], sleep: { ms: 5 } }",
    );
    let mut world = World::start(&text);
    world.lines();
    let mut early = World::start(&text);
    early.lines();
    cancel(&mut early);
    early.complete("trip.a", "1");
    early.expect(&["cancel trip.a", "perform trip.a.on_cancel.u"]);
    world.complete("trip.a", "1");
    cancel(&mut world);
    world.complete("trip.on_cancel.u", "1");
    world.expect(&[
        "arm wait 5",
        "cancel wait",
        "perform trip.on_cancel.u",
        "finish cancelled: - cancelled",
    ]);
}
