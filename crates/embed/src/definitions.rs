//! The replay test of a workflow file: whether the runs on record follow from it, as they do from the
//! definitions that they began with.

use std::collections::BTreeSet;
use std::sync::Arc;

use cog_base::Value;
use cog_base::id::RunId;
use cog_engine::Mismatch;
use cog_engine::fork::own;
use cog_engine::replay::replay_under;
use cog_engine::versions::{Kept, Version, Versions};
use cog_flow::Flow;
use cog_ledger::Kind;
use cog_ledger::kind::TESTED;
use cog_store::{Select, TenantTx};

use crate::error::Error;
use crate::places::past;
use crate::read::record;

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
    of_domain(scope, None, name)
}

fn of_domain(scope: &dyn TenantTx, domain: Option<&str>, name: &str) -> Result<Vec<RunId>, Error> {
    let mut runs = Vec::new();
    let select = Select { kinds: vec![Kind::SessionStarted], ..Select::default() };
    scope.each(select, &mut |entry| {
        let is_there = domain.is_none_or(|domain| entry.domain() == domain);
        let is_it = is_there && entry.text("workflow") == Some(name);
        runs.extend(entry.session().filter(|_| is_it));
    })?;
    Ok(runs)
}

/// What came of all recorded runs of a workflow by another definition of it.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// Each of them.
    pub runs: Vec<Tested>,
    /// Those of them that differ from the version that is active as well: they are of earlier ones.
    pub earlier: BTreeSet<RunId>,
}

impl Trial {
    /// What came of one: same, differs, earlier or unknown.
    #[must_use]
    pub fn result(&self, tested: &Tested) -> &'static str {
        if self.earlier.contains(&tested.run) { "earlier" } else { tested.result() }
    }

    /// How many runs it came to this with.
    #[must_use]
    pub fn count(&self, result: &str) -> u64 {
        self.runs.iter().filter(|it| self.result(it) == result).count() as u64
    }

    /// The counts, as the entry that activates the definition has them.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::map(TESTED.iter().map(|word| (*word, Value::from(self.count(word)))))
    }
}

/// Test a definition on every recorded run of the workflow of its name and domain. Where another
/// version is active, only a run that follows from that one and not from this one differs.
///
/// # Errors
/// [`Error::Store`] when the log cannot be read.
pub fn trial(scope: &dyn TenantTx, flow: &Arc<Flow>, versions: &Versions) -> Result<Trial, Error> {
    let active = versions.active(&flow.domain, &flow.name);
    // One that cannot be read any more tells no runs apart.
    let active = active.and_then(|active| kept(scope, active).ok()).map(|kept| Arc::new(kept.flow));
    let mut trial = Trial::default();
    for run in of_domain(scope, Some(&flow.domain), &flow.name)? {
        let tested = test(scope, run, flow)?;
        let differs = |active: &_| test(scope, run, active).map(|it| it.result() == "differs");
        if tested.result() == "differs" && active.as_ref().map(differs).transpose()? == Some(true) {
            trial.earlier.insert(run);
        }
        trial.runs.push(tested);
    }
    Ok(trial)
}

/// What is kept of a version of a workflow.
///
/// # Errors
/// [`Error::NoVersion`] when that was erased, or is not what was activated.
pub fn kept(scope: &dyn TenantTx, version: &Version) -> Result<Kept, Error> {
    let none = |why: String| Error::NoVersion {
        workflow: version.workflow.clone(),
        number: version.number,
        why,
    };
    let entry = scope.entry(version.seq)?.ok_or_else(|| none("its entry is gone".to_owned()))?;
    version.kept(&record(scope, entry)?).map_err(none)
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
