"""Cases: consent and canon by other ways than the rules allow."""

from __future__ import annotations

from cases import audit
from house import House
from primitives import digest

# Approvals.


@audit("approval.missing", "approval.missing")
def consent_that_nobody_asked_for(house: House) -> None:
    session, name = house.start(), house.new_id("apr")
    house.answer(session, name, "large", "user:cfo")
    house.receipt(session, "large", [name])


@audit("approval.missing")
def consent_under_no_id(house: House) -> None:
    house.receipt(house.start(), "large", ["user:cfo said yes"])


def _asked(house: House, of: object = ("user:cfo",), count: int = 1) -> tuple[str, str]:
    session = house.start()
    return session, house.ask(session, "large", of, count)


@audit("approval.not_granted")
def consent_not_given(house: House) -> None:
    session, name = _asked(house)
    house.receipt(session, "large", [name])


@audit("approval.not_granted")
def consent_of_one_where_two_are_needed(house: House) -> None:
    session, name = _asked(house, ["user:cfo", "user:ceo"], 2)
    house.answer(session, name, "large", "user:cfo")
    house.receipt(session, "large", [name])


@audit("approval.twice", "approval.not_granted")
def one_consents_twice(house: House) -> None:
    session, name = _asked(house, ["user:cfo", "user:ceo"], 2)
    house.answer(session, name, "large", "user:cfo")
    house.answer(session, name, "large", "user:cfo")
    house.receipt(session, "large", [name])


def _escalated(house: House, after_ms: int, of: list[str], times: int = 1) -> None:
    session = house.start()
    later = {"after_ms": after_ms, "of": ["user:ceo"]}
    need = {"count": 1, "of": ["user:cfo"], "escalate": later}
    name = house.ask(session, "large", ["user:cfo"], data={"need": need})
    for _ in range(times):
        data = {"id": name, "intent": digest("large"), "of": of}
        house.record("approval.escalated", data, session=session, actor="user:clerk")
    house.answer(session, name, "large", "user:ceo")
    house.outcome(session, house.receipt(session, "large", [name]))


@audit("approval.escalated")
def others_are_let_consent_too_early(house: House) -> None:
    _escalated(house, 10**9, ["user:ceo"])


@audit("approval.escalated")
def others_are_let_consent_than_were_named(house: House) -> None:
    _escalated(house, 1, ["user:eve"])


@audit("approval.escalated")
def others_are_let_consent_twice(house: House) -> None:
    _escalated(house, 1, ["user:ceo"], 2)


def _handed_over(house: House, *handed: tuple[str, str], answer: tuple[str, str | None]) -> None:
    session, name = _asked(house, ["user:cfo", "user:ceo"])
    bound = {"id": name, "intent": digest("large")}
    for who, to in handed:
        house.record("approval.delegated", {**bound, "to": to}, session=session, actor=who)
    who, voice = answer
    data = bound if voice is None else {**bound, "for": voice}
    house.record("approval.granted", data, session=session, actor=who)
    house.outcome(session, house.receipt(session, "large", [name]))


@audit("approval.delegated")
def consent_of_two_is_handed_to_one(house: House) -> None:
    handed = [("user:cfo", "user:eve"), ("user:ceo", "user:eve")]
    _handed_over(house, *handed, answer=("user:eve", "user:cfo"))


@audit("approval.delegated")
def consent_in_a_place_that_nobody_gave(house: House) -> None:
    _handed_over(house, answer=("user:eve", "user:cfo"))


@audit("approval.delegated")
def consent_of_whoever_has_another_answer(house: House) -> None:
    _handed_over(house, ("user:cfo", "user:eve"), answer=("user:cfo", None))


@audit("approval.delegated")
def consent_is_handed_to_an_agent(house: House) -> None:
    _handed_over(house, ("user:cfo", "agent:clerk"), answer=("user:ceo", None))


@audit("approval.delegated")
def consent_is_handed_over_by_somebody_else(house: House) -> None:
    _handed_over(house, ("user:eve", "user:bob"), answer=("user:ceo", None))


@audit("approval.not_entitled")
def consent_of_somebody_else(house: House) -> None:
    session, name = _asked(house)
    house.answer(session, name, "large", "user:eve")
    house.receipt(session, "large", [name])


@audit("approval.own_request", "approval.not_entitled", "approval.not_granted")
def the_requester_consents(house: House) -> None:
    session, name = _asked(house, ["role:finance"])
    house.answer(session, name, "large", "agent:clerk")
    house.receipt(session, "large", [name])


@audit("approval.not_entitled")
def an_agent_consents_under_a_role(house: House) -> None:
    session, name = _asked(house, ["role:finance"])
    house.answer(session, name, "large", "agent:auditor")


@audit("approval.own_request", "approval.not_granted")
def the_initiator_consents(house: House) -> None:
    session, name = _asked(house, ["role:finance"])
    house.answer(session, name, "large", "user:clerk")
    house.receipt(session, "large", [name])


@audit("approval.not_granted")
def the_one_who_consents_acts(house: House) -> None:
    session, name = _asked(house)
    house.answer(session, name, "large", "user:cfo")
    house.receipt(session, "large", [name], actor="user:cfo")


@audit("approval.not_granted")
def a_receipt_on_consent_given_too_late(house: House) -> None:
    session = house.start()
    name = house.ask(session, "large", ["user:cfo"], data={"expires": house.time()})
    house.answer(session, name, "large", "user:cfo")
    house.receipt(session, "large", [name])


@audit("approval.rejected", "approval.not_granted")
def consent_after_rejection(house: House) -> None:
    session, name = _asked(house, ["user:cfo", "user:ceo"])
    house.answer(session, name, "large", "user:ceo", reason="no")
    house.answer(session, name, "large", "user:cfo")
    house.receipt(session, "large", [name])


