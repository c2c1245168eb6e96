"""Heads of a log from another view of it, to compare a bundle with."""

from __future__ import annotations

from typing import BinaryIO

from ..checkpoint import Checkpoint
from ..errors import BadInput, Refused
from ..note import NOTE_BYTES_MAX
from .lines import LINE_BYTES_MAX, LineReader, Manifest, parse


def read_head(file: BinaryIO) -> tuple[Checkpoint, bool]:
    """The head in a file, not verified, and whether the file is a bundle."""
    start = file.readline(LINE_BYTES_MAX)
    if start.startswith(b"{"):
        Manifest.parse(start.removesuffix(b"\n"))
        return _last_checkpoint(file), True
    note = start + file.read(NOTE_BYTES_MAX + 1)
    try:
        return Checkpoint.parse(note.decode("utf-8")), False
    except (Refused, UnicodeDecodeError) as error:
        raise BadInput(f"to compare with: neither a checkpoint nor a bundle: {error}") from None


def _last_checkpoint(file: BinaryIO) -> Checkpoint:
    head = None
    try:
        for line in LineReader(file):
            if line.startswith(b'{"checkpoint":'):
                read = parse(line)
                head = read if isinstance(read, Checkpoint) else head
    except Refused as error:
        raise BadInput(f"to compare with: a bundle whose head cannot be read: {error}") from None
    if head is None:
        raise BadInput("to compare with: a bundle without a head")
    return head
