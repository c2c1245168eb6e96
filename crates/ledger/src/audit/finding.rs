//! What is wrong with a log, in plain words and within bounds.

use std::fmt;

/// The most findings that are kept; further ones are only counted.
pub const FINDINGS_MAX: usize = 1_000;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The entry it is about, if it is about one.
    pub seq: Option<u64>,
    /// A stable word for it, such as `outcome.twice`.
    pub code: &'static str,
    /// What is wrong, for people.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "entry {seq}: {} [{}]", self.message, self.code),
            None => write!(f, "{} [{}]", self.message, self.code),
        }
    }
}

/// The first findings, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    kept: Vec<Finding>,
    total: u64,
}

impl Findings {
    /// Note one more.
    pub fn add(&mut self, seq: Option<u64>, code: &'static str, message: impl Into<String>) {
        self.total = self.total.saturating_add(1);
        if self.kept.len() < FINDINGS_MAX {
            self.kept.push(Finding { seq, code, message: message.into() });
        }
    }

    /// The first ones, at most [`FINDINGS_MAX`].
    #[must_use]
    pub fn kept(&self) -> &[Finding] {
        &self.kept
    }

    /// How many there are.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Whether one of the kept findings has this code.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.kept.iter().any(|finding| finding.code == code)
    }
}
