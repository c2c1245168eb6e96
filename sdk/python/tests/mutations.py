"""Ways to tamper with a bundle, each from a seed. None of them may be accepted."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from house import House
from primitives import (
    Key,
    canonical,
    checkpoint,
    digest,
    leaf,
    root,
    sealed_lines,
    sha256,
    shown,
)

Lines = list[bytes]


@dataclass
class Target:
    """A bundle with what its verifier has from elsewhere."""

    house: House
    bundle: bytes
    first: int
    key: str
    against: str
    fork: bytes
    """The same log with another end than `against`."""

    def lines(self) -> Lines:
        """The lines but for the last."""
        return self.bundle.split(b"\n")[:-2]


@dataclass
class Tampered:
    """A bundle that must not be accepted."""

    way: str
    bundle: bytes
    is_compared: bool = False
    """Whether the verifier compares it with the head it has."""


def targets(seed: int) -> list[Target]:
    """A whole and a pruned bundle of one house."""
    house, fork = House.honest(seed), House.honest(seed, "another")
    return [
        Target(house, house.bundle(first), first, house.keys[-1].line, house.head(), fork.bundle())
        for first in (0, house.kept_from)
    ]


def tampered(target: Target, chance: random.Random) -> Tampered:
    """One change, by one of the ways."""
    while True:
        name, way = chance.choice(WAYS)
        bundle = way(target, chance)
        if bundle is not None and bundle != target.bundle:
            return Tampered(name, bundle, name == "split view")


def entry_at(line: bytes) -> dict[str, Any]:
    """The members of an entry's line."""
    members: dict[str, Any] = json.loads(line)["entry"]
    return members


def places(lines: Lines, start: str) -> list[int]:
    """Where lines begin so."""
    return [n for n, line in enumerate(lines) if line.startswith(b'{"%s":' % start.encode())]


def relinked(lines: Lines) -> Lines:
    """With each entry naming the one before it, as a forger would see to."""
    before: bytes | None = None
    for place in places(lines, "entry"):
        members = entry_at(lines[place])
        if before is not None:
            members["prev"] = shown(leaf(before))
        before = canonical(members)
        lines[place] = b'{"entry":' + before + b"}"
    return lines


def rewritten(target: Target, lines: Lines, *keys: Key) -> bytes:
    """With manifest, root and end that fit, and a head that `keys` sign.

    Without keys the old signatures stay, over what they did not sign.
    """
    entries = [line[len(b'{"entry":') : -1] for line in lines if line.startswith(b'{"entry":')]
    before = target.house.leaves[: target.first]
    manifest = json.loads(lines[0])
    size = target.first + len(entries)
    head = root([*before, *map(leaf, entries)])
    bodies = len(places(lines, "body"))
    manifest.update(entries=len(entries), size=size, root=shown(head), bodies=bodies)
    lines[0] = canonical(manifest)
    old = json.loads(lines[-1])["checkpoint"]
    note = checkpoint(target.house.origin, size, head, *keys)
    if not keys:
        note += old.partition("\n\n")[2]
    lines[-1] = canonical({"checkpoint": note})
    return sealed_lines(lines)


def _changed(line: bytes, chance: random.Random) -> bytes:
    """One byte is another one that can stand in a line."""
    place = chance.randrange(len(line))
    other = chance.choice([byte for byte in range(32, 127) if byte != line[place]])
    return line[:place] + bytes([other]) + line[place + 1 :]


def _bit_flipped(target: Target, chance: random.Random) -> bytes:
    bundle = bytearray(target.bundle)
    bundle[chance.randrange(len(bundle))] ^= 1 << chance.randrange(8)
    return bytes(bundle)


def _byte_removed(target: Target, chance: random.Random) -> bytes:
    place = chance.randrange(len(target.bundle))
    return target.bundle[:place] + target.bundle[place + 1 :]


def _byte_inserted(target: Target, chance: random.Random) -> bytes:
    place = chance.randrange(len(target.bundle) + 1)
    return target.bundle[:place] + chance.randbytes(1) + target.bundle[place:]


def _tail_cut(target: Target, chance: random.Random) -> bytes:
    return target.bundle[: chance.randrange(len(target.bundle))]


def _line_dropped(target: Target, chance: random.Random) -> bytes:
    lines = target.bundle.splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    return b"".join(lines)


