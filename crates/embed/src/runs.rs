//! Which runs there are, the newest first, and how they stand.
//!
//! The order is that of the entries by which runs were asked for, or began: it never changes, so
//! that a page goes on where the one before it ended, whatever happened meanwhile. What is read is
//! as much of the ledger's starts as it takes to fill the page, and no run's other entries but its
//! last.

use std::collections::BTreeMap;

use cog_base::id::RunId;
use cog_base::{Timestamp, Value};
use cog_engine::again::next_of;
use cog_engine::fork::NoPlace;
use cog_engine::start::labels_in;
use cog_engine::{Continues, Fork, Parent, Record, admission};
use cog_flow::SearchLabels;
use cog_ledger::{Entry, Kind};
use cog_store::{PAGE_MAX, Select, Session, TenantTx};

use crate::error::Error;
use crate::places::{NoWay, find};
use crate::read::{newest_of, record};

/// How a run stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It has not begun: it waits for its turn.
    Queued,
    /// It has not ended.
    Open,
    /// Every step is done or was handled.
    Completed,
    /// A step failed and nothing handled it.
    Failed,
    /// A step was refused and nothing handled it.
    Refused,
    /// Somebody ended it.
    Cancelled,
    /// The next run of its chain took its place.
    Continued,
}

impl Status {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Open => "open",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Continued => "continued",
        }
    }
}

/// Which runs are wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Those that stand so.
    pub status: Option<Status>,
    /// Those that are found by all of these.
    pub labels: SearchLabels,
    /// Those of this domain.
    pub domain: Option<String>,
    /// Those of this workflow.
    pub workflow: Option<String>,
    /// Those that were asked for, or began, at this time or later.
    pub since: Option<Timestamp>,
    /// Those that were asked for before this one: the last of the page before.
    pub after: Option<RunId>,
    /// So many at most.
    pub limit: usize,
}

impl Wanted {
    /// The newest runs, so many at most.
    #[must_use]
    pub fn newest(limit: usize) -> Self {
        let labels = SearchLabels::new();
        let (status, domain, workflow, since, after) = Default::default();
        Self { status, labels, domain, workflow, since, after, limit }
    }

    /// Whether what the first entry of a run says is wanted.
    fn names(&self, entry: &Entry) -> bool {
        let labels = entry.data().get("labels");
        let is =
            |name: &String| labels.and_then(|labels| labels.get(name)).and_then(Value::as_text);
        self.domain.as_ref().is_none_or(|domain| domain == entry.domain())
            && self.workflow.as_deref().is_none_or(|it| Some(it) == entry.text("workflow"))
            && self.labels.iter().all(|(name, text)| is(name) == Some(text))
    }
}

/// Those that were found.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The newest first.
    pub runs: Vec<Run>,
    /// There are others behind them.
    pub is_more: bool,
}

/// A run as its first and its last entry tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its workflow.
    pub workflow: String,
    /// The word of [`Status`], or why it never begins.
    pub status: String,
    /// When it began, or was asked for.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What it is found by.
    pub labels: SearchLabels,
    /// What it ended for, if it did not complete.
    pub error: Option<Fault>,
    /// Runs that went on from it.
    pub forks: Vec<RunId>,
    /// The run that began it, and in which step.
    pub parent: Option<Parent>,
    /// The run that it continues.
    pub continues: Option<Continues>,
    /// The run that continues it.
    pub next: Option<RunId>,
}

/// What a run ended for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The step; empty when it was none.
    pub step: String,
    /// Why, in words.
    pub message: String,
    /// Its code.
    pub code: String,
}

/// The entries by which runs come in their order.
const FIRST: [Kind; 2] = [Kind::SessionQueued, Kind::SessionStarted];

