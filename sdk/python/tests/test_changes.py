"""The ten thousand changed bundles of the Rust tests, each judged here as it was there."""

from __future__ import annotations

import base64
import functools
import json
import multiprocessing
import os
import tempfile
import unittest
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import python
import rust

NAMED = "COGNITIONOS_CHANGES"
CHANGES = 10_000
SHARE = 100
"""How many changes a process takes at once."""


@dataclass
class Target:
    """A bundle that nobody changed, with what its verifier has."""

    bundle: bytes
    key: str
    against: str

    @functools.cached_property
    def lines(self) -> list[bytes]:
        """What is between its newlines."""
        return self.bundle.split(b"\n")


def read_target(line: str) -> Target:
    """The target that a line of the file holds."""
    told = json.loads(line)
    return Target(base64.b64decode(told["bundle"]), told["key"], told["against"])


def judged(target: Target, bundle: bytes, is_compared: bool) -> list[tuple[str, int]] | None:
    """What is found here; nothing when it is no bundle."""
    said = python.verify(bundle, [target.key], [target.against] if is_compared else [])
    return None if said.json is None else said.findings()


_TARGETS: list[Target] = []
"""Those of a process that judges."""


def begin(targets: list[str]) -> None:
    """Prepare a process to judge."""
    _TARGETS[:] = [read_target(line) for line in targets]


def disagreement(line: str) -> tuple[str, str]:
    """How the change went, and what this verifier says otherwise than the other, if anything."""
    told = json.loads(line)
    target = _TARGETS[told["target"]]
    pieces: list[bytes] = []
    for piece in told["pieces"]:
        if isinstance(piece, str):
            pieces.append(base64.b64decode(piece))
        else:
            pieces += target.lines[piece[0] : piece[1]]
    theirs = rust.pairs(told["findings"]) if "findings" in told else None
    ours = judged(target, b"\n".join(pieces), told["compared"])
    is_same = ours == theirs and ours != []
    return told["way"], "" if is_same else f"number {told['number']}: {ours}, not {theirs}"


@contextmanager
def changes() -> Iterator[Path]:
    """The file of the changes: the one that is named, or one that is made now."""
    if named := os.environ.get(NAMED):
        yield Path(named)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "changes"
        test = "tamper::every_one_of_ten_thousand_changes_is_found"
        rust.test("cog-ledger", "bundles", test, {NAMED: str(path)})
        yield path


@unittest.skipUnless(os.environ.get(NAMED) or rust.has_source(), "needs cargo and the source")
class Changes(unittest.TestCase):
    """Bundles that the other verifier's tests tampered with."""

    def test_each_change_is_judged_as_by_the_other(self) -> None:
        with changes() as path:
            lines = path.read_text("utf-8").splitlines()
        targets = [line for line in lines if line.startswith('{"against"')]
        ways: Counter[str] = Counter()
        differing: list[str] = []
        for target in map(read_target, targets):
            for is_compared in (False, True):
                self.assertEqual(judged(target, target.bundle, is_compared), [], "false alarm")
        with multiprocessing.Pool(initializer=begin, initargs=(targets,)) as pool:
            rest = lines[len(targets) :]
            for way, difference in pool.imap_unordered(disagreement, rest, SHARE):
                ways[way] += 1
                differing += [f"{way}, {difference}"] if difference else []
        self.assertEqual(differing, [], "the two verifiers disagree")
        self.assertEqual(ways.total(), CHANGES)
        # On a line of its own, whatever is printed while tests run.
        count = f"{ways.total()} changes of bundles, of {len(ways)} kinds"
        print(f"\ncounted: {count}, judged by the Python verifier as by the Rust one")


if __name__ == "__main__":
    unittest.main()
