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
use cog_engine::start::labels_in;
use cog_engine::{Continues, Parent, Record, admission};
use cog_flow::SearchLabels;
use cog_ledger::{Entry, Kind};
use cog_store::{PAGE_MAX, Select, Session, TenantTx};

use super::fork_of;
use crate::cli::runs::Status;
use crate::commands::why::queue::waits;
use crate::failure::{Exit, Failure};
use crate::home::{Home, told};

/// Which runs are wanted.
pub(super) struct Wanted<'a> {
    pub(super) status: Option<Status>,
    pub(super) labels: SearchLabels,
    pub(super) domain: Option<&'a str>,
    pub(super) workflow: Option<&'a str>,
    pub(super) since: Option<Timestamp>,
    /// Those that were asked for before this one.
    pub(super) after: Option<RunId>,
    pub(super) limit: usize,
}

/// Those that were found.
pub(super) struct Listed {
    pub(super) runs: Vec<Run>,
    /// There are others behind them.
    pub(super) is_more: bool,
}

/// A run as its first and its last entry tell it.
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) workflow: String,
    pub(super) status: String,
    pub(super) started: String,
    pub(super) ended: Option<String>,
    /// What it is found by.
    pub(super) labels: SearchLabels,
    /// Of one that failed: the step, why, and the code of it.
    pub(super) error: Option<Fault>,
    /// Runs that went on from it.
    pub(super) forks: Vec<RunId>,
    /// The run that began it, and in which step.
    pub(super) parent: Option<Parent>,
    /// The run that it continues, and the one that continues it.
    pub(super) continues: Option<Continues>,
    pub(super) next: Option<RunId>,
    /// What it waits for that has not begun.
    pub(super) waits: Option<String>,
}

/// What a run ended for.
pub(super) struct Fault {
    pub(super) step: String,
    pub(super) message: String,
    pub(super) code: String,
}

/// The entries by which runs come in their order.
const FIRST: [Kind; 2] = [Kind::SessionQueued, Kind::SessionStarted];

pub(super) fn list(home: &Home, wanted: &Wanted<'_>) -> anyhow::Result<Listed> {
    let scope = home.scope()?;
    let before = match wanted.after {
        Some(run) => place(&*scope, run)?.ok_or_else(|| unknown(run))?,
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
        let entries = scope.select(&page).map_err(told)?;
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
            let Some(run) = found_at(&*scope, entry)? else { continue };
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
    let told = |run: Found| run.told(home, &*scope, &forks);
    let runs = found.into_iter().map(told).collect::<anyhow::Result<_>>()?;
    Ok(Listed { runs, is_more })
}

fn unknown(run: RunId) -> anyhow::Error {
    Failure::advise(Exit::BadInput, format!("there is no run {run} here"), "cognitionos runs")
}

impl Wanted<'_> {
    /// Whether what the first entry of a run says is wanted.
    fn names(&self, entry: &Entry) -> bool {
        let labels = entry.data().get("labels");
        let is =
            |name: &String| labels.and_then(|labels| labels.get(name)).and_then(Value::as_text);
        self.domain.is_none_or(|domain| domain == entry.domain())
            && self.workflow.is_none_or(|workflow| Some(workflow) == entry.text("workflow"))
            && self.labels.iter().all(|(name, text)| is(name) == Some(text))
    }
}

/// The entry that asked for a run before it began, if one did.
fn asked(scope: &dyn TenantTx, run: RunId) -> anyhow::Result<Option<Entry>> {
    let (kinds, id) = (vec![Kind::SessionQueued], Some(run.to_string()));
    let one = Select { kinds, id, limit: 1, ..Select::default() };
    Ok(scope.select(&one).map_err(told)?.pop())
}

/// Where a run comes in the order.
fn place(scope: &dyn TenantTx, run: RunId) -> anyhow::Result<Option<u64>> {
    if let Some(asked) = asked(scope, run)? {
        return Ok(Some(asked.seq()));
    }
    Ok(scope.session(run).map_err(told)?.map(|session| session.first))
}

/// Whether a run was begun or asked for.
pub(in crate::commands) fn is_there(home: &Home, run: RunId) -> anyhow::Result<bool> {
    Ok(place(&*home.scope()?, run)?.is_some())
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
fn found_at(scope: &dyn TenantTx, entry: &Entry) -> anyhow::Result<Option<Found>> {
    let Some(id) = entry.session().or(admission::run_of(entry)) else { return Ok(None) };
    let session = scope.session(id).map_err(told)?;
    if entry.kind() == Kind::SessionStarted {
        let found = || Found { id, start: entry.clone(), session, over: None };
        return Ok(asked(scope, id)?.is_none().then(found));
    }
    let start = session.as_ref().map(|session| scope.entry(session.first).map_err(told));
    if let Some(start) = start.transpose()?.flatten() {
        return Ok(Some(Found { id, start, session, over: None }));
    }
    let (kinds, named) = (vec![Kind::SessionUnqueued], Some(id.to_string()));
    let one = Select { kinds, id: named, limit: 1, ..Select::default() };
    let over = scope.select(&one).map_err(told)?.pop();
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
    fn told(
        self,
        home: &Home,
        scope: &dyn TenantTx,
        forks: &BTreeMap<RunId, Vec<RunId>>,
    ) -> anyhow::Result<Run> {
        let status = self.status().to_owned();
        let Self { id, start, session, over } = self;
        let seal = session.filter(|session| session.status.is_some());
        let seal = seal.map(|session| scope.entry(session.last).map_err(told)).transpose()?;
        let last = seal.flatten().or(over).map(|last| home.record(last)).transpose()?;
        Ok(Run {
            id,
            workflow: start.text("workflow").unwrap_or_default().to_owned(),
            started: start.at().to_string(),
            ended: last.as_ref().map(|last| last.entry.at().to_string()),
            labels: labels_in(start.data()),
            waits: if status == Status::Queued.as_str() { waits(home, id)? } else { None },
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

/// What a run ended for.
pub(super) fn error(seal: &Record) -> Option<Fault> {
    let error = seal.body.as_ref()?.get("error").filter(|error| **error != Value::Null)?;
    let text = |name: &str| error.get(name).and_then(Value::as_text).unwrap_or_default().to_owned();
    // What was refused has a reason, and nothing that went wrong.
    let why = Some(text("message")).filter(|it| !it.is_empty()).unwrap_or_else(|| text("reason"));
    Some(Fault { step: text("step"), message: why, code: text("code") })
}
