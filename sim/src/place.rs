//! The embedded store of a world over its lives.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::entropy::SeededEntropy;
use cog_base::id::TenantId;
use cog_ledger::memory::KeptLog;
use cog_store::{Store as _, StoreError};
use cog_store_sqlite::SqliteStore;

use crate::counts::Counts;
use crate::folder::{Folder, Image};

/// A folder with the embedded store.
pub(crate) struct Place {
    pub(crate) folder: Folder,
    /// What was there when this life began, and how long each log was: also with what nobody heard
    /// was kept.
    begun: Image,
    sizes: BTreeMap<TenantId, u64>,
    /// What is there when the power went in the middle of a commit.
    pub(crate) torn: Option<Image>,
}

impl Place {
    pub(crate) fn new(seed: u64) -> Result<(Self, SqliteStore), String> {
        let folder = Folder::new(seed).map_err(|error| error.to_string())?;
        let store = folder.open().map_err(|error| error.to_string())?;
        let begun = folder.image().map_err(|error| error.to_string())?;
        Ok((Self { folder, begun, sizes: BTreeMap::new(), torn: None }, store))
    }

    /// What a crash leaves. Somebody puts an older database in its place, and that is noticed.
    pub(crate) fn left(
        &mut self,
        logs: &BTreeMap<TenantId, Arc<KeptLog>>,
        dice: &mut SeededEntropy,
        faults: &mut Counts,
    ) -> Result<Image, String> {
        let now = self.folder.image().map_err(|error| error.to_string())?;
        let has_grown = |(tenant, log): (&TenantId, &Arc<KeptLog>)| {
            self.sizes.get(tenant).is_some_and(|size| *size < log.entries.len() as u64)
        };
        if logs.iter().any(has_grown) && dice.below(2) == 0 {
            faults.add("store.rolled_back");
            self.folder.notices(&self.begun, &now)?;
        }
        let mut left = self.torn.take().unwrap_or(now);
        if dice.below(2) == 0 {
            faults.add("marks.behind");
            self.begun.with_marks_of(&mut left);
        }
        Ok(left)
    }

    pub(crate) fn open_again(
        &mut self,
        image: &Image,
        logs: &BTreeMap<TenantId, Arc<KeptLog>>,
    ) -> Result<SqliteStore, String> {
        self.folder.go_on(image).map_err(|error| error.to_string())?;
        let store = self.folder.open().map_err(|error| error.to_string())?;
        for tenant in logs.keys() {
            let tables = store.check_tables(*tenant).map_err(|error| error.to_string())?;
            if let Some(finding) = tables.findings.kept().first() {
                return Err(format!("after a crash the tables of {tenant} differ: {finding:?}"));
            }
        }
        self.begun = self.folder.image().map_err(|error| error.to_string())?;
        let sizes = logs.keys().map(|tenant| Ok((*tenant, size(&store, *tenant)?)));
        self.sizes = sizes.collect::<Result<_, StoreError>>().map_err(|error| error.to_string())?;
        Ok(store)
    }
}

/// How many entries a log has.
fn size(store: &SqliteStore, tenant: TenantId) -> Result<u64, StoreError> {
    Ok(store.scope(tenant)?.tail()?.map_or(0, |tail| tail.frontier.size()))
}
