//! Order, joins, conditions, items, plans, handlers.

use crate::told::{breaks, keeps};

const TWO: &str = "steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - { id: b, needs: [a], uses: file.read, with: { root: out, path: b } }
";

#[test]
fn a_step_begins_behind_what_it_needs() {
    keeps(
        TWO,
        "1 receipt a 1\n2 outcome 1 completed\n2 receipt b 2\n3 outcome 2 completed\n3 seal completed",
    );
    keeps(TWO, "1 denial a\n1 seal refused");
    keeps(TWO, "1 receipt a 1\n2 outcome 1 failed\n2 seal failed");
    keeps(
        TWO,
        "1 receipt a 1\n2 outcome 1 abandoned\n2 receipt a 2\n3 outcome 2 unknown\n3 seal failed",
    );
    keeps(TWO, "1 invalid a\n1 seal failed");
    keeps(TWO, "1 receipt a 1\n2 outcome 1 completed\n2 receipt b 2");
    for (story, code) in [
        (
            "1 receipt a 1\n1 receipt b 2\n2 outcome 1 completed\n3 outcome 2 completed\n3 seal completed",
            "history.needs",
        ),
        (
            "1 receipt b 2\n2 outcome 2 completed\n3 receipt a 1\n3 outcome 1 completed\n3 seal completed",
            "history.needs",
        ),
        ("1 receipt b 2\n2 outcome 2 completed\n3 seal completed", "history.needs"),
        ("1 denial a\n1 receipt b 2\n2 outcome 2 completed\n3 seal refused", "history.needs"),
        ("1 receipt a 1\n2 outcome 1 completed\n3 seal completed", "history.missing"),
        ("1 seal completed", "history.missing"),
        ("1 receipt c 1\n2 outcome 1 completed", "history.step"),
        ("1 receipt a 1 action=file.write\n2 outcome 1 completed", "history.step"),
        ("1 receipt a 1 as=agent:bot\n2 outcome 1 completed", "history.step"),
        (
            "1 receipt a 1\n2 outcome 1 completed\n3 receipt a 2\n4 outcome 2 completed",
            "history.twice",
        ),
        (
            "1 receipt a 1\n2 receipt a 2\n3 outcome 1 abandoned\n4 outcome 2 completed",
            "history.twice",
        ),
        ("1 denial a\n2 receipt a 2\n4 outcome 2 completed", "history.twice"),
    ] {
        breaks(TWO, story, code);
    }
}

const JOIN: &str = "steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - id: g
    steps:
      - { id: x, uses: file.read, with: { root: out, path: x } }
      - { id: y, uses: file.read, with: { root: out, path: y } }
  - { id: j, needs: [a, g], uses: file.read, with: { root: out, path: j } }
";

#[test]
fn a_join_waits_for_the_last_of_its_branches() {
    let all = "1 receipt a 1\n1 receipt g.x 2\n1 receipt g.y 3\n2 outcome 2 completed\n2 outcome 1 completed\n";
    keeps(
        JOIN,
        &format!(
            "{all}3 outcome 3 completed\n3 receipt j 4\n4 outcome 4 completed\n4 seal completed"
        ),
    );
    breaks(
        JOIN,
        &format!(
            "{all}3 receipt j 4\n3 outcome 3 completed\n4 outcome 4 completed\n4 seal completed"
        ),
        "history.join",
    );
    breaks(
        JOIN,
        &format!("{all}3 receipt j 4\n4 outcome 4 completed\n4 seal completed"),
        "history.outcome",
    );
}

#[test]
fn beside_a_fall_nothing_begins_and_what_is_under_way_is_waited_for() {
    let both = "steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - { id: b, uses: file.read, with: { root: out, path: b } }
  - { id: c, needs: [b], uses: file.read, with: { root: out, path: c } }
";
    keeps(
        both,
        "1 receipt a 1\n1 receipt b 2\n2 outcome 1 failed\n3 outcome 2 completed\n3 seal failed",
    );
    breaks(
        both,
        "1 receipt a 1\n1 receipt b 2\n2 outcome 1 failed\n3 outcome 2 completed\n3 receipt c 3\n4 outcome 3 completed\n4 seal failed",
        "history.stopped",
    );
    breaks(
        both,
        "1 receipt a 1\n1 receipt b 2\n2 outcome 1 failed\n3 outcome 2 completed\n3 seal completed",
        "history.status",
    );
}

