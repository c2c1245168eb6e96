//! What the log says came of a request: whoever asked finds it there, and so does who delivers
//! the request again after a crash.

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::json::parse;
use cog_engine::Sent;
use cog_engine::admission::run_of;
use cog_engine::timetable::digest;
use cog_gate::act::{LOOKED_AT_MAX, Same, WITHDRAW, same_of};
use cog_gate::{Actor, Wish};
use cog_ledger::{Entry, Kind};
use cog_schedule::Schedule;
use cog_store::{PAGE_MAX, Select, StoreError, TenantTx};

use crate::request::{Decided, Request};

/// How many entries are looked at together.
const PAGE: usize = 64;

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// It was done, as the entry of this number says.
    Done(u64),
    /// It was refused.
    Refused {
        /// The denial.
        denial: Box<Entry>,
        /// Why, in words.
        why: String,
    },
}

/// What the log says came of a request; nothing as long as it says nothing. Of the first canon of
/// a domain it cannot tell whose request it was, and of what was refused to people who answer or
/// end a run it does not tell.
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub fn came_of(scope: &dyn TenantTx, request: &Request) -> Result<Option<Came>, StoreError> {
    let entry = match request {
        Request::Schedule { when, wanted, seen } => {
            // The entry has every default written out.
            let schedule = Schedule::from_value(when, &[]);
            let when = schedule.map_or_else(|_| when.clone(), |schedule| schedule.to_value());
            let (digest, who) = (digest(&when, wanted.to_value()), wanted.initiator.as_str());
            newest(scope, (None, *seen), Kind::ScheduleSet, |entry| {
                Ok(entry.digest("digest") == Some(digest) && entry.actor() == who)
            })?
        }
        Request::HoldSchedule { schedule, pauses, who, seen } => {
            let kind = if *pauses { Kind::SchedulePaused } else { Kind::ScheduleUnpaused };
            newest(scope, (None, *seen), kind, |entry| {
                let is_it = entry.text("schedule") == Some(schedule);
                Ok(is_it && entry.actor() == who.as_str())
            })?
        }
        Request::Unschedule { schedule, who, seen } => {
            newest(scope, (None, *seen), Kind::ScheduleRemoved, |entry| {
                let is_it = entry.text("schedule") == Some(schedule);
                Ok(is_it && entry.actor() == who.as_str())
            })?
        }
        Request::Record(decided) => {
            recorded(scope, decided)?.and_then(|all| all.into_iter().next())
        }
        Request::Found { .. } => None,
        Request::Start(wanted) => return begun(scope, wanted.run),
        Request::Fork(forked) => return begun(scope, forked.run),
        Request::Fire(fire) => return begun(scope, fire.run),
        Request::Answer { approval, who, .. } => {
            let answer = [Kind::ApprovalGranted, Kind::ApprovalRejected];
            let is_it = |it: &Entry| answer.contains(&it.kind()) && it.actor() == who.as_str();
            scope.find(&approval.to_string())?.into_iter().find(is_it)
        }
        Request::Delegate(it) => {
            let found = scope.find(&it.approval.to_string())?;
            found.into_iter().find(|entry| {
                entry.kind() == Kind::ApprovalDelegated
                    && entry.actor() == it.who.as_str()
                    && entry.text("to") == Some(it.to.as_str())
            })
        }
        Request::Cancel { run, .. } => {
            let ended = newest(scope, (Some(*run), 0), Kind::Evidence, |entry| {
                Ok(entry.text("source") == Some("cancel"))
            })?;
            ended.map_or_else(|| of_queue(scope, *run, Kind::SessionUnqueued), |it| Ok(Some(it)))?
        }
        Request::Signal { run, sent } => {
            newest(scope, (Some(*run), 0), Kind::Signal, |entry| is_signal(scope, entry, sent))?
        }
        Request::Hold { run, pauses, who, reason, seen } => {
            let wish = if *pauses { Wish::Pause } else { Wish::Unpause };
            if let Some((denial, why)) = denied(scope, (*run, *seen), wish, who)? {
                return Ok(Some(Came::Refused { denial: Box::new(denial), why }));
            }
            let kind = if *pauses { Kind::SessionPaused } else { Kind::SessionUnpaused };
            newest(scope, (Some(*run), *seen), kind, |entry| {
                // Of a long reason the beginning is kept.
                let body = body(scope, entry)?;
                let kept = body.as_ref().and_then(|body| body.get("reason")?.as_text());
                let kept = kept.unwrap_or_default();
                Ok(entry.actor() == who.as_str() && reason.starts_with(kept))
            })?
        }
    };
    Ok(entry.map(|entry| Came::Done(entry.seq())))
}

