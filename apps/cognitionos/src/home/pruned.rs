//! What is said of entries and runs that are not here, where some were pruned.

use cog_base::Value;
use cog_ledger::{Entry, Kind};
use cog_store::Select;

use super::{Home, told};
use crate::terminal::plain;

impl Home {
    /// What became of entry `seq`, in words, and the number of the entry that says so; nothing
    /// when it was not pruned.
    pub(crate) fn pruned_entry(&self, seq: u64) -> anyhow::Result<Option<(String, u64)>> {
        if self.scope()?.pruned().map_err(told)?.entries <= seq {
            return Ok(None);
        }
        // What was recorded about a pruning is itself never pruned: it is in no run.
        let mut by = None;
        self.each(Select { kinds: vec![Kind::SegmentPruned], ..Select::default() }, |entry| {
            if by.is_none() && end(entry) > seq {
                by = Some(entry.clone());
            }
        })?;
        let Some(by) = by else { return Ok(None) };
        let number = by.seq();
        let message = format!(
            "entry {seq} was pruned {}. Its hash stays in the tree; the entry and a proof of \
             it are in bundles and proofs that were made before",
            self.story(by)?
        );
        Ok(Some((message, number)))
    }

    /// What to add where something is not found by its id: that it may be among what was pruned.
    /// Nothing when nothing was.
    pub(crate) fn pruned_perhaps(&self) -> anyhow::Result<String> {
        let scope = self.scope()?;
        let before = scope.pruned().map_err(told)?.entries;
        let newest = scope.select(&Select::newest(Kind::SegmentPruned)).map_err(told)?;
        let Some(by) = newest.first().filter(|_| before > 0) else { return Ok(String::new()) };
        let story = self.story(by.clone())?;
        Ok(format!("; what was recorded of runs before entry {before} was pruned {story}"))
    }

    /// When, by whom and why something was pruned, and which entry says so.
    fn story(&self, pruning: Entry) -> anyhow::Result<String> {
        let record = self.record(pruning)?;
        let (said, entry) = (self.said(&record)?, &record.entry);
        let (at, actor, seq) = (entry.at(), entry.actor(), entry.seq());
        Ok(format!("on {at} by {actor} (entry {seq}: {})", plain(&said)))
    }
}

/// The first entry that a pruning leaves.
fn end(pruning: &Entry) -> u64 {
    pruning.data().get("to").and_then(Value::as_u64).unwrap_or_default()
}
