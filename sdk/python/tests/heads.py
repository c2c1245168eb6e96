"""Signed notes and key lines, right and wrong, with what a verifier must say of them."""

from __future__ import annotations

from house import House
from primitives import Key, b64, root, sha256

P = 2**255 - 19
ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
UNSAFE_KEYS = {
    "order 4": bytes(32),
    "order 4, other sign": bytes(31) + b"\x80",
    "order 1": (1).to_bytes(32, "little"),
    "order 1, sign of zero": (1 | 1 << 255).to_bytes(32, "little"),
    "order 2": (P - 1).to_bytes(32, "little"),
    "order 8": ORDER_8,
    "order 8, other sign": ORDER_8[:31] + b"\x85",
    "order 8, negative": (P - int.from_bytes(ORDER_8, "little")).to_bytes(32, "little"),
    "0 as p": P.to_bytes(32, "little"),
    "1 as p + 1": (P + 1).to_bytes(32, "little"),
    "3 as p + 3": (P + 3).to_bytes(32, "little"),
    "no point": (2).to_bytes(32, "little"),
    "beyond all": b"\xff" * 32,
    "31 bytes": bytes([3] + [0] * 30),
}


def key_line(name: str, public: bytes, kind: bytes = b"\x01") -> str:
    """A key line with the id that belongs to it."""
    key = kind + public
    key_id = sha256(name.encode(), b"\n", key)[:4].hex()
    return f"{name}+{key_id}+{b64(key)}"


def key_lines(key: Key) -> dict[str, tuple[str, bool]]:
    """Key lines, and whether each is one."""
    public = key.public
    table = {
        "plain": (key.line, True),
        "another script": (key_line("größe.example/\u65e5\u672c", public), True),
        "upper-case id": (key.line.replace(key.id.hex(), key.id.hex().upper()), False),
        "another id": (key.line.replace(key.id.hex(), "00000000"), False),
        "another type": (key_line(key.name, public, b"\x02"), False),
        "no type": (key_line(key.name, public, b""), False),
        "33 bytes": (key_line(key.name, public + b"\x00"), False),
        "a space in the name": (key_line("a b", public), False),
        "a no-break space in the name": (key_line("a\u00a0b", public), False),
        "a control character in the name": (key_line("a\x7fb", public), False),
        "no name": (key_line("", public), False),
        "two parts": (key.line.rpartition("+")[0], False),
        "base64 of another alphabet": (key.line.rpartition("+")[0] + "+" + "_" * 44, False),
        "nothing": ("", False),
    }
    unsafe = {name: (key_line(key.name, bad), False) for name, bad in UNSAFE_KEYS.items()}
    return {**table, **unsafe}


def notes(house: House) -> dict[str, tuple[str, bool]]:
    """Heads of a house's log, and whether each is acceptable under its key."""
    key, stranger = house.keys[0], Key("other.example/log", bytes(32))
    size = len(house.entries)
    text = f"{house.origin}\n{size}\n{b64(root(house.leaves))}\n"

    def note(text: str, *signatures: str) -> str:
        return text + "\n" + "".join(signatures or (key.signature(text),))

    def line(name: str, data: bytes) -> str:
        return f"\u2014 {name} {b64(data)}\n"

    right, other = key.signature(text), stranger.signature(text)
    namesake = Key(house.origin, b"\x07" * 32).signature(text)
    sized = text.replace
    return {
        "plain": (note(text), True),
        "a stranger signs too": (note(text, other, right), True),
        "a namesake signs too": (note(text, namesake, right), True),
        "signed twice": (note(text, right, right), False),
        "a short signature of a stranger": (note(text, right, line("nobody", b"12345")), True),
        "an extension": (note(text + "extension\n"), True),
        "63 strangers": (note(text, *[other] * 63, right), True),
        "nobody signs": (text + "\n", False),
        "only strangers sign": (note(text, other), False),
        "only a namesake signs": (note(text, namesake), False),
        "and a wrong one": (note(text, right, line(key.name, key.id + bytes(64))), False),
        "and a short one": (note(text, right, line(key.name, key.id + b"x")), False),
        "an id and no signature": (note(text, right, line("nobody", b"1234")), False),
        "64 strangers": (note(text, *[other] * 64, right), False),
        "an empty line in the middle": (note(text + "\nx\n"), False),
        "an empty line at the end": (note(text + "\n"), False),
        "no newline at the end": (note(text)[:-1], False),
        "two newlines at the end": (note(text) + "\n", False),
        "a carriage return": (note(sized("\n", "\r\n", 1)), False),
        "a tab": (note(text + "a\tb\n"), False),
        "white space in a name": (note(text, right, line("no\u00a0body", bytes(9))), False),
        "a plus in a name": (note(text, right, line("no+body", bytes(9))), False),
        "two spaces": (note(text, right.replace(" ", "  ", 1)), False),
        "a space at the end": (note(text, right[:-1] + " \n"), False),
        "bits after the base64": (note(text, right, "\u2014 nobody AAAAAAAAAB==\n"), False),
        "a minus for a dash": (note(text, right.replace("\u2014", "-")), False),
        "a size with a plus": (note(sized(f"\n{size}\n", f"\n+{size}\n")), False),
        "a size with a zero": (note(sized(f"\n{size}\n", f"\n0{size}\n")), False),
        "a size in other digits": (note(sized(f"\n{size}\n", "\n\u0661\n")), False),
        "a size beyond 64 bits": (note(sized(f"\n{size}\n", f"\n{2**64}\n")), False),
        "a root without padding": (note(sized("=\n", "\n")), False),
        "a root of 31 bytes": (note(f"{house.origin}\n{size}\n{b64(bytes(31))}\n"), False),
        "another origin": (note(sized("cognitionos", "elsewhere")), False),
        "two lines": (note(f"{house.origin}\n{size}\n"), False),
        "too long": (note(text + "x" * 1_000_000 + "\n"), False),
        "nothing": ("", False),
    }
