//! Where in a log a time begins.

use cog_base::Timestamp;

use crate::{StoreError, TenantTx};

/// The first entry that was recorded at `at` or later: the end of the log when there is none. Of a
/// log that was pruned, one that is still there. Times never go back along a log, so that a few
/// entries are looked at.
///
/// # Errors
/// [`StoreError`] when they cannot be read.
pub fn first_since(scope: &dyn TenantTx, at: Timestamp) -> Result<u64, StoreError> {
    let (mut low, mut high) =
        (scope.pruned()?.entries, scope.tail()?.map_or(0, |tail| tail.frontier.size()));
    while low < high {
        let middle = low + (high - low) / 2;
        let is_before = scope.entry(middle)?.is_none_or(|entry| entry.at() < at);
        if is_before { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}
