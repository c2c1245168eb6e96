//! Requests that too few people answer in time, or nobody could answer at all.

use cog_base::id::RunId;

use crate::house::House;

const MINUTE_MS: u64 = 60_000;

fn step(by: &str, more: &str) -> String {
    format!(
        "  - {{ id: sign, approve: {{ by: [\"{by}\"], message: m, expires_minutes: 1 }}{more} }}\n"
    )
}

/// The question of a step that is put at noon.
fn asked(more: &str) -> (House, RunId) {
    let mut house = House::new();
    let run = house.start(&step("role:finance", more));
    assert_eq!(house.asked().len(), 1);
    (house, run)
}

const REFUSED: [&str; 3] = ["approval.requested", "evidence timer", "session.sealed refused"];

#[test]
fn a_question_that_expired_refuses_its_step_and_is_not_put_again() {
    let (mut house, run) = asked("");
    house.later(MINUTE_MS + 1);
    house.restart();
    assert_eq!(house.story(run), REFUSED);
    let error = house.sealed(run).unwrap().error.as_ref().unwrap().to_string();
    assert!(error.contains("approval_expired") && error.contains("sign"), "{error}");
    house.assert_replays(run);
}

/// One of two agreed: that is not nobody.
#[test]
fn a_question_that_too_few_answered_says_so() {
    let mut house = House::new();
    let step = step("role:finance\", \"user:ada", "").replace("message", "count: 2, message");
    let run = house.start(&step);
    house.answer(run, Ok(()));
    house.later(MINUTE_MS + 1);
    house.restart();
    let story =
        ["approval.requested", "approval.granted", "evidence timer", "session.sealed refused"];
    assert_eq!(house.story(run), story);
    let error = house.sealed(run).unwrap().error.as_ref().unwrap().to_string();
    assert!(error.contains("not enough people answered in time"), "{error}");
    house.assert_replays(run);
}

#[test]
fn the_flow_goes_on_where_it_says_so() {
    let (mut house, run) = asked(", on_refused: continue");
    house.later(MINUTE_MS + 1);
    house.restart();
    let story = ["approval.requested", "evidence timer", "session.sealed completed"];
    assert_eq!(house.story(run), story);
    house.assert_replays(run);
}

/// A clock that jumps ahead ends it, one that is set back does not revive it, and until it has
/// expired by the clock or by the ledger, it is not.
#[test]
fn clocks_may_jump() {
    let (mut house, run) = asked("");
    house.ring();
    assert_eq!(house.asked().len(), 1, "its timer rang early");
    house.later(MINUTE_MS / 2);
    house.restart();
    assert_eq!(house.story(run), ["approval.requested"]);
    house.later(MINUTE_MS);
    house.ring();
    assert_eq!(house.story(run), REFUSED);

    let (mut house, run) = asked("");
    house.later(2 * MINUTE_MS);
    let other = house.start("  - { id: a, sleep: { ms: 5 } }\n");
    house.back_to_noon();
    house.restart();
    house.ring();
    assert_eq!(house.story(run), REFUSED, "the ledger knows how late it is");
    house.assert_replays(other);
}

#[test]
fn an_effect_of_which_people_were_asked_too_long_ago_is_asked_anew() {
    let mut house = House::new();
    let run = house.start(
        "  - { id: a, uses: file.write, with: { root: out, path: a, document: { amount_cents: 900 } } }\n",
    );
    house.later(8 * 24 * 60 * MINUTE_MS);
    house.restart();
    assert_eq!(house.story(run), ["approval.requested", "approval.requested"]);
}

/// Nobody is in the role, or only who began the run is: nobody waits for an answer that cannot
/// come.
#[test]
fn a_question_that_nobody_could_answer_is_refused() {
    for (by, why) in [
        ("role:nosuch", "It takes 1 of role:nosuch, and there are 0 such people"),
        ("user:operator", "It takes 1 of user:operator, and there are 0 such people"),
        ("role:operations\", \"user:operator", ""),
    ] {
        let mut house = House::new();
        let run = house.start(&step(by, ""));
        if why.is_empty() {
            assert_eq!(house.story(run), ["approval.requested"], "Ada could");
            continue;
        }
        assert_eq!(house.story(run), ["denial approval.nobody", "session.sealed refused"]);
        let error = house.sealed(run).unwrap().error.as_ref().unwrap().to_string();
        assert!(error.contains(why), "{error}");
        house.assert_replays(run);
        house.assert_decisions_replay(run);
    }
    let mut house = House::new();
    let run = house.start(&step("role:nosuch", ", on_refused: continue"));
    assert_eq!(house.story(run), ["denial approval.nobody", "session.sealed completed"]);
    house.assert_replays(run);
}
