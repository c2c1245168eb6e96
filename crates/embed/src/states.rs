//! The state of a run behind one of its entries, worked out from the log alone.

use cog_base::id::RunId;
use cog_engine::Record;
use cog_engine::replay::as_far;
use cog_engine::snapshot::{NoSnapshot, Snapshot};
use cog_store::TenantTx;

use crate::error::Error;
use crate::places::past;
use crate::read::{broken, complete};

/// Why there is no state to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoState {
    /// The run cannot be followed so far.
    #[error("the state of {run} cannot be worked out: {why}")]
    Broken {
        /// Which.
        run: RunId,
        /// Why.
        why: String,
    },
    /// The entry is none of the run.
    #[error("entry {at} is none of {run}, whose entries go from {first} to {last}")]
    Outside {
        /// Which.
        run: RunId,
        /// The entry.
        at: u64,
        /// The first one of the run.
        first: u64,
        /// The last one.
        last: u64,
        /// The last one of the run before it.
        before: Option<u64>,
        /// The run whose entry it is, if the run went on from that.
        theirs: Option<RunId>,
    },
    /// No step of this name began.
    #[error("no step `{step}` began in {run}{}", stopped(.why.as_deref()))]
    NotBegun {
        /// Which.
        run: RunId,
        /// The step.
        step: String,
        /// Why the run cannot be followed to its end.
        why: Option<String>,
    },
}

fn stopped(why: Option<&str>) -> String {
    why.map(|why| format!("; it cannot be followed to its end: {why}")).unwrap_or_default()
}

/// The entry that a text names: its number, or the step that began because of it.
///
/// # Errors
/// [`Error::NoState`] when there is none.
pub fn entry_of(scope: &dyn TenantTx, run: RunId, place: &str) -> Result<u64, Error> {
    if let Ok(at) = place.parse() {
        return Ok(at);
    }
    let (history, why) = match as_far(&past(scope, run)?) {
        Ok(both) => both,
        Err(why) => return Err(NoState::Broken { run, why: broken(scope, &why)? }.into()),
    };
    let found = history.begun().find(|(path, _)| path.as_str() == place);
    if let Some((_, seq)) = found {
        return Ok(seq);
    }
    let why = why.map(|why| broken(scope, &why)).transpose()?;
    Err(NoState::NotBegun { run, step: place.to_owned(), why }.into())
}

/// The state of a run behind its entry `at`.
///
/// # Errors
/// [`Error::NoState`] when there is none.
pub fn behind(scope: &dyn TenantTx, run: RunId, at: u64) -> Result<Snapshot, Error> {
    let past = past(scope, run)?;
    let until: Vec<Record> = past.iter().filter(|it| it.entry.seq() <= at).cloned().collect();
    complete(scope, &until)?;
    match Snapshot::of(&past, at) {
        Ok(snapshot) => Ok(snapshot),
        Err(NoSnapshot::Broken { why, .. }) => {
            Err(NoState::Broken { run, why: broken(scope, &why)? }.into())
        }
        Err(NoSnapshot::Outside { first, last, before, .. }) => {
            let theirs = past.iter().find(|record| record.entry.seq() == at);
            let theirs = theirs.and_then(|record| record.entry.session());
            Err(NoState::Outside { run, at, first, last, before, theirs }.into())
        }
    }
}
