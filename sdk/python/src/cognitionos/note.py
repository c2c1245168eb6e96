"""Signed notes and verifier keys: C2SP `signed-note` v1 with Ed25519 (type 0x01)."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from . import ed25519
from .errors import Refused
from .values import read_base64, show_base64

NOTE_BYTES_MAX = 1_000_000
"""The most bytes of a note that is read."""
SIGNATURES_MAX = 64
"""The most signatures of a note that is read; the specification asks for at least 16."""

_ED25519 = b"\x01"
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True)
class VerifierKey:
    """A public key with its name: `<name>+<id in hex>+<base64 of 0x01 and the key>`."""

    name: str
    public: bytes
    id: int = field(init=False)
    """The start of the hash of name and key. Short: it finds, it does not prove."""

    def __post_init__(self) -> None:
        if not _is_key_name(self.name):
            raise Refused(f"`{self.name}` cannot be the name of a key")
        if not ed25519.is_safe_key(self.public):
            raise Refused(f"the key `{self.name}` is not a safe point of the curve")
        named = self.name.encode() + b"\n" + _ED25519 + self.public
        object.__setattr__(self, "id", int.from_bytes(hashlib.sha256(named).digest()[:4], "big"))

    @classmethod
    def parse(cls, line: object) -> VerifierKey:
        """Read a key line; `Refused` says what is wrong with it."""
        parts = line.split("+", 2) if isinstance(line, str) else []
        if len(parts) != 3:
            raise Refused(f"`{str(line)[:200]}` is not a verifier key like name+1a2b3c4d+AbCd")
        name, key_id, encoded = parts
        data = read_base64(encoded)
        if data is None or len(data) != 33 or data[:1] != _ED25519:
            raise Refused(f"the key `{name}` is not an Ed25519 key (type 1, 32 bytes)")
        key = cls(name, data[1:])
        if key_id != f"{key.id:08x}":
            raise Refused(f"the id in the key `{name}` does not belong to its name and bytes")
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.id:08x}+{show_base64(_ED25519 + self.public)}"

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `message`, by strict rules."""
        return ed25519.verifies(self.public, message, signature)


@dataclass(frozen=True)
class Signature:
    """One signature line of a note: whose it is said to be, and the bytes."""

    name: str
    id: int
    data: bytes


@dataclass(frozen=True)
class Note:
    """Text and the signatures under it. Reading one proves nothing: see `verify`."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, note: str) -> Note:
        """Read a note; `Refused` says what breaks the format."""
        if len(note) > NOTE_BYTES_MAX or len(note.encode()) > NOTE_BYTES_MAX:
            raise Refused("this is not a signed note: it is too long")
        if _CONTROL.search(note):
            raise Refused("this is not a signed note: it has a control character")
        text, blank, rest = note.rpartition("\n\n")
        if not blank or not rest.endswith("\n"):
            raise Refused("this is not a signed note: it does not end with signature lines")
        signatures = tuple(_signature(line) for line in rest[:-1].split("\n"))
        if len(signatures) > SIGNATURES_MAX:
            raise Refused("this is not a signed note: it has too many signatures")
        return cls(text + "\n", signatures)

    def __str__(self) -> str:
        lines = (
            f"\u2014 {line.name} {show_base64(line.id.to_bytes(4, 'big') + line.data)}\n"
            for line in self.signatures
        )
        return f"{self.text}\n{''.join(lines)}"

    def verify(self, trusted: Iterable[VerifierKey]) -> VerifierKey:
        """The first trusted key that signed.

        At least one must have signed, and every signature with a trusted key's name and id
        must be right and the only one of its key, since anybody could add another; those of
        other keys are ignored, as the specification says.
        """
        keys = tuple(trusted)
        signers: list[VerifierKey] = []
        for line in self.signatures:
            named = [key for key in keys if key.name == line.name and key.id == line.id]
            if not named:
                continue
            right = [key for key in named if key.verifies(self.text.encode(), line.data)]
            if not right:
                raise Refused(f"the signature by the trusted key `{line.name}` does not verify")
            if right[0] in signers:
                raise Refused(f"the trusted key `{line.name}` signed the note more than once")
            signers.append(right[0])
        if not signers:
            found = ", ".join(f"{line.name}+{line.id:08x}" for line in self.signatures)
            raise Refused(f"the note is signed by {found}, and by none of the trusted keys")
        return signers[0]

    def is_signed_by(self, key: VerifierKey) -> bool:
        """Whether this very key signed."""
        try:
            self.verify([key])
        except Refused:
            return False
        return True


def _signature(line: str) -> Signature:
    parts = line.split(" ", 2)
    data = read_base64(parts[2]) if len(parts) == 3 and parts[0] == "\u2014" else None
    if data is None or len(data) <= 4 or not _is_key_name(parts[1]):
        raise Refused("this is not a signed note: a signature line is not `\u2014 name base64`")
    return Signature(parts[1], int.from_bytes(data[:4], "big"), data[4:])


def _is_key_name(name: str) -> bool:
    is_bad = any(
        letter == "+" or letter.isspace() or unicodedata.category(letter) in ("Cc", "Cs")
        for letter in name
    )
    return bool(name) and not is_bad
