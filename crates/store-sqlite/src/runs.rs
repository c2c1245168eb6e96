//! The rows of runs. Those of open ones are bound by a sum in the state of the log, so that
//! none of them can be hidden, put there or put back as it was before.

use std::collections::BTreeMap;

use cog_base::id::{RunId, Uuid};
use cog_ledger::Kind;
use cog_store::{Session, StoreError};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::binding::{Bindings, Sum};
use crate::entries;
use crate::error::failed;
use crate::log::Log;

/// The columns of a run, in the order of [`Run::read`].
pub(crate) const COLUMNS: &str = "id, first, last, entries, started, status";

/// A run by the places of its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) entries: u64,
    pub(crate) started: bool,
    /// What its seal says, if it has one.
    pub(crate) status: Option<String>,
}

impl Run {
    /// A run that begins at `place`, with no entry counted yet.
    pub(crate) const fn new(id: RunId, place: i64) -> Self {
        Self { id, first: place, last: place, entries: 0, started: false, status: None }
    }

    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: RunId::from_uuid(Uuid::from_u128(u128::from_be_bytes(row.get(0)?))),
            first: row.get(1)?,
            last: row.get(2)?,
            entries: row.get(3)?,
            started: row.get(4)?,
            status: row.get(5)?,
        })
    }

    /// What it adds to the sum while it is open.
    pub(crate) fn mark(&self, bindings: &Bindings) -> Sum {
        let places = [self.first, self.last].map(i64::cast_unsigned);
        let [first, last] = places;
        let numbers = [first, last, self.entries, u64::from(self.started)];
        bindings.mark(self.id.uuid().as_u128(), numbers, self.status.as_deref())
    }

    pub(crate) fn session(self, log: &Log) -> Session {
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

/// Every open run of a log, which together are those that the state of the log counts. A run
/// is open until its last entry is its seal.
pub(crate) fn open(db: &Connection, log: &Log) -> Result<BTreeMap<RunId, Run>, StoreError> {
    let cannot = |error| failed("read which runs are open", error);
    let mut read = db
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM session WHERE is_open = 1 AND first >= ?1 AND first <= ?2"
        ))
        .map_err(cannot)?;
    let range = log.range();
    let span = [range.place(0), range.place(u64::MAX)];
    let rows = read.query_map(span, Run::read).map_err(cannot)?;
    let (mut runs, mut sum) = (BTreeMap::new(), Sum::default());
    let mut count = 0_u64;
    for run in rows {
        let run = run.map_err(cannot)?;
        sum = sum.plus(run.mark(&log.bindings));
        count += 1;
        runs.insert(run.id, run);
    }
    let all = runs.len() as u64 == count && log.state.open == count && log.state.sum == sum;
    if all { Ok(runs) } else { Err(log.damaged("the list of open runs")) }
}

/// A run whose last entry is its seal, if there is one with this id.
pub(crate) fn sealed(db: &Connection, log: &Log, id: RunId) -> Result<Option<Run>, StoreError> {
    let row = params![log.no, id.uuid().as_u128().to_be_bytes()];
    let run = db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM session WHERE log = ?1 AND id = ?2"))
        .and_then(|mut read| read.query_row(row, Run::read).optional())
        .map_err(|error| failed("read a run", error))?;
    run.map(|run| check_sealed(db, log, &run).map(|()| run)).transpose()
}

/// See that the row of a run which is not open tells where it begins and ends: its last
/// entry is its seal, and its first is the first of the run, unless that was pruned.
pub(crate) fn check_sealed(db: &Connection, log: &Log, run: &Run) -> Result<(), StoreError> {
    let range = log.range();
    let own = |place: i64| {
        let found = entries::read(db, log, range.seq(place))?;
        Ok::<_, StoreError>(found.filter(|found| found.entry.session() == Some(run.id)))
    };
    let ends = own(run.last)?.is_some_and(|found| {
        let status = found.entry.text("status");
        found.entry.kind() == Kind::SessionSealed && status == run.status.as_deref()
    });
    let begins = range.seq(run.first) < log.end.pruned.entries
        || own(run.first)?.is_some_and(|found| found.links.back == Some(0));
    if ends && begins { Ok(()) } else { Err(log.damaged(&format!("the row of {}", run.id))) }
}
