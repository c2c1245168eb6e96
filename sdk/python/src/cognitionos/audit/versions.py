"""Versions of workflows: they are counted, and a run begins from the one that is active."""

from __future__ import annotations

from typing import Any

from ..entry import Entry
from ..findings import Findings

_Definition = tuple[str, Any]
"""A definition, with those that it runs."""


class Versions:
    """What the entries of a log say of versions, and of the runs that are started from them."""

    def __init__(self, is_pruned: bool, findings: Findings) -> None:
        self.not_followed = 0
        self._is_pruned = is_pruned
        self._findings = findings
        self._active: dict[tuple[str, str], tuple[int, _Definition]] = {}
        """By domain and workflow, the number of the active version and what it is."""
        self._queued: dict[str, _Definition | None] = {}
        """Of runs that wait for their turn, what was active when they were asked for."""
        self._fired: set[str] = set()
        """Runs that schedules started: they are what was set."""

    def entry(self, entry: Entry) -> None:
        """Check the next entry."""
        if entry.kind == "workflow.activated":
            self._activated(entry)
        elif entry.kind == "schedule.fired" and "run" in entry.data:
            self._fired.add(entry.data["run"])
        elif entry.kind == "session.queued":
            self._queued[entry.data["id"]] = self._active_for(entry)
        elif entry.kind == "session.unqueued":
            self._queued.pop(entry.data["id"], None)
            self._fired.discard(entry.data["id"])
        elif entry.kind == "session.started":
            self._started(entry)

    def _activated(self, entry: Entry) -> None:
        workflow, version = entry.data["workflow"], entry.data["version"]
        before = self._active.get((entry.domain, workflow))
        if before is None and self._is_pruned and version != 1:
            self.not_followed += 1
        elif version != (0 if before is None else before[0]) + 1:
            message = f"version {version} of `{workflow}` is not the next one"
            self._findings.add(entry.seq, "workflow.version", message)
        self._active[entry.domain, workflow] = (version, _definition(entry))

    def _started(self, entry: Entry) -> None:
        """A run of its own, which nobody set before, is of the version that was active."""
        run = entry.session or ""
        is_fired = run in self._fired
        self._fired.discard(run)
        # What counts is what was active when it was asked for.
        active = self._queued.pop(run) if run in self._queued else self._active_for(entry)
        others = ("fork", "parent", "continues", "trigger")
        if is_fired or any(name in entry.data for name in others):
            return
        if active is not None and active != _definition(entry):
            workflow = entry.data["workflow"]
            message = f"{run} begins from another definition than the active one of `{workflow}`"
            self._findings.add(entry.seq, "workflow.not_active", message)

    def _active_for(self, entry: Entry) -> _Definition | None:
        known = self._active.get((entry.domain, entry.data["workflow"]))
        return None if known is None else known[1]


def _definition(entry: Entry) -> _Definition:
    return entry.data["definition"], entry.data.get("children")
