//! Notices as JSON, one event a line: the stable form for programs.

use cog_base::Value;
use cog_base::id::{ApprovalId, ReceiptId, RunId};
use cog_engine::admission::told;
use cog_engine::{Notice, Sealed, What};
use cog_gate::Wish;

type Pairs = Vec<(&'static str, Value)>;

/// A notice as an event: `event`, `run`, and what belongs to it.
pub(crate) fn event(notice: &Notice) -> Value {
    let (name, mut pairs) = named(&notice.what);
    pairs.push(("event", name.into()));
    pairs.push(("run", notice.run.into()));
    Value::map(pairs)
}

fn named(what: &What) -> (&'static str, Pairs) {
    of_effect(what).or_else(|| of_outside(what)).unwrap_or_else(|| of_run(what))
}

fn texts(list: &[String]) -> Value {
    Value::list(list.iter().map(String::as_str))
}

/// What happened to one effect.
fn of_effect(what: &What) -> Option<(&'static str, Pairs)> {
    Some(match what {
        What::Permitted { step, receipt, actor, action, resource } => (
            "permitted",
            vec![
                ("step", step.as_str().into()),
                ("receipt", (*receipt).into()),
                ("actor", actor.as_str().into()),
                ("action", action.as_str().into()),
                ("resource", resource.as_str().into()),
            ],
        ),
        What::Refused { step, denial, code, reason, flips } => (
            "refused",
            vec![
                ("step", step.as_str().into()),
                ("denial", (*denial).into()),
                ("code", code.as_str().into()),
                ("reason", reason.as_str().into()),
                ("flips", texts(flips)),
            ],
        ),
        What::Given { step, receipt, name, text } => {
            ("output", told_of(step, *receipt, &[("name", *name), ("text", text)]))
        }
        What::Retried { step, receipt, message } => {
            ("retried", told_of(step, *receipt, &[("message", message)]))
        }
        What::Settled { step, receipt, disposition, message, cost } => (
            "settled",
            vec![
                ("step", step.as_str().into()),
                ("receipt", (*receipt).into()),
                ("disposition", (*disposition).into()),
                ("message", message.as_deref().into()),
                ("cost_micros", (*cost).into()),
            ],
        ),
        What::Waiting { step, keys } => {
            ("waiting", vec![("step", step.as_str().into()), ("keys", texts(keys))])
        }
        What::Fell { step, message } => {
            ("fell", vec![("step", step.as_str().into()), ("message", message.as_str().into())])
        }
        What::Sleeping { step, ms } => {
            ("sleeping", vec![("step", step.as_str().into()), ("ms", (*ms).into())])
        }
        What::Begun { step, child, workflow } => ("begun", begun(step, *child, workflow)),
        What::Started { .. }
        | What::Asked { .. }
        | What::Escalated { .. }
        | What::Planned { .. }
        | What::Listening { .. }
        | What::Held { .. }
        | What::NotPaused { .. }
        | What::Signalled { .. }
        | What::NotTaken { .. }
        | What::NotCounted { .. }
        | What::NotGranted { .. }
        | What::EndsAlready { .. }
        | What::Parked { .. }
        | What::Sealed(_)
        | What::NotBegun { .. }
        | What::Queued { .. }
        | What::Called
        | What::Unqueued { .. }
        | What::Stopped { .. } => return None,
    })
}

fn told_of(step: &str, receipt: ReceiptId, texts: &[(&'static str, &str)]) -> Pairs {
    let texts = texts.iter().map(|(name, text)| (*name, Value::from(*text)));
    [("step", step.into()), ("receipt", receipt.into())].into_iter().chain(texts).collect()
}

fn listening(step: &str, signal: &str, timeout_ms: Option<u64>) -> Pairs {
    vec![("step", step.into()), ("signal", signal.into()), ("timeout_ms", timeout_ms.into())]
}

fn begun(step: &str, child: RunId, workflow: &str) -> Pairs {
    vec![("step", step.into()), ("child", child.into()), ("workflow", workflow.into())]
}

const fn not_granted(wish: Wish) -> &'static str {
    match wish {
        Wish::Cancel => "not_cancelled",
        Wish::Pause => "not_paused",
        Wish::Unpause => "not_unpaused",
    }
}

/// What somebody outside sent or did, and what is waited for.
fn of_outside(what: &What) -> Option<(&'static str, Pairs)> {
    Some(match what {
        What::NotCounted { approval, message, denial } => (
            "not_counted",
            vec![
                ("approval", (*approval).into()),
                ("message", message.as_str().into()),
                ("denial", (*denial).into()),
            ],
        ),
        What::NotGranted { wish, who, denial, code, reason, flips } => (
            not_granted(*wish),
            vec![
                ("who", who.as_str().into()),
                ("denial", (*denial).into()),
                ("code", code.as_str().into()),
                ("reason", reason.as_str().into()),
                ("flips", texts(flips)),
            ],
        ),
        What::EndsAlready { cancelled } => {
            let by = cancelled.as_ref().map(|it| it.by.as_str());
            let reason = cancelled.as_ref().map(|it| it.reason.as_str());
            ("ends_already", vec![("by", by.into()), ("reason", reason.into())])
        }
        What::Listening { step, signal, timeout_ms } => {
            ("listening", listening(step, signal, *timeout_ms))
        }
        What::Signalled { signal, name, from, again } => (
            "signalled",
            vec![
                ("signal", signal.as_str().into()),
                ("name", name.as_str().into()),
                ("from", from.as_str().into()),
                ("again", (*again).into()),
            ],
        ),
        What::NotTaken { signal, message } => (
            "not_taken",
            vec![("signal", signal.as_str().into()), ("message", message.as_str().into())],
        ),
        What::Held { pauses, by, reason } => (
            if *pauses { "paused" } else { "unpaused" },
            vec![("by", by.as_str().into()), ("reason", reason.as_str().into())],
        ),
        What::NotPaused { pauses, who, message } => (
            if *pauses { "not_paused" } else { "not_unpaused" },
            vec![("who", who.as_str().into()), ("message", message.as_str().into())],
        ),
        What::Given { .. }
        | What::Permitted { .. }
        | What::Refused { .. }
        | What::Waiting { .. }
        | What::Retried { .. }
        | What::Settled { .. }
        | What::Fell { .. }
        | What::Sleeping { .. }
        | What::Begun { .. }
        | What::Started { .. }
        | What::Asked { .. }
        | What::Escalated { .. }
        | What::Planned { .. }
        | What::Parked { .. }
        | What::Sealed(_)
        | What::NotBegun { .. }
        | What::Queued { .. }
        | What::Called
        | What::Unqueued { .. }
        | What::Stopped { .. } => return None,
    })
}

fn asked(
    step: &str,
    approval: ApprovalId,
    more: impl IntoIterator<Item = (&'static str, Value)>,
) -> Pairs {
    let named = [("step", step.into()), ("approval", approval.into())];
    named.into_iter().chain(more).collect()
}

/// What happened to the run.
fn of_run(what: &What) -> (&'static str, Pairs) {
    match what {
        What::Started { workflow } => ("started", vec![("workflow", workflow.as_str().into())]),
        What::Asked { step, approval, need, about } => {
            let more = [("count", need.count.into()), ("of", texts(&need.of))];
            let more = more.into_iter().chain([("about", about.as_str().into())]);
            ("asked", asked(step, *approval, more))
        }
        What::Escalated { step, approval, of } => {
            ("escalated", asked(step, *approval, [("of", texts(of))]))
        }
        What::Planned { step, selection, goal, chosen, candidates } => (
            "planned",
            vec![
                ("step", step.as_str().into()),
                ("selection", (*selection).into()),
                ("goal", goal.as_str().into()),
                ("chosen", chosen.as_deref().into()),
                ("candidates", candidates.clone()),
            ],
        ),
        What::Parked { approvals, signals, children, paused } => {
            let signal = |(step, name): &(String, String)| {
                Value::map([("step", step.as_str()), ("signal", name.as_str())])
            };
            (
                "parked",
                vec![
                    ("approvals", Value::list(approvals.iter().copied())),
                    ("signals", Value::list(signals.iter().map(signal))),
                    ("children", Value::list(children.iter().copied())),
                    ("paused", paused.as_ref().map(|paused| paused.by.as_str()).into()),
                ],
            )
        }
        What::Sealed(sealed) => ("sealed", of_seal(sealed)),
        What::Queued { waits, ends } => (
            "queued",
            vec![("waits", told(waits).into()), ("ends", Value::list(ends.iter().copied()))],
        ),
        What::Called => ("called", Vec::new()),
        What::Unqueued { why, reason } => {
            ("unqueued", vec![("why", (*why).into()), ("reason", reason.as_str().into())])
        }
        What::NotBegun { message } | What::Stopped { message } => {
            ("stopped", vec![("message", message.as_str().into())])
        }
        What::Permitted { .. }
        | What::Refused { .. }
        | What::Waiting { .. }
        | What::Retried { .. }
        | What::Fell { .. }
        | What::Sleeping { .. }
        | What::Begun { .. }
        | What::Listening { .. }
        | What::Given { .. }
        | What::Signalled { .. }
        | What::NotTaken { .. }
        | What::Held { .. }
        | What::NotPaused { .. }
        | What::NotCounted { .. }
        | What::NotGranted { .. }
        | What::EndsAlready { .. }
        | What::Settled { .. } => ("effect", Vec::new()),
    }
}

fn of_seal(sealed: &Sealed) -> Pairs {
    let words = ["completed", "failed", "abandoned", "unknown"];
    let next = sealed.next.map(|next| ("next", Value::from(next)));
    let told = vec![
        ("status", sealed.status.as_str().into()),
        ("output", sealed.output.clone()),
        ("error", sealed.error.clone().into()),
        ("receipts", sealed.receipts.into()),
        ("denials", sealed.denials.into()),
        ("outcomes", Value::map(words.into_iter().zip(sealed.outcomes))),
        ("spent_micros", sealed.spent.into()),
    ];
    told.into_iter().chain(next).collect()
}
