//! Timers, retries, people, signals, budgets.

use crate::told::{breaks, keeps, told};

#[test]
fn a_timer_is_due_once_behind_its_arming_and_in_its_time() {
    let flow = "steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - { id: nap, needs: [a], sleep: { ms: 100 } }
  - { id: b, needs: [nap], uses: file.read, with: { root: out, path: b } }
";
    let done = "1 receipt a 1\n10 outcome 1 completed\n";
    let rest = "receipt b 2\n300 outcome 2 completed\n300 seal completed";
    keeps(flow, &format!("{done}110 timer nap\n110 {rest}"));
    breaks(flow, &format!("{done}109 timer nap\n110 {rest}"), "history.early");
    breaks(
        flow,
        &format!("1 receipt a 1\n5 timer nap\n10 outcome 1 completed\n110 {rest}"),
        "history.unarmed",
    );
    breaks(flow, &format!("{done}110 timer nap\n111 timer nap\n111 {rest}"), "history.unarmed");
    breaks(flow, &format!("{done}110 timer nap\n110 timer a\n111 {rest}"), "history.unarmed");
    breaks(flow, &format!("{done}110 {rest}"), "history.needs");
}

#[test]
fn a_sleep_until_a_time_is_over_when_that_has_come() {
    let flow = |at: &str| format!("steps:\n  - {{ id: nap, sleep: {{ until: \"{at}\" }} }}\n");
    let until = flow("2026-11-24T12:00:00.100Z");
    keeps(&until, "100 timer nap\n100 seal completed");
    breaks(&until, "99 timer nap\n99 seal completed", "history.early");
    breaks(&until, "100 seal completed", "history.missing");
    keeps(&flow("2001-01-01T00:00:00Z"), "1 timer nap\n1 seal completed");
    keeps(&flow("${{ 'no ' + run.id }}"), "1 seal failed");
    breaks(&flow("${{ 'no ' + run.id }}"), "1 seal completed", "history.status");
}

const GROUP: &str = "steps:
  - id: g
    timeout_ms: 100
    steps:
      - { id: a, uses: file.read, with: { root: out, path: a } }
      - { id: b, needs: [a], uses: file.read, with: { root: out, path: b } }
";

#[test]
fn the_time_of_a_group_stops_what_is_inside() {
    let done = "1 receipt g.a 1\n10 outcome 1 completed\n";
    let both = format!("{done}20 receipt g.b 2\n30 outcome 2 completed\n");
    keeps(GROUP, &format!("{both}30 seal completed"));
    // Counted from the start of the run, at 0.
    keeps(GROUP, &format!("{done}100 timer g\n100 seal failed"));
    breaks(GROUP, &format!("{done}99 timer g\n99 seal failed"), "history.early");
    breaks(GROUP, &format!("{done}100 timer g\n100 seal completed"), "history.status");
    // What was under way is waited for, and counts for nothing.
    let under_way = format!("{done}20 receipt g.b 2\n100 timer g\n");
    keeps(GROUP, &format!("{under_way}120 outcome 2 completed\n120 seal failed"));
    breaks(GROUP, &format!("{under_way}120 seal failed"), "history.outcome");
    breaks(
        GROUP,
        &format!("{done}100 timer g\n110 receipt g.b 2\n120 outcome 2 completed\n120 seal failed"),
        "history.stopped",
    );
    // It was over, or had fallen, before.
    breaks(GROUP, &format!("{both}100 timer g\n100 seal failed"), "history.unarmed");
    let fell = "1 receipt g.a 1\n10 outcome 1 failed\n";
    keeps(GROUP, &format!("{fell}10 seal failed"));
    breaks(GROUP, &format!("{fell}100 timer g\n100 seal failed"), "history.unarmed");
    let without = GROUP.replace("    timeout_ms: 100\n", "");
    breaks(&without, &format!("{done}100 timer g\n100 seal failed"), "history.unarmed");
    let handled = GROUP.replace("timeout_ms: 100", "timeout_ms: 100\n    on_error: continue");
    keeps(&handled, &format!("{done}100 timer g\n100 seal completed"));
}

