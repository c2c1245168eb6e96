"""Cases: what is around the entries, what was pruned, and views seen earlier."""

from __future__ import annotations

from typing import Any

from cases import Case, audit, whole
from house import House
from primitives import b64, canonical, checkpoint, digest, sealed_lines, shown

# Pruning, and the bundle around the entries.


@audit("prune.range", "prune.range")
def a_pruning_that_cannot_be(house: House) -> None:
    house.prune(2, **{"from": 2})
    house.prune(2, **{"to": 9})


def _pruned(house: House, first: int, **wrong: Any) -> Case:
    return Case(house.bundle(first, **wrong), [house.keys[-1].line])


@whole("prune.unexplained")
def a_part_is_missing() -> Case:
    house = House.honest(11)
    return _pruned(house, house.kept_from - 1)


@whole("prune.unexplained")
def a_part_is_missing_with_another_root() -> Case:
    house = House(12)
    house.session()
    house.prune(5, root=digest("other"))
    return _pruned(house, 5)


@whole(
    *["bundle.earlier"] * 3,
    *["bundle.subtrees"] * 2,
    "prune.unexplained",
    "rotation.unproven",
)
def subtrees_that_do_not_fit() -> Case:
    house = House.honest(13)
    return _pruned(house, house.kept_from, subtrees=[])


@whole(
    *["bundle.earlier"] * 3,
    "head.root",
    "manifest.wrong",
    "prune.unexplained",
    "rotation.unproven",
)
def subtrees_of_something_else() -> Case:
    house = House.honest(14)
    count = house.kept_from.bit_count()
    return _pruned(house, house.kept_from, subtrees=[bytes(32)] * count)


@whole("bundle.keys")
def keys_that_are_not_those_of_the_log() -> Case:
    house = House(15)
    return _pruned(house, 0, keys=[House(16).keys[0]])


@whole("head.size")
def a_head_of_another_size() -> Case:
    house = House(17)
    house.session()
    return _pruned(house, 0, head=house.head(5))


@whole("head.root")
def a_head_of_another_tree() -> Case:
    house = House(18)
    head = checkpoint(house.origin, len(house.entries), bytes(32), house.keys[0])
    return _pruned(house, 0, head=head)


@whole("manifest.wrong", "manifest.wrong", "manifest.wrong")
def a_manifest_that_states_something_else() -> Case:
    house = House(19)
    other = {"bodies": 1, "canons": 2, "root": shown(bytes(32))}
    return _pruned(house, 0, manifest=other)


@whole("manifest.wrong", "manifest.wrong", "manifest.wrong", "head.not_in_force")
def a_manifest_of_another_log() -> Case:
    house = House(20)
    return _pruned(house, 0, manifest={"origin": "elsewhere", "tenant": house.new_id("ten")})


# Views seen earlier.


def _against(house: House, head: str) -> Case:
    return Case(house.bundle(), [house.keys[-1].line], [head])


@whole("against.split")
def a_split_view() -> Case:
    house, other = House.honest(21), House.honest(21, "another")
    return _against(house, other.head())


@whole("against.shorter")
def an_earlier_view() -> Case:
    house = House(22)
    bundle, key = house.bundle(), house.keys[0].line
    house.session()
    return Case(bundle, [key], [house.head()])


@whole("against.untrusted")
def a_strangers_view() -> Case:
    return _against(House(23), House(24).head())


@whole("against.untrusted")
def a_view_signed_by_somebody_else() -> Case:
    house = House(25)
    return _against(house, house.head(None, house.new_key()))


@whole("against.pruned")
def a_view_from_before_the_kept_part() -> Case:
    house = House.honest(26)
    case = _pruned(house, house.kept_from)
    case.against = [house.head(house.kept_from - 1)]
    return case


# Lines of a bundle, with a last line that fits them.


def _lines(*, seed: int = 30) -> tuple[House, list[bytes]]:
    """A small log and the lines of its bundle, without the last."""
    house = House(seed)
    house.outcome(session := house.start(), house.receipt(session))
    return house, house.bundle().split(b"\n")[:-2]


