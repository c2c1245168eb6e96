//! Every page, and every index against its table.

use std::collections::BTreeSet;

use cog_ledger::audit::Findings;
use cog_store::StoreError;
use rusqlite::Connection;

use crate::error::failed;

/// The most faults that are asked for.
const FAULTS_MAX: i64 = 100;
/// The most pages that are named.
const PAGES_NAMED_MAX: usize = 20;

/// What the database finds wrong with itself, in words of ours.
pub(super) fn check(db: &Connection, findings: &mut Findings) -> Result<(), StoreError> {
    let cannot = |error| failed("check the pages of the database", error);
    let sql = format!("PRAGMA integrity_check({FAULTS_MAX})");
    let mut read = db.prepare(&sql).map_err(cannot)?;
    let rows = read.query_map([], |row| row.get::<_, String>(0)).map_err(cannot)?;
    let mut faults = Faults::default();
    for row in rows {
        row.map_err(cannot)?.lines().for_each(|line| faults.add(line));
    }
    faults.tell(findings);
    Ok(())
}

#[derive(Default)]
struct Faults {
    pages: BTreeSet<u64>,
    indexes: u64,
    others: u64,
}

impl Faults {
    fn add(&mut self, line: &str) {
        if line == "ok" || line.starts_with("***") {
            return;
        }
        let page = line.split_once("page ").and_then(|(_, rest)| {
            rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|page| page.parse().ok())
        });
        if let Some(page) = page {
            self.pages.insert(page);
        } else if line.contains("index") {
            self.indexes += 1;
        } else {
            self.others += 1;
        }
    }

    fn tell(&self, findings: &mut Findings) {
        let mut add = |what: String| findings.add(None, "store.pages", what);
        if !self.pages.is_empty() {
            let named = self.pages.iter().take(PAGES_NAMED_MAX).map(ToString::to_string);
            let named = named.collect::<Vec<_>>().join(", ");
            let more = if self.pages.len() > PAGES_NAMED_MAX { ", and more" } else { "" };
            add(format!("pages of the database are damaged: {named}{more}"));
        }
        if self.indexes > 0 {
            let places = self.indexes;
            add(format!("indexes of the database differ from their tables in {places} places"));
        }
        if self.others > 0 {
            add(format!("rows of the database are not as they must be in {} places", self.others));
        }
    }
}
