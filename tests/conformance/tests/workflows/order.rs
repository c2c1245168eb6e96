//! Which steps begin when: order, joins, conditions, items, groups.

use expect_test::expect;

use crate::check;
use crate::home::Home;

pub(crate) fn steps_without_needs_begin_side_by_side(home: Home) {
    let flow = "
steps:
  - { id: one, uses: file.write, with: { root: out, path: slow/500/one, text: x } }
  - { id: two, uses: file.write, with: { root: out, path: slow/300/two, text: x } }
  - { id: three, uses: file.read, with: { root: out, path: slow/100/three } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: two: receipt by user:operator for file.write
            a: three: receipt by user:operator for file.read
            a: three: completed +100
            a: two: completed +300
            a: one: completed +500
            a: completed +500
            slow/300/two says x
            slow/500/one says x
        "#]],
    );
}

pub(crate) fn a_step_waits_for_all_that_it_needs(home: Home) {
    let flow = "
steps:
  - { id: three, needs: [two], uses: file.write, with: { root: out, path: three, text: \"${{ steps.two.output.text }}\" } }
  - { id: one, uses: file.write, with: { root: out, path: one, text: first } }
  - { id: two, needs: [one], uses: file.read, with: { root: out, path: one } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: completed
            a: two: receipt by user:operator for file.read
            a: two: completed
            a: three: receipt by user:operator for file.write
            a: three: completed
            a: completed
            one says first
            three says first
        "#]],
    );
}

pub(crate) fn a_join_waits_for_the_slowest(home: Home) {
    let flow = "
steps:
  - { id: fast, uses: file.write, with: { root: out, path: slow/10/a, text: a } }
  - { id: slow, uses: file.write, with: { root: out, path: slow/2000/b, text: b } }
  - { id: nap, sleep: { ms: 700 } }
  - { id: join, needs: [fast, slow, nap], uses: file.write, with: { root: out, path: c, text: c } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: fast: receipt by user:operator for file.write
            a: slow: receipt by user:operator for file.write
            a: fast: completed +10
            a: evidence timer nap +700
            a: slow: completed +2000
            a: join: receipt by user:operator for file.write +2000
            a: join: completed +2000
            a: completed +2000
            c says c
            slow/10/a says a
            slow/2000/b says b
        "#]],
    );
}

pub(crate) fn a_false_condition_skips_the_step(home: Home) {
    let flow = "
steps:
  - { id: one, uses: file.write, with: { root: out, path: one, text: x } }
  - { id: two, needs: [one], if: steps.one.output.bytes > 1, uses: file.write, with: { root: out, path: two, text: x } }
  - { id: three, needs: [two], uses: file.write, with: { root: out, path: three, text: \"${{ steps.two.status }}\" } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: completed
            a: three: receipt by user:operator for file.write
            a: three: completed
            a: completed
            one says x
            three says skipped
        "#]],
    );
}

pub(crate) fn a_condition_that_is_no_boolean_fails_the_step(home: Home) {
    let flow = "
steps:
  - { id: one, uses: file.write, with: { root: out, path: one, text: x } }
  - { id: two, needs: [one], if: steps.one.output.bytes, uses: file.write, with: { root: out, path: two, text: x } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: completed
            a: failed, error {"code":"expression","message":"`if` must be true or false, it came to integer","step":"two","transient":false}
            one says x
        "#]],
    );
}

pub(crate) fn items_are_taken_in_their_order(home: Home) {
    let flow = "
steps:
  - id: each
    foreach: [red, green, blue]
    max_parallel: 1
    uses: file.write
    with: { root: out, path: \"${{ item }}\", text: \"${{ string(index) }}\" }
outputs: { all: \"${{ steps.each.output.map(i, i.output.path).join(' ') }}\" }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: each[0]: receipt by user:operator for file.write
            a: each[0]: completed
            a: each[1]: receipt by user:operator for file.write
            a: each[1]: completed
            a: each[2]: receipt by user:operator for file.write
            a: each[2]: completed
            a: completed, output {"all":"red green blue"}
            blue says 2
            green says 1
            red says 0
        "#]],
    );
}

pub(crate) fn no_more_items_at_once_than_said(home: Home) {
    let flow = "
steps:
  - id: each
    foreach: [400, 100, 200, 300]
    max_parallel: 2
    uses: file.write
    with: { root: out, path: \"slow/${{ item }}/a\", text: x }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: each[0]: receipt by user:operator for file.write
            a: each[1]: receipt by user:operator for file.write
            a: each[1]: completed +100
            a: each[2]: receipt by user:operator for file.write +100
            a: each[2]: completed +300
            a: each[3]: receipt by user:operator for file.write +300
            a: each[0]: completed +400
            a: each[3]: completed +600
            a: completed +600
            slow/100/a says x
            slow/200/a says x
            slow/300/a says x
            slow/400/a says x
        "#]],
    );
}

pub(crate) fn a_bad_item_stops_the_others(home: Home) {
    let flow = "
steps:
  - id: each
    foreach: [good, broken/file.io/a, never]
    max_parallel: 1
    uses: file.write
    with: { root: out, path: \"${{ item }}\", text: x }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: each[0]: receipt by user:operator for file.write
            a: each[0]: completed
            a: each[1]: receipt by user:operator for file.write
            a: each[1]: failed code file.io
            a: failed, error {"code":"file.io","message":"broken/file.io/a says no","step":"each[1]","transient":false}
            good says x
        "#]],
    );
}

pub(crate) fn with_continue_a_bad_item_stops_no_other(home: Home) {
    let flow = "
steps:
  - id: each
    foreach: [good, broken/file.io/a, after]
    max_parallel: 1
    on_error: continue
    uses: file.write
    with: { root: out, path: \"${{ item }}\", text: x }
outputs: { all: \"${{ steps.each.output.map(i, i.status) }}\" }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: each[0]: receipt by user:operator for file.write
            a: each[0]: completed
            a: each[1]: receipt by user:operator for file.write
            a: each[1]: failed code file.io
            a: each[2]: receipt by user:operator for file.write
            a: each[2]: completed
            a: completed, output {"all":["completed","failed","completed"]}
            after says x
            good says x
        "#]],
    );
}

pub(crate) fn with_continue_a_loop_that_fails_itself_falls(home: Home) {
    let flow = "
inputs: { items: { type: list, default: [a] } }
steps:
  - id: each
    foreach: \"${{ [inputs.items[0], inputs.items[1]] }}\"
    on_error: continue
    uses: file.write
    with: { root: out, path: \"${{ item }}\", text: x }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: failed, error {"code":"expression","message":"could not evaluate `[inputs.items[0], inputs.items[1]]` (line 8, column 19): the list has no item 1","step":"each","transient":false}
        "#]],
    );
}

pub(crate) fn an_empty_list_completes_the_step(home: Home) {
    let flow = "
inputs: { items: { type: list, default: [] } }
steps:
  - { id: each, foreach: \"${{ inputs.items }}\", uses: file.write, with: { root: out, path: \"${{ item }}\", text: x } }
  - { id: last, needs: [each], uses: file.write, with: { root: out, path: last, text: \"${{ string(steps.each.output.size()) }}\" } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: last: receipt by user:operator for file.write
            a: last: completed
            a: completed
            last says 0
        "#]],
    );
}

pub(crate) fn loops_within_loops(home: Home) {
    let flow = "
steps:
  - id: row
    foreach: [a, b]
    max_parallel: 1
    steps:
      - { id: name, uses: compute, with: { of: \"${{ item }}\" } }
      - id: cell
        needs: [name]
        foreach: [1, 2]
        max_parallel: 1
        uses: file.write
        with: { root: out, path: \"${{ steps.name.output.of }}${{ item }}\", text: x }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: row[0].cell[0]: receipt by user:operator for file.write
            a: row[0].cell[0]: completed
            a: row[0].cell[1]: receipt by user:operator for file.write
            a: row[0].cell[1]: completed
            a: row[1].cell[0]: receipt by user:operator for file.write
            a: row[1].cell[0]: completed
            a: row[1].cell[1]: receipt by user:operator for file.write
            a: row[1].cell[1]: completed
            a: completed
            a1 says x
            a2 says x
            b1 says x
            b2 says x
        "#]],
    );
}

pub(crate) fn a_group_is_over_when_its_steps_are(home: Home) {
    let flow = "
steps:
  - id: group
    steps:
      - { id: one, uses: file.write, with: { root: out, path: slow/100/one, text: x } }
      - { id: two, needs: [one], uses: file.write, with: { root: out, path: slow/100/two, text: x } }
  - { id: beside, uses: file.write, with: { root: out, path: beside, text: x } }
  - { id: last, needs: [group], uses: file.write, with: { root: out, path: last, text: \"${{ steps.group.output.steps.two.status }}\" } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: beside: receipt by user:operator for file.write
            a: group.one: receipt by user:operator for file.write
            a: beside: completed
            a: group.one: completed +100
            a: group.two: receipt by user:operator for file.write +100
            a: group.two: completed +200
            a: last: receipt by user:operator for file.write +200
            a: last: completed +200
            a: completed +200
            beside says x
            last says completed
            slow/100/one says x
            slow/100/two says x
        "#]],
    );
}

pub(crate) fn what_is_computed_needs_no_receipt(home: Home) {
    let flow = "
inputs: { n: { type: integer, default: 20 } }
steps:
  - { id: sum, uses: compute, with: { of: \"${{ inputs.n + 1 }}\" } }
  - { id: keep, needs: [sum], uses: file.write, with: { root: out, path: sum, text: \"${{ string(steps.sum.output.of * 2) }}\" } }
outputs: { sum: \"${{ steps.sum.output.of }}\" }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: keep: receipt by user:operator for file.write
            a: keep: completed
            a: completed, output {"sum":21}
            sum says 42
        "#]],
    );
}

pub(crate) fn an_output_that_cannot_be_evaluated_fails_the_run(home: Home) {
    let flow = "
steps:
  - { id: one, uses: file.write, with: { root: out, path: one, text: x } }
outputs: { sum: \"${{ steps.one.output.nothing }}\" }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: completed
            a: failed, error {"code":"expression","message":"the outputs of the flow: could not evaluate `steps.one.output.nothing` (line 7, column 22): there is no `nothing`","transient":false}
            one says x
        "#]],
    );
}

pub(crate) fn inputs_are_given_or_have_defaults(home: Home) {
    let flow = "
inputs:
  who: { type: string, default: world }
  n: { type: integer }
  loud: { type: boolean, required: false }
labels: { who: \"${{ inputs.who }}\" }
steps:
  - { id: one, uses: file.write, with: { root: out, path: \"${{ inputs.who }}\", text: \"${{ string(inputs.n) }}\" } }
outputs: { loud: \"${{ inputs.loud }}\" }
";
    check(
        home,
        flow,
        &["start a n=7", "start b n=8 who=ada loud=true"],
        expect![[r#"
            a: begins labels {"who":"world"}
            a: one: receipt by user:operator for file.write
            a: one: completed
            a: completed, output {"loud":null}
            b: begins labels {"who":"ada"}
            b: one: receipt by user:operator for file.write
            b: one: completed
            b: completed, output {"loud":true}
            ada says 8
            world says 7
        "#]],
    );
}

pub(crate) fn who_acts_is_who_is_named(home: Home) {
    let flow = "
steps:
  - { id: ask, as: \"agent:clerk\", uses: model.chat, with: { model: reader, messages: [{ role: user, content: How? }], tokens_max: 50 } }
  - id: group
    needs: [ask]
    as: agent:clerk
    steps:
      - { id: keep, uses: file.write, with: { root: out, path: said, text: \"${{ steps.ask.output.text }}\" } }
  - { id: mine, needs: [group], uses: file.write, with: { root: out, path: mine, text: x } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: ask: receipt by agent:clerk for model.chat
            a: ask: completed
            a: group.keep: receipt by agent:clerk for file.write
            a: group.keep: completed
            a: mine: receipt by user:operator for file.write
            a: mine: completed
            a: completed, spent 30
            mine says x
            said says 4 bytes read
        "#]],
    );
}

pub(crate) fn two_that_write_one_thing_take_turns(home: Home) {
    let flow = "
steps:
  - { id: one, uses: file.write, with: { root: out, path: slow/500/same, text: one, mode: replace } }
  - { id: two, uses: file.write, with: { root: out, path: slow/500/same, text: two, mode: replace } }
  - { id: other, uses: file.write, with: { root: out, path: other, text: x } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: other: receipt by user:operator for file.write
            a: other: completed
            a: one: completed +500
            a: two: receipt by user:operator for file.write +500
            a: two: completed +1000
            a: completed +1000
            other says x
            slow/500/same says two
        "#]],
    );
}

pub(crate) fn a_place_has_a_name(home: Home) {
    let flow = "
steps:
  - { id: one, uses: file.write, with: { root: out, path: one, text: x } }
  - { id: mark, needs: [one], checkpoint: half-way }
  - { id: two, needs: [mark], uses: file.write, with: { root: out, path: two, text: x } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: completed
            a: mark: place half-way
            a: two: receipt by user:operator for file.write
            a: two: completed
            a: completed
            one says x
            two says x
        "#]],
    );
}
