//! A quick look at a log: its end, its key, its open runs, and its newest entries with their
//! bodies. It costs what it looks at, however long the log is.

use cog_base::id::TenantId;
use cog_ledger::Kind;
use cog_ledger::audit::{Erasures, Findings};
use cog_ledger::keys::{Signer as _, SigningKey};
use cog_ledger::{Entry, VerifierKey};
use cog_store::vault::SIGNING_KEY;
use cog_store::{Select, StoreError, TenantTx as _};
use rusqlite::{OptionalExtension as _, params};

use super::Scope;
use crate::SqliteStore;
use crate::error::failed;
use crate::log::Log;

impl SqliteStore {
    /// Look at the end of a tenant's log, the key that signs it, the runs that are open, and
    /// the newest `newest` entries with their bodies. Nothing found means nothing of what is
    /// older: that is for [`SqliteStore::check_tables`] and for the bundle.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be looked: another master key, a disk that fails, a
    /// database that is locked. Damage is a finding.
    pub fn look(&self, tenant: TenantId, newest: u64) -> Result<Findings, StoreError> {
        let mut findings = Findings::default();
        let scope = match Scope::open(self.inner(), tenant) {
            Err(StoreError::Corrupt { what, .. }) => {
                findings.add(None, "store.unreadable", what);
                return Ok(findings);
            }
            scope => scope?,
        };
        let Some(log) = &scope.log else {
            let strays = scope.edge("min", (i64::MIN, i64::MAX));
            if told(&mut findings, "store.entry", strays)?.flatten().is_some() {
                findings.add(None, "store.stray", "there are entries, and no log that has them");
            }
            return Ok(findings);
        };
        let tail = scope.tail();
        if told(&mut findings, "store.end", tail)?.is_some() {
            let signed = scope.look_at_key(log, &mut findings);
            told(&mut findings, "store.key.missing", signed)?;
        }
        let open = scope.open_sessions();
        told(&mut findings, "store.run.other", open)?;
        let edges = scope.look_at_edges(log, &mut findings);
        told(&mut findings, "store.entry", edges)?;
        scope.look_at_newest(log, newest, &mut findings)?;
        Ok(findings)
    }
}

/// What came of it, unless that is damage: then it is told.
fn told<T>(
    findings: &mut Findings,
    code: &'static str,
    result: Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    match result {
        Err(StoreError::Corrupt { what, .. }) => {
            findings.add(None, code, format!("this does not hold together: {what}"));
            Ok(None)
        }
        other => other.map(Some),
    }
}

