//! Runs that go on from places of others: forks, checkpoints, and what failed, driven again.

use std::collections::BTreeMap;

use cog_base::id::{CheckpointId, RunId};
use cog_gate::Actor;
use cog_ledger::{Draft, Kind};
use cog_node::{Decided, Forked, Request, recorded};

use super::Tenant;
use crate::begin::under;
use crate::error::Error;
use crate::places::{self, Checkpoint, Found};
use crate::runs;

impl Tenant {
    /// Start a run that goes on from a place of another: a step, from before which it goes on, or a
    /// checkpoint. `inputs` are others from there on.
    ///
    /// # Errors
    /// [`Error::NoWay`] when nothing goes on from there.
    pub fn fork(
        &self,
        run: RunId,
        from: &str,
        inputs: &[(&str, &str)],
        who: &Actor,
    ) -> Result<RunId, Error> {
        let text = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        let given: BTreeMap<String, String> = inputs.iter().map(text).collect();
        let Found { history, fork, .. } = places::find(&*self.scope()?, run, from)?;
        let flow = history.flow();
        let before = history.inputs().as_map().cloned().unwrap_or_default();
        let inputs = |errors: &dyn std::fmt::Display| Error::Inputs(errors.to_string());
        let bound = flow.bind_over(&given, &before).map_err(|errors| inputs(&errors))?;
        let environment = &history.origin().environment;
        let roots = flow.roots(&bound, environment).map_err(|errors| inputs(&errors))?;
        let was = flow.roots(&before, environment).map_err(|errors| inputs(&errors))?;
        let stands = |root: cog_flow::BoundRoot| {
            // A folder that is the same by name stands where it stood.
            let same = was.iter().any(|it| it.name == root.name && it.path == root.path);
            let place = history.places().get(&root.name).filter(|_| same).cloned();
            let place = place.unwrap_or_else(|| under(history.base(), &root.path));
            (root.name, place)
        };
        let places = roots.into_iter().map(stands).collect();
        let (run, initiator) = (self.new_id(RunId::new)?, who.clone());
        let forked = Forked { run, fork, given, places, initiator };
        self.post_run(run, &Request::Fork(Box::new(forked)), None)
    }

    /// Start again where a run failed. Only once; [`Tenant::fork`] does it once more.
    ///
    /// # Errors
    /// [`Error::NotFailed`] when it has not failed for a step, or another run went on from it.
    pub fn redrive(
        &self,
        run: RunId,
        inputs: &[(&str, &str)],
        who: &Actor,
    ) -> Result<RunId, Error> {
        let step = runs::failed_at(&*self.scope()?, run, false)?;
        self.fork(run, &step, inputs, who)
    }

    /// Give a place of a run a name: where a step began, or else where the run stands now.
    ///
    /// # Errors
    /// [`Error::NoWay`] when nothing could go on from there, or the name is taken.
    pub fn checkpoint(
        &self,
        run: RunId,
        name: &str,
        step: Option<&str>,
        who: &Actor,
    ) -> Result<Checkpoint, Error> {
        let seen = self.size()?;
        let (of, seq) = places::to_name(&*self.scope()?, run, name, step)?;
        let id = self.new_id(CheckpointId::new)?;
        let draft = places::naming(&*self.scope()?, (id, name), (of, seq, step), who)?;
        let entries = self.record(vec![draft], seen, vec![Kind::Checkpoint])?;
        let made = entries.first().and_then(Checkpoint::of);
        made.ok_or_else(|| Error::Refused(format!("the checkpoint `{name}` was not recorded")))
    }

    /// The checkpoints of a run, those of its steps among them, oldest first. A run goes on from one by
    /// [`Tenant::fork`] with its name.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn checkpoints(&self, run: RunId) -> Result<Vec<Checkpoint>, Error> {
        let all = places::checkpoints(&*self.scope()?)?;
        Ok(all.into_iter().filter(|it| it.run == run).collect())
    }

    /// Have entries of no run recorded that were decided on when the log had `seen` entries, unless one
    /// of the kinds of `unless` is newer than that.
    pub(crate) fn record(
        &self,
        drafts: Vec<Draft>,
        seen: u64,
        unless: Vec<Kind>,
    ) -> Result<Vec<cog_ledger::Entry>, Error> {
        let decided = Decided { drafts, seen, unless, then: None };
        self.ask(&Request::Record(Box::new(decided.clone())))?;
        Ok(recorded(&*self.scope()?, &decided)?.unwrap_or_default())
    }
}
