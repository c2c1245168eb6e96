//! Why a run cannot be rebuilt.

use cog_base::id::RunId;
use cog_ledger::Kind;

/// Why a run cannot be rebuilt from its entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The first entry does not start a session.
    #[error("the session's first entry (seq {seq}) is no session.started")]
    NoStart {
        /// Where.
        seq: u64,
    },
    /// The run goes on from a place of another, and the entries of that one are gone.
    #[error(
        "entry {seq} goes on from entry {fork} of {session}, and that is not here: it was pruned, \
         or is of another log"
    )]
    NoPast {
        /// Where.
        seq: u64,
        /// The entry it goes on from.
        fork: u64,
        /// The run whose entry that is.
        session: RunId,
    },
    /// A body that is needed was erased or pruned.
    #[error("the body of entry {seq} ({kind}) is gone, and without it the run cannot be rebuilt")]
    NoBody {
        /// Where.
        seq: u64,
        /// What kind of entry.
        kind: Kind,
    },
    /// The kept definition is not the one the entry names, or cannot be read any more.
    #[error("the definition kept with entry {seq} is not the one the entry names: {message}")]
    Definition {
        /// Where.
        seq: u64,
        /// What is wrong.
        message: String,
    },
    /// An entry that the flow did not want at that point.
    #[error("entry {seq} ({kind}) does not follow from the run before it: {message}")]
    Unexpected {
        /// Where.
        seq: u64,
        /// What kind of entry.
        kind: Kind,
        /// What was expected instead.
        message: String,
    },
}

impl Mismatch {
    /// The entry it is about.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        match self {
            Self::NoStart { seq }
            | Self::NoPast { seq, .. }
            | Self::NoBody { seq, .. }
            | Self::Definition { seq, .. }
            | Self::Unexpected { seq, .. } => *seq,
        }
    }
}
