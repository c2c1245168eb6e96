"""Runs that were asked for: each begins once, as what was asked for, and within its limits.

Of a key that somebody asked under there is one run.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..entry import Entry
from ..findings import Findings
from ..values import id_of

_MS = timedelta(milliseconds=1)


@dataclass(frozen=True)
class _Asked:
    """What an entry asks for."""

    scope: tuple[Any, ...]
    not_before: str | None
    concurrency: dict[str, Any] | None
    rate: dict[str, Any] | None


class Queue:
    """What the entries of a log say of runs that were asked for."""

    def __init__(self, is_pruned: bool, findings: Findings) -> None:
        self.not_followed = 0
        self._is_pruned = is_pruned
        self._findings = findings
        self._waiting: dict[str, _Asked] = {}
        self._begun: set[str] = set()
        self._withdrawn: set[str] = set()
        self._named: dict[str, str] = {}
        """The run that was asked for under each key."""
        self._keys: dict[str, str] = {}
        """The keys of the open runs that are held to one."""
        self._open: dict[str, set[str]] = {}
        self._starts: dict[str, deque[datetime]] = {}

    def entry(self, entry: Entry) -> None:
        """Check the next entry."""
        if entry.kind in ("session.started", "session.queued") and "keyed" in entry.data:
            self._keyed(entry.session or entry.data["id"], entry)
        if entry.kind == "session.queued":
            self._asked(entry)
        elif entry.kind == "session.unqueued":
            self._left(entry)
        elif entry.kind == "session.started" and entry.session is not None:
            self._started(entry.session, entry)
        elif entry.kind == "session.sealed" and entry.session in self._keys:
            self._open[self._keys.pop(entry.session)].discard(entry.session)

    def _keyed(self, run: str, entry: Entry) -> None:
        key = entry.data["keyed"]["key"]
        if run != id_of("run", key):
            message = f"{run} is not the run of the key that it was asked for under"
            self._findings.add(entry.seq, "keyed.other_run", message)
        before = self._named.setdefault(key, run)
        if before != run:
            message = f"{run} was asked for under the key of {before}"
            self._findings.add(entry.seq, "keyed.twice", message)

    def _asked(self, entry: Entry) -> None:
        run = entry.data["id"]
        if run in self._begun or run in self._withdrawn or run in self._waiting:
            message = f"{run} was asked for before, or has begun"
            self._findings.add(entry.seq, "queue.twice", message)
            return
        data = entry.data
        self._waiting[run] = _Asked(
            _scope(entry, entry.actor),
            data.get("not_before"),
            data.get("concurrency"),
            data.get("rate"),
        )

    def _left(self, entry: Entry) -> None:
        run = entry.data["id"]
        if self._waiting.pop(run, None) is None:
            if self._is_pruned and run not in self._begun and run not in self._withdrawn:
                self.not_followed += 1
            else:
                message = f"{run} does not wait for its turn"
                self._findings.add(entry.seq, "queue.not_waiting", message)
        self._withdrawn.add(run)

    def _started(self, run: str, entry: Entry) -> None:
        self._begun.add(run)
        asked = self._waiting.pop(run, None)
        if asked is None:
            # One that was never asked for is held to nothing.
            if run in self._withdrawn:
                message = f"{run} begins, which was withdrawn"
                self._findings.add(entry.seq, "queue.withdrawn", message)
            return
        if asked.scope != _scope(entry, entry.data["initiator"]):
            message = f"{run} begins as another than what was asked for"
            self._findings.add(entry.seq, "queue.differs", message)
        # Times have one width, so they sort as text.
        if asked.not_before is not None and asked.not_before > entry.at:
            message = f"{run} begins before {asked.not_before}"
            self._findings.add(entry.seq, "queue.too_early", message)
        if asked.concurrency is not None:
            self._within_limit(run, asked.concurrency, entry)
        if asked.rate is not None:
            self._within_rate(run, asked.rate, entry)

    def _within_limit(self, run: str, limit: dict[str, Any], entry: Entry) -> None:
        others = self._open.setdefault(limit["key"], set())
        if len(others) >= limit["limit"]:
            message = f"{run} begins while {len(others)} of its key are open"
            self._findings.add(entry.seq, "queue.over_limit", message)
        others.add(run)
        self._keys[run] = limit["key"]

    def _within_rate(self, run: str, rate: dict[str, Any], entry: Entry) -> None:
        now, per_ms = datetime.fromisoformat(entry.at), rate["per_seconds"] * 1_000
        starts = self._starts.setdefault(rate["key"], deque())
        recent = deque(at for at in starts if (now - at) // _MS < per_ms)
        if len(recent) >= rate["count"]:
            message = f"{run} begins when {len(recent)} of its key began just before"
            self._findings.add(entry.seq, "queue.over_rate", message)
        recent.append(now)
        self._starts[rate["key"]] = recent


def _scope(entry: Entry, who: str) -> tuple[Any, ...]:
    """Definition and inputs, domain, environment, who asks, what it is found by, what started it, its key."""
    data = entry.data
    named = (data["definition"], data["inputs"], entry.domain, entry.environment, who)
    return (*named, data.get("labels"), data.get("trigger"), data.get("keyed"))
