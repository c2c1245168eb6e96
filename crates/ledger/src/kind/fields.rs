//! The members of `data` for each kind of entry, as tables.

use cog_base::id::{
    ApprovalId, CheckpointId, DenialId, ProposalId, ReceiptId, ReplayId, RunId, SelectionId,
};
use cog_base::json::Value;
use cog_base::{Digest, Timestamp};

use super::{DISPOSITIONS, ERASED_FOR, FORMAT, LEFT_OUT, REPLAYED, TESTED, UNQUEUED, WHEN_FULL};

/// How many labels a run has at most, and how many bytes a name and a text.
const LABELS_MAX: usize = 16;
const LABEL_NAME_BYTES_MAX: usize = 64;
const LABEL_BYTES_MAX: usize = 128;

/// The type of a member of `data`.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    Word(&'static [&'static str]),
    Count,
    Time,
    Digest,
    Map,
    When,
    Counts,
    Need,
    Periods,
    Texts,
    Seqs,
    Maps,
    Fork,
    Run,
    Checkpoint,
    Replay,
    Receipt,
    Denial,
    Approval,
    Proposal,
    Selection,
    Parent,
    Continues,
    Continued,
    Priority,
    Concurrency,
    Rate,
    Labels,
    Trigger,
    Keyed,
    Tested,
}

pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
}

pub(super) const fn must(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

pub(super) const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

impl Shape {
    pub(super) fn fits(self, value: &Value) -> bool {
        let texts = |fits: fn(&str) -> bool| value.as_text().is_some_and(fits);
        match self {
            Self::Text => value.as_text().is_some(),
            Self::Word(words) => value.as_text().is_some_and(|text| words.contains(&text)),
            Self::Count => value.as_u64().is_some(),
            Self::Time => texts(|text| text.parse::<Timestamp>().is_ok()),
            Self::Digest => texts(|text| text.parse::<Digest>().is_ok()),
            Self::Map => value.as_map().is_some(),
            Self::When => when(value),
            Self::Counts => counts(value, DISPOSITIONS),
            Self::Need => {
                value.get("count").and_then(Value::as_u64).is_some()
                    && value.get("of").is_some_and(|of| Self::Texts.fits(of))
            }
            Self::Periods => counted_in_periods(value),
            Self::Texts => all(value, |item| item.as_text().is_some()),
            Self::Seqs => all(value, |item| item.as_u64().is_some()),
            Self::Maps => all(value, |item| item.as_map().is_some()),
            Self::Fork => {
                let session = value.get("session").and_then(Value::as_text);
                session.is_some_and(|text| text.parse::<RunId>().is_ok())
                    && value.get("seq").and_then(Value::as_u64).is_some()
            }
            Self::Run => texts(|text| text.parse::<RunId>().is_ok()),
            Self::Checkpoint => texts(|text| text.parse::<CheckpointId>().is_ok()),
            Self::Replay => texts(|text| text.parse::<ReplayId>().is_ok()),
            Self::Receipt => texts(|text| text.parse::<ReceiptId>().is_ok()),
            Self::Denial => texts(|text| text.parse::<DenialId>().is_ok()),
            Self::Approval => texts(|text| text.parse::<ApprovalId>().is_ok()),
            Self::Proposal => texts(|text| text.parse::<ProposalId>().is_ok()),
            Self::Selection => texts(|text| text.parse::<SelectionId>().is_ok()),
            Self::Parent => {
                value.get("session").is_some_and(|run| Self::Run.fits(run))
                    && value.get("step").is_some_and(|step| Self::Text.fits(step))
            }
            Self::Continues => {
                value.get("session").is_some_and(|run| Self::Run.fits(run))
                    && value.get("count").and_then(Value::as_u64).is_some_and(|count| count > 0)
            }
            Self::Continued => {
                value.get("session").is_some_and(|run| Self::Run.fits(run))
                    && value.get("inputs").is_some_and(|inputs| Self::Digest.fits(inputs))
            }
            Self::Tested => counts(value, TESTED),
            Self::Priority => value.as_u64().is_some_and(|priority| priority <= 9),
            Self::Concurrency => limited(value, "limit", |value| {
                value.get("when_full").is_some_and(|word| Self::Word(WHEN_FULL).fits(word))
            }),
            Self::Labels => labels(value),
            Self::Trigger => {
                value.get("id").is_some_and(|id| Self::Text.fits(id))
                    && value.get("event").is_some_and(|event| Self::Digest.fits(event))
                    && value.get("hops").is_some_and(|hops| Self::Count.fits(hops))
            }
            Self::Keyed => {
                let digest = |name| value.get(name).is_some_and(|it| Self::Digest.fits(it));
                digest("key") && digest("request")
            }
            Self::Rate => limited(value, "count", |value| {
                value.get("per_seconds").and_then(Value::as_u64).is_some_and(|it| it > 0)
            }),
        }
    }

    pub(super) const fn expected(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Word(_) => "one of its known words",
            Self::Count => "a whole number, not negative",
            Self::Time => "a time like 2026-11-21T04:05:06.000000Z",
            Self::Digest => "a digest, `sha256:` and 64 hex digits",
            Self::Map => "an object",
            Self::When => "an object with an id and one of cron, every_ms, at and event",
            Self::Counts => "counts of completed, failed, abandoned and unknown",
            Self::Need => "{count, of: [actors]}",
            Self::Periods => "{at, per: {day: {policies, sums}}, amount, writes}",
            Self::Texts => "a list of texts",
            Self::Seqs => "a list of sequence numbers",
            Self::Maps => "a list of objects",
            Self::Fork => "{session, seq}: a run id (run_…) and a sequence number",
            Self::Run => "a run id (run_…)",
            Self::Checkpoint => "a checkpoint id (chk_…)",
            Self::Replay => "a replay id (rpl_…)",
            Self::Receipt => "a receipt id (rcp_…)",
            Self::Denial => "a denial id (dny_…)",
            Self::Approval => "an approval id (apr_…)",
            Self::Proposal => "a proposal id (prp_…)",
            Self::Selection => "a selection id (pln_…)",
            Self::Parent => "{session, step}",
            Self::Continues => "{session, count}: a run id (run_…) and a number from 1",
            Self::Continued => "{session, inputs}: a run id (run_…) and a digest",
            Self::Tested => "counts of same, differs, earlier and unknown",
            Self::Priority => "a whole number from 0 to 9",
            Self::Concurrency => "{key, limit, when_full}",
            Self::Rate => "{key, count, per_seconds}",
            Self::Trigger => "{id, event, hops}",
            Self::Keyed => "{key, request}: two digests",
            Self::Labels => "{name: text}, 16 at most, each of 1 to 128 bytes",
        }
    }
}

