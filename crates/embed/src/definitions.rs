//! The replay test of a workflow file: whether the runs on record follow from it, as they do from the
//! definitions that they began with.

use std::sync::Arc;

use cog_base::id::RunId;
use cog_engine::Mismatch;
use cog_engine::fork::own;
use cog_engine::replay::replay_under;
use cog_flow::Flow;
use cog_ledger::Kind;
use cog_store::{Select, TenantTx};

use crate::error::Error;
use crate::places::past;

/// What came of one run.
#[derive(Debug, Clone)]
pub struct Tested {
    /// The run.
    pub run: RunId,
    /// It is not over: it was followed to its last entry.
    pub is_open: bool,
    /// How many entries it has.
    pub entries: u64,
    /// The first entry that does not follow.
    pub why: Option<Mismatch>,
}

impl Tested {
    /// same, differs, or unknown where what it takes is gone.
    #[must_use]
    pub const fn result(&self) -> &'static str {
        match &self.why {
            None => "same",
            Some(Mismatch::NoBody { .. } | Mismatch::NoPast { .. } | Mismatch::NoStart { .. }) => {
                "unknown"
            }
            Some(Mismatch::Definition { .. } | Mismatch::Unexpected { .. }) => "differs",
        }
    }
}

/// The runs on record of the workflow that has this name, oldest first.
///
/// # Errors
/// [`Error::Store`].
pub fn of_workflow(scope: &dyn TenantTx, name: &str) -> Result<Vec<RunId>, Error> {
    let mut runs = Vec::new();
    let select = Select { kinds: vec![Kind::SessionStarted], ..Select::default() };
    scope.each(select, &mut |entry| {
        let is_it = entry.text("workflow") == Some(name);
        runs.extend(entry.session().filter(|_| is_it));
    })?;
    Ok(runs)
}

/// Test a definition on a run.
///
/// # Errors
/// [`Error::OtherWorkflow`] when the run is one of another workflow.
pub fn test(scope: &dyn TenantTx, run: RunId, flow: &Arc<Flow>) -> Result<Tested, Error> {
    let past = past(scope, run)?;
    let own = own(&past);
    let workflow = own.first().and_then(|first| first.entry.text("workflow"));
    if let Some(other) = workflow.filter(|name| *name != flow.name) {
        let (other, wanted) = (other.to_owned(), flow.name.clone());
        return Err(Error::OtherWorkflow { run, other, wanted });
    }
    let is_open = own.last().is_none_or(|last| last.entry.kind() != Kind::SessionSealed);
    let entries = own.len() as u64;
    Ok(Tested { run, is_open, entries, why: replay_under(&past, flow).err() })
}
