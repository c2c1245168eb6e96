//! Consent is given to one intent under one canon, and used once.

use cog_base::Value;
use cog_gate::{Answer, Limits};
use cog_ledger::Kind;

use crate::house::{CLERK, House, actor, ample, pay};

/// A house in which a payment of 200,000 cents was asked for and agreed to.
fn agreed() -> House {
    let mut house = House::new();
    assert_eq!(house.answer(CLERK, pay("acme", 200_000)), "asks 2 of role:finance");
    house.approve("user:bob");
    house.approve("user:cfo");
    house
}

#[test]
fn an_agreed_effect_is_done_once_and_asked_for_again_after_that() {
    let mut house = agreed();
    house.perform(pay("acme", 200_000), Value::Null, 0);
    let receipt = house.entries().into_iter().find(|entry| entry.kind() == Kind::Receipt).unwrap();
    let approvals = receipt.data().get("approvals").and_then(Value::as_list).unwrap();
    assert_eq!(approvals.len(), 1);
    assert_eq!(house.answer(CLERK, pay("acme", 200_000)), "asks 2 of role:finance");
    assert_eq!(house.audit(), Vec::<&str>::new());
}

#[test]
fn a_consent_is_still_good_when_its_effect_never_began() {
    let mut house = agreed();
    let permit = house.permit(pay("acme", 200_000));
    let late = house.now.plus_ms(cog_gate::door::RECEIPT_LIFE_MS + 1);
    let (_, draft, settling) = *house.gate.clear(permit, late).unwrap_err();
    house.gate.close(house.origin.session, &settling);
    house.record(draft);
    assert_eq!(house.answer(CLERK, pay("acme", 200_000)), "permitted");
    assert_eq!(house.audit(), Vec::<&str>::new());
}

#[test]
fn the_same_question_is_asked_only_once_while_it_waits() {
    let mut house = House::new();
    for _ in 0..3 {
        assert_eq!(house.answer(CLERK, pay("acme", 200_000)), "asks 2 of role:finance");
    }
    assert_eq!(house.count(Kind::ApprovalRequested), 1);
}

#[test]
fn what_was_agreed_and_used_is_known_after_a_restart() {
    let mut used = agreed();
    used.perform(pay("acme", 200_000), Value::Null, 0);
    let mut unused = agreed();
    for (house, expected) in [(&mut used, "asks 2 of role:finance"), (&mut unused, "permitted")] {
        house.gate = cog_gate::Gate::default();
        for entry in house.entries() {
            house.gate.observe(&entry);
        }
        house.gate.open_session(house.origin.tenant, house.origin.session, Limits { ..ample() });
        assert_eq!(house.answer(CLERK, pay("acme", 200_000)), expected);
    }
}

#[test]
fn a_person_who_said_no_is_heard() {
    let mut house = House::new();
    house.answer(CLERK, pay("acme", 200_000));
    let id = house.waiting();
    let canon = house.canon.as_ref().unwrap();
    let draft = house.gate.approvals().reject(id, &actor("user:bob"), "too much", canon, house.now);
    house.record(draft.unwrap());
    assert_eq!(house.answer(CLERK, pay("acme", 200_000)), "refused approval approval.rejected");
    assert!(matches!(house.ask(CLERK, pay("acme", 200_001)), Answer::NeedsApproval(_)));
}
