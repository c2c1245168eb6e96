"""Ed25519 (RFC 8032) by strict rules, so that every verifier gives the same answer.

The library underneath checks the equation without cofactor and compares the encoding of R,
which leaves no other spelling of R. What it does not do is added here: a key must be a point
in its one canonical encoding, and neither key nor R may be of small order, as such a key
"signs" anything.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_Y_OF_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
# A point of small order has one of these five y; -1, 0 and 1 are those of order 2, 4 and 1.
SMALL_ORDER_Y = frozenset([0, 1, _P - 1, _Y_OF_ORDER_8, _P - _Y_OF_ORDER_8])


@lru_cache(maxsize=1024)
def is_safe_key(public: bytes) -> bool:
    """Whether these are the canonical 32 bytes of a point that is not of small order."""
    if len(public) != 32:
        return False
    y = _y(public)
    if y >= _P or y in SMALL_ORDER_Y:
        # The two points with x = 0 are of small order, so no sign of 0 is left to check.
        return False
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    return pow(square, (_P - 1) // 2, _P) == 1


def verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `public` over `message`."""
    if len(signature) != 64 or not is_safe_key(public):
        return False
    if _y(signature[:32]) in SMALL_ORDER_Y:
        return False
    if int.from_bytes(signature[32:], "little") >= _ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _y(encoded: bytes) -> int:
    return int.from_bytes(encoded, "little") & (2**255 - 1)
