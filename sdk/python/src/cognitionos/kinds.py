"""The catalogue of entry kinds, and the members that the `data` of each must have.

Members beyond these are allowed, so that a later release can say more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .errors import Refused
from .values import is_count, is_digest, is_id, is_time

LEDGER_FORMAT = "cognitionos-ledger/v1"
"""The format that a genesis entry names."""
DISPOSITIONS = ("completed", "failed", "abandoned", "unknown")
"""How an effect can have ended."""
ACTS = (
    "approval.answer",
    "canon.propose",
    "canon.approve",
    "canon.reject",
    "canon.activate",
    "ledger.rotate",
    "ledger.erase",
    "ledger.prune",
    "run.start",
    "run.withdraw",
    "schedule.change",
    "schedule.fire",
    "workflow.activate",
)
"""What people do about approvals, canon and ledger: what is refused of it may concern no run."""

WHEN_FULL = ("queue", "refuse", "cancel_running")
"""What happens to a run when as many of its key are open as may be."""

_Shape = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _word(*words: str) -> _Shape:
    return lambda value: isinstance(value, str) and value in words


def _id(prefix: str) -> _Shape:
    return lambda value: is_id(prefix, value)


def _list(shape: _Shape) -> _Shape:
    return lambda value: isinstance(value, list) and all(map(shape, value))


def _tested(value: Any) -> bool:
    words = ("same", "differs", "earlier", "unknown")
    return isinstance(value, dict) and all(is_count(value.get(word)) for word in words)


def _positive(value: Any) -> bool:
    return is_count(value) and value > 0


def _bounded(bound: str, **more: _Shape) -> _Shape:
    """A limit of its own for each key: so many, one at least, in 32 bits."""

    def fits(value: Any) -> bool:
        return (
            isinstance(value, dict)
            and is_digest(value.get("key"))
            and _positive(value.get(bound))
            and value[bound] < 2**32
            and all(shape(value.get(name)) for name, shape in more.items())
        )

    return fits


def _labels(value: Any) -> bool:
    """What a run is found by: at most 16 names with a text each."""
    return (
        isinstance(value, dict)
        and len(value) <= 16
        and all(
            1 <= len(name.encode()) <= 64 and isinstance(text, str) and 1 <= len(text.encode()) <= 128
            for name, text in value.items()
        )
    )


def _parent(value: Any) -> bool:
    return isinstance(value, dict) and _id("run")(value.get("session")) and _text(value.get("step"))


def _dispositions(value: Any) -> bool:
    return isinstance(value, dict) and all(is_count(value.get(word)) for word in DISPOSITIONS)


def _need(value: Any) -> bool:
    return isinstance(value, dict) and is_count(value.get("count")) and _texts(value.get("of"))


def _fork(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return _id("run")(value.get("session")) and is_count(value.get("seq"))


def _continues(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return _id("run")(value.get("session")) and _positive(value.get("count"))


def _continued(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return _id("run")(value.get("session")) and is_digest(value.get("inputs"))


def _amount(value: Any) -> bool:
    """A count, as text where it is beyond 53 bits."""
    if is_count(value):
        return True
    is_text = isinstance(value, str) and value.isascii() and value.isdigit()
    return is_text and str(int(value)) == value and int(value) < 1 << 64


def _limited(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    sums = value.get("sums", {})
    is_sums = isinstance(sums, dict) and all(map(_amount, sums.values()))
    return is_sums and _texts(value.get("policies", []))


def _periods(value: Any) -> bool:
    """What a receipt counts in the periods of its domain."""
    if not isinstance(value, dict) or not isinstance(value.get("per"), dict):
        return False
    return (
        is_time(value.get("at"))
        and _amount(value.get("amount", 0))
        and _list(is_digest)(value.get("writes", []))
        and all(map(_limited, value["per"].values()))
    )


def _event(value: Any) -> bool:
    """Which event starts something."""
    return isinstance(value, dict) and _text(value.get("type")) and _text(value.get("source", ""))


def _trigger(value: Any) -> bool:
    """The event that started a run."""
    return (
        isinstance(value, dict)
        and _text(value.get("id"))
        and is_digest(value.get("event"))
        and is_count(value.get("hops"))
    )


def _keyed(value: Any) -> bool:
    """The key that a run was asked for under, and what was asked for."""
    return isinstance(value, dict) and is_digest(value.get("key")) and is_digest(value.get("request"))


def _when(value: Any) -> bool:
    """When a schedule starts something: its id, and one rule."""
    if not isinstance(value, dict) or "id" not in value:
        return False
    shapes = {
        **dict.fromkeys(("id", "cron", "timezone", "overlap"), _text),
        **dict.fromkeys(("every_ms", "offset_ms", "jitter_ms", "catch_up_minutes"), is_count),
        **dict.fromkeys(("at", "from", "until"), is_time),
        "event": _event,
    }
    rules = [name for name in ("cron", "every_ms", "at", "event") if name in value]
    return len(rules) == 1 and all(shapes[name](value[name]) for name in value if name in shapes)


_texts = _list(_text)
_counts = _list(is_count)

_EFFECT: Mapping[str, _Shape] = {
    "intent": is_digest,
    "action": _text,
    "resource": _text,
    "step": _text,
    "procedure": is_count,
    "snapshot": is_digest,
}
_PROPOSAL: Mapping[str, _Shape] = {"proposal": _id("prp"), "digest": is_digest}
_ANSWER: Mapping[str, _Shape] = {"id": _id("apr"), "intent": is_digest}

# For each kind: whether it belongs to a session, what it must have, what it may have.
_KINDS: Mapping[str, tuple[bool, Mapping[str, _Shape], Mapping[str, _Shape]]] = {
    "genesis": (False, {"format": _word(LEDGER_FORMAT), "origin": _text, "key": _text}, {}),
    "key.rotated": (False, {"from": _text, "to": _text}, {}),
    "canon.proposed": (
        False,
        _PROPOSAL,
        {"base": is_digest, "evidence": _counts},
    ),
    "canon.approved": (False, _PROPOSAL, {}),
    "canon.rejected": (False, _PROPOSAL, {}),
    "canon.activated": (
        False,
        {"digest": is_digest, "basis": _word("genesis", "change")},
        {"previous": is_digest, "proposal": _id("prp")},
    ),
    "evidence": (False, {"source": _text, "digest": is_digest}, {"note": _text}),
    "promotion": (False, {"proposal": _id("prp"), "evidence": _counts}, {}),
    "session.started": (
        True,
        {
            "workflow": _text,
            "definition": is_digest,
            "inputs": is_digest,
            "roots": _object,
            "initiator": _text,
        },
        {
            "canon": is_digest,
            "children": _object,
            "parent": _parent,
            "fork": _fork,
            "labels": _labels,
            "trigger": _trigger,
            "keyed": _keyed,
            "continues": _continues,
        },
    ),
    "plan.selected": (
        True,
        {"id": _id("pln"), "step": _text, "candidates": _list(_object)},
        # The goal stands in the body; in the entry it did at first.
        {"chosen": _text, "goal": _text},
    ),
    "receipt": (
        True,
        {
            **_EFFECT,
            "id": _id("rcp"),
            "effect": is_digest,
            "expires": is_time,
            "reserve_micros": is_count,
            "rules": _texts,
            "approvals": _texts,
        },
        {"counts": _periods},
    ),
    "denial": (
        True,
        {**_EFFECT, "id": _id("dny"), "effect": is_digest, "check": _text, "code": _text},
        {"rule": _text},
    ),
    "approval.requested": (
        True,
        {**_EFFECT, "id": _id("apr"), "need": _need, "expires": is_time},
        {},
    ),
    "approval.escalated": (True, {**_ANSWER, "of": _texts}, {}),
    "approval.delegated": (True, {**_ANSWER, "to": _text}, {}),
    "approval.granted": (True, _ANSWER, {"for": _text}),
    "approval.rejected": (True, _ANSWER, {"for": _text}),
    "output": (
        True,
        {"receipt": _id("rcp"), "name": _text, "offset": is_count, "bytes": is_count},
        {},
    ),
    "outcome": (
        True,
        {
            "receipt": _id("rcp"),
            "disposition": _word(*DISPOSITIONS),
            "cost_micros": is_count,
            "attempts": is_count,
        },
        {"code": _text},
    ),
    "signal": (True, {"signal": _text, "name": _text}, {}),
    "session.paused": (True, {}, {"with": _id("run")}),
    "session.unpaused": (True, {}, {"with": _id("run")}),
    "child.started": (
        True,
        {
            "session": _id("run"),
            "step": _text,
            "workflow": _text,
            "definition": is_digest,
            "inputs": is_digest,
        },
        {},
    ),
    "child.ended": (
        True,
        {"session": _id("run"), "step": _text, "status": _text, "output": is_digest},
        {},
    ),
    "session.sealed": (
        True,
        {
            "status": _text,
            "entries": is_count,
            "receipts": is_count,
            "denials": is_count,
            "outcomes": _dispositions,
            "spent_micros": is_count,
            "trace": is_digest,
        },
        {"continued": _continued},
    ),
    "schedule.set": (
        False,
        {"schedule": _text, "workflow": _text, "when": _when, "digest": is_digest},
        {},
    ),
    "schedule.removed": (False, {"schedule": _text}, {}),
    "schedule.paused": (False, {"schedule": _text}, {}),
    "schedule.unpaused": (False, {"schedule": _text}, {}),
    "workflow.activated": (
        False,
        {"workflow": _text, "definition": is_digest, "version": is_count, "tested": _tested},
        {"children": _object},
    ),
    "schedule.fired": (
        False,
        {"schedule": _text, "at": is_time},
        {
            "run": _id("run"),
            "skipped": _word("overlap", "missed", "not_started"),
            "times": is_count,
            "reason": _text,
            "by": _text,
        },
    ),
    "session.queued": (
        False,
        {
            "id": _id("run"),
            "workflow": _text,
            "definition": is_digest,
            "inputs": is_digest,
            "priority": lambda value: is_count(value) and value <= 9,
        },
        {
            "not_before": is_time,
            "concurrency": _bounded("limit", when_full=_word(*WHEN_FULL)),
            "rate": _bounded("count", per_seconds=_positive),
            "since": is_count,
            "labels": _labels,
            "trigger": _trigger,
            "keyed": _keyed,
        },
    ),
    "session.unqueued": (
        False,
        {"id": _id("run"), "why": _word("refused", "cancelled", "failed")},
        {},
    ),
    "bodies.erased": (
        False,
        {"bodies": is_count},
        {
            "subject": is_digest,
            "basis": _word("entries", "retention"),
            "entries": _counts,
        },
    ),
    "checkpoint": (
        False,
        {"id": _id("chk"), "name": _text, "run": _id("run")},
        {"seq": is_count, "step": _text},
    ),
    "replay": (
        False,
        {
            "id": _id("rpl"),
            "run": _id("run"),
            "result": _word("same", "erased", "pruned", "differs", "damaged", "unknown"),
            "entries": is_count,
            "decisions": is_count,
            "findings": is_digest,
        },
        {"canon": is_digest},
    ),
    "segment.pruned": (
        False,
        {"from": is_count, "to": is_count, "root": is_digest},
        {},
    ),
}

KINDS = tuple(_KINDS)
"""Every kind there is; a reader refuses any other."""


def check(kind: object, data: Mapping[str, Any], has_session: bool) -> None:
    """Refuse a kind that is not known, or `data` without its members."""
    if not isinstance(kind, str) or kind not in _KINDS:
        raise Refused(f"`{str(kind)[:40]}` is not a kind of entry")
    in_session, required, optional = _KINDS[kind]
    is_act = kind == "denial" and data.get("action") in ACTS
    if in_session and not has_session and not is_act:
        raise Refused(f"an entry of kind `{kind}` belongs to a run and must name it")
    for name, shape in required.items():
        if name not in data or not shape(data[name]):
            raise Refused(f"an entry of kind `{kind}` needs a right data.{name}")
    for name, shape in optional.items():
        if name in data and not shape(data[name]):
            raise Refused(f"an entry of kind `{kind}` has a wrong data.{name}")
