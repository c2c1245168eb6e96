"""Checking a bundle, in one pass and with nothing but the keys that the verifier brings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from ..audit import Audit
from ..checkpoint import Checkpoint
from ..entry import Entry
from ..errors import Refused
from ..findings import FINDINGS_MAX, Finding, Findings
from ..merkle import EMPTY_ROOT, Tree
from ..note import VerifierKey
from ..values import digest_in_context, show_digest
from .lines import Body, CanonFiles, Earlier, End, Line, LineReader, Manifest, Newer, Subtrees, parse
from .trust import Trust

_SCHEDULE_CONTEXT = "cognitionos/schedule/v1"
_ORDER = (VerifierKey, CanonFiles, Subtrees, Earlier, Entry, Body, Checkpoint, End)


@dataclass(frozen=True)
class Verified:
    """What came of checking a bundle."""

    manifest: Manifest
    findings: Sequence[Finding]
    """Everything that is wrong, up to a thousand."""
    findings_total: int
    head: Checkpoint | None
    """Trust it only when `signer` is there."""
    signer: VerifierKey | None
    """The trusted key that signed the head."""
    audit: Audit
    entries: int
    bodies: int
    """The bodies whose commitments hold."""
    bodies_absent: int
    """The entries that have a body which is not here: left out or erased.

    Without an entry or a manifest that says so, it is a finding."""
    canons: int
    """The versions of canon here whose files have their digest."""
    canons_absent: int
    """The versions that entries name and that are not here."""
    lines: int
    compared: int
    """How many earlier heads the log was compared with."""

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return self.findings_total == 0

    def codes(self) -> list[str]:
        """The codes of the findings, in order."""
        return [finding.code for finding in self.findings]

    def joined(self, longer: Verified) -> Verified:
        """This, with what is wrong in the longer view of the log that it is compared with."""
        there = "in the bundle to compare with: "
        found = [replace(one, message=there + one.message) for one in longer.findings]
        return replace(
            self,
            findings=(*self.findings, *found)[:FINDINGS_MAX],
            findings_total=self.findings_total + longer.findings_total,
            compared=self.compared + longer.compared,
        )


def verify_bundle(
    file: BinaryIO, trusted: Iterable[VerifierKey], against: Iterable[Checkpoint] = ()
) -> Verified:
    """Check a bundle against the keys and earlier heads that the verifier has.

    What is wrong inside becomes a finding; `BadInput` is raised for what is no bundle.
    """
    lines = LineReader(file)
    try:
        first = next(iter(lines), b"")
    except Refused:
        first = b""
    reading = _Reading(Manifest.parse(first), tuple(trusted), tuple(against))
    try:
        for line in lines:
            read = parse(line)
            if reading.is_ended:
                reading.find("bundle.end", f"line {lines.count} follows the end")
                break
            reading.line(read, lines)
    except Refused as refused:
        code = "bundle.newer" if isinstance(refused, Newer) else "bundle.line"
        reading.find(code, f"line {lines.count}: {refused}")
    return reading.finish(lines.count)


class _Reading:
    """A bundle as far as it is read."""

    def __init__(
        self,
        manifest: Manifest,
        trusted: tuple[VerifierKey, ...],
        against: tuple[Checkpoint, ...],
    ) -> None:
        self.is_ended = False
        self._manifest = manifest
        self._trusted = trusted
        self._against = against
        self._audit = Audit(manifest.first)
        self._section = 0
        self._keys: list[VerifierKey] = []
        self._tree = Tree() if manifest.first == 0 else None
        self._wanted = {manifest.first, *(head.size for head in against)}
        self._roots = {0: EMPTY_ROOT}
        self._commits: dict[int, str] = {}
        self._schedules: dict[int, Entry] = {}
        """The entries that set schedules, whose bodies have not come yet."""
        self._canons_here: list[str] = []
        self._canons_named: dict[str, int] = {}
        """The versions that entries name, and the first that does."""
        self._checkpoints: list[Checkpoint] = []
        self._last_earlier = -1
        self._earlier_heads: list[Checkpoint] = []
        """The heads of hand-overs in the pruned part."""
        self._entries = self._bodies = self._canons = 0
        self._last_body = -1

    def find(self, code: str, message: str, seq: int | None = None) -> None:
        """Note what is wrong."""
        self._audit.findings.add(seq, code, message)

    def line(self, line: Line, lines: LineReader) -> None:
        """Take in a line."""
        section = _ORDER.index(type(line))
        if section < self._section:
            self.find("bundle.order", f"line {lines.count} does not belong there")
        self._section = section
        if isinstance(line, Entry):
            self._entry(line)
        elif isinstance(line, Body):
            self._body(line)
        elif isinstance(line, VerifierKey):
            self._keys.append(line)
        elif isinstance(line, CanonFiles):
            self._canon(line)
        elif isinstance(line, Subtrees):
            self._subtrees(line)
        elif isinstance(line, Earlier):
            self._earlier(line)
        elif isinstance(line, Checkpoint):
            self._checkpoints.append(line)
        else:
            self.is_ended = True
            if line.digest != lines.digest_before() or line.lines != lines.count - 1:
                self.find("bundle.digest", "the lines before the last are not those it names")

    def _canon(self, canon: CanonFiles) -> None:
        if self._canons_here and self._canons_here[-1] >= show_digest(canon.digest):
            digest = show_digest(canon.digest)
            self.find("canon.order", f"canon {digest} is out of order or there twice")
        self._canons_here.append(show_digest(canon.digest))
        if canon.computed() == canon.digest:
            self._canons += 1
        else:
            digest = show_digest(canon.digest)
            self.find("canon.files", f"the files of canon {digest} do not have its digest")

    def _subtrees(self, subtrees: Subtrees) -> None:
        first = self._manifest.first
        try:
            tree = Tree(first, subtrees.roots)
        except Refused:
            tree = None
        if tree is None or first == 0 or self._tree is not None:
            self.find("bundle.subtrees", "the subtrees do not fit the pruned part")
        else:
            self._tree = tree
            self._note_root(tree)

    def _earlier(self, earlier: Earlier) -> None:
        """An entry of the pruned part is one of this log if it is in the tree of that part."""
        first, seq = self._manifest.first, earlier.entry.seq
        root = self._roots.get(first) if first else None
        after = earlier.root_after(first, root) if root else None
        is_next = self._last_earlier < seq and (seq == 0 or self._last_earlier >= 0)
        self._last_earlier = max(self._last_earlier, seq)
        if after is None or not is_next:
            message = "it is not in its place in the tree of the pruned part"
            self.find("bundle.earlier", message, seq)
            return
        self._audit.earlier(earlier.entry)
        if earlier.head is not None:
            self._roots[seq + 1] = after
            self._earlier_heads.append(earlier.head)

    def _entry(self, entry: Entry) -> None:
        self._entries += 1
        keys_before = len(self._audit.keys)
        self._audit.entry(entry)
        if len(self._audit.keys) > keys_before and entry.kind == "key.rotated":
            self._wanted.add(entry.seq + 1)
        named = [entry.canon]
        if entry.kind in ("canon.proposed", "canon.activated"):
            named.append(entry.data["digest"])
        for canon in named:
            if canon is not None:
                self._canons_named.setdefault(canon, entry.seq)
        if entry.commit is not None:
            self._commits[entry.seq] = entry.commit
            if entry.kind == "schedule.set":
                self._schedules[entry.seq] = entry
        if self._tree is not None:
            self._tree.add(entry.leaf)
            self._note_root(self._tree)
        elif self._entries == 1:
            self.find("bundle.subtrees", "the hashes of the pruned part are missing")

    def _note_root(self, tree: Tree) -> None:
        if tree.size in self._wanted:
            self._roots[tree.size] = tree.root()

    def _body(self, body: Body) -> None:
        if body.seq <= self._last_body:
            self.find("body.order", "its body is out of order or there twice", body.seq)
        self._last_body = body.seq
        erasure = self._audit.erasures.named.get(body.seq)
        if erasure is not None:
            message = f"its body is here, and entry {erasure} says that it was erased"
            self.find("body.not_erased", message, body.seq)
        if body.seq in self._schedules and not _is_of(self._schedules.pop(body.seq), body.data):
            message = "it names another schedule than stands beside it"
            self.find("schedule.differs", message, body.seq)
        commit = self._commits.pop(body.seq, None)
        if commit is None:
            self.find("body.unknown", "a body is here that no entry commits to", body.seq)
        elif commit != body.commitment():
            self.find("body.changed", "its body is not what the entry commits to", body.seq)
        else:
            self._bodies += 1

    def finish(self, lines: int) -> Verified:
        """Judge the whole."""
        if not self.is_ended:
            self.find("bundle.end", "the bundle breaks off: its last line is missing")
        head = self._checkpoints.pop() if self._checkpoints else None
        self._check_manifest(head)
        if head is None:
            self.find("head.missing", "there is no signed head")
        else:
            self._check_tree(head)
        self._audit.finish()
        canons_absent = self._check_absent()
        self._check_pruned()
        signer = self._signer(head) if head else None
        self._check_keys()
        for earlier in self._against:
            self._compare(earlier, signer)
        findings: Findings = self._audit.findings
        return Verified(
            manifest=self._manifest,
            findings=tuple(findings.kept),
            findings_total=findings.total,
            head=head,
            signer=signer,
            audit=self._audit,
            entries=self._entries,
            bodies=self._bodies,
            bodies_absent=len(self._commits),
            canons=self._canons,
            canons_absent=canons_absent,
            lines=lines,
            compared=len(self._against),
        )

    def _check_manifest(self, head: Checkpoint | None) -> None:
        stated, audit = self._manifest, self._audit
        for name, found, expected in (
            ("entries", self._entries, stated.entries),
            ("canons", self._canons, stated.canons),
            ("bodies", self._bodies, stated.bodies),
        ):
            if found != expected:
                message = f"the manifest states {expected} {name}, {found} hold"
                self.find("manifest.wrong", message)
        if audit.tenant not in (None, stated.tenant):
            self.find("manifest.wrong", "the manifest names another tenant")
        if audit.origin not in (None, stated.origin):
            self.find("manifest.wrong", "the manifest names another origin")
        if head is not None and head.origin != stated.origin:
            self.find("manifest.wrong", "the manifest names another origin than the head")

    def _check_absent(self) -> int:
        """What entries name must be here, or something must say why it is not."""
        left_out = self._manifest.left_out
        for part, stated in (
            ("bodies", self._manifest.bodies),
            ("canons", self._manifest.canons),
        ):
            if part in left_out and stated > 0:
                self.find("manifest.wrong", f"the manifest says that {part} were left out")
        here = set(self._canons_here)
        absent = [name for name in self._canons_named if name not in here]
        # Of a bundle that breaks off, nobody knows what it had.
        if not self.is_ended:
            return len(absent)
        if "bodies" not in left_out:
            self._audit.erasures.check(self._commits)
        elif self._audit.erasures.explain_all(self._commits):
            message = "the manifest says that bodies were left out, and none was"
            self.find("manifest.wrong", message)
        for name in sorted(here.difference(self._canons_named)):
            self.find("canon.unknown", f"the canon {name} is here, and no entry names it")
        if "canons" not in left_out:
            for name in absent:
                message = f"it names the canon {name}, whose files are not here"
                self.find("canon.absent", message, self._canons_named[name])
        elif not absent:
            message = "the manifest says that canons were left out, and none was"
            self.find("manifest.wrong", message)
        return len(absent)

    def _check_tree(self, head: Checkpoint) -> None:
        """The tree over the entries is the one that was signed."""
        tree = self._tree
        if tree is None:
            # Said already: the hashes of the pruned part are missing.
            return
        root = tree.root()
        if head.size != tree.size:
            message = f"the signed head is of {head.size} entries, here are {tree.size}"
            self.find("head.size", message)
        elif head.root != root:
            self.find("head.root", "the entries are not those that were signed: roots differ")
        if (self._manifest.size, self._manifest.root) != (tree.size, root):
            message = "the manifest states another size or root than the entries have"
            self.find("manifest.wrong", message)

    def _check_pruned(self) -> None:
        first, audit = self._manifest.first, self._audit
        if first > 0:
            root = self._roots.get(first)
            if root is None or audit.pruned.get(first) != root:
                message = "no entry says that the missing part was pruned, with its root"
                self.find("prune.unexplained", message)

    def _check_keys(self) -> None:
        """The keys here are those that were in force in the kept part, in order."""
        first, named = self._manifest.first, self._audit.keys
        if first > 0 and not (named and named[0].giver is None):
            message = "the entry that began the log is not here: no key can be followed from it"
            self.find("bundle.earlier", message)
            return
        # The last key of the pruned part is in force where the kept part begins.
        before = sum(step.seq < first for step in named)
        if self._keys != [step.key for step in named[max(before - 1, 0) :]]:
            message = "the keys named in the bundle are not those of the log"
            self.find("bundle.keys", message)

    def _signer(self, head: Checkpoint) -> VerifierKey | None:
        trust = Trust(
            self._manifest.origin,
            self._trusted,
            self._audit.keys,
            [*self._earlier_heads, *self._checkpoints],
            self._roots,
        )
        return trust.signer(head, self._audit.findings)

    def _compare(self, earlier: Checkpoint, signer: VerifierKey | None) -> None:
        """The log must have grown from a head seen earlier."""
        # Keys in force earlier count for earlier heads, once the chain is trusted.
        chain = [key for step in self._audit.keys for key in step.keys] if signer else []
        then, now = earlier.size, self._manifest.size
        try:
            earlier.verify(self._manifest.origin, [*self._trusted, *chain])
        except Refused as error:
            message = f"the head to compare with is not acceptable: {error}"
            self.find("against.untrusted", message)
            return
        root = self._roots.get(then)
        if then > now:
            message = f"the log had {then} entries, here are {now}: some are missing"
            self.find("against.shorter", message)
        elif root is None:
            message = f"the first {then} entries were pruned in part and cannot be compared"
            self.find("against.pruned", message)
        elif root != earlier.root:
            message = f"the first {then} entries are not those signed: the log was split"
            self.find("against.split", message)


def _is_of(entry: Entry, data: bytes) -> bool:
    """Whether these are the bytes that an entry which sets a schedule names."""
    try:
        body = json.loads(data)
    except ValueError:
        return False
    is_same = isinstance(body, dict) and body.get("when") == entry.data["when"]
    digest = show_digest(digest_in_context(_SCHEDULE_CONTEXT, data))
    return is_same and bool(digest == entry.data["digest"])
