//! Who may end a run: whoever began it, and whom the canon names. Anybody else is refused, on
//! the record, and the run goes on.

use cog_base::id::RunId;
use cog_engine::{Input, What};
use cog_ledger::Kind;

use crate::house::House;

const WRITE: &str = "  - { id: a, uses: file.write, with: { root: out, path: a, text: b } }\n";

/// Nobody of these may: not who approves, not an agent in the very role, nobody who is unknown.
const STRANGERS: [&str; 5] =
    ["user:cfo", "agent:clerk", "user:nobody", "service:engine", "agent:operator"];

fn refusals(house: &House) -> Vec<(String, String, String)> {
    let refused = house.notices.iter().filter_map(|notice| {
        let What::NotGranted { who, code, reason, .. } = &notice.what else { return None };
        Some((who.clone(), code.clone(), reason.clone()))
    });
    refused.collect()
}

fn denied(house: &House, run: RunId) -> Vec<(String, String)> {
    let records = house.records(run);
    let denials = records.iter().filter(|it| it.entry.kind() == Kind::Denial);
    let text = |it: &cog_engine::Record, name| it.entry.text(name).unwrap().to_owned();
    denials.map(|it| (it.entry.actor().to_owned(), text(it, "action"))).collect()
}

#[test]
fn who_began_it_and_whom_the_canon_names_may_end_it() {
    for who in ["user:operator", "user:ada"] {
        let mut house = House::new();
        let run = house.start(WRITE);
        house.cancel_by(run, who);
        house.done("written");
        assert_eq!(house.sealed(run).unwrap().status, "cancelled", "{who}");

        let mut house = House::new();
        let run = house.start("  - { id: a, sleep: { ms: 5 } }\n");
        house.restart_to_cancel_by(who, true);
        assert_eq!(house.story(run), ["evidence cancel", "session.sealed cancelled"], "{who}");
        house.assert_replays(run);
    }
}

#[test]
fn nobody_else_may_and_the_run_goes_on() {
    for who in STRANGERS {
        let mut house = House::new();
        let run = house.start(WRITE);
        house.cancel_by(run, who);
        let [(refused, code, reason)] = refusals(&house).try_into().unwrap();
        assert_eq!((refused.as_str(), code.as_str()), (who, "cancel.not_entitled"));
        let may = "Only user:operator, who began it, or role:operations may end the run.";
        assert_eq!(reason, may);
        house.done("written");
        let story = ["receipt", "denial cancel.not_entitled", "outcome completed 1"];
        assert_eq!(house.story(run), [&story[..], &["session.sealed completed"]].concat());
        assert_eq!(denied(&house, run), [(who.to_owned(), "run.cancel".to_owned())]);
        assert_eq!(house.sealed(run).unwrap().denials, 1);
        house.assert_replays(run);
        house.assert_decisions_replay(run);
    }
}

#[test]
fn nobody_else_ends_a_run_of_an_earlier_life() {
    for who in STRANGERS {
        let mut house = House::new();
        let run = house.start("  - { id: a, approve: { by: [\"role:finance\"], message: m } }\n");
        house.restart_to_cancel_by(who, true);
        assert_eq!(refusals(&house).len(), 1);
        assert_eq!(house.story(run), ["approval.requested", "denial cancel.not_entitled"]);
        house.answer(run, Ok(()));
        assert_eq!(house.sealed(run).unwrap().status, "completed", "{who}");
        house.assert_replays(run);
        house.assert_decisions_replay(run);
    }
}

/// Without a canon there is nobody to be entitled; who began it may still stop it.
#[test]
fn without_a_canon_only_who_began_it_may() {
    let mut house = House::new();
    let run = house.start("  - { id: a, sleep: { ms: 5 } }\n");
    house.restart_to_cancel_by("user:ada", false);
    let [(_, code, reason)] = refusals(&house).try_into().unwrap();
    assert_eq!(code, "cancel.no_canon");
    assert_eq!(reason, "Only user:operator, who began it, may end the run.");
    house.restart_to_cancel_by("user:operator", false);
    let story = ["denial cancel.no_canon", "evidence cancel", "session.sealed cancelled"];
    assert_eq!(house.story(run), story);
}

#[test]
fn a_refusal_that_cannot_be_recorded_is_told_as_that() {
    let mut house = House::new();
    house.start("  - { id: a, sleep: { ms: 5 } }\n");
    house.no_space = true;
    house.restart_to_cancel_by("user:cfo", true);
    assert!(refusals(&house).is_empty());
    let stopped = |it: &cog_engine::Notice| matches!(it.what, What::Stopped { .. });
    assert!(house.notices.iter().any(stopped));
}

