//! Places of runs: from which another run can go on, by the names of steps or of checkpoints.

use cog_base::id::{CheckpointId, RunId};
use cog_base::json::Map;
use cog_base::{Timestamp, Value};
use cog_engine::fork::{Fork, NoPlace, Past, own, place};
use cog_engine::replay::as_far;
use cog_engine::{History, Mismatch, Record};
use cog_gate::Actor;
use cog_ledger::{Draft, Entry, Kind};
use cog_store::{Select, TenantTx};

use crate::error::Error;
use crate::read::{about, broken, complete, history as history_of};

/// A name for a place of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Of which run.
    pub run: RunId,
    /// The last entry of what is kept of the run.
    pub seq: u64,
    /// The step that begins there, if it was named by one.
    pub step: Option<String>,
    /// Whether a step of the run made it.
    pub by_run: bool,
    /// Who made it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl Checkpoint {
    /// What an entry says; nothing where it is none.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        Some(Self {
            id: entry.id().filter(|_| entry.kind() == Kind::Checkpoint)?.to_owned(),
            name: entry.text("name")?.to_owned(),
            run: entry.text("run")?.parse().ok()?,
            // A run names the place where it stands.
            seq: entry.count("seq").or(entry.session().map(|_| entry.seq()))?,
            step: entry.text("step").map(str::to_owned),
            by_run: entry.session().is_some(),
            by: entry.actor().to_owned(),
            at: entry.at(),
        })
    }

    /// As it is printed.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::map([
            ("id", Value::from(self.id.as_str())),
            ("name", self.name.as_str().into()),
            ("run", self.run.into()),
            ("seq", self.seq.into()),
            ("step", self.step.as_deref().into()),
            ("by", self.by.as_str().into()),
            ("at", self.at.into()),
        ])
    }
}

/// Why nothing goes on from a place of a run, or why it gets no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    /// The run cannot be rebuilt.
    #[error("nothing can go on from {run}: {why}")]
    Broken {
        /// Which.
        run: RunId,
        /// Why.
        why: String,
    },
    /// There is no such place.
    #[error("{message}")]
    Nowhere {
        /// Why.
        message: String,
        /// The steps that have begun.
        places: Vec<String>,
    },
    /// What would be taken over cannot be: a consent that cannot be asked for again, or what was undone
    /// since.
    #[error("nothing can go on from there in {run}: {none}")]
    Kept {
        /// Which.
        run: RunId,
        /// Why.
        none: NoPlace,
    },
    /// A run has at most one checkpoint of a name.
    #[error("{run} has a checkpoint `{name}` already")]
    Taken {
        /// Which.
        run: RunId,
        /// The name.
        name: String,
    },
    /// A name is no other word for a name.
    #[error("`{0}` is a checkpoint, and no step")]
    NoStep(String),
    /// Nothing goes on from where the run stands now, as it cannot be rebuilt.
    #[error("nothing could go on from {run}: {why}")]
    Stopped {
        /// Which.
        run: RunId,
        /// Why.
        why: String,
    },
    /// Nothing goes on from where the run stands now.
    #[error("{message}")]
    Over {
        /// Why.
        message: String,
        /// The steps that have begun.
        places: Vec<String>,
    },
    /// The same, as a consent cannot be asked for again there.
    #[error("nothing could go on from where {run} stands: {none}")]
    NotHere {
        /// Which.
        run: RunId,
        /// Which consent.
        none: NoPlace,
    },
}

impl NoWay {
    /// What can be done about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::Broken { .. } | Self::Stopped { .. } => "Begin anew.".into(),
            Self::Nowhere { places, .. } | Self::Over { places, .. } if places.is_empty() => {
                "Begin anew.".into()
            }
            Self::Nowhere { places, .. } | Self::Over { places, .. } => {
                format!("Name one of its steps: {}", places.join(", "))
            }
            Self::Kept { none, .. } | Self::NotHere { none, .. } => match none.instead() {
                Some(step) => format!("Go on from `{step}`."),
                None => "Name a step that has begun.".into(),
            },
            Self::Taken { .. } => "Take another name.".into(),
            Self::NoStep(_) => "Name a step by its path.".into(),
        }
    }
}

/// A place of a run that exists, and the history up to there.
pub struct Found {
    /// The run as far as it went.
    pub history: History,
    /// What is taken over.
    pub past: Past,
    /// The place.
    pub fork: Fork,
}

/// The checkpoints of a ledger, oldest first.
///
/// # Errors
/// [`Error::Store`].
pub fn checkpoints(scope: &dyn TenantTx) -> Result<Vec<Checkpoint>, Error> {
    let mut found = Vec::new();
    let select = Select { kinds: vec![Kind::Checkpoint], ..Select::default() };
    scope.each(select, &mut |entry| found.extend(Checkpoint::of(entry)))?;
    Ok(found)
}

