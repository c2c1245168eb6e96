//! Versions of workflows: a definition is tested on the recorded runs, and then runs are started from no
//! other.

use std::sync::Arc;

use cog_engine::Versions;
use cog_engine::versions::{Unnamed, Version, activating};
use cog_gate::Actor;
use cog_ledger::Kind;

use super::Tenant;
use crate::begin::Begin;
use crate::definitions::{kept, trial};
use crate::error::Error;

/// Entries of these kinds that come meanwhile make it another decision.
const RESTS_ON: [Kind; 2] = [Kind::WorkflowActivated, Kind::CanonActivated];

impl Tenant {
    /// The versions of its workflows.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn versions(&self) -> Result<Versions, Error> {
        Ok(Versions::read(&*self.scope()?)?)
    }

    /// What begins a run of the workflow of this name, in the name of `who`, from its active version: no
    /// text of it is needed. Where several domains have one of that name it is `DOMAIN/NAME`.
    ///
    /// # Errors
    /// [`Error::Unnamed`] when that is none or more than one, [`Error::NoVersion`] when its definition
    /// is not kept any more.
    pub fn begin(&self, name: &str, who: &Actor) -> Result<Begin, Error> {
        let scope = self.scope()?;
        let versions = Versions::read(&*scope)?;
        let unnamed = |why| Error::Unnamed { name: name.to_owned(), why };
        let active = versions.named(name).map_err(unnamed)?.last();
        let active = active.ok_or_else(|| unnamed(Unnamed::Unknown(Vec::new())))?;
        Ok(Begin::of(&kept(&*scope, active)?, who))
    }

    /// Start runs of a workflow from this definition alone, in the name of who would begin the run,
    /// once the recorded runs follow from it; or although they do not, for a reason. What is active
    /// stays as it is.
    ///
    /// # Errors
    /// [`Error::RunsDiffer`] when they do not and no reason is given, [`Error::Refused`] for whom the
    /// canon does not let.
    pub fn activate(&self, begin: &Begin, despite: Option<&str>) -> Result<Version, Error> {
        let flow = Arc::new(begin.flow()?);
        let (seen, scope) = (self.size()?, self.scope()?);
        let versions = Versions::read(&*scope)?;
        let active = versions.active(&flow.domain, &flow.name);
        if let Some(active) = active.filter(|active| active.is(&flow)) {
            return Ok(active.clone());
        }
        let trial = trial(&*scope, &flow, &versions)?;
        let differing = trial.count("differs");
        if differing > 0 && despite.is_none() {
            return Err(Error::RunsDiffer { workflow: flow.name.clone(), runs: differing });
        }
        let number = versions.next(&flow.domain, &flow.name);
        let reason = despite.filter(|_| differing > 0);
        let tested = (number, trial.to_value());
        let draft = activating(&flow, begin.text(), tested, (begin.who().as_str(), reason));
        let entries = self.record(vec![draft], seen, RESTS_ON.into())?;
        let version = entries.first().and_then(Version::of);
        version.ok_or_else(|| Error::Refused("nothing was recorded".to_owned()))
    }
}
