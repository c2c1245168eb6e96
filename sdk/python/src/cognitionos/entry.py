"""A record in a log: canonical JSON of which every byte is covered by its leaf hash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import kinds
from .canonical import read_map
from .errors import Refused
from .merkle import leaf_hash
from .values import is_count, is_digest, is_id, is_time

BYTES_MAX = 65_535
"""The most bytes of an entry (the limit of C2SP `tlog-tiles`)."""
NAME_BYTES_MAX = 256
"""The most bytes of an actor, domain, environment or engine name."""


@dataclass(frozen=True)
class Entry:
    """A record in its place in a log. It is what its bytes say."""

    data_bytes: bytes
    leaf: bytes
    """The RFC 9162 leaf hash of the bytes."""
    tenant: str
    seq: int
    """Its place in the log, from 0 without gaps: the leaf index."""
    at: str
    kind: str
    actor: str
    domain: str
    environment: str
    engine: str
    data: Mapping[str, Any]
    prev: str | None
    """The digest of the entry before; nothing in the first."""
    session: str | None
    canon: str | None
    commit: str | None
    """The commitment to its body."""

    @classmethod
    def parse(cls, data: bytes) -> Entry:
        """Read an entry; `Refused` unless the bytes are exactly what a writer makes."""
        if len(data) > BYTES_MAX:
            raise Refused(f"the entry has {len(data)} bytes; at most {BYTES_MAX} are allowed")
        members = read_map(data)
        _check_members(members)
        kinds.check(members["kind"], members["data"], "session" in members)
        body = members.get("body")
        return cls(
            data_bytes=data,
            leaf=leaf_hash(data),
            tenant=members["tenant"],
            seq=members["seq"],
            at=members["at"],
            kind=members["kind"],
            actor=members["actor"],
            domain=members["domain"],
            environment=members["environment"],
            engine=members["engine"],
            data=members["data"],
            prev=members.get("prev"),
            session=members.get("session"),
            canon=members.get("canon"),
            commit=body["commit"] if body else None,
        )


def _check_members(members: dict[str, Any]) -> None:
    for name in members:
        if name not in _MEMBERS:
            raise Refused(f"no entry has a member `{name}`")
    for name, (is_required, expected, fits) in _MEMBERS.items():
        if name not in members:
            if is_required:
                raise Refused(f"the member `{name}` must be {expected}")
        elif not fits(members[name]):
            raise Refused(f"the member `{name}` must be {expected}")
    if ("prev" in members) != (members["seq"] > 0):
        raise Refused("the member `prev` must be there except in the first entry of a log")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value.encode()) <= NAME_BYTES_MAX


def _is_actor(value: Any) -> bool:
    if not _is_name(value):
        return False
    sort, _, name = value.partition(":")
    return sort in ("user", "agent", "service") and name != ""


def _is_body(value: Any) -> bool:
    return isinstance(value, dict) and list(value) == ["commit"] and is_digest(value["commit"])


_NAME = (True, f"text of 1 to {NAME_BYTES_MAX} bytes", _is_name)
_MEMBERS: Mapping[str, tuple[bool, str, Callable[[Any], bool]]] = {
    "v": (True, "1", lambda value: type(value) is int and value == 1),
    "tenant": (True, "a tenant id (ten_...)", lambda value: is_id("ten", value)),
    "seq": (True, "a whole number, not negative", is_count),
    "at": (True, "a time like 2026-11-21T04:05:06.000000Z", is_time),
    "kind": (True, "text", lambda value: isinstance(value, str)),
    "actor": (True, "`user:`, `agent:` or `service:` and a name", _is_actor),
    "domain": _NAME,
    "environment": _NAME,
    "engine": _NAME,
    "data": (True, "an object", lambda value: isinstance(value, dict)),
    "prev": (False, "a digest", is_digest),
    "session": (False, "a run id (run_...)", lambda value: is_id("run", value)),
    "canon": (False, "a digest", is_digest),
    "body": (False, "{commit: digest}", _is_body),
}
