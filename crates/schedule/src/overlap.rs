//! What happens when the run before is not over.

/// What happens when a start is due and the run before is not over. The words are those of
/// Temporal's schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overlap {
    /// The start is left out.
    Skip,
    /// Of the starts that come meanwhile one waits until the run is over; the others are left
    /// out.
    BufferOne,
    /// Every start waits for its turn.
    BufferAll,
    /// The run is cancelled, and the newest start is made when it has ended.
    CancelOther,
    /// Both run.
    AllowAll,
}

impl Overlap {
    pub(crate) const ALL: [Self; 5] =
        [Self::Skip, Self::BufferOne, Self::BufferAll, Self::CancelOther, Self::AllowAll];

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
