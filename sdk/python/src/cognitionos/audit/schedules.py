"""Schedules: what came due was set before, and each of its times counts once."""

from __future__ import annotations

from ..entry import Entry
from ..findings import Findings
from ..values import id_of


class Schedules:
    """What the entries of a log say of schedules, and of the runs that these start."""

    def __init__(self, is_pruned: bool, findings: Findings) -> None:
        self.not_followed = 0
        self._is_pruned = is_pruned
        self._findings = findings
        self._set: set[str] = set()
        self._paused: set[str] = set()
        """Those that start nothing for now."""
        self._ever: set[str] = set()
        """Those that ever were: a run that one of them started may wait longer than that stands."""
        self._last: dict[str, str] = {}
        self._made: dict[str, set[str]] = {}
        """The times of each that a run was started for: somebody may ask for earlier ones, once."""
        self._begins: Entry | None = None
        """The entry before, if it started a run."""

    def entry(self, entry: Entry) -> None:
        """Check the next entry."""
        self._begun(entry)
        if entry.kind in ("session.started", "session.queued") and "trigger" in entry.data:
            self._triggered(entry)
        if not entry.kind.startswith("schedule."):
            return
        schedule = entry.data["schedule"]
        if entry.kind == "schedule.set":
            if entry.data["when"]["id"] != schedule:
                message = f"it sets `{schedule}`, and the times of another schedule"
                self._findings.add(entry.seq, "schedule.differs", message)
            self._set.add(schedule)
            self._ever.add(schedule)
            return
        self._is_set(schedule, entry)
        if entry.kind == "schedule.removed":
            self._set.discard(schedule)
            self._paused.discard(schedule)
            return
        if entry.kind == "schedule.paused":
            self._paused.add(schedule)
            return
        if entry.kind == "schedule.unpaused":
            self._paused.discard(schedule)
            return
        self._fired(schedule, entry)
        self._begins = entry if "run" in entry.data else None

    def _fired(self, schedule: str, entry: Entry) -> None:
        """A time counts once.

        Those that come by themselves do so in their order, and not while it is paused; somebody may
        ask for any that no run was started for.
        """
        at, is_asked_for = entry.data["at"], "by" in entry.data
        made = self._made.setdefault(schedule, set())
        is_twice = at in made
        if "run" in entry.data:
            made.add(at)
        if not is_asked_for:
            # Times have one width, so they sort as text.
            is_twice = is_twice or (schedule in self._last and self._last[schedule] >= at)
            self._last[schedule] = at
        if is_twice:
            message = f"{at} of the schedule `{schedule}` was decided before"
            self._findings.add(entry.seq, "schedule.fired_twice", message)
        if "run" in entry.data and not is_asked_for and schedule in self._paused:
            message = f"the schedule `{schedule}` starts a run, and is paused"
            self._findings.add(entry.seq, "schedule.paused", message)

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

    def _triggered(self, entry: Entry) -> None:
        """A run that an event started: by what was set before, and the one run of that event."""
        trigger = entry.data["trigger"]
        self._is_one(trigger["id"] in self._ever, trigger["id"], entry)
        run = entry.session if entry.kind == "session.started" else entry.data["id"]
        if run != id_of("run", trigger["event"]):
            message = "it is not the run of the event that it names"
            self._findings.add(entry.seq, "schedule.other_run", message)

    def _is_set(self, schedule: str, entry: Entry) -> None:
        self._is_one(schedule in self._set, schedule, entry)

    def _is_one(self, is_set: bool, schedule: str, entry: Entry) -> None:
        if is_set:
            return
        if self._is_pruned:
            self.not_followed += 1
        else:
            message = f"the schedule `{schedule}` was not set"
            self._findings.add(entry.seq, "schedule.not_set", message)
