"""The command: `python -m cognitionos.verify BUNDLE --key FILE|VKEY [--against FILE]`.

Opens the files it is given and nothing else. Ends with 0 when the bundle holds, 1 when
something is wrong with it, 2 when there is nothing to check.
"""

from __future__ import annotations

import argparse
import json
import os
import stat
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from .bundle import Verified, read_head, verify_bundle
from .checkpoint import Checkpoint
from .errors import BadInput, Refused
from .kinds import DISPOSITIONS
from .note import VerifierKey
from .values import show_digest

__all__ = ["check", "main", "read_keys", "verify_bundle"]

HOLDS, FINDINGS, BAD_INPUT = 0, 1, 2
_UNSEEN = ("Cc", "Cf", "Zl", "Zp")
"""Categories of characters that steer a terminal, are not seen, or turn text round."""
KEY_FILE_BYTES_MAX = 1_000_000
"""The most bytes of a key file."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit code."""
    given = _parser().parse_args(arguments)
    try:
        keys = [key for text in given.key for key in read_keys(text)]
        verified = check(given.bundle, keys, given.against)
    except (BadInput, OSError) as error:
        if given.json:
            _say(json.dumps({"holds": False, "error": str(error)}))
        print(_printable(f"error: {error}"), file=sys.stderr)
        return BAD_INPUT
    if given.json:
        _say(json.dumps(as_json(verified), indent=2))
    else:
        _say(as_text(verified))
    return HOLDS if verified.holds else FINDINGS


