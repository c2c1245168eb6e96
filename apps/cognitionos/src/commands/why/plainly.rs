//! Entries that are no decision, in a sentence that needs no page to be read.

use cog_base::Value;
use cog_base::words::counted;
use cog_engine::Record;
use cog_ledger::Kind;

use super::text;
use crate::terminal::plain;

/// What happened, who did it and when; `why` is what somebody typed about it.
pub(super) fn sentence(record: &Record, why: &str) -> String {
    let (entry, said) = (&record.entry, |name| plain(&text(record, name)));
    let (who, at, domain) = (entry.actor(), entry.at(), entry.domain());
    let short = |name| said(name).chars().take(DIGEST_CHARS).collect::<String>();
    let numbers = |name: &str| {
        let list = entry.data().get(name).and_then(Value::as_list).unwrap_or_default();
        let list = list.iter().filter_map(Value::as_u64).map(|seq| seq.to_string());
        list.collect::<Vec<_>>().join(", ")
    };
    let more = if why.is_empty() { String::new() } else { format!(" {why}") };
    match entry.kind() {
        Kind::Genesis => format!("This ledger began on {at}, under the name {}.", said("origin")),
        Kind::KeyRotated => format!("{who} gave the ledger a new signing key on {at}."),
        Kind::CanonProposed => {
            let digest = short("digest");
            format!("{who} proposed another canon for `{domain}` on {at}: {digest}.{more}")
        }
        Kind::CanonApproved => {
            format!("{who} agreed on {at} to the canon that {} proposes.", said("proposal"))
        }
        Kind::CanonRejected => {
            let proposal = said("proposal");
            format!("{who} rejected {proposal}, which proposes another canon, on {at}: {why}")
        }
        Kind::CanonActivated => {
            let how = match text(record, "proposal") {
                none if none.is_empty() => "as the first of its domain".to_owned(),
                proposal => format!("as {} proposed it", plain(&proposal)),
            };
            let digest = short("digest");
            format!("{who} put the canon {digest} in force for `{domain}` on {at}, {how}.")
        }
        Kind::Evidence => {
            format!("Kept as evidence on {at}, by {who}, from `{}`.{more}", said("source"))
        }
        Kind::Promotion => format!(
            "{who} made {} evidence for {} on {at}.",
            entries(&numbers("evidence")),
            said("proposal")
        ),
        Kind::Replay => {
            format!("{who} had {} recomputed on {at}: {}.", said("run"), said("result"))
        }
        Kind::BodiesErased => erased(record, why),
        Kind::SegmentPruned => pruned(record, why),
        Kind::ScheduleSet
        | Kind::ScheduleRemoved
        | Kind::SchedulePaused
        | Kind::ScheduleUnpaused
        | Kind::ScheduleFired => of_a_schedule(record),
        Kind::WorkflowActivated => of_a_version(record, why),
        Kind::SessionQueued | Kind::SessionUnqueued => of_the_queue(record, why),
        Kind::SessionStarted
        | Kind::SessionPaused
        | Kind::SessionUnpaused
        | Kind::ChildStarted
        | Kind::ChildEnded
        | Kind::SessionSealed
        | Kind::Checkpoint
        | Kind::PlanSelected
        | Kind::Receipt
        | Kind::Denial
        | Kind::ApprovalRequested
        | Kind::ApprovalGranted
        | Kind::ApprovalRejected
        | Kind::ApprovalEscalated
        | Kind::ApprovalDelegated
        | Kind::Outcome
        | Kind::Signal => of_run(record, why),
        Kind::Output => given(record),
    }
}

/// The same of a run that was asked for, or withdrawn.
fn of_the_queue(record: &Record, why: &str) -> String {
    let (who, at) = (record.entry.actor(), record.entry.at());
    let said = |name| plain(&text(record, name));
    let run = said("id");
    if record.entry.kind() == Kind::SessionQueued {
        return format!("{who} asked for {run}, of the workflow {}, on {at}.", said("workflow"));
    }
    format!("On {at}, {run} was taken out of the queue ({}): {why}.", said("why"))
}

/// The same of part of what an effect gave.
fn given(record: &Record) -> String {
    let said = |name| plain(&text(record, name));
    let number = |name| record.entry.count(name).unwrap_or_default();
    format!(
        "On {}, what ran under {} gave {} on its {}, from byte {} on. What came of it: cognitionos \
         why {1}",
        record.entry.at(),
        said("receipt"),
        counted(number("bytes"), "byte", "bytes"),
        said("name"),
        number("offset")
    )
}

/// The same of a pruning.
fn pruned(record: &Record, why: &str) -> String {
    let (who, at) = (record.entry.actor(), record.entry.at());
    let number = |name| record.entry.count(name).unwrap_or_default();
    let (from, to) = (number("from"), number("to"));
    format!("{who} dropped the entries from {from} to before {to} on {at}: {why}.")
}

/// The same of an erasure.
fn erased(record: &Record, why: &str) -> String {
    let entry = &record.entry;
    let (who, at) = (entry.actor(), entry.at());
    let bodies = counted(entry.count("bodies").unwrap_or_default(), "body", "bodies");
    let whose = match entry.text("basis") {
        None => "of one subject",
        Some("retention") => "that were kept for as long as the canon says,",
        Some(_) => "beside the entries that it names",
    };
    let why = if why.is_empty() { String::new() } else { format!(" {why}.") };
    format!("{who} erased {bodies} {whose} on {at}.{why} Every proof stays valid.")
}