#[test]
fn attempts_are_those_that_are_granted_and_lie_apart() {
    let flow = "steps:
  - { id: a, uses: file.read, with: { root: out, path: a }, retry: { attempts: 3, backoff_ms: 100, factor: 2, on: [transient] } }
";
    keeps(flow, "1 receipt a 1\n2 outcome 1 completed\n2 seal completed");
    keeps(flow, "1 receipt a 1\n301 outcome 1 completed attempts=3\n301 seal completed");
    breaks(
        flow,
        "1 receipt a 1\n300 outcome 1 completed attempts=3\n301 seal completed",
        "history.backoff",
    );
    breaks(
        flow,
        "1 receipt a 1\n9000 outcome 1 failed attempts=4\n9000 seal failed",
        "history.attempts",
    );
    let once = "steps:\n  - { id: a, uses: file.read, with: { root: out, path: a } }\n";
    breaks(
        once,
        "1 receipt a 1\n9000 outcome 1 failed attempts=2\n9000 seal failed",
        "history.attempts",
    );
    // What is spread may come earlier by its jitter.
    let spread = flow.replace("factor: 2", "factor: 2, jitter_percent: 50");
    keeps(&spread, "1 receipt a 1\n151 outcome 1 completed attempts=3\n151 seal completed");
    breaks(
        &spread,
        "1 receipt a 1\n150 outcome 1 completed attempts=3\n150 seal completed",
        "history.backoff",
    );
}

