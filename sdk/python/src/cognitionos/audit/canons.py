"""Canon: decisions under the version in force, and changes by change control alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..entry import Entry
from ..findings import Findings
from ..values import is_person
from .sessions import Sessions


@dataclass
class _Proposal:
    domain: str
    digest: str
    base: str | None
    by: str
    evidence: set[int]
    approved_by: set[str] = field(default_factory=set)
    is_closed: bool = False
    is_promoted: bool = False


class Canons:
    """The versions of canon along a log."""

    def __init__(self, first: int, sessions: Sessions, findings: Findings) -> None:
        self.not_followed = 0
        self.in_force: dict[str, str] = {}
        """The digest of the version in force, by domain."""
        self._first = first
        self._is_pruned = first > 0
        self._evidence: dict[int, str | None] = {}
        self._sessions = sessions
        self._findings = findings
        self._proposals: dict[str, _Proposal] = {}

    def decided(self, entry: Entry) -> None:
        """Check that a decision was made under the version in force."""
        in_force = self.in_force.get(entry.domain)
        if in_force is None and self._is_pruned:
            self.not_followed += 1
            return
        if entry.kind == "denial" and entry.canon is None:
            # A refusal needs no canon: without one, everything is refused.
            return
        if entry.canon is None or entry.canon != in_force:
            message = f"it was decided under a canon that is not in force in `{entry.domain}`"
            self._findings.add(entry.seq, "canon.not_in_force", message)

    def seen(self, entry: Entry) -> None:
        """Take note of something observed or produced, which a proposal can cite."""
        self._evidence[entry.seq] = entry.session

    def change(self, entry: Entry) -> None:
        """Check a step of change control."""
        if entry.kind != "canon.proposed" and not is_person(entry.actor):
            message = f"`{entry.actor}` is no person, and people alone change canon"
            self._findings.add(entry.seq, "canon.not_a_person", message)
        if entry.kind == "canon.activated":
            self._activated(entry)
        elif entry.kind == "canon.proposed":
            self._proposed(entry)
        else:
            self._step(entry)

    def _proposed(self, entry: Entry) -> None:
        name = entry.data["proposal"]
        evidence = set(entry.data.get("evidence", ()))
        if any(cited >= entry.seq for cited in evidence):
            message = "it cites evidence that is not in the log before it"
            self._findings.add(entry.seq, "evidence.missing", message)
        self._check_cited(entry.seq, evidence)
        if name in self._proposals:
            message = f"the proposal id {name} was given before"
            self._findings.add(entry.seq, "id.twice", message)
        base = entry.data.get("base")
        self._proposals[name] = _Proposal(
            entry.domain, entry.data["digest"], base, entry.actor, evidence
        )

    def _check_cited(self, seq: int, evidence: set[int]) -> None:
        """What a proposal cites must be something observed or produced, in no open run."""
        for cited in sorted(evidence):
            if cited < self._first:
                self.not_followed += 1
            elif cited < seq and cited not in self._evidence:
                message = f"it cites entry {cited}, which is neither evidence nor outcome"
                self._findings.add(seq, "evidence.not_evidence", message)
            elif (run := self._evidence.get(cited)) and not self._sessions.is_sealed(run):
                message = f"it cites entry {cited} of {run}, which is not sealed"
                self._findings.add(seq, "evidence.not_sealed", message)

    def _step(self, entry: Entry) -> None:
        """Approval, rejection or promotion."""
        add, name = self._findings.add, entry.data["proposal"]
        proposal = self._proposals.get(name)
        if proposal is None:
            self._missing(name, entry)
            return
        if proposal.is_closed:
            add(entry.seq, "canon.closed", f"{name} is closed already")
        if entry.kind == "promotion":
            if set(entry.data["evidence"]) != proposal.evidence:
                message = f"it promotes other evidence than {name} cites"
                add(entry.seq, "evidence.missing", message)
            proposal.is_promoted = True
            return
        self._check_same(entry, name, proposal)
        if entry.kind == "canon.rejected":
            proposal.is_closed = True
        else:
            proposal.approved_by.add(entry.actor)

    def _activated(self, entry: Entry) -> None:
        in_force = self.in_force.get(entry.domain)
        is_known = in_force is not None or not self._is_pruned
        if is_known and entry.data.get("previous") != in_force:
            message = "the version it replaces is not the one in force"
            self._findings.add(entry.seq, "canon.previous", message)
        if entry.data["basis"] == "change":
            self._check_change(entry, in_force)
        elif in_force is not None:
            message = f"`{entry.domain}` has a canon; only change control may change it"
            self._findings.add(entry.seq, "canon.founded_twice", message)
        self.in_force[entry.domain] = entry.data["digest"]

    def _check_change(self, entry: Entry, in_force: str | None) -> None:
        add, name = self._findings.add, entry.data.get("proposal")
        if name is None:
            add(entry.seq, "canon.no_proposal", "it names no proposal")
            return
        proposal = self._proposals.get(name)
        if proposal is None:
            self._missing(name, entry)
            return
        self._check_same(entry, name, proposal)
        if in_force is not None and proposal.base != in_force:
            message = f"{name} was made against a version that is not in force any more"
            add(entry.seq, "canon.previous", message)
        if proposal.is_closed:
            add(entry.seq, "canon.closed", f"{name} was rejected or activated before")
        if not any(is_person(who) for who in proposal.approved_by - {proposal.by}):
            add(entry.seq, "canon.not_approved", f"nobody but its proposer approved {name}")
        if proposal.evidence and not proposal.is_promoted:
            message = f"the evidence that {name} rests on was never promoted"
            add(entry.seq, "evidence.not_promoted", message)
        proposal.is_closed = True

    def _check_same(self, entry: Entry, name: str, proposal: _Proposal) -> None:
        if (entry.data["digest"], entry.domain) != (proposal.digest, proposal.domain):
            message = f"{name} proposes another version"
            self._findings.add(entry.seq, "canon.other_digest", message)

    def _missing(self, name: str, entry: Entry) -> None:
        if self._is_pruned:
            self.not_followed += 1
        else:
            message = f"there is no proposal {name} before it"
            self._findings.add(entry.seq, "canon.no_proposal", message)
