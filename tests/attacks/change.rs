//! Getting another canon by other ways than change control.

use cog_base::id::ProposalId;
use cog_base::{Digest, Value};
use cog_canon::{Canon, ChangeRefusal};
use cog_gate::change::{ChangeControl, NotChanged, Standing};
use cog_ledger::{Draft, Kind};

use crate::house::{CLERK, House, actor, canon, canon_but, canon_with};

fn looser() -> Canon {
    canon_but("amount_max = 1_000_000", "amount_max = 9_000_000")
}

/// A house in which `who` proposed the looser canon.
fn proposed(who: &str) -> (House, ProposalId) {
    let mut house = House::new();
    let id = ProposalId::new(house.now, &mut house.entropy).unwrap();
    let draft = house.changes.propose(id, &looser(), "production", &actor(who), &[]).unwrap();
    house.record(draft);
    (house, id)
}

fn approve(house: &mut House, id: ProposalId, who: &str) -> Result<(), NotChanged> {
    let draft = house.changes.approve(id, &actor(who), house.canon.as_ref().unwrap())?;
    house.record(draft);
    Ok(())
}

fn activate(house: &mut House, id: ProposalId) -> Result<(), NotChanged> {
    let current = house.canon.as_ref().unwrap();
    for draft in house.changes.activate(id, &actor("user:chair"), current)? {
        house.record(draft);
    }
    Ok(())
}

fn standing(house: &House, id: ProposalId) -> Standing {
    house.changes.standing(house.changes.proposal(id).unwrap())
}

fn in_force(house: &House) -> Option<Digest> {
    house.changes.in_force(crate::house::DOMAIN)
}

#[test]
fn control_a_change_that_others_approved_is_made() {
    let (mut house, id) = proposed("user:ada");
    approve(&mut house, id, "user:chair").unwrap();
    activate(&mut house, id).unwrap();
    assert_eq!(in_force(&house), Some(looser().digest()));
    assert_eq!(house.audit(), Vec::<&str>::new());
}

#[test]
fn a_proposal_alone_changes_nothing() {
    let (mut house, id) = proposed("user:cfo");
    let refused = activate(&mut house, id).unwrap_err();
    assert!(matches!(refused, NotChanged::Rule(ChangeRefusal::TooFew { .. })), "{refused}");
    assert_eq!(in_force(&house), Some(canon().digest()));
}

#[test]
fn who_proposes_is_not_the_only_one_to_approve() {
    let (mut house, id) = proposed("user:cfo");
    approve(&mut house, id, "user:cfo").unwrap();
    let refused = activate(&mut house, id).unwrap_err();
    assert!(matches!(refused, NotChanged::Rule(ChangeRefusal::OnlyProposer { .. })), "{refused}");
    assert!(matches!(approve(&mut house, id, "user:cfo"), Err(NotChanged::Twice(_))));
    assert_eq!(in_force(&house), Some(canon().digest()));
}

#[test]
fn who_is_not_of_the_group_neither_approves_nor_rejects() {
    let (mut house, id) = proposed("user:ada");
    for who in ["user:bob", "user:eve", "user:nobody"] {
        assert!(
            matches!(approve(&mut house, id, who), Err(NotChanged::NotOfGroup { .. })),
            "{who}"
        );
        let current = house.canon.as_ref().unwrap();
        assert!(house.changes.reject(id, &actor(who), "no", current).is_err(), "{who}");
    }
}

#[test]
fn agents_and_services_change_no_canon() {
    let (house, id) = proposed("user:ada");
    for who in ["agent:clerk", "service:engine"].map(actor) {
        let current = house.canon.as_ref().unwrap();
        let changes = &house.changes;
        let answers = [
            ChangeControl::default().found(current, "production", &who).err(),
            changes.approve(id, &who, current).err(),
            changes.reject(id, &who, "no", current).err(),
            changes.activate(id, &who, current).err(),
        ];
        for answer in answers {
            assert_eq!(answer, Some(NotChanged::NotAPerson(who.to_string())));
        }
    }
}

#[test]
fn an_approval_written_by_hand_does_not_count_without_the_group() {
    let (mut house, id) = proposed("user:ada");
    let data = [("proposal", Value::from(id)), ("digest", looser().digest().into())];
    house.record(house.draft(Kind::CanonApproved, "user:eve", data));
    assert!(activate(&mut house, id).is_err());
}

#[test]
fn a_rule_of_ones_own_does_not_decide_about_the_change() {
    let (mut house, id) = proposed("user:eve");
    let own_rule =
        canon_but("approvers = [\"role:board\"]", "approvers = [\"user:eve\", \"user:bob\"]");
    let refused = house.changes.approve(id, &actor("user:bob"), &own_rule).unwrap_err();
    assert_eq!(refused, NotChanged::BaseMoved(id));
    let data = [("proposal", Value::from(id)), ("digest", looser().digest().into())];
    house.record(house.draft(Kind::CanonApproved, "user:bob", data));
    let refused = house.changes.activate(id, &actor("user:eve"), &own_rule).unwrap_err();
    assert_eq!(refused, NotChanged::BaseMoved(id));
}