/// A number for each of these words.
fn counts(value: &Value, words: &[&str]) -> bool {
    words.iter().all(|word| value.get(word).and_then(Value::as_u64).is_some())
}

/// What a run is found by: names with a text each.
fn labels(value: &Value) -> bool {
    let is_label = |(name, text): (&String, &Value)| {
        (1..=LABEL_NAME_BYTES_MAX).contains(&name.len())
            && text.as_text().is_some_and(|text| (1..=LABEL_BYTES_MAX).contains(&text.len()))
    };
    value.as_map().is_some_and(|all| all.len() <= LABELS_MAX && all.iter().all(is_label))
}

/// A limit of its own for each key: so many, one at least.
fn limited(value: &Value, bound: &str, fits: fn(&Value) -> bool) -> bool {
    let is_one = |bound: u64| bound > 0 && u32::try_from(bound).is_ok();
    value.get("key").is_some_and(|key| Shape::Digest.fits(key))
        && value.get(bound).and_then(Value::as_u64).is_some_and(is_one)
        && fits(value)
}

/// What a receipt counts in periods of its domain: when it was decided, and in each period the
/// policies and sums it counts for; where that is bounded, an amount and digests of what is written.
fn counted_in_periods(value: &Value) -> bool {
    let is_amount = |amount: &Value| {
        let large = |text: &str| text.parse().is_ok_and(|amount: u64| amount.to_string() == text);
        amount.as_u64().is_some() || amount.as_text().is_some_and(large)
    };
    let limited = |limited: &Value| {
        let sums = |sums: &Value| sums.as_map().is_some_and(|sums| sums.values().all(is_amount));
        limited.as_map().is_some()
            && limited.get("policies").is_none_or(|policies| Shape::Texts.fits(policies))
            && limited.get("sums").is_none_or(sums)
    };
    value.get("at").is_some_and(|at| Shape::Time.fits(at))
        && value.get("amount").is_none_or(is_amount)
        && value.get("writes").is_none_or(|writes| all(writes, |key| Shape::Digest.fits(key)))
        && value.get("per").and_then(Value::as_map).is_some_and(|per| per.values().all(limited))
}

