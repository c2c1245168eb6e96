//! Pages of entries: one statement for each combination of conditions, so that each goes by
//! the index that narrows most.

use cog_ledger::Entry;
use cog_store::index::{id_key, is_rare, kind_code};
use cog_store::{Select, StoreError};
use tokio_postgres::types::ToSql;

use super::{Scope, number, place};
use crate::id::Id;

impl Scope<'_> {
    /// The page that `select` asks for.
    pub(super) fn page(&self, select: &Select) -> Result<Vec<Entry>, StoreError> {
        let is_found_by_kind = select.session.is_none()
            && select.id.is_none()
            && select.kinds.len() > 1
            && select.kinds.iter().all(|kind| is_rare(*kind));
        if !is_found_by_kind {
            return self.narrowed(select);
        }
        // Each kind by its index, which has them in order; those of all would be sorted.
        let mut page = Vec::new();
        for kind in &select.kinds {
            page.extend(self.narrowed(&Select { kinds: vec![*kind], ..select.clone() })?);
        }
        page.sort_unstable_by_key(Entry::seq);
        page.dedup_by_key(|entry| entry.seq());
        if select.newest_first {
            page.reverse();
        }
        page.truncate(select.limit);
        Ok(page)
    }

    /// A page by one index. Different ids may share the key that they are found by, so that
    /// a page of them is read on until it is full.
    fn narrowed(&self, select: &Select) -> Result<Vec<Entry>, StoreError> {
        let sql = statement(select);
        let kinds: Vec<i16> = select.kinds.iter().map(|kind| code(*kind)).collect();
        let session = select.session.map(Id::from);
        let key = select.id.as_deref().map(id_key);
        let mut page = Vec::new();
        let mut rest = select.clone();
        loop {
            let (from, to) = (place(rest.from), place(rest.to));
            let limit = i64::try_from(rest.limit).unwrap_or(i64::MAX);
            let mut values: Vec<&(dyn ToSql + Sync)> = vec![&from, &to, &limit];
            match kinds.as_slice() {
                [] => {}
                [one] => values.push(one),
                _ => values.push(&kinds),
            }
            values.extend(session.iter().map(|session| session as &(dyn ToSql + Sync)));
            values.extend(key.iter().map(|key| key as &(dyn ToSql + Sync)));
            let rows = self.query("read entries", &sql, &values)?;
            for row in &rows {
                let entry = self.parse(number(row.get(0)), row.get(1), row.get(2))?;
                rest = rest.after(&entry);
                if select.takes(&entry) {
                    page.push(entry);
                }
            }
            let is_last = rows.len() < rest.limit;
            rest.limit = select.limit.saturating_sub(page.len());
            if is_last || rest.limit == 0 {
                return Ok(page);
            }
        }
    }
}

fn statement(select: &Select) -> String {
    let mut sql = String::from(
        "SELECT seq, leaf, bytes FROM entry WHERE tenant = $1 AND seq >= $2 AND seq < $3",
    );
    let mut next = 5;
    let mut add = |condition: &str| {
        sql.push_str(&condition.replace('?', &format!("${next}")));
        next += 1;
    };
    match select.kinds.len() {
        0 => {}
        1 => add(" AND kind = ?"),
        _ => add(" AND kind = ANY (?::smallint[])"),
    }
    if select.session.is_some() {
        add(" AND session = ?");
    }
    if select.id.is_some() {
        add(" AND id_key = ?");
    }
    if !select.kinds.is_empty() && select.kinds.iter().all(|kind| is_rare(*kind)) {
        // What the index of the rare ones says of itself.
        sql.push_str(" AND kind <> 11 AND kind <> 16");
    }
    let order = if select.newest_first { "DESC" } else { "ASC" };
    sql.push_str(&format!(" ORDER BY seq {order} LIMIT $4"));
    sql
}

/// The number of a kind, which is small.
fn code(kind: cog_ledger::Kind) -> i16 {
    i16::try_from(kind_code(kind)).unwrap_or(i16::MAX)
}
