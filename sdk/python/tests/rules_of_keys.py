"""Cases: keys that were not handed over as they should be."""

from __future__ import annotations

from typing import Any

from cases import Case, audit, whole
from house import House
from primitives import Key, checkpoint, root

# Keys.


@whole("key.name")
def a_key_that_is_not_named_as_the_log() -> Case:
    house = House(3, found=False)
    house.keys = [Key("elsewhere", bytes(32))]
    house.genesis()
    return Case(house.bundle(), [house.keys[0].line])


@whole("key.unreadable", "bundle.keys")
def a_genesis_without_a_key() -> Case:
    house = House(4, found=False)
    house.genesis(key="none")
    return Case(house.bundle(), [house.keys[0].line])


@audit("key.unreadable", "bundle.keys", "head.not_in_force")
def a_hand_over_to_nobody(house: House) -> None:
    house.rotate(to="nobody")
    house.handovers.clear()


@audit("key.not_in_force", "rotation.unproven")
def a_hand_over_from_a_stranger(house: House) -> None:
    data: dict[str, Any] = {"from": house.new_key().line}
    house.rotate(**data)


@audit("key.name")
def a_hand_over_to_another_name(house: House) -> None:
    house.keys.append(Key("elsewhere", bytes(32)))
    giver, taker = house.keys[-2:]
    house.record("key.rotated", {"from": giver.line, "to": taker.line}, actor="service:ledger")
    house.handovers[3] = checkpoint(house.origin, 3, root(house.leaves), giver, taker)


def _handed_over(signers: tuple[int, ...], brought: int) -> Case:
    house = House(5)
    house.rotate(signers)
    house.session()
    return Case(house.bundle(), [house.keys[brought].line])


@whole("rotation.unproven")
def a_hand_over_that_the_old_key_did_not_sign() -> Case:
    return _handed_over((-1,), 0)


@whole("rotation.unproven")
def a_hand_over_that_the_new_key_did_not_sign() -> Case:
    return _handed_over((-2,), 0)


@whole("rotation.unproven")
def a_hand_over_half_signed_though_the_new_key_is_trusted() -> Case:
    return _handed_over((-1,), 1)


@whole("rotation.unproven")
def a_hand_over_without_its_head() -> Case:
    house = House(6)
    house.rotate()
    house.handovers.clear()
    return Case(house.bundle(), [house.keys[0].line])


@whole("head.not_in_force")
def the_old_key_signs_on() -> Case:
    house = House(7)
    house.rotate()
    house.session()
    head = house.head(None, house.keys[0])
    return Case(house.bundle(head=head), [house.keys[0].line])


@whole("head.untrusted")
def a_strangers_key() -> Case:
    return Case(House(8).bundle(), [House(9).keys[0].line])


@whole("head.untrusted")
def a_pruned_log_under_a_key_handed_over_before() -> Case:
    house = House.honest(10)
    return Case(house.bundle(house.kept_from), [house.keys[0].line])
