//! The people who had a say in what was decided, by name.

use cog_base::Value;
use cog_engine::Record;
use cog_gate::approvals::Approvals;
use cog_ledger::{Entry, Kind};
use cog_store::Select;

use crate::home::{Home, told};
use crate::terminal::plain;

/// What people said to the requests that a decision rests on, or that a request was put in vain.
pub(super) fn answers(home: &Home, record: &Record) -> anyhow::Result<Vec<String>> {
    match record.entry.kind() {
        Kind::Receipt | Kind::Denial => {}
        Kind::ApprovalRequested => {
            let until = plain(record.entry.text("expires").unwrap_or_default());
            let mut lines = vec![format!("\nIt could be answered until {until}.")];
            lines.extend(outdated(home, &record.entry)?);
            return Ok(lines);
        }
        Kind::Genesis
        | Kind::KeyRotated
        | Kind::CanonProposed
        | Kind::CanonApproved
        | Kind::CanonRejected
        | Kind::CanonActivated
        | Kind::Evidence
        | Kind::Promotion
        | Kind::SessionStarted
        | Kind::PlanSelected
        | Kind::ApprovalGranted
        | Kind::ApprovalRejected
        | Kind::ApprovalEscalated
        | Kind::ApprovalDelegated
        | Kind::Output
        | Kind::Outcome
        | Kind::Signal
        | Kind::SessionPaused
        | Kind::SessionUnpaused
        | Kind::ChildStarted
        | Kind::ChildEnded
        | Kind::SessionSealed
        | Kind::Checkpoint
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
        | Kind::SegmentPruned => return Ok(Vec::new()),
    }
    let mut lines = Vec::new();
    for id in requests(record) {
        lines.push(format!("\nPeople were asked: cognitionos why {}", plain(&id)));
        let entries = home.scope()?.find(&id).map_err(told)?;
        for entry in entries {
            let said = said(home, &home.record(entry)?)?;
            lines.extend(said.map(|said| format!("  {said}")));
        }
    }
    Ok(lines)
}

/// The answers of the run to what a denial was asked for: who said no, and why.
pub(super) fn said_no(
    home: &Home,
    denial: &Record,
    records: &[Record],
) -> anyhow::Result<Vec<String>> {
    let ids = requests(denial);
    let is_no = |it: &&Record| it.entry.kind() == Kind::ApprovalRejected;
    let is_of = |it: &&Record| it.entry.id().is_some_and(|id| ids.iter().any(|asked| asked == id));
    let answers = records.iter().filter(is_no).filter(is_of);
    answers.filter_map(|answer| said(home, answer).transpose()).collect()
}

/// The requests that a decision rests on, or looked at.
fn requests(record: &Record) -> Vec<String> {
    let checks = record.body.as_ref().and_then(|body| body.at(&["trace", "checks"]));
    let checks = checks.and_then(Value::as_list).unwrap_or_default().iter();
    let mut checks = checks.filter(|check| check.get("check") == Some(&"approval".into()));
    let looked_at = || checks.find_map(|check| check.at(&["read", "approvals"]));
    let listed = record.entry.data().get("approvals").or_else(looked_at);
    let listed = listed.and_then(Value::as_list).unwrap_or_default();
    listed.iter().filter_map(Value::as_text).map(str::to_owned).collect()
}

/// Who answered, and in whose place.
pub(super) fn voice(entry: &Entry) -> String {
    let place = entry.text("for").map(|whom| format!(", in the place of {},", plain(whom)));
    format!("{}{}", plain(entry.actor()), place.unwrap_or_default())
}

/// That somebody has another person answer; `why` is what they said of it.
pub(super) fn handed(entry: &Entry, why: &str) -> String {
    let to = plain(entry.text("to").unwrap_or_default());
    let why = if why.is_empty() { ".".to_owned() } else { format!(": {}", plain(why)) };
    format!("{} has {to} answer in their place, on {}{why}", plain(entry.actor()), entry.at())
}

/// An answer in words; nothing of what is none.
fn said(home: &Home, record: &Record) -> anyhow::Result<Option<String>> {
    let entry = &record.entry;
    let (who, at) = (voice(entry), entry.at());
    if entry.kind() == Kind::ApprovalDelegated {
        return Ok(Some(handed(entry, &home.said(record)?)));
    }
    if entry.kind() == Kind::ApprovalGranted {
        return Ok(Some(format!("{who} approved it on {at}.")));
    }
    if entry.kind() != Kind::ApprovalRejected {
        return Ok(None);
    }
    Ok(Some(format!("{who} said no on {at}: {}", plain(&home.said(record)?))))
}

/// That no answer counts any more, because the canon changed since the request.
fn outdated(home: &Home, entry: &Entry) -> anyhow::Result<Vec<String>> {
    let Some(run) = entry.session() else { return Ok(Vec::new()) };
    let in_force = home.change_control()?.in_force(entry.domain());
    let is_open = home.scope()?.open_sessions().map_err(told)?.contains(&run);
    if !is_open || in_force == entry.canon() {
        return Ok(Vec::new());
    }
    let mut approvals = Approvals::default();
    home.each(Select::session(run), |entry| approvals.observe(entry))?;
    let mut waiting = approvals.waiting();
    let waits = waiting.any(|it| entry.id().is_some_and(|id| it.id.to_string() == id));
    let again = format!("cognitionos run --resume {run}");
    let void = format!(
        "\nThe canon changed since: no answer counts any more. It is asked anew by {again}"
    );
    Ok(if waits { vec![void] } else { Vec::new() })
}