def _line_doubled(target: Target, chance: random.Random) -> bytes:
    lines = target.bundle.splitlines(keepends=True)
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    return b"".join(lines)


def _lines_swapped(target: Target, chance: random.Random) -> bytes:
    lines = target.bundle.splitlines(keepends=True)
    one, other = chance.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(lines)


def _line_changed(target: Target, chance: random.Random) -> bytes:
    lines = target.lines()
    place = chance.randrange(len(lines))
    lines[place] = _changed(lines[place], chance)
    return sealed_lines(lines)


def _signature_doubled(target: Target, chance: random.Random) -> bytes:
    """A line of a signature stands twice under a head."""
    lines = target.lines()
    place = chance.choice(places(lines, "checkpoint"))
    note = json.loads(lines[place])["checkpoint"]
    lines[place] = canonical({"checkpoint": note + note[note.rindex("\u2014") :]})
    return sealed_lines(lines)


def _section_changed(section: str) -> Callable[[Target, random.Random], bytes]:
    def change(target: Target, chance: random.Random) -> bytes:
        lines = target.lines()
        place = chance.choice(places(lines, section))
        lines[place] = _changed(lines[place], chance)
        return sealed_lines(lines)

    return change


def _entry_dropped(target: Target, chance: random.Random) -> bytes:
    lines = target.lines()
    del lines[chance.choice(places(lines, "entry"))]
    return rewritten(target, lines)


def _entries_swapped(target: Target, chance: random.Random) -> bytes:
    lines = target.lines()
    place = chance.choice(places(lines, "entry")[:-1])
    lines[place], lines[place + 1] = lines[place + 1], lines[place]
    return rewritten(target, lines)


def _without_tail(target: Target, chance: random.Random) -> Lines:
    lines = target.lines()
    entries = places(lines, "entry")
    cut = chance.randint(1, 8)
    last = entry_at(lines[entries[-cut - 1]])["seq"]
    del lines[entries[-cut] : entries[-1] + 1]
    # Bodies of entries that are gone would give it away at once.
    gone = [p for p in places(lines, "body") if json.loads(lines[p])["body"]["seq"] > last]
    return [line for place, line in enumerate(lines) if place not in gone]


def _entries_cut(target: Target, chance: random.Random) -> bytes:
    return rewritten(target, _without_tail(target, chance))


def _edited(target: Target, chance: random.Random) -> Lines:
    """One entry says something else, and every later link fits."""
    lines = target.lines()
    place = chance.choice(places(lines, "entry"))
    members = entry_at(lines[place])
    members["actor"] = chance.choice(("user:mallory", "agent:mallory", "service:mallory"))
    lines[place] = b'{"entry":' + canonical(members) + b"}"
    return relinked(lines)


def _entry_edited(target: Target, chance: random.Random) -> bytes:
    return rewritten(target, _edited(target, chance))


def _resigned(target: Target, chance: random.Random) -> bytes:
    key = Key(target.house.origin, chance.randbytes(32))
    return rewritten(target, _edited(target, chance), key)


def _signed_by_old_key(target: Target, chance: random.Random) -> bytes:
    """A key that was handed over signs again."""
    lines = _edited(target, chance) if chance.random() < 0.5 else target.lines()
    return rewritten(target, lines, chance.choice(target.house.keys[:-1]))


def _split_view(target: Target, _: random.Random) -> bytes:
    return target.fork


def _section_dropped(section: str) -> Callable[[Target, random.Random], bytes]:
    """A line is gone, and all numbers fit: nobody signs them."""

    def drop(target: Target, chance: random.Random) -> bytes:
        lines = target.lines()
        del lines[chance.choice(places(lines, section))]
        return _counted(lines)

    return drop


def _counted(lines: Lines) -> bytes:
    manifest = json.loads(lines[0])
    manifest["bodies"] = len(places(lines, "body"))
    manifest["canons"] = len(places(lines, "canon"))
    lines[0] = canonical(manifest)
    return sealed_lines(lines)


def _canon_added(target: Target, chance: random.Random) -> bytes:
    """A version that fits its digest, and that no entry names."""
    lines = target.lines()
    canons = places(lines, "canon")
    canon = json.loads(lines[chance.choice(canons)])["canon"]
    files = {path: text + "\n" for path, text in canon["files"].items()}
    listed = canonical({path: digest(text) for path, text in files.items()})
    version = shown(sha256(b"cognitionos/canon/v1\n", listed))
    lines.insert(canons[0], canonical({"canon": {"digest": version, "files": files}}))
    end = canons[-1] + 2
    lines[canons[0] : end] = sorted(lines[canons[0] : end])
    return _counted(lines)


