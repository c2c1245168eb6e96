"""Schedules: what came due was set before, and each of its times counts once."""

from __future__ import annotations

from ..entry import Entry
from ..findings import Findings


class Schedules:
    """What the entries of a log say of schedules, and of the runs that these start."""

    def __init__(self, is_pruned: bool, findings: Findings) -> None:
        self.not_followed = 0
        self._is_pruned = is_pruned
        self._findings = findings
        self._set: set[str] = set()
        self._last: dict[str, str] = {}
        self._begins: Entry | None = None
        """The entry before, if it started a run."""

    def entry(self, entry: Entry) -> None:
        """Check the next entry."""
        self._begun(entry)
        if not entry.kind.startswith("schedule."):
            return
        schedule = entry.data["schedule"]
        if entry.kind == "schedule.set":
            if entry.data["when"]["id"] != schedule:
                message = f"it sets `{schedule}`, and the times of another schedule"
                self._findings.add(entry.seq, "schedule.differs", message)
            self._set.add(schedule)
            return
        self._is_set(entry)
        if entry.kind == "schedule.removed":
            self._set.discard(schedule)
            return
        # Times have one width, so they sort as text.
        at = entry.data["at"]
        if schedule in self._last and self._last[schedule] >= at:
            message = f"{at} of the schedule `{schedule}` was decided before"
            self._findings.add(entry.seq, "schedule.fired_twice", message)
        self._last[schedule] = at
        self._begins = entry if "run" in entry.data else None

    def finish(self) -> None:
        """Nothing follows."""
        self._begun(None)

    def _begun(self, entry: Entry | None) -> None:
        fired, self._begins = self._begins, None
        if fired is None:
            return
        run = fired.data["run"]
        begins = entry is not None and entry.kind == "session.started" and entry.session == run
        # One that has to wait for its turn begins later.
        waits = entry is not None and entry.kind == "session.queued" and entry.data["id"] == run
        if not begins and not waits:
            message = f"{run}, which it started, does not begin behind it"
            self._findings.add(fired.seq, "schedule.not_begun", message)

    def _is_set(self, entry: Entry) -> None:
        schedule = entry.data["schedule"]
        if schedule in self._set:
            return
        if self._is_pruned:
            self.not_followed += 1
        else:
            message = f"the schedule `{schedule}` was not set"
            self._findings.add(entry.seq, "schedule.not_set", message)
