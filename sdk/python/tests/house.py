"""A house that keeps a ledger: writes honest bundles, and dishonest ones when told to.

It shares nothing with the package under test.
"""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta, timezone
from typing import Any

from primitives import (
    Key,
    b64,
    canonical,
    checkpoint,
    digest,
    inclusion,
    leaf,
    root,
    sealed_lines,
    sha256,
    shown,
    subtrees,
)

DOMAIN = "accounts-payable"
EPOCH = datetime(2026, 11, 21, 4, 5, 6, tzinfo=timezone.utc)
CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
DISPOSITIONS = ("completed", "failed", "abandoned", "unknown")


class House:
    """A log with all that is beside it."""

    def __init__(self, seed: int, found: bool = True) -> None:
        self.chance = random.Random(seed)
        self.tenant = self.new_id("ten")
        self.origin = f"cognitionos.local/{self.tenant}"
        self.keys = [self.new_key()]
        self.entries: list[bytes] = []
        self.bodies: dict[int, tuple[bytes, bytes]] = {}
        self.handovers: dict[int, str] = {}
        self.canons: dict[str, dict[str, str]] = {}
        self.canon: str | None = None
        self.now = EPOCH
        self._sums: dict[str, dict[str, Any]] = {}
        if found:
            self.genesis()
            self.found_canon("first")

    def new_id(self, prefix: str) -> str:
        """An id, as TypeIDs are written."""
        tail = "".join(self.chance.choice(CROCKFORD) for _ in range(25))
        return f"{prefix}_{self.chance.choice('01')}{tail}"

    def new_key(self) -> Key:
        """A key for this log."""
        return Key(self.origin, self.chance.randbytes(32))

    @property
    def leaves(self) -> list[bytes]:
        """The leaf hashes."""
        return [leaf(entry) for entry in self.entries]

    def time(self, seconds: int = 0) -> str:
        """The time now, or so many seconds later."""
        at = self.now + timedelta(seconds=seconds)
        return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def record(self, kind: str, data: dict[str, Any], **members: Any) -> int:
        """Append an entry; a member that is `None` is left out."""
        self.now += timedelta(milliseconds=7)
        seq = len(self.entries)
        body = members.pop("body_text", None)
        entry: dict[str, Any] = {
            "v": 1,
            "tenant": self.tenant,
            "seq": seq,
            "at": self.time(),
            "kind": kind,
            "actor": "service:engine",
            "domain": DOMAIN,
            "environment": "test",
            "engine": "cognitionos/0.1.0",
            "data": data,
            "prev": shown(leaf(self.entries[-1])) if self.entries else None,
            "canon": self.canon,
        }
        if body is not None:
            salt, sealed = self.chance.randbytes(32), canonical({"output": body})
            entry["body"] = {"commit": shown(sha256(b"cognitionos/body/v1\n", salt, sealed))}
            self.bodies[seq] = (salt, sealed)
        entry.update(members)
        entry = {name: value for name, value in entry.items() if value is not None}
        self.entries.append(canonical(entry))
        if "session" in entry and kind != "session.sealed":
            self._count(entry["session"], kind, data)
        return seq

    def _count(self, session: str, kind: str, data: dict[str, Any]) -> None:
        empty = {"entries": 0, "receipts": 0, "denials": 0, "spent_micros": 0, "leaves": b""}
        sums = self._sums.setdefault(session, {**empty, "outcomes": dict.fromkeys(DISPOSITIONS, 0)})
        sums["entries"] += 1
        sums["receipts"] += kind == "receipt"
        sums["denials"] += kind == "denial"
        sums["leaves"] += leaf(self.entries[-1])
        if kind == "outcome":
            sums["outcomes"][data["disposition"]] += 1
            sums["spent_micros"] += data["cost_micros"]

    def genesis(self, **data: Any) -> int:
        """Open the log."""
        first = {"format": "cognitionos-ledger/v1", "origin": self.origin, "key": self.keys[0].line}
        return self.record("genesis", {**first, **data}, actor="service:ledger")

    def add_canon(self, name: str) -> str:
        """Files of a version of canon; gives its digest."""
        files = {
            "canon.toml": f'name = "{name}"\n',
            "policies/größe.cedar": "permit(principal, action, resource);\n",
            "tests/\U0001f600.yaml": '- "quoted\\"\n',
            "tests/\uffee.yaml": "- \x7f\n",
        }
        listed = canonical({path: digest(text) for path, text in files.items()})
        version = shown(sha256(b"cognitionos/canon/v1\n", listed))
        self.canons[version] = files
        return version

    def found_canon(self, name: str) -> None:
        """Put the first canon in force."""
        version = self.add_canon(name)
        data = {"digest": version, "basis": "genesis"}
        self.record("canon.activated", data, actor="user:founder", canon=version)
        self.canon = version

    def propose(
        self,
        name: str,
        evidence: list[int] | None = None,
        actor: str = "user:clerk",
        **data: Any,
    ) -> dict[str, Any]:
        """Propose a canon; gives proposal and digest."""
        proposal = {"proposal": self.new_id("prp"), "digest": self.add_canon(name)}
        more = {"base": self.canon, "evidence": evidence or [], **data}
        self.record("canon.proposed", {**proposal, **more}, actor=actor)
        return proposal

    def approve(self, proposal: dict[str, Any], who: str = "user:cfo") -> None:
        """Consent to a proposal."""
        self.record("canon.approved", proposal, actor=who)

    def activate(self, proposal: dict[str, Any], actor: str = "user:cfo", **data: Any) -> None:
        """Put a proposed canon in force."""
        change = {**proposal, "previous": self.canon, "basis": "change", **data}
        change = {name: value for name, value in change.items() if value is not None}
        self.record("canon.activated", change, actor=actor)
        self.canon = change["digest"]

    def change_canon(self, name: str) -> None:
        """The whole of change control, with evidence."""
        seen = self.record("evidence", {"source": "model", "digest": digest("seen")})
        proposal = self.propose(name, [seen])
        self.approve(proposal)
        promoted = {"proposal": proposal["proposal"], "evidence": [seen]}
        self.record("promotion", promoted, actor="user:cfo")
        self.activate(proposal)

    def start(self, session: str | None = None, **data: Any) -> str:
        """Begin a run."""
        session = session or self.new_id("run")
        started = {
            "workflow": "pay",
            "definition": digest("definition"),
            "inputs": digest("inputs"),
            "roots": {"payments": {"access": "write"}},
            "initiator": "user:clerk",
            **data,
        }
        actor, text = "user:clerk", 'Größe "\\\u0001\u2028\U0001f600'
        self.record("session.started", started, session=session, actor=actor, body_text=text)
        return session

    def plan(self, session: str, chosen: str = "sepa") -> None:
        """Choose among two plans."""
        candidates = [{"plan": plan, "digest": digest(plan)} for plan in ("sepa", "instant")]
        goal = 'Pay Größe "&" \u0007\n\U0001f600'
        data = {"id": self.new_id("pln"), "step": "pay", "goal": goal, "chosen": chosen}
        # With a goal, as it was written at first, and members beyond the known ones, whose UTF-16 order is not that of code points.
        more = {"candidates": candidates, "\U0001f600": [None, True, -5], "\uffee": {}}
        self.record("plan.selected", {**data, **more}, session=session)

    def effect(self, prefix: str, intent: str) -> dict[str, Any]:
        """What receipts, denials and requests for consent have in common."""
        return {
            "id": self.new_id(prefix),
            "intent": digest(intent),
            "action": "file.write",
            "resource": 'Root::"payments"',
            "step": "pay",
            "procedure": 1,
            "snapshot": digest("snapshot"),
        }

    def receipt(self, session: str, intent: str = "read", approvals: Any = (), **more: Any) -> str:
        """Authorise one effect; gives the receipt's id."""
        data = {
            **self.effect("rcp", intent),
            "effect": digest("args"),
            "expires": self.time(60),
            "reserve_micros": 2**53 - 1,
            "rules": ["pay.small"],
            "approvals": list(approvals),
        }
        members = {"actor": "agent:clerk", "session": session, "body_text": intent, **more}
        data.update(members.pop("data", {}))
        self.record("receipt", data, **members)
        return str(data["id"])

    def output(self, session: str, receipt: str, offset: int) -> None:
        """Give part of what an effect gives."""
        data = {"receipt": receipt, "name": "stdout", "offset": offset, "bytes": 5}
        self.record("output", data, session=session, body_text="hello")

    def outcome(self, session: str, receipt: str, how: str = "completed") -> None:
        """Say what happened under a receipt."""
        data = {"receipt": receipt, "disposition": how, "cost_micros": 150, "attempts": 1}
        self.record("outcome", data, session=session, body_text="IBAN DE02 1203 0000")

    def deny(self, session: str | None, **more: Any) -> str:
        """Refuse an effect; gives the denial's id."""
        checked = {"effect": digest("args"), "check": "canon", "code": "no-permit"}
        data = {**self.effect("dny", "injected"), **checked, **more.pop("data", {})}
        self.record("denial", data, session=session, actor="agent:clerk", **more)
        return str(data["id"])

    def ask(self, session: str, intent: str, of: Any, count: int = 1, **more: Any) -> str:
        """Ask for consent; gives the approval's id."""
        need = {"count": count, "of": list(of)}
        data = {**self.effect("apr", intent), "need": need, "expires": self.time(60)}
        data.update(more.pop("data", {}))
        self.record("approval.requested", data, session=session, actor="agent:clerk", **more)
        return str(data["id"])

    def answer(self, session: str, name: str, intent: str, who: str, **more: Any) -> None:
        """Consent, or withhold it when `reason` is given."""
        reason = more.pop("reason", None)
        kind = "approval.rejected" if reason else "approval.granted"
        data = {"id": name, "intent": digest(intent)}
        more.update({"body_text": reason} if reason else {})
        self.record(kind, data, session=session, actor=who, **more)

    def signal(self, session: str, name: str) -> None:
        """Send a run a message."""
        data = {"signal": name, "name": "payment"}
        self.record("signal", data, session=session, actor="user:shop", body_text="paid")

    def pause(self, session: str, pauses: bool = True) -> None:
        """Hold a run, or let it go on."""
        kind = "session.paused" if pauses else "session.unpaused"
        self.record(kind, {}, session=session, actor="user:cfo", body_text="look")

    def begin(self, parent: str, session: str, step: str = "sub") -> None:
        """A run asks for another."""
        named = {"definition": digest("sub"), "inputs": digest("inputs")}
        data = {"session": session, "step": step, "workflow": "./sub.yaml", **named}
        self.record("child.started", data, session=parent)

    def child(self, parent: str) -> str:
        """A run begins another."""
        session = self.new_id("run")
        self.begin(parent, session)
        return self.start(session, parent={"session": parent, "step": "sub"})

    def told(self, parent: str, session: str, status: str = "completed", step: str = "sub") -> None:
        """A run hears of the end of another."""
        data = {"session": session, "step": step, "status": status, "output": digest("output")}
        self.record("child.ended", data, session=parent, body_text="output")

    def goes_on(self, session: str, count: int = 1, **more: Any) -> str:
        """A run is sealed, and the next one begins in its place."""
        following = self.new_id("run")
        said = {"session": following, "inputs": digest("inputs")}
        self.seal(session, status="continued", continued=said)
        return self.start(following, continues={"session": session, "count": count}, **more)

    def asked(self, run: str, workflow: str = "definition", **more: Any) -> str:
        """Somebody asks for a run."""
        named = {"definition": digest(workflow), "inputs": digest("inputs")}
        data = {"id": run, "workflow": "pay", "priority": 5, **named, **more}
        self.record("session.queued", data, actor="user:clerk")
        return run

    def unqueued(self, run: str) -> None:
        """A run that waits never begins."""
        data = {"id": run, "why": "cancelled"}
        self.record("session.unqueued", data, actor="user:clerk", body_text="twice")

    def checkpoint(self, run: str, seq: int) -> None:
        """Name a place of a run."""
        data = {"id": self.new_id("chk"), "name": "here", "run": run, "seq": seq}
        self.record("checkpoint", data, actor="user:cfo")

    def own_checkpoint(self, session: str, run: str, seq: int | None = None) -> None:
        """A step of a run names a place."""
        data = {"id": self.new_id("chk"), "name": "here", "run": run}
        self.record("checkpoint", data if seq is None else {**data, "seq": seq}, session=session)

    def replayed(self, run: str) -> None:
        """Keep what came of recomputing a run."""
        counts = {"entries": 3, "decisions": 1, "findings": digest("findings")}
        data = {"id": self.new_id("rpl"), "run": run, "result": "same", **counts}
        self.record("replay", data, actor="user:cfo")

    def seal(self, session: str, **wrong: Any) -> None:
        """End a run."""
        sums = {name: value for name, value in self._sums[session].items() if name != "leaves"}
        trace = shown(sha256(b"cognitionos/trace/v1\n", self._sums[session]["leaves"]))
        data = {"status": "completed", **sums, "trace": trace, **wrong}
        self.record("session.sealed", data, session=session)

    def rotate(self, signers: tuple[int, ...] = (-2,), **data: Any) -> None:
        """Hand the log over to a new key; `signers` sign the head of it that a bundle has."""
        self.keys.append(self.new_key())
        change = {"from": self.keys[-2].line, "to": self.keys[-1].line, **data}
        self.record("key.rotated", change, actor="service:ledger")
        size, signing = len(self.entries), [self.keys[signer] for signer in signers]
        self.handovers[size] = checkpoint(self.origin, size, root(self.leaves), *signing)

    def prune(self, end: int, **wrong: Any) -> None:
        """Say that all before `end` is removed."""
        edge = shown(root(self.leaves[:end]))
        data = {"from": 0, "to": end, "root": edge}
        self.record("segment.pruned", {**data, **wrong}, actor="service:ledger")

    def erase(self, *entries: int, **wrong: Any) -> None:
        """Say that these bodies are erased, and erase them."""
        for seq in entries:
            self.bodies.pop(seq, None)
        data = {"subject": digest("ada"), "bodies": len(entries), "entries": list(entries)}
        self.record("bodies.erased", {**data, **wrong}, actor="user:cfo")

    def schedule(self, kind: str, **data: Any) -> None:
        """Set or remove a schedule, or decide one of its times."""
        self.record(f"schedule.{kind}", {"schedule": "nightly", **data}, actor="user:cfo")

    def schedule_set(self) -> None:
        """Have runs started at times."""
        when = {"id": "nightly", "cron": "@daily"}
        self.schedule("set", workflow="pay", when=when, digest=digest("nightly"))

    def fired(self, day: int, **asked: Any) -> None:
        """A run is started for a day."""
        run = self.new_id("run")
        self.schedule("fired", at=f"2026-11-{day}T00:00:00.000000Z", run=run, **asked)
        self.seal(self.start(run))

    def session(self) -> str:
        """A run with a bit of everything."""
        session = self.start()
        self.plan(session)
        self.outcome(session, self.receipt(session))
        self.deny(session)
        self.deny(session, canon=None)
        # What people do about approvals, canon and ledger may concern no run.
        self.deny(None, data={"action": "canon.approve"})
        approval = self.ask(session, "large", ["user:cfo", "user:ceo"], 2)
        self.answer(session, approval, "large", "user:cfo")
        self.answer(session, approval, "large", "user:ceo")
        self.outcome(session, self.receipt(session, "large", [approval]), "abandoned")
        self.outcome(session, self.receipt(session, "large", [approval]), "unknown")
        turned_down = self.ask(session, "huge", ["role:board"])
        self.answer(session, turned_down, "huge", "user:ceo", reason="too much")
        self.outcome(session, self.receipt(session, "hosts"), "failed")
        self.signal(session, "evt-1")
        child = self.child(session)
        self.seal(child)
        self.told(session, child)
        self.pause(session)
        self.pause(session, False)
        self.seal(session)
        return session

    @classmethod
    def honest(cls, seed: int, last: str = "open") -> House:
        """The whole life of a small ledger; `last` is the intent under way at its end."""
        house = cls(seed)
        house.session()
        house.schedule_set()
        house.fired(21)
        left_out = {"skipped": "missed", "times": 3}
        house.schedule("fired", at="2026-11-24T00:00:00.000000Z", **left_out)
        house.schedule("removed")
        house.rotate()
        house.change_canon("second")
        house.session()
        house.erase(house.bodies.popitem()[0])
        house.bodies.popitem()
        house.record("bodies.erased", {"subject": digest("as at first"), "bodies": 1})
        house.kept_from = len(house.entries)
        house.session()
        house.prune(house.kept_from)
        house.rotate()
        house.receipt(house.start(), last)
        return house

    kept_from = 0
    """From where `honest` says that entries are kept."""

    def head(self, size: int | None = None, *keys: Key) -> str:
        """The head, signed by the key in force unless others are given."""
        size = len(self.entries) if size is None else size
        signing = keys or (self.keys[-1],)
        return checkpoint(self.origin, size, root(self.leaves[:size]), *signing)

    def earlier(self, first: int) -> list[bytes]:
        """The lines of what put keys in force before `first`."""
        lines = []
        for seq, entry in enumerate(self.entries[:first]):
            if seq == 0 or seq + 1 in self.handovers:
                path = [shown(hash_) for hash_ in inclusion(self.leaves[:first], seq)]
                line: dict[str, Any] = {"entry": json.loads(entry), "path": path}
                if seq > 0:
                    line["head"] = self.handovers[seq + 1]
                lines.append(canonical({"earlier": line}))
        return lines

    def bundle(self, first: int = 0, bodies: bool = True, **wrong: Any) -> bytes:
        """The log as a bundle; `wrong` replaces parts of it."""
        kept = {seq: body for seq, body in self.bodies.items() if bodies and seq >= first}
        given = sum(size > first for size in self.handovers)
        keys = self.keys[len(self.keys) - 1 - given :] if first else self.keys
        named = b"".join(self.entries[first:])
        canons = {name: files for name, files in self.canons.items() if name.encode() in named}
        manifest = {
            "bundle": "cognitionos-bundle/v1",
            "tenant": self.tenant,
            "origin": self.origin,
            "from": first,
            "size": len(self.entries),
            "root": shown(root(self.leaves)),
            "entries": len(self.entries) - first,
            "bodies": len(kept),
            "canons": len(canons),
            **({} if bodies else {"left_out": ["bodies"]}),
            **wrong.get("manifest", {}),
        }
        lines = [canonical(manifest)]
        lines += [canonical({"key": key.line}) for key in wrong.get("keys", keys)]
        for version, files in sorted(canons.items()):
            lines.append(canonical({"canon": {"digest": version, "files": files}}))
        if first:
            edge = wrong.get("subtrees", subtrees(self.leaves[:first]))
            lines.append(canonical({"subtrees": [shown(hash_) for hash_ in edge]}))
            lines += wrong.get("earlier", self.earlier(first))
        lines += [b'{"entry":' + entry + b"}" for entry in self.entries[first:]]
        for seq, (salt, sealed) in kept.items():
            body = {"bytes": b64(sealed), "salt": b64(salt), "seq": seq}
            lines.append(canonical({"body": body}))
        heads = [head for size, head in self.handovers.items() if size > first]
        for head in [*heads, wrong.get("head", self.head())]:
            lines.append(canonical({"checkpoint": head}))
        return sealed_lines(lines)
