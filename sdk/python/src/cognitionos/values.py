"""Digests, ids, times and base64 as they stand in entries: each has exactly one text."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.[0-9]{6}Z")
# Crockford's base32; 26 digits hold 130 bits, of which an id has 128.
_ID_TAIL = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

U64_MAX = 2**64 - 1


def digest_in_context(context: str, *parts: bytes) -> bytes:
    """SHA-256 of the parts under a context string, so that no digest passes for another."""
    return hashlib.sha256(b"".join([context.encode(), b"\n", *parts])).digest()


def show_digest(digest: bytes) -> str:
    """`sha256:` and 64 hex digits."""
    return f"sha256:{digest.hex()}"


def is_digest(text: object) -> bool:
    """Whether `text` is `sha256:` and 64 lower-case hex digits."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def read_digest(text: object) -> bytes | None:
    """The 32 bytes that `text` shows, if it is a digest."""
    if isinstance(text, str) and _DIGEST.fullmatch(text):
        return bytes.fromhex(text[7:])
    return None


def is_id(prefix: str, text: object) -> bool:
    """Whether `text` is a TypeID with this prefix."""
    if not isinstance(text, str) or not text.startswith(f"{prefix}_"):
        return False
    return _ID_TAIL.fullmatch(text, len(prefix) + 1) is not None


_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def id_of(prefix: str, digest: str) -> str:
    """The id that a digest gives: a UUIDv8 of its first 16 bytes, as a TypeID."""
    bits = int(digest.removeprefix("sha256:")[:32], 16)
    bits = bits & ~((0xF << 76) | (0b11 << 62)) | (0x8 << 76) | (0b10 << 62)
    return f"{prefix}_" + "".join(_LETTERS[(bits >> 5 * at) & 31] for at in range(25, -1, -1))


def is_person(actor: str) -> bool:
    """Whether it is people who act, not a program in their name."""
    return actor.startswith("user:")


def is_time(text: object) -> bool:
    """Whether `text` is a moment in UTC with microseconds, like 2026-11-21T04:05:06.000000Z.

    Such texts sort as the moments do. Leap seconds are not written.
    """
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return False
    year, month, day, hour, minute, second = map(int, match.groups())
    if not 1 <= month <= 12:
        return False
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = _MONTH_DAYS[month - 1] + (is_leap and month == 2)
    return 1 <= day <= days and hour <= 23 and minute <= 59 and second <= 59


def is_count(value: object) -> bool:
    """Whether `value` is a whole number and not negative. Truth values are no numbers."""
    return type(value) is int and value >= 0


def read_base64(text: object) -> bytes | None:
    """The bytes of a standard base64 text in its one canonical spelling."""
    if not isinstance(text, str):
        return None
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError):
        return None
    # The decoder overlooks bits beyond the last byte.
    return data if show_base64(data) == text else None


def show_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def read_hash(text: object) -> bytes | None:
    """The 32 bytes of a base64 hash, as checkpoints and proofs have them."""
    data = read_base64(text)
    return data if data is not None and len(data) == 32 else None


def read_decimal(text: str) -> int | None:
    """A decimal number of 64 bits without sign or leading zeros."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,19}", text):
        return None
    number = int(text)
    return number if number <= U64_MAX else None
