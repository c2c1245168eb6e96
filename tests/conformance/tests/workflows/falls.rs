//! What happens when something fails, is refused, or takes too long.

use expect_test::expect;

use crate::check;
use crate::home::Home;
use crate::town::Script;

pub(crate) fn what_fails_for_a_moment_is_tried_again(home: Home) {
    let flow = "
steps:
  - id: one
    uses: file.write
    with: { root: out, path: flaky/2/a, text: x }
    retry: { attempts: 3, backoff_ms: 100 }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: completed after 3 attempts +300
            a: completed +300
            flaky/2/a says x
        "#]],
    );
}

pub(crate) fn the_last_attempt_decides(home: Home) {
    let flow = "
steps:
  - id: one
    uses: file.write
    with: { root: out, path: flaky/9/a, text: x }
    retry: { attempts: 3, backoff_ms: 100 }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: one: receipt by user:operator for file.write
        a: one: failed code world.busy after 3 attempts +300
        a: failed, error {"code":"world.busy","message":"flaky/9/a says no","step":"one","transient":true} +300
    "#]],
    );
}

pub(crate) fn what_fails_for_good_is_not_tried_again(home: Home) {
    let flow = "
steps:
  - id: one
    uses: file.write
    with: { root: out, path: broken/file.io/a, text: x }
    retry: { attempts: 3, backoff_ms: 100 }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: one: receipt by user:operator for file.write
        a: one: failed code file.io
        a: failed, error {"code":"file.io","message":"broken/file.io/a says no","step":"one","transient":false}
    "#]],
    );
}

pub(crate) fn any_failure_is_tried_again_where_that_is_said(home: Home) {
    let flow = "
steps:
  - id: one
    uses: file.write
    with: { root: out, path: broken/file.io/a, text: x }
    retry: { attempts: 3, backoff_ms: 100, on: [any] }
    on_error: continue
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: one: receipt by user:operator for file.write
        a: one: failed code file.io after 3 attempts +300
        a: completed +300
    "#]],
    );
}

pub(crate) fn some_codes_are_never_tried_again(home: Home) {
    let flow = "
steps:
  - id: one
    uses: file.write
    with: { root: out, path: passing/http.too_large/1/a, text: x }
    retry: { attempts: 3, backoff_ms: 100, on: [any], never_on: [http.too_large] }
    on_error: continue
  - id: two
    uses: file.write
    with: { root: out, path: passing/http.status/1/b, text: x }
    retry: { attempts: 3, backoff_ms: 100, on: [any], never_on: [http.too_large] }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: two: receipt by user:operator for file.write
            a: one: failed code http.too_large
            a: two: completed after 2 attempts +100
            a: completed +100
            passing/http.status/1/b says x
        "#]],
    );
}

pub(crate) fn timeouts_alone_are_tried_again_where_that_is_said(home: Home) {
    let flow = "
steps:
  - id: late
    uses: file.read
    with: { root: out, path: passing/http.timeout/1/a }
    retry: { attempts: 2, backoff_ms: 100, on: [timeout] }
  - id: busy
    uses: file.read
    with: { root: out, path: flaky/1/b }
    retry: { attempts: 2, backoff_ms: 100, on: [timeout] }
    on_error: continue
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: late: receipt by user:operator for file.read
        a: busy: receipt by user:operator for file.read
        a: busy: failed code world.busy
        a: late: completed after 2 attempts +100
        a: completed +100
    "#]],
    );
}

pub(crate) fn waits_between_attempts_grow_up_to_a_limit(home: Home) {
    let flow = "
steps:
  - id: one
    uses: file.write
    with: { root: out, path: flaky/4/a, text: x }
    retry: { attempts: 5, backoff_ms: 100, factor: 3, backoff_ms_max: 500 }
";
    // After 100, 300, 500 and 500 ms.
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: completed after 5 attempts +1400
            a: completed +1400
            flaky/4/a says x
        "#]],
    );
}

