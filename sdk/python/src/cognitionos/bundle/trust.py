"""Whose signature a bundle's head bears, and whether there is reason to trust it.

Trust begins with the keys that the verifier brings. Nothing in a bundle adds to them but a
hand-over: an entry that names both keys, in a tree whose head the giver signed, and which the
taker signs from there on.
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
        are_handed_over = self._are_handed_over(findings)
        if any(len(it.note.signatures) != 1 for it in (*self._rotations, head)):
            message = "a head here bears other signatures than one"
            findings.add(None, "head.signatures", message)
        if not self._chain:
            # No entry names a key, which was found: only one that was brought counts.
            try:
                key = head.verify(self._origin, self._trusted)
            except Refused as error:
                findings.add(None, "head.untrusted", str(error))
                return None
            return key if are_handed_over else None
        last = self._chain[-1].key
        if not head.is_signed_by(self._origin, last):
            findings.add(None, "head.not_in_force", "the head is not signed by the key in force")
            return None
        if not any(key in self._trusted for step in self._chain for key in step.keys):
            message = "the key in force is not trusted, nor handed over from one that is"
            findings.add(None, "head.untrusted", message)
            return None
        return last if are_handed_over else None

    def _are_handed_over(self, findings: Findings) -> bool:
        """Whether the earlier heads are those of the hand-overs, one each, in their order."""
        given = [(step.seq, step.giver) for step in self._chain if step.giver is not None]
        heads: list[Checkpoint | None] = [*self._rotations]
        extra = len(heads) - len(given)
        heads += [None] * -extra
        missing = [
            seq
            for (seq, giver), head in zip(given, heads)
            if head is None or not self._proves(head, seq, giver)
        ]
        for seq in missing:
            message = "there is no head here in its place that the key which hands over signed"
            findings.add(seq, "rotation.unproven", message)
        if extra > 0:
            message = "an earlier head is here that is of no hand-over"
            findings.add(None, "rotation.unproven", message)
        return not missing and extra <= 0

    def _proves(self, head: Checkpoint, seq: int, giver: VerifierKey) -> bool:
        """Whether this is the head just after the hand-over, signed by who hands over."""
        return (
            head.size == seq + 1
            and head.root == self._roots.get(head.size)
            and head.is_signed_by(self._origin, giver)
        )