/// When a schedule starts something: its id, and one rule.
fn when(value: &Value) -> bool {
    let has = |name: &&str| value.get(name).is_some();
    let fits = |names: &[&str], shape: Shape| {
        names.iter().all(|name| value.get(name).is_none_or(|member| shape.fits(member)))
    };
    has(&"id")
        && ["cron", "every_ms", "at", "event"].iter().filter(|name| has(name)).count() == 1
        && value.get("event").is_none_or(|event| {
            event.get("type").is_some_and(|kind| Shape::Text.fits(kind))
                && event.get("source").is_none_or(|source| Shape::Text.fits(source))
        })
        && fits(&["id", "cron", "timezone", "overlap"], Shape::Text)
        && fits(&["every_ms", "offset_ms", "jitter_ms", "catch_up_minutes"], Shape::Count)
        && fits(&["at", "from", "until"], Shape::Time)
}

fn all(value: &Value, fits: fn(&Value) -> bool) -> bool {
    value.as_list().is_some_and(|items| items.iter().all(fits))
}

pub(super) const GENESIS: &[Field] = &[
    must("format", Shape::Word(&[FORMAT])),
    must("origin", Shape::Text),
    must("key", Shape::Text),
];
pub(super) const KEY_ROTATED: &[Field] = &[must("from", Shape::Text), must("to", Shape::Text)];
pub(super) const CANON_PROPOSED: &[Field] = &[
    must("proposal", Shape::Proposal),
    must("digest", Shape::Digest),
    may("base", Shape::Digest),
    may("evidence", Shape::Seqs),
];
pub(super) const CANON_APPROVED: &[Field] =
    &[must("proposal", Shape::Proposal), must("digest", Shape::Digest)];
pub(super) const CANON_REJECTED: &[Field] =
    &[must("proposal", Shape::Proposal), must("digest", Shape::Digest)];
pub(super) const CANON_ACTIVATED: &[Field] = &[
    must("digest", Shape::Digest),
    must("basis", Shape::Word(&["genesis", "change"])),
    may("previous", Shape::Digest),
    may("proposal", Shape::Proposal),
];
pub(super) const EVIDENCE: &[Field] =
    &[must("source", Shape::Text), must("digest", Shape::Digest), may("note", Shape::Text)];
pub(super) const PROMOTION: &[Field] =
    &[must("proposal", Shape::Proposal), must("evidence", Shape::Seqs)];
pub(super) const SESSION_STARTED: &[Field] = &[
    must("workflow", Shape::Text),
    must("definition", Shape::Digest),
    must("inputs", Shape::Digest),
    must("roots", Shape::Map),
    must("initiator", Shape::Text),
    may("canon", Shape::Digest),
    may("children", Shape::Map),
    may("parent", Shape::Parent),
    may("fork", Shape::Fork),
    may("labels", Shape::Labels),
    may("trigger", Shape::Trigger),
    may("keyed", Shape::Keyed),
    may("continues", Shape::Continues),
];
pub(super) const PLAN_SELECTED: &[Field] = &[
    must("id", Shape::Selection),
    must("step", Shape::Text),
    may("goal", Shape::Text),
    must("candidates", Shape::Maps),
    may("chosen", Shape::Text),
];
pub(super) const RECEIPT: &[Field] = &[
    must("id", Shape::Receipt),
    must("intent", Shape::Digest),
    must("action", Shape::Text),
    must("resource", Shape::Text),
    must("effect", Shape::Digest),
    must("step", Shape::Text),
    must("expires", Shape::Time),
    must("reserve_micros", Shape::Count),
    must("procedure", Shape::Count),
    must("snapshot", Shape::Digest),
    must("rules", Shape::Texts),
    must("approvals", Shape::Texts),
    may("counts", Shape::Periods),
];
pub(super) const DENIAL: &[Field] = &[
    must("id", Shape::Denial),
    must("intent", Shape::Digest),
    must("action", Shape::Text),
    must("resource", Shape::Text),
    must("effect", Shape::Digest),
    must("step", Shape::Text),
    must("check", Shape::Text),
    must("code", Shape::Text),
    must("procedure", Shape::Count),
    must("snapshot", Shape::Digest),
    may("rule", Shape::Text),
];
pub(super) const APPROVAL_REQUESTED: &[Field] = &[
    must("id", Shape::Approval),
    must("intent", Shape::Digest),
    must("action", Shape::Text),
    must("resource", Shape::Text),
    must("step", Shape::Text),
    must("need", Shape::Need),
    must("expires", Shape::Time),
    must("procedure", Shape::Count),
    must("snapshot", Shape::Digest),
];
pub(super) const APPROVAL_GRANTED: &[Field] =
    &[must("id", Shape::Approval), must("intent", Shape::Digest), may("for", Shape::Text)];
pub(super) const APPROVAL_REJECTED: &[Field] =
    &[must("id", Shape::Approval), must("intent", Shape::Digest), may("for", Shape::Text)];
