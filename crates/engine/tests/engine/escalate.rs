//! Requests that took too long: others may answer as well, from a time on and on the record.

use cog_base::id::{ApprovalId, RunId};
use cog_engine::{Input, What};

use crate::house::House;

const LATER_MS: u64 = 10_000;
const SIGN: &str = "  - { id: sign, approve: { by: [\"user:cfo\"], message: m, \
                    escalate: { after_ms: 10000, to: [\"user:ada\"] } } }\n";
const PAY: &str = "  - { id: pay, uses: file.write, with: { root: out, path: a, document: \
                   { amount_cents: 900 } } }\n";

fn says(house: &mut House, run: RunId, approval: ApprovalId, who: &str) {
    let who = who.parse().unwrap();
    house.give(Input::Answer { run, approval, who, verdict: Ok(cog_base::json::Map::new()) });
}

fn asked(house: &House) -> ApprovalId {
    let [(_, approval)] = house.asked().try_into().expect("one request waits");
    approval
}

fn is_told(house: &House) -> bool {
    house.notices.iter().any(|it| matches!(it.what, What::Escalated { .. }))
}

#[test]
fn others_answer_once_it_took_too_long_and_not_before() {
    let mut house = House::new();
    let run = house.start(SIGN);
    let approval = asked(&house);
    says(&mut house, run, approval, "user:ada");
    assert_eq!(house.story(run), ["approval.requested", "denial approval.not_entitled"]);
    house.later(LATER_MS + 1);
    house.ring();
    assert!(is_told(&house));
    says(&mut house, run, approval, "user:ada");
    let story = [
        "approval.requested",
        "denial approval.not_entitled",
        "approval.escalated",
        "approval.granted",
        "session.sealed completed",
    ];
    assert_eq!(house.story(run), story);
    house.assert_replays(run);
    house.assert_recomputes();
}

/// Those who were asked first answer as ever, and who began the run never does.
#[test]
fn who_was_asked_first_still_answers_and_who_began_the_run_does_not() {
    let mut house = House::new();
    let steps = SIGN.replace("user:ada", "user:ada\", \"user:operator");
    let run = house.start(&steps);
    let approval = asked(&house);
    house.later(LATER_MS + 1);
    house.ring();
    says(&mut house, run, approval, "user:operator");
    assert!(house.sealed(run).is_none());
    says(&mut house, run, approval, "user:cfo");
    assert_eq!(house.sealed(run).unwrap().status, "completed");
    house.assert_replays(run);
}

/// A timer that rings too early waits for the time, and a run that was answered escalates nothing.
#[test]
fn it_is_on_record_once_also_across_lives_of_the_process() {
    let mut house = House::new();
    let run = house.start(SIGN);
    house.ring();
    house.later(LATER_MS / 2);
    house.restart();
    assert_eq!(house.story(run), ["approval.requested"]);
    house.later(LATER_MS);
    house.restart();
    house.restart();
    house.ring();
    assert_eq!(house.story(run), ["approval.requested", "approval.escalated"]);
    let approval = asked(&house);
    says(&mut house, run, approval, "user:ada");
    assert_eq!(house.sealed(run).unwrap().status, "completed");
    house.assert_replays(run);
    house.assert_recomputes();

    let run = house.start(SIGN);
    house.answer(run, Ok(()));
    house.later(LATER_MS + 1);
    house.ring();
    assert!(!house.story(run).contains(&"approval.escalated".to_owned()));
}

/// An answer that comes with the time, before anybody looked, counts.
#[test]
fn a_late_timer_stands_in_nobodys_way() {
    let mut house = House::new();
    let run = house.start(SIGN);
    house.later(LATER_MS);
    let approval = asked(&house);
    says(&mut house, run, approval, "user:ada");
    let story = [
        "approval.requested",
        "approval.escalated",
        "approval.granted",
        "session.sealed completed",
    ];
    assert_eq!(house.story(run), story);
    house.assert_recomputes();
}

/// What a policy asks for is decided anew with what those others said.
#[test]
fn a_policy_takes_the_yes_of_those_it_escalates_to() {
    let escalates = |path: &str, text: &str| {
        let approval = "@approval(\"";
        if !path.ends_with(".cedar") {
            return text.to_owned();
        }
        text.replace(approval, &format!("@escalate(\"user:ada after 10s\")\n{approval}"))
    };
    let mut house = House::under(escalates);
    let run = house.start(PAY);
    if house.asked().is_empty() {
        panic!("{:?}", house.story(run));
    }
    let approval = asked(&house);
    says(&mut house, run, approval, "user:ada");
    assert_eq!(house.story(run).last().unwrap(), "denial approval.not_entitled");
    house.later(LATER_MS + 1);
    house.ring();
    says(&mut house, run, approval, "user:ada");
    house.done("paid");
    assert_eq!(house.sealed(run).unwrap().status, "completed");
    house.assert_replays(run);
    house.assert_decisions_replay(run);
    house.assert_recomputes();
}
