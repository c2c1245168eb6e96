//! What the machine does, one rule at a time.

use cog_base::Value;
use cog_flow::{Action, Event, Status};

use crate::harness::{World, path, plain_flow, with_steps};

fn read(id: &str, more: &str) -> String {
    format!("- {{ id: {id}, uses: file.read, with: {{ root: in, path: x }}{more} }}\n")
}

#[test]
fn steps_without_needs_start_at_once_and_the_others_when_their_needs_are_done() {
    let mut world = World::start(&plain_flow(&[("a", &[]), ("b", &[]), ("c", &["a", "b"])]));
    world.expect(&["perform a", "perform b"]);
    world.complete("b", "2");
    world.expect(&[]);
    world.complete("a", "1");
    world.expect(&["perform c"]);
    world.complete("c", "3");
    world.expect(&["finish completed"]);
}

#[test]
fn a_skipped_step_counts_as_done() {
    let text = with_steps(&(read("a", ", if: \"1 > 2\"") + &read("b", ", needs: [a]")));
    let mut world = World::start(&text);
    world.expect(&["perform b"]);
    world.expect_steps(&["a skipped", "b running"]);
}

#[test]
fn a_condition_that_is_no_truth_fails_the_step() {
    for condition in ["\"size(run.workflow) + 1\"", "\"${{ run.workflow }}\""] {
        let text = with_steps(&read("a", &format!(", if: {condition}")));
        World::start(&text).expect(&["fell a expression", "finish failed: a expression"]);
    }
}

#[test]
fn an_unhandled_failure_cancels_its_siblings_waits_for_their_effects_and_fails_the_run() {
    let text = plain_flow(&[("a", &[]), ("b", &[]), ("c", &["a"]), ("d", &["b"])]);
    let mut world = World::start(&text);
    world.lines();
    world.fail("a", "disk");
    world.expect(&["cancel b"]);
    assert_eq!(world.status(), Status::Running);
    world.complete("b", "2");
    world.expect(&["finish failed: a disk"]);
    world.expect_steps(&["a failed", "b completed", "c skipped", "d skipped"]);
}

#[test]
fn an_effect_that_was_stopped_as_asked_is_skipped() {
    let mut world = World::start(&plain_flow(&[("a", &[]), ("b", &[])]));
    world.lines();
    world.refuse("a", "rule");
    world.expect(&["cancel b"]);
    world.fail("b", "cancelled");
    world.expect(&["finish refused: a rule"]);
    world.expect_steps(&["a refused", "b skipped"]);
}

#[test]
fn events_that_answer_nothing_are_out_of_order_and_change_nothing() {
    let mut world = World::start(&plain_flow(&[("a", &[]), ("b", &["a"])]));
    world.lines();
    let completed = |step: &str| Event::Completed { step: path(step), output: Value::from(1_u64) };
    let before = format!("{:?}", world.run);
    for (event, why) in [
        (completed("b"), "`completed` for step `b` is out of order: the step is waiting"),
        (
            completed("z"),
            "`completed` for step `z` is out of order: there is no such step in this run",
        ),
        (
            Event::Due { timer: path("a") },
            "`due` for step `a` is out of order: the step waits for its effect",
        ),
    ] {
        assert_eq!(world.apply(event).unwrap_err().to_string(), why);
    }
    assert_eq!(format!("{:?}", world.run), before);
    world.complete("a", "1");
    let again = world.apply(completed("a")).unwrap_err().to_string();
    assert_eq!(again, "`completed` for step `a` is out of order: the step is completed");
    world.complete("b", "1");
    let over = world.apply(Event::Cancelled { reason: "x".into() }).unwrap_err().to_string();
    assert_eq!(over, "`cancelled` for the run is out of order: the run is completed");
}

