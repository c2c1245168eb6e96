//! Runs that go on from another of which bodies were erased: what depends on those is not accused,
//! and what does not is.

use crate::told::{breaks, told};

/// `w` takes the signal that is its own, and `s` says how that came out.
const WAITS: &str = "inputs: { who: { type: string, default: ada } }
steps:
  - { id: w, wait_for: { signal: paid, where: { n: 1 } } }
  - { id: s, needs: [w], uses: file.read, with: { root: out, path: \"${{ steps.w.status }}\" } }
  - { id: t, needs: [s], uses: file.read, with: { root: out, path: t } }
";
/// Entries 1 to 5: which of the two signals `w` took cannot be told once the first is gone.
const PARENT: &str = "5 signal paid gone=yes payload={\"n\":2}\n6 signal paid payload={\"n\":1}\n6 receipt s 1\n7 outcome 1 completed\n";
const DONE: &str = "9 receipt t 12\n9 outcome 12 completed\n9 seal completed";

/// A story in which nothing that is there is accused, and that could not be followed all the way.
fn excuses(steps: &str, story: &str) {
    let report = told(steps, story);
    assert!(report.holds(), "{story}\n{:#?}", report.findings.kept());
    assert!(report.unsure > 0, "{story}");
}

#[test]
fn a_step_behind_a_signal_that_was_erased_is_not_said_to_begin_again() {
    let again = "8 receipt s 11\n8 outcome 11 completed\n";
    // It went on from the signal that `w` took, so that `s` began in the run itself alone.
    excuses(WAITS, &format!("{PARENT}8 fork 3 who=ada\n{again}{DONE}"));
    // It went on while `s` was under way, which begins anew.
    excuses(WAITS, &format!("{PARENT}8 fork 4 who=ada\n{again}{DONE}"));
    // Without the body of its outcome it is still known that `s` was over.
    let parent = PARENT.replace("1 completed", "1 completed gone=yes");
    excuses(WAITS, &format!("{parent}8 fork 5 who=ada\n{DONE}"));
    for parent in [PARENT, &parent] {
        breaks(WAITS, &format!("{parent}8 fork 5 who=ada\n{again}{DONE}"), "history.twice");
    }
}

#[test]
fn what_is_known_of_such_a_run_is_held_against_it() {
    let start = format!("{PARENT}8 fork 3 who=ada\n");
    let two = "8 receipt s 11\n8 receipt s 13\n8 outcome 11 completed\n9 outcome 13 completed\n";
    breaks(WAITS, &format!("{start}{two}{DONE}"), "history.twice");
    let other = "8 receipt s 11 action=file.write\n8 outcome 11 completed\n";
    breaks(WAITS, &format!("{start}{other}{DONE}"), "history.step");
    let early = "8 receipt s 11\n9 receipt t 12\n9 outcome 11 completed\n9 outcome 12 completed\n";
    breaks(WAITS, &format!("{start}{early}9 seal completed"), "history.needs");
}

/// `s` may be released by a signal that came before the other run began, or behind it.
#[test]
fn of_which_run_it_sees_the_inputs_is_not_made_up() {
    let sees =
        WAITS.replace("id: s, needs: [w],", "id: s, needs: [w], if: \"inputs.who == 'eve'\",");
    let first = "5 signal paid gone=yes payload={\"n\":2}\n5 signal other\n";
    let then = "7 signal paid payload={\"n\":1}\n8 receipt s 11\n8 outcome 11 completed\n";
    excuses(&sees, &format!("{first}6 fork 3 who=eve\n{then}{DONE}"));
}

/// A step that falls by itself stops the run where it was released, which is not known.
#[test]
fn what_began_before_a_fall_of_which_the_place_is_not_known_is_not_accused() {
    let falls = "inputs: { who: { type: string, default: ada } }
steps:
  - { id: w, wait_for: { signal: paid, where: { n: 1 } } }
  - { id: f, needs: [w], uses: compute, with: { x: \"${{ inputs.who + 1 }}\" } }
  - { id: v, wait_for: { signal: other } }
  - { id: s, needs: [v], uses: file.read, with: { root: out, path: s } }
";
    let story = "5 signal paid gone=yes payload={\"n\":2}\n6 signal other\n6 receipt s 1\n7 outcome 1 completed\n8 signal paid payload={\"n\":1}\n8 seal failed";
    excuses(falls, story);
    let whole = story.replace(" gone=yes", "");
    assert_eq!(told(falls, &whole).findings.kept(), []);
    let late = whole.replace("6 receipt s 1\n7 outcome 1 completed\n", "");
    breaks(
        falls,
        &late.replace("8 seal", "8 receipt s 1\n9 outcome 1 completed\n9 seal"),
        "history.stopped",
    );
}

/// What is computed from an output that is gone may have failed, and then something handled that.
#[test]
fn what_handled_a_fall_that_cannot_be_seen_is_not_accused() {
    let group = "steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - id: g
    needs: [a]
    on_error: { steps: [ { id: h, uses: file.read, with: { root: out, path: h } } ] }
    steps:
      - { id: x, uses: compute, with: { x: \"${{ steps.a.output.text + 1 }}\" } }
      - { id: y, needs: [x], uses: file.read, with: { root: out, path: y } }
  - { id: z, needs: [g], uses: file.read, with: { root: out, path: z } }
";
    let handled = "1 receipt a 1\n2 outcome 1 completed\n2 receipt g.on_error.h 2\n3 outcome 2 completed\n3 receipt z 3\n4 outcome 3 completed\n4 seal completed";
    assert_eq!(told(group, handled).findings.kept(), []);
    excuses(group, &handled.replace("1 completed\n2", "1 completed gone=yes\n2"));
    let items = "steps:
  - id: e
    foreach: \"${{ [1, 2] }}\"
    on_error: { steps: [ { id: h, uses: file.read, with: { root: out, path: h } } ] }
    steps:
      - { id: a, uses: file.read, with: { root: out, path: a } }
      - { id: x, needs: [a], uses: compute, with: { x: \"${{ steps.a.output.text + 1 }}\" } }
";
    let each = "1 receipt e[0].a 1\n1 receipt e[1].a 2\n2 outcome 1 completed\n2 receipt e[0].on_error.h 3\n3 outcome 2 completed\n3 receipt e[1].on_error.h 4\n4 outcome 3 completed\n4 outcome 4 completed\n4 seal completed";
    assert_eq!(told(items, each).findings.kept(), []);
    excuses(items, &each.replace("1 completed\n", "1 completed gone=yes\n"));
    let plans = "steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - id: c
    needs: [a]
    choose:
      goal: g
      plans:
        - id: one
          expect: { cost_micros: 1, latency_ms: 1, risk: low }
          steps:
            - { id: y, uses: file.read, with: { root: out, path: y } }
            - { id: x, needs: [y], uses: file.read, with: { root: out, path: \"${{ steps.y.output.text + 1 }}\" } }
        - id: two
          expect: { cost_micros: 1, latency_ms: 1, risk: low }
          steps: [ { id: z, uses: file.read, with: { root: out, path: z } } ]
";
    let again = "1 receipt a 1\n2 outcome 1 completed\n2 plan c one\n2 receipt c.one.y 5\n3 outcome 5 completed\n4 plan c two\n4 receipt c.two.z 2\n5 outcome 2 completed\n5 seal completed";
    assert_eq!(told(plans, again).findings.kept(), []);
    excuses(plans, &again.replace("5 completed\n", "5 completed gone=yes\n"));
}

/// Whether there was another round is told by what was read in the one before.
#[test]
fn whether_there_was_another_round_is_told_by_the_entries() {
    let flow = "steps:
  - id: p
    repeat: { until: \"has(steps.a.output.x) || index == 1\", most: 3, every_ms: 5 }
    steps: [ { id: a, uses: file.read, with: { root: out, path: a } } ]
  - { id: b, needs: [p], uses: file.read, with: { root: out, path: b } }
";
    let first = "1 receipt p[0].a 1\n2 outcome 1 completed gone=yes\n";
    let second = "7 timer p[1]\n7 receipt p[1].a 2\n8 outcome 2 completed\n";
    let rest = "8 receipt b 3\n9 outcome 3 completed\n9 seal completed";
    excuses(flow, &format!("{first}{second}{rest}"));
    excuses(flow, &format!("{first}{rest}"));
    breaks(flow, &format!("{first}7 timer p[1]\n{rest}"), "history.join");
    // There are no more than the most, whatever they came to.
    let third = "8 timer p[2]\n8 receipt p[2].a 4\n8 outcome 4 completed gone=yes\n";
    let fourth = "8 timer p[3]\n8 receipt p[3].a 5\n8 outcome 5 completed\n";
    let second = second.replace("completed", "completed gone=yes");
    excuses(flow, &format!("{first}{second}{third}{rest}"));
    breaks(flow, &format!("{first}{second}{third}{fourth}{rest}"), "history.rounds");
}
