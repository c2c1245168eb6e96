//! Answers in the place of another: by whom the canon lets, on the record before them, and never by more
//! people than before.

use cog_base::id::{ApprovalId, RunId};
use cog_engine::Input;

use crate::house::House;

const SIGN: &str = "  - { id: sign, approve: { by: [\"user:cfo\"], message: m } }\n";
const TWO: &str =
    "  - { id: sign, approve: { by: [\"user:cfo\", \"user:ada\"], count: 2, message: m } }\n";
const FORM: &str = "  - { id: sign, approve: { by: [\"user:cfo\"], message: m, \
                    form: { cents: { type: integer, default: 7 } } } }\n";
const PAY: &str = "  - { id: pay, uses: file.write, with: { root: out, path: a, document: \
                   { amount_cents: 900 } } }\n";

fn asked(house: &House) -> ApprovalId {
    let [(_, approval)] = house.asked().try_into().expect("one request waits");
    approval
}

fn says(house: &mut House, run: RunId, approval: ApprovalId, who: &str) {
    let who = who.parse().unwrap();
    house.give(Input::Answer { run, approval, who, verdict: Ok(cog_base::json::Map::new()) });
}

fn hands(house: &mut House, run: RunId, approval: ApprovalId, who: &str, to: &str) {
    let (who, to) = (who.parse().unwrap(), to.parse().unwrap());
    house.give(Input::Delegate { run, approval, who, to, reason: Some("on leave".to_owned()) });
}

#[test]
fn another_person_answers_and_the_one_in_whose_place_does_not() {
    for (steps, is_paid) in [(SIGN, false), (FORM, false), (PAY, true)] {
        let mut house = House::new();
        let run = house.start(steps);
        let approval = asked(&house);
        says(&mut house, run, approval, "user:deputy");
        hands(&mut house, run, approval, "user:cfo", "user:deputy");
        house.restart();
        says(&mut house, run, approval, "user:cfo");
        says(&mut house, run, approval, "user:deputy");
        let story = [
            "approval.requested",
            "denial approval.not_entitled",
            "approval.delegated",
            "denial approval.handed_over",
            "approval.granted",
        ];
        assert_eq!(house.story(run)[..story.len()], story);
        if is_paid {
            assert!(house.story(run).contains(&"receipt".to_owned()), "{:?}", house.story(run));
        } else {
            assert_eq!(house.sealed(run).unwrap().status, "completed");
            house.assert_replays(run);
        }
        house.assert_recomputes();
    }
}

#[test]
fn nobody_answers_for_another_whom_the_canon_does_not_let_or_who_has_a_part_in_it() {
    for (who, to, code) in [
        ("user:cfo", "user:operator", "approval.no_delegate"),
        ("user:cfo", "user:cfo", "approval.no_delegate"),
        ("user:cfo", "user:stranger", "approval.no_delegate"),
        ("user:cfo", "agent:clerk", "approval.no_delegate"),
        ("user:ada", "user:deputy", "approval.not_entitled"),
        ("user:operator", "user:deputy", "approval.own_request"),
    ] {
        let mut house = House::new();
        let run = house.start(SIGN);
        let approval = asked(&house);
        hands(&mut house, run, approval, who, to);
        hands(&mut house, run, approval, who, to);
        let story = ["approval.requested".to_owned(), format!("denial {code}")];
        assert_eq!(house.story(run), story, "{who} to {to}");
        says(&mut house, run, approval, "user:cfo");
        assert_eq!(house.sealed(run).unwrap().status, "completed");
        house.assert_recomputes();
    }
}

#[test]
fn a_canon_that_says_nothing_of_it_lets_nobody() {
    let mut house = House::under(|path, text| match path {
        "canon.toml" => text.replace("delegate = [\"user:deputy\"]", ""),
        _ => text.to_owned(),
    });
    let run = house.start(SIGN);
    let approval = asked(&house);
    hands(&mut house, run, approval, "user:cfo", "user:deputy");
    assert_eq!(house.story(run), ["approval.requested", "denial approval.no_delegate"]);
}

/// Each person answers once, so that nobody is handed a second voice.
#[test]
fn it_never_takes_fewer_people_than_before() {
    let mut house = House::new();
    let run = house.start(TWO);
    let approval = asked(&house);
    hands(&mut house, run, approval, "user:cfo", "user:ada");
    hands(&mut house, run, approval, "user:cfo", "user:deputy");
    // What was handed over is not handed on.
    hands(&mut house, run, approval, "user:deputy", "user:ada");
    says(&mut house, run, approval, "user:deputy");
    says(&mut house, run, approval, "user:deputy");
    says(&mut house, run, approval, "user:cfo");
    assert!(house.sealed(run).is_none());
    says(&mut house, run, approval, "user:ada");
    let story = [
        "approval.requested",
        "denial approval.no_delegate",
        "approval.delegated",
        "denial approval.no_delegate",
        "approval.granted",
        "denial approval.agreed_before",
        "denial approval.agreed_before",
        "approval.granted",
        "session.sealed completed",
    ];
    assert_eq!(house.story(run), story);

    let run = house.start(TWO);
    let approval = asked(&house);
    says(&mut house, run, approval, "user:ada");
    hands(&mut house, run, approval, "user:cfo", "user:ada");
    hands(&mut house, run, approval, "user:cfo", "user:deputy");
    hands(&mut house, run, approval, "user:cfo", "user:deputy");
    says(&mut house, run, approval, "user:deputy");
    assert_eq!(house.sealed(run).unwrap().status, "completed");
    house.assert_replays(run);
    house.assert_recomputes();
}

/// All of it comes at once, before anything of it is in the ledger.
#[test]
fn who_hands_over_and_answers_in_one_breath_is_heard_in_turn() {
    for answers in ["user:cfo", "user:deputy"] {
        let mut house = House::new();
        let run = house.start(SIGN);
        let approval = asked(&house);
        let (who, to) = ("user:cfo".parse().unwrap(), "user:deputy".parse().unwrap());
        let reason = None;
        let verdict = Ok(cog_base::json::Map::new());
        let answer = Input::Answer { run, approval, who: answers.parse().unwrap(), verdict };
        house.hold = true;
        house.give(Input::Delegate { run, approval, who, to, reason });
        house.give(answer);
        assert_eq!(house.story(run), ["approval.requested"]);
        house.release();
        let last = house.story(run).last().cloned().unwrap();
        let expected = match answers {
            "user:cfo" => "denial approval.handed_over",
            _ => "session.sealed completed",
        };
        assert_eq!(last, expected, "{answers}: {:?}", house.story(run));
        house.assert_recomputes();
    }
}
