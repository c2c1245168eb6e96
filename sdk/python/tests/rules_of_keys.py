"""Cases: keys that were not handed over as they should be."""

from __future__ import annotations

from collections.abc import Callable
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
    house.handovers[3] = checkpoint(house.origin, 3, root(house.leaves), giver)


def _handed_over(signers: tuple[int, ...], brought: int) -> Case:
    house = House(5)
    house.rotate(signers)
    house.session()
    return Case(house.bundle(), [house.keys[brought].line])


@whole("rotation.unproven")
def a_hand_over_that_the_old_key_did_not_sign() -> Case:
    return _handed_over((-1,), 0)


@whole("rotation.unproven")
def a_hand_over_that_the_new_key_signed_though_it_is_trusted() -> Case:
    return _handed_over((-1,), 1)


@whole("head.signatures")
def a_hand_over_that_both_keys_signed() -> Case:
    return _handed_over((-2, -1), 0)


@whole("rotation.unproven")
def a_head_of_no_hand_over() -> Case:
    house = House(6)
    house.handovers[1] = house.head(1)
    return Case(house.bundle(keys=house.keys), [house.keys[0].line])


@whole("rotation.unproven", "rotation.unproven")
def hand_overs_in_another_order() -> Case:
    house = House(6)
    house.rotate()
    house.rotate()
    house.handovers = dict(reversed(house.handovers.items()))
    return Case(house.bundle(), [house.keys[0].line])


@whole("head.not_in_force")
def a_log_cut_off_at_a_hand_over() -> Case:
    house = House(6)
    house.rotate()
    return Case(house.bundle(head=house.handovers[3]), [house.keys[1].line])


@whole("head.signatures")
def a_head_that_a_stranger_signed_too() -> Case:
    house = House(6)
    head = house.head(None, *house.keys, Key("elsewhere", bytes(32)))
    return Case(house.bundle(head=head), [house.keys[0].line])


@whole("rotation.unproven")
def a_hand_over_without_its_head() -> Case:
    house = House(6)
    house.rotate()
    house.handovers.clear()
    return Case(house.bundle(keys=house.keys), [house.keys[0].line])


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


def _pruned(broken: Callable[[list[bytes]], list[bytes]]) -> Case:
    house = House.honest(10)
    earlier = broken(house.earlier(house.kept_from))
    return Case(house.bundle(house.kept_from, earlier=earlier), [house.keys[-1].line])


@whole("bundle.earlier")
def a_pruned_log_without_its_earlier_keys() -> Case:
    return _pruned(lambda earlier: [])


@whole("bundle.earlier", "bundle.earlier")
def a_pruned_log_without_its_genesis() -> Case:
    return _pruned(lambda earlier: earlier[1:])


@whole("bundle.keys", "key.not_in_force")
def a_pruned_log_without_an_earlier_hand_over() -> Case:
    return _pruned(lambda earlier: earlier[:1])


@whole("bundle.earlier")
def a_pruned_log_with_an_earlier_hand_over_twice() -> Case:
    return _pruned(lambda earlier: [*earlier, earlier[-1]])


@whole("bundle.earlier", "bundle.keys", "key.not_in_force")
def an_earlier_hand_over_of_another_log() -> Case:
    def other(earlier: list[bytes]) -> list[bytes]:
        house = House.honest(11)
        return [earlier[0], house.earlier(house.kept_from)[1]]

    return _pruned(other)


@whole("rotation.unproven")
def an_earlier_hand_over_that_the_old_key_did_not_sign() -> Case:
    house = House.honest(10)
    size = min(house.handovers)
    house.handovers[size] = house.head(size)
    return Case(house.bundle(house.kept_from), [house.keys[-1].line])


@whole("head.untrusted")
def a_pruned_log_without_a_hand_over_under_a_strangers_key() -> Case:
    house = House(13)
    house.prune(2)
    return Case(house.bundle(2), [House(9).keys[0].line])


@whole("bundle.keys")
def a_pruned_log_with_the_key_of_somebody_else() -> Case:
    house = House(13)
    house.prune(2)
    return Case(house.bundle(2, keys=[House(9).keys[0]]), [house.keys[0].line])


@whole("bundle.keys")
def a_pruned_log_with_its_keys_in_another_order() -> Case:
    house = House.honest(10)
    keys = house.keys[:0:-1]
    return Case(house.bundle(house.kept_from, keys=keys), [house.keys[-1].line])
