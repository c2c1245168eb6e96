//! How a run stands, as the log tells.

use cog_base::Value;
use cog_base::id::RunId;
use cog_engine::Waits;
use cog_engine::again::next_of;
use cog_engine::replay::replay_run;
use cog_ledger::Kind;
use cog_node::of_queue;
use cog_store::{Session, TenantTx};

use crate::Error;
use crate::read::{history, record};

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stands {
    /// It was asked for, and nobody has begun it yet.
    Asked,
    /// It waits for its turn.
    Queued,
    /// It goes on, by itself or when its time comes.
    Open,
    /// Only somebody outside brings it on: what it waits for, and the runs that it waits for.
    Waits(Vec<(RunId, Waits)>),
    /// It never begins.
    Never(Never),
    /// It has ended.
    Ended(Box<End>),
}

/// Why a run never begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Never {
    /// refused, cancelled or failed.
    pub why: String,
    /// The same in words.
    pub reason: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The run: the last one of its chain.
    pub run: RunId,
    /// The entry that says so.
    pub seal: u64,
    /// completed, failed, refused or cancelled.
    pub status: String,
    /// What it gave; null where that was erased.
    pub output: Value,
    /// Why it did not complete.
    pub error: Option<Value>,
}

impl End {
    /// One of the outputs, by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.output.get(name)
    }
}

/// The last run of a chain so far, as far as the log has it.
pub(crate) enum Newest {
    /// Nothing began.
    None,
    /// One that is open.
    Open(Session),
    /// One that has ended.
    Ended(Box<End>),
}

/// The last run of the chain that a run is of, and its end.
pub(crate) fn newest(scope: &dyn TenantTx, run: RunId) -> Result<Newest, Error> {
    let mut run = run;
    loop {
        let Some(session) = scope.session(run)? else { return Ok(Newest::None) };
        let Some(status) = session.status.clone() else { return Ok(Newest::Open(session)) };
        let seal = session.last;
        let Some(entry) = scope.entry(seal)? else {
            let (output, error) = (Value::Null, None);
            return Ok(Newest::Ended(Box::new(End { run, seal, status, output, error })));
        };
        if let Some(next) = next_of(&entry) {
            run = next;
            continue;
        }
        let body = record(scope, entry)?.body;
        let member = |name: &str| body.as_ref().and_then(|body| body.get(name)).cloned();
        let (output, error) = (member("output").unwrap_or(Value::Null), member("error"));
        return Ok(Newest::Ended(Box::new(End { run, seal, status, output, error })));
    }
}

/// A run that was taken out of the queue.
pub(crate) fn never(scope: &dyn TenantTx, run: RunId) -> Result<Option<Never>, Error> {
    let Some(over) = of_queue(scope, run, Kind::SessionUnqueued)? else { return Ok(None) };
    let why = over.text("why").unwrap_or_default().to_owned();
    let reason = record(scope, over)?.said().unwrap_or_default().to_owned();
    Ok(Some(Never { why, reason }))
}

/// What a run and those that it began wait for, if only somebody outside brings them on.
pub(crate) fn waits(
    scope: &dyn TenantTx,
    run: RunId,
) -> Result<Option<Vec<(RunId, Waits)>>, Error> {
    let mut waiting = Vec::new();
    Ok(do_wait(scope, run, &mut waiting)?.then_some(waiting))
}

/// Whether only somebody outside brings a run on, and those that it waits for: what each of them
/// waits for.
///
/// # Errors
/// [`Error`] when they cannot be read.
pub fn do_wait(
    scope: &dyn TenantTx,
    run: RunId,
    waiting: &mut Vec<(RunId, Waits)>,
) -> Result<bool, Error> {
    let history = replay_run(&history(scope, run)?).ok();
    let Some(of_run) = history.and_then(|history| history.waits()) else { return Ok(false) };
    let children = of_run.children.clone();
    waiting.push((run, of_run));
    let mut is_so = true;
    for child in children {
        // Of one that has ended the other hears at once.
        let is_open = scope.session(child)?.is_some_and(|it| it.status.is_none());
        is_so &= is_open && do_wait(scope, child, waiting)?;
    }
    Ok(is_so)
}
