//! Consents that are stale, of the wrong people, for something else, or used before.

use cog_base::{Digest, Value};
use cog_gate::approvals::{APPROVAL_LIFE_MS, NotCounted};
use cog_ledger::{Draft, Kind};

use crate::house::{CLERK, House, actor, canon_but, pay};

const ASKS: &str = "asks 2 of role:finance";

/// A house in which two people agreed to a payment of 200,000 cents.
fn agreed() -> House {
    let mut house = House::new();
    assert_eq!(house.answer(CLERK, pay("acme", 200_000)), ASKS);
    house.approve("user:bob");
    house.approve("user:cfo");
    house
}

/// Why the yes of `who` to the waiting request does not count.
fn turned_away(house: &House, who: &str) -> NotCounted {
    let id = house.waiting();
    let canon = house.canon.as_ref().unwrap();
    house.gate.approvals().grant(id, &actor(who), canon, house.now).unwrap_err()
}

/// A yes written into the ledger by hand, past the door where answers are checked.
fn forge_yes(house: &mut House, who: &str) {
    let id = house.waiting();
    let request = house.gate.approvals().get(id).unwrap().clone();
    let data = [("id", Value::from(id)), ("intent", request.intent.into())];
    let draft = house.draft(Kind::ApprovalGranted, who, data);
    house.record(draft);
}

#[test]
fn control_an_agreed_payment_is_permitted() {
    assert_eq!(agreed().answer(CLERK, pay("acme", 200_000)), "permitted");
}

#[test]
fn owasp_asi09_a_consent_does_not_cover_one_cent_more() {
    let mut house = agreed();
    assert_eq!(house.answer(CLERK, pay("acme", 200_001)), ASKS);
    assert_eq!(house.answer(CLERK, pay("acme", 199_999)), ASKS);
    assert_eq!(house.count(Kind::Receipt), 0);
}

#[test]
fn owasp_asi01_a_consent_does_not_cover_another_goal() {
    let mut house = agreed();
    assert_eq!(house.answer(CLERK, pay("mallory", 200_000)), ASKS);
    house.step = "another";
    assert_eq!(house.answer(CLERK, pay("acme", 200_000)), ASKS);
}

#[test]
fn owasp_asi03_a_consent_does_not_cover_another_actor() {
    let mut house = agreed();
    assert_eq!(house.answer("user:ada", pay("acme", 200_000)), ASKS);
}

#[test]
fn a_consent_ends_with_the_canon_it_was_asked_under() {
    let mut house = agreed();
    let changed = canon_but("amount_max = 1_000_000", "amount_max = 900_000");
    house.in_force = Some(changed.digest());
    house.canon = Some(changed.into());
    assert_eq!(house.answer(CLERK, pay("acme", 200_000)), ASKS);
}

#[test]
fn nobody_answers_under_another_canon_than_they_were_asked_under() {
    let mut house = House::new();
    house.answer(CLERK, pay("acme", 200_000));
    house.canon = Some(canon_but("amount_max = 1_000_000", "amount_max = 900_000").into());
    assert_eq!(turned_away(&house, "user:bob"), NotCounted::CanonChanged);
}

#[test]
fn a_consent_expires() {
    let mut house = agreed();
    house.now = house.now.plus_ms(APPROVAL_LIFE_MS + 1);
    assert_eq!(house.answer(CLERK, pay("acme", 200_000)), ASKS);
    house.now = house.now.plus_ms(APPROVAL_LIFE_MS + 1);
    assert!(matches!(turned_away(&house, "user:bob"), NotCounted::Expired(_)));
}

#[test]
fn who_asks_does_not_agree() {
    let mut house = House::new();
    house.origin.initiator = actor("user:bob");
    assert_eq!(house.answer("user:bob", pay("acme", 200_000)), ASKS);
    assert_eq!(turned_away(&house, "user:bob"), NotCounted::OwnRequest("user:bob".into()));
    house.approve("user:cfo");
    forge_yes(&mut house, "user:bob");
    assert_ne!(house.answer("user:bob", pay("acme", 200_000)), "permitted");
    assert_eq!(house.audit(), ["approval.own_request"]);
}

#[test]
fn who_began_the_run_does_not_agree() {
    let mut house = House::new();
    house.answer(CLERK, pay("acme", 200_000));
    assert_eq!(turned_away(&house, "user:ada"), NotCounted::OwnRequest("user:ada".into()));
    house.approve("user:cfo");
    forge_yes(&mut house, "user:ada");
    assert_ne!(house.answer(CLERK, pay("acme", 200_000)), "permitted");
    assert_eq!(house.audit(), ["approval.own_request"]);
}

#[test]
fn somebody_outside_the_group_does_not_agree() {
    let mut house = House::new();
    house.answer(CLERK, pay("acme", 200_000));
    for who in ["user:eve", "user:chair", "user:nobody", "agent:bob"] {
        assert!(matches!(turned_away(&house, who), NotCounted::NotOfGroup { .. }), "{who}");
    }
    house.approve("user:cfo");
    forge_yes(&mut house, "user:eve");
    assert_ne!(house.answer(CLERK, pay("acme", 200_000)), "permitted");
}

#[test]
fn one_person_is_not_two() {
    let mut house = House::new();
    house.answer(CLERK, pay("acme", 200_000));
    house.approve("user:bob");
    let (who, of) = ("user:bob".to_owned(), "role:finance".to_owned());
    assert_eq!(turned_away(&house, "user:bob"), NotCounted::AgreedBefore { who, more: 1, of });
    forge_yes(&mut house, "user:bob");
    assert_eq!(house.answer(CLERK, pay("acme", 200_000)), ASKS);
    assert_eq!(house.audit(), ["approval.twice"]);
}

#[test]
fn a_consent_is_used_once() {
    let mut house = agreed();
    house.perform(pay("acme", 200_000), Value::Null, 0);
    assert_eq!(house.answer(CLERK, pay("acme", 200_000)), ASKS);
    assert_eq!(house.audit(), Vec::<&str>::new());
}

#[test]
fn two_askers_at_once_do_not_share_a_consent() {
    let mut house = agreed();
    let first = house.pending(pay("acme", 200_000));
    assert_eq!(house.answer(CLERK, pay("acme", 200_000)), ASKS);
    drop(first);
}

#[test]
fn a_no_is_not_asked_away() {
    let mut house = House::new();
    house.answer(CLERK, pay("acme", 200_000));
    let (id, canon) = (house.waiting(), house.canon.as_ref().unwrap());
    let no = house.gate.approvals().reject(id, &actor("user:bob"), "no", canon, house.now).unwrap();
    house.record(no);
    for _ in 0..3 {
        assert_eq!(house.answer(CLERK, pay("acme", 200_000)), "refused approval approval.rejected");
    }
    let grant = house.gate.approvals().grant(
        id,
        &actor("user:cfo"),
        house.canon.as_ref().unwrap(),
        house.now,
    );
    assert_eq!(grant.unwrap_err(), NotCounted::Answered);
}

#[test]
fn a_yes_to_a_request_that_nobody_made_counts_for_nothing() {
    let mut house = House::new();
    let id = cog_base::id::ApprovalId::new(house.now, &mut house.entropy).unwrap();
    let data = [("id", Value::from(id)), ("intent", Digest::of(&[]).into())];
    let forged: Draft = house.draft(Kind::ApprovalGranted, "user:cfo", data);
    house.record(forged);
    assert_eq!(house.answer(CLERK, pay("acme", 200_000)), ASKS);
}
