//! Steps that give their place a name.

use cog_flow::{Event, Status};
use expect_test::expect;

use crate::diagnostics::check_steps;
use crate::harness::{World, path, with_steps};

const STEPS: &str = "
- { id: nap, sleep: { ms: 5 } }
- { id: here, needs: [nap], checkpoint: half-way }
- { id: end, needs: [here], sleep: { ms: 7 } }";

#[test]
fn a_place_is_named_when_it_is_reached_and_then_the_run_goes_on() {
    let mut world = World::start(&with_steps(STEPS));
    world.expect(&["arm nap 5"]);
    world.due("nap");
    world.expect(&["mark here half-way"]);
    world.must(Event::Marked { step: path("here") });
    world.expect(&["arm end 7"]);
    assert_eq!(world.status(), Status::Running);
    world.due("end");
    world.expect(&["finish completed"]);
}

#[test]
fn what_is_not_reached_is_not_named_and_what_is_stopped_neither() {
    let skipped = STEPS.replace("needs: [nap], checkpoint", "if: \"1 > 2\", checkpoint");
    let mut world = World::start(&with_steps(&skipped));
    world.expect(&["arm nap 5", "arm end 7"]);
    let mut world = World::start(&with_steps(STEPS));
    world.due("nap");
    world.lines();
    world.must(Event::Cancelled { reason: "enough".into() });
    world.expect(&["cancel here", "finish cancelled: - cancelled"]);
}

#[test]
fn a_name_is_a_word_that_no_other_step_gives() {
    check_steps(
        "- { id: a, checkpoint: Half way }",
        expect![[r#"
        pay.yaml:5:26: `Half way` is not a checkpoint: a-z first, then a-z, 0-9, `_` and `-`, at most 64
         5 |   - { id: a, checkpoint: Half way }
           |                          ^
           = hint: did you mean `half-way`?
    "#]],
    );
    check_steps(
        "- { id: a, checkpoint: \"${{ inputs.who }}\" }",
        expect![[r#"
        pay.yaml:5:26: `${{ inputs.who }}` is not a checkpoint: a-z first, then a-z, 0-9, `_` and `-`, at most 64
         5 |   - { id: a, checkpoint: "${{ inputs.who }}" }
           |                          ^
           = hint: did you mean `inputs-who---`?
    "#]],
    );
    check_steps(
        "- { id: a, checkpoint: x }\n- { id: b, checkpoint: x }",
        expect![[r#"
            pay.yaml:6:26: there is another checkpoint `x` in this file
             6 |   - { id: b, checkpoint: x }
               |                          ^
               = hint: give one of the two another name
        "#]],
    );
    check_steps(
        "- { id: a, checkpoint: x, as: \"agent:b\" }",
        expect![[r#"
            pay.yaml:5:29: `as` means nothing here; it goes with an effect, `steps` or `choose`
             5 |   - { id: a, checkpoint: x, as: "agent:b" }
               |                             ^
               = hint: leave it out
        "#]],
    );
    check_steps(
        "- { id: a, foreach: [1, 2], steps: [ { id: b, checkpoint: x } ] }",
        expect![[r#"
            pay.yaml:5:61: a place has one name, and this one may be reached more than once
             5 |   - { id: a, foreach: [1, 2], steps: [ { id: b, checkpoint: x } ] }
               |                                                             ^
               = hint: put it behind the `foreach`, and not into `on_cancel`
        "#]],
    );
    check_steps(
        "- { id: a, sleep: { ms: 1 }, on_cancel: { steps: [ { id: b, checkpoint: x } ] } }",
        expect![[r#"
            pay.yaml:5:75: a place has one name, and this one may be reached more than once
             5 |   - { id: a, sleep: { ms: 1 }, on_cancel: { steps: [ { id: b, checkpoint: x } ] } }
               |                                                                           ^
               = hint: put it behind the `foreach`, and not into `on_cancel`
        "#]],
    );
}
