"""Logs that the rightful key signs, with random edits: some break rules, some do not.

Nothing says beforehand what must be found; two verifiers must find the same.
"""

from __future__ import annotations

import random
from typing import Any

from mutations import Lines, Target, entry_at, places, relinked, rewritten
from primitives import canonical, digest

ODD: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**53 - 1,
    -(2**53) + 1,
    "",
    "1",
    "user:",
    "user:cfo",
    "root:cfo",
    "agent:\u00e9" * 40,
    "x" * 257,
    "\u00e9" * 129,
    "0000-02-29T23:59:59.999999Z",
    "1900-02-29T00:00:00.000000Z",
    "2026-11-21T24:00:00.000000Z",
    "2026-12-31T23:59:60.000000Z",
    "9999-12-31T23:59:59.999999Z",
    "2026-11-21T04:05:06Z",
    "2026-11-21t04:05:06.000000z",
    "\u0662\u0660\u0662\u0666-11-21T04:05:06.000000Z",
    digest("odd"),
    digest("odd").upper(),
    digest("odd") + "\n",
    "sha256:" + "\u0660" * 64,
    "run_" + "0" * 26,
    "run_8" + "0" * 25,
    "apr_" + "7" + "z" * 25,
    "rcp_" + "i" * 26,
    [],
    {},
    [0],
    [-1],
    ["user:cfo"],
    ["role:board", None],
    [{}],
    [{"plan": "sepa"}],
    {"commit": digest("odd")},
    {"commit": digest("odd"), "more": 1},
    {"count": 0, "of": []},
    {"count": 1, "of": ["user:cfo", "role:x"]},
    {"completed": 1, "failed": 0, "abandoned": 0, "unknown": 0},
    '\ud7ff\ue000\U0010ffff\u2028\x7f\x00\x1f\\"/',
    "completed",
    "abandoned",
    "genesis",
    "change",
]


def forged(target: Target, chance: random.Random) -> bytes:
    """One or two edits, and all else rewritten and signed."""
    lines = target.lines()
    for _ in range(chance.randint(1, 2)):
        chance.choice((_odd_member, _odd_member, _borrowed, _moved, _doubled, _dropped))(
            lines, chance
        )
    if chance.random() < 0.8:
        lines = _renumbered(lines, target.first)
    if chance.random() < 0.9:
        lines = relinked(lines)
    return rewritten(target, lines, target.house.keys[-1])


def _put(lines: Lines, place: int, members: dict[str, Any]) -> None:
    lines[place] = b'{"entry":' + canonical(members) + b"}"


def _odd_member(lines: Lines, chance: random.Random) -> None:
    """A member is something odd, or gone, or new."""
    place = chance.choice(places(lines, "entry"))
    entry = entry_at(lines[place])
    members = entry["data"] if chance.random() < 0.7 and isinstance(entry["data"], dict) else entry
    name = chance.choice([*members, *members, "session", "canon", "body", "chosen"])
    if chance.random() < 0.2:
        members.pop(name, None)
    else:
        members[name] = chance.choice(ODD)
    _put(lines, place, entry)


def _borrowed(lines: Lines, chance: random.Random) -> None:
    """A member is that of another entry."""
    place, other = (chance.choice(places(lines, "entry")) for _ in range(2))
    entry, lender = entry_at(lines[place]), entry_at(lines[other])
    members, lent = (entry, lender) if chance.random() < 0.4 else (entry["data"], lender["data"])
    if not isinstance(members, dict) or not isinstance(lent, dict):
        return
    if names := sorted(set(members) & set(lent) - {"seq"}):
        name = chance.choice(names)
        members[name] = lent[name]
    _put(lines, place, entry)


def _moved(lines: Lines, chance: random.Random) -> None:
    """An entry stands somewhere else."""
    entries = places(lines, "entry")
    line = lines.pop(chance.choice(entries))
    lines.insert(chance.choice(entries), line)


def _doubled(lines: Lines, chance: random.Random) -> None:
    entries = places(lines, "entry")
    lines.insert(chance.choice(entries), lines[chance.choice(entries)])


def _dropped(lines: Lines, chance: random.Random) -> None:
    del lines[chance.choice(places(lines, "entry"))]


def _renumbered(lines: Lines, first: int) -> Lines:
    for number, place in enumerate(places(lines, "entry")):
        entry = entry_at(lines[place])
        entry["seq"] = first + number
        _put(lines, place, entry)
    return lines
