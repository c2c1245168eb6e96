"""The lines of a bundle, each in its one spelling."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..canonical import read_map, write
from ..checkpoint import Checkpoint
from ..entry import Entry
from ..errors import BadInput, Refused
from ..kinds import KINDS
from ..merkle import Tree, edge_before, is_included
from ..note import VerifierKey
from ..values import (
    digest_in_context,
    is_count,
    is_id,
    read_base64,
    read_digest,
    show_digest,
)

FORMAT = "cognitionos-bundle/v1"
"""The format that a manifest names."""
LINE_BYTES_MAX = 64 * 1024 * 1024
"""The most bytes of a line, with its newline."""

_CANON_CONTEXT = "cognitionos/canon/v1"
_BODY_CONTEXT = "cognitionos/body/v1"


@dataclass(frozen=True)
class Manifest:
    """The first line of a bundle: only what to expect."""

    tenant: str
    origin: str
    first: int
    """The first entry that is here (`from`); those before were pruned."""
    size: int
    """The number of entries that the log ever had."""
    root: bytes
    entries: int
    bodies: int
    canons: int
    left_out: frozenset[str] = frozenset()
    """What the log has and whoever made the bundle left out: `bodies`, `canons`."""

    @classmethod
    def parse(cls, line: bytes) -> Manifest:
        """Read it; `BadInput` when the file does not begin as a bundle."""
        try:
            members = read_map(line)
        except Refused:
            members = {}
        root = read_digest(members.get("root"))
        shapes = {
            "bundle": members.get("bundle") == FORMAT,
            "tenant": is_id("ten", members.get("tenant")),
            "origin": isinstance(members.get("origin"), str),
            "from": is_count(members.get("from")),
            "size": is_count(members.get("size")),
            "root": root is not None,
            "entries": is_count(members.get("entries")),
            "bodies": is_count(members.get("bodies")),
            "canons": is_count(members.get("canons")),
        }
        if _is_later(members.get("bundle")):
            raise BadInput(
                f"this bundle is of the format {members['bundle']}, and this verifier reads "
                f"{FORMAT}: it is too old for it; take that of the release that made the bundle"
            )
        # Absent is one spelling of nothing, and null is none.
        has_left_out = "left_out" in members
        left_out = members.pop("left_out", None)
        is_right = members.keys() == shapes.keys() and all(shapes.values())
        is_right &= not has_left_out or _is_left_out(left_out)
        if not is_right or root is None or not _adds_up(members):
            raise BadInput(f"this is not a bundle: its first line is no manifest of {FORMAT}")
        return cls(
            members["tenant"],
            members["origin"],
            members["from"],
            members["size"],
            root,
            members["entries"],
            members["bodies"],
            members["canons"],
            frozenset(left_out or ()),
        )


def _is_later(name: object) -> bool:
    number = name.removeprefix(FORMAT[:-1]) if isinstance(name, str) else ""
    return bool(re.fullmatch("0*(?:[2-9]|[1-9][0-9]{1,8})", number))


def _is_left_out(words: object) -> bool:
    return words in (["bodies"], ["canons"], ["bodies", "canons"])


def _adds_up(members: dict[str, Any]) -> bool:
    first, size = members["from"], members["size"]
    return first < size and bool(members["entries"] == size - first)


@dataclass(frozen=True)
class CanonFiles:
    """A version of canon: the text of each file by its path."""

    digest: bytes
    files: dict[str, str]

    def computed(self) -> bytes:
        """The version that the files have."""
        digests = {
            path: show_digest(hashlib.sha256(text.encode()).digest())
            for path, text in self.files.items()
        }
        return digest_in_context(_CANON_CONTEXT, write(digests))


@dataclass(frozen=True)
class Subtrees:
    """The right edge of the tree over the pruned entries, the largest subtree first."""

    roots: tuple[bytes, ...]


@dataclass(frozen=True)
class Earlier:
    """An entry of the pruned part that put a key in force, and its proof."""

    entry: Entry
    path: tuple[bytes, ...]
    """From the leaf to the root over the pruned part."""
    head: Checkpoint | None
    """Of a hand-over the head just after it."""

    def root_after(self, first: int, root: bytes) -> bytes | None:
        """The root just after the entry, if it is in the tree of `first` entries with `root`."""
        leaf, seq = self.entry.leaf, self.entry.seq
        if not is_included(leaf, seq, first, root, self.path):
            return None
        tree = Tree(seq, edge_before(seq, first, self.path))
        tree.add(leaf)
        return tree.root()


@dataclass(frozen=True)
class Body:
    """What an entry commits to, with the salt of the commitment."""

    seq: int
    salt: bytes
    data: bytes

    def commitment(self) -> str:
        """What the entry must hold."""
        return show_digest(digest_in_context(_BODY_CONTEXT, self.salt, self.data))


@dataclass(frozen=True)
class End:
    """The last line: the digest and the number of the lines before it."""

    digest: bytes
    lines: int


Line = VerifierKey | CanonFiles | Subtrees | Earlier | Entry | Body | Checkpoint | End


class LineReader:
    """The lines of a file, counted and hashed as they come."""

    def __init__(self, file: BinaryIO) -> None:
        self.count = 0
        self._file = file
        self._hash = hashlib.sha256()
        self._last = b""

    def __iter__(self) -> Iterator[bytes]:
        """Each line without its newline; `Refused` for one that is cut or too long."""
        while True:
            self._hash.update(self._last)
            self._last = self._file.readline(LINE_BYTES_MAX)
            if not self._last:
                return
            self.count += 1
            if not self._last.endswith(b"\n"):
                raise Refused("it does not end in a newline, or is too long")
            yield self._last[:-1]

    def digest_before(self) -> bytes:
        """The digest of all lines before the last one read."""
        return self._hash.digest()


def parse(line: bytes) -> Line:
    """Read a line after the manifest; `Refused` says what is wrong with it."""
    if line.startswith(b'{"entry":') and line.endswith(b"}"):
        entry = line[len(b'{"entry":') : -1]
        try:
            return Entry.parse(entry)
        except Refused as refused:
            raise _newer(entry) or refused from None
    members = read_map(line)
    if len(members) != 1:
        raise Refused("it is not one member")
    [(name, value)] = members.items()
    if name == "key":
        return VerifierKey.parse(value)
    if name == "checkpoint" and isinstance(value, str):
        return Checkpoint.parse(value)
    line_of = {
        "canon": _canon,
        "subtrees": _subtrees,
        "earlier": _earlier,
        "body": _body,
        "end": _end,
    }
    read = line_of.get(name)
    parsed = read(value) if read else None
    if parsed is None:
        raise Refused(f"no bundle has a line `{name[:40]}` like this")
    return parsed


class Newer(Refused):
    """Refused because it is of a later release, as far as can be told."""


def _newer(entry: bytes) -> Newer | None:
    """What an entry is that a later release may have made; nothing of any other."""
    try:
        members = read_map(entry)
    except Refused:
        return None
    version, kind, engine = members.get("v"), members.get("kind"), members.get("engine")
    if type(version) is not int or version < 0 or not isinstance(kind, str):
        return None
    if version > 1:
        what = f"it is an entry of version {version}"
    elif re.fullmatch("[a-z._]+", kind) and kind not in KINDS:
        what = f"it is an entry of kind `{kind}`"
    else:
        return None
    release = engine if isinstance(engine, str) else ""
    return Newer(f"{what}, which this verifier does not know, and of the release `{release}`")


def _has_exactly(value: Any, *names: str) -> bool:
    return isinstance(value, dict) and sorted(value) == sorted(names)


def _canon(value: Any) -> CanonFiles | None:
    if not _has_exactly(value, "digest", "files") or not isinstance(value["files"], dict):
        return None
    digest, files = read_digest(value["digest"]), value["files"]
    if digest is None or not all(isinstance(text, str) for text in files.values()):
        return None
    return CanonFiles(digest, files)


def _subtrees(value: Any) -> Subtrees | None:
    roots = [read_digest(root) for root in value] if isinstance(value, list) else [None]
    known = tuple(root for root in roots if root is not None)
    return Subtrees(known) if len(known) == len(roots) else None


def _earlier(value: Any) -> Earlier | None:
    names = ["entry", "path"]
    if isinstance(value, dict) and "head" in value:
        names.append("head")
    if not _has_exactly(value, *names) or not isinstance(value["path"], list):
        return None
    path = [read_digest(hash_) for hash_ in value["path"]]
    known = tuple(hash_ for hash_ in path if hash_ is not None)
    # A line is canonical, and so is each part of it.
    entry = Entry.parse(write(value["entry"]))
    is_hand_over = entry.kind == "key.rotated"
    is_known = is_hand_over or (entry.kind == "genesis" and entry.seq == 0)
    if not is_known or is_hand_over != ("head" in value) or len(known) != len(path):
        return None
    if is_hand_over and not isinstance(value["head"], str):
        return None
    return Earlier(entry, known, Checkpoint.parse(value["head"]) if is_hand_over else None)


def _body(value: Any) -> Body | None:
    if not _has_exactly(value, "bytes", "salt", "seq") or not is_count(value["seq"]):
        return None
    salt, data = read_base64(value["salt"]), read_base64(value["bytes"])
    if salt is None or data is None or len(salt) != 32:
        return None
    return Body(value["seq"], salt, data)


def _end(value: Any) -> End | None:
    if not _has_exactly(value, "digest", "lines") or not is_count(value["lines"]):
        return None
    digest = read_digest(value["digest"])
    return None if digest is None else End(digest, value["lines"])
