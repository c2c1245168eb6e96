//! Runs that go on from another past the consent of people: they ask again.

use crate::told::{breaks, keeps};

const ASKS: &str = "inputs: { who: { type: string, default: ada } }
steps:
  - { id: say, uses: compute, with: { it: \"for ${{ inputs.who }}\" } }
  - { id: ok, needs: [say], approve: { by: [\"role:finance\"], message: \"${{ steps.say.output.it }}?\" } }
  - { id: a, needs: [ok], uses: file.read, with: { root: out, path: a } }
  - { id: b, needs: [a], uses: file.read, with: { root: out, path: b } }
  - { id: aside, uses: file.read, with: { root: out, path: aside } }
";
/// Entries 1 to 8: `aside` is under way.
const PARENT: &str = "1 receipt aside 9\n1 ask ok q 1 action=approve\n2 yes q ok user:cfo\n3 receipt a 1\n4 outcome 1 completed\n4 receipt b 2\n5 outcome 2 failed\n";
const B: &str = "8 receipt b 12\n9 outcome 12 completed\n9 seal completed";
const ASIDE: &str = "6 receipt aside 19\n6 outcome 19 completed\n";

#[test]
fn people_are_asked_again_and_what_needs_them_waits() {
    let fork = format!("{PARENT}6 fork 6 who=eve\n{ASIDE}");
    let asked = "6 ask ok r 1 action=approve\n";
    keeps(ASKS, &format!("{fork}{asked}7 yes r ok user:cfo\n{B}"));
    // Nobody was asked, or has not answered yet, or said no.
    breaks(ASKS, &format!("{fork}{B}"), "history.needs");
    breaks(ASKS, &format!("{fork}{asked}{B}"), "history.needs");
    breaks(ASKS, &format!("{fork}{asked}7 no r ok user:cfo\n{B}"), "history.needs");
    keeps(ASKS, &format!("{fork}{asked}7 no r ok user:cfo\n7 seal refused"));
    // Who went on from there may not answer, and the answer given before is none.
    let own = format!("{PARENT}6 fork 6 who=eve as=user:cfo\n{ASIDE}{asked}");
    breaks(ASKS, &format!("{own}7 yes r ok user:cfo\n{B}"), "history.people");
    breaks(ASKS, &format!("{fork}6 yes q ok user:cfo\n{B}"), "history.inherited");
    // The step that was done stays, and a run in which nobody was asked is not over.
    breaks(
        ASKS,
        &format!("{fork}{asked}7 yes r ok user:cfo\n7 receipt a 11\n7 outcome 11 completed\n{B}"),
        "history.twice",
    );
    breaks(ASKS, &format!("{fork}6 seal completed"), "history.missing");
}

#[test]
fn a_fork_of_a_fork_asks_once_more() {
    let first = format!(
        "{PARENT}6 fork 6 who=eve\n{ASIDE}6 ask ok r 1 action=approve\n7 yes r ok user:cfo\n7 receipt b 12\n8 outcome 12 failed\n"
    );
    let again = "8 fork 13 who=eve\n8 ask ok s 1 action=approve\n";
    let b = "9 receipt b 22\n9 outcome 22 completed\n9 seal completed";
    keeps(ASKS, &format!("{first}{again}8 yes s ok user:cfo\n{b}"));
    breaks(ASKS, &format!("{first}8 fork 13 who=eve\n{b}"), "history.needs");
    breaks(ASKS, &format!("{first}{again}{b}"), "history.needs");
    // From a place before the answer the request is open, and begins anew all the same.
    let open = "8 fork 12 who=eve\n8 ask ok s 1 action=approve\n8 yes s ok user:cfo\n";
    keeps(ASKS, &format!("{first}{open}{b}"));
}

#[test]
fn who_was_passed_by_is_asked_if_the_inputs_say_so() {
    let steps = "inputs: { who: { type: string, default: ada } }
steps:
  - { id: eve, uses: compute, with: { it: \"${{ inputs.who == 'eve' }}\" } }
  - { id: check, needs: [eve], if: \"steps.eve.output.it\", steps: [ { id: ok, approve: { by: [\"role:finance\"], message: Eve? } } ] }
  - { id: a, needs: [check], uses: file.read, with: { root: out, path: a } }
";
    let parent = "1 receipt a 1\n2 outcome 1 failed\n2 seal failed\n";
    let a = "6 receipt a 11\n7 outcome 11 completed\n7 seal completed";
    keeps(steps, &format!("{parent}5 fork 1 who=ada\n{a}"));
    let asked = "5 ask check.ok q 1 action=approve\n6 yes q check.ok user:cfo\n";
    keeps(steps, &format!("{parent}5 fork 1 who=eve\n{asked}{a}"));
    breaks(steps, &format!("{parent}5 fork 1 who=eve\n{a}"), "history.join");
    // Behind an entry of the run, too: `late` is the place.
    let steps = &steps.replace("{ root: out, path: a } }", "{ root: out, path: a } }\n  - { id: b, needs: [a], uses: file.read, with: { root: out, path: b } }");
    let parent =
        "1 receipt a 1\n2 outcome 1 completed\n2 receipt b 2\n3 outcome 2 failed\n3 seal failed\n";
    let b = "6 receipt b 12\n7 outcome 12 completed\n7 seal completed";
    keeps(steps, &format!("{parent}5 fork 3 who=ada\n{b}"));
    keeps(steps, &format!("{parent}5 fork 3 who=eve\n{asked}{b}"));
    breaks(steps, &format!("{parent}5 fork 3 who=eve\n{b}"), "history.needs");
}

#[test]
fn no_consent_inside_what_is_over_is_taken_over() {
    let block = "steps:
  - { id: all, steps: [ { id: ok, approve: { by: [\"role:finance\"], message: Go on? } } ] }
  - { id: a, needs: [all], uses: file.read, with: { root: out, path: a } }
";
    let each = "steps:
  - { id: each, foreach: [1], steps: [ { id: ok, approve: { by: [\"role:finance\"], message: Go on? } } ] }
  - { id: a, needs: [each], uses: file.read, with: { root: out, path: a } }
";
    for (steps, path) in [(block, "all.ok"), (each, "each[0].ok")] {
        let asks = format!("1 ask {path} q 1 action=approve\n2 yes q {path} user:cfo\n");
        let a = "3 receipt a 1\n4 outcome 1 completed\n4 seal completed";
        keeps(steps, &format!("{asks}{a}"));
        breaks(steps, &format!("{asks}3 fork 3\n{a}"), "history.inherited");
        let again = format!("2 ask {path} r 1 action=approve\n2 yes r {path} user:cfo\n");
        keeps(steps, &format!("1 ask {path} q 1 action=approve\n2 fork 2\n{again}{a}"));
    }
}

#[test]
fn effects_of_the_run_before_count() {
    let two = "budget: { effects: 2 }
steps:
  - { id: a, uses: file.read, with: { root: out, path: a } }
  - { id: b, needs: [a], uses: file.read, with: { root: out, path: b } }
  - { id: c, needs: [b], uses: file.read, with: { root: out, path: c } }
";
    let parent =
        "1 receipt a 1\n2 outcome 1 completed\n2 receipt b 2\n3 outcome 2 failed\n3 seal failed\n";
    let b = "6 receipt b 12\n7 outcome 12 completed\n";
    keeps(two, &format!("{parent}5 fork 3\n{b}"));
    breaks(two, &format!("{parent}5 fork 3\n{b}7 receipt c 13\n"), "history.effects");
    // From the very start nothing was done yet.
    keeps(two, &format!("{parent}5 fork 1\n5 receipt a 11\n6 outcome 11 completed\n{b}"));
}
