"""Sessions: receipts and their outcomes, and seals that add up."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ..entry import Entry
from ..findings import Findings
from ..kinds import DISPOSITIONS
from ..values import show_digest

TRACE_CONTEXT = "cognitionos/trace/v1"
"""The context of a session's trace: SHA-256 over its leaf hashes, without the seal."""


class Tally:
    """The running sums of a session, over all of its entries but the seal."""

    def __init__(self) -> None:
        self._kinds: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._spent_micros = 0
        self._trace = hashlib.sha256(TRACE_CONTEXT.encode() + b"\n")

    def add(self, entry: Entry) -> None:
        """Count an entry."""
        self._kinds[entry.kind] += 1
        self._trace.update(entry.leaf)
        if entry.kind == "outcome":
            self._outcomes[entry.data["disposition"]] += 1
            self._spent_micros += entry.data["cost_micros"]

    def sums(self) -> dict[str, Any]:
        """What the seal must state."""
        return {
            "entries": self._kinds.total(),
            "receipts": self._kinds["receipt"],
            "denials": self._kinds["denial"],
            "outcomes": {word: self._outcomes[word] for word in DISPOSITIONS},
            "spent_micros": self._spent_micros,
            "trace": show_digest(self._trace.digest()),
        }

    def open_receipts(self) -> int:
        """The receipts that have no outcome."""
        return max(0, self._kinds["receipt"] - self._outcomes.total())


@dataclass
class _Session:
    initiator: str | None
    tally: Tally | None
    """Absent when its start was pruned, so that its sums cannot be checked."""
    scope: tuple[str, str, str] | None = None
    """Definition, domain and environment; nobody knows them when its start was pruned."""
    seqs: set[int] = field(default_factory=set)
    """Its entries, by which others may say that they go on from there."""
    is_sealed: bool = False
    status: str | None = None
    """The word of its seal."""
    is_paused: bool | None = None
    """Whether it is held; nobody knows when its start was pruned and nothing was said since."""


def _scope(entry: Entry) -> tuple[str, str, str]:
    """What a run follows, and where."""
    return entry.data["definition"], entry.domain, entry.environment


@dataclass
class _Child:
    """A run that another began."""

    parent: str | None
    step: str
    has_ended: bool = False


@dataclass
class _Receipt:
    session: str | None
    seq: int
    # How many bytes of what it gives are in the log.
    given: int = 0
    disposition: str | None = None