def _resealed(house: House, lines: list[bytes]) -> Case:
    return Case(sealed_lines(lines), [house.keys[0].line])


def _place(lines: list[bytes], start: bytes) -> int:
    return next(place for place, line in enumerate(lines) if line.startswith(start))


@whole("bundle.line", "bundle.end", "head.missing", "manifest.wrong")
def a_line_that_no_bundle_has() -> Case:
    house, lines = _lines()
    lines.insert(_place(lines, b'{"body"'), b'{"note":"hello"}')
    return _resealed(house, lines)


@whole("bundle.newer", "bundle.end", "head.missing", "manifest.wrong", "manifest.wrong")
def an_entry_of_a_kind_that_came_later() -> Case:
    house, lines = _lines()
    started, moved = b'"kind":"session.started"', b'"kind":"session.moved"'
    place = next(at for at, line in enumerate(lines) if started in line)
    lines[place] = lines[place].replace(started, moved)
    return _resealed(house, lines)


@whole("bundle.line", "bundle.end")
def a_last_line_that_is_cut() -> Case:
    house, lines = _lines()
    return Case(sealed_lines(lines)[:-1], [house.keys[0].line])


@whole("bundle.end")
def a_last_line_that_is_missing() -> Case:
    house, lines = _lines()
    return Case(b"\n".join(lines) + b"\n", [house.keys[0].line])


@whole("bundle.end")
def lines_after_the_last() -> Case:
    house, lines = _lines()
    return Case(sealed_lines(lines) + lines[1] + b"\n", [house.keys[0].line])


@whole("bundle.digest")
def a_last_line_with_another_digest() -> Case:
    house, lines = _lines()
    end = {"digest": digest("else"), "lines": len(lines)}
    return Case(b"\n".join([*lines, canonical({"end": end}), b""]), [house.keys[0].line])


@whole("bundle.order")
def lines_in_another_order() -> Case:
    house, lines = _lines()
    lines.append(lines.pop(_place(lines, b'{"canon"')))
    return _resealed(house, lines)


@whole("canon.order", "manifest.wrong")
def a_canon_twice() -> Case:
    house, lines = _lines()
    place = _place(lines, b'{"canon"')
    lines.insert(place, lines[place])
    return _resealed(house, lines)


@whole("canon.order")
def canons_in_another_order() -> Case:
    house = House(39)
    house.change_canon("second")
    lines = house.bundle().split(b"\n")[:-2]
    place = _place(lines, b'{"canon"')
    lines[place], lines[place + 1] = lines[place + 1], lines[place]
    return _resealed(house, lines)


@whole("canon.unknown")
def a_canon_that_no_entry_names() -> Case:
    house = House(40)
    other = House(40)
    other.change_canon("second")
    canons = [line for line in other.bundle().split(b"\n") if line.startswith(b'{"canon"')]
    lines = house.bundle().split(b"\n")[:-2]
    lines[0] = lines[0].replace(b'"canons":1', b'"canons":2')
    place = _place(lines, b'{"canon"')
    lines[place : place + 1] = canons
    return _resealed(house, lines)


@whole("manifest.wrong", "manifest.wrong")
def parts_said_to_be_left_out_that_the_log_does_not_have() -> Case:
    house = House(41, found=False)
    house.genesis()
    left_out = {"left_out": ["bodies", "canons"]}
    return Case(house.bundle(manifest=left_out), [house.keys[0].line])


@whole("manifest.wrong")
def bodies_said_to_be_left_out_that_were_erased() -> Case:
    house = House(42)
    house.start()
    house.erase(*house.bodies)
    return Case(house.bundle(manifest={"left_out": ["bodies"]}), [house.keys[0].line])


@whole("head.missing")
def no_head() -> Case:
    house, lines = _lines()
    return _resealed(house, lines[:-1])


