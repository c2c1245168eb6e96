"""Erasures: which bodies may be missing, because an entry says so."""

from __future__ import annotations

from collections.abc import Iterable

from ..entry import Entry
from ..findings import Findings


class Erasures:
    """What the entries of a log say of bodies that are gone."""

    def __init__(self, findings: Findings) -> None:
        self.named: dict[int, int] = {}
        """The entries whose bodies went, each with the entry that says so."""
        self._findings = findings
        # Erasures were written at first without the entries whose bodies went.
        self._unnamed = 0
        self._last_unnamed = 0

    def erased(self, entry: Entry) -> None:
        """An entry says that bodies were erased."""
        bodies, named = entry.data["bodies"], entry.data.get("entries")
        has_basis = "basis" in entry.data
        if has_basis == ("subject" in entry.data) or (has_basis and named is None):
            message = "it says neither whose bodies went, nor which ones and on what basis"
            self._findings.add(entry.seq, "erasure.wrong", message)
        if named is None:
            self._unnamed += bodies
            self._last_unnamed = entry.seq
            return
        is_order = all(one < other for one, other in zip(named, named[1:]))
        if len(named) != bodies or not is_order or (named and named[-1] >= entry.seq):
            message = f"it says that {bodies} bodies went, and names others"
            self._findings.add(entry.seq, "erasure.wrong", message)
        self.named.update(dict.fromkeys(named, entry.seq))

    def explain_all(self, absent: Iterable[int]) -> bool:
        """Whether erasures on record account for the bodies of all these entries."""
        return not self._unexplained(absent)

    def check(self, absent: Iterable[int]) -> None:
        """Find the bodies of `absent` entries that nothing accounts for."""
        for seq, message in self._unexplained(absent):
            self._findings.add(seq, "body.absent", message)

    def _unexplained(self, absent: Iterable[int]) -> list[tuple[int | None, str]]:
        found: list[tuple[int | None, str]] = []
        left = [seq for seq in absent if seq not in self.named]
        if self._unnamed:
            counted = sum(seq < self._last_unnamed for seq in left)
            left = [seq for seq in left if seq >= self._last_unnamed]
            if counted > self._unnamed:
                message = f"{counted} bodies are not here, erasures are of {self._unnamed}"
                found.append((None, message))
        for seq in left:
            found.append((seq, "its body is not here, and no entry says that it was erased"))
        return found
