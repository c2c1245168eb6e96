//! What is not pruned yet: entries that an open run needs, and those of periods of a domain that are
//! not over.

use std::collections::BTreeSet;

use cog_base::id::RunId;
use cog_base::{Clock as _, Timestamp};
use cog_engine::Parent;
use cog_engine::admission::Queue;
use cog_engine::fork::Fork;
use cog_store::TenantTx;

use super::retention;
use crate::commands::run::knowing;
use crate::failure::{Exit, Failure};
use crate::home::{Home, told};
use crate::system::SystemClock;

/// Entries are pruned by so many.
const SEGMENT: u64 = 256;

/// What keeps entries from being pruned, from one on.
pub(super) struct Kept {
    pub(super) first: u64,
    by: By,
}

enum By {
    /// An open run, with one that it needs, where that began before it: it goes on from that one, or
    /// is of its tree.
    Run { run: RunId, needs: Option<RunId> },
    /// Runs that wait for their turn, the first of them, or limits that count runs since.
    Queue { run: Option<RunId> },
    /// A period that a canon in force counts in, since when.
    Period { since: Timestamp },
}

impl Kept {
    pub(super) fn why(&self) -> String {
        let first = self.first;
        match &self.by {
            By::Run { run, needs: None } => {
                format!("{run} is open, began with entry {first}, and needs what follows")
            }
            By::Run { run, needs: Some(other) } => format!(
                "{run} is open and rests on {other}, which began with entry {first}: it needs what \
                 follows"
            ),
            By::Queue { run: Some(run) } => {
                format!("{run} waits for its turn, and the queue begins with entry {first}")
            }
            By::Queue { run: None } => {
                format!(
                    "limits of workflows count the runs that were asked for from entry {first} on"
                )
            }
            By::Period { since } => format!(
                "the canon in force counts what was done since {}, which is not over, from entry \
                 {first} on",
                since.to_minute()
            ),
        }
    }

    pub(super) fn refused(&self) -> anyhow::Error {
        let message = format!("nothing can be pruned: {}", self.why());
        match &self.by {
            By::Run { run, .. } => Failure::advise(
                Exit::Conflict,
                format!("{message}. Bring it to its end first"),
                format!(
                    "cognitionos run --resume {run}\n  or: cognitionos run --cancel {run} --reason TEXT"
                ),
            ),
            By::Queue { run: Some(run) } => Failure::advise(
                Exit::Conflict,
                message,
                format!(
                    "cognitionos run --resume {run}\n  or: cognitionos run --cancel {run} --reason TEXT"
                ),
            ),
            By::Queue { run: None } | By::Period { .. } => Failure::advise(
                Exit::Conflict,
                message,
                "prune again when the period is over, or earlier entries with a smaller --before",
            ),
        }
    }
}

/// What needs the oldest entries.
pub(super) fn kept_for(home: &Home) -> anyhow::Result<Option<Kept>> {
    let kept = [kept_for_run(home)?, kept_for_period(home)?];
    Ok(kept.into_iter().flatten().min_by_key(|kept| kept.first))
}

/// The period that is counted and began first.
fn kept_for_period(home: &Home) -> anyhow::Result<Option<Kept>> {
    let now = retention::now(home)?;
    let Some(since) = knowing(home, false)?.recalled_since(now) else { return Ok(None) };
    let first = cog_store::first_since(home.scope()?.as_ref(), since).map_err(told)?;
    Ok(Some(Kept { first, by: By::Period { since } }))
}

/// The open run that needs the oldest entries: its own, those of a run that it goes on from, or of
/// one that began it, for the account of the whole tree is counted again when it goes on.
pub(super) fn kept_for_run(home: &Home) -> anyhow::Result<Option<Kept>> {
    let scope = home.scope()?;
    let mut kept: Option<Kept> = None;
    let mut known: BTreeSet<RunId> = BTreeSet::new();
    for run in scope.open_sessions().map_err(told)? {
        let mut all = vec![run];
        while let Some(id) = all.pop() {
            let Some(session) = scope.session(id).map_err(told)?.filter(|_| known.insert(id))
            else {
                continue;
            };
            if kept.as_ref().is_none_or(|kept| session.first < kept.first) {
                let needs = Some(id).filter(|id| *id != run);
                kept = Some(Kept { first: session.first, by: By::Run { run, needs } });
            }
            if let Some(first) = scope.entry(session.first).map_err(told)? {
                all.extend(Fork::of(&first).map(|fork| fork.session));
                all.extend(Parent::of(&first).map(|parent| parent.run));
            }
        }
    }
    let queue = kept_for_queue(scope.as_ref())?;
    Ok(kept.into_iter().chain(queue).min_by_key(|kept| kept.first))
}

/// What it takes to know who may begin.
fn kept_for_queue(scope: &dyn TenantTx) -> anyhow::Result<Option<Kept>> {
    let mut line = Queue::read(scope).map_err(told)?.line;
    line.forget(SystemClock.now());
    let run = line.waiting().next();
    Ok(line.since(u64::MAX).map(|first| Kept { first, by: By::Queue { run } }))
}

/// What keeps a whole segment from being pruned, if anything does.
pub(super) fn blocking(home: &Home, from: u64, before: u64) -> anyhow::Result<Option<Kept>> {
    let scope = home.scope()?;
    let Some(kept) = kept_for(home)? else { return Ok(None) };
    let first = kept.first;
    let whole = |end: u64| end - end % SEGMENT;
    let wanted = whole(before.min(scope.tail().map_err(told)?.map_or(0, |it| it.frontier.size())));
    Ok((wanted > from && whole(first.min(before)) < wanted).then_some(kept))
}
