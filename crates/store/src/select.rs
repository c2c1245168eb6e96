//! Which entries of a log are asked for.

use cog_base::id::RunId;
use cog_ledger::{Entry, Kind};

use crate::StoreError;

/// The most entries in one page.
pub const PAGE_MAX: usize = 1_000;

/// A page of entries. All conditions must hold. The next page begins where this one ended:
/// `from` is the last `seq` + 1, or with `newest_first`, `to` is the last `seq`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// The first sequence number.
    pub from: u64,
    /// The sequence number to stop before.
    pub to: u64,
    /// Only these kinds; empty for all.
    pub kinds: Vec<Kind>,
    /// Only entries of this run.
    pub session: Option<RunId>,
    /// Only entries whose [`Entry::id`] is this.
    pub id: Option<String>,
    /// From the end of the log to its beginning.
    pub newest_first: bool,
    /// How many at most; 1 to [`PAGE_MAX`].
    pub limit: usize,
}

impl Default for Select {
    fn default() -> Self {
        Self {
            from: 0,
            to: u64::MAX,
            kinds: Vec::new(),
            session: None,
            id: None,
            newest_first: false,
            limit: PAGE_MAX,
        }
    }
}

impl Select {
    /// The newest entry of a kind.
    #[must_use]
    pub fn newest(kind: Kind) -> Self {
        Self { kinds: vec![kind], newest_first: true, limit: 1, ..Self::default() }
    }

    /// The entries of a run, from its first.
    #[must_use]
    pub fn session(session: RunId) -> Self {
        Self { session: Some(session), ..Self::default() }
    }

    /// Whether `entry` meets every condition.
    #[must_use]
    pub fn takes(&self, entry: &Entry) -> bool {
        (self.from..self.to).contains(&entry.seq())
            && self.takes_kind(entry.kind())
            && self.session.is_none_or(|session| entry.session() == Some(session))
            && self.id.as_deref().is_none_or(|id| entry.id() == Some(id))
    }

    /// Whether entries of `kind` are asked for.
    #[must_use]
    pub fn takes_kind(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// Refuse a page that is too large.
    ///
    /// # Errors
    /// [`StoreError::TooMuch`] beyond [`PAGE_MAX`].
    pub const fn check(&self) -> Result<(), StoreError> {
        if self.limit > PAGE_MAX {
            let (asked, max) = (self.limit as u64, PAGE_MAX as u64);
            return Err(StoreError::TooMuch { what: "entries in one page", asked, max });
        }
        Ok(())
    }

    /// The page after the one that ended with `last`.
    #[must_use]
    pub fn after(&self, last: &Entry) -> Self {
        let mut next = self.clone();
        if self.newest_first {
            next.to = last.seq();
        } else {
            next.from = last.seq().saturating_add(1);
        }
        next
    }
}
