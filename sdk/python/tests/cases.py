"""Bundles that are signed and whole, but break a rule: each with the codes of the findings.

Every case is a function that makes a house break one rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from house import House


@dataclass
class Case:
    """A bundle, what its verifier has, and what must be found."""

    bundle: bytes
    keys: list[str]
    against: list[str] = field(default_factory=list)
    name: str = ""
    codes: list[str] = field(default_factory=list)


CASES: list[Callable[[], Case]] = []


def whole(*codes: str) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
    """A case that makes its own bundle, in which these codes are to be found."""

    def add(make: Callable[[], Case]) -> Callable[[], Case]:
        def named() -> Case:
            case = make()
            case.name, case.codes = make.__name__, sorted(codes)
            return case

        CASES.append(named)
        return make

    return add


def audit(*codes: str) -> Callable[[Callable[[House], None]], Callable[[House], None]]:
    """A case in which the entries of a new log break a rule."""

    def add(act: Callable[[House], None]) -> Callable[[House], None]:
        def make() -> Case:
            house = House(seed=1)
            act(house)
            return Case(house.bundle(), [house.keys[-1].line])

        make.__name__ = act.__name__
        whole(*codes)(make)
        return act

    return add


def cases() -> list[Case]:
    """All of them."""
    # Each of these adds its own.
    import rules_of_bundles  # noqa: F401
    import rules_of_consent  # noqa: F401
    import rules_of_entries  # noqa: F401
    import rules_of_keys  # noqa: F401

    return [make() for make in CASES]