def _say(text: str) -> None:
    """Print it. Whoever closes the pipe has read enough; the verdict stays what it is."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # What is left in the buffer would fail once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def check(bundle: str, keys: Sequence[VerifierKey], against: Sequence[str]) -> Verified:
    """Check the bundle in a file, and compare it with files seen earlier or later.

    The longer of two bundles must have grown from the head of the shorter one.
    """
    heads = [(path, *_head(path)) for path in against]
    with _open(bundle) as file:
        verified = verify_bundle(file, keys)
    size = verified.head.size if verified.head else 0
    longer = [path for path, head, is_bundle in heads if is_bundle and head.size > size]
    earlier = [head for path, head, _ in heads if path not in longer]
    if earlier:
        with _open(bundle) as file:
            verified = verify_bundle(file, keys, earlier)
    if verified.head is not None:
        for path in longer:
            with _open(path) as file:
                verified = verified.joined(verify_bundle(file, keys, [verified.head]))
    return verified


def read_keys(text: str) -> list[VerifierKey]:
    """The keys of a key line, or of a file with one on each line (`#` begins a comment)."""
    try:
        return [VerifierKey.parse(text)]
    except Refused:
        if "+" in text and not Path(text).is_file():
            raise BadInput(f"`{text}` is neither a key nor a file of keys") from None
    with _open(text) as file:
        data = file.read(KEY_FILE_BYTES_MAX)
    try:
        # What ends a line in some editors only, does not begin a key here either.
        lines = [line.strip(" \t\r") for line in data.decode("utf-8").split("\n")]
    except UnicodeDecodeError:
        raise BadInput(f"the key file `{text}` is not text") from None
    keys = [_key(line) for line in lines if line and not line.startswith("#")]
    if not keys:
        raise BadInput(f"there is no key in `{text}`")
    return keys


def as_json(verified: Verified) -> dict[str, Any]:
    """The result as JSON."""
    audit, head = verified.audit, verified.head
    started, sealed = audit.sessions.counts()
    return {
        "holds": verified.holds,
        "tenant": verified.manifest.tenant,
        "origin": verified.manifest.origin,
        "from": verified.manifest.first,
        "size": verified.manifest.size,
        "root": show_digest(verified.manifest.root),
        "head": str(head) if head else None,
        "signer": str(verified.signer) if verified.signer else None,
        "entries": verified.entries,
        "kinds": dict(sorted(audit.kinds.items())),
        "sessions_started": started,
        "sessions_sealed": sealed,
        "outcomes": {word: audit.sessions.outcomes[word] for word in DISPOSITIONS},
        "open_receipts": len(audit.sessions.open()),
        "bodies": verified.bodies,
        "bodies_absent": verified.bodies_absent,
        "canons": verified.canons,
        "canons_absent": verified.canons_absent,
        "left_out": sorted(verified.manifest.left_out),
        "canons_in_force": dict(sorted(audit.canons.in_force.items())),
        "compared": verified.compared,
        # Only `cognitionos verify` recomputes them.
        "decisions": None,
        "not_followed": audit.not_followed,
        "findings_total": verified.findings_total,
        "findings": [
            {"seq": finding.seq, "code": finding.code, "message": finding.message}
            for finding in verified.findings
        ],
    }


def as_text(verified: Verified) -> str:
    """The result for people."""
    manifest, audit = verified.manifest, verified.audit
    lines = [
        f"log        {manifest.origin}",
        f"entries    {verified.entries} of {manifest.size}, from {manifest.first}",
        f"bodies     {verified.bodies} match, {verified.bodies_absent} not here",
        f"canons     {verified.canons} match their digest, {verified.canons_absent} not here",
        f"signed by  {verified.signer or 'nobody who is trusted'}",
    ]
    outcomes = ", ".join(f"{audit.sessions.outcomes[word]} {word}" for word in DISPOSITIONS)
    lines.append(f"receipts   {audit.kinds['receipt']}")
    lines.append(f"outcomes   {outcomes}")
    if manifest.left_out:
        left_out = " and ".join(sorted(manifest.left_out))
        lines.append(f"left out   {left_out}, by whoever made the bundle")
    if verified.compared:
        lines.append(f"compared   with {verified.compared} earlier heads")
    lines.append("decisions  not recomputed here; `cognitionos verify` does, from the same bundle")
    if audit.not_followed:
        lines.append(f"           {audit.not_followed} references lead into the pruned part")
    lines.extend(f"WRONG      {finding}" for finding in verified.findings)
    if verified.findings_total > len(verified.findings):
        lines.append(f"           and {verified.findings_total - len(verified.findings)} more")
    wrong = f"does not hold: {verified.findings_total} findings"
    if any(finding.code == "bundle.newer" for finding in verified.findings):
        wrong = "is of a later release, and this verifier is too old for it"
    lines.append("the bundle holds" if verified.holds else f"the bundle {wrong}")
    return _printable("\n".join(lines))


def _printable(text: str) -> str:
    """Without what a hostile log or key file could send to a terminal, seen or not."""
    return "".join(
        letter if letter == "\n" or unicodedata.category(letter) not in _UNSEEN else "\ufffd"
        for letter in text
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cognitionos.verify",
        description="Check a CognitionOS bundle offline, with nothing but keys you trust.",
        epilog="exit codes: 0 the bundle holds, 1 something is wrong, 2 nothing to check",
    )
    parser.add_argument("bundle", metavar="BUNDLE", help="the .cogbundle file")
    parser.add_argument(
        "--key",
        action="append",
        required=True,
        metavar="FILE|VKEY",
        help="a key you trust, or a file of such (name+id+base64, one a line); may be repeated",
    )
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="FILE",
        help="a checkpoint, or another bundle of the same log; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _key(line: str) -> VerifierKey:
    try:
        return VerifierKey.parse(line)
    except Refused as error:
        raise BadInput(str(error)) from None


def _head(path: str) -> tuple[Checkpoint, bool]:
    with _open(path) as file:
        return read_head(file)


def _open(path: str) -> BinaryIO:
    # What is compared may be read twice, so a pipe will not do; to open one waits for nobody.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise BadInput(f"`{path}` is {_what(mode)}, not a file")
    return os.fdopen(descriptor, "rb")


def _what(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe" if stat.S_ISFIFO(mode) else "a device"


if __name__ == "__main__":
    sys.exit(main())
