//! Pages of entries: which places to look at, by the condition that narrows most.

use cog_ledger::{Entry, Kind};
use cog_store::{Select, StoreError};
use rusqlite::params;

use super::{Log, Scope};
use crate::error::failed;
use crate::place::{id_key, is_rare, kind_code};

/// The places from the first to before the second.
pub(super) type Span = (i64, i64);

impl Scope<'_> {
    /// The page that `select` asks for.
    pub(super) fn page(&self, log: &Log, select: &Select) -> Result<Vec<Entry>, StoreError> {
        let range = log.range();
        let span = (range.place(select.from), range.place(select.to.min(log.size)));
        if span.0 >= span.1 || select.limit == 0 {
            return Ok(Vec::new());
        }
        if let Some(id) = &select.id {
            return self.take(log, select, self.places_of_id(id, span, select.newest_first)?);
        }
        if let Some(session) = select.session {
            let Some(run) = self.run_row(log, session)? else { return Ok(Vec::new()) };
            return self.run_page(log, &run, select, span);
        }
        if !select.kinds.is_empty() && select.kinds.iter().all(|kind| is_rare(*kind)) {
            return self.take(log, select, self.places_of_kinds(select, span)?);
        }
        self.scan(log, select, span)
    }

    /// The entries at `places` that are asked for, up to the limit.
    pub(super) fn take(
        &self,
        log: &Log,
        select: &Select,
        places: Vec<i64>,
    ) -> Result<Vec<Entry>, StoreError> {
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
        let rows = find.query_map([id_key(id), begin, end], |row| row.get(0)).map_err(cannot)?;
        let mut places = rows.collect::<Result<Vec<_>, _>>().map_err(cannot)?;
        if newest_first {
            places.reverse();
        }
        Ok(places)
    }

    fn places_of_kinds(&self, select: &Select, span: Span) -> Result<Vec<i64>, StoreError> {
        let mut places = Vec::new();
        for kind in &select.kinds {
            places.extend(self.places_of_kind(*kind, span, select)?);
        }
        places.sort_unstable();
        places.dedup();
        if select.newest_first {
            places.reverse();
        }
        Ok(places)
    }

    fn places_of_kind(
        &self,
        kind: Kind,
        (begin, end): Span,
        select: &Select,
    ) -> Result<Vec<i64>, StoreError> {
        let cannot = |error| failed("look up a kind", error);
        let sql = if select.newest_first {
            "SELECT place FROM entry_kind WHERE kind = ?1 AND place >= ?2 AND place < ?3
             ORDER BY place DESC LIMIT ?4"
        } else {
            "SELECT place FROM entry_kind WHERE kind = ?1 AND place >= ?2 AND place < ?3
             ORDER BY place LIMIT ?4"
        };
        let mut find = self.db().prepare_cached(sql).map_err(cannot)?;
        let row = params![kind_code(kind), begin, end, select.limit];
        let rows = find.query_map(row, |row| row.get(0)).map_err(cannot)?;
        rows.collect::<Result<_, _>>().map_err(cannot)
    }

    /// Look at every entry of the span until the page is full.
    fn scan(
        &self,
        log: &Log,
        select: &Select,
        (begin, end): Span,
    ) -> Result<Vec<Entry>, StoreError> {
        let cannot = |error| failed("read entries", error);
        let sql = if select.newest_first {
            "SELECT place, kind, leaf, bytes FROM entry WHERE place >= ?1 AND place < ?2
             ORDER BY place DESC"
        } else {
            "SELECT place, kind, leaf, bytes FROM entry WHERE place >= ?1 AND place < ?2
             ORDER BY place"
        };
        let mut read = self.db().prepare_cached(sql).map_err(cannot)?;
        let mut rows = read.query([begin, end]).map_err(cannot)?;
        let kinds: Vec<i64> = select.kinds.iter().map(|kind| kind_code(*kind)).collect();
        let mut page = Vec::new();
        while page.len() < select.limit {
            let Some(row) = rows.next().map_err(cannot)? else { break };
            let kind = row.get(1).map_err(cannot)?;
            if !kinds.is_empty() && !kinds.contains(&kind) {
                continue;
            }
            let seq = log.range().seq(row.get(0).map_err(cannot)?);
            let blob = |column| {
                row.get_ref(column).map_err(cannot)?.as_blob().map_err(|_| self.damaged("an entry"))
            };
            page.push(self.parse(seq, blob(2)?, blob(3)?)?);
        }
        Ok(page)
    }
}
