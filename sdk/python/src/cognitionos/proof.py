"""Proofs that leave the house: C2SP `tlog-proof` v1, and an entry with its proof."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .checkpoint import Checkpoint
from .entry import Entry
from .errors import Refused
from .merkle import is_included
from .note import VerifierKey
from .values import read_base64, read_decimal, read_hash, show_base64

_HEADER = "c2sp.org/tlog-proof@v1"
PATH_MAX = 64
"""The most hashes in the path of a tree of 64-bit size."""


@dataclass(frozen=True)
class TlogProof:
    """The proof that a leaf is in a log, against a signed head. Reading proves nothing."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint
    extra: bytes | None = None
    """Opaque, and not authenticated by the proof itself."""

    @classmethod
    def parse(cls, text: str) -> TlogProof:
        """Read a proof; `Refused` says what breaks the format."""
        head, blank, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if not blank or lines.pop(0) != _HEADER:
            raise Refused(f"this is not a tlog-proof: it does not begin with {_HEADER}")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = read_base64(lines.pop(0).removeprefix("extra "))
            if extra is None:
                raise Refused("this is not a tlog-proof: its extra data is not base64")
        index = None
        if lines and lines[0].startswith("index "):
            index = read_decimal(lines.pop(0).removeprefix("index "))
        if index is None:
            raise Refused("this is not a tlog-proof: it has no plain index")
        path = tuple(hash_ for hash_ in map(read_hash, lines) if hash_ is not None)
        if len(path) != len(lines) or len(path) > PATH_MAX:
            raise Refused("this is not a tlog-proof: its path is not lines of base64 hashes")
        return cls(index, path, Checkpoint.parse(checkpoint), extra)

    def verify(self, leaf: bytes, origin: str, trusted: Iterable[VerifierKey]) -> VerifierKey:
        """The trusted key that signed the head of `origin` under which the leaf is."""
        signer = self.checkpoint.verify(origin, trusted)
        size, root = self.checkpoint.size, self.checkpoint.root
        if not is_included(leaf, self.index, size, root, self.path):
            raise Refused(f"leaf {self.index} is not in the signed tree of {size}")
        return signer

    def __str__(self) -> str:
        lines = [_HEADER]
        if self.extra is not None:
            lines.append(f"extra {show_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines.extend(map(show_base64, self.path))
        return "\n".join(lines) + f"\n\n{self.checkpoint}"


@dataclass(frozen=True)
class ProvenEntry:
    """An entry that proves itself offline: a `tlog-proof` whose extra data are its bytes."""

    entry: Entry
    proof: TlogProof

    @classmethod
    def parse(cls, text: str) -> ProvenEntry:
        """Read it; `Refused` says what breaks the format."""
        proof = TlogProof.parse(text)
        if proof.extra is None:
            raise Refused("this is not a tlog-proof of an entry: it carries none")
        return cls(Entry.parse(proof.extra), proof)

    def verify(self, tenant: str, origin: str, trusted: Iterable[VerifierKey]) -> Entry:
        """The entry, once it is shown to be of `tenant` and in the log `origin`.

        Whether a receipt has expired or was used is for the caller to check.
        """
        entry = self.entry
        if entry.tenant != tenant or entry.seq != self.proof.index:
            raise Refused(f"the entry is number {entry.seq} of {entry.tenant}, not the one asked")
        self.proof.verify(entry.leaf, origin, trusted)
        return entry
