"""Canonical JSON (RFC 8785), and readers that refuse whatever two readers could see twice.

`read` accepts only the one canonical spelling of a value without floats: what is hashed.
`read_loose` accepts any JSON (RFC 8259) that is unambiguous: no duplicate keys, no lone
surrogates. `write` gives the canonical bytes of either.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from .errors import Refused

INTEGER_MAX = 2**53 - 1
"""The largest magnitude of an integer that every JSON reader keeps exactly."""
DEPTH_MAX = 64
"""The deepest nesting that is read; the outermost value is at depth 0."""


def read(data: bytes) -> Any:
    """The value whose canonical bytes are exactly `data`; `Refused` if there is none.

    No floats, no integers beyond 2^53 - 1.
    """
    try:
        value = _STRICT.decode(data.decode("utf-8"))
        written = _PLAIN.encode(value).encode("utf-8")
    except UnicodeError:
        raise Refused("not canonical JSON: not UTF-8, or a lone surrogate") from None
    except RecursionError:
        raise Refused("not canonical JSON: nested too deeply") from None
    except Refused:
        raise
    except ValueError as error:
        raise Refused(f"not canonical JSON: {error}") from None
    # The reader has seen to the order of the keys, so writing as read must give the same.
    if written != data:
        raise Refused("not canonical JSON: another spelling of the same value")
    if data.count(b"{") + data.count(b"[") > DEPTH_MAX:
        _check_depth(value, 0)
    return value


def read_map(data: bytes) -> dict[str, Any]:
    """The object whose canonical bytes are exactly `data`; `Refused` if there is none."""
    value = read(data)
    if type(value) is not dict:
        raise Refused("not canonical JSON: not an object")
    return value


def read_loose(text: str) -> Any:
    """Any JSON, floats included. Numbers that are whole within 53 bits come as `int`."""
    try:
        value = _LOOSE.decode(text)
    except RecursionError:
        raise Refused("not JSON: nested too deeply") from None
    except Refused:
        raise
    except ValueError as error:
        raise Refused(f"not JSON: {error}") from None
    _check_depth(value, 0)
    return value


def write(value: Any) -> bytes:
    """The canonical bytes. Floats are written as ECMAScript writes them."""
    parts: list[str] = []
    _write(value, parts, 0)
    try:
        return "".join(parts).encode("utf-8")
    except UnicodeEncodeError:
        raise Refused("a lone surrogate has no canonical form") from None


def utf16_order(key: str) -> bytes:
    """What to sort keys by: UTF-16 code units, as RFC 8785 section 3.2.3 says."""
    return key.encode("utf-16-be", "surrogatepass")


def _write(value: Any, parts: list[str], depth: int) -> None:
    if depth > DEPTH_MAX:
        raise Refused("nested too deeply")
    if value is None or value is True or value is False:
        parts.append("null" if value is None else "true" if value else "false")
    elif isinstance(value, str):
        parts.append(_PLAIN.encode(value))
    elif isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise Refused(f"the integer {value} is beyond 2^53 - 1")
        parts.append(str(value))
    elif isinstance(value, float):
        parts.append(number_text(value))
    elif isinstance(value, dict):
        opening = "{"
        for key in sorted(value, key=utf16_order):
            parts.append(f"{opening}{_PLAIN.encode(key)}:")
            _write(value[key], parts, depth + 1)
            opening = ","
        parts.append("}" if value else "{}")
    elif isinstance(value, (list, tuple)):
        opening = "["
        for item in value:
            parts.append(opening)
            _write(item, parts, depth + 1)
            opening = ","
        parts.append("]" if value else "[]")
    else:
        raise TypeError(f"{type(value).__name__} has no JSON form")


def number_text(number: float) -> str:
    """The shortest text that reads back as the same double, as ECMA-262 writes it."""
    if not math.isfinite(number):
        raise Refused("a number that is not finite has no JSON form")
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, power = f"{abs(number)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.DIGITS * 10^point.
    point = len(whole) + int(power or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if 0 < point <= 21:
        if len(digits) <= point:
            return sign + digits + "0" * (point - len(digits))
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"


def _check_depth(value: Any, depth: int) -> None:
    """Refuse what is nested too deeply, and what no UTF-8 text can hold."""
    if depth > DEPTH_MAX:
        raise Refused("not canonical JSON: nested too deeply")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, member in value.items():
            _check_text(key)
            _check_depth(member, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_depth(item, depth + 1)


def _check_text(text: str) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Refused("not JSON: a lone surrogate")


def _ordered(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    keys = list(members)
    if len(keys) != len(pairs):
        raise Refused("not canonical JSON: a key twice in one object")
    # Code points and UTF-16 units give ASCII the same order.
    is_plain = all(map(str.isascii, keys))
    if keys != (sorted(keys) if is_plain else sorted(keys, key=utf16_order)):
        raise Refused("not canonical JSON: keys out of order")
    return members


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Refused("not JSON: a key twice in one object")
    return members


def _integer(digits: str) -> int:
    number = int(digits) if len(digits) <= 17 else INTEGER_MAX + 1
    if abs(number) > INTEGER_MAX:
        raise Refused(f"not canonical JSON: the integer {digits[:40]} is beyond 2^53 - 1")
    return number


def _no_float(digits: str) -> NoReturn:
    raise Refused(f"not canonical JSON: the float {digits[:40]}; only integers are hashed")


def _no_constant(word: str) -> NoReturn:
    raise Refused(f"not JSON: {word}")


def _loose_number(digits: str) -> int | float:
    number = float(digits)
    if not math.isfinite(number):
        raise Refused(f"not JSON: {digits[:40]} is beyond the range of doubles")
    return int(number) if number.is_integer() and abs(number) <= INTEGER_MAX else number


_STRICT = json.JSONDecoder(
    object_pairs_hook=_ordered,
    parse_int=_integer,
    parse_float=_no_float,
    parse_constant=_no_constant,
)
_LOOSE = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_int=_loose_number,
    parse_float=_loose_number,
    parse_constant=_no_constant,
)
# Escapes exactly what RFC 8785 section 3.2.2.2 escapes, in the same way.
_PLAIN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