def _part(target: Target, chance: random.Random, *sections: str) -> tuple[Lines, list[int]]:
    lines = target.lines()
    return lines, places(lines, chance.choice(sections))


def _part_doubled(target: Target, chance: random.Random) -> bytes | None:
    lines, found = _part(target, chance, "key", "canon", "subtrees", "earlier", "checkpoint")
    if not found:
        return None
    place = chance.choice(found)
    lines.insert(place, lines[place])
    return _counted(lines)


def _part_dropped(target: Target, chance: random.Random) -> bytes | None:
    lines, found = _part(target, chance, "key", "subtrees", "earlier", "checkpoint")
    if not found:
        return None
    del lines[chance.choice(found)]
    return sealed_lines(lines)


def _parts_reordered(target: Target, chance: random.Random) -> bytes:
    lines, found = _part(target, chance, "key", "canon", "checkpoint")
    one, other = chance.choice(found), chance.choice(found)
    lines[one], lines[other] = lines[other], lines[one]
    return sealed_lines(lines)


def _keys_replaced(target: Target, chance: random.Random) -> bytes:
    """All keys are gone, or a stranger's stands in the place of one."""
    lines, keys = _part(target, chance, "key")
    if chance.random() < 0.5:
        del lines[keys[0] : keys[-1] + 1]
    else:
        stranger = Key(target.house.origin, chance.randbytes(32))
        lines[chance.choice(keys)] = canonical({"key": stranger.line})
    return sealed_lines(lines)


def _cut_at_hand_over(target: Target, chance: random.Random) -> bytes:
    """The log ends at a hand-over, under the head that the bundle has of it."""
    lines, heads = _part(target, chance, "checkpoint")
    entries = places(lines, "entry")
    given = [place for place in entries if entry_at(lines[place])["kind"] == "key.rotated"]
    number = chance.randrange(len(given))
    last = entry_at(lines[given[number]])["seq"]
    gone = {*entries[entries.index(given[number]) + 1 :], *heads[number + 1 : -1]}
    gone |= {p for p in places(lines, "body") if json.loads(lines[p])["body"]["seq"] > last}
    gone |= {*places(lines, "key")[number + 2 :]}
    lines[-1] = lines[heads[number]]
    if chance.random() < 0.5:
        gone.add(heads[number])
    return rewritten(target, [line for place, line in enumerate(lines) if place not in gone])


WAYS: list[tuple[str, Callable[[Target, random.Random], bytes | None]]] = [
    ("bit flipped", _bit_flipped),
    ("byte removed", _byte_removed),
    ("byte inserted", _byte_inserted),
    ("tail cut", _tail_cut),
    ("line dropped", _line_dropped),
    ("line doubled", _line_doubled),
    ("lines swapped", _lines_swapped),
    ("line changed, end rewritten", _line_changed),
    ("signature doubled, end rewritten", _signature_doubled),
    ("body changed, end rewritten", _section_changed("body")),
    ("canon changed, end rewritten", _section_changed("canon")),
    ("body dropped, numbers rewritten", _section_dropped("body")),
    ("canon dropped, numbers rewritten", _section_dropped("canon")),
    ("head changed, end rewritten", _section_changed("checkpoint")),
    ("entry dropped, numbers rewritten", _entry_dropped),
    ("entries swapped, numbers rewritten", _entries_swapped),
    ("tail of entries cut, all but the signature rewritten", _entries_cut),
    ("entry edited, all but the signature rewritten", _entry_edited),
    ("entry edited, all rewritten and signed by another key", _resigned),
    ("signed again by a key out of force", _signed_by_old_key),
    ("canon added that nobody names, numbers rewritten", _canon_added),
    ("part doubled, numbers rewritten", _part_doubled),
    ("part dropped, end rewritten", _part_dropped),
    ("parts reordered, end rewritten", _parts_reordered),
    ("keys replaced, end rewritten", _keys_replaced),
    ("cut off at a hand-over, numbers rewritten", _cut_at_hand_over),
    ("split view", _split_view),
]
