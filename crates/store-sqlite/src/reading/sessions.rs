//! Runs, and the chains of their entries.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use cog_base::id::RunId;
use cog_ledger::Entry;
use cog_store::index::kind_code;
use cog_store::{Select, Session, StoreError};
use rusqlite::{OptionalExtension as _, params};

use super::Scope;
use super::select::Span;
use crate::entries;
use crate::error::failed;
use crate::log::Log;
use crate::runs::{self, Run};
use crate::writing::MARK_EVERY;

/// The most logs whose open runs are remembered; beyond it all are dropped and read again.
const LOGS_MAX: usize = 64;

type Open = Arc<BTreeMap<RunId, Run>>;

/// The open runs of logs, as they were found whole: with the sealed state they were checked
/// against, which is another one after every commit.
#[derive(Default)]
pub(crate) struct Checked(Mutex<HashMap<i64, (Vec<u8>, Open)>>);

impl Checked {
    fn get(&self, log: &Log) -> Option<Open> {
        let checked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (sealed, open) = checked.get(&log.no)?;
        (*sealed == log.sealed).then(|| Arc::clone(open))
    }

    fn put(&self, log: &Log, open: Open) {
        let mut checked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if checked.len() >= LOGS_MAX {
            checked.clear();
        }
        checked.insert(log.no, (log.sealed.clone(), open));
    }
}

impl Scope<'_> {
    /// The runs whose last entry is not their seal.
    fn not_sealed(&self, log: &Log) -> Result<Open, StoreError> {
        if let Some(open) = self.inner.checked.get(log) {
            return Ok(open);
        }
        let open = Arc::new(runs::open(self.db(), log)?);
        self.inner.checked.put(log, Arc::clone(&open));
        Ok(open)
    }

    pub(super) fn open_runs(&self, log: &Log) -> Result<Vec<RunId>, StoreError> {
        let open = self.not_sealed(log)?;
        let mut runs: Vec<_> =
            open.values().filter(|run| run.started && run.status.is_none()).collect();
        runs.sort_by_key(|run| run.first);
        Ok(runs.into_iter().map(|run| run.id).collect())
    }

    pub(super) fn newest_runs(&self, log: &Log, limit: usize) -> Result<Vec<Session>, StoreError> {
        let cannot = |error| failed("read the newest runs", error);
        let open = self.not_sealed(log)?;
        let mut read = self
            .db()
            .prepare_cached(&format!(
                "SELECT {} FROM session WHERE first >= ?1 AND first <= ?2
                 ORDER BY first DESC LIMIT ?3",
                runs::COLUMNS
            ))
            .map_err(cannot)?;
        let range = log.range();
        let row = params![range.place(0), range.place(u64::MAX), limit];
        let mut newest = Vec::new();
        for run in read.query_map(row, Run::read).map_err(cannot)? {
            let run = run.map_err(cannot)?;
            if open.get(&run.id) != Some(&run) {
                runs::check_sealed(self.db(), log, &run)?;
            }
            newest.push(run.session(log));
        }
        Ok(newest)
    }

    pub(super) fn run(&self, log: &Log, id: RunId) -> Result<Option<Session>, StoreError> {
        Ok(self.run_row(log, id)?.map(|run| run.session(log)))
    }

    pub(super) fn run_row(&self, log: &Log, id: RunId) -> Result<Option<Run>, StoreError> {
        match self.not_sealed(log)?.get(&id) {
            Some(run) => Ok(Some(run.clone())),
            None => runs::sealed(self.db(), log, id),
        }
    }

    /// A page of one run's entries. Each stretch of the chain is entered at a mark and
    /// walked back, so that a page costs what is in it, however long the run is. Where to
    /// enter is all that a mark says: between two of them the links leave nothing out.
    pub(super) fn run_page(
        &self,
        log: &Log,
        run: &Run,
        select: &Select,
        (begin, end): Span,
    ) -> Result<Vec<Entry>, StoreError> {
        let kept = log.range().place(log.end.pruned.entries);
        let (mut begin, mut end) = (begin.max(run.first).max(kept), end.min(run.last + 1));
        let mut page = Vec::new();
        while page.len() < select.limit && begin < end {
            let rest = select.limit - page.len();
            let mut places = if select.newest_first {
                let enter = self.mark(log, run, end - 1, 0)?;
                self.walk(log, enter, (begin, end), rest)?
            } else {
                let stretches = rest as u64 / MARK_EVERY + 1;
                let enter = self.mark(log, run, begin, stretches)?;
                let mut places = self.walk(log, enter, (begin, end), usize::MAX)?;
                places.reverse();
                places
            };
            let Some((last, _)) = places.last().copied() else { break };
            if select.newest_first {
                end = last
            } else {
                begin = last + 1
            }
            places.retain(|(_, kind)| {
                select.kinds.is_empty() || select.kinds.iter().any(|one| kind_code(*one) == *kind)
            });
            for (place, _) in places.into_iter().take(rest) {
                page.extend(self.entry_at(log, log.range().seq(place))?);
            }
        }
        Ok(page)
    }

    /// The mark that is `skip` marks after the first one at or after `place`, or else the
    /// run's last entry. It is an entry of the run.
    fn mark(&self, log: &Log, run: &Run, place: i64, skip: u64) -> Result<i64, StoreError> {
        let found: Option<i64> = self
            .db()
            .prepare_cached(
                "SELECT place FROM session_mark WHERE session = ?1 AND place >= ?2
                 ORDER BY place LIMIT 1 OFFSET ?3",
            )
            .and_then(|mut find| {
                find.query_row(params![run.first, place, skip], |row| row.get(0)).optional()
            })
            .map_err(|error| failed("find an entry of a run", error))?;
        let Some(found) = found else { return Ok(run.last) };
        let entry = self.entry_at(log, log.range().seq(found))?;
        if entry.is_some_and(|entry| entry.session() == Some(run.id)) {
            Ok(found)
        } else {
            Err(log.damaged(&format!("a mark of {}", run.id)))
        }
    }

    /// Places and kinds of the chain that ends at `place`, backwards: those of the span, up
    /// to `limit`. Nothing of the span is pruned.
    fn walk(
        &self,
        log: &Log,
        mut place: i64,
        (begin, end): Span,
        limit: usize,
    ) -> Result<Vec<(i64, i64)>, StoreError> {
        let missing = |place| log.damaged(&format!("entry {}", log.range().seq(place)));
        let mut found = Vec::new();
        while place >= begin && found.len() < limit {
            let links = entries::read_links(self.db(), log, place)?;
            let (links, _) = links.ok_or_else(|| missing(place))?;
            if place < end {
                found.push((place, links.kind));
            }
            match links.back {
                Some(0) => break,
                Some(back) => place -= back,
                None => return Err(missing(place)),
            }
        }
        Ok(found)
    }
}