#[test]
fn what_expressions_say_is_kept() {
    let flow = "steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - { id: b, needs: [a], if: \"steps.a.output.text == 'go'\", uses: file.read, with: { root: out, path: b } }
  - { id: c, needs: [b], uses: compute, with: { n: \"${{ steps.b.status }}\" } }
outputs: { n: \"${{ steps.c.output.n }}\" }
";
    keeps(flow, "1 receipt a 1\n2 outcome 1 completed text=stop\n2 seal completed");
    keeps(
        flow,
        "1 receipt a 1\n2 outcome 1 completed text=go\n2 receipt b 2\n3 outcome 2 completed\n3 seal completed",
    );
    breaks(
        flow,
        "1 receipt a 1\n2 outcome 1 completed text=stop\n2 receipt b 2\n3 outcome 2 completed\n3 seal completed",
        "history.condition",
    );
    breaks(
        flow,
        "1 receipt a 1\n2 outcome 1 completed text=go\n2 seal completed",
        "history.missing",
    );
    // A step whose arguments have no value fails by itself.
    let fails = "steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - { id: b, needs: [a], uses: file.read, with: { root: out, path: \"${{ steps.a.output.none }}\" } }
";
    keeps(fails, "1 receipt a 1\n2 outcome 1 completed\n2 seal failed");
    breaks(fails, "1 receipt a 1\n2 outcome 1 completed\n2 seal completed", "history.status");
}

#[test]
fn handlers_run_for_what_they_handle() {
    let flow = "steps:
  - id: a
    uses: file.read
    with: { root: out, path: a }
    on_error: { steps: [ { id: h, uses: file.read, with: { root: out, path: h } } ] }
    on_refused: continue
  - { id: b, needs: [a], uses: file.read, with: { root: out, path: b } }
";
    let last = "4 receipt b 3\n5 outcome 3 completed\n5 seal completed";
    keeps(
        flow,
        &format!(
            "1 receipt a 1\n2 outcome 1 failed\n2 receipt a.on_error.h 2\n3 outcome 2 completed\n{last}"
        ),
    );
    keeps(flow, &format!("1 denial a\n{last}"));
    breaks(
        flow,
        &format!(
            "1 receipt a 1\n2 outcome 1 completed\n2 receipt a.on_error.h 2\n3 outcome 2 completed\n{last}"
        ),
        "history.handler",
    );
    breaks(
        flow,
        &format!(
            "1 receipt a 1\n1 receipt a.on_error.h 2\n2 outcome 1 failed\n3 outcome 2 completed\n{last}"
        ),
        "history.handler",
    );
    breaks(flow, &format!("1 receipt a 1\n2 outcome 1 failed\n{last}"), "history.needs");
}

#[test]
fn a_handler_of_a_group_runs_when_all_in_it_is_over() {
    let group = "steps: [ { id: a, uses: file.read, with: { root: out, path: a } }, { id: c, uses: file.read, with: { root: out, path: c } } ]";
    let handler = "steps: [ { id: h, uses: file.read, with: { root: out, path: h } } ]";
    for word in ["on_error", "on_refused"] {
        let flow = format!("steps:\n  - {{ id: g, {group}, {word}: {{ {handler} }} }}\n");
        let begun = if word == "on_error" {
            "1 receipt g.a 1\n1 receipt g.c 2\n2 outcome 1 failed\n3 outcome 2 completed"
        } else {
            "1 receipt g.a 1\n1 denial g.c\n3 outcome 1 completed"
        };
        let rest = "4 outcome 9 completed\n4 seal completed";
        keeps(&flow, &format!("{begun}\n3 receipt g.{word}.h 9\n{rest}"));
        // Not while something in it is under way, and nothing of it begins once it is stopped.
        let early = "1 receipt g.a 1\n1 receipt g.c 2\n2 outcome 1 failed\n2 receipt g.on_error.h 9\n3 outcome 2 completed";
        if word == "on_error" {
            breaks(&flow, &format!("{early}\n{rest}"), "history.handler");
            let late =
                "1 receipt g.a 1\n2 outcome 1 failed\n2 receipt g.c 2\n3 outcome 2 completed";
            breaks(&flow, &format!("{late}\n3 receipt g.on_error.h 9\n{rest}"), "history.stopped");
        }
    }
}

#[test]
fn items_run_in_their_order_and_no_more_at_once_than_granted() {
    let flow = "steps:
  - { id: e, foreach: \"${{ ['x', 'y', 'z'] }}\", max_parallel: 2, uses: file.read, with: { root: out, path: \"${{ item }}\" } }
  - { id: b, needs: [e], uses: file.read, with: { root: out, path: b } }
";
    let begin = "1 receipt e[0] 1\n1 receipt e[1] 2\n2 outcome 2 completed\n";
    let rest = "4 outcome 1 completed\n4 outcome 3 completed\n4 receipt b 4\n5 outcome 4 completed\n5 seal completed";
    keeps(flow, &format!("{begin}2 receipt e[2] 3\n{rest}"));
    breaks(
        flow,
        &format!(
            "1 receipt e[0] 1\n1 receipt e[1] 2\n1 receipt e[2] 3\n2 outcome 2 completed\n{rest}"
        ),
        "history.parallel",
    );
    breaks(flow, &format!("{begin}2 receipt e[3] 3\n{rest}"), "history.items");
    breaks(
        flow,
        &format!(
            "{begin}2 receipt e[2] 3\n3 receipt b 4\n4 outcome 1 completed\n4 outcome 3 completed\n5 outcome 4 completed\n5 seal completed"
        ),
        "history.join",
    );
    breaks(
        flow,
        &format!(
            "{begin}4 outcome 1 completed\n4 receipt b 4\n5 outcome 4 completed\n5 seal completed"
        ),
        "history.join",
    );
}

#[test]
fn rounds_come_one_after_the_other_and_none_behind_the_last() {
    let flow = "steps:
  - id: p
    repeat: { until: \"index == 1\", most: 3, every_ms: 5 }
    steps: [ { id: a, uses: file.read, with: { root: out, path: \"${{ index }}\" } } ]
  - { id: b, needs: [p], uses: file.read, with: { root: out, path: b } }
";
    let first = "1 receipt p[0].a 1\n2 outcome 1 completed";
    let second = "7 receipt p[1].a 2\n8 outcome 2 completed";
    let rest = "8 receipt b 4\n9 outcome 4 completed\n9 seal completed";
    keeps(flow, &format!("{first}\n7 timer p[1]\n{second}\n{rest}"));
    // The next begins behind its time, counted from the end of the one before.
    breaks(flow, &format!("{first}\n6 timer p[1]\n{second}\n{rest}"), "history.early");
    breaks(flow, &format!("{first}\n{second}\n{rest}"), "history.rounds");
    let ahead = "7 receipt p[1].a 2\n7 timer p[1]\n8 outcome 2 completed";
    breaks(flow, &format!("{first}\n{ahead}\n{rest}"), "history.rounds");
    let beside = "1 receipt p[0].a 1\n1 receipt p[1].a 2\n2 outcome 1 completed";
    let over = "7 timer p[1]\n8 outcome 2 completed";
    breaks(flow, &format!("{beside}\n{over}\n{rest}"), "history.rounds");
    // With the second it is over.
    let third = "8 receipt p[2].a 3\n8 outcome 3 completed";
    breaks(flow, &format!("{first}\n7 timer p[1]\n{second}\n{third}\n{rest}"), "history.rounds");
    breaks(
        flow,
        &format!("{first}\n7 timer p[1]\n{second}\n13 timer p[2]\n13 seal completed"),
        "history.unarmed",
    );
    // What needs it waits for all of its rounds, and they are not left out.
    breaks(
        flow,
        &format!(
            "{first}\n2 receipt b 4\n7 timer p[1]\n{second}\n9 outcome 4 completed\n9 seal completed"
        ),
        "history.join",
    );
    breaks(flow, &format!("{first}\n2 seal completed"), "history.missing");
    // A round that falls is the last.
    let fell = "1 receipt p[0].a 1\n2 outcome 1 failed";
    keeps(flow, &format!("{fell}\n2 seal failed"));
    breaks(flow, &format!("{fell}\n7 timer p[1]\n{second}\n8 seal failed"), "history.rounds");
}

#[test]
fn behind_the_most_rounds_a_group_fails() {
    let flow = "steps:
  - id: p
    repeat: { until: false, most: 2 }
    timeout_ms: 50
    on_error: HANDLER
    steps: [ { id: a, uses: file.read, with: { root: out, path: a } } ]
";
    let fails = flow.replace("HANDLER", "fail");
    let goes_on = flow.replace("HANDLER", "continue");
    let both =
        "1 receipt p[0].a 1\n2 outcome 1 completed\n2 receipt p[1].a 2\n3 outcome 2 completed";
    keeps(&fails, &format!("{both}\n3 seal failed"));
    keeps(&goes_on, &format!("{both}\n3 seal completed"));
    breaks(&fails, &format!("{both}\n3 seal completed"), "history.status");
    let third = "3 receipt p[2].a 3\n4 outcome 3 completed";
    breaks(&fails, &format!("{both}\n{third}\n4 seal failed"), "history.rounds");
    // The time of all of them is that of the group.
    let late = "1 receipt p[0].a 1\n2 outcome 1 completed\n2 receipt p[1].a 2\n51 timer p\n52 outcome 2 completed";
    keeps(&fails, &format!("{late}\n52 seal failed"));
    breaks(
        &fails,
        &format!("{}\n52 seal failed", late.replace("51 timer", "40 timer")),
        "history.early",
    );
}

#[test]
fn a_plan_runs_behind_its_selection_and_another_behind_its_fall() {
    let flow = "steps:
  - id: p
    choose:
      goal: g
      plans:
        - { id: one, expect: { cost_micros: 1, latency_ms: 1, risk: low }, steps: [ { id: w, uses: file.read, with: { root: out, path: o } } ] }
        - { id: two, expect: { cost_micros: 1, latency_ms: 1, risk: low }, steps: [ { id: w, uses: file.read, with: { root: out, path: t } } ] }
";
    keeps(flow, "1 plan p one\n1 receipt p.one.w 1\n2 outcome 1 completed\n2 seal completed");
    keeps(
        flow,
        "1 plan p one\n1 receipt p.one.w 1\n2 outcome 1 failed\n2 plan p two\n2 receipt p.two.w 2\n3 outcome 2 completed\n3 seal completed",
    );
    keeps(flow, "1 plan p -\n1 seal refused");
    keeps(flow, "1 plan p one\n1 receipt p.one.w 1\n2 outcome 1 failed\n2 plan p -\n2 seal failed");
    for story in [
        "1 plan p one\n1 receipt p.two.w 1\n2 outcome 1 completed\n2 seal completed",
        "1 receipt p.one.w 1\n1 plan p one\n2 outcome 1 completed\n2 seal completed",
        "1 receipt p.one.w 1\n2 outcome 1 completed\n2 seal completed",
        "1 plan p three\n2 seal completed",
        "1 plan p one\n1 receipt p.one.w 1\n2 outcome 1 completed\n2 plan p two\n2 receipt p.two.w 2\n3 outcome 2 completed\n3 seal completed",
        "1 plan p one\n1 receipt p.one.w 1\n1 plan p two\n2 outcome 1 failed\n2 receipt p.two.w 2\n3 outcome 2 completed\n3 seal completed",
        "1 plan p one\n1 receipt p.one.w 1\n2 outcome 1 failed\n2 plan p one\n3 seal failed",
    ] {
        breaks(flow, story, "history.plan");
    }
}

#[test]
fn whose_data_a_step_holds_is_read_from_the_steps_around_it() {
    let flow = "steps:
  - id: g
    subject: \"${{ run.id == '' ? 'a' : fail('nobody') }}\"
    on_error: continue
    steps: [ { id: a, uses: file.read, with: { root: out, path: a } } ]
  - { id: b, needs: [g], uses: file.read, with: { root: out, path: b } }
";
    let rest = "3 receipt b 2\n4 outcome 2 completed\n4 seal completed";
    keeps(flow, rest);
    let named = flow.replace("fail('nobody')", "'b'");
    breaks(&named, rest, "history.missing");
    keeps(&named, &format!("1 receipt g.a 1\n2 outcome 1 completed\n{rest}"));
}