@dataclass
class Sessions:
    """All sessions of a log, and the receipts in them."""

    is_pruned: bool
    findings: Findings
    not_followed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    _sessions: dict[str, _Session] = field(default_factory=dict)
    _receipts: dict[str, _Receipt] = field(default_factory=dict)
    _denials: set[str] = field(default_factory=set)
    _signals: set[tuple[str, str]] = field(default_factory=set)
    _children: dict[str, _Child] = field(default_factory=dict)
    _checkpoints: set[tuple[str, str, bool]] = field(default_factory=set)

    def entry(self, entry: Entry) -> None:
        """Check an entry against its session and its receipt."""
        if entry.kind == "receipt":
            self._receipt(entry)
        elif entry.kind == "denial":
            self._denial(entry)
        elif entry.kind == "output":
            self._output(entry)
        elif entry.kind == "outcome":
            self._outcome(entry)
        elif entry.kind == "signal":
            self._signal(entry)
        elif entry.kind == "session.started":
            self._descent(entry)
        elif entry.kind == "child.started":
            self._child_started(entry)
        elif entry.kind == "child.ended":
            self._child_ended(entry)
        elif entry.kind == "checkpoint":
            self._checkpoint(entry)
        elif entry.kind == "replay":
            self._replay(entry)
        if entry.session is not None:
            self._in_session(entry.session, entry)

    def initiator(self, entry: Entry) -> str | None:
        """Who started the run of an entry."""
        session = self._sessions.get(entry.session or "")
        return session.initiator if session else None

    def is_sealed(self, name: str) -> bool:
        """Whether a run has ended."""
        session = self._sessions.get(name)
        return session is not None and session.is_sealed

    def is_abandoned(self, receipt: str) -> bool:
        """Whether the effect under a receipt was never begun."""
        known = self._receipts.get(receipt)
        return known is not None and known.disposition == "abandoned"

    def open(self) -> list[str]:
        """Receipts without an outcome in sessions that are not sealed, oldest first."""
        return [
            name
            for name, receipt in sorted(self._receipts.items(), key=lambda item: item[1].seq)
            if receipt.disposition is None
            and receipt.session in self._sessions
            and not self._sessions[receipt.session].is_sealed
        ]

    def counts(self) -> tuple[int, int]:
        """Sessions that are there, and how many of them are sealed."""
        sealed = sum(session.is_sealed for session in self._sessions.values())
        return len(self._sessions), sealed

    def _in_session(self, name: str, entry: Entry) -> None:
        add, seq = self.findings.add, entry.seq
        if entry.kind == "session.started":
            self._forked(entry)
        session = self._sessions.get(name)
        if session is None:
            session = self._sessions[name] = self._begin(name, entry)
        elif entry.kind == "session.started":
            add(seq, "session.started_twice", f"{name} starts again")
        session.seqs.add(seq)
        if session.is_sealed:
            add(seq, "session.after_seal", f"it follows the seal of {name}, which ended it")
        self._hold(name, session, entry)
        if entry.kind != "session.sealed":
            if session.tally is not None:
                session.tally.add(entry)
            return
        session.is_sealed = True
        session.status = entry.data["status"]
        if session.tally is None:
            self.not_followed += 1
        else:
            self._check_seal(entry, session.tally)
            session.tally = None

    def _begin(self, name: str, entry: Entry) -> _Session:
        if entry.kind != "session.started":
            if not self.is_pruned:
                self.findings.add(entry.seq, "session.not_started", f"{name} has not started")
            return _Session(None, None)
        return _Session(entry.data["initiator"], Tally(), _scope(entry), is_paused=False)

    def _forked(self, entry: Entry) -> None:
        """A run goes on from an earlier entry of another, by the same definition."""
        fork = entry.data.get("fork")
        if fork is None:
            return
        name, seq = fork["session"], fork["seq"]
        parent = self._sessions.get(name)
        if parent is None or seq not in parent.seqs:
            message = f"it goes on from entry {seq}, which is none of {name}"
            self._unknown(entry, "fork.unknown", message)
        elif parent.scope is not None and parent.scope != _scope(entry):
            message = f"it goes on from {name}, and is not of the same definition and environment"
            self.findings.add(entry.seq, "fork.other_definition", message)

    def _hold(self, name: str, session: _Session, entry: Entry) -> None:
        """Nothing new of a held run begins; ending a run ends that."""
        if entry.kind in ("session.paused", "session.unpaused"):
            pauses = entry.kind == "session.paused"
            if session.is_paused is pauses:
                stands = "is paused already" if pauses else "is not paused"
                self.findings.add(entry.seq, "session.paused_twice", f"{name} {stands}")
            session.is_paused = pauses
        elif entry.kind == "evidence" and entry.data["source"] == "cancel":
            session.is_paused = False
        elif entry.kind == "receipt" and session.is_paused:
            message = f"it was issued while {name} was paused"
            self.findings.add(entry.seq, "receipt.while_paused", message)

    def _check_seal(self, entry: Entry, tally: Tally) -> None:
        for name, counted in tally.sums().items():
            stated = entry.data[name]
            if stated != counted:
                message = f"the seal states {name} {stated}, the log has {counted}"
                self.findings.add(entry.seq, "seal.wrong", message)
        if tally.open_receipts():
            message = f"the seal leaves {tally.open_receipts()} receipts without an outcome"
            self.findings.add(entry.seq, "seal.open_receipts", message)

    def _receipt(self, entry: Entry) -> None:
        name = entry.data["id"]
        if name in self._receipts:
            message = f"the receipt id {name} was given in entry {self._receipts[name].seq}"
            self.findings.add(entry.seq, "id.twice", message)
        self._receipts[name] = _Receipt(entry.session, entry.seq)

    def _denial(self, entry: Entry) -> None:
        name = entry.data["id"]
        if name in self._denials:
            self.findings.add(entry.seq, "id.twice", f"the denial id {name} was given before")
        self._denials.add(name)

    def _signal(self, entry: Entry) -> None:
        name = entry.data["signal"]
        known = (entry.session or "", name)
        if known in self._signals:
            message = f"the signal {name} was sent to {entry.session} before"
            self.findings.add(entry.seq, "signal.twice", message)
        self._signals.add(known)

    def _child_started(self, entry: Entry) -> None:
        name = entry.data["session"]
        if name in self._children or name in self._sessions:
            self.findings.add(entry.seq, "child.started_twice", f"{name} was begun before")
        self._children[name] = _Child(entry.session, entry.data["step"])

    def _descent(self, entry: Entry) -> None:
        """A run that names a parent was begun by it, for the same person."""
        add, seq, name = self.findings.add, entry.seq, entry.session or ""
        named = entry.data.get("parent")
        child = self._children.get(name)
        if child is None:
            if named is not None and not self.is_pruned:
                add(seq, "child.not_asked", f"no run says before it that it begins {name}")
            return
        if named is None or (named["session"], named["step"]) != (child.parent, child.step):
            add(seq, "child.other_parent", f"{name} names another parent than began it")
        parent = self._sessions.get(child.parent or "")
        began = parent.initiator if parent else None
        if began is not None and began != entry.data["initiator"]:
            add(seq, "child.other_initiator", f"{name} is begun for another than its parent")

    def _child_ended(self, entry: Entry) -> None:
        """What a run hears of the end of another is what its seal says, once."""
        add, seq, name = self.findings.add, entry.seq, entry.data["session"]
        child = self._children.get(name)
        if child is not None:
            if (child.parent, child.step) != (entry.session, entry.data["step"]):
                add(seq, "child.other_parent", f"{name} was begun by another step or run")
            if child.has_ended:
                add(seq, "child.ended_twice", f"the end of {name} is told again")
            child.has_ended = True
        elif not self.is_pruned:
            add(seq, "child.not_asked", f"no run began {name}")
        session = self._sessions.get(name)
        if session is None and self.is_pruned:
            return
        if (session.status if session else None) != entry.data["status"]:
            add(seq, "child.end_wrong", f"the seal of {name} does not say that it ended so")

    def _checkpoint(self, entry: Entry) -> None:
        run, seq, name = entry.data["run"], entry.data.get("seq"), entry.data["name"]
        session = self._sessions.get(run)
        if entry.session is not None:
            if entry.session != run or seq is not None:
                message = f"{entry.session} names another place than where it stands"
                self.findings.add(entry.seq, "checkpoint.unknown", message)
        elif seq is None:
            message = f"it names no entry, which is none of {run}"
            self.findings.add(entry.seq, "checkpoint.unknown", message)
        elif session is None or seq not in session.seqs:
            message = f"it names entry {seq}, which is none of {run}"
            self._unknown(entry, "checkpoint.unknown", message)
        named = (run, name, entry.session is not None)
        if named in self._checkpoints:
            message = f"{run} had a checkpoint `{name}` before"
            self.findings.add(entry.seq, "checkpoint.twice", message)
        self._checkpoints.add(named)

    def _replay(self, entry: Entry) -> None:
        run = entry.data["run"]
        if run not in self._sessions:
            message = f"{run}, which it is about, has not started"
            self._unknown(entry, "replay.unknown", message)

    def _unknown(self, entry: Entry, code: str, message: str) -> None:
        """What is referred to is not there; it may have been pruned."""
        if self.is_pruned:
            self.not_followed += 1
        else:
            self.findings.add(entry.seq, code, message)

    def _output(self, entry: Entry) -> None:
        """What an effect gives follows what it gave before, until it is over."""
        add, seq, name = self.findings.add, entry.seq, entry.data["receipt"]
        receipt = self._receipts.get(name)
        if receipt is None:
            self._unknown(entry, "output.without_receipt", f"there is no receipt {name} before it")
            return
        if receipt.session != entry.session:
            add(seq, "output.other_session", f"the receipt {name} is of another session")
        if receipt.disposition is not None:
            add(seq, "output.late", f"the receipt {name} has an outcome already")
        offset = entry.data["offset"]
        if offset != receipt.given:
            message = f"it begins at byte {offset} of what {name} gives, not at {receipt.given}"
            add(seq, "output.gap", message)
        receipt.given = offset + entry.data["bytes"]

    def _outcome(self, entry: Entry) -> None:
        add, seq = self.findings.add, entry.seq
        name, disposition = entry.data["receipt"], entry.data["disposition"]
        self.outcomes[disposition] += 1
        # Ids of different kinds share their 128 bits when one is made up from the other.
        if name.replace("rcp_", "dny_", 1) in self._denials:
            add(seq, "denial.outcome", f"it is the outcome of what was refused as {name}")
        receipt = self._receipts.get(name)
        if receipt is None:
            if self.is_pruned:
                self.not_followed += 1
            else:
                message = f"there is no receipt {name} before it: an effect without one"
                add(seq, "outcome.without_receipt", message)
            return
        if receipt.session != entry.session:
            add(seq, "outcome.other_session", f"the receipt {name} is of another session")
        if receipt.disposition is not None:
            add(seq, "outcome.twice", f"the receipt {name} has an outcome already")
        receipt.disposition = disposition