/// Who ended it first is who ended it: a second one is told so, and is not on record.
#[test]
fn a_run_that_is_being_ended_is_not_ended_again() {
    let mut house = House::new();
    let run = house.start(WRITE);
    house.cancel_by(run, "user:ada");
    house.cancel_by(run, "user:operator");
    let before = house.story(run);
    house.restart_to_cancel_by("user:operator", true);
    assert_eq!(house.story(run), before);
    let told = house.notices.iter().filter_map(|notice| {
        let What::EndsAlready { cancelled } = &notice.what else { return None };
        cancelled.clone()
    });
    let told: Vec<_> = told.map(|it| (it.by, it.reason)).collect();
    let first = ("user:ada".to_owned(), "wrong supplier".to_owned());
    assert_eq!(told, [first.clone(), first]);
    house.cancel_by(run, "user:cfo");
    assert_eq!(refusals(&house).len(), 1, "whoever may not is refused first");
}

/// A run that failed and is being undone ends by itself.
#[test]
fn a_run_that_is_being_undone_is_not_ended() {
    let mut house = House::new();
    let run = house.start_with(
        "compensate_on: [failed]",
        "  - id: a\n    uses: file.write\n    with: { root: out, path: a, text: b }\n    \
         on_cancel: { steps: [ { id: undo, uses: file.delete, with: { root: out, path: a } } ] }\n  \
         - { id: b, needs: [a], uses: compute, with: { x: \"${{ steps.a.output.nothing }}\" } }\n",
    );
    house.done("written");
    house.cancel(run);
    let told = |it: &cog_engine::Notice| it.what == What::EndsAlready { cancelled: None };
    assert!(house.notices.iter().any(told), "{:?}", house.notices);
    house.done("deleted");
    assert_eq!(house.sealed(run).unwrap().status, "failed");
    assert!(!house.story(run).contains(&"evidence cancel".to_owned()));
    house.assert_replays(run);
}

/// What the run has given up is not asked any more, also while an effect is waited for.
#[test]
fn an_answer_to_what_was_given_up_does_not_count() {
    let mut house = House::new();
    let ask = "  - { id: b, approve: { by: [\"role:finance\"], message: m } }\n";
    let run = house.start(&format!("{WRITE}{ask}"));
    let waits = |house: &House| {
        cog_engine::replay::replay_run(&house.records(run)).unwrap().waits_for().len()
    };
    assert_eq!(waits(&house), 1);
    house.cancel(run);
    assert_eq!(waits(&house), 0);
    house.answer(run, Ok(()));
    let told = house.notices.iter().filter_map(|notice| {
        let What::NotCounted { message, .. } = &notice.what else { return None };
        Some(message.clone())
    });
    let [told] = told.collect::<Vec<_>>().try_into().unwrap();
    assert!(told.contains("does not wait for an answer"), "{told}");
    house.done("written");
    assert!(!house.story(run).contains(&"approval.granted".to_owned()));
    house.assert_replays(run);
}

/// Who may not answer, and what is no answer any more: told each time, on record once.
#[test]
fn an_answer_that_does_not_count_is_on_record_once_and_the_run_waits_on() {
    let mut house = House::new();
    let run = house.start("  - { id: a, approve: { by: [\"role:finance\"], message: m } }\n");
    let [(_, approval)] = house.asked().try_into().unwrap();
    let answer = |house: &mut House, who: &str, verdict: Result<(), String>| {
        let verdict = verdict.map(|()| cog_base::json::Map::new());
        house.give(Input::Answer { run, approval, who: who.parse().unwrap(), verdict });
    };
    let who = ["user:operator", "agent:clerk", "user:nobody"];
    let denials = [
        "denial approval.own_request",
        "denial approval.not_entitled",
        "denial approval.not_entitled",
    ];
    for _ in 0..2 {
        for _ in 0..2 {
            who.iter().for_each(|who| answer(&mut house, who, Ok(())));
            answer(&mut house, "user:nobody", Err("no".to_owned()));
        }
        house.restart();
    }
    assert_eq!(house.story(run), [&["approval.requested"][..], &denials].concat());
    let told = house.notices.iter().filter_map(|notice| {
        let What::NotCounted { denial, .. } = &notice.what else { return None };
        Some(denial.is_some())
    });
    let told: Vec<bool> = told.collect();
    assert_eq!((told.len(), told.iter().filter(|it| **it).count()), (16, 3), "{told:?}");
    house.answer(run, Ok(()));
    assert_eq!(house.sealed(run).unwrap().denials, 3);
    house.assert_replays(run);
    house.assert_decisions_replay(run);
}