/// Find a place of a run, by a step or a checkpoint.
///
/// # Errors
/// [`Error::NoRun`], [`Error::Absent`], or [`Error::NoWay`].
pub fn find(scope: &dyn TenantTx, run: RunId, from: &str) -> Result<Found, Error> {
    let past = past(scope, run)?;
    complete(scope, &past)?;
    // What of it was erased since matters only behind the place.
    let (history, stopped) = match as_far(&past) {
        Ok(both) => both,
        Err(why) => return Err(NoWay::Broken { run, why: broken(scope, &why)? }.into()),
    };
    let fork = match place(&past, &history, from) {
        Ok(fork) => fork,
        Err(none) => {
            let until = stopped.as_ref().map_or(u64::MAX, Mismatch::seq);
            let stopped = stopped.map(|why| broken(scope, &why)).transpose()?;
            named(scope, &past, from)?
                .filter(|fork| fork.seq < until)
                .ok_or_else(|| nowhere(run, &none, &history, stopped.as_deref()))?
        }
    };
    let past = past.into_iter().take_while(|record| record.entry.seq() <= fork.seq);
    let taken = Past::take(past.collect(), Some(&history), |run| history_of(scope, run))?;
    let (past, _) = taken.map_err(|none| NoWay::Kept { run, none })?;
    Ok(Found { history, past, fork })
}

/// The records of a run that is there.
pub(crate) fn past(scope: &dyn TenantTx, run: RunId) -> Result<Vec<Record>, Error> {
    let past = history_of(scope, run)?;
    if past.is_empty() { Err(Error::NoRun(run)) } else { Ok(past) }
}

/// The place that a checkpoint names, of the run or of one whose history it took over.
fn named(scope: &dyn TenantTx, past: &[Record], from: &str) -> Result<Option<Fork>, Error> {
    let known = checkpoints(scope)?;
    let mut meant = known.into_iter().filter(|it| it.name == from || it.id == from);
    let is_its = |it: &Checkpoint, record: &Record| {
        record.entry.seq() == it.seq && record.entry.session() == Some(it.run)
    };
    let meant = meant.find(|it| past.iter().any(|record| is_its(it, record)));
    Ok(meant.map(|it| Fork { session: it.run, seq: it.seq, step: Some(it.name) }))
}

/// The steps of a run that have begun.
fn begun(history: &History) -> Vec<String> {
    history.begun().map(|(path, _)| path.to_string()).collect()
}

fn nowhere(run: RunId, none: &NoPlace, history: &History, stopped: Option<&str>) -> NoWay {
    let message = match (stopped, none) {
        // Whether it has begun, and where, cannot be told any more.
        (Some(why), NoPlace::NotBegun(step) | NoPlace::Unknown(step)) => {
            format!("nothing can go on from `{step}` in {run}: it cannot be followed so far, {why}")
        }
        (_, none) => format!("nothing can go on from there in {run}: {none}"),
    };
    NoWay::Nowhere { message, places: begun(history) }
}

/// The place that gets a name: where a step of a run began, or else where the run stands now. With
/// the run that has it, which is another where the run took it over.
///
/// # Errors
/// [`Error::NoWay`], and as [`find`].
pub fn to_name(
    scope: &dyn TenantTx,
    run: RunId,
    name: &str,
    step: Option<&str>,
) -> Result<(RunId, u64), Error> {
    let known = checkpoints(scope)?;
    let is_free_name = |run: RunId| {
        let taken = known.iter().any(|it| it.run == run && it.name == name);
        if taken { Err(NoWay::Taken { run, name: name.to_owned() }) } else { Ok(()) }
    };
    is_free_name(run)?;
    let Some(step) = step else { return Ok((run, stands(scope, run)?)) };
    let Found { history, fork, .. } = find(scope, run, step)?;
    if !history.begun().any(|(path, _)| path.as_str() == step) {
        return Err(NoWay::NoStep(step.to_owned()).into());
    }
    // A step that was taken over is in the run that it was taken over from.
    is_free_name(fork.session)?;
    Ok((fork.session, fork.seq))
}

/// The entry that gives a place of a run a name.
///
/// # Errors
/// [`Error::Store`].
pub fn naming(
    scope: &dyn TenantTx,
    (id, name): (CheckpointId, &str),
    (run, seq, step): (RunId, u64, Option<&str>),
    who: &Actor,
) -> Result<Draft, Error> {
    let mut data = Map::from([
        ("id".into(), id.into()),
        ("name".into(), name.into()),
        ("run".into(), run.into()),
        ("seq".into(), seq.into()),
    ]);
    data.extend(step.map(|step| ("step".to_owned(), step.into())));
    about(scope, run, (Kind::Checkpoint, who), data)
}

/// Where a run stands now, if another can go on from there.
fn stands(scope: &dyn TenantTx, run: RunId) -> Result<u64, Error> {
    let past = past(scope, run)?;
    let (history, why) = match as_far(&past) {
        Ok(both) => both,
        Err(why) => {
            return Err(NoWay::Stopped { run, why: broken(scope, &why)? }.into());
        }
    };
    if why.is_some() || history.is_over() {
        let message = match why {
            Some(why) => {
                format!("{run} cannot be followed to its end: {}", broken(scope, &why)?)
            }
            None => format!("{run} is over, and nothing goes on from its end"),
        };
        return Err(NoWay::Over { message, places: begun(&history) }.into());
    }
    history.is_free().map_err(|none| NoWay::NotHere { run, none })?;
    Ok(own(&past).last().map_or(0, |last| last.entry.seq()))
}
