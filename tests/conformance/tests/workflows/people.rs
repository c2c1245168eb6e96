//! What only time or people bring on: sleeps, signals, answers, runs that are held.

use expect_test::expect;

use crate::check;
use crate::home::Home;
use crate::town::Script;

pub(crate) fn a_sleep_takes_its_time(home: Home) {
    let flow = "
steps:
  - { id: nap, sleep: { ms: 90000 } }
  - { id: one, needs: [nap], uses: file.write, with: { root: out, path: a, text: x } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: evidence timer nap +90000
            a: one: receipt by user:operator for file.write +90000
            a: one: completed +90000
            a: completed +90000
            a says x
        "#]],
    );
}

pub(crate) fn sleeps_end_in_the_order_of_their_times(home: Home) {
    let flow = "
steps:
  - id: each
    foreach: [900, 300, 600]
    steps:
      - { id: nap, sleep: { ms: \"${{ item }}\" } }
      - { id: note, needs: [nap], uses: file.write, with: { root: out, path: \"after-${{ item }}\", text: x } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: evidence timer each[1].nap +300
            a: each[1].note: receipt by user:operator for file.write +300
            a: each[1].note: completed +300
            a: evidence timer each[2].nap +600
            a: each[2].note: receipt by user:operator for file.write +600
            a: each[2].note: completed +600
            a: evidence timer each[0].nap +900
            a: each[0].note: receipt by user:operator for file.write +900
            a: each[0].note: completed +900
            a: completed +900
            after-300 says x
            after-600 says x
            after-900 says x
        "#]],
    );
}

pub(crate) fn a_run_that_takes_too_long_is_over(home: Home) {
    let flow = "
budget: { minutes: 1 }
steps:
  - { id: one, uses: file.write, with: { root: out, path: a, text: x } }
  - { id: nap, needs: [one], sleep: { ms: 300000 } }
  - { id: two, needs: [nap], uses: file.write, with: { root: out, path: b, text: x } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by user:operator for file.write
            a: one: completed
            a: evidence timer budget +60000
            a: failed, error {"code":"over_budget","message":"the time of its budget is over"} +60000
            a says x
        "#]],
    );
}

pub(crate) fn a_signal_brings_a_step_on(home: Home) {
    let flow = "
steps:
  - { id: paid, wait_for: { signal: payment } }
  - { id: ship, needs: [paid], uses: file.write, with: { root: out, path: a, text: \"${{ steps.paid.output.payload.by }} ${{ steps.paid.output.from }}\" } }
";
    check(
        home,
        flow,
        &["wait 3000", "signal a payment p1 {\"by\":\"acme\"}"],
        expect![[r#"
            a: begins
            a: signal payment p1 of user:shop +3000
            a: ship: receipt by user:operator for file.write +3000
            a: ship: completed +3000
            a: completed +3000
            a says acme user:shop
        "#]],
    );
}

pub(crate) fn a_signal_that_came_early_is_kept(home: Home) {
    let flow = "
steps:
  - { id: nap, sleep: { ms: 2000 } }
  - { id: paid, needs: [nap], wait_for: { signal: payment } }
outputs: { id: \"${{ steps.paid.output.id }}\" }
";
    check(
        home,
        flow,
        &["signal a payment p1 {}"],
        expect![[r#"
        a: begins
        a: signal payment p1 of user:shop
        a: evidence timer nap +2000
        a: completed, output {"id":"p1"} +2000
    "#]],
    );
}

pub(crate) fn a_signal_of_the_same_id_is_one(home: Home) {
    let flow = "
steps:
  - { id: one, wait_for: { signal: payment } }
  - { id: two, needs: [one], wait_for: { signal: payment, timeout_ms: 5000 }, on_error: continue }
outputs: { second: \"${{ steps.two.status }}\" }
";
    let acts = ["signal a payment p1 {}", "signal a payment p1 {}"];
    check(
        home,
        flow,
        &acts,
        expect![[r#"
        a: begins
        a: signal payment p1 of user:shop
        a: evidence timer two +5000
        a: completed, output {"second":"failed"} +5000
    "#]],
    );
}

pub(crate) fn the_oldest_signal_that_fits_is_taken(home: Home) {
    let flow = "
inputs: { order: { type: string, default: \"7\" } }
steps:
  - { id: nap, sleep: { ms: 1000 } }
  - { id: paid, needs: [nap], wait_for: { signal: payment, where: { order: \"${{ inputs.order }}\" } } }
outputs: { id: \"${{ steps.paid.output.id }}\" }
";
    let acts = [
        "signal a payment p1 {\"order\":\"8\"}",
        "signal a refund p2 {\"order\":\"7\"}",
        "signal a payment p3 {\"order\":\"7\"}",
        "signal a payment p4 {\"order\":\"7\"}",
    ];
    check(
        home,
        flow,
        &acts,
        expect![[r#"
            a: begins
            a: signal payment p1 of user:shop
            a: signal payment p3 of user:shop
            a: signal payment p4 of user:shop
            a: evidence timer nap +1000
            a: completed, output {"id":"p3"} +1000
            not taken: its steps wait for payment, and not for `refund`
        "#]],
    );
}

pub(crate) fn one_signal_brings_on_one_step(home: Home) {
    let flow = "
steps:
  - { id: one, wait_for: { signal: go } }
  - { id: two, wait_for: { signal: go } }
outputs: { one: \"${{ steps.one.output.id }}\", two: \"${{ steps.two.output.id }}\" }
";
    check(
        home,
        flow,
        &["signal a go g1 {}", "wait 1000", "signal a go g2 {}"],
        expect![[r#"
        a: begins
        a: signal go g1 of user:shop
        a: signal go g2 of user:shop +1000
        a: completed, output {"one":"g1","two":"g2"} +1000
    "#]],
    );
}

pub(crate) fn without_a_signal_in_time_the_step_fails(home: Home) {
    let flow = "
steps:
  - { id: paid, wait_for: { signal: payment, timeout_ms: 5000 }, on_error: continue }
  - { id: note, needs: [paid], uses: file.write, with: { root: out, path: a, text: \"${{ steps.paid.error.code }}\" } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: evidence timer paid +5000
            a: note: receipt by user:operator for file.write +5000
            a: note: completed +5000
            a: completed +5000
            a says timeout
        "#]],
    );
}

pub(crate) fn people_say_yes(home: Home) {
    let flow = "
steps:
  - { id: sign, approve: { by: [\"role:finance\"], message: \"Go on?\" } }
  - { id: note, needs: [sign], uses: file.write, with: { root: out, path: a, text: \"${{ steps.sign.output.by.join() }}\" } }
";
    check(
        home,
        flow,
        &["wait 1000", "yes a sign user:cfo"],
        expect![[r#"
            a: begins
            a: sign: asks 1 of ["role:finance"]
            a: sign: yes of user:cfo +1000
            a: note: receipt by user:operator for file.write +1000
            a: note: completed +1000
            a: completed +1000
            a says user:cfo
        "#]],
    );
}

pub(crate) fn people_say_no(home: Home) {
    let flow = "
steps:
  - { id: sign, approve: { by: [\"role:finance\"], message: \"Go on?\" } }
  - { id: note, needs: [sign], uses: file.write, with: { root: out, path: a, text: x } }
";
    check(
        home,
        flow,
        &["no a sign user:cfo"],
        expect![[r#"
        a: begins
        a: sign: asks 1 of ["role:finance"]
        a: sign: no of user:cfo
        a: refused, error {"by":"user:cfo","code":"approval_rejected","id":null,"reason":"it is so","step":"sign"}
    "#]],
    );
}

pub(crate) fn a_no_that_is_handled(home: Home) {
    let flow = "
steps:
  - { id: sign, approve: { by: [\"role:finance\"], message: \"Go on?\" }, on_refused: continue }
  - { id: note, needs: [sign], uses: file.write, with: { root: out, path: a, text: \"${{ steps.sign.error.code }} ${{ steps.sign.error.by }}\" } }
";
    check(
        home,
        flow,
        &["no a sign user:cfo"],
        expect![[r#"
            a: begins
            a: sign: asks 1 of ["role:finance"]
            a: sign: no of user:cfo
            a: note: receipt by user:operator for file.write
            a: note: completed
            a: completed
            a says approval_rejected user:cfo
        "#]],
    );
}

pub(crate) fn it_takes_as_many_as_are_asked(home: Home) {
    let flow = "
steps:
  - { id: sign, approve: { by: [\"user:cfo\", \"user:ada\"], count: 2, message: \"Go on?\" } }
outputs: { by: \"${{ steps.sign.output.by }}\" }
";
    let acts = ["yes a sign user:ada", "wait 1000", "yes a sign user:ada", "yes a sign user:cfo"];
    check(
        home,
        flow,
        &acts,
        expect![[r#"
        a: begins
        a: sign: asks 2 of ["user:cfo","user:ada"]
        a: sign: yes of user:ada
        a: sign: yes of user:cfo +1000
        a: completed, output {"by":["user:ada","user:cfo"]} +1000
    "#]],
    );
}

pub(crate) fn without_an_answer_in_time_it_is_refused(home: Home) {
    let flow = "
steps:
  - { id: sign, approve: { by: [\"user:cfo\"], message: \"Go on?\", expires_minutes: 1 }, on_refused: continue }
outputs: { code: \"${{ steps.sign.error.code }}\" }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: sign: asks 1 of ["user:cfo"]
        a: evidence timer sign +60001
        a: completed, output {"code":"approval_expired"} +60001
    "#]],
    );
}

pub(crate) fn others_may_answer_later_on(home: Home) {
    let flow = "
steps:
  - { id: sign, approve: { by: [\"user:cfo\"], message: \"Go on?\", escalate: { after_ms: 20000, to: [\"user:ada\"] } } }
outputs: { by: \"${{ steps.sign.output.by }}\" }
";
    let acts = ["yes a sign user:ada", "wait 30000", "yes a sign user:ada"];
    check(
        home,
        flow,
        &acts,
        expect![[r#"
            a: begins
            a: sign: asks 1 of ["user:cfo"]
            a: denied approval.not_entitled
            a: sign: asks as well of ["user:ada"] +20001
            a: sign: yes of user:ada +30000
            a: completed, output {"by":["user:ada"]} +30000
            not taken: `user:ada` may not answer this; it takes user:cfo.
        "#]],
    );
}

pub(crate) fn whose_answer_does_not_count_changes_nothing(home: Home) {
    let flow = "
steps:
  - { id: sign, approve: { by: [\"role:finance\"], message: \"Go on?\" } }
";
    let acts = ["yes a sign user:operator", "no a sign user:ada", "yes a sign user:cfo"];
    check(
        home,
        flow,
        &acts,
        expect![[r#"
            a: begins
            a: sign: asks 1 of ["role:finance"]
            a: denied approval.own_request
            a: denied approval.not_entitled
            a: sign: yes of user:cfo
            a: completed
            not taken: `user:ada` may not answer this; it takes role:finance.
            not taken: `user:operator` asked for this or started the run, and so cannot approve it.
        "#]],
    );
}

pub(crate) fn a_policy_asks_people_for_one_effect(home: Home) {
    let flow = "
steps:
  - { id: small, uses: file.write, with: { root: out, path: small, document: { amount_cents: 400 } } }
  - { id: large, uses: file.write, with: { root: out, path: large, document: { amount_cents: 900 } } }
";
    check(
        home,
        flow,
        &["wait 1000", "yes a large user:cfo"],
        expect![[r#"
            a: begins
            a: small: receipt by user:operator for file.write
            a: large: asks 1 of ["role:finance"]
            a: small: completed
            a: large: yes of user:cfo +1000
            a: large: receipt by user:operator for file.write +1000
            a: large: completed +1000
            a: completed +1000
            large says {"amount_cents":900}
            small says {"amount_cents":400}
        "#]],
    );
}

pub(crate) fn a_run_that_is_held_gets_no_receipt(home: Home) {
    let flow = "
steps:
  - { id: nap, sleep: { ms: 1000 } }
  - { id: one, needs: [nap], uses: file.write, with: { root: out, path: a, text: x } }
";
    let acts = ["pause a user:ada", "wait 5000", "unpause a user:operator"];
    check(
        home,
        flow,
        &acts,
        expect![[r#"
            a: begins
            a: held by user:ada
            a: evidence timer nap +1000
            a: let go on by user:operator +5000
            a: one: receipt by user:operator for file.write +5000
            a: one: completed +5000
            a: completed +5000
            a says x
        "#]],
    );
}

const LAST: &str = "
steps:
  - { id: paid, wait_for: { signal: paid } }
";

pub(crate) fn a_run_that_is_held_does_not_end(home: Home) {
    let acts = ["pause a user:ada", "signal a paid e1 {}", "wait 5000", "unpause a user:operator"];
    check(
        home,
        LAST,
        &acts,
        expect![[r#"
            a: begins
            a: held by user:ada
            a: signal paid e1 of user:shop
            a: let go on by user:operator +5000
            a: completed +5000
        "#]],
    );
}

pub(crate) fn a_run_that_is_held_ends_when_somebody_ends_it(home: Home) {
    let acts = ["pause a user:ada", "signal a paid e1 {}", "wait 5000", "cancel a user:operator"];
    check(
        home,
        LAST,
        &acts,
        expect![[r#"
            a: begins
            a: held by user:ada
            a: signal paid e1 of user:shop
            a: let go on by user:operator +5000
            a: completed +5000
            not taken: <a> is being ended already
        "#]],
    );
}

pub(crate) fn who_may_not_hold_a_run_does_not(home: Home) {
    let flow = "
steps:
  - { id: nap, sleep: { ms: 1000 } }
  - { id: one, needs: [nap], uses: file.write, with: { root: out, path: a, text: x } }
";
    check(
        home,
        flow,
        &["pause a user:nobody"],
        expect![[r#"
            a: begins
            a: denied cancel.not_entitled
            a: evidence timer nap +1000
            a: one: receipt by user:operator for file.write +1000
            a: one: completed +1000
            a: completed +1000
            not taken: Only user:operator, who began it, or role:operations may pause the run.
            a says x
        "#]],
    );
}

pub(crate) fn a_run_that_left_memory_comes_back_when_it_is_due(home: Home) {
    let flow = "
steps:
  - { id: nap, sleep: { ms: 30000 } }
  - { id: one, needs: [nap], uses: file.write, with: { root: out, path: a, text: x } }
";
    Script { parks: true, ..Script::new(flow, &[]) }.check(
        home,
        &expect![[r#"
            a: begins
            a: evidence timer nap +30000
            a: one: receipt by user:operator for file.write +30000
            a: one: completed +30000
            a: completed +30000
            a says x
        "#]],
    );
}

pub(crate) fn a_signal_finds_a_run_that_left_memory(home: Home) {
    let flow = "
steps:
  - { id: paid, wait_for: { signal: payment } }
  - { id: one, needs: [paid], uses: file.write, with: { root: out, path: a, text: x } }
";
    let acts = ["wait 15000", "signal a payment p1 {}"];
    Script { parks: true, ..Script::new(flow, &acts) }.check(
        home,
        &expect![[r#"
            a: begins
            a: signal payment p1 of user:shop +15000
            a: one: receipt by user:operator for file.write +15000
            a: one: completed +15000
            a: completed +15000
            a says x
        "#]],
    );
}

pub(crate) fn an_answer_finds_a_run_that_left_memory(home: Home) {
    let flow = "
steps:
  - { id: sign, approve: { by: [\"user:cfo\"], message: \"Go on?\" } }
  - { id: one, needs: [sign], uses: file.write, with: { root: out, path: a, text: x } }
";
    let acts = ["wait 15000", "yes a sign user:cfo"];
    Script { parks: true, ..Script::new(flow, &acts) }.check(
        home,
        &expect![[r#"
            a: begins
            a: sign: asks 1 of ["user:cfo"]
            a: sign: yes of user:cfo +15000
            a: one: receipt by user:operator for file.write +15000
            a: one: completed +15000
            a: completed +15000
            a says x
        "#]],
    );
}
