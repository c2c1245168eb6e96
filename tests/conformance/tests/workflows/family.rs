//! Runs that begin others.

use expect_test::{Expect, expect};

use crate::home::Home;
use crate::town::Script;

/// A run of `flow`, which runs `sub`.
fn check(home: Home, (flow, sub): (&str, &str), acts: &[&str], expected: &Expect) {
    Script { others: &[("./sub.yaml", sub)], ..Script::new(flow, acts) }.check(home, expected);
}

const SUB: &str = "
inputs: { name: { type: string, default: a } }
steps:
  - { id: one, uses: file.write, with: { root: out, path: \"${{ inputs.name }}\", text: x } }
  - { id: nap, needs: [one], sleep: { ms: 500 } }
outputs: { said: \"hello ${{ inputs.name }}\" }
";

pub(crate) fn a_run_hears_what_the_one_that_it_began_gave(home: Home) {
    let flow = "
steps:
  - { id: sub, run: { workflow: ./sub.yaml, inputs: { name: b } } }
  - { id: note, needs: [sub], uses: file.write, with: { root: out, path: note, text: \"${{ steps.sub.output.said }}\" } }
";
    check(
        home,
        (flow, SUB),
        &[],
        &expect![[r#"
            a: begins
            a: sub: begins ./sub.yaml
            a/sub: begins
            a/sub: one: receipt by user:operator for file.write
            a/sub: one: completed
            a/sub: evidence timer nap +500
            a/sub: completed, output {"said":"hello b"} +500
            a: sub: its run is completed +500
            a: note: receipt by user:operator for file.write +500
            a: note: completed +500
            a: completed +500
            b says x
            note says hello b
        "#]],
    );
}

pub(crate) fn one_that_fails_makes_the_step_fail(home: Home) {
    let flow = "
steps:
  - { id: sub, run: { workflow: ./sub.yaml, inputs: { name: broken/file.io/b } }, on_error: continue }
outputs: { code: \"${{ steps.sub.error.code }}\" }
";
    check(
        home,
        (flow, SUB),
        &[],
        &expect![[r#"
        a: begins
        a: sub: begins ./sub.yaml
        a/sub: begins
        a/sub: one: receipt by user:operator for file.write
        a/sub: one: failed code file.io
        a/sub: failed, error {"code":"file.io","message":"broken/file.io/b says no","step":"one","transient":false}
        a: sub: its run is failed
        a: completed, output {"code":"child.failed"}
    "#]],
    );
}

pub(crate) fn one_that_is_refused_makes_the_step_refused(home: Home) {
    let flow = "
steps:
  - { id: sub, run: { workflow: ./sub.yaml } }
  - { id: note, needs: [sub], uses: file.write, with: { root: out, path: note, text: x } }
";
    let sub = "
steps:
  - { id: pay, uses: file.write, with: { root: out, path: a, document: { amount_cents: 9000 } } }
";
    check(
        home,
        (flow, sub),
        &[],
        &expect![[r#"
            a: begins
            a: sub: begins ./sub.yaml
            a/sub: begins
            a/sub: pay: denied canon.forbidden
            a/sub: refused, error {"code":"canon.forbidden","id":"dny","reason":"Nobody moves a fortune of CANARY.","step":"pay"}
            a: sub: its run is refused
            a: refused, error {"code":"child.refused","id":"<a/sub>","reason":"<a/sub> was refused in its step `pay`: Nobody moves a fortune of CANARY.","step":"sub"}
        "#]],
    );
}

pub(crate) fn one_that_is_not_waited_for(home: Home) {
    let flow = "
steps:
  - { id: sub, run: { workflow: ./sub.yaml, wait: false } }
  - { id: note, needs: [sub], uses: file.write, with: { root: out, path: note, text: x } }
";
    check(
        home,
        (flow, SUB),
        &[],
        &expect![[r#"
            a: begins
            a: sub: begins ./sub.yaml
            a/sub: begins
            a/sub: one: receipt by user:operator for file.write
            a: note: receipt by user:operator for file.write
            a/sub: one: completed
            a: note: completed
            a: completed
            a/sub: evidence timer nap +500
            a/sub: completed, output {"said":"hello a"} +500
            a says x
            note says x
        "#]],
    );
}

pub(crate) fn one_for_each_item(home: Home) {
    let flow = "
steps:
  - id: each
    foreach: [b, c, d]
    max_parallel: 2
    run: { workflow: ./sub.yaml, inputs: { name: \"${{ item }}\" } }
outputs: { all: \"${{ steps.each.output.map(i, i.output.said) }}\" }
";
    check(
        home,
        (flow, SUB),
        &[],
        &expect![[r#"
            a: begins
            a: each[0]: begins ./sub.yaml
            a/each[0]: begins
            a/each[0]: one: receipt by user:operator for file.write
            a: each[1]: begins ./sub.yaml
            a/each[1]: begins
            a/each[1]: one: receipt by user:operator for file.write
            a/each[0]: one: completed
            a/each[1]: one: completed
            a/each[0]: evidence timer nap +500
            a/each[1]: evidence timer nap +500
            a/each[0]: completed, output {"said":"hello b"} +500
            a/each[1]: completed, output {"said":"hello c"} +500
            a: each[0]: its run is completed +500
            a: each[1]: its run is completed +500
            a: each[2]: begins ./sub.yaml +500
            a/each[2]: begins +500
            a/each[2]: one: receipt by user:operator for file.write +500
            a/each[2]: one: completed +500
            a/each[2]: evidence timer nap +1000
            a/each[2]: completed, output {"said":"hello d"} +1000
            a: each[2]: its run is completed +1000
            a: completed, output {"all":["hello b","hello c","hello d"]} +1000
            b says x
            c says x
            d says x
        "#]],
    );
}

pub(crate) fn runs_that_runs_begin_begin_runs(home: Home) {
    let flow = "
steps:
  - { id: mid, run: { workflow: ./mid.yaml } }
outputs: { said: \"${{ steps.mid.output.said }}\" }
";
    let mid = "
steps:
  - { id: sub, run: { workflow: ./sub.yaml, inputs: { name: deep } } }
outputs: { said: \"${{ steps.sub.output.said }}\" }
";
    let others = [("./mid.yaml", mid), ("./sub.yaml", SUB)];
    Script { others: &others, ..Script::new(flow, &[]) }.check(
        home,
        &expect![[r#"
            a: begins
            a: mid: begins ./mid.yaml
            a/mid: begins
            a/mid: sub: begins ./sub.yaml
            a/mid/sub: begins
            a/mid/sub: one: receipt by user:operator for file.write
            a/mid/sub: one: completed
            a/mid/sub: evidence timer nap +500
            a/mid/sub: completed, output {"said":"hello deep"} +500
            a/mid: sub: its run is completed +500
            a/mid: completed, output {"said":"hello deep"} +500
            a: mid: its run is completed +500
            a: completed, output {"said":"hello deep"} +500
            deep says x
        "#]],
    );
}

/// Waits for ever.
const LISTENS: &str = "
steps:
  - id: one
    uses: file.write
    with: { root: out, path: sub, text: x }
    on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: sub } } ] }
  - { id: go, needs: [one], wait_for: { signal: go } }
";

pub(crate) fn ending_a_run_ends_those_that_it_began(home: Home) {
    let flow = "
on_cancel: { steps: [ { id: note, uses: file.write, with: { root: out, path: note, text: x } } ] }
steps:
  - { id: sub, run: { workflow: ./sub.yaml } }
";
    check(
        home,
        (flow, LISTENS),
        &["wait 1000", "cancel a user:ada"],
        &expect![[r#"
            a: begins
            a: sub: begins ./sub.yaml
            a/sub: begins
            a/sub: one: receipt by user:operator for file.write
            a/sub: one: completed
            a: evidence cancel  +1000
            a/sub: evidence cancel  +1000
            a/sub: one.on_cancel.undo: receipt by user:operator for file.delete +1000
            a/sub: one.on_cancel.undo: completed +1000
            a/sub: cancelled, error {"code":"cancelled","message":"<a>, which began it, does not want it any more","undone":1} +1000
            a: sub: its run is cancelled +1000
            a: on_cancel.note: receipt by user:operator for file.write +1000
            a: on_cancel.note: completed +1000
            a: cancelled, error {"code":"cancelled","message":"it is so","undone":0} +1000
            note says x
        "#]],
    );
}

pub(crate) fn one_that_is_left_goes_on(home: Home) {
    let flow = "
steps:
  - { id: sub, run: { workflow: ./sub.yaml, on_cancel: leave } }
";
    let acts = ["wait 1000", "cancel a user:ada", "signal a/sub go g1 {}"];
    check(
        home,
        (flow, LISTENS),
        &acts,
        &expect![[r#"
            a: begins
            a: sub: begins ./sub.yaml
            a/sub: begins
            a/sub: one: receipt by user:operator for file.write
            a/sub: one: completed
            a: evidence cancel  +1000
            a: cancelled, error {"code":"cancelled","message":"it is so"} +1000
            a/sub: signal go g1 of user:shop +1000
            a/sub: completed +1000
            sub says x
        "#]],
    );
}

pub(crate) fn holding_a_run_holds_those_that_it_began(home: Home) {
    let flow = "
steps:
  - { id: sub, run: { workflow: ./sub.yaml } }
";
    let sub = "
steps:
  - { id: nap, sleep: { ms: 2000 } }
  - { id: one, needs: [nap], uses: file.write, with: { root: out, path: a, text: x } }
";
    let acts = ["pause a user:ada", "wait 5000", "unpause a user:ada"];
    check(
        home,
        (flow, sub),
        &acts,
        &expect![[r#"
            a: begins
            a: sub: begins ./sub.yaml
            a/sub: begins
            a: held by user:ada
            a/sub: held by user:ada
            a/sub: evidence timer nap +2000
            a: let go on by user:ada +5000
            a/sub: let go on by user:ada +5000
            a/sub: one: receipt by user:operator for file.write +5000
            a/sub: one: completed +5000
            a/sub: completed +5000
            a: sub: its run is completed +5000
            a: completed +5000
            a says x
        "#]],
    );
}

pub(crate) fn what_they_do_counts_in_one_budget(home: Home) {
    let flow = "
budget: { effects: 2 }
steps:
  - id: each
    foreach: [b, c, d]
    max_parallel: 1
    run: { workflow: ./sub.yaml, inputs: { name: \"${{ item }}\" } }
    on_refused: continue
outputs: { all: \"${{ steps.each.output.map(i, i.status) }}\" }
";
    check(
        home,
        (flow, SUB),
        &[],
        &expect![[r#"
            a: begins
            a: each[0]: begins ./sub.yaml
            a/each[0]: begins
            a/each[0]: one: receipt by user:operator for file.write
            a/each[0]: one: completed
            a/each[0]: evidence timer nap +500
            a/each[0]: completed, output {"said":"hello b"} +500
            a: each[0]: its run is completed +500
            a: each[1]: begins ./sub.yaml +500
            a/each[1]: begins +500
            a/each[1]: one: receipt by user:operator for file.write +500
            a/each[1]: one: completed +500
            a/each[1]: evidence timer nap +1000
            a/each[1]: completed, output {"said":"hello c"} +1000
            a: each[1]: its run is completed +1000
            a: each[2]: begins ./sub.yaml +1000
            a/each[2]: begins +1000
            a/each[2]: one: denied quota.exceeded +1000
            a/each[2]: refused, error {"code":"quota.exceeded","id":"dny","reason":"The run has used all its 2 effects.","step":"one"} +1000
            a: each[2]: its run is refused +1000
            a: completed, output {"all":["completed","completed","refused"]} +1000
            b says x
            c says x
        "#]],
    );
}
