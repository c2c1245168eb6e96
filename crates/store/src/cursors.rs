//! Where the consumers of logs stand. The log is what they consume, so a place in it is all
//! that is kept of what was sent out: nothing is written twice.

use cog_base::Timestamp;
use cog_base::id::TenantId;

use crate::{Store, StoreError};

/// The most bytes of the name of a consumer.
pub const CONSUMER_BYTES_MAX: usize = 128;
/// The most consumers of one log.
pub const CONSUMERS_MAX: usize = 256;
/// The most dead letters of one consumer of one log. With so many, it stands still: events
/// are never let go of without a trace.
pub const DEAD_LETTERS_MAX: u64 = 10_000;
/// The most bytes that are kept of why an event could not be delivered.
pub const WHY_BYTES_MAX: usize = 1_000;

/// Keeps, beside each log, how far each consumer of it has come.
///
/// A cursor has a fence, which whoever takes it raises, so that of two that deliver to one
/// consumer only the later moves it. A cursor is no authority: set wrong, something is
/// delivered again or not at all, and the log is what it was.
pub trait Cursors: Store {
    /// Take a cursor: from now on only who knows its new fence moves it. One that is new
    /// begins at `from`.
    ///
    /// # Errors
    /// [`StoreError::TooMuch`] for a name that is too long or one consumer too many;
    /// [`StoreError::ReadOnly`].
    fn take_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        from: u64,
    ) -> Result<Cursor, StoreError>;

    /// Record how far a consumer has come, with the events that it could not be brought to
    /// take, all or nothing.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] when somebody else took the cursor or it is gone;
    /// [`StoreError::TooMuch`] beyond [`DEAD_LETTERS_MAX`].
    fn move_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        step: &CursorStep,
    ) -> Result<(), StoreError>;

    /// Put a cursor anywhere in its log, to have everything from there delivered again. Who
    /// has it must take it anew.
    ///
    /// # Errors
    /// As [`Cursors::take_cursor`].
    fn set_cursor(&self, tenant: TenantId, consumer: &str, next: u64)
    -> Result<Cursor, StoreError>;

    /// Forget a consumer with its dead letters. Whether there was one.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be done.
    fn drop_cursor(&self, tenant: TenantId, consumer: &str) -> Result<bool, StoreError>;

    /// Where every consumer of a log stands, by name.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn cursors(&self, tenant: TenantId) -> Result<Vec<Cursor>, StoreError>;

    /// The dead letters of a consumer from entry `from` on, in the order of the log; at most
    /// `limit`, and at most [`crate::PAGE_MAX`].
    ///
    /// # Errors
    /// [`StoreError::TooMuch`] beyond that.
    fn dead_letters(
        &self,
        tenant: TenantId,
        consumer: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;
}

/// Where a consumer of a log stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Which consumer.
    pub consumer: String,
    /// The first entry that it was not given yet.
    pub next: u64,
    /// Raised whenever the cursor is taken or set, and never given twice.
    pub fence: u64,
    /// How many dead letters it has.
    pub dead_letters: u64,
}

/// An event that a consumer could not be brought to take. The event itself is made of its
/// entry again when somebody wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The entry that the event is made of.
    pub seq: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up.
    pub at: Timestamp,
    /// What was said the last time.
    pub why: String,
}

/// How far a consumer has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CursorStep {
    /// The fence that the cursor was taken with.
    pub fence: u64,
    /// The first entry that it was not given yet. It does not go back.
    pub next: u64,
    /// What was given up on the way.
    pub dead: Vec<DeadLetter>,
    /// Dead letters that were delivered after all, by entry.
    pub revived: Vec<u64>,
}

/// Refuse a name that no store keeps.
///
/// # Errors
/// [`StoreError::TooMuch`].
pub fn check_consumer(consumer: &str) -> Result<(), StoreError> {
    if consumer.len() > CONSUMER_BYTES_MAX {
        let (asked, max) = (consumer.len() as u64, CONSUMER_BYTES_MAX as u64);
        return Err(StoreError::TooMuch { what: "bytes of a consumer's name", asked, max });
    }
    Ok(())
}

/// Refuse one consumer more than a log may have.
///
/// # Errors
/// [`StoreError::TooMuch`].
pub const fn check_consumers(asked: u64) -> Result<(), StoreError> {
    let max = CONSUMERS_MAX as u64;
    if asked > max {
        return Err(StoreError::TooMuch { what: "consumers of one log", asked, max });
    }
    Ok(())
}

/// Refuse more dead letters than one consumer may have.
///
/// # Errors
/// [`StoreError::TooMuch`].
pub const fn check_dead_letters(asked: u64) -> Result<(), StoreError> {
    let max = DEAD_LETTERS_MAX;
    if asked > max {
        return Err(StoreError::TooMuch { what: "dead letters of one consumer", asked, max });
    }
    Ok(())
}

/// As much as is kept of why an event could not be delivered.
#[must_use]
pub fn kept_why(why: &str) -> &str {
    let mut end = why.len().min(WHY_BYTES_MAX);
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    why.get(..end).unwrap_or_default()
}