/// A page of runs.
///
/// # Errors
/// [`Error::NoRun`] for a page behind a run that is not there.
pub fn list(scope: &dyn TenantTx, wanted: &Wanted) -> Result<Listed, Error> {
    let before = match wanted.after {
        Some(run) => place(scope, run)?.ok_or(Error::NoRun(run))?,
        None => u64::MAX,
    };
    let (mut found, mut is_more) = (Vec::new(), false);
    let mut forks: BTreeMap<RunId, Vec<RunId>> = BTreeMap::new();
    let mut page = Select {
        kinds: FIRST.into(),
        newest_first: true,
        limit: wanted.limit.saturating_add(1).min(PAGE_MAX),
        ..Select::default()
    };
    'pages: loop {
        let entries = scope.select(&page)?;
        let Some(last) = entries.last() else { break };
        page = page.after(last);
        for entry in &entries {
            // The newest of them come first here, the oldest where they are told.
            if let Some((from, fork)) = fork_of(entry).zip(entry.session()) {
                forks.entry(from).or_default().insert(0, fork);
            }
            if wanted.since.is_some_and(|since| entry.at() < since) {
                break 'pages;
            }
            if entry.seq() >= before || !wanted.names(entry) {
                continue;
            }
            let Some(run) = found_at(scope, entry)? else { continue };
            if wanted.status.is_some_and(|status| status.as_str() != run.status()) {
                continue;
            }
            if found.len() == wanted.limit {
                is_more = true;
                break 'pages;
            }
            found.push(run);
        }
    }
    let runs = found.into_iter().map(|run: Found| run.told(scope, &forks));
    Ok(Listed { runs: runs.collect::<Result<_, Error>>()?, is_more })
}

/// The run that an entry goes on from.
fn fork_of(start: &Entry) -> Option<RunId> {
    Fork::of(start).map(|fork| fork.session)
}

/// The runs that went on from a run, the oldest first.
///
/// # Errors
/// [`Error::Store`].
pub fn forks_of(scope: &dyn TenantTx, run: RunId) -> Result<Vec<RunId>, Error> {
    let mut forks = Vec::new();
    let starts = Select { kinds: vec![Kind::SessionStarted], ..Select::default() };
    scope.each(starts, &mut |entry| {
        forks.extend(entry.session().filter(|_| fork_of(entry) == Some(run)));
    })?;
    Ok(forks)
}

/// The entry that asked for a run before it began, if one did.
fn asked(scope: &dyn TenantTx, run: RunId) -> Result<Option<Entry>, Error> {
    let (kinds, id) = (vec![Kind::SessionQueued], Some(run.to_string()));
    let one = Select { kinds, id, limit: 1, ..Select::default() };
    Ok(scope.select(&one)?.pop())
}

/// Where a run comes in the order.
fn place(scope: &dyn TenantTx, run: RunId) -> Result<Option<u64>, Error> {
    if let Some(asked) = asked(scope, run)? {
        return Ok(Some(asked.seq()));
    }
    Ok(scope.session(run)?.map(|session| session.first))
}

/// Whether a run was begun or asked for.
///
/// # Errors
/// [`Error::Store`].
pub fn is_there(scope: &dyn TenantTx, run: RunId) -> Result<bool, Error> {
    Ok(place(scope, run)?.is_some())
}

/// A run in the order.
struct Found {
    id: RunId,
    /// Its first entry, or else the one that asks for it.
    start: Entry,
    session: Option<Session>,
    /// That it never begins.
    over: Option<Entry>,
}

/// The run whose place in the order is that of an entry; nothing where it has an earlier one.
fn found_at(scope: &dyn TenantTx, entry: &Entry) -> Result<Option<Found>, Error> {
    let Some(id) = entry.session().or(admission::run_of(entry)) else { return Ok(None) };
    let session = scope.session(id)?;
    if entry.kind() == Kind::SessionStarted {
        let found = || Found { id, start: entry.clone(), session, over: None };
        return Ok(asked(scope, id)?.is_none().then(found));
    }
    let start = session.as_ref().map(|session| scope.entry(session.first));
    if let Some(start) = start.transpose()?.flatten() {
        return Ok(Some(Found { id, start, session, over: None }));
    }
    let (kinds, named) = (vec![Kind::SessionUnqueued], Some(id.to_string()));
    let one = Select { kinds, id: named, limit: 1, ..Select::default() };
    let over = scope.select(&one)?.pop();
    Ok(Some(Found { id, start: entry.clone(), session: None, over }))
}

impl Found {
    fn status(&self) -> &str {
        let over = self.over.as_ref().and_then(|over| over.text("why"));
        match &self.session {
            Some(session) => session.status.as_deref().unwrap_or(Status::Open.as_str()),
            None => over.unwrap_or(Status::Queued.as_str()),
        }
    }

