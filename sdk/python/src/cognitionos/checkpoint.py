"""Signed tree heads: C2SP `tlog-checkpoint`, a signed note of origin, size and root."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .errors import Refused
from .note import Note, VerifierKey
from .values import read_decimal, read_hash


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log at one size. Reading one proves nothing: see `verify`."""

    origin: str
    size: int
    root: bytes
    note: Note

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a checkpoint; `Refused` says what breaks the format."""
        note = Note.parse(text)
        lines = note.text[:-1].split("\n")
        if len(lines) < 3 or not all(lines):
            raise Refused("this is not a checkpoint: it has an empty line or fewer than three")
        size, root = read_decimal(lines[1]), read_hash(lines[2])
        if size is None:
            raise Refused("this is not a checkpoint: its size is no plain number")
        if root is None:
            raise Refused("this is not a checkpoint: its root is not the base64 of 32 bytes")
        return cls(lines[0], size, root, note)

    def verify(self, origin: str, trusted: Iterable[VerifierKey]) -> VerifierKey:
        """The trusted key that signed it as a head of `origin`; `Refused` if none did."""
        if self.origin != origin:
            raise Refused(f"the checkpoint is of the log `{self.origin}`, not of `{origin}`")
        return self.note.verify(trusted)

    def is_signed_by(self, origin: str, key: VerifierKey) -> bool:
        """Whether this very key signed it as a head of `origin`."""
        return self.origin == origin and self.note.is_signed_by(key)

    def __str__(self) -> str:
        return str(self.note)
