"""Cases: entries that are out of place, and sessions that do not add up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cases import Case, audit, whole
from house import House
from cognitionos.values import id_of
from primitives import Key, canonical, checkpoint, digest, root, sha256, shown

# Place: sequence, link, time, tenant.


@audit("seq.gap")
def a_number_is_left_out(house: House) -> None:
    house.record("evidence", {"source": "x", "digest": digest("x")}, seq=3)


@audit("genesis.misplaced", "key.name")
def a_second_genesis(house: House) -> None:
    stranger = Key("elsewhere", bytes(31) + b"\x01")
    data = {"format": "cognitionos-ledger/v1", "origin": house.origin, "key": stranger.line}
    house.record("genesis", data, actor="service:ledger")
    house.keys.append(stranger)


@whole("genesis.misplaced", "bundle.keys", "head.untrusted")
def no_genesis() -> Case:
    house = House(1, found=False)
    house.record("evidence", {"source": "x", "digest": digest("x")})
    other = House(2).keys[0].line
    return Case(house.bundle(), [other])


@audit("link.broken")
def a_link_to_something_else(house: House) -> None:
    house.record("evidence", {"source": "x", "digest": digest("x")}, prev=digest("else"))


@audit("time.backwards")
def time_runs_backwards(house: House) -> None:
    house.record(
        "evidence", {"source": "x", "digest": digest("x")}, at="1999-12-31T23:59:59.000000Z"
    )


@audit("tenant.mixed")
def an_entry_of_another_tenant(house: House) -> None:
    tenant = house.new_id("ten")
    house.record("evidence", {"source": "x", "digest": digest("x")}, tenant=tenant)


# Sessions, receipts, outcomes, seals.


@audit("bundle.end", "bundle.line", "head.missing", "manifest.wrong")
def an_effect_refused_outside_of_any_run(house: House) -> None:
    house.deny(None)


@audit("session.not_started")
def a_session_that_never_started(house: House) -> None:
    house.deny(house.new_id("run"))


@audit("session.started_twice")
def a_session_starts_twice(house: House) -> None:
    house.start(house.start())


@audit("session.after_seal", "session.after_seal")
def a_session_goes_on_after_its_seal(house: House) -> None:
    session = house.session()
    house.deny(session)
    house.deny(session)


@audit("id.twice")
def a_receipt_id_twice(house: House) -> None:
    session = house.start()
    first = house.receipt(session)
    house.outcome(session, first)
    house.receipt(session, data={"id": first})


@audit("id.twice")
def a_denial_id_twice(house: House) -> None:
    session = house.start()
    house.deny(session, data={"id": house.deny(session)})


@audit("id.twice")
def an_approval_id_twice(house: House) -> None:
    session = house.start()
    first = house.ask(session, "large", ["role:board"])
    house.ask(session, "large", ["role:board"], data={"id": first})


@audit("id.twice")
def a_proposal_id_twice(house: House) -> None:
    house.propose("third", proposal=house.propose("second")["proposal"])


@audit("outcome.without_receipt")
def an_effect_without_a_receipt(house: House) -> None:
    house.outcome(house.start(), house.new_id("rcp"))


@audit("outcome.twice")
def an_effect_ends_twice(house: House) -> None:
    session = house.start()
    receipt = house.receipt(session)
    house.outcome(session, receipt)
    house.outcome(session, receipt, "failed")


@audit("outcome.other_session")
def an_outcome_in_another_session(house: House) -> None:
    receipt = house.receipt(house.start())
    house.outcome(house.start(), receipt)


@audit("output.gap", "output.other_session", "output.late", "output.without_receipt")
def an_effect_gives_what_does_not_follow(house: House) -> None:
    session = house.start()
    receipt = house.receipt(session)
    house.output(session, receipt, 0)
    house.output(session, receipt, 5)
    house.output(session, receipt, 11)
    house.output(house.start(), receipt, 16)
    house.outcome(session, receipt)
    house.output(session, receipt, 21)
    house.output(session, house.new_id("rcp"), 0)


@audit("signal.twice")
def a_signal_is_sent_twice(house: House) -> None:
    session = house.start()
    house.signal(session, "evt-1")
    house.signal(session, "evt-1")


@audit("child.started_twice")
def a_run_is_begun_twice(house: House) -> None:
    session = house.start()
    child = house.child(session)
    house.begin(session, child)


@audit("child.not_asked")
def a_run_names_a_parent_that_did_not_begin_it(house: House) -> None:
    house.start(parent={"session": house.start(), "step": "sub"})


@audit("child.not_asked", "child.end_wrong")
def the_end_of_nothing_is_told(house: House) -> None:
    house.told(house.start(), house.new_id("run"))


@audit("child.other_parent")
def a_run_names_another_parent(house: House) -> None:
    session, child = house.start(), house.new_id("run")
    house.begin(session, child)
    house.start(child, parent={"session": session, "step": "other"})


@audit("child.other_parent")
def the_end_of_a_run_is_told_to_another(house: House) -> None:
    child = house.child(house.start())
    house.seal(child)
    house.told(house.start(), child)


@audit("child.other_initiator")
def a_run_is_begun_for_somebody_else(house: House) -> None:
    session, child = house.start(), house.new_id("run")
    house.begin(session, child)
    house.start(child, parent={"session": session, "step": "sub"}, initiator="user:cfo")


@audit("child.ended_twice")
def the_end_of_a_run_is_told_twice(house: House) -> None:
    session = house.start()
    child = house.child(session)
    house.seal(child)
    house.told(session, child)
    house.told(session, child)


@audit("child.end_wrong")
def a_run_goes_on_before_the_other_is_sealed(house: House) -> None:
    session = house.start()
    house.told(session, house.child(session))


@audit("child.end_wrong")
def another_end_is_told_than_the_seal_says(house: House) -> None:
    session = house.start()
    child = house.child(session)
    house.seal(child)
    house.told(session, child, "failed")


@audit("receipt.while_paused")
def a_held_run_gets_a_receipt(house: House) -> None:
    session = house.start()
    house.pause(session)
    house.outcome(session, house.receipt(session))


@audit("session.paused_twice")
def a_run_is_held_twice(house: House) -> None:
    session = house.start()
    house.pause(session)
    house.pause(session)


@audit("session.paused_twice")
def a_run_that_is_not_held_is_let_go_on(house: House) -> None:
    house.pause(house.start(), False)


def _counts(**wrong: object) -> Callable[[House], None]:
    def receipt_with_counts(house: House) -> None:
        counts = {"at": house.time(0), "per": {"day": {}}, **wrong}
        house.receipt(house.start(), data={"counts": counts})

    receipt_with_counts.__name__ = f"a_receipt_that_counts_{'_'.join(wrong)}_in_no_form"
    # Of what stands behind the entry nothing is read: too few entries and too few bodies.
    codes = ("bundle.end", "bundle.line", "head.missing", "manifest.wrong", "manifest.wrong")
    return audit(*codes)(receipt_with_counts)


_counts(at="today")
_counts(amount="12a")
_counts(per=["day"])
_counts(per={"day": {"sums": {"x": -1}}})
_counts(per={"day": {"policies": "x"}})
_counts(writes=["a key"])


@audit("queue.twice", "queue.withdrawn", "queue.not_waiting", "queue.twice")
def a_run_is_asked_for_again_and_begins_although_it_was_withdrawn(house: House) -> None:
    run = house.asked(house.asked(house.new_id("run")))
    house.unqueued(run)
    house.start(run)
    house.unqueued(run)
    house.asked(house.start())


@audit("queue.differs")
def a_run_is_found_by_something_else_than_was_asked_for(house: House) -> None:
    house.start(house.asked(house.new_id("run"), labels={"customer": "acme"}), labels={"customer": "b"})
    house.start(house.asked(house.new_id("run"), labels={"customer": "b"}), labels={"customer": "b"})


@audit("queue.differs", "queue.too_early")
def a_run_begins_as_another_than_what_was_asked_for_and_one_too_early(house: House) -> None:
    house.start(house.asked(house.new_id("run"), "another"))
    house.start(house.asked(house.new_id("run"), not_before=house.time(3600)))


@audit("queue.over_limit")
def more_runs_of_a_key_are_open_than_may(house: House) -> None:
    limit = {"key": digest("acme"), "limit": 1, "when_full": "queue"}
    first = house.start(house.asked(house.new_id("run"), concurrency=limit))
    second = house.asked(house.new_id("run"), concurrency=limit)
    third = house.asked(house.new_id("run"), concurrency=limit)
    house.seal(first)
    house.start(second)
    house.start(third)


@audit("queue.over_rate")
def more_runs_of_a_key_begin_in_a_time_than_may(house: House) -> None:
    rate = {"key": digest("acme"), "count": 2, "per_seconds": 3600}
    for _ in range(3):
        house.start(house.asked(house.new_id("run"), rate=rate))


@audit("schedule.other_run", "schedule.not_set")
def a_run_that_an_event_starts_is_another_and_one_by_what_was_not_set(house: House) -> None:
    house.schedule_set()
    event = digest("event")
    trigger = {"id": "nightly", "event": event, "hops": 0}
    house.start(id_of("run", event), trigger=trigger)
    house.start(trigger=trigger)
    other = digest("other")
    house.start(id_of("run", other), trigger={"id": "unknown", "event": other, "hops": 1})


@audit("keyed.other_run", "keyed.twice", "keyed.other_run", "queue.differs")
def a_key_names_another_run_and_two_and_a_run_begins_under_another(house: House) -> None:
    keyed = {"key": digest("order"), "request": digest("what")}
    house.start(id_of("run", digest("order")), keyed=keyed)
    house.start(keyed=keyed)
    other = {"key": digest("other"), "request": digest("what")}
    run = house.asked(id_of("run", digest("other")), keyed=other)
    house.start(run, keyed={"key": digest("third"), "request": digest("what")})


def _activated(house: House, version: int, definition: str) -> None:
    tested = {"same": 1, "differs": 0, "earlier": 0, "unknown": 0}
    data = {"workflow": "pay", "version": version, "definition": digest(definition)}
    house.record("workflow.activated", {**data, "tested": tested}, actor="user:cfo")


@audit("workflow.version", "workflow.version", "workflow.not_active")
def versions_are_counted_wrongly_and_a_run_begins_from_another(house: House) -> None:
    _activated(house, 2, "definition")
    _activated(house, 2, "definition")
    house.start()
    _activated(house, 3, "other")
    house.start()


@audit("chain.count")
def a_chain_counts_wrongly(house: House) -> None:
    house.seal(house.goes_on(house.goes_on(house.start()), count=3))


@audit("chain.differs", "chain.differs", "chain.differs")
def a_run_continues_what_it_is_not(house: House) -> None:
    house.seal(house.goes_on(house.start(), definition=digest("another")))
    house.seal(house.goes_on(house.start(), inputs=digest("others")))
    house.seal(house.goes_on(house.start(), classes={"a": "low"}))


@audit("chain.not_begun", "chain.not_sealed")
def a_chain_breaks_off(house: House) -> None:
    session, following = house.start(), house.new_id("run")
    said = {"session": following, "inputs": digest("inputs")}
    house.seal(session, status="continued", continued=said)
    house.start(continues={"session": session, "count": 1})


@audit("chain.not_sealed")
def a_run_continues_what_ended(house: House) -> None:
    session = house.session()
    house.start(continues={"session": session, "count": 1})


@audit("chain.seal", "chain.seal", "chain.not_begun")
def a_seal_that_is_no_chains(house: House) -> None:
    house.seal(house.start(), status="continued")
    said = {"session": house.new_id("run"), "inputs": digest("inputs")}
    house.seal(house.start(), continued=said)


@audit("fork.unknown")
def a_run_goes_on_from_no_entry_of_the_other(house: House) -> None:
    session = house.start()
    house.start(fork={"session": session, "seq": len(house.entries)})


@audit("fork.other_definition")
def a_run_goes_on_by_another_definition(house: House) -> None:
    session = house.start()
    fork = {"session": session, "seq": len(house.entries) - 1}
    house.start(fork=fork, definition=digest("another"))


@audit("checkpoint.unknown", "checkpoint.twice")
def a_checkpoint_names_no_entry_of_its_run_and_has_the_name_of_another(house: House) -> None:
    session = house.start()
    house.checkpoint(session, len(house.entries) - 1)
    house.checkpoint(session, len(house.entries))


@audit("checkpoint.unknown", "checkpoint.twice", "checkpoint.unknown")
def a_run_names_another_place_than_where_it_stands(house: House) -> None:
    session = house.start()
    house.checkpoint(session, len(house.entries) - 1)
    house.own_checkpoint(session, session)
    house.own_checkpoint(session, session, len(house.entries) - 1)
    house.own_checkpoint(session, house.new_id("run"))


@audit("replay.unknown")
def what_was_recomputed_is_no_run(house: House) -> None:
    house.replayed(house.new_id("run"))


@audit("schedule.not_set", "schedule.fired_twice", "schedule.not_set")
def a_schedule_that_is_not_set_is_removed_and_one_fires_twice(house: House) -> None:
    house.schedule("removed")
    house.schedule_set()
    house.fired(22)
    house.fired(22)
    house.schedule("removed")
    house.fired(23)


@audit("schedule.not_set", "schedule.paused", "schedule.paused")
def a_schedule_that_is_paused_starts_runs(house: House) -> None:
    house.schedule("paused")
    house.schedule_set()
    house.schedule("paused")
    house.fired(21)
    house.schedule_set()
    house.fired(22)
    house.schedule("unpaused")
    house.fired(23)


@audit("schedule.not_set", *["schedule.fired_twice"] * 3)
def runs_that_somebody_asks_for_are_started_twice(house: House) -> None:
    house.fired(20, by="user:cfo")
    house.schedule_set()
    house.fired(22)
    house.fired(21, by="user:cfo")
    house.schedule("paused")
    house.fired(22, by="user:cfo")
    house.schedule("unpaused")
    house.fired(24, by="user:cfo")
    house.fired(24, by="user:cfo")
    house.fired(23)
    house.fired(24)


def _schedule_beside(house: House, when: dict[str, Any], beside: dict[str, Any]) -> None:
    """Set a schedule; `beside` is what its body says and its digest is of."""
    text, salt = canonical({"wanted": {}, "when": beside}), bytes(32)
    bound = shown(sha256(b"cognitionos/schedule/v1\n", text))
    data = {"schedule": "nightly", "workflow": "pay", "when": when, "digest": bound}
    commit = {"commit": shown(sha256(b"cognitionos/body/v1\n", salt, text))}
    seq = house.record("schedule.set", data, actor="user:cfo", body=commit)
    house.bodies[seq] = (salt, text)


@audit("schedule.differs", "schedule.differs")
def a_schedule_says_other_times_than_stand_beside_it(house: House) -> None:
    when = {"id": "nightly", "cron": "@daily"}
    _schedule_beside(house, when, when)
    _schedule_beside(house, when, {**when, "cron": "@hourly"})
    _schedule_beside(house, {**when, "id": "daily"}, {**when, "id": "daily"})


@audit("key.actor")
def somebody_hands_over_the_key(house: House) -> None:
    house.keys.append(house.new_key())
    giver, taker = house.keys[-2:]
    house.record("key.rotated", {"from": giver.line, "to": taker.line}, actor="user:mallory")
    house.handovers[3] = checkpoint(house.origin, 3, root(house.leaves), giver)


@audit("schedule.not_begun", "schedule.not_begun")
def a_run_that_a_schedule_starts_does_not_begin(house: House) -> None:
    house.schedule_set()
    house.schedule("fired", at="2026-11-21T00:00:00.000000Z", run=house.new_id("run"))
    house.start()
    house.schedule("fired", at="2026-11-22T00:00:00.000000Z", run=house.new_id("run"))


@audit("denial.outcome", "outcome.without_receipt")
def what_was_refused_is_done(house: House) -> None:
    session = house.start()
    house.outcome(session, house.deny(session).replace("dny_", "rcp_"))


def _seal_states(**wrong: object) -> Callable[[House], None]:
    def act(house: House) -> None:
        session = house.start()
        house.outcome(session, house.receipt(session))
        house.seal(session, **wrong)

    act.__name__ = f"a_seal_with_wrong_{next(iter(wrong))}"
    return act


_SEALS: list[dict[str, object]] = [
    {"entries": 4},
    {"receipts": 0},
    {"denials": 1},
    {"spent_micros": 149},
    {"trace": digest("other")},
    {"outcomes": {"completed": 0, "failed": 1, "abandoned": 0, "unknown": 0}},
    {"outcomes": {"completed": 1, "failed": 0, "abandoned": 0, "unknown": 0, "more": 0}},
]
for _wrong in _SEALS:
    audit("seal.wrong")(_seal_states(**_wrong))


@audit("seal.open_receipts")
def a_seal_over_an_open_receipt(house: House) -> None:
    session = house.start()
    house.receipt(session)
    house.seal(session)


@audit("plan.not_candidate")
def a_plan_from_nowhere(house: House) -> None:
    house.plan(house.start(), "gold-bars")
