//! How runs end, are undone, and go on as others.

use expect_test::expect;

use crate::check;
use crate::home::Home;
use crate::town::Script;

pub(crate) fn a_run_is_ended_by_who_may(home: Home) {
    let flow = "
steps:
  - { id: one, uses: file.write, with: { root: out, path: a, text: x } }
  - { id: nap, needs: [one], sleep: { ms: 60000 } }
  - { id: two, needs: [nap], uses: file.write, with: { root: out, path: b, text: x } }
";
    check(
        home,
        flow,
        &["wait 1000", "cancel a user:ada"],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: completed
            a: evidence cancel  +1000
            a: cancelled, error {"code":"cancelled","message":"it is so"} +1000
            a says x
        "#]],
    );
}

pub(crate) fn who_may_not_end_a_run_does_not(home: Home) {
    let flow = "
steps:
  - { id: nap, sleep: { ms: 2000 } }
  - { id: one, needs: [nap], uses: file.write, with: { root: out, path: a, text: x } }
";
    check(
        home,
        flow,
        &["cancel a user:nobody"],
        expect![[r#"
            a: begins
            a: denied cancel.not_entitled
            a: evidence timer nap +2000
            a: one: receipt by user:operator for file.write +2000
            a: one: completed +2000
            a: completed +2000
            not taken: Only user:operator, who began it, or role:operations may end the run.
            a says x
        "#]],
    );
}

pub(crate) fn what_is_under_way_is_waited_for_when_a_run_is_ended(home: Home) {
    let flow = "
steps:
  - { id: one, uses: file.write, with: { root: out, path: slow/4000/a, text: x } }
  - { id: two, needs: [one], uses: file.write, with: { root: out, path: b, text: x } }
";
    let acts = ["wait 1000", "cancel a user:ada"];
    Script { dies: false, ..Script::new(flow, &acts) }.check(
        home,
        &expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: evidence cancel  +1000
            a: one: completed +4000
            a: cancelled, error {"code":"cancelled","message":"it is so"} +4000
            slow/4000/a says x
        "#]],
    );
}

pub(crate) fn what_was_done_is_undone_the_last_first(home: Home) {
    let flow = "
steps:
  - id: flight
    uses: file.write
    with: { root: out, path: flight, text: booked }
    on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: \"${{ steps.flight.output.path }}\" } } ] }
  - id: hotel
    needs: [flight]
    uses: file.write
    with: { root: out, path: hotel, text: booked }
    on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: hotel } } ] }
  - { id: wait, needs: [hotel], wait_for: { signal: go } }
