//! What was recorded and then cut short: whoever writes next does the rest of it.

use cog_base::{Digest, Value};
use cog_ledger::{Entry, Kind};
use cog_store::{Keep as _, Select};

use super::{Home, told};

/// How many entries are looked at together.
const PAGE: usize = 16;

/// What is still to be done.
pub(super) struct Unfinished {
    /// Up to where the newest pruning goes.
    prune: Option<u64>,
    erase: Vec<Erasure>,
}

/// What an entry says that is erased.
struct Erasure {
    /// Whose, if it is all of somebody's data.
    subject: Option<Digest>,
    entries: Vec<u64>,
}

impl Home {
    /// What the newest entries say was done and was not.
    pub(super) fn unfinished(&self) -> anyhow::Result<Option<Unfinished>> {
        let left = Unfinished { prune: self.pruning()?, erase: self.erasing()? };
        Ok(Some(left).filter(|left| left.prune.is_some() || !left.erase.is_empty()))
    }

    /// Do it.
    pub(super) fn finish(&self, left: &Unfinished) -> anyhow::Result<()> {
        let store = self.folder()?;
        for Erasure { subject, entries } in &left.erase {
            if let Some(subject) = subject {
                store.erase_named(self.tenant, *subject).map_err(told)?;
            }
            store.erase_bodies(self.tenant, entries).map_err(told)?;
        }
        if let Some(to) = left.prune {
            store.prune_entries(self.tenant, to).map_err(told)?;
        }
        Ok(())
    }

    /// Up to where the newest pruning on record goes, if it was not done to its end.
    fn pruning(&self) -> anyhow::Result<Option<u64>> {
        let scope = self.scope()?;
        let newest = scope.select(&Select::newest(Kind::SegmentPruned)).map_err(told)?;
        let to = newest.first().and_then(|entry| entry.data().get("to")?.as_u64());
        let done = scope.pruned().map_err(told)?.entries;
        Ok(to.filter(|to| *to > done))
    }

    /// The erasures at the end of the log of which bodies are still here: nothing is appended behind
    /// one before it is done.
    fn erasing(&self) -> anyhow::Result<Vec<Erasure>> {
        let mut erasures = Vec::new();
        let scope = self.scope()?;
        let mut select = Select { newest_first: true, limit: PAGE, ..Select::default() };
        loop {
            let page = scope.select(&select).map_err(told)?;
            let said = page.iter().take_while(|entry| entry.kind() == Kind::BodiesErased);
            let count = said.clone().count();
            for erasure in said.map(Erasure::of) {
                if self.has_bodies_of(&erasure)? {
                    erasures.push(erasure);
                }
            }
            match page.last() {
                Some(last) if count == PAGE => select = select.after(last),
                Some(_) | None => return Ok(erasures),
            }
        }
    }

    fn has_bodies_of(&self, erasure: &Erasure) -> anyhow::Result<bool> {
        let store = self.folder()?;
        for seq in &erasure.entries {
            let kept = store.bodies(self.tenant, *seq..seq.saturating_add(1)).map_err(told)?;
            if !kept.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Erasure {
    fn of(entry: &Entry) -> Self {
        let entries = entry.data().get("entries").and_then(Value::as_list).unwrap_or_default();
        let entries = entries.iter().filter_map(Value::as_u64).collect();
        Self { subject: entry.digest("subject"), entries }
    }
}
