"""Runs that continue others: each begins right behind the seal that names it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..entry import Entry
from ..findings import Findings

_Identity = tuple[str, str, str, str]
"""Definition, domain, environment and who begins."""


@dataclass(frozen=True)
class _Sealed:
    """A seal that says which run is next."""

    entry: Entry
    was: tuple[_Identity, int] | None
    """What the run was and how often its chain went on before it, if its beginning is here."""

    @property
    def next(self) -> dict[str, Any]:
        """The run, its inputs and their classes."""
        return self.entry.data["continued"]


def _identity(entry: Entry) -> _Identity:
    return entry.data["definition"], entry.domain, entry.environment, entry.data["initiator"]


class Chains:
    """What the entries of a log say of runs that continue others."""

    def __init__(self, is_pruned: bool, findings: Findings) -> None:
        self.not_followed = 0
        self._is_pruned = is_pruned
        self._findings = findings
        self._open: dict[str, tuple[_Identity, int]] = {}
        self._sealed: _Sealed | None = None
        """The entry before, if it says which run is next."""
        self._has_begun = False

    def entry(self, entry: Entry) -> None:
        """Check the next entry."""
        before, self._sealed = self._sealed, None
        if before is not None and not self._begins(before, entry):
            self._not_begun(before)
            before = None
        if entry.kind == "session.started":
            self._started(entry, before)
        elif entry.kind == "session.sealed":
            self._seal(entry)
        self._has_begun = True

    def finish(self) -> None:
        """Nothing follows."""
        if self._sealed is not None:
            self._not_begun(self._sealed)

    def _begins(self, before: _Sealed, entry: Entry) -> bool:
        return entry.kind == "session.started" and entry.session == before.next["session"]

    def _started(self, entry: Entry, before: _Sealed | None) -> None:
        add, seq, run = self._findings.add, entry.seq, entry.session or ""
        continues = entry.data.get("continues")
        count = None if continues is None else continues["count"]
        if continues is not None and before and before.entry.session == continues["session"]:
            own = {name: entry.data.get(name) for name in ("inputs", "classes")}
            handed = {name: before.next.get(name) for name in own}
            was = None if before.was is None else before.was[0]
            is_other = was is not None and was != _identity(entry)
            if own != handed or is_other or "parent" in entry.data or "fork" in entry.data:
                message = f"{run} is not what the run before it was, or has other inputs"
                add(seq, "chain.differs", message)
            if before.was is not None and count != before.was[1] + 1:
                add(seq, "chain.count", f"the chain of {run} went on another number of times")
        elif continues is not None and self._is_pruned and not self._has_begun:
            self.not_followed += 1
        elif continues is not None or before is not None:
            message = f"{run} does not continue the run that is sealed before it"
            add(seq, "chain.not_sealed", message)
        self._open[run] = (_identity(entry), count or 0)

    def _seal(self, entry: Entry) -> None:
        was = self._open.pop(entry.session or "", None)
        is_named = "continued" in entry.data
        if is_named != (entry.data["status"] == "continued"):
            message = "it is sealed as continued without a next run, or otherwise with one"
            self._findings.add(entry.seq, "chain.seal", message)
        if is_named:
            self._sealed = _Sealed(entry, was)

    def _not_begun(self, sealed: _Sealed) -> None:
        message = f"{sealed.next['session']}, which continues its run, does not begin behind it"
        self._findings.add(sealed.entry.seq, "chain.not_begun", message)
