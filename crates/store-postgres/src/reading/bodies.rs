//! Bodies of many entries at a time, and what is under way of many runs: each way to the server costs
//! more than what is brought from it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cog_base::cipher::Key;
use cog_base::id::RunId;
use cog_ledger::body::commitment;
use cog_ledger::{Entry, Kind};
use cog_store::vault::{SUBJECT_KEY, open_body};
use cog_store::{OpenBody, Recorded, StoreError, TenantTx as _};

use super::{Log, Scope, number, place};
use crate::id::Id;

const BODIES: &str = "SELECT seq, key, sealed FROM body WHERE tenant = $1 AND seq = ANY ($2)";
const SUBJECTS: &str = "SELECT no, wrapped FROM subject_key WHERE tenant = $1 AND no = ANY ($2)";
const ENTRIES: &str = "SELECT seq, leaf, bytes FROM entry WHERE tenant = $1 AND seq = ANY ($2)
    ORDER BY seq";
/// Ids that share the key that they are found by are told apart by who reads this.
const UNDER_WAY: &str = "SELECT seq, session FROM entry AS receipt
    WHERE tenant = $1 AND session = ANY ($2) AND kind = 11 AND
        (SELECT count(*) FROM entry WHERE tenant = $1 AND id_key = receipt.id_key
            AND session = receipt.session AND kind = 16)
      < (SELECT count(*) FROM entry WHERE tenant = $1 AND id_key = receipt.id_key
            AND session = receipt.session AND kind = 11)
    ORDER BY seq";
const FIRST: &str = "SELECT first FROM session WHERE tenant = $1 AND id = ANY ($2)";

impl Scope<'_> {
    /// A body that was read, if it is what the entry commits to.
    pub(super) fn opened(
        &self,
        key: &Key,
        entry: &Entry,
        sealed: &[u8],
    ) -> Result<OpenBody, StoreError> {
        let seq = entry.seq();
        let body = open_body(key, (self.tenant, seq), sealed)?;
        if entry.commit() != Some(commitment(&body.salt, &body.bytes)) {
            return Err(self.damaged(&format!("the body of entry {seq}")));
        }
        Ok(body)
    }

    pub(super) fn read_with_bodies(
        &self,
        log: &Log,
        entries: Vec<Entry>,
    ) -> Result<Vec<Recorded>, StoreError> {
        let seqs: Vec<i64> = entries.iter().map(|entry| place(entry.seq())).collect();
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.query("read bodies", BODIES, &[&seqs])?;
        let subjects: BTreeSet<i64> = rows.iter().filter_map(|row| row.get(1)).collect();
        let keys = self.subject_keys(&subjects.into_iter().collect::<Vec<_>>())?;
        let mut bodies: HashMap<u64, _> =
            rows.iter().map(|row| (number(row.get(0)), row)).collect();
        let mut found = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(row) = bodies.remove(&entry.seq()) else {
                found.push((entry, None));
                continue;
            };
            let key = match row.get::<_, Option<i64>>(1) {
                None => self.log_key(log)?,
                Some(no) => keys.get(&no).cloned(),
            };
            let body = key.map(|key| self.opened(&key, &entry, row.get(2))).transpose()?;
            found.push((entry, body));
        }
        Ok(found)
    }

    /// From the database, as [`Scope::subject_key`].
    fn subject_keys(&self, subjects: &[i64]) -> Result<BTreeMap<i64, Key>, StoreError> {
        if subjects.is_empty() {
            return Ok(BTreeMap::new());
        }
        let rows = self.query("read the keys of subjects", SUBJECTS, &[&subjects])?;
        let mut keys = BTreeMap::new();
        for row in rows {
            let secret = self.inner.vault.unwrap(self.tenant, SUBJECT_KEY, row.get(1))?;
            keys.insert(row.get(0), Key::from_bytes(*secret));
        }
        Ok(keys)
    }

    pub(super) fn read_under_way(&self, runs: &[RunId]) -> Result<Vec<Entry>, StoreError> {
        let runs: Vec<Id> = runs.iter().map(|run| Id::from(*run)).collect();
        let rows = self.query("read what is under way", UNDER_WAY, &[&runs])?;
        let open: BTreeSet<RunId> = rows.iter().map(|row| row.get::<_, Id>(1).run()).collect();
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let mut seqs: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        let open: Vec<Id> = open.into_iter().map(Id::from).collect();
        let rows = self.query("read where runs begin", FIRST, &[&open])?;
        seqs.extend(rows.iter().map(|row| row.get::<_, i64>(0)));
        let rows = self.query("read what is under way", ENTRIES, &[&seqs])?;
        let parse =
            |row: &tokio_postgres::Row| self.parse(number(row.get(0)), row.get(1), row.get(2));
        let found = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        self.without_settled(found)
    }

    /// Without the receipts that have an outcome. There are such only where the keys are shared that
    /// ids are found by.
    fn without_settled(&self, mut found: Vec<Entry>) -> Result<Vec<Entry>, StoreError> {
        let is_receipt = |entry: &&Entry| entry.kind() == Kind::Receipt;
        let mut by_key: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for entry in found.iter().filter(is_receipt) {
            let id = entry.id().unwrap_or_default().to_owned();
            by_key.entry(cog_store::index::id_key(&id)).or_default().push(id);
        }
        let mut settled = BTreeSet::new();
        for id in by_key.into_values().filter(|ids| ids.len() > 1).flatten() {
            if self.find(&id)?.iter().any(|it| it.kind() == Kind::Outcome) {
                settled.insert(id);
            }
        }
        let is_settled = |entry: &Entry| entry.id().is_some_and(|id| settled.contains(id));
        found.retain(|entry| !is_settled(entry));
        let open = found.iter().filter(is_receipt).filter_map(Entry::session);
        let open: BTreeSet<RunId> = open.collect();
        found.retain(|entry| entry.session().is_some_and(|run| open.contains(&run)));
        Ok(found)
    }
}