impl Scope<'_> {
    /// The head is signed by the key in force, and that key is kept and opens.
    fn look_at_key(&self, log: &Log, findings: &mut Findings) -> Result<(), StoreError> {
        let head = self.head(log)?;
        let newest = |kind| self.select(&Select { limit: 1, ..Select::newest(kind) });
        let named = match newest(Kind::KeyRotated)?.pop() {
            Some(rotated) => rotated.text("to").map(str::to_owned),
            None => newest(Kind::Genesis)?.pop().and_then(|it| it.text("key").map(str::to_owned)),
        };
        let key = named.and_then(|line| line.parse::<VerifierKey>().ok());
        let Some(key) = key else { return Err(log.damaged("the key in force")) };
        if head.verify(head.origin(), std::slice::from_ref(&key)).is_err() {
            let what = "the newest head is not signed by the key in force";
            findings.add(None, "store.head", what);
        }
        let row = params![log.tenant.uuid().as_u128().to_be_bytes(), key.name(), key.id()];
        let sealed: Option<Vec<u8>> = self
            .db()
            .prepare_cached(
                "SELECT sealed FROM signing_key WHERE tenant = ?1 AND name = ?2 AND id = ?3",
            )
            .and_then(|mut read| read.query_row(row, |row| row.get(0)).optional())
            .map_err(|error| failed("read a signing key", error))?;
        let opened = sealed.and_then(|sealed| {
            let seed = self.inner.vault.unwrap(log.tenant, SIGNING_KEY, &sealed).ok()?;
            SigningKey::from_seed(key.name(), &seed).ok()
        });
        if opened.is_none_or(|own| *own.public() != key) {
            let what = format!("the key in force, {}+{:08x}, is not kept", key.name(), key.id());
            findings.add(None, "store.key.missing", what);
        }
        Ok(())
    }

    /// The first and the last row are those of the first and the last entry.
    fn look_at_edges(&self, log: &Log, findings: &mut Findings) -> Result<(), StoreError> {
        let (range, size) = (log.range(), log.end.size);
        let span = (range.place(0), range.place(u64::MAX));
        let (first, last) = (self.edge("min", span)?, self.edge("max", span)?);
        // Entries outside runs stay, and the genesis is one.
        if first != Some(span.0) {
            findings.add(Some(0), "store.entry", "it is missing");
        }
        if let Some(last) = last.map(|last| range.seq(last)).filter(|last| *last >= size) {
            findings.add(Some(last), "store.entry", "it is beyond the end of the log");
        }
        Ok(())
    }

    /// The first or the last place of an entry in a span.
    fn edge(&self, which: &str, (begin, end): (i64, i64)) -> Result<Option<i64>, StoreError> {
        let sql = format!("SELECT {which}(place) FROM entry WHERE place >= ?1 AND place <= ?2");
        self.db()
            .query_row(&sql, [begin, end], |row| row.get(0))
            .map_err(|error| failed("read the ends of the entries", error))
    }

    fn look_at_newest(
        &self,
        log: &Log,
        newest: u64,
        findings: &mut Findings,
    ) -> Result<(), StoreError> {
        let (size, pruned) = (log.end.size, log.end.pruned.entries);
        let mut absent = Vec::new();
        for seq in size.saturating_sub(newest).max(pruned)..size {
            let (code, what) = match self.entry_at(log, seq) {
                Ok(Some(entry)) => match self.has_body(log, &entry) {
                    Ok(true) => continue,
                    Ok(false) => {
                        absent.push(seq);
                        continue;
                    }
                    Err(StoreError::Corrupt { source: Some(_), .. }) => {
                        ("store.unreadable", "its body cannot be read")
                    }
                    Err(StoreError::Corrupt { .. }) => {
                        ("body.changed", "its body is not what the entry commits to")
                    }
                    Err(error) => return Err(error),
                },
                Ok(None) => ("store.entry", "it is missing"),
                Err(StoreError::Corrupt { .. }) => {
                    ("store.entry", "it is missing, or not what was written")
                }
                Err(error) => return Err(error),
            };
            findings.add(Some(seq), code, what);
        }
        self.look_at_absent(&absent, findings)
    }

    /// Whether the body that an entry commits to is there.
    fn has_body(&self, log: &Log, entry: &Entry) -> Result<bool, StoreError> {
        if entry.commit().is_none() {
            return Ok(true);
        }
        Ok(super::body_at(self.db(), &self.inner.vault, log, entry)?.is_some())
    }

    /// Bodies that are not here must have been erased, as entries say.
    fn look_at_absent(&self, absent: &[u64], findings: &mut Findings) -> Result<(), StoreError> {
        if absent.is_empty() {
            return Ok(());
        }
        let mut erasures = Erasures::default();
        let mut select = Select { kinds: vec![Kind::BodiesErased], ..Select::default() };
        loop {
            let page = self.select(&select);
            let Some(page) = told(findings, "store.kind.missing", page)? else { return Ok(()) };
            let Some(last) = page.last() else { break };
            select = select.after(last);
            page.iter().for_each(|entry| erasures.observe(entry));
        }
        for seq in absent.iter().filter(|seq| !erasures.explains(**seq)) {
            let what = "its body is not here, and no entry says that it was erased";
            findings.add(Some(*seq), "body.absent", what);
        }
        Ok(())
    }
}
