//! Runs, and the chains of their entries.

use cog_base::id::{RunId, Uuid};
use cog_ledger::Entry;
use cog_store::{Select, Session, StoreError};
use rusqlite::{OptionalExtension as _, Row, params};

use super::select::Span;
use super::{Log, Scope};
use crate::error::failed;
use crate::place::kind_code;
use crate::writing::MARK_EVERY;

/// A run by the places of its entries.
pub(super) struct RunRow {
    id: RunId,
    first: i64,
    last: i64,
    entries: u64,
    status: Option<String>,
}

impl RunRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let id = RunId::from_uuid(Uuid::from_u128(u128::from_be_bytes(row.get(0)?)));
        let (first, last) = (row.get(1)?, row.get(2)?);
        Ok(Self { id, first, last, entries: row.get(3)?, status: row.get(4)? })
    }

    fn session(self, log: &Log) -> Session {
        let range = log.range();
        Session {
            id: self.id,
            first: range.seq(self.first),
            last: range.seq(self.last),
            entries: self.entries,
            status: self.status,
        }
    }
}

impl Scope<'_> {
    pub(super) fn open_runs(&self, log: &Log) -> Result<Vec<RunId>, StoreError> {
        let cannot = |error| failed("read which runs are open", error);
        let mut read = self
            .db()
            .prepare_cached(
                "SELECT id, first, last, entries, status FROM session
                 WHERE status IS NULL AND started = 1 AND first >= ?1 AND first <= ?2 ORDER BY first",
            )
            .map_err(cannot)?;
        let range = log.range();
        let span = [range.place(0), range.place(u64::MAX)];
        let rows = read.query_map(span, RunRow::read).map_err(cannot)?;
        rows.map(|run| run.map(|run| run.id).map_err(cannot)).collect()
    }

    pub(super) fn newest_runs(&self, log: &Log, limit: usize) -> Result<Vec<Session>, StoreError> {
        let cannot = |error| failed("read the newest runs", error);
        let mut read = self
            .db()
            .prepare_cached(
                "SELECT id, first, last, entries, status FROM session
                 WHERE first >= ?1 AND first <= ?2 ORDER BY first DESC LIMIT ?3",
            )
            .map_err(cannot)?;
        let range = log.range();
        let row = params![range.place(0), range.place(u64::MAX), limit];
        let rows = read.query_map(row, RunRow::read).map_err(cannot)?;
        rows.map(|run| run.map(|run| run.session(log)).map_err(cannot)).collect()
    }

    pub(super) fn run(&self, log: &Log, id: RunId) -> Result<Option<Session>, StoreError> {
        Ok(self.run_row(log, id)?.map(|run| run.session(log)))
    }

    pub(super) fn run_row(&self, log: &Log, id: RunId) -> Result<Option<RunRow>, StoreError> {
        let row = params![log.no, id.uuid().as_u128().to_be_bytes()];
        self.db()
            .prepare_cached(
                "SELECT id, first, last, entries, status FROM session WHERE log = ?1 AND id = ?2",
            )
            .and_then(|mut read| read.query_row(row, RunRow::read).optional())
            .map_err(|error| failed("read a run", error))
    }

    /// A page of one run's entries. Each stretch of the chain is entered at a mark and
    /// walked back, so that a page costs what is in it, however long the run is.
    pub(super) fn run_page(
        &self,
        log: &Log,
        run: &RunRow,
        select: &Select,
        (begin, end): Span,
    ) -> Result<Vec<Entry>, StoreError> {
        let kept = log.range().place(log.pruned.entries);
        let (mut begin, mut end) = (begin.max(run.first).max(kept), end.min(run.last + 1));
        let mut page = Vec::new();
        while page.len() < select.limit && begin < end {
            let rest = Select { limit: select.limit - page.len(), ..select.clone() };
            let mut places = if select.newest_first {
                let enter = self.mark(run, end - 1, 0)?;
                self.walk(enter, (begin, end), rest.limit)?
            } else {
                let stretches = rest.limit as u64 / MARK_EVERY + 1;
                let enter = self.mark(run, begin, stretches)?;
                let mut places = self.walk(enter, (begin, end), usize::MAX)?;
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
            let places = places.into_iter().map(|(place, _)| place).collect();
            page.extend(self.take(log, &rest, places)?);
        }
        Ok(page)
    }

    /// The mark that is `skip` marks after the first one at or after `place`, or else the
    /// run's last entry.
    fn mark(&self, run: &RunRow, place: i64, skip: u64) -> Result<i64, StoreError> {
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
        Ok(found.unwrap_or(run.last))
    }

    /// Places and kinds of the chain that ends at `place`, backwards: those of the span, up
    /// to `limit`. It ends early where entries were pruned.
    fn walk(
        &self,
        mut place: i64,
        (begin, end): Span,
        limit: usize,
    ) -> Result<Vec<(i64, i64)>, StoreError> {
        let cannot = |error| failed("read the entries of a run", error);
        let mut read = self
            .db()
            .prepare_cached("SELECT back, kind FROM entry WHERE place = ?1")
            .map_err(cannot)?;
        let mut found = Vec::new();
        while place >= begin && found.len() < limit {
            let row: Option<(Option<i64>, i64)> = read
                .query_row([place], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
                .map_err(cannot)?;
            let Some((back, kind)) = row else { break };
            if place < end {
                found.push((place, kind));
            }
            match back {
                Some(back) if back > 0 => place -= back,
                _ => break,
            }
        }
        Ok(found)
    }
}
