"""The Merkle tree of RFC 9162 section 2.1 over SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from .errors import Refused

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of the tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf: SHA-256 of 0x00 and the bytes."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256 of 0x01 and its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree of which only the perfect subtrees at the right edge are kept."""

    def __init__(self, size: int = 0, subtrees: Sequence[bytes] = ()) -> None:
        """The tree of `size` leaves with these subtree roots, the largest first."""
        if len(subtrees) != size.bit_count():
            raise Refused(f"{len(subtrees)} subtrees do not make a tree of {size} leaves")
        self.size = size
        self._edge = list(subtrees)

    def add(self, leaf: bytes) -> None:
        """Add the hash of a leaf."""
        index = self.size
        while index & 1:
            leaf = node_hash(self._edge.pop(), leaf)
            index >>= 1
        self._edge.append(leaf)
        self.size += 1

    @property
    def subtrees(self) -> tuple[bytes, ...]:
        """The roots of the perfect subtrees, the largest first."""
        return tuple(self._edge)

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._edge:
            return EMPTY_ROOT
        hashes = self._edge[::-1]
        root = hashes[0]
        for left in hashes[1:]:
            root = node_hash(left, root)
        return root


def is_included(leaf: bytes, index: int, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Whether `path` proves the leaf at `index` of the tree of `size` with `root`.

    RFC 9162 section 2.1.3, read from the root down: the split of each subtree says on which
    side the leaf lies, and the path must have exactly one hash for each split.
    """
    if not 0 <= index < size or len(leaf) != 32:
        return False
    sides = []
    while size > 1:
        left = _split(size)
        if index < left:
            sides.append(False)
            size = left
        else:
            sides.append(True)
            index, size = index - left, size - left
    if len(sides) != len(path):
        return False
    for sibling, is_right in zip(path, reversed(sides), strict=True):
        leaf = node_hash(sibling, leaf) if is_right else node_hash(leaf, sibling)
    return leaf == root


def edge_before(index: int, size: int, path: Sequence[bytes]) -> list[bytes]:
    """The subtrees before the leaf at `index`, the largest first, in a path `is_included` took."""
    lefts = []
    rest = list(path)
    while size > 1 and rest:
        sibling, left = rest.pop(), _split(size)
        if index < left:
            size = left
        else:
            lefts.append(sibling)
            index, size = index - left, size - left
    return lefts


def is_consistent(
    earlier: int, earlier_root: bytes, size: int, root: bytes, path: Sequence[bytes]
) -> bool:
    """Whether `path` proves that the tree of `size` has grown from that of `earlier` leaves.

    RFC 9162 section 2.1.4, as SUBPROOF defines it. Nothing is proved of an empty tree.
    """
    if not 0 < earlier <= size:
        return False
    if earlier == size:
        return not path and earlier_root == root
    rest = list(path)
    try:
        old, new = _grown(earlier, size, True, earlier_root, rest)
    except IndexError:
        return False
    return not rest and old == earlier_root and new == root


def _grown(
    earlier: int, size: int, is_known: bool, earlier_root: bytes, path: list[bytes]
) -> tuple[bytes, bytes]:
    """The old and the new root of a subtree, from the end of the path: SUBPROOF(m, D_n, b)."""
    if earlier == size:
        same = earlier_root if is_known else path.pop(0)
        return same, same
    left = _split(size)
    if earlier <= left:
        old, new = _grown(earlier, left, is_known, earlier_root, path)
        return old, node_hash(new, path.pop(0))
    old, new = _grown(earlier - left, size - left, False, earlier_root, path)
    sibling = path.pop(0)
    return node_hash(sibling, old), node_hash(sibling, new)


def _split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)
