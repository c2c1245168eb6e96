//! The budget of one evaluation: operations done and bytes built.

use std::cell::Cell;

use cog_base::Value;
use cog_base::json::Json;

use super::eval::Fault;
use crate::limits::{MAX_OPERATIONS, MAX_WORK_BYTES, WORK_PER_BYTE};

/// Counts down from what there was; what is over the budget is a [`Fault`], never a long wait.
pub(super) struct Meter {
    most: u64,
    operations: Cell<u64>,
    bytes: Cell<u64>,
}

impl Meter {
    /// For one evaluation, of a run that has so many operations left.
    pub(super) fn of_run(left: u64) -> Self {
        let most = left.min(MAX_OPERATIONS);
        Self { most, operations: Cell::new(most), bytes: Cell::new(MAX_WORK_BYTES) }
    }

    /// The operations that were done.
    pub(super) const fn taken(&self) -> u64 {
        self.most.saturating_sub(self.operations.get())
    }

    /// Whether it began with less than one evaluation may take.
    pub(super) const fn is_short(&self) -> bool {
        self.most < MAX_OPERATIONS
    }

    /// For what is computed before a run, of an expression of so many bytes.
    pub(super) fn for_text(bytes: usize) -> Self {
        let most = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(WORK_PER_BYTE);
        Self { most, operations: Cell::new(most), bytes: Cell::new(most) }
    }

    pub(super) fn operation(&self) -> Result<(), Fault> {
        let left = self.operations.get().checked_sub(1).ok_or(Fault::TooMuchWork)?;
        self.operations.set(left);
        Ok(())
    }

    /// Pays for looking through so many bytes.
    pub(super) fn scan(&self, bytes: usize) -> Result<(), Fault> {
        let operations = u64::try_from(bytes / 64).unwrap_or(u64::MAX);
        let left = self.operations.get().checked_sub(operations).ok_or(Fault::TooMuchWork)?;
        self.operations.set(left);
        Ok(())
    }

    /// Pays for so many bytes before they are built.
    pub(super) fn bytes(&self, bytes: usize) -> Result<(), Fault> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let left = self.bytes.get().checked_sub(bytes).ok_or(Fault::TooMuchWork)?;
        self.bytes.set(left);
        Ok(())
    }

    /// Pays for a copy of a value.
    pub(super) fn copy(&self, value: &Value) -> Result<(), Fault> {
        self.bytes(usize::try_from(weight(value)).unwrap_or(usize::MAX))
    }
}

/// About the bytes a value takes in JSON: what the limits on computed values count.
#[must_use]
pub fn weight(value: &Value) -> u64 {
    let length = |text: &str| text.len() as u64 + 3;
    match value {
        Json::Null | Json::Bool(_) => 5,
        Json::Int(_) => 8,
        Json::Float(never) => match *never {},
        Json::Text(text) => length(text),
        Json::List(items) => 2 + items.iter().map(weight).sum::<u64>(),
        Json::Map(members) => {
            2 + members.iter().map(|(key, value)| length(key) + 1 + weight(value)).sum::<u64>()
        }
    }
}