/// The entries that came of a request to record some; nothing as long as they are not there.
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub fn recorded(scope: &dyn TenantTx, decided: &Decided) -> Result<Option<Vec<Entry>>, StoreError> {
    let mut from = decided.seen;
    let mut entries = Vec::new();
    for draft in &decided.drafts {
        let is_it = |entry: &Entry| {
            entry.data() == &draft.data && entry.actor() == draft.actor && entry.seq() >= from
        };
        let Some(entry) = newest(scope, (None, from), draft.kind, |it| Ok(is_it(it)))? else {
            return Ok(None);
        };
        from = entry.seq() + 1;
        entries.push(entry);
    }
    Ok(Some(entries))
}

fn begun(scope: &dyn TenantTx, run: RunId) -> Result<Option<Came>, StoreError> {
    let session = scope.session(run)?.map(|session| session.first);
    let asked = of_queue(scope, run, Kind::SessionQueued)?;
    Ok(session.or(asked.map(|asked| asked.seq())).map(Came::Done))
}

/// The entry of this kind that is about a run which waits, or waited, for its turn.
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub fn of_queue(scope: &dyn TenantTx, run: RunId, kind: Kind) -> Result<Option<Entry>, StoreError> {
    let found = scope.find(&run.to_string())?;
    Ok(found.into_iter().find(|entry| entry.kind() == kind && run_of(entry) == Some(run)))
}

/// The newest denial, from entry `seen` on, of what somebody wished of a run, with why it was
/// refused.
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub fn denied(
    scope: &dyn TenantTx,
    (run, seen): (RunId, u64),
    wish: Wish,
    who: &Actor,
) -> Result<Option<(Entry, String)>, StoreError> {
    let mut denial = newest(scope, (Some(run), seen), Kind::Denial, |entry| {
        Ok(entry.text("action") == Some(wish.action()) && entry.actor() == who.as_str())
    })?;
    if denial.is_none() && wish == Wish::Cancel {
        // Before it began it was nothing of the run.
        let resource = format!("Run::\"{run}\"");
        denial = newest(scope, (None, seen), Kind::Denial, |entry| {
            let is_it = entry.text("action") == Some(WITHDRAW);
            Ok(is_it && entry.text("resource") == Some(&resource) && entry.actor() == who.as_str())
        })?;
    }
    let Some(denial) = denial else { return Ok(None) };
    let body = body(scope, &denial)?;
    let why = body.as_ref().and_then(|body| body.at(&["trace", "reason"])?.as_text());
    let why = why.or_else(|| denial.text("code")).unwrap_or_default().to_owned();
    Ok(Some((denial, why)))
}

/// The id of the denial that is on record of the same, among the newest.
///
/// # Errors
/// [`StoreError`] when it cannot be read.
pub fn denied_before(
    scope: &dyn TenantTx,
    session: Option<RunId>,
    same: &Same,
) -> Result<Option<String>, StoreError> {
    let (kinds, newest_first) = (vec![Kind::Denial], true);
    let mut select = Select { kinds, newest_first, session, ..Select::default() };
    for _ in 0..LOOKED_AT_MAX.div_ceil(PAGE_MAX) {
        let page = scope.select(&select)?;
        let Some(last) = page.last() else { return Ok(None) };
        select = select.after(last);
        if let Some(entry) = page.iter().find(|entry| same_of(entry).as_ref() == Some(same)) {
            return Ok(entry.id().map(str::to_owned));
        }
    }
    Ok(None)
}

/// The newest entry of a kind, and of a run if one is named, from a number on, that is the one.
fn newest(
    scope: &dyn TenantTx,
    (session, from): (Option<RunId>, u64),
    kind: Kind,
    mut is_it: impl FnMut(&Entry) -> Result<bool, StoreError>,
) -> Result<Option<Entry>, StoreError> {
    let (kinds, newest_first, limit) = (vec![kind], true, PAGE);
    let mut select = Select { session, from, kinds, newest_first, limit, ..Select::default() };
    loop {
        let page = scope.select(&select)?;
        let Some(last) = page.last() else { return Ok(None) };
        select = select.after(last);
        for entry in page {
            if is_it(&entry)? {
                return Ok(Some(entry));
            }
        }
    }
}

/// Whether it is the entry of this very signal: another one may have come with its id.
fn is_signal(scope: &dyn TenantTx, entry: &Entry, sent: &Sent) -> Result<bool, StoreError> {
    let signal = &sent.signal;
    let is_named = entry.text("signal") == Some(&signal.id)
        && entry.text("name") == Some(&signal.name)
        && entry.actor() == signal.from;
    if !is_named {
        return Ok(false);
    }
    // Of what was erased since nobody can tell more.
    let Some(body) = body(scope, entry)? else { return Ok(true) };
    Ok(body.get("payload").unwrap_or(&Value::Null) == &signal.payload)
}

fn body(scope: &dyn TenantTx, entry: &Entry) -> Result<Option<Value>, StoreError> {
    let body = scope.body(entry.seq())?.and_then(|body| String::from_utf8(body.bytes).ok());
    Ok(body.and_then(|text| parse(&text).ok()))
}
