//! Entries by kind. The index says where they are, the links that none was left out.

use cog_ledger::{Entry, Kind};
use cog_store::index::kind_code;
use cog_store::{Select, StoreError};
use rusqlite::params;

use super::Scope;
use crate::binding::Chain;
use crate::entries::{self, Found};
use crate::error::failed;
use crate::log::Log;

/// Rows of the index that are looked at in one go for the first of a chain.
const STEP: usize = 64;

/// How far a chain was followed within a span.
struct Edge {
    chain: Chain,
    /// Where the span begins for this chain: what comes before may be pruned.
    begin: u64,
    /// The entry of the chain that was met last, or that is to come next.
    at: Option<u64>,
}

impl Edge {
    /// Whether nothing of the chain is left before the last entry that was met, going back.
    fn is_over(&self) -> bool {
        self.at.is_none_or(|at| at < self.begin)
    }
}

impl Scope<'_> {
    /// The entries of some kinds that have chains, in the order that `select` asks for.
    pub(super) fn of_kinds(
        &self,
        log: &Log,
        select: &Select,
        span: (u64, u64),
    ) -> Result<Vec<Entry>, StoreError> {
        let mut page = Vec::new();
        for kind in &select.kinds {
            page.extend(if select.newest_first {
                self.newest_of(log, *kind, span, select.limit)?
            } else {
                self.oldest_of(log, *kind, span, select.limit)?
            });
        }
        page.sort_by_key(Entry::seq);
        page.dedup_by_key(|entry| entry.seq());
        if select.newest_first {
            page.reverse();
        }
        page.truncate(select.limit);
        Ok(page)
    }

    /// Along the index, where each entry must be linked to the one before it in the page, and
    /// the last one to what comes after the span.
    fn oldest_of(
        &self,
        log: &Log,
        kind: Kind,
        (begin, end): (u64, u64),
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let hidden = || log.damaged(&format!("the index of {kind} entries"));
        let [mut outside, mut inside] = edges(log, kind, begin);
        let mut page = Vec::new();
        for seq in self.seqs_of(log, kind, (begin, end), limit)? {
            // Pruned, and the index was not told.
            let Some(found) = entries::read(self.db(), log, seq)? else { return Err(hidden()) };
            let edge = if found.links.back.is_some() { &mut inside } else { &mut outside };
            let before = found.before();
            let follows = match edge.at {
                Some(at) => before == Some(at),
                None => before.is_none_or(|before| before < edge.begin),
            };
            if found.entry.kind() != kind || seq < edge.begin || !follows {
                return Err(hidden());
            }
            edge.at = Some(seq);
            page.push(found.entry);
        }
        if page.len() < limit {
            for edge in [outside, inside] {
                let last = self.newest_before(log, kind, &edge, end)?;
                let last = last.filter(|last| *last >= edge.begin);
                if last != edge.at {
                    return Err(hidden());
                }
            }
        }
        Ok(page)
    }

    /// Along the links.
    fn newest_of(
        &self,
        log: &Log,
        kind: Kind,
        (begin, end): (u64, u64),
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let [mut outside, mut inside] = edges(log, kind, begin);
        for edge in [&mut outside, &mut inside] {
            edge.at = self.newest_before(log, kind, edge, end)?;
        }
        let mut page = Vec::new();
        while page.len() < limit {
            let edge = match (outside.is_over(), inside.is_over()) {
                (true, true) => break,
                (false, true) => &mut outside,
                (true, false) => &mut inside,
                (false, false) if outside.at > inside.at => &mut outside,
                (false, false) => &mut inside,
            };
            let seq = edge.at.unwrap_or(u64::MAX);
            let found = entries::read(self.db(), log, seq)?.filter(|it| is_of(it, edge.chain));
            let found = found.ok_or_else(|| log.damaged(&format!("entry {seq}")))?;
            edge.at = found.before();
            page.push(found.entry);
        }
        Ok(page)
    }

    /// The newest entry of a chain before `end`, if the span has room for one: the state of the log knows the newest of
    /// all, and what comes after `end` is linked to it.
    fn newest_before(
        &self,
        log: &Log,
        kind: Kind,
        edge: &Edge,
        end: u64,
    ) -> Result<Option<u64>, StoreError> {
        if edge.begin >= end {
            return Ok(None);
        }
        let newest = log.state.newest(edge.chain);
        if newest.is_none_or(|newest| newest < end) {
            return Ok(newest);
        }
        let hidden = || log.damaged(&format!("the index of {kind} entries"));
        let mut from = end;
        while from < log.end.size {
            let seqs = self.seqs_of(log, kind, (from, log.end.size), STEP)?;
            let Some(last) = seqs.last().copied() else { break };
            for seq in seqs {
                let found = entries::read(self.db(), log, seq)?;
                let Some(found) = found.filter(|found| is_of(found, edge.chain)) else { continue };
                return match found.before() {
                    Some(before) if before >= end => Err(hidden()),
                    before => Ok(before),
                };
            }
            from = last + 1;
        }
        Err(hidden())
    }

    fn seqs_of(
        &self,
        log: &Log,
        kind: Kind,
        (begin, end): (u64, u64),
        limit: usize,
    ) -> Result<Vec<u64>, StoreError> {
        let cannot = |error| failed("look up a kind", error);
        let mut find = self
            .db()
            .prepare_cached(
                "SELECT place FROM entry_kind WHERE kind = ?1 AND place >= ?2 AND place < ?3
                 ORDER BY place LIMIT ?4",
            )
            .map_err(cannot)?;
        let range = log.range();
        let row = params![kind_code(kind), range.place(begin), range.place(end), limit];
        let rows = find.query_map(row, |row| row.get(0)).map_err(cannot)?;
        rows.map(|place| place.map(|place| range.seq(place)).map_err(cannot)).collect()
    }
}

/// The two chains of a kind, the one outside runs first. Nothing of that one is ever pruned.
fn edges(log: &Log, kind: Kind, begin: u64) -> [Edge; 2] {
    let kept = begin.max(log.end.pruned.entries);
    let edge = |in_run, begin| Edge { chain: Chain::of(kind, in_run), begin, at: None };
    [edge(false, begin), edge(true, kept)]
}

fn is_of(found: &Found, chain: Chain) -> bool {
    found.links.kin.is_some() && Chain::of(found.entry.kind(), found.links.back.is_some()) == chain
}
