"""Keys, signed notes, checkpoints and proofs of single entries."""

from __future__ import annotations

import unittest

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from heads import UNSAFE_KEYS, key_lines, notes
from house import House
from primitives import b64, leaf, root, sha256, subtrees

from cognitionos import Checkpoint, ProvenEntry, Refused, TlogProof, VerifierKey, ed25519
from cognitionos.merkle import Tree, is_consistent, is_included


class Keys(unittest.TestCase):
    """Key lines, and keys that are none."""

    def test_key_lines(self) -> None:
        key = House(1).keys[0]
        for name, (line, is_key) in key_lines(key).items():
            with self.subTest(name):
                if is_key:
                    self.assertEqual(str(VerifierKey.parse(line)), line)
                else:
                    self.assertRaises(Refused, VerifierKey.parse, line)

    def test_keys_that_sign_anything_are_refused(self) -> None:
        """The library alone takes them: a point of small order verifies this signature."""
        signature = (1).to_bytes(32, "little") + bytes(32)
        for name in ("order 1", "1 as p + 1"):
            Ed25519PublicKey.from_public_bytes(UNSAFE_KEYS[name]).verify(signature, b"anything")
        for name, public in UNSAFE_KEYS.items():
            with self.subTest(name):
                self.assertFalse(ed25519.is_safe_key(public))
                self.assertFalse(ed25519.verifies(public, b"anything", signature))

    def test_small_order_is_what_arithmetic_says(self) -> None:
        for y in ed25519.SMALL_ORDER_Y:
            self.assertEqual(_times_eight(y), 1, "8 P is the neutral point")


class Heads(unittest.TestCase):
    """Signed notes and checkpoints."""

    def test_notes(self) -> None:
        house = House(2)
        house.session()
        trusted = [VerifierKey.parse(house.keys[0].line)]
        for name, (note, is_right) in notes(house).items():
            with self.subTest(name):
                if is_right:
                    head = Checkpoint.parse(note)
                    self.assertEqual(head.verify(house.origin, trusted), trusted[0])
                    self.assertEqual(str(head), note)
                    self.assertEqual(
                        (head.size, head.root), (len(house.entries), root(house.leaves))
                    )
                else:
                    with self.assertRaises(Refused):
                        Checkpoint.parse(note).verify(house.origin, trusted)

    def test_nobody_is_trusted_by_default(self) -> None:
        house = House(3)
        self.assertRaises(Refused, Checkpoint.parse(house.head()).verify, house.origin, [])


class Trees(unittest.TestCase):
    """Trees of every small size, against the definition."""

    def test_trees_and_proofs_of_every_small_size(self) -> None:
        leaves = [leaf(bytes([n])) for n in range(40)]
        tree = Tree()
        for size in range(1, len(leaves) + 1):
            tree.add(leaves[size - 1])
            head = root(leaves[:size])
            self.assertEqual((tree.root(), list(tree.subtrees)), (head, subtrees(leaves[:size])))
            self.assertEqual(Tree(size, tree.subtrees).root(), head)
            for index in range(size):
                path = _path(index, leaves[:size])
                self.assertTrue(is_included(leaves[index], index, size, head, path))
                self.assertFalse(is_included(leaves[index], index, size + 1, head, path + path))
                self.assertFalse(
                    is_included(leaves[index - 1], index, size, head, path) and size > 1
                )
            for earlier in range(1, size + 1):
                proof = _growth(earlier, leaves[:size], True)
                old = root(leaves[:earlier])
                self.assertTrue(is_consistent(earlier, old, size, head, proof))
                self.assertFalse(is_consistent(earlier, old, size, head, [*proof, head]))
                self.assertFalse(is_consistent(earlier, sha256(old), size, head, proof))