";
    check(
        home,
        flow,
        &["wait 1000", "cancel a user:ada"],
        expect![[r#"
        a: begins
        a: flight: receipt by user:operator for file.write
        a: flight: completed
        a: hotel: receipt by user:operator for file.write
        a: hotel: completed
        a: evidence cancel  +1000
        a: hotel.on_cancel.undo: receipt by user:operator for file.delete +1000
        a: hotel.on_cancel.undo: completed +1000
        a: flight.on_cancel.undo: receipt by user:operator for file.delete +1000
        a: flight.on_cancel.undo: completed +1000
        a: cancelled, error {"code":"cancelled","message":"it is so","undone":2} +1000
    "#]],
    );
}

pub(crate) fn each_item_is_undone(home: Home) {
    let flow = "
steps:
  - id: book
    foreach: [one, two]
    max_parallel: 1
    uses: file.write
    with: { root: out, path: \"${{ item }}\", text: booked }
    on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: \"${{ item }}\" } } ] }
  - { id: wait, needs: [book], wait_for: { signal: go } }
";
    check(
        home,
        flow,
        &["cancel a user:ada"],
        expect![[r#"
        a: begins
        a: book[0]: receipt by user:operator for file.write
        a: book[0]: completed
        a: book[1]: receipt by user:operator for file.write
        a: book[1]: completed
        a: evidence cancel 
        a: book[1].on_cancel.undo: receipt by user:operator for file.delete
        a: book[1].on_cancel.undo: completed
        a: book[0].on_cancel.undo: receipt by user:operator for file.delete
        a: book[0].on_cancel.undo: completed
        a: cancelled, error {"code":"cancelled","message":"it is so","undone":2}
    "#]],
    );
}

pub(crate) fn a_group_is_undone_as_one(home: Home) {
    let flow = "
steps:
  - id: trip
    on_cancel: { steps: [ { id: undo, uses: file.write, with: { root: out, path: note, text: \"all of it\" } } ] }
    steps:
      - id: flight
        uses: file.write
        with: { root: out, path: flight, text: booked }
        on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: flight } } ] }
  - { id: wait, needs: [trip], wait_for: { signal: go } }
";
    check(
        home,
        flow,
        &["cancel a user:ada"],
        expect![[r#"
            a: begins
            a: trip.flight: receipt by user:operator for file.write
            a: trip.flight: completed
            a: evidence cancel 
            a: trip.on_cancel.undo: receipt by user:operator for file.write
            a: trip.on_cancel.undo: completed
            a: cancelled, error {"code":"cancelled","message":"it is so","undone":1}
            flight says booked
            note says all of it
        "#]],
    );
}

pub(crate) fn the_run_as_a_whole_is_undone_last(home: Home) {
    let flow = "
on_cancel: { steps: [ { id: note, uses: file.write, with: { root: out, path: note, text: \"${{ steps.one.status }} ${{ steps.wait.status }}\" } } ] }
steps:
  - id: one
    uses: file.write
    with: { root: out, path: a, text: x }
    on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: a } } ] }
  - { id: wait, needs: [one], wait_for: { signal: go } }
";
    check(
        home,
        flow,
        &["cancel a user:ada"],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: completed
            a: evidence cancel 
            a: one.on_cancel.undo: receipt by user:operator for file.delete
            a: one.on_cancel.undo: completed
            a: on_cancel.note: receipt by user:operator for file.write
            a: on_cancel.note: completed
            a: cancelled, error {"code":"cancelled","message":"it is so","undone":1}
            note says completed skipped
        "#]],
    );
}

pub(crate) fn a_run_that_failed_is_undone_where_that_is_said(home: Home) {
    let flow = "
compensate_on: [failed]
steps:
  - id: one
    uses: file.write
    with: { root: out, path: a, text: x }
    on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: a } } ] }
  - { id: two, needs: [one], uses: file.write, with: { root: out, path: broken/file.io/b, text: x } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: one: receipt by user:operator for file.write
        a: one: completed
        a: two: receipt by user:operator for file.write
        a: two: failed code file.io
        a: one.on_cancel.undo: receipt by user:operator for file.delete
        a: one.on_cancel.undo: completed
        a: failed, error {"code":"file.io","message":"broken/file.io/b says no","step":"two","transient":false,"undone":1}
    "#]],
    );
}

pub(crate) fn a_run_that_was_refused_is_undone_where_that_is_said(home: Home) {
    let flow = "
compensate_on: [refused]
steps:
  - id: one
    uses: file.write
    with: { root: out, path: a, text: x }
    on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: a } } ] }
  - { id: two, needs: [one], uses: file.write, with: { root: out, path: b, document: { amount_cents: 9000 } } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: completed
            a: two: denied canon.forbidden
            a: one.on_cancel.undo: receipt by user:operator for file.delete
            a: one.on_cancel.undo: completed
            a: refused, error {"code":"canon.forbidden","id":"dny","reason":"Nobody moves a fortune of CANARY.","step":"two","undone":1}
        "#]],
    );
}

pub(crate) fn what_cannot_be_undone_stops_nothing(home: Home) {
    let flow = "
compensate_on: [failed]
steps:
  - id: one
    uses: file.write
    with: { root: out, path: a, text: x }
    on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: a } } ] }
  - id: two
    needs: [one]
    uses: file.write
    with: { root: out, path: b, text: x }
    on_cancel: { steps: [ { id: undo, uses: file.write, with: { root: out, path: broken/file.io/b, text: x } } ] }
  - { id: three, needs: [two], uses: file.write, with: { root: out, path: broken/file.io/c, text: x } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: completed
            a: two: receipt by user:operator for file.write
            a: two: completed
            a: three: receipt by user:operator for file.write
            a: three: failed code file.io
            a: two.on_cancel.undo: receipt by user:operator for file.write
            a: two.on_cancel.undo: failed code file.io
            a: one.on_cancel.undo: receipt by user:operator for file.delete
            a: one.on_cancel.undo: completed
            a: failed, error {"code":"file.io","message":"broken/file.io/c says no","not_undone":[{"code":"file.io","message":"broken/file.io/b says no","step":"two.on_cancel.undo","transient":false}],"step":"three","transient":false,"undone":1}
            b says x
        "#]],
    );
}

