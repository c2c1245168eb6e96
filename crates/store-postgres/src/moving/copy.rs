//! Copies rows from one database to the other, and compares them there.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::tables::{ALL, CURSOR, LONG, Long, MAIL, SMALL, Table};
use crate::id::Id;
use crate::link::Link;
use crate::pool::Stop;
use crate::reading::number;

/// Rows that are sent at once.
const ROWS_MAX: u64 = 4_096;
/// Rows that are removed at once.
const REMOVED_MAX: i64 = 8_192;

const MAIL_PAGE: &str = "SELECT id::text, kind, session::text, sealed::text, refused, at::text, no
    FROM mail WHERE tenant = $1 AND no > $2 ORDER BY no LIMIT 64";
const NO_MAIL: &str = "DELETE FROM mail WHERE tenant = $1";
const CURSORS: &str = "SELECT consumer, next::text FROM cursor WHERE tenant = $1";
const NO_CURSORS: &str = "DELETE FROM cursor WHERE tenant = $1";
/// A fence is never given twice in a database, so those of the other one stay there.
const ADD_CURSOR: &str = "INSERT INTO cursor (tenant, consumer, next, fence)
    SELECT $1::uuid, x.consumer, x.next::bigint, nextval('cursor_fence')
    FROM unnest($2::text[], $3::text[]) AS x (consumer, next)";
const FORGET: &str = "SELECT forget_rows($1, $2)";

/// Of each part of a table, how many rows it has and what they are known by.
type Parts = BTreeMap<i64, (i64, String)>;

/// The two databases, each by a connection that sees the rows of the tenant alone.
pub(crate) struct Pair {
    pub(crate) source: Link,
    pub(crate) target: Link,
    pub(crate) id: Id,
    /// Where each long table goes on, at the target.
    next: [i64; LONG.len()],
    /// How many rows were found equal, by table, where that is for good.
    pub(crate) equal: BTreeMap<&'static str, u64>,
}

impl Pair {
    pub(crate) fn new(source: Link, target: Link, id: Id) -> Self {
        Self { source, target, id, next: [0; LONG.len()], equal: BTreeMap::new() }
    }

    /// Go on where an earlier copy ended.
    pub(crate) fn find_ends(&mut self) -> Result<(), Stop> {
        for (next, long) in self.next.iter_mut().zip(&LONG) {
            let rows = self.target.query(&long.end(), &[&self.id])?;
            *next = rows.first().map_or(0, |row| row.get(0));
        }
        Ok(())
    }

    /// Copy what grew, up to a size of the log. `between` is called after each page.
    pub(crate) fn grow(
        &mut self,
        size: u64,
        between: &mut dyn FnMut(&mut Link) -> Result<(), Stop>,
    ) -> Result<u64, Stop> {
        let mut copied = 0;
        for (next, long) in self.next.iter_mut().zip(&LONG) {
            let end = end_of(long, size);
            loop {
                let rows = self.source.query(&long.page(), &[&self.id, &*next, &end])?;
                let Some(last) = rows.last() else { break };
                let after: i64 = last.get(long.table.columns.len());
                add(&mut self.target, &long.table, self.id, &rows)?;
                copied += rows.len() as u64;
                *next = after + 1;
                between(&mut self.source)?;
            }
            *next = end.max(*next);
        }
        Ok(copied)
    }

    /// See that what grew is the same on both sides between two sizes, and make it so where rows
    /// were removed meanwhile.
    pub(crate) fn compare_long(&mut self, from: u64, to: u64) -> Result<(), Stop> {
        if from == 0 {
            self.equal.retain(|name, _| LONG.iter().all(|long| long.table.name != *name));
        }
        for place in 0..LONG.len() {
            let Some(long) = LONG.get(place) else { break };
            let from = if from == 0 { 0 } else { end_of(long, from) };
            let span = (from, end_of(long, to));
            for _ in 0..TRIES {
                let (here, there) = self.parts_of(long, span)?;
                let differ = differing(&here, &there);
                if differ.is_empty() {
                    *self.equal.entry(long.table.name).or_default() += sum(&here);
                    break;
                }
                self.equal.remove(long.table.name);
                self.again(&long.table, &long.remove_parts(), &differ, &here, |link, id, some| {
                    link.query(&long.of_parts(), &[&id, &some, &span.1])
                })?;
                if let Some(next) = self.next.get_mut(place) {
                    *next = span.1;
                }
            }
        }
        Ok(())
    }

