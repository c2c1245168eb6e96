//! Recomputing what the ledger says: every verdict, and every run.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::id::ApprovalId;
use cog_base::json::Canonical as _;
use cog_base::{Digest, Value};
use cog_canon::Canon;
use cog_flow::Flow;
use cog_gate::approvals::Approvals;
use cog_gate::decision::{Decision, decide_by, read_record};
use cog_gate::snapshot::Snapshot;
use cog_gate::{Intent, act};
use cog_ledger::{Entry, Kind};

use crate::fork::{Fork, Seen, seen};
use crate::history::{History, Mismatch, Record, no_body};

/// What recomputing one decision gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// The same verdict, code and trace.
    Same,
    /// Another.
    Differs {
        /// What the ledger says.
        recorded: String,
        /// What comes out now.
        found: String,
    },
    /// It cannot be recomputed here.
    CannotTell {
        /// Why.
        why: String,
    },
}

/// The versions of canon that decisions name.
pub type Canons = BTreeMap<Digest, Arc<Canon>>;

/// Whether an entry records a decision.
#[must_use]
pub fn is_decision(entry: &Entry) -> bool {
    let kind = entry.kind();
    let by_gate = entry.data().get("action").and_then(Value::as_text) != Some("approve");
    matches!(kind, Kind::Receipt | Kind::Denial) || (kind == Kind::ApprovalRequested && by_gate)
}

/// A decision made again from what was recorded beside it.
pub(crate) struct Again {
    pub(crate) intent: Intent,
    pub(crate) snapshot: Snapshot,
    pub(crate) decision: Decision,
    /// The canon that the entry names.
    pub(crate) canon: Option<Arc<Canon>>,
}

/// Why a decision cannot be made again.
pub(crate) enum NotAgain {
    /// What it takes is not here.
    Absent(String),
    /// It is here, and is no record of a decision.
    Unread(String),
    /// The snapshot is not the one that the entry names.
    OtherSnapshot { recorded: String, found: String },
}

/// Recompute a recorded decision by the procedure and the canon it names.
#[must_use]
pub fn replay_decision(record: &Record, canons: &Canons) -> Replayed {
    if act::is_refused(&record.entry) {
        return match judge_again(record, canons) {
            Ok(None) => Replayed::Same,
            Ok(Some(found)) => {
                let recorded = record.entry.text("code").unwrap_or_default().to_owned();
                Replayed::Differs { recorded, found }
            }
            Err(NotAgain::Absent(why) | NotAgain::Unread(why)) => Replayed::CannotTell { why },
            Err(NotAgain::OtherSnapshot { recorded, found }) => {
                Replayed::Differs { recorded, found }
            }
        };
    }
    match again(record, canons) {
        Ok(made) => {
            let body = record.body.as_ref().unwrap_or(&Value::Null);
            compare(&record.entry, body, &made.decision)
        }
        Err(NotAgain::Absent(why) | NotAgain::Unread(why)) => Replayed::CannotTell { why },
        Err(NotAgain::OtherSnapshot { recorded, found }) => Replayed::Differs { recorded, found },
    }
}

/// Judge a recorded refusal of an act again. Gives what comes out, when it is something else.
pub(crate) fn judge_again(record: &Record, canons: &Canons) -> Result<Option<String>, NotAgain> {
    let entry = &record.entry;
    let absent = |why: String| NotAgain::Absent(why);
    let body =
        record.body.as_ref().ok_or_else(|| absent("its record was erased or pruned".into()))?;
    let canon = entry.canon().map(|digest| {
        canons.get(&digest).ok_or_else(|| absent(format!("the canon {digest} is not here")))
    });
    let canon = canon.transpose()?.map(Arc::as_ref);
    act::differs(entry, body, canon).map_err(|error| NotAgain::Unread(error.to_string()))
}

/// Make a recorded decision again.
pub(crate) fn again(record: &Record, canons: &Canons) -> Result<Again, NotAgain> {
    let entry = &record.entry;
    let absent = |why: String| NotAgain::Absent(why);
    let body =
        record.body.as_ref().ok_or_else(|| absent("its record was erased or pruned".into()))?;
    let read = read_record(body);
    let (intent, snapshot) = read.map_err(|error| NotAgain::Unread(error.to_string()))?;
    let named = entry.data().get("snapshot");
    if named != Some(&snapshot.digest().into()) {
        let recorded = named.map(ToString::to_string).unwrap_or_default();
        return Err(NotAgain::OtherSnapshot { recorded, found: snapshot.digest().to_string() });
    }
    let canon = match entry.canon() {
        None => None,
        Some(digest) => {
            let kept = canons.get(&digest).cloned();
            Some(kept.ok_or_else(|| absent(format!("the canon {digest} is not here")))?)
        }
    };
    misclassed(&intent, canon.as_deref()).map_or(Ok(()), |why| Err(NotAgain::Unread(why)))?;
    let procedure = entry.data().get("procedure").and_then(Value::as_u64).unwrap_or(0);
    let decide = |canon: Option<&Canon>| decide_by(procedure, &intent, &snapshot, canon);
    let mut decision =
        decide(canon.as_deref()).map_err(|error| NotAgain::Absent(error.to_string()))?;
    // Where the files of the canon in force could not be read, it was a refusal for that.
    if entry.kind() == Kind::Denial
        && compare(entry, body, &decision) != Replayed::Same
        && let Ok(without) = decide(None)
        && compare(entry, body, &without) == Replayed::Same
    {
        decision = without;
    }
    Ok(Again { intent, snapshot, decision, canon })
}

