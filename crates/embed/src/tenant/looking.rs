//! What is read of runs: lists, histories, states, and whether all of it still follows.

use std::sync::Arc;

use cog_base::id::{ReplayId, RunId};
use cog_engine::Record;
use cog_engine::snapshot::Snapshot;
use cog_gate::Actor;
use cog_ledger::Entry;
use cog_store::Select;

use super::Tenant;
use crate::begin::Begin;
use crate::definitions::{self, Tested};
use crate::error::Error;
use crate::replays::{self, Recomputed};
use crate::runs::{self, Listed, Wanted};
use crate::{read, states};

impl Tenant {
    /// A page of its runs, the newest first.
    ///
    /// # Errors
    /// [`Error::NoRun`] for a page behind a run that is not there.
    pub fn runs(&self, wanted: &Wanted) -> Result<Listed, Error> {
        runs::list(&*self.scope()?, wanted)
    }

    /// A page of the entries of a run with their bodies, oldest first: those from `from` on, `limit` at
    /// most. The next page begins behind the last of them.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn history(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<Record>, Error> {
        let scope = self.scope()?;
        let page = scope.select(&Select { from, limit, ..Select::session(run) })?;
        page.into_iter().map(|entry| read::record(&*scope, entry)).collect()
    }

    /// The state of a run behind one of its entries: a number, or the step that began because of it.
    ///
    /// # Errors
    /// [`Error::NoState`].
    pub fn state(&self, run: RunId, place: &str) -> Result<Snapshot, Error> {
        let scope = self.scope()?;
        let at = states::entry_of(&*scope, run, place)?;
        states::behind(&*scope, run, at)
    }

    /// Recompute a run and its decisions from the log.
    ///
    /// # Errors
    /// [`Error::NoRun`].
    pub fn replay(&self, run: RunId) -> Result<Recomputed, Error> {
        let scope = self.scope()?;
        replays::recompute(&*scope, run, &replays::canons(&*scope)?)
    }

    /// The same, and keep what came of it.
    ///
    /// # Errors
    /// [`Error::NoRun`].
    pub fn replay_and_keep(&self, run: RunId, who: &Actor) -> Result<ReplayId, Error> {
        let (seen, id) = (self.size()?, self.new_id(ReplayId::new)?);
        let kept = self.replay(run)?.kept();
        let draft = kept.draft(&*self.scope()?, id, who)?;
        self.record(vec![draft], seen, Vec::new()).map(|_| id)
    }

    /// The recomputations of a run that were kept, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn replays(&self, run: RunId) -> Result<Vec<Entry>, Error> {
        replays::kept(&*self.scope()?, Some(run))
    }

    /// One of them, with what was found.
    ///
    /// # Errors
    /// [`Error::NoReplay`].
    pub fn replay_kept(&self, id: ReplayId) -> Result<Record, Error> {
        replays::shown(&*self.scope()?, id)
    }

    /// Test a workflow, with the files that its steps run, on every run on record of the workflow that
    /// it names.
    ///
    /// # Errors
    /// [`Error::Workflow`] when it has errors.
    pub fn test(&self, begin: &Begin) -> Result<Vec<Tested>, Error> {
        let flow = Arc::new(begin.flow()?);
        let scope = self.scope()?;
        let runs = definitions::of_workflow(&*scope, &flow.name)?;
        runs.into_iter().map(|run| definitions::test(&*scope, run, &flow)).collect()
    }
}
