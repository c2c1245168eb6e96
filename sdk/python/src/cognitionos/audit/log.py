"""The audit of a whole log, fed entry by entry in order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..entry import Entry
from ..errors import Refused
from ..findings import Findings
from ..note import VerifierKey
from ..values import read_digest, show_digest
from .approvals import Approvals
from .canons import Canons
from .chains import Chains
from .erasures import Erasures
from .queue import Queue
from .schedules import Schedules
from .sessions import Sessions
from .versions import Versions


_WRITER = "service:ledger"
"""Who makes the entries that put keys in force."""


@dataclass(frozen=True)
class KeyInForce:
    """A key that an entry puts in force."""

    seq: int
    key: VerifierKey
    giver: VerifierKey | None
    """The key that hands over; nothing in a genesis entry."""

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """The key that hands over, if there is one, and the key from here on."""
        return (self.key,) if self.giver is None else (self.giver, self.key)


class Audit:
    """A check that begins with entry `first`: 0, or the first one kept of a pruned log."""

    def __init__(self, first: int) -> None:
        is_pruned = first > 0
        self.findings = Findings()
        self.tenant: str | None = None
        self.origin: str | None = None
        self.keys: list[KeyInForce] = []
        self.pruned: dict[int, bytes] = {}
        """What entries say was pruned: up to where, and the root of the tree there."""
        self.kinds: Counter[str] = Counter()
        self.sessions = Sessions(is_pruned, self.findings)
        self.approvals = Approvals(is_pruned, self.sessions, self.findings)
        self.canons = Canons(first, self.sessions, self.findings)
        self.erasures = Erasures(self.findings)
        self.schedules = Schedules(is_pruned, self.findings)
        self.queue = Queue(is_pruned, self.findings)
        self.chains = Chains(is_pruned, self.findings)
        self.versions = Versions(is_pruned, self.findings)
        self._next = first
        self._last: Entry | None = None

    def entry(self, entry: Entry) -> None:
        """Check the next entry."""
        self._check_place(entry)
        self.kinds[entry.kind] += 1
        self.sessions.entry(entry)
        self.schedules.entry(entry)
        self.queue.entry(entry)
        self.chains.entry(entry)
        self.versions.entry(entry)
        if entry.kind in ("receipt", "denial", "approval.requested"):
            self.canons.decided(entry)
        if entry.kind == "genesis":
            self._genesis(entry)
        elif entry.kind == "key.rotated":
            self._key_rotated(entry)
        elif entry.kind == "segment.pruned":
            self._segment_pruned(entry)
        elif entry.kind == "bodies.erased":
            self.erasures.erased(entry)
        elif entry.kind in ("evidence", "output", "outcome", "signal"):
            self.canons.seen(entry)
        elif entry.kind == "plan.selected":
            self._plan_selected(entry)
        elif entry.kind.startswith("canon.") or entry.kind == "promotion":
            self.canons.change(entry)
        elif entry.kind.startswith("approval.") or entry.kind == "receipt":
            self.approvals.entry(entry)

    def earlier(self, entry: Entry) -> None:
        """Take an entry of the pruned part that put a key in force, before any that is kept."""
        self._check_tenant(entry)
        if entry.kind == "genesis":
            self._genesis(entry)
        else:
            self._key_rotated(entry)

    def finish(self) -> None:
        """Check what can only be known at the end."""
        if self._next == 0:
            self.findings.add(None, "log.empty", "the log has no entries, not even a genesis")
        self.schedules.finish()
        self.chains.finish()

    @property
    def not_followed(self) -> int:
        """References to entries before the kept part, which could not be followed."""
        parts = (self.sessions, self.approvals, self.canons, self.schedules, self.queue)
        return sum(part.not_followed for part in (*parts, self.chains, self.versions))

    def _check_place(self, entry: Entry) -> None:
        """Sequence, link, time, tenant."""
        add, seq = self.findings.add, entry.seq
        if seq != self._next:
            add(seq, "seq.gap", f"entry {self._next} should follow, but entry {seq} does")
        if (entry.kind == "genesis") != (seq == 0):
            add(seq, "genesis.misplaced", "the first entry of a log, and no other, is a genesis")
        if self._last is not None:
            if entry.prev != show_digest(self._last.leaf):
                add(seq, "link.broken", "it does not name the entry before it")
            # Times have one width, so they sort as text.
            if entry.at < self._last.at:
                add(seq, "time.backwards", f"its time {entry.at} is before the entry before")
        self._check_tenant(entry)
        self._last = entry
        self._next = seq + 1

    def _check_tenant(self, entry: Entry) -> None:
        self.tenant = self.tenant or entry.tenant
        if entry.tenant != self.tenant:
            message = f"it is of {entry.tenant}, in the log of {self.tenant}"
            self.findings.add(entry.seq, "tenant.mixed", message)

    def _by_writer(self, entry: Entry) -> None:
        """What nobody can hand in to be recorded."""
        if entry.actor != _WRITER:
            message = f"{_WRITER} alone makes it, and here {entry.actor} did"
            self.findings.add(entry.seq, "key.actor", message)

    def _genesis(self, entry: Entry) -> None:
        self._by_writer(entry)
        self.origin = entry.data["origin"]
        try:
            key = VerifierKey.parse(entry.data["key"])
        except Refused:
            self.findings.add(entry.seq, "key.unreadable", "its key is none")
            return
        if key.name != self.origin:
            self.findings.add(entry.seq, "key.name", "its key is not named as the log is")
        self.keys.append(KeyInForce(entry.seq, key, None))

    def _key_rotated(self, entry: Entry) -> None:
        self._by_writer(entry)
        try:
            giver = VerifierKey.parse(entry.data["from"])
            key = VerifierKey.parse(entry.data["to"])
        except Refused:
            self.findings.add(entry.seq, "key.unreadable", "one of its keys is none")
            return
        if self.keys and self.keys[-1].key != giver:
            message = "the key that hands over is not the one in force"
            self.findings.add(entry.seq, "key.not_in_force", message)
        if key.name != giver.name:
            message = "the new key has another name than the old one"
            self.findings.add(entry.seq, "key.name", message)
        self.keys.append(KeyInForce(entry.seq, key, giver))

    def _segment_pruned(self, entry: Entry) -> None:
        begin, end = entry.data["from"], entry.data["to"]
        if not begin < end <= entry.seq:
            message = f"it says that entries {begin} to {end} went, which cannot be"
            self.findings.add(entry.seq, "prune.range", message)
        root = read_digest(entry.data["root"])
        if root is not None:
            self.pruned[end] = root

    def _plan_selected(self, entry: Entry) -> None:
        chosen = entry.data.get("chosen")
        candidates = [plan.get("plan") for plan in entry.data["candidates"]]
        if chosen is not None and chosen not in candidates:
            message = f"the chosen plan `{chosen}` is not among its candidates"
            self.findings.add(entry.seq, "plan.not_candidate", message)
