//! Receipts that are forged, altered, foreign, expired or used before.

use cog_base::id::{RunId, TenantId};
use cog_base::json::parse;
use cog_base::{Digest, Micros, Timestamp, Value};
use cog_gate::decision::{Need, decide, read_record};
use cog_gate::door::{NotCleared, RECEIPT_LIFE_MS};
use cog_gate::{Consent, Effect, End, Failure, Gate, Intent, Pending};
use cog_ledger::{Draft, Kind};

use crate::house::{CLERK, House, ample, chat, noon, pay, read, receipt_id};

/// Record a receipt after `change`, and try to get a permit for it.
fn is_granted(change: impl FnOnce(&House, &mut Draft)) -> bool {
    let mut house = House::new();
    let mut pending = house.pending(pay("acme", 100));
    let mut draft = pending.take_draft().unwrap();
    change(&house, &mut draft);
    let entry = house.record(draft);
    pending.granted(&entry).is_ok()
}

fn set(draft: &mut Draft, name: &str, value: impl Into<Value>) {
    draft.data.insert(name.to_owned(), value.into());
}

#[test]
fn control_the_receipt_that_was_decided_is_granted() {
    assert!(is_granted(|_, _| {}));
}

#[test]
fn a_receipt_with_another_id_grants_nothing() {
    assert!(!is_granted(|_, draft| set(draft, "id", receipt_id(99))));
}

#[test]
fn a_receipt_for_other_arguments_grants_nothing() {
    let other = pay("acme", 1_000).digest();
    assert!(!is_granted(|_, draft| set(draft, "effect", other)));
}

#[test]
fn a_receipt_of_another_intent_grants_nothing() {
    assert!(!is_granted(|_, draft| set(draft, "intent", Digest::of(&[b"another"]))));
}

#[test]
fn a_receipt_with_a_later_end_grants_nothing() {
    assert!(!is_granted(|_, draft| set(draft, "expires", Timestamp::MAX)));
}

#[test]
fn owasp_asi03_a_receipt_of_another_actor_grants_nothing() {
    assert!(!is_granted(|_, draft| draft.actor = "agent:other".to_owned()));
}

#[test]
fn a_receipt_of_another_run_grants_nothing() {
    assert!(!is_granted(|house, draft| {
        draft.session = Some(RunId::new(house.now, &mut house.entropy.clone()).unwrap());
    }));
}

#[test]
fn a_receipt_under_another_canon_grants_nothing() {
    assert!(!is_granted(|_, draft| draft.canon = Some(Digest::of(&[b"another canon"]))));
}

#[test]
fn a_denial_grants_nothing() {
    let mut house = House::new();
    let pending = house.pending(read("invoices", "a"));
    house.answer(CLERK, read("invoices", "../a"));
    let denials = house.entries().into_iter().filter(|entry| entry.kind() == Kind::Denial);
    let draft =
        Draft { kind: Kind::Denial, data: denials.last().unwrap().data().clone(), ..draft(&house) };
    let entry = house.record(draft);
    assert!(pending.granted(&entry).is_err());
}

fn draft(house: &House) -> Draft {
    house.draft(Kind::Receipt, CLERK, [])
}

#[test]
fn owasp_asi07_the_receipt_of_another_effect_grants_nothing() {
    let mut house = House::new();
    let small = house.pending(pay("small", 1));
    let mut large = house.pending(pay("large", 100_000));
    let entry = house.record(large.take_draft().unwrap());
    let refused = small.granted(&entry).unwrap_err();
    assert_eq!(refused.seq, entry.seq());
}

#[test]
fn owasp_api1_a_receipt_in_the_log_of_another_tenant_grants_nothing() {
    let mut house = House::new();
    let mut pending = house.pending(pay("acme", 100));
    let other = TenantId::new(noon(), &mut house.entropy).unwrap();
    let drafts = vec![(other, pending.take_draft().unwrap())];
    let entry = house.writer.append(drafts, house.now, &mut house.entropy).unwrap().remove(0);
    assert!(pending.granted(&entry).is_err());
    assert_eq!(house.count(Kind::Receipt), 0, "the own log knows of no receipt");
}

#[test]
fn owasp_api1_an_intent_of_another_tenant_gets_no_permit_in_this_house() {
    let mut house = House::new();
    let own = house.origin.tenant;
    house.origin.tenant = TenantId::new(noon(), &mut house.entropy).unwrap();
    house.record(house.draft(Kind::Evidence, CLERK, evidence()));
    assert_eq!(house.answer(CLERK, pay("acme", 100)), "refused tenant tenant.unknown");
    house.origin.tenant = own;
    assert_eq!(house.answer(CLERK, pay("acme", 100)), "permitted");
}

