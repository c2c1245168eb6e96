//! Runs and their marks, as the entries make them.

use std::collections::HashMap;

use cog_base::id::RunId;
use cog_ledger::audit::Findings;
use cog_ledger::{Entry, Kind};
use cog_store::StoreError;
use rusqlite::{Connection, params};

use super::entries::{Derived, reaches};
use crate::error::failed;
use crate::log::Log;
use crate::runs::{COLUMNS, Run};
use crate::writing::MARK_EVERY;

/// The runs of a log, as far as its entries are kept.
#[derive(Default)]
pub(super) struct Runs(HashMap<RunId, Seen>);

pub(super) struct Seen {
    run: Run,
    /// Whether its beginning was pruned, so that only its end is known.
    is_cut: bool,
    pub(super) is_open: bool,
    /// The places of its entries that may have a mark, with what number each is.
    marks: Vec<(u64, i64)>,
}

impl Runs {
    /// Take in an entry. Returns how far back the one before it in its run must be; `back` is
    /// what its row says, which is believed only of what was pruned.
    pub(super) fn add(
        &mut self,
        place: i64,
        entry: &Entry,
        back: Option<i64>,
        seq: u64,
        pruned: u64,
    ) -> Option<i64> {
        let id = entry.session()?;
        let cut = back.filter(|back| reaches(seq, *back, pruned));
        let seen = self.0.entry(id).or_insert_with(|| Seen {
            run: Run::new(id, cut.map_or(place, |back| place - back)),
            is_cut: cut.is_some(),
            is_open: true,
            marks: Vec::new(),
        });
        let run = &mut seen.run;
        let back = if run.entries == 0 { cut.unwrap_or(0) } else { place - run.last };
        run.last = place;
        run.entries += 1;
        run.started |= entry.kind() == Kind::SessionStarted;
        seen.is_open = entry.kind() != Kind::SessionSealed;
        if !seen.is_open {
            run.status = entry.text("status").map(str::to_owned);
        }
        if seen.is_cut || run.entries.is_multiple_of(MARK_EVERY) {
            seen.marks.push((run.entries, place));
        }
        Some(back)
    }

    /// The runs that are open.
    pub(super) fn open(&self) -> impl Iterator<Item = &Run> {
        self.0.values().filter(|seen| seen.is_open).map(|seen| &seen.run)
    }
}

impl Seen {
    /// Whether a row is the one that this run must have. Of a run whose beginning was pruned
    /// it is known only where it ends and how.
    fn is(&self, kept: &Run, is_open: bool, pruned: i64) -> bool {
        if !self.is_cut {
            return *kept == self.run && is_open == self.is_open;
        }
        let ends = kept.last == self.run.last && kept.status == self.run.status;
        ends && is_open == self.is_open && kept.first < pruned && kept.entries > self.run.entries
    }
}

/// Compare the rows of runs and of marks with the runs of the entries.
pub(super) fn compare(
    db: &Connection,
    log: &Log,
    derived: &Derived,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let cannot = |error| failed("check the runs", error);
    let range = log.range();
    let (begin, end) = (range.place(0), range.place(u64::MAX));
    let pruned = range.place(log.end.pruned.entries);
    let mut read = db
        .prepare(&format!(
            "SELECT {COLUMNS}, is_open, log FROM session
             WHERE log = ?1 OR (first >= ?2 AND first <= ?3)"
        ))
        .map_err(cannot)?;
    let mut rows = read.query(params![log.no, begin, end]).map_err(cannot)?;
    let mut kept = HashMap::new();
    while let Some(row) = rows.next().map_err(cannot)? {
        let Ok(run) = Run::read(row) else {
            findings.add(None, "store.run.other", "the row of a run cannot be read");
            continue;
        };
        let (is_open, no) = (row.get(6).unwrap_or(false), row.get::<_, i64>(7).unwrap_or(0));
        let seq = Some(range.seq(run.first));
        match derived.runs.0.get(&run.id) {
            None => findings.add(seq, "store.run.foreign", format!("no entry is of {}", run.id)),
            Some(seen) if !seen.is(&run, is_open, pruned) || no != log.no => {
                let what = format!("the row of {} is not what its entries say", run.id);
                findings.add(seq, "store.run.other", what);
                kept.insert(run.id, run);
            }
            Some(_) => drop(kept.insert(run.id, run)),
        }
    }
    for (id, seen) in &derived.runs.0 {
        if !kept.contains_key(id) {
            let seq = Some(range.seq(seen.run.first));
            findings.add(seq, "store.run.missing", format!("there is no row of {id}"));
        }
    }
    marks(db, log, derived, &kept, findings)
}

fn marks(
    db: &Connection,
    log: &Log,
    derived: &Derived,
    kept: &HashMap<RunId, Run>,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let cannot = |error| failed("check the marks of runs", error);
    let range = log.range();
    let mut wanted = HashMap::new();
    for seen in derived.runs.0.values() {
        // Of a run that was cut, the row says how many entries there were before.
        let row = kept.get(&seen.run.id).filter(|_| seen.is_cut);
        let before = row.map_or(0, |row| row.entries.saturating_sub(seen.run.entries));
        let first = row.map_or(seen.run.first, |row| row.first);
        let marked = seen.marks.iter().filter(|(nth, _)| (nth + before).is_multiple_of(MARK_EVERY));
        wanted.extend(marked.map(|(_, place)| ((first, *place), seen.run.id)));
    }
    let mut read = db
        .prepare("SELECT session, place FROM session_mark WHERE session >= ?1 AND session <= ?2")
        .map_err(cannot)?;
    let span = [range.place(0), range.place(u64::MAX)];
    let rows = read.query_map(span, |row| Ok((row.get(0)?, row.get(1)?))).map_err(cannot)?;
    for mark in rows {
        let mark: (i64, i64) = mark.map_err(cannot)?;
        if wanted.remove(&mark).is_none() {
            let seq = Some(range.seq(mark.1));
            findings.add(seq, "store.mark.foreign", "a mark of a run leads here, and must not");
        }
    }
    for ((_, place), id) in wanted {
        let what = format!("the mark of {id} that leads here is missing");
        findings.add(Some(range.seq(place)), "store.mark.missing", what);
    }
    Ok(())
}
