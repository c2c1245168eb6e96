"""A second, independent verifier of CognitionOS ledgers.

It shares no code with the program that writes ledgers, so that one mistake does not hide
another. `verify_bundle` checks a whole bundle; the other names check single receipts,
checkpoints and proofs. The command is `python -m cognitionos.verify`.
"""

from .bundle import Verified, verify_bundle
from .checkpoint import Checkpoint
from .entry import Entry
from .errors import BadInput, Refused
from .findings import Finding
from .note import Note, VerifierKey
from .proof import ProvenEntry, TlogProof

__all__ = [
    "BadInput",
    "Checkpoint",
    "Entry",
    "Finding",
    "Note",
    "ProvenEntry",
    "Refused",
    "TlogProof",
    "VerifierKey",
    "Verified",
    "verify_bundle",
]
__version__ = "0.1.0"
