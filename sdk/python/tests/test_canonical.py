"""Canonical JSON: one spelling is read, and every other is refused."""

from __future__ import annotations

import json
import random
import struct
import unittest
from typing import Any

from primitives import canonical as written_again

from cognitionos import canonical
from cognitionos.errors import Refused

OTHER_SPELLINGS = [
    b"",
    b" 1",
    b"1 ",
    b"[1, 2]",
    b'{"b":1,"a":2}',
    b'{"a":1,"a":1}',
    b'{"a":{"b":1,"b":2}}',
    b"1.0",
    b"1.5",
    b"1e0",
    b"1E5",
    b"-0",
    b"01",
    b"+1",
    b"9007199254740992",
    b"-9007199254740992",
    b"9" * 5000,
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b'"\\/"',
    b'"\\u0041"',
    b'"\\u001F"',
    b'"\\u000a"',
    b'"\\ud83d\\ude00"',
    b'"\\ud83d"',
    b'"\\udc00"',
    b'{"\\ud83d":1}',
    b'"\xed\xa0\xbd"',
    b'"\xc0\x80"',
    b'"\xff"',
    b'"\n"',
    b'"\\x"',
    b'"open',
    b"[1,]",
    b"{1:2}",
    b"tru",
    b"\xef\xbb\xbf1",
    b"1\n",
    b"[" * 100_000,
    b"[" * 66 + b"]" * 66,
    '{"\ue000":1,"\U00010000":2}'.encode(),
]


class Reader(unittest.TestCase):
    """What `read` accepts."""

    def test_every_other_spelling_is_refused(self) -> None:
        for data in OTHER_SPELLINGS:
            with self.subTest(data[:40]), self.assertRaises(Refused):
                canonical.read(data)

    def test_the_deepest_nesting(self) -> None:
        for depth, is_read in ((canonical.DEPTH_MAX, True), (canonical.DEPTH_MAX + 1, False)):
            data = b"[" * depth + b"1" + b"]" * depth
            if is_read:
                self.assertEqual(canonical.write(canonical.read(data)), data)
            else:
                self.assertRaises(Refused, canonical.read, data)
                self.assertRaises(Refused, canonical.read_loose, data.decode())

    def test_keys_are_in_the_order_of_utf16(self) -> None:
        data = '{"":0,"A":1,"a":2,"é":3,"\U00010000":4,"\ue000":5,"\uffee":6}'.encode()
        self.assertEqual(canonical.write(canonical.read(data)), data)
        self.assertEqual(canonical.write(dict(reversed(canonical.read(data).items()))), data)

    def test_the_largest_integers(self) -> None:
        for number in (canonical.INTEGER_MAX, -canonical.INTEGER_MAX):
            self.assertEqual(canonical.read(str(number).encode()), number)
            further = number + (1 if number > 0 else -1)
            self.assertRaises(Refused, canonical.write, further)

    def test_what_is_written_is_read_back(self) -> None:
        chance = random.Random(1)
        for _ in range(2_000):
            value = _value(chance, 4)
            data = canonical.write(value)
            self.assertEqual(data, written_again(value))
            self.assertEqual(canonical.read(data), value)
            changed = bytearray(data)
            changed[chance.randrange(len(data))] = chance.randrange(256)
            self._one_spelling(bytes(changed))

    def _one_spelling(self, data: bytes) -> None:
        try:
            value = canonical.read(data)
        except Refused:
            return
        self.assertEqual(canonical.write(value), data)


class LooseReader(unittest.TestCase):
    """What `read_loose` accepts, and how numbers are written."""

    def test_ambiguous_texts_are_refused(self) -> None:
        texts = ['{"a":1,"a":1}', '"\\ud800"', '{"\\ud800":1}', "NaN", "1e999", "-Infinity", ""]
        for text in texts:
            with self.subTest(text), self.assertRaises(Refused):
                canonical.read_loose(text)

    def test_numbers_are_written_as_ecmascript_does(self) -> None:
        # RFC 8785 appendix B.
        table = {
            "0000000000000000": "0",
            "8000000000000000": "0",
            "0000000000000001": "5e-324",
            "8000000000000001": "-5e-324",
            "7fefffffffffffff": "1.7976931348623157e+308",
            "ffefffffffffffff": "-1.7976931348623157e+308",
            "4340000000000000": "9007199254740992",
            "c340000000000000": "-9007199254740992",
            "4430000000000000": "295147905179352830000",
            "44b52d02c7e14af5": "9.999999999999997e+22",
            "44b52d02c7e14af6": "1e+23",
            "44b52d02c7e14af7": "1.0000000000000001e+23",
            "444b1ae4d6e2ef4e": "999999999999999700000",
            "444b1ae4d6e2ef4f": "999999999999999900000",
            "444b1ae4d6e2ef50": "1e+21",
            "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
            "3eb0c6f7a0b5ed8d": "0.000001",
            "41b3de4355555553": "333333333.3333332",
            "41b3de4355555557": "333333333.33333343",
            "becbf647612f3696": "-0.0000033333333333333333",
            "43143ff3c1cb0959": "1424953923781206.2",
        }
        for bits, text in table.items():
            [number] = struct.unpack(">d", bytes.fromhex(bits))
            self.assertEqual(canonical.number_text(number), text)
        for number in (float("nan"), float("inf")):
            self.assertRaises(Refused, canonical.number_text, number)

    def test_whole_numbers_come_as_integers(self) -> None:
        self.assertEqual(
            json.dumps(canonical.read_loose("[1.0, 1e3, -0, 0.5]")), "[1, 1000, 0, 0.5]"
        )


def _value(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(8 if depth else 5)
    if kind == 0:
        return chance.choice((None, True, False))
    if kind == 1:
        return chance.randint(-canonical.INTEGER_MAX, canonical.INTEGER_MAX)
    if kind < 5:
        return _text(chance)
    if kind < 6:
        return [_value(chance, depth - 1) for _ in range(chance.randrange(5))]
    return {_text(chance): _value(chance, depth - 1) for _ in range(chance.randrange(5))}


def _text(chance: random.Random) -> str:
    letters = 'abc"\\/\x00\x07\b\t\n\f\r\x1f\x7f\u00e9\u2028\ud7ff\ue000\uffee\U00010000\U0010ffff'
    return "".join(chance.choice(letters) for _ in range(chance.randrange(5)))


if __name__ == "__main__":
    unittest.main()
