//! The decisions of all runs, made again, and their histories, held to what they must show.

use std::sync::Arc;

use cog_ledger::audit::Findings;
use cog_ledger::{Entry, Kind};
use cog_store::Select;
use verify::Counts;

use crate::home::{Home, record};
use crate::recheck::Recheck;

/// What is wrong with the runs of a ledger that holds, and how much was made again.
pub(super) fn check(home: &Home) -> anyhow::Result<(Findings, Counts)> {
    let mut recheck = Recheck::new();
    for (digest, canon) in home.canons()? {
        recheck.canon(digest, canon);
    }
    let starts = Select { kinds: vec![Kind::SessionStarted], ..Select::default() };
    home.each(starts, |entry| recheck.note(entry))?;
    let scope = home.scope()?;
    let mut failed = None;
    home.each(Select::default(), |entry: &Entry| {
        if failed.is_some() {
            return;
        }
        match record(scope.as_ref(), entry.clone()) {
            Ok(record) => recheck.record(Arc::clone(&record.entry), record.body),
            Err(error) => failed = Some(error),
        }
    })?;
    failed.map_or_else(|| Ok(recheck.finish()), Err)
}