#[test]
fn others_are_let_answer_once_and_in_their_time() {
    let flow = "steps:
  - { id: s, approve: { by: [\"role:finance\"], message: m, escalate: { after_ms: 100, to: [\"user:ceo\"] } } }
";
    let ask = "1 ask s q 1 later=100 action=approve\n";
    let rest = "yes q s user:ceo\n300 seal completed";
    keeps(flow, &format!("{ask}101 escalate q s user:ceo\n102 {rest}"));
    for wrong in [
        "100 escalate q s user:ceo",
        "101 escalate q s user:eve",
        "101 escalate q s user:ceo\n102 escalate q s user:ceo",
        "101 escalate other s user:ceo",
    ] {
        breaks(flow, &format!("{ask}{wrong}\n103 {rest}"), "history.escalated");
    }
}

#[test]
fn another_person_answers_when_they_were_let() {
    let flow = "steps:
  - { id: s, approve: { by: [\"role:finance\"], message: m } }
";
    let ask = "1 ask s q 1 action=approve\n";
    keeps(
        flow,
        &format!(
            "{ask}2 delegate q s user:cfo user:deputy\n3 yes q s user:deputy user:cfo\n4 seal completed"
        ),
    );
    for wrong in [
        "3 yes q s user:deputy user:cfo",
        "2 delegate q s user:cfo user:deputy\n3 yes q s user:cfo",
        "2 delegate q s user:cfo user:deputy\n3 yes q s user:deputy",
        "2 delegate q s user:cfo user:deputy\n2 delegate q s user:cfo user:eve\n3 yes q s user:eve user:cfo",
        "2 delegate q s user:cfo user:ada\n3 yes q s user:ada user:cfo",
        "2 delegate other s user:cfo user:deputy\n3 yes q s user:bob",
    ] {
        breaks(flow, &format!("{ask}{wrong}\n4 seal completed"), "history.delegated");
    }
}

const SIGN: &str = "steps:
  - { id: s, approve: { by: [\"role:finance\"], count: 2, message: m, expires_minutes: 1 } }
  - { id: b, needs: [s], uses: file.read, with: { root: out, path: b } }
";

#[test]
fn a_step_that_asks_people_waits_for_enough_of_them() {
    let ask = "1 ask s q 2 action=approve\n";
    let rest = "receipt b 2\n90000 outcome 2 completed\n90000 seal completed";
    keeps(SIGN, &format!("{ask}2 yes q s user:cfo\n3 yes q s user:bob\n3 {rest}"));
    keeps(SIGN, &format!("{ask}2 yes q s user:cfo\n3 no q s user:bob\n3 seal refused"));
    keeps(SIGN, &format!("{ask}60000 timer s\n60000 seal refused"));
    // Nobody who is named could ever answer.
    keeps(SIGN, "1 denial s\n1 seal refused");
    breaks(SIGN, &format!("1 denial s\n3 {rest}"), "history.needs");
    breaks(
        SIGN,
        &format!("{ask}2 yes q s user:cfo\n3 yes q s user:ada\n3 {rest}"),
        "history.people",
    );
    breaks(
        SIGN,
        &format!("{ask}2 yes q s user:cfo\n3 yes q s agent:bob\n3 {rest}"),
        "history.people",
    );
    breaks(
        SIGN,
        &format!("{ask}2 yes q s user:cfo\n3 yes q s user:cfo\n3 {rest}"),
        "history.needs",
    );
    breaks(
        SIGN,
        &format!("{ask}2 yes q s user:cfo\n61002 yes q s user:bob\n61003 {rest}"),
        "history.needs",
    );
    breaks(SIGN, &format!("{ask}2 yes q s user:cfo\n3 {rest}"), "history.needs");
    breaks(SIGN, &format!("2 yes q s user:cfo\n3 yes q s user:bob\n3 {rest}"), "history.consent");
    breaks(SIGN, &format!("{ask}59999 timer s\n59999 seal refused"), "history.early");
    breaks(
        SIGN,
        &format!(
            "{ask}2 yes q s user:cfo\n3 yes q s user:bob\n4 ask s r 2 action=approve\n5 {rest}"
        ),
        "history.twice",
    );
}

/// The workflow sees the words of the engine, not only that a step was refused.
#[test]
fn what_too_few_answered_says_so() {
    let goes_on = "message: m, expires_minutes: 1 }, on_refused: continue }";
    let flow = SIGN.replace("message: m, expires_minutes: 1 } }", goes_on).replace(
        "needs: [s],",
        "needs: [s], if: \"${{ steps.s.error.reason == 'not enough people answered in time' }}\",",
    );
    let ask = "1 ask s q 2 action=approve\n2 yes q s user:cfo\n60000 timer s\n";
    let receipt = "60000 receipt b 2\n60001 outcome 2 completed\n";
    keeps(&flow, &format!("{ask}{receipt}60001 seal completed"));
}

#[test]
fn a_receipt_rests_on_consents_to_itself_that_came_before() {
    let flow = "steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - { id: b, needs: [a], uses: file.read, with: { root: out, path: b } }
";
    let ask = "1 ask a q 1\n";
    let rest = "9 receipt b 2\n9 outcome 2 completed\n9 seal completed";
    keeps(
        flow,
        &format!("{ask}2 yes q a user:cfo\n3 receipt a 1 using=q\n4 outcome 1 completed\n{rest}"),
    );
    keeps(
        flow,
        &format!(
            "{ask}2 yes q a user:cfo\n3 receipt a 1 using=q\n4 outcome 1 abandoned\n4 receipt a 3 using=q\n5 outcome 3 completed\n{rest}"
        ),
    );
    breaks(
        flow,
        &format!("{ask}3 receipt a 1 using=q\n3 yes q a user:cfo\n4 outcome 1 completed\n{rest}"),
        "history.people",
    );
    breaks(
        flow,
        &format!("3 receipt a 1 using=q\n4 outcome 1 completed\n{rest}"),
        "history.consent",
    );
    breaks(
        flow,
        &format!("{ask}2 no q a user:cfo\n3 receipt a 1 using=q\n4 outcome 1 completed\n{rest}"),
        "history.consent",
    );
    breaks(
        flow,
        &format!(
            "{ask}2 yes q a user:cfo\n3 receipt a 1 using=q intent=else\n4 outcome 1 completed\n{rest}"
        ),
        "history.consent",
    );
    breaks(
        flow,
        &format!(
            "{ask}2 yes q a user:cfo\n3 receipt a 1 using=q\n4 outcome 1 completed\n9 receipt b 2 using=q intent=a\n9 outcome 2 completed\n9 seal completed"
        ),
        "history.consent",
    );
    breaks(
        flow,
        &format!(
            "{ask}60002 yes q a user:cfo\n60003 receipt a 1 using=q\n60004 outcome 1 completed"
        ),
        "history.people",
    );
}

#[test]
fn a_signal_that_fits_or_its_time_ends_the_wait() {
    let flow = "steps:
  - { id: w, wait_for: { signal: paid, where: { n: 1 }, timeout_ms: 100 }, on_error: continue }
  - { id: b, needs: [w], uses: file.read, with: { root: out, path: b } }
";
    let rest = "receipt b 2\n500 outcome 2 completed\n500 seal completed";
    keeps(flow, &format!("5 signal paid payload={{\"n\":1}}\n5 {rest}"));
    keeps(flow, &format!("5 signal paid payload={{\"n\":2}}\n100 timer w\n100 {rest}"));
    breaks(
        flow,
        "4 receipt b 2\n5 signal paid payload={\"n\":1}\n6 outcome 2 completed\n6 seal completed",
        "history.needs",
    );
    breaks(flow, &format!("5 signal paid payload={{\"n\":2}}\n5 {rest}"), "history.needs");
    breaks(flow, &format!("5 signal other payload={{\"n\":1}}\n5 {rest}"), "history.needs");
    breaks(flow, &format!("99 timer w\n100 {rest}"), "history.early");
}

#[test]
fn one_signal_brings_on_one_step() {
    let one = "steps:
  - { id: v, wait_for: { signal: paid, timeout_ms: 100 } }
  - { id: w, needs: [v], wait_for: { signal: paid, timeout_ms: 100 } }
  - { id: b, needs: [w], uses: file.read, with: { root: out, path: b } }
";
    let rest = "receipt b 2\n300 outcome 2 completed\n300 seal completed";
    assert!(told(one, &format!("5 signal paid\n6 signal paid\n6 {rest}")).holds());
    keeps(one, "5 signal paid\n105 timer w\n105 seal failed");
    keeps(one, "5 signal paid\n9 cancel\n9 seal cancelled");
    breaks(one, &format!("5 signal paid\n6 {rest}"), "history.needs");
    breaks(one, "5 signal paid\n9 cancel\n9 seal completed", "history.status");
    // Which of two that waited at once took it, no entry says.
    let two = one.replace("needs: [v], wait_for", "wait_for");
    for end in ["105 timer v\n105 seal failed", "105 timer w\n105 seal failed"] {
        assert!(told(&two, &format!("5 signal paid\n{end}")).holds(), "{end}");
    }
    for begun in [
        "6 receipt b 2\n9 cancel\n9 outcome 2 completed\n9 seal cancelled",
        "9 cancel\n9 seal cancelled",
    ] {
        assert!(told(&two, &format!("5 signal paid\n{begun}")).holds(), "{begun}");
    }
}

#[test]
fn no_more_is_begun_than_the_budget_has() {
    let steps = "steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - { id: b, needs: [a], uses: file.read, with: { root: out, path: b } }
";
    let done = "1 receipt a 1 reserve=60\n2 outcome 1 completed cost=50\n2 receipt b 2 reserve=50\n3 outcome 2 completed\n3 seal completed";
    keeps(&format!("budget: {{ cost_micros: 100, effects: 2, minutes: 1 }}\n{steps}"), done);
    keeps(
        &format!("budget: {{ effects: 2 }}\n{steps}"),
        "1 receipt a 1\n2 outcome 1 abandoned\n2 receipt a 3\n3 outcome 3 completed\n4 receipt b 2\n4 outcome 2 completed\n4 seal completed",
    );
    breaks(&format!("budget: {{ cost_micros: 99 }}\n{steps}"), done, "history.cost");
    breaks(&format!("budget: {{ effects: 1 }}\n{steps}"), done, "history.effects");
    let minute = format!("budget: {{ minutes: 1 }}\n{steps}");
    keeps(
        &minute,
        "1 receipt a 1\n60000 timer budget\n60001 outcome 1 completed\n60001 seal failed",
    );
    breaks(
        &minute,
        "1 receipt a 1\n59999 timer budget\n60001 outcome 1 completed\n60001 seal failed",
        "history.early",
    );
    let late = |decided: u64| {
        format!(
            "1 receipt a 1\n2 outcome 1 completed\n200000 receipt b 2 decided={decided}\n200001 outcome 2 completed\n200001 seal completed"
        )
    };
    breaks(&minute, &late(200_000), "history.minutes");
    // What was decided in time may have waited for its commit.
    keeps(&minute, &late(61_000));
    breaks(&minute, &late(61_001), "history.minutes");
    breaks(
        &minute,
        "1 receipt a 1\n60000 timer budget\n60001 outcome 1 completed\n60002 receipt b 2\n60003 outcome 2 completed\n60003 seal failed",
        "history.cancelled",
    );
    breaks(
        steps,
        "1 receipt a 1\n60000 timer budget\n60001 outcome 1 completed\n60001 seal failed",
        "history.unarmed",
    );
}

#[test]
fn a_place_is_named_once_by_its_name_behind_what_it_needs_and_before_what_needs_it() {
    let flow = "steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - { id: here, needs: [a], checkpoint: half-way }
  - { id: b, needs: [here], uses: file.read, with: { root: out, path: b } }
";
    let done = "1 receipt a 1\n10 outcome 1 completed\n";
    let mark = "10 mark here half-way\n";
    let rest = "10 receipt b 2\n11 outcome 2 completed\n11 seal completed";
    keeps(flow, &format!("{done}{mark}{rest}"));
    breaks(flow, &format!("{done}{rest}"), "history.needs");
    breaks(flow, &format!("{done}11 seal completed"), "history.missing");
    breaks(flow, &format!("{done}10 mark here there\n{rest}"), "history.step");
    breaks(flow, &format!("{done}10 mark b half-way\n{mark}{rest}"), "history.needs");
    breaks(flow, &format!("{done}{mark}{mark}{rest}"), "history.twice");
    breaks(flow, &format!("1 receipt a 1\n{mark}10 outcome 1 completed\n{rest}"), "history.needs");
    // A run that goes on from there keeps it, and one that goes on from before it names its own.
    let b = "21 receipt b 12\n22 outcome 12 completed\n22 seal completed";
    keeps(flow, &format!("{done}{mark}{rest}\n20 fork 4\n{b}"));
    keeps(flow, &format!("{done}{mark}{rest}\n20 fork 3\n20 mark here half-way\n{b}"));
    breaks(
        flow,
        &format!("{done}{mark}{rest}\n20 fork 4\n20 mark here half-way\n{b}"),
        "history.twice",
    );
}
