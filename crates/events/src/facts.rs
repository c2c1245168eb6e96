//! What an event says beyond its own entry.

use cog_base::Timestamp;

/// What the entries of a run say that an event of it repeats. What was pruned or erased is
/// not there any more, and the event is then without it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The name of its workflow, from its first entry.
    pub workflow: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// The tokens that its models counted; only asked for where the run ended.
    pub tokens: Option<u64>,
}

/// Counts the tokens of a run from the outputs of its models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    sum: u64,
    is_whole: bool,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { sum: 0, is_whole: true }
    }
}

impl Tokens {
    /// Count what one answer of a model used: input and output.
    pub const fn add(&mut self, input: u64, output: u64) {
        self.sum = self.sum.saturating_add(input).saturating_add(output);
    }

    /// An answer is gone, and what it used with it.
    pub const fn lost(&mut self) {
        self.is_whole = false;
    }

    /// The sum, unless part of it is gone: no number is better than a wrong one.
    #[must_use]
    pub const fn sum(self) -> Option<u64> {
        if self.is_whole { Some(self.sum) } else { None }
    }
}
