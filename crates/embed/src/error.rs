//! What can go wrong when something is asked of an engine.

use std::time::Duration;

use cog_base::Digest;
use cog_base::entropy::NoEntropy;
use cog_base::id::{ApprovalId, ReplayId, RunId};
use cog_engine::versions::Unnamed;
use cog_flow::Diagnostics;
use cog_store::StoreError;

use crate::places::NoWay;
use crate::runs::NotFailed;
use crate::states::NoState;

/// Something that was asked for, and did not come to be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no randomness, and so no id for anything new.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// A text that names nobody.
    #[error(transparent)]
    Actor(#[from] cog_gate::intent::BadActor),
    /// The workflow has errors.
    #[error("the workflow has errors:\n{0}")]
    Workflow(Diagnostics),
    /// The inputs do not fit the workflow.
    #[error("{0}")]
    Inputs(String),
    /// Nothing is recorded of this run, and nobody asked for it.
    #[error("there is no run {0} in this ledger")]
    NoRun(RunId),
    /// Nobody was asked for this approval.
    #[error("there is no request {0} in this ledger")]
    NoApproval(ApprovalId),
    /// Something else was asked for under the same key.
    #[error("something else was asked for as `{key}`: {run}")]
    KeyTaken {
        /// The key.
        key: String,
        /// What it stands for.
        run: RunId,
    },
    /// Nothing comes of it: the owner of the log said no.
    #[error("{0}")]
    Refused(String),
    /// It did not come in time. It stays asked for.
    #[error("{what} did not come within {waited:?}")]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
    },
    /// Recorded runs do not follow from a definition that is to be activated.
    #[error("{runs} recorded runs of `{workflow}` would not have come to the same")]
    RunsDiffer {
        /// The workflow.
        workflow: String,
        /// How many.
        runs: u64,
    },
    /// A name by which no active version is found.
    #[error("`{name}`: {why}")]
    Unnamed {
        /// The name.
        name: String,
        /// Why.
        why: Unnamed,
    },
    /// A version of a workflow is not there any more.
    #[error("version {number} of `{workflow}` cannot be read: {why}")]
    NoVersion {
        /// The workflow.
        workflow: String,
        /// Which version.
        number: u64,
        /// Why.
        why: String,
    },
    /// A body is missing that no entry accounts for.
    #[error(
        "the ledger is damaged, and nothing goes on over it: entry {seq}: its body is not here, and \
         no entry says that it was erased"
    )]
    Absent {
        /// Of which entry.
        seq: u64,
    },
    /// Nothing goes on from a place of a run, or it gets no name.
    #[error(transparent)]
    NoWay(#[from] NoWay),
    /// A run is not started again where it failed.
    #[error(transparent)]
    NotFailed(#[from] NotFailed),
    /// There is no state of a run there.
    #[error(transparent)]
    NoState(#[from] NoState),
    /// No recomputation of this id is kept.
    #[error("there is no {0} in this ledger")]
    NoReplay(ReplayId),
    /// A run of another workflow than the one to be tested.
    #[error("{run} is a run of `{other}`, not of `{wanted}`")]
    OtherWorkflow {
        /// Which.
        run: RunId,
        /// Its workflow.
        other: String,
        /// The one to be tested.
        wanted: String,
    },
    /// A kept canon does not load; without a reason, it is another one.
    #[error("the kept canon {digest}: {}", .why.as_deref().unwrap_or("its files are others"))]
    Canon {
        /// Which.
        digest: Digest,
        /// Why not.
        why: Option<String>,
    },
    /// What a schedule runs was erased.
    #[error("what the schedule `{0}` runs is not kept any more")]
    NotKept(String),
    /// An event without one of its attributes.
    #[error("the event has no `{0}`")]
    NoEvent(&'static str),
    /// A body that is no JSON, or names something that is none of ours.
    #[error("entry {seq} cannot be read: {why}")]
    Unreadable {
        /// The entry.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
}

impl Error {
    /// What can be done about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::Store(error) => error.advice(),
            Self::NoEntropy(_) => "Look why the system has no randomness.".into(),
            Self::Actor(_) => "Write user:NAME, agent:NAME or service:NAME.".into(),
            Self::Workflow(_) => "Mend the workflow at the places that are named.".into(),
            Self::Inputs(_) => "Give the inputs that the workflow declares, by their names.".into(),
            Self::NoRun(_) => {
                "Look among the runs of this tenant; another tenant may have it.".into()
            }
            Self::NoApproval(_) => {
                "Look what the run waits for; another tenant may have it.".into()
            }
            Self::KeyTaken { .. } => "Give this request another key.".into(),
            Self::Refused(_) => "The reason says what is in the way.".into(),
            Self::Late { .. } => {
                "See that a node works with this store, or wait longer. It stays asked for.".into()
            }
            Self::NoWay(no) => no.advice(),
            Self::NotFailed(no) => no.advice().into(),
            Self::NoState(_) => "Name an entry of the run, or a step that has begun.".into(),
            Self::NoReplay(_) => "Look among those that are kept of the run.".into(),
            Self::OtherWorkflow { .. } => "Test it on the runs of its own workflow.".into(),
            Self::NotKept(_) => "Set it anew.".into(),
            Self::RunsDiffer { .. } => "Change it, or say why that may be.".into(),
            Self::Unnamed { name, why } => {
                why.hint(name).unwrap_or_else(|| "Activate a version of it first.".into())
            }
            Self::NoVersion { .. } => "Activate the workflow from its file.".into(),
            Self::NoEvent(_) => "Give a CloudEvent: type, source and id.".into(),
            Self::Canon { .. } | Self::Absent { .. } | Self::Unreadable { .. } => {
                "Verify the ledger: it says what is damaged.".into()
            }
        }
    }
}

/// The workflow, or its inputs, as the engine says what is wrong with them.
impl From<Diagnostics> for Error {
    fn from(errors: Diagnostics) -> Self {
        Self::Workflow(errors)
    }
}
