"""The other verifier, `cognitionos-verify`, to compare with."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Report:
    """What a verifier says of a bundle."""

    exit_code: int
    json: dict[str, Any] | None

    def findings(self) -> list[tuple[str, int]]:
        """Code and entry of each, as `pairs` gives them."""
        # Of what is no bundle it says why in a document of another kind.
        found = self.json.get("findings", []) if self.json else []
        return pairs([one["code"], one["seq"]] for one in found)


def pairs(findings: Iterable[list[Any]]) -> list[tuple[str, int]]:
    """Code and entry of each finding, sorted; -1 where it is about no entry."""
    found = ((one[0], one[1] if len(one) > 1 else None) for one in findings)
    return sorted((code, -1 if seq is None else seq) for code, seq in found)


def has_source() -> bool:
    """Whether the source is here, and cargo to build it."""
    return (ROOT / "apps" / "verify" / "Cargo.toml").is_file() and bool(shutil.which("cargo"))


def test(package: str, target: str, name: str, told: Mapping[str, str]) -> None:
    """Run one test of a package, which is told something by variables."""
    command = ["cargo", "test", "--quiet", "--package", package, "--test", target, "--", name]
    environment = os.environ | told
    subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)


@functools.cache
def program() -> str | None:
    """Where the program is: named in `COGNITIONOS_VERIFY`, or built from this source."""
    if named := os.environ.get("COGNITIONOS_VERIFY"):
        return named
    if not has_source():
        return None
    build = ["cargo", "build", "--quiet", "--package", "verify", "--message-format", "json"]
    done = subprocess.run(build, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    built = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    [path] = [one["executable"] for one in built if one.get("executable")]
    return str(path)


def verify(bundle: bytes, keys: Sequence[str], against: Sequence[str | bytes] = ()) -> Report:
    """Let the program check a bundle."""
    command = program()
    assert command is not None, "ask `program` first"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.cogbundle"
        path.write_bytes(bundle)
        arguments = [command, str(path), "--json"]
        for key in keys:
            arguments += ["--key", key]
        for view in against:
            other = Path(folder) / "other"
            other.write_bytes(view.encode() if isinstance(view, str) else view)
            arguments += ["--against", str(other)]
        done = subprocess.run(arguments, capture_output=True, timeout=60, check=False)
    return Report(done.returncode, json.loads(done.stdout) if done.stdout else None)
