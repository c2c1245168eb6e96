//! Runs that a run begins: one after the other in the log, one budget, one end.

use cog_base::id::RunId;
use cog_engine::{Input, Resumption, What};
use cog_ledger::Kind;

use crate::house::House;

const MAIN: &str = "
name: main
domain: simulation
roots: { out: { path: out, access: write } }
steps:
  - id: first
    uses: file.write
    with: { root: out, path: first, text: done }
    on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: first } } ] }
  - { id: sub, needs: [first], run: { workflow: ./sub.yaml, inputs: { name: a } } }
  - { id: last, needs: [sub], uses: file.write, with: { root: out, path: last, text: \"${{ steps.sub.output.said }}\" } }
outputs: { said: \"${{ steps.sub.output.said }}\" }
";
const SUB: &str = "
name: sub
domain: simulation
inputs: { name: { type: string } }
roots: { out: { path: out, access: write } }
steps:
  - { id: one, uses: file.write, with: { root: out, path: one, text: \"${{ inputs.name }}\" } }
  - { id: two, needs: [one], uses: file.write, with: { root: out, path: two, text: x } }
outputs: { said: \"hello ${{ inputs.name }}\" }
";

fn family(house: &mut House, main: &str, sub: &str) -> RunId {
    house.start_family(main, &[("./sub.yaml", sub)])
}

fn child(house: &House, nth: usize) -> RunId {
    let begun = house.notices.iter().filter_map(|notice| {
        let What::Begun { child, .. } = &notice.what else { return None };
        Some(*child)
    });
    begun.skip(nth).collect::<Vec<_>>().first().copied().unwrap()
}

#[test]
fn a_run_seals_itself_before_the_one_that_began_it_goes_on() {
    let mut house = House::new();
    let run = family(&mut house, MAIN, SUB);
    house.done("first");
    let child = child(&house, 0);
    house.done("one");
    house.done("two");
    house.done("last");
    let parents = ["receipt", "outcome completed 1", "child.started", "child.ended completed"];
    let rest = ["receipt", "outcome completed 1", "session.sealed completed"];
    assert_eq!(house.story(run), [&parents[..], &rest].concat());
    let own = ["receipt", "outcome completed 1"].repeat(2);
    assert_eq!(house.story(child), [own, vec!["session.sealed completed"]].concat());
    let seal = house.records(child).last().unwrap().entry.seq();
    let told = house.records(run).iter().find(|it| it.entry.kind() == Kind::ChildEnded).cloned();
    assert!(told.unwrap().entry.seq() > seal);
    let said = house.sealed(run).unwrap().output.get("said").unwrap().to_string();
    assert_eq!(said, "\"hello a\"");
    for run in [run, child] {
        house.assert_replays(run);
        house.assert_decisions_replay(run);
    }
}

#[test]
fn a_crash_at_any_moment_leaves_nothing_out_and_does_nothing_twice() {
    for crash in 0..4 {
        let mut house = House::new();
        let run = family(&mut house, MAIN, SUB);
        for step in 0..4 {
            if step == crash {
                house.restart();
                let probed = house.probes.pop_front().unwrap();
                let (run, receipt, _) = probed;
                let found = cog_gate::Found::NotDone;
                house.give(Input::Probed { run, receipt, found });
            }
            house.done("done");
        }
        house.restart();
        assert_eq!(house.story(run).last().unwrap(), "session.sealed completed", "{crash}");
        let ended =
            house.records(run).iter().filter(|it| it.entry.kind() == Kind::ChildEnded).count();
        let begun = house.log().entries().filter(|it| it.kind() == Kind::SessionStarted).count();
        assert_eq!((ended, begun), (1, 2), "{crash}");
        house.assert_replays(run);
    }
}

#[test]
fn the_budget_of_a_run_bounds_those_that_it_begins() {
    let mut house = House::new();
    let main =
        MAIN.replace("steps:\n  - id: first", "budget: { effects: 2 }\nsteps:\n  - id: first");
    let run = family(&mut house, &main, SUB);
    house.done("first");
    let child = child(&house, 0);
    house.done("one");
    assert!(
        house.story(child).contains(&"denial quota.exceeded".to_owned()),
        "{:?}",
        house.story(child)
    );
    assert_eq!(house.story(run).last().unwrap(), "session.sealed refused");
}

#[test]
fn who_ends_a_run_ends_those_that_it_waits_for_before_it_is_undone() {
    let mut house = House::new();
    let run = family(&mut house, MAIN, SUB);
    house.done("first");
    let child = child(&house, 0);
    house.cancel(run);
    house.done("one");
    house.done("first is undone");
    assert_eq!(house.story(child).last().unwrap(), "session.sealed cancelled");
    let story = ["child.started", "evidence cancel", "child.ended cancelled", "receipt"];
    let end = ["outcome completed 1", "session.sealed cancelled"];
    assert_eq!(house.story(run)[2..], [&story[..], &end].concat());
    house.assert_replays(run);
    house.assert_replays(child);
}

#[test]
fn what_a_file_leaves_goes_on_when_its_run_is_ended() {
    for more in ["on_cancel: leave", "wait: false, on_cancel: leave", "wait: false"] {
        let mut house = House::new();
        let main = MAIN.replace("inputs: { name: a }", &format!("inputs: {{ name: a }}, {more}"));
        let main = main.replace("${{ steps.sub.output.said }}", "x");
        let run = family(&mut house, &main, SUB);
        house.done("first");
        let child = child(&house, 0);
        house.cancel(run);
        while !house.under_way.is_empty() {
            house.done("done");
        }
        let left = if more.ends_with("leave") { "completed" } else { "cancelled" };
        assert_eq!(house.sealed(child).unwrap().status, left, "{more}");
        assert_eq!(house.sealed(run).unwrap().status, "cancelled", "{more}");
        house.assert_replays(run);
    }
}

#[test]
fn what_goes_on_behind_a_run_that_is_over_is_taken_up_once() {
    let mut house = House::new();
    let more = "inputs: { name: a }, wait: false, on_cancel: leave";
    let main = MAIN.replace("inputs: { name: a }", more);
    let run = family(&mut house, &main.replace("${{ steps.sub.output.said }}", "x"), SUB);
    house.done("first");
    let child = child(&house, 0);
    house.done("one, or last");
    house.done("the other");
    assert!(house.sealed(run).is_some() && house.sealed(child).is_none());
    house.restart();
    let (records, kin) = (house.records(run), vec![house.records(child)]);
    let resumption = Resumption { records, kin, cancel: None };
    house.give(Input::Resume(Box::new(resumption.clone())));
    let (of, receipt, _) = house.probes.pop_front().unwrap();
    house.give(Input::Probed { run: of, receipt, found: cog_gate::Found::NotDone });
    house.give(Input::Resume(Box::new(resumption)));
    assert!(house.probes.is_empty(), "it is under way already");
    while !house.under_way.is_empty() {
        house.done("two");
    }
    let story = house.story(child);
    assert_eq!(story.iter().filter(|it| it.starts_with("session.sealed")).count(), 1, "{story:?}");
    house.assert_replays(child);
}

#[test]
fn a_run_that_is_held_holds_those_that_it_began() {
    let mut house = House::new();
    let run = family(&mut house, MAIN, SUB);
    house.done("first");
    let child = child(&house, 0);
    let who = || "user:operator".parse().unwrap();
    house.give(Input::Pause { run, who: who(), reason: "not now".into() });
    house.done("one");
    assert!(house.under_way.is_empty());
    house.restart();
    assert!(house.under_way.is_empty());
    house.give(Input::Unpause { run, who: who(), reason: "now".into() });
    house.done("two");
    house.done("last");
    let held = ["session.paused", "outcome completed 1", "session.unpaused"];
    assert_eq!(house.story(child)[1..4], held);
    assert_eq!(house.story(run).last().unwrap(), "session.sealed completed");
    house.assert_replays(child);
}

#[test]
fn a_run_that_fails_makes_its_step_fail_and_handlers_apply() {
    let mut house = House::new();
    let main = MAIN.replace(
        "inputs: { name: a } } }",
        "inputs: { name: \"${{ size(run.id) }}\" } }, on_error: continue }",
    );
    let run = family(
        &mut house,
        &main.replace("${{ steps.sub.output.said }}", "${{ steps.sub.error.code }}"),
        SUB,
    );
    house.done("first");
    house.done("last");
    assert!(house.story(run).contains(&"evidence step.invalid".to_owned()));
    assert_eq!(house.story(run).last().unwrap(), "session.sealed completed");
    house.assert_replays(run);
}