#[test]
fn a_proposal_made_from_another_base_is_not_activated() {
    let (mut house, late) = proposed("user:ada");
    approve(&mut house, late, "user:chair").unwrap();
    let other = canon_with(|path, text| match path {
        "canon.toml" => text.replace("resources_max = 4", "resources_max = 5"),
        _ => text.to_owned(),
    });
    let id = ProposalId::new(house.now, &mut house.entropy).unwrap();
    let draft = house.changes.propose(id, &other, "production", &actor("user:ada"), &[]).unwrap();
    house.record(draft);
    approve(&mut house, id, "user:chair").unwrap();
    activate(&mut house, id).unwrap();
    house.canon = Some(other.into());
    assert_eq!(activate(&mut house, late).unwrap_err(), NotChanged::BaseMoved(late));
    assert_eq!(approve(&mut house, late, "user:cfo").unwrap_err(), NotChanged::BaseMoved(late));
    assert!(matches!(standing(&house, late), Standing::Stale { .. }));
    assert_eq!(standing(&house, id), Standing::InForce);
}

#[test]
fn a_rejected_proposal_stays_rejected() {
    let (mut house, id) = proposed("user:ada");
    approve(&mut house, id, "user:chair").unwrap();
    let current = house.canon.as_ref().unwrap();
    let no = house.changes.reject(id, &actor("user:cfo"), "too loose", current).unwrap();
    house.record(no);
    let how = Standing::Rejected { by: "user:cfo".into() };
    let closed = NotChanged::Closed { id, how };
    assert_eq!(approve(&mut house, id, "user:cfo").unwrap_err(), closed);
    assert_eq!(activate(&mut house, id).unwrap_err(), closed);
}

#[test]
fn a_proposal_is_activated_once() {
    let (mut house, id) = proposed("user:ada");
    approve(&mut house, id, "user:chair").unwrap();
    activate(&mut house, id).unwrap();
    house.canon = Some(looser().into());
    let closed = NotChanged::Closed { id, how: Standing::InForce };
    assert_eq!(activate(&mut house, id).unwrap_err(), closed);
}

#[test]
fn a_domain_is_founded_once() {
    let house = House::new();
    let again = house.changes.found(&looser(), "production", &actor("user:eve")).unwrap_err();
    assert!(matches!(again, NotChanged::InForce(_)));
}

#[test]
fn owasp_asi06_evidence_does_not_become_canon() {
    let mut house = House::new();
    let data = [("source", Value::from("model")), ("digest", looser().digest().into())];
    let evidence = house.record(house.draft(Kind::Evidence, CLERK, data));
    let id = ProposalId::new(house.now, &mut house.entropy).unwrap();
    let promotion = [("proposal", Value::from(id)), ("evidence", Value::list([evidence.seq()]))];
    house.record(house.draft(Kind::Promotion, CLERK, promotion));
    assert_eq!(in_force(&house), Some(canon().digest()));
    assert_eq!(house.changes.proposals().count(), 0);
    assert_eq!(house.audit(), ["canon.not_a_person", "canon.no_proposal"]);
}

#[test]
fn control_evidence_is_promoted_by_an_authorised_act_that_names_it() {
    let mut house = House::new();
    let data = [("source", Value::from("model")), ("digest", Digest::of(&[]).into())];
    let seq = house.record(house.draft(Kind::Evidence, CLERK, data)).seq();
    let id = ProposalId::new(house.now, &mut house.entropy).unwrap();
    let draft = house.changes.propose(id, &looser(), "production", &actor(CLERK), &[seq]).unwrap();
    house.record(draft);
    assert!(activate(&mut house, id).is_err(), "an agent's proposal is only a proposal");
    approve(&mut house, id, "user:chair").unwrap();
    activate(&mut house, id).unwrap();
    let promotion = house.entries().into_iter().find(|it| it.kind() == Kind::Promotion).unwrap();
    assert_eq!(promotion.data().get("evidence"), Some(&Value::list([seq])));
    assert_eq!(promotion.actor(), "user:chair");
    assert_eq!(house.audit(), Vec::<&str>::new());
}

#[test]
fn an_activation_written_by_hand_is_found_by_the_audit_and_decides_nothing() {
    let mut house = House::new();
    let data = [("digest", Value::from(looser().digest())), ("basis", "genesis".into())];
    house.record(house.draft(Kind::CanonActivated, "user:eve", data));
    assert_eq!(house.audit(), ["canon.previous", "canon.founded_twice"]);
    house.in_force = in_force(&house);
    let answer = house.answer(CLERK, crate::house::read("invoices", "a"));
    assert_eq!(answer, "refused freshness freshness.canon_changed");
}

/// Who holds the key of the log can sign an approval by anybody; the facts of the canon in force say
/// who counts.
#[test]
fn an_approval_on_record_by_who_is_no_approver_is_found() {
    let forged = |who: &str, activator: &str| {
        let (mut house, id) = proposed("user:ada");
        let data = || vec![("proposal", Value::from(id)), ("digest", looser().digest().into())];
        let draft = |kind, who: &str, data: Vec<(&'static str, Value)>| {
            Draft::new(kind, who, crate::house::DOMAIN, "production", data)
        };
        house.record(draft(Kind::CanonApproved, who, data()));
        let activated = [("previous", canon().digest().into()), ("basis", Value::from("change"))];
        let activated = data().into_iter().chain(activated).collect();
        house.record(draft(Kind::CanonActivated, activator, activated));
        let mut recompute = cog_engine::recompute::Recompute::default();
        for canon in [canon(), looser()] {
            recompute.canon(canon.digest(), canon.into());
        }
        for entry in house.entries() {
            recompute.record(cog_engine::Record { entry, body: None });
        }
        let findings = recompute.finish().findings;
        findings.kept().iter().map(|found| found.code).collect::<Vec<_>>()
    };
    assert_eq!(forged("user:chair", "user:chair"), Vec::<&str>::new());
    let twice = ["canon.not_admitted", "canon.not_admitted"];
    assert_eq!(forged("user:bob", "user:chair"), twice);
    assert_eq!(forged("user:chair", "agent:clerk"), ["canon.not_admitted"]);
}