#[test]
fn on_error_continue_lets_the_others_see_the_error() {
    let text = with_steps(
        &(read("a", ", on_error: continue")
            + "- { id: b, needs: [a], uses: compute, with: { s: \"${{ steps.a.status }}\", c: \"${{ steps.a.error.code }}\" } }"),
    ) + "outputs: { b: \"${{ steps.b.output }}\" }\n";
    let mut world = World::start(&text);
    world.lines();
    world.fail("a", "disk");
    world.expect(&[r#"finish completed {"b":{"c":"disk","s":"failed"}}"#]);
}

const HANDLED: &str = "
- id: a
  uses: file.read
  with: { root: in, path: x }
  on_error:
    steps:
      - id: tell
        uses: file.write
        with: { root: in, path: log, text: \"failed: ${{ steps.a.error.message }}\" }
- { id: b, needs: [a], uses: file.read, with: { root: in, path: y } }";

#[test]
fn a_handler_sees_what_went_wrong_and_then_the_others_go_on() {
    let mut world = World::start(&with_steps(HANDLED));
    world.lines();
    world.fail("a", "disk");
    let Some(Action::Perform { step, with, .. }) = world.actions.first() else { panic!() };
    assert_eq!(step.as_str(), "a.on_error.tell");
    assert_eq!(with.get("text"), Some(&Value::from("failed: disk!")));
    world.lines();
    world.complete("a.on_error.tell", "{}");
    world.expect(&["perform b"]);
    world.complete("b", "1");
    world.expect(&["finish completed"]);
}

#[test]
fn a_handler_that_fails_fails_what_is_around() {
    let mut world = World::start(&with_steps(HANDLED));
    world.lines();
    world.fail("a", "disk");
    world.lines();
    world.refuse("a.on_error.tell", "rule");
    world.expect(&["finish refused: a.on_error.tell rule"]);
}

#[test]
fn a_refusal_has_its_own_handler() {
    for (handlers, end) in [
        (", on_refused: continue", "finish completed"),
        (", on_error: continue", "finish refused: a rule"),
        ("", "finish refused: a rule"),
    ] {
        let mut world = World::start(&with_steps(&read("a", handlers)));
        world.lines();
        world.refuse("a", "rule");
        world.expect(&[end]);
    }
}

const GROUP: &str = "
- id: both
  on_error: continue
  steps:
    - { id: one, uses: file.read, with: { root: in, path: x } }
    - { id: two, uses: file.read, with: { root: in, path: y } }
- { id: after, needs: [both], uses: compute, with: { all: \"${{ steps.both }}\" } }";

#[test]
fn a_group_gives_what_its_steps_gave() {
    let text = with_steps(GROUP) + "outputs: { o: \"${{ steps.after.output.all.output }}\" }\n";
    let mut world = World::start(&text);
    world.expect(&["perform both.one", "perform both.two"]);
    world.complete("both.two", "2");
    world.complete("both.one", "1");
    world.expect(&[
        r#"finish completed {"o":{"steps":{"one":{"error":null,"output":1,"status":"completed"},"two":{"error":null,"output":2,"status":"completed"}}}}"#,
    ]);
}

#[test]
fn a_group_falls_as_its_step_fell_and_its_handler_applies() {
    let text = with_steps(GROUP) + "outputs: { e: \"${{ steps.after.output.all.error }}\" }\n";
    let mut world = World::start(&text);
    world.lines();
    world.fail("both.one", "disk");
    world.expect(&["cancel both.two"]);
    world.fail("both.two", "cancelled");
    world.expect(&[
        r#"finish completed {"e":{"code":"disk","message":"disk!","step":"both.one","transient":false}}"#,
    ]);
}

const EACH: &str = "
- id: mail
  foreach: \"${{ [10, 20, 30] }}\"
  max_parallel: 2
  HANDLER
  uses: file.read
  with: { root: in, path: \"${{ string(item) }}-${{ index }}\" }
- { id: all, needs: [mail], uses: compute, with: { s: \"${{ steps.mail.output.map(m, m.status) }}\" } }";

#[test]
fn foreach_runs_some_at_once_in_order_and_gives_a_record_of_each() {
    let text = with_steps(&EACH.replace("HANDLER", "name: Mail"))
        + "outputs: { o: \"${{ steps.mail.output }}\" }\n";
    let mut world = World::start(&text);
    let Some(Action::Perform { with, .. }) = world.actions.get(1) else { panic!() };
    assert_eq!(with.get("path"), Some(&Value::from("20-1")));
    world.expect(&["perform mail[0]", "perform mail[1]"]);
    world.complete("mail[1]", "1");
    world.expect(&["perform mail[2]"]);
    world.complete("mail[2]", "2");
    world.complete("mail[0]", "0");
    world.expect(&[concat!(
        r#"finish completed {"o":[{"error":null,"item":10,"output":0,"status":"completed"},"#,
        r#"{"error":null,"item":20,"output":1,"status":"completed"},"#,
        r#"{"error":null,"item":30,"output":2,"status":"completed"}]}"#
    )]);
}

#[test]
fn the_handlers_of_a_foreach_are_about_each_item() {
    let text = with_steps(&EACH.replace("HANDLER", "on_error: continue"))
        + "outputs: { s: \"${{ steps.all.output.s }}\" }\n";
    let mut world = World::start(&text);
    world.lines();
    world.fail("mail[0]", "disk");
    world.expect(&["perform mail[2]"]);
    world.complete("mail[1]", "1");
    world.complete("mail[2]", "1");
    world.expect(&[r#"finish completed {"s":["failed","completed","completed"]}"#]);
}

#[test]
fn an_unhandled_item_stops_the_others() {
    let mut world = World::start(&with_steps(&EACH.replace("HANDLER", "name: Mail")));
    world.lines();
    world.refuse("mail[1]", "rule");
    world.expect(&["cancel mail[0]"]);
    world.complete("mail[0]", "1");
    world.expect(&["finish refused: mail[1] rule"]);
    world.expect_steps(&["mail refused", "all skipped", "mail[0] completed", "mail[1] refused"]);
}

#[test]
fn a_foreach_handler_runs_with_the_item_and_sees_that_item() {
    let handler = "on_error: { steps: [ { id: tell, uses: file.write, with: { root: in, path: log, text: \"${{ item }} ${{ steps.mail.error.code }}\" } } ] }";
    let mut world = World::start(&with_steps(&EACH.replace("HANDLER", handler)));
    world.lines();
    world.fail("mail[1]", "disk");
    let Some(Action::Perform { step, with, .. }) = world.actions.first() else { panic!() };
    assert_eq!(step.as_str(), "mail[1].on_error.tell");
    assert_eq!(with.get("text"), Some(&Value::from("20 disk")));
}

#[test]
fn a_foreach_over_something_else_fails_and_over_nothing_completes() {
    let fell = ["fell a expression", "finish failed: a expression"];
    for (list, lines) in [
        ("\"${{ [] }}\"", &["finish completed"][..]),
        ("[]", &["finish completed"]),
        ("\"${{ {'a': run.workflow} }}\"", &fell),
        ("\"${{ run.workflow }}\"", &fell),
    ] {
        let text = with_steps(&read("a", &format!(", foreach: {list}")));
        World::start(&text).expect(lines);
    }
}

#[test]
fn a_loop_that_fails_itself_is_nothing_that_handlers_of_items_have_a_say_about() {
    let steps = "{ steps: [ { id: tell, uses: compute, with: { a: \"${{ item }}\" } } ] }";
    let fails = ["[]\", if: \"size(run.workflow)", "[size(run.workflow)][1]", "run.workflow"];
    for handler in ["fail", "continue", steps] {
        for list in fails {
            let list = list.replace("[]\", if: \"", "[] }}\", if: \"${{ ");
            let more = format!(", foreach: \"${{{{ {list} }}}}\", on_error: {handler}");
            let fell = ["fell a expression", "finish failed: a expression"];
            World::start(&with_steps(&read("a", &more))).expect(&fell);
        }
    }
}

#[test]
fn foreach_has_a_most() {
    let list = "\"${{ inputs.n.split(',') }}\"";
    let step = format!(
        "- {{ id: a, foreach: {list}, max_parallel: 256, on_error: continue, uses: compute, with: {{ i: \"${{{{ index }}}}\" }} }}"
    );
    let text = with_steps(&step)
        + "inputs: { n: { type: string } }\noutputs: { n: \"${{ steps.a.output.size() }}\" }\n";
    for (count, lines) in [
        (10_000, &[r#"finish completed {"n":10000}"#][..]),
        (10_001, &["fell a limit", "finish failed: a limit"]),
    ] {
        let items = vec!["x"; count].join(",");
        World::start_with(&text, &[("n", &items)]).expect(lines);
    }
}

#[test]
fn a_run_has_a_most_of_steps() {
    let text = with_steps(
        "
- id: outer
  foreach: \"${{ inputs.n.split(',') }}\"
  steps:
    - { id: inner, foreach: \"${{ inputs.n.split(',') }}\", uses: compute, with: { i: \"1\" } }",
    ) + "inputs: { n: { type: string } }\n";
    let items = vec!["x"; 1_000].join(",");
    let mut world = World::start_with(&text, &[("n", &items)]);
    let lines = world.lines();
    assert_eq!(lines.len(), 1);
    assert!(lines.iter().all(|line| line.ends_with("limit")), "{lines:?}");
}

const CHOOSE: &str = "
- id: pay
  as: agent:clerk
  HANDLER
  choose:
    goal: \"Pay ${{ inputs.who }}\"
    constraints: { cost_micros: 500 }
    plans:
      - id: sepa
        expect: { cost_micros: 200, latency_ms: 1000, risk: low }
        steps:
          - { id: write, uses: file.write, with: { root: in, path: \"${{ inputs.who }}\", text: t } }
          - { id: check, needs: [write], uses: file.read, with: { root: in, path: \"${{ steps.write.output.path }}\" } }
      - id: instant
        expect: { cost_micros: \"${{ 100 * 3 }}\", latency_ms: 10, risk: medium }
        steps: [ { id: call, as: agent:bank, uses: http.request, with: { url: \"https://x\" } } ]";

fn choose(handler: &str) -> World {
    let text = with_steps(&CHOOSE.replace("HANDLER", handler))
        + "inputs: { who: { type: string, default: ada } }\noutputs: { o: \"${{ steps.pay }}\" }\n";
    World::start(&text)
}

#[test]
fn plans_are_offered_with_what_is_known_of_them() {
    let world = choose("name: Pay");
    let Some(Action::Choose { goal, constraints, plans, .. }) = world.actions.first() else {
        panic!("{:?}", world.actions)
    };
    assert_eq!((goal.as_str(), constraints.cost_micros), ("Pay ada", Some(500)));
    let known: Vec<_> = plans
        .iter()
        .flat_map(|plan| &plan.steps)
        .map(|step| (step.id.as_str(), step.actor.as_deref(), step.with.is_some()))
        .collect();
    assert_eq!(
        known,
        [
            ("write", Some("agent:clerk"), true),
            ("check", Some("agent:clerk"), false),
            ("call", Some("agent:bank"), true)
        ]
    );
    assert_eq!(plans.iter().map(|plan| plan.expect.cost_micros).collect::<Vec<_>>(), [200, 300]);
}

#[test]
fn the_chosen_plan_runs_and_the_output_says_which() {
    let mut world = choose("name: Pay");
    world.expect(&["choose pay 1 of sepa,instant"]);
    world.plan("pay", Some("instant"));
    world.expect(&["perform pay.instant.call"]);
    world.complete("pay.instant.call", "200");
    world.expect(&[concat!(
        r#"finish completed {"o":{"error":null,"output":{"plan":"instant","#,
        r#""steps":{"call":{"error":null,"output":200,"status":"completed"}}},"status":"completed"}}"#
    )]);
}

/// Whoever said no to a plan was not asked for another way to do it all the same.
#[test]
fn no_other_plan_is_taken_when_people_said_no() {
    let mut world = choose("name: Pay");
    world.plan("pay", Some("sepa"));
    world.lines();
    world.refuse("pay.sepa.write", "approval.rejected");
    world.expect(&["finish refused: pay.sepa.write approval.rejected"]);
}

#[test]
fn a_fallen_plan_is_replaced_by_one_of_the_others() {
    let mut world = choose("name: Pay");
    world.plan("pay", Some("sepa"));
    world.lines();
    world.complete("pay.sepa.write", r#"{"path":"p"}"#);
    world.expect(&["perform pay.sepa.check"]);
    world.refuse("pay.sepa.check", "rule");
    world.expect(&["choose pay 2 of instant"]);
    let fallen = Event::Planned { step: path("pay"), plan: Some("sepa".into()), reason: "".into() };
    let error = world.apply(fallen).unwrap_err().to_string();
    assert_eq!(error, "`planned` for step `pay` is out of order: the plan `sepa` was not offered");
    world.plan("pay", Some("instant"));
    world.fail("pay.instant.call", "http");
    world.expect(&["perform pay.instant.call", "finish failed: pay.instant.call http"]);
}

#[test]
fn no_admissible_plan_is_a_refusal_and_handlers_apply() {
    let mut world = choose("name: Pay");
    world.plan("pay", None);
    world.expect(&["choose pay 1 of sepa,instant", "finish refused: pay no_admissible_plan"]);
    let mut world = choose("on_refused: continue");
    world.plan("pay", Some("sepa"));
    world.refuse("pay.sepa.write", "rule");
    world.lines();
    world.plan("pay", None);
    let lines = world.lines();
    assert!(lines.iter().all(|line| line.starts_with("finish completed")), "{lines:?}");
}

#[test]
fn there_is_a_most_of_selections() {
    let plan = |id: &str| {
        format!(
            "      - {{ id: {id}, expect: {{ cost_micros: 1, latency_ms: 1, risk: low }}, steps: [ {{ id: a, uses: file.read, with: {{ root: in, path: x }} }} ] }}\n"
        )
    };
    let plans: String = ["p1", "p2", "p3", "p4", "p5", "p6"].into_iter().map(plan).collect();
    let text = with_steps(&format!("- id: c\n  choose:\n    goal: g\n    plans:\n{plans}"));
    let mut world = World::start(&text);
    for id in ["p1", "p2", "p3", "p4"] {
        world.plan("c", Some(id));
        world.fail(&format!("c.{id}.a"), "disk");
    }
    let lines = world.lines();
    assert_eq!(lines.last().map(String::as_str), Some("finish failed: c.p4.a disk"));
    assert_eq!(lines.iter().filter(|line| line.starts_with("choose")).count(), 4);
}

const SIGN: &str =
    "- { id: sign, HANDLER approve: { by: [\"role:finance\"], message: \"Pay?\" } }\n";

#[test]
fn an_approval_parks_the_run_until_people_answer() {
    let text = with_steps(&(SIGN.replace("HANDLER", "") + &read("a", "")));
    let mut world = World::start(&text);
    world.expect(&["ask sign: Pay?", "perform a"]);
    assert_eq!(world.status(), Status::Running);
    world.complete("a", "1");
    assert_eq!(world.status(), Status::Waiting);
    world.expect_steps(&["sign parked", "a completed"]);
    world.approve("sign");
    world.expect(&["finish completed"]);
}

#[test]
fn no_and_no_answer_are_refusals() {
    let text = with_steps(&SIGN.replace("HANDLER", ""));
    let mut world = World::start(&text);
    world.lines();
    world.reject("sign");
    world.expect(&["finish refused: sign approval_rejected"]);
    let mut world = World::start(&text);
    world.lines();
    world.due("sign");
    world.expect(&["finish refused: sign approval_expired"]);
    let mut world = World::start(&with_steps(&SIGN.replace("HANDLER", "on_refused: continue,")));
    world.reject("sign");
    assert_eq!(world.status(), Status::Completed);
}

#[test]
fn a_sleep_arms_a_timer() {
    let text = with_steps("- { id: nap, sleep: { ms: \"${{ 2 * 30 }}\" } }\n")
        + "outputs: { o: \"${{ steps.nap.status }}\" }\n";
    let mut world = World::start(&text);
    world.expect(&["arm nap 60"]);
    world.due("nap");
    world.expect(&[r#"finish completed {"o":"completed"}"#]);
}

#[test]
fn the_run_can_be_ended_from_outside() {
    let text = with_steps(
        &(read("a", ", on_error: continue")
            + &SIGN.replace("HANDLER", "")
            + "- { id: nap, sleep: { ms: 5 } }\n"
            + "- id: each\n  foreach: [1, 2, 3]\n  max_parallel: 2\n  steps:\n    - { id: w, uses: file.read, with: { root: in, path: x } }\n"),
    );
    let cancelled: Event = Event::Cancelled { reason: "enough".into() };
    let over = Event::OverBudget { reason: "effects".into() };
    for (event, end) in
        [(cancelled, "finish cancelled: - cancelled"), (over, "finish failed: - over_budget")]
    {
        let mut world = World::start(&text);
        world.lines();
        world.apply(event.clone()).unwrap();
        world.expect(&[
            "cancel a",
            "cancel sign",
            "cancel nap",
            "cancel each[0].w",
            "cancel each[1].w",
        ]);
        assert!(world.apply(event).is_err());
        world.complete("each[1].w", "1");
        world.fail("a", "cancelled");
        world.expect(&[]);
        world.fail("each[0].w", "cancelled");
        world.expect(&[end]);
    }
}

#[test]
fn a_text_that_is_one_expression_keeps_the_kind_of_its_value() {
    let text = with_steps(
        "- id: a
  uses: compute
  with:
    list: \"${{ [1, 'x', true] }}\"
    whole: \"${{ 1 + 1 }}\"
    text: \"n=${{ 1 + 1 }} ${{ true }}\"
    plain: \"$${{ not one }} and }} {{\"
    braces: \"${{ {'a': {'b': '}}'}} }}\"
    deep: [ { x: \"${{ run.workflow }}\" } ]",
    ) + "outputs: { o: \"${{ steps.a.output }}\" }\n";
    World::start(&text).expect(&[concat!(
        r#"finish completed {"o":{"braces":{"a":{"b":"}}"}},"deep":[{"x":"test"}],"#,
        r#""list":[1,"x",true],"plain":"${{ not one }} and }} {{","text":"n=2 true","whole":2}}"#
    )]);
}

#[test]
fn an_object_does_not_fit_into_text() {
    let text = with_steps("- { id: a, uses: compute, with: { t: \"x ${{ [run.workflow] }}\" } }\n");
    World::start(&text).expect(&["fell a expression", "finish failed: a expression"]);
}

#[test]
fn the_subject_and_the_actor_come_from_the_nearest_step_around() {
    let text = with_steps(
        "
- id: each
  foreach: [ { who: ada } ]
  subject: \"${{ item.who }}\"
  as: agent:clerk
  steps:
    - { id: own, subject: eve, as: user:bob, uses: file.read, with: { root: in, path: x } }
    - { id: inherits, uses: file.read, with: { root: in, path: x } }",
    );
    let world = World::start(&text);
    let found: Vec<_> = world
        .actions
        .iter()
        .map(|action| match action {
            Action::Perform { actor, subject, .. } => (actor.as_deref(), subject.as_deref()),
            _ => panic!("{action:?}"),
        })
        .collect();
    assert_eq!(found, [(Some("user:bob"), Some("eve")), (Some("agent:clerk"), Some("ada"))]);
}

#[test]
fn arguments_are_checked_again_when_they_are_known() {
    let step = "- { id: a, uses: http.request, with: { url: \"${{ inputs.u }}\" } }\n";
    let text = with_steps(step) + "inputs: { u: { type: integer } }\n";
    let mut world = World::start_with(&text, &[("u", "5")]);
    world.expect(&["fell a arguments", "finish failed: a arguments"]);
}

#[test]
fn outputs_that_cannot_be_evaluated_fail_the_run() {
    let text = with_steps(&read("a", "")) + "outputs: { o: \"${{ steps.a.output.nothing }}\" }\n";
    let mut world = World::start(&text);
    world.lines();
    world.complete("a", "{}");
    world.expect(&["finish failed: - expression"]);
}

#[test]
fn the_same_events_give_the_same_actions() {
    let once = || {
        let mut world = World::start(&with_steps(&EACH.replace("HANDLER", "on_error: continue")));
        world.fail("mail[1]", "x");
        world.complete("mail[0]", "[1, {\"b\": 2, \"a\": 1}]");
        world.complete("mail[2]", "3");
        format!("{:?} {:?}", world.actions, world.run)
    };
    assert_eq!(once(), once());
}