/// The same of what a schedule is told, and of what it does.
fn of_a_schedule(record: &Record) -> String {
    let entry = &record.entry;
    let (who, at) = (entry.actor(), entry.at());
    let said = |name| plain(&text(record, name));
    let (schedule, due) = (said("schedule"), said("at"));
    if entry.kind() == Kind::ScheduleSet {
        let workflow = said("workflow");
        return format!("{who} set the schedule {schedule} on {at}; it starts {workflow}.");
    }
    if entry.kind() == Kind::ScheduleRemoved {
        return format!("{who} removed the schedule {schedule} on {at}.");
    }
    if entry.kind() == Kind::SchedulePaused {
        return format!("{who} paused the schedule {schedule} on {at}.");
    }
    if entry.kind() == Kind::ScheduleUnpaused {
        return format!("{who} had the schedule {schedule} go on, on {at}.");
    }
    let asked = entry.text("by").map(|by| format!(", as {} asked", plain(by))).unwrap_or_default();
    match entry.text("run") {
        Some(run) => format!("The schedule {schedule} started {} for {due}{asked}.", plain(run)),
        None => format!("The schedule {schedule} started nothing for {due}: {}.", said("skipped")),
    }
}

/// The same of a version of a workflow.
fn of_a_version(record: &Record, why: &str) -> String {
    let entry = &record.entry;
    let (who, at, workflow) = (entry.actor(), entry.at(), plain(&text(record, "workflow")));
    let tested = entry.data().get("tested");
    let count = |name: &str| tested.and_then(|it| it.get(name)?.as_u64()).unwrap_or_default();
    let (same, differs) = (count("same"), count("differs"));
    let all = same + differs + count("earlier") + count("unknown");
    let why = if why.is_empty() { String::new() } else { format!(" Why: {why}.") };
    format!(
        "{who} activated version {} of `{workflow}` on {at}: runs are started from it. Of {}, {same} \
         follow from it and {differs} would differ.{why}",
        entry.count("version").unwrap_or_default(),
        counted(all, "recorded run", "recorded runs"),
    )
}

/// The same of what happened in a run.
fn of_run(record: &Record, why: &str) -> String {
    let entry = &record.entry;
    let (who, at) = (entry.actor(), entry.at());
    let said = |name| plain(&text(record, name));
    let run = entry.session().map(|run| run.to_string()).unwrap_or_default();
    let number = |name| entry.data().get(name).and_then(Value::as_u64).unwrap_or_default();
    match entry.kind() {
        Kind::SessionStarted => {
            let (who, workflow) = (said("initiator"), said("workflow"));
            format!("{who} began {run}, of the workflow {workflow}, on {at}.")
        }
        Kind::SessionPaused => format!(
            "{who} held {run} on {at}: {why}. Nothing new of it begins before somebody lets it go on."
        ),
        Kind::SessionUnpaused => format!("On {at}, {who} let {run} go on: {why}."),
        Kind::ChildStarted => format!(
            "The step {} of {run} began {}, of the workflow {}, on {at}.",
            said("step"),
            said("session"),
            said("workflow")
        ),
        Kind::ChildEnded => format!(
            "{}, which the step {} of {run} began, ended on {at}: {}.",
            said("session"),
            said("step"),
            said("status")
        ),
        Kind::SessionSealed => {
            let receipts = counted(number("receipts"), "receipt", "receipts");
            let denials = counted(number("denials"), "denial", "denials");
            format!("{run} ended on {at}: {}, with {receipts} and {denials}.", said("status"))
        }
        Kind::Checkpoint => format!(
            "{who} named a place of {} `{}` on {at}: entry {}. Another run can go on from there: \
             cognitionos checkpoint restore {0} {1}",
            said("run"),
            said("name"),
            entry.count("seq").unwrap_or(entry.seq())
        ),
        Kind::Genesis
        | Kind::KeyRotated
        | Kind::CanonProposed
        | Kind::CanonApproved
        | Kind::CanonRejected
        | Kind::CanonActivated
        | Kind::Evidence
        | Kind::Promotion
        | Kind::Replay
        | Kind::ScheduleSet
        | Kind::ScheduleRemoved
        | Kind::SchedulePaused
        | Kind::ScheduleUnpaused
        | Kind::WorkflowActivated
        | Kind::ScheduleFired
        | Kind::SessionQueued
        | Kind::SessionUnqueued
        | Kind::BodiesErased
        | Kind::SegmentPruned
        | Kind::PlanSelected
        | Kind::Receipt
        | Kind::Denial
        | Kind::ApprovalRequested
        | Kind::ApprovalGranted
        | Kind::ApprovalRejected
        | Kind::ApprovalEscalated
        | Kind::ApprovalDelegated
        | Kind::Output
        | Kind::Outcome
        | Kind::Signal => format!("{who} recorded `{}` on {at}.", entry.kind()),
    }
}

/// Whether the sentence of a kind leaves nothing to tell of its members.
pub(super) fn says_all(kind: Kind) -> bool {
    use Kind::{ChildEnded, ChildStarted, Genesis, SessionPaused, SessionSealed, SessionUnpaused};
    [Genesis, SessionPaused, SessionUnpaused, ChildStarted, ChildEnded, SessionSealed]
        .contains(&kind)
}

/// How much of a digest is told: its kind and twelve digits.
const DIGEST_CHARS: usize = 19;

fn entries(numbers: &str) -> String {
    let word = if numbers.contains(',') { "entries" } else { "entry" };
    format!("{word} {numbers}")
}
