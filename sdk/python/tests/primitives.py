"""Hashing, canonical JSON, trees, notes and the last line of a bundle, written from the
specifications a second time, so that the tests share nothing with the package."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def sha256(*parts: bytes) -> bytes:
    """SHA-256 of the parts, one after the other."""
    return hashlib.sha256(b"".join(parts)).digest()


def shown(digest: bytes) -> str:
    """A digest as entries have it."""
    return "sha256:" + digest.hex()


def digest(text: str) -> str:
    """The digest of a text, as entries have it."""
    return shown(sha256(text.encode()))


def b64(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode()


def canonical(value: Any) -> bytes:
    """RFC 8785 for integers, texts, lists and objects."""

    def order(value: Any) -> Any:
        if isinstance(value, dict):
            keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
            return {key: order(value[key]) for key in keys}
        return [order(item) for item in value] if isinstance(value, list) else value

    return json.dumps(order(value), ensure_ascii=False, separators=(",", ":")).encode()


def leaf(entry: bytes) -> bytes:
    """RFC 9162 leaf hash."""
    return sha256(b"\x00", entry)


def root(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, by the definition."""
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01", root(leaves[:k]), root(leaves[k:]))


def subtrees(leaves: list[bytes]) -> list[bytes]:
    """The roots of the perfect subtrees, the largest first."""
    roots, begin = [], 0
    for bit in reversed(range(len(leaves).bit_length())):
        if len(leaves) >> bit & 1:
            roots.append(root(leaves[begin : begin + (1 << bit)]))
            begin += 1 << bit
    return roots


def inclusion(leaves: list[bytes], index: int) -> list[bytes]:
    """RFC 9162 section 2.1.3.1, by the definition."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if index < k:
        return [*inclusion(leaves[:k], index), root(leaves[k:])]
    return [*inclusion(leaves[k:], index - k), root(leaves[:k])]


class Key:
    """A signing key with its name."""

    def __init__(self, name: str, seed: bytes) -> None:
        self.name = name
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._private.public_key().public_bytes_raw()
        public = b"\x01" + self.public
        self.id = sha256(name.encode(), b"\n", public)[:4]
        self.line = f"{name}+{self.id.hex()}+{b64(public)}"

    def signature(self, text: str) -> str:
        """The signature line under a note."""
        return f"\u2014 {self.name} {b64(self.id + self._private.sign(text.encode()))}\n"


def checkpoint(origin: str, size: int, head: bytes, *keys: Key) -> str:
    """A signed head."""
    text = f"{origin}\n{size}\n{b64(head)}\n"
    return text + "\n" + "".join(key.signature(text) for key in keys)


def sealed_lines(lines: list[bytes]) -> bytes:
    """Lines with a last one that fits them."""
    text = b"".join(line + b"\n" for line in lines)
    end = {"digest": shown(sha256(text)), "lines": len(lines)}
    return text + canonical({"end": end}) + b"\n"