/// Why the class of an intent is not that of what its record says that it came from.
fn misclassed(intent: &Intent, canon: Option<&Canon>) -> Option<String> {
    let rules = canon?.settings().data.as_ref()?;
    let class = rules.class_of(intent.sources()?);
    let said = intent.class().unwrap_or("no class");
    (said != class).then(|| format!("its data is {class} by what it came from, recorded is {said}"))
}

pub(crate) fn compare(entry: &Entry, body: &Value, decision: &Decision) -> Replayed {
    let recorded_verdict = recorded_verdict(entry.kind());
    let found = decision.verdict.word();
    if recorded_verdict != found {
        let recorded = recorded_verdict.to_owned();
        return Replayed::Differs { recorded, found: found.to_owned() };
    }
    // A step that asks people has no trace.
    if body.get("trace") == Some(&Value::Null) && entry.kind() == Kind::ApprovalRequested {
        return Replayed::Same;
    }
    let recorded = body.at(&["trace", "checks"]).map(ToString::to_string).unwrap_or_default();
    let found = String::from_utf8_lossy(&decision.checks.canonical()).into_owned();
    if recorded == found { Replayed::Same } else { Replayed::Differs { recorded, found } }
}

pub(crate) fn recorded_verdict(kind: Kind) -> &'static str {
    if kind == Kind::Receipt {
        "allow"
    } else if kind == Kind::Denial {
        "refuse"
    } else {
        "needs_approval"
    }
}

/// Rebuild a run from its entries and check that each follows from those before it. Those of a
/// run that was forked come as [`crate::fork::gather`] gives them.
///
/// # Errors
/// [`Mismatch`] names the first entry that does not follow.
pub fn replay_run(records: &[Record]) -> Result<History, Mismatch> {
    let (history, why) = as_far(records)?;
    why.map_or(Ok(history), Err)
}

/// The same as far as it goes: the run as it stood there, and why it goes no further.
///
/// # Errors
/// [`Mismatch`] when not even its beginning can be rebuilt.
pub fn as_far(records: &[Record]) -> Result<(History, Option<Mismatch>), Mismatch> {
    follow(records, None, None)
}

/// The replay test of another definition: whether a recorded run follows from it as well, as if it
/// had begun with that one and its inputs. What a run does not come to is not tried: a branch that
/// it did not take, or what stands behind its last entry.
///
/// # Errors
/// [`Mismatch`] names the first entry that does not follow.
pub fn replay_under(records: &[Record], other: &Arc<Flow>) -> Result<History, Mismatch> {
    let (history, why) = follow(records, None, Some(other))?;
    why.map_or(Ok(history), Err)
}

/// The same as [`as_far`]; what begins with the last of the records sees `then`, and the definition
/// is `under`, if one is given.
pub(crate) fn follow(
    records: &[Record],
    then: Option<Seen>,
    under: Option<&Arc<Flow>>,
) -> Result<(History, Option<Mismatch>), Mismatch> {
    let first = records.first().ok_or(Mismatch::NoStart { seq: 0 })?;
    let behind = behind(records, 0, then.as_ref())?.map(|(seen, _)| seen);
    let mut history = History::begin(first, behind, under)?;
    let why = feed(&mut history, records, then.as_ref()).err();
    Ok((history, why))
}

fn feed(history: &mut History, records: &[Record], then: Option<&Seen>) -> Result<(), Mismatch> {
    let mut approvals = Approvals::default();
    for (place, record) in records.iter().enumerate().skip(1) {
        if Fork::of(&record.entry).is_some() {
            history.forked(record)?;
            approvals = Approvals::default();
            continue;
        }
        if let Some((seen, by)) = behind(records, place, then)? {
            history.see(seen, &record.entry, by)?;
        }
        history.feed(record)?;
        approvals.observe(&record.entry);
        if matches!(record.entry.kind(), Kind::ApprovalGranted | Kind::ApprovalRejected) {
            decide_again(&approvals, record, history)?;
        }
    }
    Ok(())
}

/// What is seen by what begins with a record, when a run goes on from there: of several, one
/// from the very beginning of the other, the last. With it, the entry that says so.
fn behind<'r>(
    records: &'r [Record],
    place: usize,
    then: Option<&Seen>,
) -> Result<Option<(Seen, &'r Entry)>, Mismatch> {
    let after = records.get(place.saturating_add(1)..).unwrap_or_default();
    let forks = after.iter().take_while(|record| Fork::of(&record.entry).is_some());
    let (count, last) = (forks.clone().count(), forks.last());
    if let Some(then) = then.filter(|_| count == after.len()) {
        return Ok(records.last().map(|last| (then.clone(), last.entry.as_ref())));
    }
    last.map(|last| Ok((seen(last)?, last.entry.as_ref()))).transpose()
}

/// Hand the flow the verdict on a request, once it is decided.
pub(crate) fn decide_again(
    approvals: &Approvals,
    record: &Record,
    history: &mut History,
) -> Result<(), Mismatch> {
    let entry = &record.entry;
    let id = entry.id().and_then(|id| id.parse::<ApprovalId>().ok());
    let request = id.and_then(|id| approvals.get(id));
    if let Some(request) = request.filter(|request| !request.is_open()) {
        let verdict = match &request.rejected {
            // It was decided when that was said.
            Some(_) if record.refused().is_none() => return Ok(()),
            Some((by, _)) => Err((by.clone(), record.said().ok_or(no_body(entry))?.to_owned())),
            None => Ok(request.granted.iter().cloned().collect()),
        };
        history.decided(request.id, verdict);
    }
    Ok(())
}