    /// Whether as many rows of what grew are on both sides before a size. Nothing there is ever
    /// changed, so when they were the same they still are.
    pub(crate) fn is_as_long(&mut self, size: u64) -> Result<bool, Stop> {
        for long in &LONG {
            let (end, sql) = (end_of(long, size), long.count());
            let count = |link: &mut Link| -> Result<i64, Error> {
                let rows = link.query(&sql, &[&self.id, &end])?;
                Ok(rows.first().map_or(0, |row| row.get(0)))
            };
            if count(&mut self.source)? != count(&mut self.target)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn parts_of(&mut self, long: &Long, (from, to): (i64, i64)) -> Result<(Parts, Parts), Error> {
        let (mut here, mut there) = (Parts::new(), Parts::new());
        let (sql, mut at) = (long.parts(), from);
        while at < to {
            let next = to.min(at.saturating_add(SPAN));
            let values: &[&(dyn ToSql + Sync)] = &[&self.id, &at, &next];
            here.extend(parts(&self.source.query(&sql, values)?));
            there.extend(parts(&self.target.query(&sql, values)?));
            at = next;
        }
        Ok((here, there))
    }

    /// Make the smaller tables the same.
    pub(crate) fn even(
        &mut self,
        between: &mut dyn FnMut(&mut Link) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        for table in &SMALL {
            self.even_one(table)?;
            between(&mut self.source)?;
        }
        Ok(())
    }

    pub(crate) fn even_one(&mut self, table: &Table) -> Result<(), Stop> {
        let sql = table.parts();
        for _ in 0..TRIES {
            let here = parts(&self.source.query(&sql, &[&self.id])?);
            let there = parts(&self.target.query(&sql, &[&self.id])?);
            let differ = differing(&here, &there);
            if differ.is_empty() {
                self.equal.insert(table.name, sum(&here));
                return Ok(());
            }
            self.again(table, &table.remove_parts(), &differ, &here, |link, id, some| {
                link.query(&table.of_parts(), &[&id, &some])
            })?;
        }
        // It is written to at the same time, or does not come out the same.
        self.equal.remove(table.name);
        Ok(())
    }

    /// Copy some parts of a table again, all or nothing.
    fn again(
        &mut self,
        table: &Table,
        remove: &str,
        differ: &BTreeSet<i64>,
        here: &Parts,
        read: impl Fn(&mut Link, Id, &Vec<i64>) -> Result<Vec<Row>, Error>,
    ) -> Result<(), Stop> {
        self.target.batch("BEGIN")?;
        if table.shrinks {
            let all: Vec<i64> = differ.iter().copied().collect();
            self.target.query(remove, &[&self.id, &all])?;
        }
        let (mut some, mut rows) = (Vec::new(), 0);
        for part in differ {
            some.push(*part);
            rows += here.get(part).map_or(0, |(count, _)| number(*count));
            if rows >= ROWS_MAX {
                let found = read(&mut self.source, self.id, &some)?;
                add(&mut self.target, table, self.id, &found)?;
                (some, rows) = (Vec::new(), 0);
            }
        }
        let found = read(&mut self.source, self.id, &some)?;
        add(&mut self.target, table, self.id, &found)?;
        self.target.batch("COMMIT")?;
        Ok(())
    }

    /// Copy what is numbered by each database itself, in its order, once nothing comes.
    pub(crate) fn renumber(&mut self) -> Result<(), Stop> {
        self.target.batch("BEGIN")?;
        self.target.query(NO_MAIL, &[&self.id])?;
        let mut at = i64::MIN;
        loop {
            let rows = self.source.query(MAIL_PAGE, &[&self.id, &at])?;
            let Some(last) = rows.last() else { break };
            at = last.get(MAIL.columns.len());
            add(&mut self.target, &MAIL, self.id, &rows)?;
        }
        self.target.query(NO_CURSORS, &[&self.id])?;
        let rows = self.source.query(CURSORS, &[&self.id])?;
        let (names, places): (Vec<String>, Vec<String>) =
            rows.iter().map(|row| (row.get::<_, String>(0), row.get::<_, String>(1))).unzip();
        self.target.query(ADD_CURSOR, &[&self.id, &names, &places])?;
        self.target.batch("COMMIT")?;
        for table in [&MAIL, &CURSOR] {
            let sql = table.parts();
            let here = parts(&self.source.query(&sql, &[&self.id])?);
            let there = parts(&self.target.query(&sql, &[&self.id])?);
            if here == there {
                self.equal.insert(table.name, sum(&here));
            } else {
                self.equal.remove(table.name);
            }
        }
        Ok(())
    }
}

/// How often what differs is copied again.
const TRIES: u32 = 3;
/// How much of a long table is compared by one statement.
const SPAN: i64 = 65_536;

/// A head is there for the log of its size; everything else is before it.
fn end_of(long: &Long, size: u64) -> i64 {
    let size = crate::reading::place(size);
    if long.table.name == "checkpoint" { size.saturating_add(1) } else { size }
}

fn parts(rows: &[Row]) -> Parts {
    rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect()
}

fn sum(parts: &Parts) -> u64 {
    parts.values().map(|(count, _)| number(*count)).sum()
}

fn differing(here: &Parts, there: &Parts) -> BTreeSet<i64> {
    let all = here.keys().chain(there.keys());
    all.filter(|part| here.get(part) != there.get(part)).copied().collect()
}

/// Add rows as they were read, column by column.
pub(crate) fn add(link: &mut Link, table: &Table, id: Id, rows: &[Row]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let column = |at: usize| rows.iter().map(|row| row.get::<_, Option<&str>>(at)).collect();
    let columns: Vec<Vec<Option<&str>>> = (0..table.columns.len()).map(column).collect();
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&id];
    values.extend(columns.iter().map(|column| column as &(dyn ToSql + Sync)));
    link.query(&table.add(), &values).map(drop)
}

/// Remove every row of a tenant that is not here; how many there were.
pub(crate) fn forget(link: &mut Link) -> Result<u64, Error> {
    let mut gone = 0;
    for table in ALL {
        loop {
            let rows = link.query(FORGET, &[&table, &REMOVED_MAX])?;
            let some: i64 = rows.first().map_or(0, |row| row.get(0));
            gone += number(some);
            if some < REMOVED_MAX {
                break;
            }
        }
    }
    Ok(gone)
}