pub(crate) fn a_chain_goes_on_with_other_inputs(home: Home) {
    let flow = "
inputs: { n: { type: integer, default: 0 } }
labels: { round: \"${{ inputs.n }}\" }
steps:
  - { id: note, uses: file.write, with: { root: out, path: \"round-${{ inputs.n }}\", text: x } }
  - { id: again, needs: [note], if: inputs.n < 2, continue_as_new: { inputs: { n: \"${{ inputs.n + 1 }}\" } } }
outputs: { n: \"${{ inputs.n }}\" }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins labels {"round":"0"}
            a: note: receipt by user:operator for file.write
            a: note: completed
            a: continued
            a+: begins labels {"round":"1"}
            a+: note: receipt by user:operator for file.write
            a+: note: completed
            a+: continued
            a++: begins labels {"round":"2"}
            a++: note: receipt by user:operator for file.write
            a++: note: completed
            a++: completed, output {"n":2}
            round-0 says x
            round-1 says x
            round-2 says x
        "#]],
    );
}

pub(crate) fn signals_go_with_the_chain(home: Home) {
    let flow = "
inputs: { heard: { type: string, default: none } }
steps:
  - { id: nap, sleep: { ms: 3000 } }
  - { id: order, needs: [nap], wait_for: { signal: order } }
  - id: again
    needs: [order]
    if: inputs.heard == 'none'
    continue_as_new: { inputs: { heard: \"${{ steps.order.output.id }}\" } }
outputs: { first: \"${{ inputs.heard }}\", second: \"${{ steps.order.output.id }}\" }
";
    let acts = ["signal a order one {}", "signal a order two {}"];
    check(
        home,
        flow,
        &acts,
        expect![[r#"
        a: begins
        a: signal order one of user:shop
        a: signal order two of user:shop
        a: evidence timer nap +3000
        a: continued +3000
        a+: begins +3000
        a+: signal order two of user:shop +3000
        a+: evidence timer nap +6000
        a+: completed, output {"first":"one","second":"two"} +6000
    "#]],
    );
}

pub(crate) fn a_chain_that_would_spin_fails(home: Home) {
    let flow = "
inputs: { n: { type: integer, default: 0 } }
steps:
  - { id: bad, uses: file.write, with: { root: out, path: broken/file.io/a, text: x }, on_error: continue }
  - { id: again, needs: [bad], if: inputs.n < 5, continue_as_new: { inputs: { n: \"${{ inputs.n + 1 }}\" } } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: bad: receipt by user:operator for file.write
        a: bad: failed code file.io
        a: evidence step.invalid again
        a: failed, error {"code":"step.invalid","message":"nothing took place in this run that the next one could wait for: no effect or run that completed, no signal, no answer of people, no wait of a second","step":"again","transient":false}
    "#]],
    );
}

pub(crate) fn a_fork_goes_on_from_a_step_with_other_inputs(home: Home) {
    let flow = "
inputs: { n: { type: integer, default: 0 } }
steps:
  - { id: one, uses: file.write, with: { root: out, path: one, text: x } }
  - { id: two, needs: [one], uses: file.write, with: { root: out, path: \"two-${{ inputs.n }}\", text: \"${{ string(inputs.n) }}\" } }
  - { id: three, needs: [two], uses: file.write, with: { root: out, path: \"three-${{ inputs.n }}\", text: x } }
outputs: { n: \"${{ inputs.n }}\" }
";
    check(
        home,
        flow,
        &["start a", "fork b a two n=5"],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: completed
            a: two: receipt by user:operator for file.write
            a: two: completed
            a: three: receipt by user:operator for file.write
            a: three: completed
            a: completed, output {"n":0}
            b: goes on from a place
            b: two: receipt by user:operator for file.write
            b: two: completed
            b: three: receipt by user:operator for file.write
            b: three: completed
            b: completed, output {"n":5}
            one says x
            three-0 says x
            three-5 says x
            two-0 says 0
            two-5 says 5
        "#]],
    );
}

pub(crate) fn a_fork_asks_people_again(home: Home) {
    let flow = "
steps:
  - { id: one, uses: file.write, with: { root: out, path: one, text: x } }
  - { id: sign, needs: [one], approve: { by: [\"user:cfo\"], message: \"Go on?\" } }
  - { id: two, needs: [sign], uses: file.write, with: { root: out, path: two, text: x, mode: replace } }
";
    let acts = ["yes a sign user:cfo", "fork b a two", "no b sign user:cfo"];
    check(
        home,
        flow,
        &acts,
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: completed
            a: sign: asks 1 of ["user:cfo"]
            a: sign: yes of user:cfo
            a: two: receipt by user:operator for file.write
            a: two: completed
            a: completed
            b: goes on from a place
            b: sign: asks 1 of ["user:cfo"]
            b: sign: no of user:cfo
            b: refused, error {"by":"user:cfo","code":"approval_rejected","id":null,"reason":"it is so","step":"sign"}
            one says x
            two says x
        "#]],
    );
}
