"""The published vectors in `tests/vectors` of the project, every one of them."""

from __future__ import annotations

import base64
import json
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cognitionos import canonical, ed25519
from cognitionos.merkle import is_consistent, is_included

VECTORS = Path(__file__).resolve().parents[3] / "tests" / "vectors"


@unittest.skipUnless(VECTORS.is_dir(), "the vectors are not part of the package")
class PublishedVectors(unittest.TestCase):
    """Every case gives the published verdict, and none is passed over."""

    def test_inclusion(self) -> None:
        cases = list(_lines("merkle-inclusion.jsonl"))
        for case in cases:
            leaf, root = _hash(case["leafHash"]), _hash(case["root"])
            index, size = case["leafIdx"], case["treeSize"]
            found = is_included(leaf, index, size, root, _path(case))
            self.assertEqual(found, not case["wantErr"], case)
        self._count("RFC 9162 inclusion", cases, 98)

    def test_consistency(self) -> None:
        cases = list(_lines("merkle-consistency.jsonl"))
        for case in cases:
            roots = _hash(case["root1"]), _hash(case["root2"])
            sizes = case["size1"], case["size2"]
            found = is_consistent(sizes[0], roots[0], sizes[1], roots[1], _path(case))
            self.assertEqual(found, not case["wantErr"], case)
        self._count("RFC 9162 consistency", cases, 98)

    def test_canonical_json(self) -> None:
        cases = list(_lines("jcs.jsonl"))
        for case in cases:
            written = canonical.write(canonical.read_loose(case["input"]))
            self.assertEqual(written, bytes.fromhex(case["output_hex"]), case["case"])
        self._count("RFC 8785", cases, 6)

    def test_ed25519(self) -> None:
        file = json.loads((VECTORS / "ed25519-wycheproof.json").read_text("utf-8"))
        cases = [(group, test) for group in file["testGroups"] for test in group["tests"]]
        for group, test in cases:
            self.assertIn(test["result"], ("valid", "invalid"))
            public = bytes.fromhex(group["publicKey"]["pk"])
            message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
            found = ed25519.verifies(public, message, signature)
            self.assertEqual(found, test["result"] == "valid", test)
        self._count("Wycheproof Ed25519", cases, 151)

    def _count(self, name: str, cases: list[Any], expected: int) -> None:
        print(f"published vectors: {len(cases)} {name}")
        self.assertEqual(len(cases), expected)


def _lines(name: str) -> Iterator[dict[str, Any]]:
    for line in (VECTORS / name).read_text("utf-8").splitlines():
        yield json.loads(line)


def _hash(text: str) -> bytes:
    return base64.b64decode(text)


def _path(case: dict[str, Any]) -> list[bytes]:
    return [_hash(text) for text in case["proof"] or []]


if __name__ == "__main__":
    unittest.main()