pub(crate) fn a_read_that_takes_too_long_is_tried_again(home: Home) {
    let flow = "
steps:
  - id: one
    uses: file.read
    with: { root: out, path: lost/a }
    timeout_ms: 400
    retry: { attempts: 2, backoff_ms: 100 }
    on_error: continue
outputs: { code: \"${{ steps.one.error.code }}\" }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: one: receipt by user:operator for file.read
        a: one: failed code effect.timeout after 2 attempts +900
        a: completed, output {"code":"effect.timeout"} +900
    "#]],
    );
}

pub(crate) fn a_write_that_takes_too_long_is_not(home: Home) {
    let flow = "
steps:
  - id: one
    uses: file.write
    with: { root: out, path: lost/a, text: x }
    timeout_ms: 400
    retry: { attempts: 2, backoff_ms: 100, on: [any] }
    on_error: continue
outputs: { code: \"${{ steps.one.error.code }}\" }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: unknown +400
            a: completed, output {"code":"effect.unknown"} +400
            lost/a says x
        "#]],
    );
}

pub(crate) fn a_failure_that_is_handled_lets_the_others_go_on(home: Home) {
    let flow = "
steps:
  - { id: one, uses: file.write, with: { root: out, path: broken/file.io/a, text: x }, on_error: continue }
  - { id: two, needs: [one], uses: file.write, with: { root: out, path: two, text: \"${{ steps.one.error.code }}\" } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: failed code file.io
            a: two: receipt by user:operator for file.write
            a: two: completed
            a: completed
            two says file.io
        "#]],
    );
}

pub(crate) fn a_handler_of_failures_sees_why(home: Home) {
    let flow = "
steps:
  - id: one
    uses: file.write
    with: { root: out, path: broken/file.io/a, text: x }
    on_error:
      steps:
        - { id: nap, sleep: { ms: 200 } }
        - { id: note, needs: [nap], uses: file.write, with: { root: out, path: note, text: \"${{ steps.one.error.message }}\" } }
  - { id: two, needs: [one], uses: file.write, with: { root: out, path: two, text: \"${{ steps.one.status }}\" } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: failed code file.io
            a: evidence timer one.on_error.nap +200
            a: one.on_error.note: receipt by user:operator for file.write +200
            a: one.on_error.note: completed +200
            a: two: receipt by user:operator for file.write +200
            a: two: completed +200
            a: completed +200
            note says broken/file.io/a says no
            two says failed
        "#]],
    );
}

pub(crate) fn a_handler_that_falls_falls_for_all(home: Home) {
    let flow = "
steps:
  - id: one
    uses: file.write
    with: { root: out, path: broken/file.io/a, text: x }
    on_error: { steps: [ { id: note, uses: file.write, with: { root: out, path: broken/file.io/b, text: x } } ] }
  - { id: two, needs: [one], uses: file.write, with: { root: out, path: two, text: x } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: one: receipt by user:operator for file.write
        a: one: failed code file.io
        a: one.on_error.note: receipt by user:operator for file.write
        a: one.on_error.note: failed code file.io
        a: failed, error {"code":"file.io","message":"broken/file.io/b says no","step":"one.on_error.note","transient":false}
    "#]],
    );
}

pub(crate) fn a_refusal_ends_the_run(home: Home) {
    let flow = "
steps:
  - { id: pay, uses: file.write, with: { root: out, path: pay, document: { amount_cents: 9000 } } }
  - { id: two, needs: [pay], uses: file.write, with: { root: out, path: two, text: x } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: pay: denied canon.forbidden
            a: refused, error {"code":"canon.forbidden","id":"dny","reason":"Nobody moves a fortune of CANARY.","step":"pay"}
        "#]],
    );
}

pub(crate) fn a_refusal_that_is_handled_lets_the_others_go_on(home: Home) {
    let flow = "
steps:
  - { id: pay, uses: file.write, with: { root: out, path: pay, document: { amount_cents: 9000 } }, on_refused: continue }
  - { id: two, needs: [pay], uses: file.write, with: { root: out, path: two, text: \"${{ steps.pay.error.code }}\" } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: pay: denied canon.forbidden
            a: two: receipt by user:operator for file.write
            a: two: completed
            a: completed
            two says canon.forbidden
        "#]],
    );
}

pub(crate) fn a_handler_of_refusals_sees_why(home: Home) {
    let flow = "
steps:
  - id: pay
    uses: file.write
    with: { root: out, path: pay, document: { amount_cents: 9000 } }
    on_refused: { steps: [ { id: note, uses: file.write, with: { root: out, path: note, text: \"${{ steps.pay.error.reason }}\" } } ] }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: pay: denied canon.forbidden
            a: pay.on_refused.note: receipt by user:operator for file.write
            a: pay.on_refused.note: completed
            a: completed
            note says Nobody moves a fortune of CANARY.
        "#]],
    );
}

pub(crate) fn what_is_under_way_is_waited_for_when_another_falls(home: Home) {
    let flow = "
steps:
  - { id: long, uses: file.write, with: { root: out, path: slow/900/a, text: x } }
  - { id: nap, sleep: { ms: 100 } }
  - { id: bad, needs: [nap], uses: file.write, with: { root: out, path: broken/file.io/b, text: x } }
  - { id: never, needs: [long], uses: file.write, with: { root: out, path: c, text: x } }
";
    Script { dies: false, ..Script::new(flow, &[]) }.check(home, &expect![[r#"
        a: begins
        a: long: receipt by user:operator for file.write
        a: evidence timer nap +100
        a: bad: receipt by user:operator for file.write +100
        a: bad: failed code file.io +100
        a: long: completed +900
        a: failed, error {"code":"file.io","message":"broken/file.io/b says no","step":"bad","transient":false} +900
        slow/900/a says x
    "#]]);
}

pub(crate) fn arguments_that_make_no_effect_fail_the_step(home: Home) {
    let flow = "
inputs: { mode: { type: string, default: sideways } }
steps:
  - { id: one, uses: file.write, with: { root: out, path: a, text: x, mode: \"${{ inputs.mode }}\" }, on_error: continue }
  - { id: two, needs: [one], uses: file.write, with: { root: out, path: two, text: \"${{ steps.one.error.code }}\" } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: two: receipt by user:operator for file.write
            a: two: completed
            a: completed
            two says arguments
        "#]],
    );
}

pub(crate) fn who_gives_up_says_why(home: Home) {
    let flow = "
inputs: { n: { type: integer, default: 3 } }
steps:
  - { id: look, uses: file.write, with: { root: out, path: a, text: x } }
  - { id: judge, needs: [look], uses: compute, with: { it: \"${{ inputs.n > 2 ? fail('more than two') : 'fine' }}\" } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: look: receipt by user:operator for file.write
            a: look: completed
            a: failed, error {"code":"expression","message":"more than two","step":"judge","transient":false}
            a says x
        "#]],
    );
}

pub(crate) fn a_group_that_falls_is_handled_as_one(home: Home) {
    let flow = "
steps:
  - id: group
    on_error: continue
    steps:
      - { id: one, uses: file.write, with: { root: out, path: a, text: x } }
      - { id: two, needs: [one], uses: file.write, with: { root: out, path: broken/file.io/b, text: x } }
      - { id: three, needs: [two], uses: file.write, with: { root: out, path: c, text: x } }
  - { id: last, needs: [group], uses: file.write, with: { root: out, path: last, text: \"${{ steps.group.error.step }}\" } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: group.one: receipt by user:operator for file.write
            a: group.one: completed
            a: group.two: receipt by user:operator for file.write
            a: group.two: failed code file.io
            a: last: receipt by user:operator for file.write
            a: last: completed
            a: completed
            a says x
            last says group.two
        "#]],
    );
}