class Proofs(unittest.TestCase):
    """An entry with its proof, as C2SP `tlog-proof`."""

    def setUp(self) -> None:
        self.house = house = House(4)
        house.session()
        self.index = index = 7
        path = "".join(f"{b64(hash_)}\n" for hash_ in _path(index, house.leaves))
        extra = b64(house.entries[index])
        self.text = f"c2sp.org/tlog-proof@v1\nextra {extra}\nindex {index}\n{path}\n{house.head()}"
        self.trusted = [VerifierKey.parse(house.keys[0].line)]

    def test_a_right_proof(self) -> None:
        proven = ProvenEntry.parse(self.text)
        entry = proven.verify(self.house.tenant, self.house.origin, self.trusted)
        self.assertEqual((entry.seq, entry.data_bytes), (7, self.house.entries[7]))
        self.assertEqual(str(proven.proof), self.text)
        without = TlogProof.parse("\n".join(self.text.split("\n")[:1] + self.text.split("\n")[2:]))
        without.verify(entry.leaf, self.house.origin, self.trusted)
        self.assertIsNone(without.extra)

    def test_every_other_proof_is_refused(self) -> None:
        lines = self.text.split("\n")
        other = b64(self.house.entries[6])
        edits = {
            "another version": self.text.replace("@v1", "@v2"),
            "another index": self.text.replace("index 7", "index 6"),
            "an odd index": self.text.replace("index 7", "index 07"),
            "no index": self.text.replace("index 7\n", ""),
            "another entry": self.text.replace(lines[1], f"extra {other}"),
            "extra that is no base64": self.text.replace("extra ", "extra !"),
            "no entry": self.text.replace(lines[1] + "\n", ""),
            "a hash too few": self.text.replace(lines[3] + "\n", ""),
            "a hash too many": self.text.replace(lines[3], f"{lines[3]}\n{lines[3]}"),
            "a wrong hash": self.text.replace(lines[3], b64(bytes(32))),
            "a short hash": self.text.replace(lines[3], b64(bytes(31))),
            "no blank line": self.text.replace("\n\n", "\n"),
            "a path without end": self.text.replace(lines[3], "\n".join([lines[3]] * 65)),
        }
        for name, text in edits.items():
            self.assertNotEqual(text, self.text)
            with self.subTest(name), self.assertRaises(Refused):
                ProvenEntry.parse(text).verify(self.house.tenant, self.house.origin, self.trusted)

    def test_it_is_of_this_tenant_log_and_key(self) -> None:
        proven, other = ProvenEntry.parse(self.text), House(5)
        stranger = [VerifierKey.parse(other.keys[0].line)]
        for tenant, origin, trusted in (
            (other.tenant, self.house.origin, self.trusted),
            (self.house.tenant, other.origin, self.trusted),
            (self.house.tenant, self.house.origin, stranger),
        ):
            self.assertRaises(Refused, proven.verify, tenant, origin, trusted)


def _split(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)


def _path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 9162 section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return [*_path(index, leaves[:k]), root(leaves[k:])]
    return [*_path(index - k, leaves[k:]), root(leaves[:k])]


def _growth(earlier: int, leaves: list[bytes], is_known: bool) -> list[bytes]:
    """RFC 9162 section 2.1.4.1."""
    if earlier == len(leaves):
        return [] if is_known else [root(leaves)]
    k = _split(len(leaves))
    if earlier <= k:
        return [*_growth(earlier, leaves[:k], is_known), root(leaves[k:])]
    return [*_growth(earlier - k, leaves[k:], False), root(leaves[:k])]


def _times_eight(y: int) -> int:
    """The y of eight times the point with this y, by doubling on the curve of RFC 8032."""
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p)
    square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
    for _ in range(3):
        # Doubling needs only the square of x: y' = (y^2 + x^2) / (1 - d x^2 y^2).
        product = d * square * y * y
        y, across = (y * y + square) * pow(1 - product, -1, p) % p, 4 * square * y * y
        square = across * pow(1 + product, -2, p) % p
    return y


if __name__ == "__main__":
    unittest.main()
