//! What the store has at the end, held against everything that it said it kept.

use cog_engine::Record;
use cog_history::Rules;
use cog_ledger::memory::KeptLog;
use cog_ledger::{Kind, SealedEntry};
use cog_store::{StoreError, TenantTx, frontier};

use crate::check::{Broken, audited, recomputed};
use crate::common::Common;
use crate::house::House;

impl House {
    /// Whether the store has every entry and body that was acknowledged, but for what was erased
    /// and pruned; and whether what is left still proves itself.
    pub(crate) fn compare(&self, common: &Common, log: &KeptLog) -> Result<(), Broken> {
        let store = common.disk.store();
        let told = |error: StoreError| common.broken(&format!("{}: {error}", self.tenant));
        let scope = store.scope(self.tenant).map_err(told)?;
        for sealed in &log.entries {
            if let Some(what) = self.differs(&*scope, sealed).map_err(told)? {
                let seq = sealed.entry.seq();
                return Err(common.broken(&format!("{}: entry {seq}: {what}", self.tenant)));
            }
        }
        self.proves_itself(common, log, &*scope)?;
        for digest in log.entries().filter_map(|it| activated(it)) {
            let variants = self.scenario.variants();
            let own = variants.iter().find(|(canon, _)| canon.digest() == digest);
            if scope.canon(digest).map_err(told)?.as_ref() != own.map(|(_, files)| *files) {
                return Err(common.broken(&format!("the files of {digest} are others")));
            }
        }
        if self.erased.is_empty() && self.pruned == 0 {
            return Ok(());
        }
        self.what_is_left_holds(common)
    }

    /// How an entry differs from what was kept.
    fn differs(
        &self,
        scope: &dyn TenantTx,
        kept: &SealedEntry,
    ) -> Result<Option<&'static str>, StoreError> {
        let seq = kept.entry.seq();
        if scope.leaf(seq)? != Some(kept.entry.leaf()) {
            return Ok(Some("its leaf is another"));
        }
        let is_pruned = seq < self.pruned && kept.entry.session().is_some();
        match scope.entry(seq)? {
            None if is_pruned => return Ok(None),
            None => return Ok(Some("it was acknowledged and is not there")),
            Some(_) if is_pruned => return Ok(Some("it was pruned and is there")),
            Some(entry) if entry.bytes() != kept.entry.bytes() => return Ok(Some("it is another")),
            Some(_) => {}
        }
        let body = scope.body(seq)?.map(|body| (body.salt, body.bytes));
        let own = kept.body.as_ref().filter(|_| !self.erased.contains(&seq));
        if body == own.map(|body| (body.salt, body.bytes.clone())) {
            return Ok(None);
        }
        Ok(Some(if own.is_some() { "its body is another" } else { "its body was erased" }))
    }

    /// The signed head is that of the tree, and of a key that the log put in force.
    fn proves_itself(
        &self,
        common: &Common,
        log: &KeptLog,
        scope: &dyn TenantTx,
    ) -> Result<(), Broken> {
        let broken = |what: &str| common.broken(&format!("{}: {what}", self.tenant));
        let told = |error: StoreError| broken(&error.to_string());
        let size = log.entries.len() as u64;
        let Some(tail) = scope.tail().map_err(told)? else { return Err(broken("no log")) };
        let head = scope.checkpoint().map_err(told)?;
        if tail.frontier.size() != size || head.as_ref() != Some(&tail.checkpoint) {
            return Err(broken("its end is not where its last entry is"));
        }
        let root = frontier(scope, size).map_err(|error| broken(&error.to_string()))?.root();
        let audited = audited(log);
        let keys: Vec<_> = audited.keys.into_iter().map(|one| one.key).collect();
        let origin = audited.origin.unwrap_or_default();
        let is_signed = tail.checkpoint.verify(&origin, &keys).is_ok();
        if tail.checkpoint.root() != root || !is_signed {
            return Err(broken("its head is not the signed root of its tree"));
        }
        Ok(())
    }

    /// Nothing that is still there is accused for what was erased or pruned.
    fn what_is_left_holds(&self, common: &Common) -> Result<(), Broken> {
        let broken = |what: &str| common.broken(&format!("{}: {what}", self.tenant));
        let records = self.records(common)?;
        let recomputed = recomputed(&records, &self.scenario.canons());
        if let Some(finding) = recomputed.findings.kept().first() {
            return Err(broken(&format!("without what was erased or pruned: {finding}")));
        }
        let rules = Rules { clock_back_ms: common.clock_back_ms, ..Rules::STRICT };
        let record = |Record { entry, body }| cog_history::Record { entry, body };
        let report = cog_history::check(records.into_iter().map(record), rules);
        match report.findings.kept().first() {
            Some(finding) => Err(broken(&format!("without what was erased or pruned: {finding}"))),
            None => Ok(()),
        }
    }
}

fn activated(entry: &cog_ledger::Entry) -> Option<cog_base::Digest> {
    (entry.kind() == Kind::CanonActivated).then(|| entry.digest("digest")).flatten()
}