pub(super) const APPROVAL_DELEGATED: &[Field] =
    &[must("id", Shape::Approval), must("intent", Shape::Digest), must("to", Shape::Text)];
pub(super) const APPROVAL_ESCALATED: &[Field] =
    &[must("id", Shape::Approval), must("intent", Shape::Digest), must("of", Shape::Texts)];
pub(super) const OUTPUT: &[Field] = &[
    must("receipt", Shape::Receipt),
    must("name", Shape::Text),
    must("offset", Shape::Count),
    must("bytes", Shape::Count),
];
pub(super) const OUTCOME: &[Field] = &[
    must("receipt", Shape::Receipt),
    must("disposition", Shape::Word(DISPOSITIONS)),
    must("cost_micros", Shape::Count),
    must("attempts", Shape::Count),
    may("code", Shape::Text),
];
pub(super) const SIGNAL: &[Field] = &[must("signal", Shape::Text), must("name", Shape::Text)];
pub(super) const SESSION_PAUSED: &[Field] = &[may("with", Shape::Run)];
pub(super) const SESSION_UNPAUSED: &[Field] = &[may("with", Shape::Run)];
pub(super) const CHILD_STARTED: &[Field] = &[
    must("session", Shape::Run),
    must("step", Shape::Text),
    must("workflow", Shape::Text),
    must("definition", Shape::Digest),
    must("inputs", Shape::Digest),
];
pub(super) const CHILD_ENDED: &[Field] = &[
    must("session", Shape::Run),
    must("step", Shape::Text),
    must("status", Shape::Text),
    must("output", Shape::Digest),
];
pub(super) const SESSION_SEALED: &[Field] = &[
    must("status", Shape::Text),
    must("entries", Shape::Count),
    must("receipts", Shape::Count),
    must("denials", Shape::Count),
    must("outcomes", Shape::Counts),
    must("spent_micros", Shape::Count),
    must("trace", Shape::Digest),
    may("continued", Shape::Continued),
];
pub(super) const CHECKPOINT: &[Field] = &[
    must("id", Shape::Checkpoint),
    must("name", Shape::Text),
    must("run", Shape::Run),
    may("seq", Shape::Count),
    may("step", Shape::Text),
];
pub(super) const REPLAY: &[Field] = &[
    must("id", Shape::Replay),
    must("run", Shape::Run),
    must("result", Shape::Word(REPLAYED)),
    must("entries", Shape::Count),
    must("decisions", Shape::Count),
    must("findings", Shape::Digest),
    may("canon", Shape::Digest),
];
pub(super) const SCHEDULE_SET: &[Field] = &[
    must("schedule", Shape::Text),
    must("workflow", Shape::Text),
    must("when", Shape::When),
    must("digest", Shape::Digest),
];
pub(super) const SCHEDULE_NAMED: &[Field] = &[must("schedule", Shape::Text)];
pub(super) const WORKFLOW_ACTIVATED: &[Field] = &[
    must("workflow", Shape::Text),
    must("definition", Shape::Digest),
    must("version", Shape::Count),
    must("tested", Shape::Tested),
    may("children", Shape::Map),
];
pub(super) const SCHEDULE_FIRED: &[Field] = &[
    must("schedule", Shape::Text),
    must("at", Shape::Time),
    may("run", Shape::Run),
    may("skipped", Shape::Word(LEFT_OUT)),
    may("times", Shape::Count),
    may("reason", Shape::Text),
    may("by", Shape::Text),
];
pub(super) const SESSION_QUEUED: &[Field] = &[
    must("id", Shape::Run),
    must("workflow", Shape::Text),
    must("definition", Shape::Digest),
    must("inputs", Shape::Digest),
    must("priority", Shape::Priority),
    may("not_before", Shape::Time),
    may("concurrency", Shape::Concurrency),
    may("rate", Shape::Rate),
    may("since", Shape::Count),
    may("labels", Shape::Labels),
    may("trigger", Shape::Trigger),
    may("keyed", Shape::Keyed),
];
pub(super) const SESSION_UNQUEUED: &[Field] =
    &[must("id", Shape::Run), must("why", Shape::Word(UNQUEUED))];
pub(super) const BODIES_ERASED: &[Field] = &[
    must("bodies", Shape::Count),
    may("subject", Shape::Digest),
    may("basis", Shape::Word(ERASED_FOR)),
    may("entries", Shape::Seqs),
];
pub(super) const SEGMENT_PRUNED: &[Field] =
    &[must("from", Shape::Count), must("to", Shape::Count), must("root", Shape::Digest)];
