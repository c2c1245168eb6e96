"""Honest logs of an unusual shape, each with the entries from which it may be kept."""

from __future__ import annotations

from house import House
from primitives import digest


def a_run_across_the_pruned_part() -> tuple[House, list[int]]:
    """A run whose beginning is removed, and whose end stays."""
    house = House(5)
    session = house.start()
    receipt = house.receipt(session)
    kept_from = len(house.entries)
    house.outcome(session, receipt)
    house.seal(session)
    house.prune(kept_from)
    return house, [0, kept_from]


def a_second_pruning_said_but_not_yet_done() -> tuple[House, list[int]]:
    """The record comes first, and a crash may come between it and the deed."""
    house = House(6)
    house.session()
    once = len(house.entries)
    house.session()
    twice = len(house.entries)
    house.prune(once)
    house.prune(twice)
    return house, [0, once, twice]


def a_receipt_that_counts_in_periods() -> tuple[House, list[int]]:
    """What it counts of a domain stands in its entry, large amounts as text."""
    house = House(7)
    session = house.start()
    day = {"policies": ["pay.small"], "sums": {"pay.small args.x": "9007199254740992"}}
    per = {"day": day, "month": {}}
    counts = {"at": house.time(0), "amount": 900, "per": per, "writes": [digest("k")]}
    house.outcome(session, house.receipt(session, data={"counts": counts}))
    house.seal(session)
    return house, [0]


def a_chain_across_the_pruned_part() -> tuple[House, list[int]]:
    """Runs that continue each other, of which the first are removed, seal or start alone among them."""
    house = House(8)
    second = house.goes_on(house.start())
    behind_seal = len(house.entries) - 1
    third = house.goes_on(second, count=2)
    at_seal = len(house.entries) - 2
    house.seal(third)
    house.prune(behind_seal)
    house.prune(at_seal)
    return house, [0, behind_seal, at_seal]


LOGS = [
    a_chain_across_the_pruned_part,
    a_receipt_that_counts_in_periods,
    a_run_across_the_pruned_part,
    a_second_pruning_said_but_not_yet_done,
]
