"""Whose signature a bundle's head bears, and whether there is reason to trust it.

Trust begins with the keys that the verifier brings. Nothing in a bundle adds to them but a
hand-over: an entry that names both keys, in a tree whose head both keys signed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..audit import KeyInForce
from ..checkpoint import Checkpoint
from ..errors import Refused
from ..findings import Findings
from ..note import VerifierKey


class Trust:
    """What the signature of one log is judged by."""

    def __init__(
        self,
        origin: str,
        trusted: Sequence[VerifierKey],
        chain: Sequence[KeyInForce],
        rotations: Sequence[Checkpoint],
        roots: Mapping[int, bytes],
    ) -> None:
        """`chain` are the keys put in force, in order; `rotations` the heads of hand-overs;
        `roots` those of the tree at their sizes."""
        self._origin = origin
        self._trusted = trusted
        self._chain = chain
        self._rotations = rotations
        self._roots = roots

    def signer(self, head: Checkpoint, findings: Findings) -> VerifierKey | None:
        """The key that signed the head, if it is in force and the verifier may trust it."""
        if not self._chain:
            # The keys were named before the kept part: only one that was brought counts.
            try:
                return head.verify(self._origin, self._trusted)
            except Refused as error:
                findings.add(None, "head.untrusted", str(error))
                return None
        last = self._chain[-1].key
        if not head.is_signed_by(self._origin, last):
            findings.add(None, "head.not_in_force", "the head is not signed by the key in force")
            return None
        if not all(
            any(self._proves(head, step) for step in self._chain) for head in self._rotations
        ):
            message = "an earlier head here is not one that both keys of a hand-over signed"
            findings.add(None, "rotation.unproven", message)
            return None
        return last if self._is_reached(findings) else None

    def _is_reached(self, findings: Findings) -> bool:
        """Whether hand-overs lead from a key that the verifier brought to the last one."""
        brought = [n for n, step in enumerate(self._chain) if step.key in self._trusted]
        if brought:
            to_prove = self._chain[brought[-1] + 1 :]
        elif self._chain[0].giver in self._trusted:
            to_prove = self._chain
        else:
            message = "the key in force is not trusted, nor handed over from one that is"
            findings.add(None, "head.untrusted", message)
            return False
        for step in to_prove:
            if not any(self._proves(head, step) for head in self._rotations):
                message = "there is no head here that both keys of this hand-over signed"
                findings.add(step.seq, "rotation.unproven", message)
                return False
        return True

    def _proves(self, head: Checkpoint, step: KeyInForce) -> bool:
        """Whether this is the head just after the hand-over, signed by both keys."""
        return (
            step.giver is not None
            and head.size == step.seq + 1
            and head.root == self._roots.get(head.size)
            and head.is_signed_by(self._origin, step.giver)
            and head.is_signed_by(self._origin, step.key)
        )
