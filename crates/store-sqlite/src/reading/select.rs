//! Pages of entries: which places to look at, by the condition that narrows most.

use cog_ledger::Entry;
use cog_store::index::{id_key, is_rare, kind_code};
use cog_store::{Select, StoreError};
use rusqlite::params;

use super::Scope;
use crate::entries;
use crate::error::failed;
use crate::log::Log;

/// The places from the first to before the second.
pub(super) type Span = (i64, i64);

impl Scope<'_> {
    /// The page that `select` asks for.
    pub(super) fn page(&self, log: &Log, select: &Select) -> Result<Vec<Entry>, StoreError> {
        let range = log.range();
        let (from, to) = (select.from, select.to.min(log.end.size));
        if from >= to || select.limit == 0 {
            return Ok(Vec::new());
        }
        let span = (range.place(from), range.place(to));
        if let Some(id) = &select.id {
            return self.take(log, select, self.places_of_id(id, span, select.newest_first)?);
        }
        if let Some(session) = select.session {
            let Some(run) = self.run_row(log, session)? else { return Ok(Vec::new()) };
            return self.run_page(log, &run, select, span);
        }
        if !select.kinds.is_empty() && select.kinds.iter().all(|kind| is_rare(*kind)) {
            return self.of_kinds(log, select, (from, to));
        }
        self.scan(log, select, (from, to))
    }

    /// The entries at `places` that are asked for, up to the limit.
    fn take(&self, log: &Log, select: &Select, places: Vec<i64>) -> Result<Vec<Entry>, StoreError> {
        let mut page = Vec::new();
        for place in places {
            let entry = self.entry_at(log, log.range().seq(place))?;
            page.extend(entry.filter(|entry| select.takes(entry)));
            if page.len() >= select.limit {
                break;
            }
        }
        Ok(page)
    }

    fn places_of_id(
        &self,
        id: &str,
        (begin, end): Span,
        newest_first: bool,
    ) -> Result<Vec<i64>, StoreError> {
        let cannot = |error| failed("look up an id", error);
        let mut find = self
            .db()
            .prepare_cached(
                "SELECT place FROM entry_id WHERE key = ?1 AND place >= ?2 AND place < ?3
                 ORDER BY place",
            )
            .map_err(cannot)?;
        let rows = find.query_map(params![id_key(id), begin, end], |row| row.get(0));
        let places = rows.map_err(cannot)?.collect::<Result<Vec<_>, _>>();
        let mut places = places.map_err(cannot)?;
        if newest_first {
            places.reverse();
        }
        Ok(places)
    }

    /// Look at every entry of the span until the page is full.
    fn scan(
        &self,
        log: &Log,
        select: &Select,
        (begin, end): (u64, u64),
    ) -> Result<Vec<Entry>, StoreError> {
        let cannot = |error| failed("read entries", error);
        let sql = if select.newest_first {
            "SELECT kind, back, kin, tag, bytes, place FROM entry
             WHERE place >= ?1 AND place < ?2 ORDER BY place DESC"
        } else {
            "SELECT kind, back, kin, tag, bytes, place FROM entry
             WHERE place >= ?1 AND place < ?2 ORDER BY place"
        };
        let range = log.range();
        let mut read = self.db().prepare_cached(sql).map_err(cannot)?;
        let mut rows = read.query([range.place(begin), range.place(end)]).map_err(cannot)?;
        let kinds: Vec<i64> = select.kinds.iter().map(|kind| kind_code(*kind)).collect();
        let mut left = Left { begin, end, pruned: log.end.pruned.entries };
        let mut page = Vec::new();
        while page.len() < select.limit {
            let Some(row) = rows.next().map_err(cannot)? else {
                left.is_nothing().map_err(|seq| log.damaged(&format!("entry {seq}")))?;
                break;
            };
            let place = row.get(5).map_err(cannot)?;
            let met = left.meet(range.seq(place), select.newest_first);
            met.map_err(|seq| log.damaged(&format!("entry {seq}")))?;
            let (links, _) = entries::links(log, place, row)?;
            if kinds.is_empty() || kinds.contains(&links.kind) {
                page.push(entries::parse(log, place, row)?.entry);
            }
        }
        Ok(page)
    }
}

/// What of a span is still to come. Entries are missing only where they were pruned.
struct Left {
    begin: u64,
    end: u64,
    pruned: u64,
}

impl Left {
    /// Take the next one off. An error names an entry that is missing.
    fn meet(&mut self, seq: u64, newest_first: bool) -> Result<(), u64> {
        let passed = if newest_first {
            let passed = Self { begin: seq + 1, ..*self };
            self.end = seq;
            passed
        } else {
            let passed = Self { end: seq, ..*self };
            self.begin = seq + 1;
            passed
        };
        passed.is_nothing()
    }

    fn is_nothing(&self) -> Result<(), u64> {
        let first = self.begin.max(self.pruned);
        if first < self.end { Err(first) } else { Ok(()) }
    }
}