fn evidence() -> [(&'static str, Value); 2] {
    [("source", "test".into()), ("digest", Digest::of(&[]).into())]
}

#[test]
fn a_receipt_written_by_hand_is_found_by_the_audit() {
    let mut house = House::new();
    let mut pending = house.pending(pay("acme", 100));
    let entry = house.record(pending.take_draft().unwrap());
    let mut forged = draft(&house);
    forged.data = entry.data().clone();
    forged.canon = Some(Digest::of(&[b"no canon"]));
    house.record(forged);
    assert_eq!(house.audit(), ["id.twice", "canon.not_in_force"]);
}

#[test]
fn a_draft_is_given_once() {
    let mut house = House::new();
    let mut pending = house.pending(pay("acme", 100));
    assert!(pending.take_draft().is_some());
    assert!(pending.take_draft().is_none());
}

#[test]
fn an_expired_receipt_is_abandoned_on_the_record() {
    let mut house = House::new();
    let permit = house.permit(pay("acme", 100));
    house.now = house.now.plus_ms(RECEIPT_LIFE_MS + 1);
    let (reason, draft, settling) = *house.gate.clear(permit, house.now).unwrap_err();
    assert!(matches!(reason, NotCleared::Expired { .. }), "{reason}");
    house.gate.close(house.origin.session, &settling);
    let entry = house.record(draft);
    assert_eq!(entry.text("disposition"), Some("abandoned"));
    assert_eq!(entry.count("cost_micros"), Some(0));
    assert_eq!(settling.settled(&entry).unwrap().into_report().end, End::Abandoned);
    assert_eq!(house.audit(), Vec::<&str>::new());
}

#[test]
fn control_a_receipt_is_good_until_its_end() {
    let mut house = House::new();
    let permit = house.permit(pay("acme", 100));
    assert!(house.gate.clear(permit, house.now.plus_ms(RECEIPT_LIFE_MS)).is_ok());
}

#[test]
fn a_clock_set_back_does_not_revive_a_receipt() {
    let mut house = House::new();
    let permit = house.permit(pay("acme", 100));
    house.now = house.now.plus_ms(RECEIPT_LIFE_MS + 1);
    house.record(house.draft(Kind::Evidence, CLERK, evidence()));
    let (reason, ..) = *house.gate.clear(permit, noon()).unwrap_err();
    assert!(matches!(reason, NotCleared::Expired { .. }), "{reason}");
}

/// The intent in the record beside the last entry.
fn last_intent(house: &mut House) -> Intent {
    let tenant = house.origin.tenant;
    let log = house.writer.shelf().log(tenant).unwrap();
    let (_, body) = log.bodies().last().unwrap();
    let record = parse(&String::from_utf8_lossy(&body.bytes)).unwrap();
    read_record(&record).unwrap().0
}

#[test]
fn a_receipt_that_was_settled_is_not_used() {
    let mut house = House::new();
    let permit = house.permit(pay("acme", 100));
    let receipt = permit.receipt();
    let intent = last_intent(&mut house);
    let effect = permit.effect().clone();
    let lost = house.gate.lost(receipt, &intent, effect, house.in_force, None);
    let (draft, settling) = lost.settle(End::Abandoned);
    house.gate.close(house.origin.session, &settling);
    house.record(draft);
    let (reason, second, _) = *house.gate.clear(permit, house.now).unwrap_err();
    assert_eq!(reason, NotCleared::NotOpen { receipt });
    house.record(second);
    assert_eq!(house.audit(), ["outcome.twice"], "a second outcome does not go unseen");
}

/// A crash between an effect and its outcome takes nothing from what the canon hides.
#[test]
fn what_a_lost_effect_gave_is_redacted_all_the_same() {
    let mut house = House::new();
    let permit = house.permit(chat("who?", 9));
    let (receipt, effect) = (permit.receipt(), permit.effect().clone());
    let log = house.writer.shelf().log(house.origin.tenant).unwrap();
    let record = parse(&String::from_utf8_lossy(&log.bodies().last().unwrap().1.bytes)).unwrap();
    let (intent, snapshot) = read_record(&record).unwrap();
    let canon = house.canon.clone();
    let decision = decide(&intent, &snapshot, canon.as_deref());
    // Another life.
    house.gate = Gate::default();
    house.gate.open_session(house.origin.tenant, house.origin.session, ample());
    let footprint = effect.footprint();
    house.gate.recount(receipt, &intent, &footprint, &decision, canon.as_deref());
    let subject = Some("ann".to_owned());
    let lost = house.gate.lost(receipt, &intent, effect, house.in_force, subject);
    let output = Value::map([("secret", "sk-1"), ("text", "hello")]);
    let (draft, _) = lost.settle(End::Completed(output));
    let body = draft.body.unwrap();
    let shown = String::from_utf8(body.bytes).unwrap();
    assert!(!shown.contains("sk-1") && shown.contains("hello"), "{shown}");
    assert_eq!(body.subject.as_deref(), Some("ann"));
}

#[test]
fn a_permit_of_an_earlier_life_is_not_open_in_this_one() {
    let mut house = House::new();
    let permit = house.permit(pay("acme", 100));
    let receipt = permit.receipt();
    let mut restarted = Gate::default();
    for entry in house.entries() {
        restarted.observe(&entry);
    }
    let (reason, ..) = *restarted.clear(permit, house.now).unwrap_err();
    assert_eq!(reason, NotCleared::NotOpen { receipt });
}

#[test]
fn what_was_done_is_not_done_again() {
    let mut house = House::new();
    let cleared = house.clear(pay("acme", 100));
    let performed = cleared.done(Value::Null, Micros::ZERO);
    assert!(performed.again(house.now).is_err());
    let unknown = house.clear(pay("other", 100)).unknown();
    assert!(unknown.again(house.now).is_err(), "what nobody knows is not tried again");
}

#[test]
fn a_retry_keeps_the_receipt_and_ends_with_it() {
    let mut house = House::new();
    let failure = || Failure { code: "x".into(), message: "busy".into(), transient: true };
    let cleared = house.clear(pay("acme", 100));
    let key = cleared.idempotency_key();
    let again = cleared.failed(failure(), Micros::ZERO).again(house.now).unwrap();
    assert_eq!(again.idempotency_key(), key);
    let failed = again.failed(failure(), Micros::ZERO);
    assert!(failed.again(house.now.plus_ms(RECEIPT_LIFE_MS + 1)).is_err());
    assert_eq!(house.count(Kind::Receipt), 1);
}

/// Finish an effect, record its outcome after `change`, and see whether it counts.
fn is_settled(change: impl FnOnce(&mut Draft)) -> bool {
    let mut house = House::new();
    let performed = house.clear(pay("acme", 100)).done(Value::Null, Micros::new(5));
    let (mut draft, settling) = performed.settle();
    change(&mut draft);
    let entry = house.record(draft);
    settling.settled(&entry).is_ok()
}

#[test]
fn an_outcome_that_was_altered_settles_nothing() {
    assert!(is_settled(|_| {}));
    assert!(!is_settled(|draft| set(draft, "receipt", receipt_id(99))));
    assert!(!is_settled(|draft| set(draft, "disposition", "failed")));
    assert!(!is_settled(|draft| set(draft, "cost_micros", 0_u64)));
}

#[test]
fn an_outcome_in_the_log_of_another_tenant_settles_nothing() {
    let mut house = House::new();
    let performed = house.clear(pay("acme", 100)).done(Value::Null, Micros::ZERO);
    let (draft, settling) = performed.settle();
    let other = TenantId::new(noon(), &mut house.entropy).unwrap();
    let drafts = vec![(other, draft)];
    let entry = house.writer.append(drafts, house.now, &mut house.entropy).unwrap().remove(0);
    assert!(settling.settled(&entry).is_err());
    assert_eq!(house.count(Kind::Outcome), 0, "the receipt stays open in the own log");
}

#[test]
fn an_outcome_without_a_receipt_is_found_by_the_audit() {
    let mut house = House::new();
    let outcome = [
        ("receipt", Value::from(receipt_id(99))),
        ("disposition", "completed".into()),
        ("cost_micros", 0_u64.into()),
        ("attempts", 1_u64.into()),
    ];
    house.record(house.draft(Kind::Outcome, CLERK, outcome));
    assert_eq!(house.audit(), ["outcome.without_receipt"]);
}

#[test]
fn a_question_to_people_is_no_effect() {
    let mut house = House::new();
    let consent = Consent {
        step: "sign".into(),
        message: "May I?".into(),
        form: None,
        need: Need { count: 1, of: vec!["role:finance".into()], escalate: None },
        expires_ms: 1_000,
    };
    let cog_gate::Answer::Refused(refusal) = house.ask(CLERK, consent) else { panic!("allowed") };
    assert_eq!(refusal.code, "resource.unknown");
    let entry = house.record(refusal.draft);
    assert_eq!(entry.text("action"), Some("approve"));
}

/// Nor is the wish to end a run: it is answered, and no receipt comes of it.
#[test]
fn a_wish_to_end_a_run_is_no_effect() {
    let mut house = House::new();
    let cancel = cog_gate::OfRun {
        run: house.origin.session,
        wish: cog_gate::Wish::Cancel,
        reason: "enough".into(),
    };
    let began = house.origin.initiator.clone();
    let cog_gate::Answer::Refused(refusal) = house.ask(began.as_str(), cancel) else {
        panic!("allowed")
    };
    assert_eq!(refusal.code, "resource.unknown");
    assert_eq!(house.count(Kind::Receipt), 0);
}

#[test]
fn what_is_pending_and_dropped_leaves_no_way_to_act() {
    let mut house = House::new();
    let pending: Pending<_> = house.pending(pay("acme", 100));
    drop(pending);
    assert_eq!(house.count(Kind::Receipt), 0);
    assert_eq!(house.answer(CLERK, pay("acme", 100)), "waits for file:payments/acme.json");
}
