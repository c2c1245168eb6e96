//! Runs that go on from a place of another.

use cog_history::{Rules, check};

use crate::told::{breaks, keeps, records};

const THREE: &str = "inputs: { who: { type: string, default: ada } }
steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - { id: b, needs: [a], if: \"inputs.who != 'eve'\", uses: file.read, with: { root: out, path: b } }
  - { id: c, needs: [b], uses: file.read, with: { root: out, path: \"${{ inputs.who }}\" } }
";
/// Entries 1 to 8.
const PARENT: &str = "1 receipt a 1\n2 outcome 1 completed\n2 receipt b 2\n3 outcome 2 completed\n3 receipt c 3\n4 outcome 3 failed\n4 seal failed\n";

fn forked(parent: &str, fork: &str) -> String {
    format!("{parent}{fork}")
}

#[test]
fn what_was_over_stays_and_the_rest_is_done_under_receipts_of_its_own() {
    let c = "6 receipt c 13\n7 outcome 13 completed\n7 seal completed";
    keeps(THREE, &forked(PARENT, &format!("5 fork 5 who=ada\n{c}")));
    // The condition of `b` was read by the run before it, and is not read again.
    keeps(THREE, &forked(PARENT, &format!("5 fork 5 who=eve\n{c}")));
    // Behind the end of `a` it is read anew.
    keeps(THREE, &forked(PARENT, &format!("5 fork 3 who=eve\n{c}")));
    keeps(
        THREE,
        &forked(PARENT, &format!("5 fork 3 who=bob\n6 receipt b 12\n6 outcome 12 completed\n{c}")),
    );
    keeps(
        THREE,
        &forked(PARENT, &format!("5 fork 1 who=eve\n5 receipt a 11\n6 outcome 11 completed\n{c}")),
    );
    // What was under way there begins anew, and the run before it goes on by itself.
    keeps(
        THREE,
        "1 receipt a 1\n2 outcome 1 completed\n2 receipt b 2\n5 fork 4 who=ada\n5 outcome 2 completed in=1\n\
         6 receipt b 12 path=x\n7 outcome 12 completed\n8 receipt c 13\n9 outcome 13 completed\n9 seal completed",
    );
    for (fork, code) in [
        ("5 fork 5 who=ada\n6 receipt b 12\n7 outcome 12 completed\n", "history.twice"),
        ("5 fork 5 who=ada\n6 seal completed", "history.missing"),
        (
            "5 fork 3 who=ada\n6 receipt c 13\n7 outcome 13 completed\n7 seal completed",
            "history.needs",
        ),
        (
            "5 fork 3 who=eve\n6 receipt b 12\n7 outcome 12 completed\n7 receipt c 13\n8 outcome 13 completed\n8 seal completed",
            "history.condition",
        ),
        (
            "5 fork 5 who=ada\n6 receipt c 13\n7 outcome 13 completed\n7 seal failed",
            "history.status",
        ),
        ("5 fork 5 who=ada\n6 receipt d 13\n7 outcome 13 completed", "history.step"),
    ] {
        breaks(THREE, &forked(PARENT, fork), code);
    }
}

#[test]
fn a_run_goes_on_from_an_entry_that_is_there_and_is_not_over() {
    for (fork, code) in [
        ("5 fork 99", "history.fork"),
        ("5 fork 9 of=1", "history.fork"),
        ("5 fork 8", "history.fork"),
        ("5 fork 3 who=ada\n5 fork 3 of=2 who=ada", "history.fork"),
    ] {
        breaks(THREE, &forked(PARENT, fork), code);
    }
    let ended = "1 receipt a 1\n2 cancel\n3 outcome 1 completed\n3 seal cancelled\n";
    breaks(THREE, &forked(ended, "4 fork 4 who=ada"), "history.fork");
    breaks(THREE, &forked(ended, "4 fork 3 who=ada"), "history.fork");
    keeps(THREE, &forked(ended, "4 fork 2 who=ada\n4 receipt a 11"));
    let report =
        check(records(THREE, &forked(PARENT, "5 fork 5 who=ada")).split_off(1), Rules::STRICT);
    assert_eq!(
        (report.followed, report.not_followed, report.holds()),
        (0, 2, true),
        "its past is not here"
    );
}

#[test]
fn nothing_of_the_run_before_is_authority() {
    let start = "1 receipt a 1\n2 outcome 1 completed\n2 receipt b 2\n";
    for (fork, code) in [
        ("5 fork 4 who=ada\n6 outcome 2 completed", "history.inherited"),
        ("5 fork 4 who=ada\n6 receipt b 2\n7 outcome 2 completed", "history.inherited"),
        ("5 fork 4 who=ada\n5 fork 8 who=ada\n6 outcome 2 completed", "history.inherited"),
    ] {
        breaks(THREE, &forked(start, fork), code);
    }
    let asks = "1 ask a q 1\n2 yes q a user:cfo\n2 receipt a 1 using=q\n3 outcome 1 failed\n3 seal failed\n";
    let rest = "7 receipt b 12\n8 outcome 12 completed\n8 receipt c 13\n9 outcome 13 completed\n9 seal completed";
    keeps(
        THREE,
        &forked(
            asks,
            &format!(
                "5 fork 1 who=ada\n5 ask a r 1\n5 yes r a user:cfo\n6 receipt a 11 using=r\n7 outcome 11 completed\n{rest}"
            ),
        ),
    );
    for fork in [
        "5 fork 1 who=ada\n6 receipt a 11 using=q\n7 outcome 11 completed\n",
        "5 fork 3 who=ada\n6 receipt a 11 using=q\n7 outcome 11 completed\n",
        "5 fork 2 who=ada\n6 yes q a user:cfo\n6 receipt a 11 using=q\n7 outcome 11 completed\n",
    ] {
        breaks(THREE, &forked(asks, &format!("{fork}{rest}")), "history.inherited");
    }
    // Who went on from there did not begin the run before it, and may not consent to their own.
    breaks(
        THREE,
        &forked(
            asks,
            "5 fork 1 who=ada as=user:cfo\n5 ask a r 1\n5 yes r a user:cfo\n6 receipt a 11 using=r",
        ),
        "history.people",
    );
}

#[test]
fn a_step_that_waits_waits_anew() {
    let waits = "budget: { minutes: 1 }
steps:
  - { id: nap, sleep: { ms: 100 } }
  - { id: ok, needs: [nap], approve: { by: [\"role:finance\"], count: 2, message: Go on?, expires_minutes: 1 } }
  - { id: a, needs: [ok], uses: file.read, with: { root: out, path: a } }
";
    keeps(waits, "40 fork 1\n140 timer nap\n140 ask ok q 2");
    breaks(waits, "40 fork 1\n101 timer nap\n140 ask ok q 2", "history.early");
    keeps(waits, "100 timer nap\n200 fork 2\n200 ask ok q 2");
    breaks(waits, "100 timer nap\n200 fork 2\n200 timer nap", "history.unarmed");
    let half = "100 timer nap\n100 ask ok q 2\n120 yes q ok user:cfo\n200 fork 4\n200 ask ok r 2\n";
    let done = "300 receipt a 1\n301 outcome 1 completed\n301 seal completed";
    keeps(waits, &format!("{half}220 yes r ok user:cfo\n230 yes r ok user:eva\n{done}"));
    breaks(waits, &format!("{half}220 yes r ok user:eva\n{done}"), "history.needs");
    // Its minutes are counted from where it began itself.
    keeps(
        waits,
        "50000 fork 1\n50100 timer nap\n100000 ask ok q 2\n110000 timer budget\n110000 seal failed",
    );
    breaks(
        waits,
        "50000 fork 1\n50100 timer nap\n60000 timer budget\n60000 seal failed",
        "history.early",
    );
}

#[test]
fn a_fork_of_a_fork_takes_over_what_that_one_took_over() {
    let first = forked(PARENT, "5 fork 3 who=ada\n6 receipt b 12\n7 outcome 12 completed\n");
    let c = "9 receipt c 23\n9 outcome 23 completed\n9 seal completed";
    keeps(THREE, &forked(&first, &format!("8 fork 11 who=ada\n{c}")));
    keeps(THREE, &forked(&first, &format!("8 fork 9 who=eve\n{c}")));
    keeps(THREE, &forked(&first, &format!("8 fork 5 of=1 who=eve\n{c}")));
    breaks(
        THREE,
        &forked(&first, &format!("8 fork 11 who=ada\n9 receipt b 22\n9 outcome 22 completed\n{c}")),
        "history.twice",
    );
    breaks(THREE, &forked(&first, &format!("8 fork 9 who=bob\n{c}")), "history.needs");
}

#[test]
fn what_the_run_before_it_did_is_not_undone() {
    let saga = "compensate_on: [failed]
steps:
  - { id: a, uses: file.read, with: { root: out, path: a }, on_cancel: { steps: [ { id: u, uses: file.read, with: { root: out, path: ua } } ] } }
  - { id: b, needs: [a], uses: file.read, with: { root: out, path: b }, on_cancel: { steps: [ { id: u, uses: file.read, with: { root: out, path: ub } } ] } }
  - { id: c, needs: [b], uses: file.read, with: { root: out, path: c } }
";
    let parent = "1 receipt a 1\n2 outcome 1 completed\n2 receipt b 2\n";
    let fork = "3 fork 3\n3 receipt b 12 path=other\n4 outcome 12 completed\n4 receipt c 13\n5 outcome 13 failed\n";
    let undone = "5 receipt b.on_cancel.u 14\n6 outcome 14 completed\n";
    let more = "6 receipt a.on_cancel.u 15\n7 outcome 15 completed\n";
    keeps(saga, &format!("{parent}{fork}{undone}7 seal failed"));
    breaks(saga, &format!("{parent}{fork}7 seal failed"), "history.undo.missing");
    breaks(saga, &format!("{parent}{fork}{undone}{more}7 seal failed"), "history.undo.cause");
}

#[test]
fn a_round_that_was_over_stays_and_the_wait_for_the_next_counts_anew() {
    let flow = "inputs: { who: { type: string, default: ada } }
steps:
  - id: p
    repeat: { until: \"index == 1\", most: 3, every_ms: 5 }
    steps: [ { id: a, uses: file.read, with: { root: out, path: \"${{ inputs.who }}\" } } ]
";
    // Entries 1 to 7.
    let parent = "1 receipt p[0].a 1\n2 outcome 1 completed\n7 timer p[1]\n7 receipt p[1].a 2\n8 outcome 2 failed\n8 seal failed\n";
    let second = "receipt p[1].a 12\n15 outcome 12 completed\n15 seal completed";
    keeps(flow, &forked(parent, &format!("9 fork 3 who=bob\n14 timer p[1]\n14 {second}")));
    keeps(flow, &forked(parent, &format!("9 fork 4 who=bob\n9 {second}")));
    breaks(
        flow,
        &forked(parent, &format!("9 fork 3 who=bob\n13 timer p[1]\n14 {second}")),
        "history.early",
    );
    breaks(flow, &forked(parent, &format!("9 fork 3 who=bob\n9 {second}")), "history.rounds");
    let again = "9 receipt p[0].a 11\n9 outcome 11 completed\n";
    breaks(
        flow,
        &forked(parent, &format!("9 fork 3 who=bob\n{again}14 timer p[1]\n14 {second}")),
        "history.twice",
    );
}
