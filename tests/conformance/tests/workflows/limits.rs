//! How much, how many and when: budgets, plans, lines, priorities, rates, schedules.

use expect_test::expect;

use crate::check;
use crate::home::Home;
use crate::town::Script;

pub(crate) fn so_many_effects_and_no_more(home: Home) {
    let flow = "
budget: { effects: 2 }
steps:
  - id: each
    foreach: [a, b, c]
    max_parallel: 1
    on_refused: continue
    uses: file.write
    with: { root: out, path: \"${{ item }}\", text: x }
outputs: { third: \"${{ steps.each.output[2].error.code }}\" }
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
            a: each[2]: denied quota.exceeded
            a: completed, output {"third":"quota.exceeded"}
            a says x
            b says x
        "#]],
    );
}

pub(crate) fn so_much_money_and_no_more(home: Home) {
    let flow = "
budget: { cost_micros: 150 }
steps:
  - { id: one, as: \"agent:clerk\", uses: model.chat, with: { model: reader, messages: [{ role: user, content: One? }], tokens_max: 50 } }
  - { id: two, needs: [one], as: \"agent:clerk\", uses: model.chat, with: { model: reader, messages: [{ role: user, content: Two? }], tokens_max: 100 } }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
            a: begins
            a: one: receipt by agent:clerk for model.chat
            a: one: completed
            a: two: denied budget.exceeded
            a: refused, error {"code":"budget.exceeded","id":"dny","reason":"It may cost up to $0.000232, and the run has $0.00012 left of $0.00015.","step":"two"}, spent 30
        "#]],
    );
}

/// Two plans, the first of which costs less.
fn plans(first: &str) -> String {
    format!(
        "
steps:
  - id: pay
    choose:
      goal: Pay
      plans:
        - id: cheap
          expect: {{ cost_micros: 10, latency_ms: 1000, risk: low }}
          steps:
            - {{ id: write, uses: file.write, with: {first} }}
        - id: dear
          expect: {{ cost_micros: 100, latency_ms: 1000, risk: medium }}
          steps:
            - {{ id: write, uses: file.write, with: {{ root: out, path: dear, text: x }} }}
outputs: {{ plan: \"${{{{ steps.pay.output.plan }}}}\" }}
"
    )
}

pub(crate) fn the_best_plan_is_taken(home: Home) {
    let flow = plans("{ root: out, path: cheap, text: x }");
    check(
        home,
        &flow,
        &[],
        expect![[r#"
            a: begins
            a: pay: takes plan cheap
            a: pay.cheap.write: receipt by user:operator for file.write
            a: pay.cheap.write: completed
            a: completed, output {"plan":"cheap"}
            cheap says x
        "#]],
    );
}

pub(crate) fn when_a_plan_falls_another_is_taken(home: Home) {
    let flow = plans("{ root: out, path: broken/file.io/a, text: x }");
    check(
        home,
        &flow,
        &[],
        expect![[r#"
            a: begins
            a: pay: takes plan cheap
            a: pay.cheap.write: receipt by user:operator for file.write
            a: pay.cheap.write: failed code file.io
            a: pay: takes plan dear
            a: pay.dear.write: receipt by user:operator for file.write
            a: pay.dear.write: completed
            a: completed, output {"plan":"dear"}
            dear says x
        "#]],
    );
}

pub(crate) fn where_no_plan_will_do_the_step_is_refused(home: Home) {
    let flow = "
steps:
  - id: pay
    on_refused: continue
    choose:
      goal: Pay
      plans:
        - id: fortune
          expect: { cost_micros: 10, latency_ms: 1000, risk: low }
          steps:
            - { id: write, uses: file.write, with: { root: out, path: a, document: { amount_cents: 9000 } } }
outputs: { code: \"${{ steps.pay.error.code }}\" }
";
    check(
        home,
        flow,
        &[],
        expect![[r#"
        a: begins
        a: pay: takes plan none
        a: pay.fortune.write: denied canon.forbidden
        a: completed, output {"code":"no_admissible_plan"}
    "#]],
    );
}

const LISTENS: &str = "
steps:
  - { id: go, wait_for: { signal: go } }
  - { id: note, needs: [go], uses: file.write, with: { root: out, path: \"${{ inputs.n }}\", text: x } }
inputs: { n: { type: string, default: one }, key: { type: string, default: x } }
";

pub(crate) fn one_at_a_time(home: Home) {
    let flow = format!("concurrency: {{ limit: 1 }}\n{LISTENS}");
    let acts = [
        "start a",
        "start b n=two",
        "start c n=three",
        "wait 1000",
        "signal a go g1 {}",
        "signal b go g1 {}",
        "signal c go g1 {}",
    ];
    check(
        home,
        &flow,
        &acts,
        expect![[r#"
            a: is asked for priority 5, concurrency
            a: begins
            b: is asked for priority 5, concurrency
            c: is asked for priority 5, concurrency
            a: signal go g1 of user:shop +1000
            a: note: receipt by user:operator for file.write +1000
            a: note: completed +1000
            a: completed +1000
            b: begins +1000
            b: signal go g1 of user:shop +1000
            b: note: receipt by user:operator for file.write +1000
            b: note: completed +1000
            b: completed +1000
            c: begins +1000
            c: signal go g1 of user:shop +1000
            c: note: receipt by user:operator for file.write +1000
            c: note: completed +1000
            c: completed +1000
            one says x
            three says x
            two says x
        "#]],
    );
}

pub(crate) fn each_key_is_limited_on_its_own(home: Home) {
    let flow = format!("concurrency: {{ key: \"${{{{ inputs.key }}}}\", limit: 1 }}\n{LISTENS}");
    let acts = [
        "start a key=red",
        "start b key=blue n=two",
        "start c key=red n=three",
        "signal b go g1 {}",
        "wait 1000",
        "signal a go g1 {}",
        "signal c go g1 {}",
    ];
    check(
        home,
        &flow,
        &acts,
        expect![[r#"
            a: is asked for priority 5, concurrency
            a: begins
            b: is asked for priority 5, concurrency
            b: begins
            c: is asked for priority 5, concurrency
            b: signal go g1 of user:shop
            b: note: receipt by user:operator for file.write
            b: note: completed
            b: completed
            a: signal go g1 of user:shop +1000
            a: note: receipt by user:operator for file.write +1000
            a: note: completed +1000
            a: completed +1000
            c: begins +1000
            c: signal go g1 of user:shop +1000
            c: note: receipt by user:operator for file.write +1000
            c: note: completed +1000
            c: completed +1000
            one says x
            three says x
            two says x
        "#]],
    );
}

pub(crate) fn one_too_many_is_refused_where_that_is_said(home: Home) {
    let flow = format!("concurrency: {{ limit: 1, when_full: refuse }}\n{LISTENS}");
    check(
        home,
        &flow,
        &["start a", "start b", "signal a go g1 {}"],
        expect![[r#"
            a: is asked for priority 5, concurrency
            a: begins
            b: is asked for priority 5, concurrency
            b: never begins: refused
            a: signal go g1 of user:shop
            a: note: receipt by user:operator for file.write
            a: note: completed
            a: completed
            one says x
        "#]],
    );
}

pub(crate) fn one_too_many_ends_the_other_where_that_is_said(home: Home) {
    let flow = format!("concurrency: {{ limit: 1, when_full: cancel_running }}\n{LISTENS}");
    check(
        home,
        &flow,
        &["start a", "wait 1000", "start b", "signal b go g1 {}"],
        expect![[r#"
            a: is asked for priority 5, concurrency
            a: begins
            b: is asked for priority 5, concurrency +1000
            a: evidence cancel  +1000
            a: cancelled, error {"code":"cancelled","message":"<b> of the same key takes its place"} +1000
            b: begins +1000
            b: signal go g1 of user:shop +1000
            b: note: receipt by user:operator for file.write +1000
            b: note: completed +1000
            b: completed +1000
            one says x
        "#]],
    );
}

pub(crate) fn nobody_is_ended_before_the_time_of_who_takes_the_place(home: Home) {
    let flow = format!("concurrency: {{ limit: 1, when_full: cancel_running }}\n{LISTENS}");
    check(
        home,
        &flow,
        &["start a", "start b +2000", "wait 1000", "wait 2000", "signal b go g1 {}"],
        expect![[r#"
            a: is asked for priority 5, concurrency
            a: begins
            b: is asked for priority 5, concurrency, not_before
            a: evidence cancel  +2001
            a: cancelled, error {"code":"cancelled","message":"<b> of the same key takes its place"} +2001
            b: begins +2001
            b: signal go g1 of user:shop +3000
            b: note: receipt by user:operator for file.write +3000
            b: note: completed +3000
            b: completed +3000
            one says x
        "#]],
    );
}

pub(crate) fn the_higher_priority_goes_first(home: Home) {
    let flow = format!("concurrency: {{ limit: 1 }}\n{LISTENS}");
    let acts = [
        "start a",
        "start b @0 n=low",
        "start c n=mid",
        "start d @9 n=high",
        "signal a go g1 {}",
        "signal d go g1 {}",
        "signal c go g1 {}",
        "signal b go g1 {}",
    ];
    check(
        home,
        &flow,
        &acts,
        expect![[r#"
            a: is asked for priority 5, concurrency
            a: begins
            b: is asked for priority 0, concurrency
            c: is asked for priority 5, concurrency
            d: is asked for priority 9, concurrency
            a: signal go g1 of user:shop
            a: note: receipt by user:operator for file.write
            a: note: completed
            a: completed
            d: begins
            d: signal go g1 of user:shop
            d: note: receipt by user:operator for file.write
            d: note: completed
            d: completed
            c: begins
            c: signal go g1 of user:shop
            c: note: receipt by user:operator for file.write
            c: note: completed
            c: completed
            b: begins
            b: signal go g1 of user:shop
            b: note: receipt by user:operator for file.write
            b: note: completed
            b: completed
            high says x
            low says x
            mid says x
            one says x
        "#]],
    );
}

const NOTES: &str = "
inputs: { n: { type: string, default: one } }
steps:
  - { id: note, uses: file.write, with: { root: out, path: \"${{ inputs.n }}\", text: x } }
";

pub(crate) fn so_many_in_a_time_and_no_more(home: Home) {
    let flow = format!("rate: {{ count: 2, per_seconds: 30 }}\n{NOTES}");
    let acts = ["start a", "start b n=two", "start c n=three", "start d n=four", "start e n=five"];
    check(
        home,
        &flow,
        &acts,
        expect![[r#"
            a: is asked for priority 5, rate
            a: begins
            a: note: receipt by user:operator for file.write
            a: note: completed
            a: completed
            b: is asked for priority 5, rate
            b: begins
            b: note: receipt by user:operator for file.write
            b: note: completed
            b: completed
            c: is asked for priority 5, rate
            d: is asked for priority 5, rate
            e: is asked for priority 5, rate
            c: begins +30001
            c: note: receipt by user:operator for file.write +30001
            d: begins +30001
            d: note: receipt by user:operator for file.write +30001
            c: note: completed +30001
            c: completed +30001
            d: note: completed +30001
            d: completed +30001
            e: begins +60002
            e: note: receipt by user:operator for file.write +60002
            e: note: completed +60002
            e: completed +60002
            five says x
            four says x
            one says x
            three says x
            two says x
        "#]],
    );
}

pub(crate) fn not_before_a_time(home: Home) {
    check(
        home,
        NOTES,
        &["start a +20000", "start b n=two"],
        expect![[r#"
            a: is asked for priority 5, not_before
            b: begins
            b: note: receipt by user:operator for file.write
            b: note: completed
            b: completed
            a: begins +20001
            a: note: receipt by user:operator for file.write +20001
            a: note: completed +20001
            a: completed +20001
            one says x
            two says x
        "#]],
    );
}

pub(crate) fn one_that_waits_is_withdrawn(home: Home) {
    let flow = format!("concurrency: {{ limit: 1 }}\n{LISTENS}");
    let acts = ["start a", "start b", "cancel b user:ada", "signal a go g1 {}"];
    check(
        home,
        &flow,
        &acts,
        expect![[r#"
            a: is asked for priority 5, concurrency
            a: begins
            b: is asked for priority 5, concurrency
            b: never begins: cancelled
            a: signal go g1 of user:shop
            a: note: receipt by user:operator for file.write
            a: note: completed
            a: completed
            one says x
        "#]],
    );
}

pub(crate) fn a_schedule_starts_runs(home: Home) {
    let flow = "
steps:
  - { id: note, uses: file.write, with: { root: out, path: a, text: x, mode: replace } }
";
    let acts = ["start a", "schedule often allow_all", "wait 25000", "unschedule often"];
    Script { parks: true, ..Script::new(flow, &acts) }.check(
        home,
        &expect![[r#"
            a: begins
            a: note: receipt by user:operator for file.write
            a: note: completed
            a: completed
            : schedule often +10000
            #1: begins +10000
            #1: note: receipt by user:operator for file.write +10000
            #1: note: completed +10000
            #1: completed +10000
            : schedule often +20000
            #2: begins +20000
            #2: note: receipt by user:operator for file.write +20000
            #2: note: completed +20000
            #2: completed +20000
            a says x
        "#]],
    );
}

pub(crate) fn a_schedule_skips_what_overlaps(home: Home) {
    let flow = "
steps:
  - { id: nap, sleep: { ms: 12000 } }
";
    let acts = ["start a", "schedule often skip", "wait 35000", "unschedule often"];
    Script { parks: true, ..Script::new(flow, &acts) }.check(
        home,
        &expect![[r#"
            a: begins
            : schedule often +10000
            #1: begins +10000
            a: evidence timer nap +12000
            a: completed +12000
            : schedule often skipped overlap +20000
            #1: evidence timer nap +22000
            #1: completed +22000
            : schedule often +30000
            #2: begins +30000
            #2: evidence timer nap +42000
            #2: completed +42000
        "#]],
    );
}
