"""Consent: asked for before, for the same intent and canon, by others than those who asked
or began the run, and used once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..entry import Entry
from ..findings import Findings
from ..values import is_count, is_id, is_person
from .sessions import Sessions


_CLOCK_BACK_MS = 5_000
"""By how much a clock may have been set back between a decision and its entry."""


@dataclass
class _Request:
    seq: int
    bound_to: tuple[str | None, str | None, str | None]
    """Session, intent and canon: consent is to exactly these."""
    actor: str
    count: int
    users: list[str] | None
    """Those who may, when users alone are named. Who has a role is not in the log."""
    expires: str
    at: datetime
    escalate: dict[str, Any] | None
    """Who else may answer, and after which time."""
    is_escalated: bool = False
    granted_by: list[str] = field(default_factory=list)
    """Those in whose name somebody said yes."""
    delegated: dict[str, str] = field(default_factory=dict)
    """Who has whom answer in their place."""
    is_rejected: bool = False
    used_by: str | None = None


class Approvals:
    """All requests for consent of a log."""

    def __init__(self, is_pruned: bool, sessions: Sessions, findings: Findings) -> None:
        self.not_followed = 0
        self._is_pruned = is_pruned
        self._sessions = sessions
        self._findings = findings
        self._requests: dict[str, _Request] = {}

    def entry(self, entry: Entry) -> None:
        """Check a request, an answer to one, or the receipt that rests on one."""
        if entry.kind == "receipt":
            for name in entry.data["approvals"]:
                self._use(name, entry)
        elif entry.kind == "approval.requested":
            self._ask(entry)
        elif entry.kind == "approval.escalated":
            self._escalate(entry)
        elif entry.kind == "approval.delegated":
            self._delegate(entry)
        else:
            self._answer(entry)

    def _ask(self, entry: Entry) -> None:
        name, need = entry.data["id"], entry.data["need"]
        if name in self._requests:
            message = f"the approval id {name} was given in entry {self._requests[name].seq}"
            self._findings.add(entry.seq, "id.twice", message)
        is_users = all(who.startswith("user:") for who in need["of"])
        self._requests[name] = _Request(
            seq=entry.seq,
            bound_to=_bound_to(entry),
            actor=entry.actor,
            count=need["count"],
            users=need["of"] if is_users else None,
            expires=entry.data["expires"],
            at=datetime.fromisoformat(entry.at),
            escalate=need.get("escalate"),
        )

    def _escalate(self, entry: Entry) -> None:
        """Others may answer, once, when the time that the request says is over."""
        add, seq, name = self._findings.add, entry.seq, entry.data["id"]
        request = self._requests.get(name)
        if request is None:
            self._missing(name, entry)
            return
        if _bound_to(entry) != request.bound_to:
            message = f"{name} was asked for another intent, canon or session"
            add(seq, "approval.other_intent", message)
        later = request.escalate if isinstance(request.escalate, dict) else {}
        waited = (datetime.fromisoformat(entry.at) - request.at) // timedelta(milliseconds=1)
        is_due = is_count(later.get("after_ms")) and later["after_ms"] <= waited + _CLOCK_BACK_MS
        if not is_due or later.get("of") != entry.data["of"] or request.is_escalated:
            message = f"{name} is not to be answered by others, or not yet, or by these"
            add(seq, "approval.escalated", message)
        request.is_escalated = True
        of = later.get("of")
        # Who has a role is not in the log.
        is_users = isinstance(of, list) and all(
            isinstance(who, str) and who.startswith("user:") for who in of
        )
        request.users = request.users + of if request.users is not None and is_users else None

    def _delegate(self, entry: Entry) -> None:
        """Somebody who may answer has another person do so, who has no voice yet."""
        who, to, name = entry.actor, entry.data["to"], entry.data["id"]
        request = self._requests.get(name)
        if request is None:
            self._missing(name, entry)
            return
        if _bound_to(entry) != request.bound_to:
            message = f"{name} was asked for another intent, canon or session"
            self._findings.add(entry.seq, "approval.other_intent", message)
        own = (request.actor, self._sessions.initiator(entry))
        taken = {*request.granted_by, *request.delegated, *request.delegated.values()}
        may = request.users is None or who in request.users
        are_free = all(
            is_person(one) and one not in own and one not in taken for one in (who, to)
        )
        if not may or not are_free or who == to or request.is_rejected:
            message = f"`{who}` may not have `{to}` answer {name}"
            self._findings.add(entry.seq, "approval.delegated", message)
        request.delegated[who] = to

    def _answer(self, entry: Entry) -> None:
        add, seq = self._findings.add, entry.seq
        name = entry.data["id"]
        # Who answers in the place of another is that one.
        who = entry.data.get("for", entry.actor)
        request = self._requests.get(name)
        if request is None:
            self._missing(name, entry)
            return
        if _bound_to(entry) != request.bound_to:
            message = f"{name} was asked for another intent, canon or session"
            add(seq, "approval.other_intent", message)
        if not _speaks(request, entry):
            message = f"`{entry.actor}` answers {name} in a place that is not theirs"
            add(seq, "approval.delegated", message)
        if entry.kind == "approval.rejected":
            request.is_rejected = True
            return
        own = (request.actor, self._sessions.initiator(entry))
        if who != entry.actor and entry.actor in own:
            message = f"`{entry.actor}` approves {name}, but asked for it or began the run"
            add(seq, "approval.own_request", message)
        if who in own:
            message = f"`{who}` approves {name}, but asked for it or began the run"
            add(seq, "approval.own_request", message)
        is_named = request.users is None or who in request.users
        if not is_person(who) or not is_named:
            message = f"`{who}` is not among those who may approve {name}"
            add(seq, "approval.not_entitled", message)
        if entry.at > request.expires:
            # Recorded too late to count; a receipt that rests on it has no consent.
            return
        if request.is_rejected:
            add(seq, "approval.rejected", f"{name} was rejected before")
        if who in request.granted_by:
            add(seq, "approval.twice", f"`{who}` approved {name} before")
        else:
            request.granted_by.append(who)

    def _use(self, name: str, entry: Entry) -> None:
        add, seq = self._findings.add, entry.seq
        if not is_id("apr", name):
            add(seq, "approval.missing", f"`{name}` is no approval id")
            return
        request = self._requests.get(name)
        if request is None:
            self._missing(name, entry)
            return
        if _bound_to(entry) != request.bound_to:
            message = f"{name} is consent to another intent, canon or session"
            add(seq, "approval.other_intent", message)
        barred = (entry.actor, self._sessions.initiator(entry))
        granted = sum(who not in barred for who in request.granted_by)
        if request.is_rejected or granted < request.count:
            message = f"{name} was granted by {granted} of the {request.count} needed"
            add(seq, "approval.not_granted", message)
        # Consent is spent, but for a receipt under which nothing was begun.
        if request.used_by is not None and not self._sessions.is_abandoned(request.used_by):
            add(seq, "approval.reused", f"{name} was used up by an earlier receipt")
        request.used_by = entry.data["id"]

    def _missing(self, name: str, entry: Entry) -> None:
        if self._is_pruned:
            self.not_followed += 1
        else:
            message = f"there is no request {name} before it"
            self._findings.add(entry.seq, "approval.missing", message)


def _speaks(request: _Request, entry: Entry) -> bool:
    """Whether it is an answer in the own name, with no part in any other, or in the one handed over."""
    if "for" in entry.data:
        return request.delegated.get(entry.data["for"]) == entry.actor
    return entry.actor not in {*request.delegated, *request.delegated.values()}


def _bound_to(entry: Entry) -> tuple[str | None, str | None, str | None]:
    return entry.session, entry.data["intent"], entry.canon