@whole(
    "log.empty",
    "head.size",
    "manifest.wrong",
    "manifest.wrong",
    "bundle.keys",
    "canon.unknown",
    "head.untrusted",
)
def no_entries() -> Case:
    house, lines = _lines()
    kept = [line for line in lines if not line.startswith((b'{"entry"', b'{"body"'))]
    stranger = House(31).keys[0].line
    case = _resealed(house, [kept[0].replace(b'"bodies":3', b'"bodies":0'), *kept[1:]])
    return Case(case.bundle, [stranger])


@whole("canon.files", "manifest.wrong")
def a_canon_with_other_files() -> Case:
    house, lines = _lines()
    place = _place(lines, b'{"canon"')
    lines[place] = lines[place].replace(b"permit", b"forbid")
    return _resealed(house, lines)


@whole("body.changed", "manifest.wrong")
def a_body_that_says_something_else() -> Case:
    house, lines = _lines()
    place = _place(lines, b'{"body"')
    lines[place] = lines[place].replace(b64(b'{"output"').encode(), b64(b'{"OUTPUT"').encode())
    return _resealed(house, lines)


@whole("body.absent")
def a_body_that_nobody_erased() -> Case:
    house = House(32)
    house.outcome(session := house.start(), house.receipt(session))
    house.bodies.popitem()
    return Case(house.bundle(), [house.keys[0].line])


@whole("body.absent")
def a_body_that_another_erasure_does_not_cover() -> Case:
    house = House(33)
    house.outcome(session := house.start(), house.receipt(session))
    one, other, *_ = house.bodies
    house.erase(one)
    house.bodies.pop(other)
    return Case(house.bundle(), [house.keys[0].line])


@whole("body.absent", "body.absent")
def more_bodies_than_erasures_without_names_cover() -> Case:
    house = House(34)
    house.outcome(session := house.start(), house.receipt(session))
    house.record("bodies.erased", {"subject": digest("ada"), "bodies": 1})
    house.receipt(session, "after")
    one, other, *_, late = list(house.bodies)
    for seq in (one, other, late):
        house.bodies.pop(seq)
    return Case(house.bundle(), [house.keys[0].line])


@whole("body.not_erased")
def a_body_that_was_not_erased() -> Case:
    house = House(35)
    house.outcome(session := house.start(), house.receipt(session))
    kept = dict(house.bodies)
    house.erase(max(kept))
    house.bodies = kept
    return Case(house.bundle(), [house.keys[0].line])


@audit("erasure.wrong", "erasure.wrong", "erasure.wrong", "erasure.wrong")
def erasures_that_cannot_be(house: House) -> None:
    house.erase(1, 1)
    house.erase(1, bodies=2)
    house.erase(99)
    house.erase(1, basis="retention")


@whole("canon.absent")
def a_canon_whose_files_are_missing() -> Case:
    house = House(36)
    house.canons.clear()
    return Case(house.bundle(), [house.keys[0].line])


@whole("canon.absent")
def a_proposed_canon_whose_files_are_missing() -> Case:
    house = House(37)
    del house.canons[house.propose("second")["digest"]]
    return Case(house.bundle(), [house.keys[0].line])


@whole("manifest.wrong", "manifest.wrong", "manifest.wrong", "manifest.wrong")
def parts_that_are_here_and_said_to_be_left_out() -> Case:
    house = House(38)
    house.start()
    left_out = {"left_out": ["bodies", "canons"]}
    return Case(house.bundle(manifest=left_out), [house.keys[0].line])


@whole("body.order", "body.unknown")
def a_body_twice() -> Case:
    house, lines = _lines()
    place = _place(lines, b'{"body"')
    lines.insert(place, lines[place])
    return _resealed(house, lines)


@whole("body.unknown")
def a_body_that_no_entry_has() -> Case:
    house, lines = _lines()
    body = canonical({"body": {"bytes": "", "salt": b64(bytes(32)), "seq": 0}})
    lines.insert(_place(lines, b'{"body"'), body)
    return _resealed(house, lines)
