//! What happens when the run before is not over.

/// The most starts that wait under [`Overlap::BufferAll`]; what comes then is skipped.
pub const BUFFER_MAX: usize = 1_000;

/// What happens when a start is due and the run before is not over. The words are those of
/// Temporal's schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overlap {
    /// The start is left out.
    Skip,
    /// One start waits until the run is over; further ones are left out.
    BufferOne,
    /// Every start waits for its turn.
    BufferAll,
    /// The run is cancelled, and the start is made when it has ended.
    CancelOther,
    /// Both run.
    AllowAll,
}

/// What becomes of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It is made now.
    Now,
    /// It waits until nothing of the schedule runs.
    Wait,
    /// What runs is cancelled, and it waits until that has ended. What waited before it is
    /// left out.
    CancelAndWait,
    /// It is left out.
    Skip,
}

impl Overlap {
    pub(crate) const ALL: [Self; 5] =
        [Self::Skip, Self::BufferOne, Self::BufferAll, Self::CancelOther, Self::AllowAll];

    /// What becomes of a start while `running` runs of the schedule are not over and
    /// `waiting` starts wait.
    #[must_use]
    pub const fn decide(self, running: usize, waiting: usize) -> Start {
        if running == 0 && waiting == 0 {
            return Start::Now;
        }
        match self {
            Self::AllowAll => Start::Now,
            Self::Skip => Start::Skip,
            Self::BufferOne if waiting == 0 => Start::Wait,
            Self::BufferAll if waiting < BUFFER_MAX => Start::Wait,
            Self::BufferOne | Self::BufferAll => Start::Skip,
            Self::CancelOther => Start::CancelAndWait,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::BufferOne => "buffer_one",
            Self::BufferAll => "buffer_all",
            Self::CancelOther => "cancel_other",
            Self::AllowAll => "allow_all",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}
