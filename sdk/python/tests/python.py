"""The verifier under test, reporting as the other one does."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rust import Report

from cognitionos import BadInput, Checkpoint, VerifierKey, verify_bundle
from cognitionos.verify import as_json


def verify(bundle: bytes, keys: Sequence[str], against: Sequence[str] = ()) -> Report:
    """Check a bundle in this process."""
    trusted = [VerifierKey.parse(key) for key in keys]
    heads = [Checkpoint.parse(head) for head in against]
    try:
        verified = verify_bundle(io.BytesIO(bundle), trusted, heads)
    except BadInput:
        return Report(2, None)
    return Report(0 if verified.holds else 1, as_json(verified))
