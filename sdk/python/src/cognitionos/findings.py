"""What is wrong with a log, by stable codes and in plain words."""

from __future__ import annotations

from dataclasses import dataclass

FINDINGS_MAX = 1_000
"""The most findings that are kept; further ones are only counted."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    seq: int | None
    """The entry it is about, if it is about one."""
    code: str
    """A stable word for it, such as `outcome.twice`."""
    message: str

    def __str__(self) -> str:
        place = "" if self.seq is None else f"entry {self.seq}: "
        return f"{place}{self.message} [{self.code}]"


class Findings:
    """The first findings, and how many there are."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.total = 0

    def add(self, seq: int | None, code: str, message: str) -> None:
        """Note one more."""
        self.total += 1
        if len(self.kept) < FINDINGS_MAX:
            self.kept.append(Finding(seq, code, message))