    /// With what its last entry tells.
    fn told(self, scope: &dyn TenantTx, forks: &BTreeMap<RunId, Vec<RunId>>) -> Result<Run, Error> {
        let status = self.status().to_owned();
        let Self { id, start, session, over } = self;
        let seal = session.filter(|session| session.status.is_some());
        let seal = seal.map(|session| scope.entry(session.last)).transpose()?;
        let last = seal.flatten().or(over).map(|last| record(scope, last)).transpose()?;
        Ok(Run {
            id,
            workflow: start.text("workflow").unwrap_or_default().to_owned(),
            started: start.at(),
            ended: last.as_ref().map(|last| last.entry.at()),
            labels: labels_in(start.data()),
            error: last.as_ref().and_then(error).or_else(|| last.as_ref().and_then(withdrawn)),
            forks: forks.get(&id).cloned().unwrap_or_default(),
            parent: Parent::of(&start),
            continues: Continues::of(&start),
            next: last.as_ref().and_then(|last| next_of(&last.entry)),
            status,
        })
    }
}

/// Why a run never began.
fn withdrawn(over: &Record) -> Option<Fault> {
    let message = over.said().filter(|_| over.entry.kind() == Kind::SessionUnqueued)?.to_owned();
    Some(Fault { step: String::new(), message, code: String::new() })
}

/// What a run ended for, as its seal says.
#[must_use]
pub fn error(seal: &Record) -> Option<Fault> {
    let error = seal.body.as_ref()?.get("error").filter(|error| **error != Value::Null)?;
    let text = |name: &str| error.get(name).and_then(Value::as_text).unwrap_or_default().to_owned();
    // What was refused has a reason, and nothing that went wrong.
    let why = Some(text("message")).filter(|it| !it.is_empty()).unwrap_or_else(|| text("reason"));
    Some(Fault { step: text("step"), message: why, code: text("code") })
}

/// Why a run is not started again where it failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFailed {
    /// It has not.
    #[error("{run} has not failed: it is {status}")]
    Stands {
        /// Which.
        run: RunId,
        /// How it stands.
        status: String,
    },
    /// Somebody did so before.
    #[error("{fork} went on from {run} already")]
    Again {
        /// Which.
        run: RunId,
        /// The run that did.
        fork: RunId,
    },
    /// Not because of a step.
    #[error("{0} did not fail for a step")]
    NoStep(RunId),
}

impl NotFailed {
    /// What can be done about it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Stands { .. } => "Look among the runs that failed.",
            Self::Again { .. } => "Look what came of that one; a fork does it once more.",
            Self::NoStep(_) => "Look what it ended for, and fork it from a step.",
        }
    }
}

/// The step that a run failed for, if no other run went on from it, or it may `again`. When steps were
/// undone after that, the first of those: what it did is not there any more.
///
/// # Errors
/// [`Error::NoRun`], or [`Error::NotFailed`].
pub fn failed_at(scope: &dyn TenantTx, run: RunId, again: bool) -> Result<String, Error> {
    let session = scope.session(run)?.ok_or(Error::NoRun(run))?;
    let seal = newest_of(scope, run, &[Kind::SessionSealed])?;
    let seal = seal.map(|seal| record(scope, seal)).transpose()?;
    let status = session.status.as_deref().unwrap_or(Status::Open.as_str());
    if status != Status::Failed.as_str() {
        return Err(NotFailed::Stands { run, status: status.to_owned() }.into());
    }
    if let Some(fork) = forks_of(scope, run)?.last().copied().filter(|_| !again) {
        return Err(NotFailed::Again { run, fork }.into());
    }
    let step = seal.as_ref().and_then(error).map(|fault| fault.step);
    let step = step.filter(|step| !step.is_empty());
    let step = step.ok_or(NotFailed::NoStep(run))?;
    let error = seal.as_ref().and_then(|seal| seal.body.as_ref()).and_then(|it| it.get("error"));
    let undone = error.and_then(|error| error.get("undone")).and_then(Value::as_u64);
    if undone.unwrap_or(0) == 0 {
        return Ok(step);
    }
    match find(scope, run, &step) {
        Err(Error::NoWay(NoWay::Kept { none: NoPlace::Undone { from, .. }, .. })) => Ok(from),
        _ => Ok(step),
    }
}