@audit("approval.other_intent", "approval.other_intent")
def consent_to_another_intent(house: House) -> None:
    session, name = _asked(house)
    house.answer(session, name, "larger", "user:cfo")
    house.receipt(session, "larger", [name])


@audit("approval.other_intent", "canon.absent")
def consent_under_another_canon(house: House) -> None:
    session, name = _asked(house)
    house.answer(session, name, "large", "user:cfo", canon=digest("other"))


@audit("approval.other_intent")
def consent_in_another_session(house: House) -> None:
    _, name = _asked(house)
    house.answer(house.start(), name, "large", "user:cfo")


@audit("approval.reused")
def consent_used_twice(house: House) -> None:
    session, name = _asked(house)
    house.answer(session, name, "large", "user:cfo")
    house.outcome(session, house.receipt(session, "large", [name]), "failed")
    house.receipt(session, "large", [name])


# Canon.


@audit("canon.absent", "canon.not_in_force", "canon.not_in_force", "canon.not_in_force")
def decisions_under_another_canon(house: House) -> None:
    session, other = house.start(), digest("other")
    house.receipt(session, canon=other)
    house.deny(session, canon=other)
    house.ask(session, "large", ["role:board"], canon=other)


@audit("canon.not_in_force", "canon.not_in_force")
def decisions_without_a_canon(house: House) -> None:
    session = house.start()
    house.receipt(session, canon=None)
    house.receipt(session, domain="other")


@audit("canon.founded_twice")
def a_canon_founded_twice(house: House) -> None:
    data = {"digest": house.add_canon("second"), "basis": "genesis", "previous": house.canon}
    house.record("canon.activated", data, actor="user:founder")


@audit("canon.previous")
def a_canon_that_replaces_another(house: House) -> None:
    proposal = house.propose("second")
    house.approve(proposal)
    house.activate(proposal, previous=digest("other"))


@audit("canon.previous")
def a_canon_made_against_an_old_one(house: House) -> None:
    late = house.propose("third")
    house.approve(late)
    house.change_canon("second")
    house.activate(late)


@audit("canon.no_proposal", "canon.no_proposal")
def a_canon_that_nobody_proposed(house: House) -> None:
    unknown = {"proposal": house.new_id("prp"), "digest": house.add_canon("second")}
    house.activate(unknown)
    house.activate({"digest": house.add_canon("third")})


@audit("canon.no_proposal")
def consent_to_no_proposal(house: House) -> None:
    house.approve({"proposal": house.new_id("prp"), "digest": digest("second")})


@audit("canon.not_approved")
def a_canon_that_its_proposer_approved(house: House) -> None:
    proposal = house.propose("second")
    house.approve(proposal, "user:clerk")
    house.activate(proposal)


@audit("canon.not_a_person")
def a_canon_that_an_agent_proposes_and_activates(house: House) -> None:
    proposal = house.propose("second", actor="agent:clerk")
    house.approve(proposal)
    house.activate(proposal, actor="agent:clerk")


@audit("canon.not_a_person", "canon.not_approved")
def a_canon_that_an_agent_approves(house: House) -> None:
    proposal = house.propose("second")
    house.approve(proposal, "agent:auditor")
    house.activate(proposal)


@audit("canon.not_a_person")
def a_canon_that_a_service_founds(house: House) -> None:
    data = {"digest": house.add_canon("other"), "basis": "genesis"}
    house.record("canon.activated", data, actor="service:engine", domain="other")


@audit("canon.other_digest", "canon.other_digest")
def another_canon_than_proposed(house: House) -> None:
    other = {**house.propose("second"), "digest": house.add_canon("third")}
    house.approve(other)
    house.activate(other)


@audit("canon.other_digest")
def a_canon_proposed_for_another_domain(house: House) -> None:
    proposal = house.propose("second")
    house.record("canon.approved", proposal, actor="user:cfo", domain="other")


@audit("canon.closed", "canon.closed", "canon.not_approved")
def a_canon_that_was_rejected(house: House) -> None:
    proposal = house.propose("second")
    house.record("canon.rejected", proposal, actor="user:cfo")
    promoted = {"proposal": proposal["proposal"], "evidence": []}
    house.record("promotion", promoted, actor="user:cfo")
    house.activate(proposal)


@audit("evidence.missing")
def evidence_that_is_not_there_yet(house: House) -> None:
    house.propose("second", [99])


@audit("evidence.not_evidence")
def a_refusal_cited_as_evidence(house: House) -> None:
    house.deny(house.start())
    proposal = house.propose("second", [len(house.entries) - 1])
    house.approve(proposal)
    promoted = {"proposal": proposal["proposal"], "evidence": [len(house.entries) - 3]}
    house.record("promotion", promoted, actor="user:cfo")
    house.activate(proposal)


@audit("evidence.not_sealed")
def evidence_of_a_run_that_is_not_over(house: House) -> None:
    session = house.start()
    house.outcome(session, house.receipt(session))
    outcome = len(house.entries) - 1
    house.propose("second", [outcome])
    house.seal(session)
    house.propose("third", [outcome])


@audit("evidence.missing", "evidence.not_promoted")
def evidence_that_was_not_promoted(house: House) -> None:
    seen = house.record("evidence", {"source": "x", "digest": digest("x")})
    left = house.propose("second", [seen])
    house.approve(left)
    house.activate(left)
    other = house.propose("third", [seen])
    promoted = {"proposal": other["proposal"], "evidence": [seen, seen - 1]}
    house.record("promotion", promoted, actor="user:cfo")
