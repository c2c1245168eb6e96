//! What must hold when a town has come to rest.

use std::collections::BTreeSet;

use cog_base::id::TenantId;
use cog_gate::decision::CLOCK_BEHIND_MS_MAX;
use cog_history::Rules;
use cog_ledger::Kind;

use super::{Inner, Town};
use crate::boot::sessions;
use crate::check::{Broken, Left, kept};
use crate::counts::Summary;
use crate::outside::Outside;
use crate::scenario::Scenario;

impl Town {
    /// Check every invariant.
    ///
    /// # Errors
    /// [`Broken`] names the first that does not hold.
    pub fn check(&self) -> Result<Summary, Broken> {
        let inner = &self.inner;
        inner.right()?;
        let mut summary = inner.state().counts.clone();
        for (number, tenant) in inner.tenants.iter().enumerate() {
            summary = summary.plus(inner.check(number, *tenant)?);
        }
        let waiting = inner.database.waiting();
        if waiting > 0 {
            return Err(inner.broken(&format!("{waiting} pieces of mail are left")));
        }
        Ok(summary)
    }

    /// The logs as they stand, an entry a line, one tenant behind the other.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        let logs = self.inner.tenants.iter().map(|tenant| self.inner.database.log(*tenant));
        let line = |entry: &std::sync::Arc<cog_ledger::Entry>| {
            String::from_utf8_lossy(entry.bytes()).into_owned()
        };
        logs.flat_map(|log| log.entries().map(line).collect::<Vec<_>>()).collect()
    }
}

impl Inner {
    fn check(&self, number: usize, tenant: TenantId) -> Result<Summary, Broken> {
        let log = self.database.log(tenant);
        let scenario = Scenario::new(number);
        let none = Outside::default();
        let state = self.state();
        let outside = state.outside.get(&tenant).unwrap_or(&none);
        // A log is taken on with an end that is dated so far ahead, and what was dated so a node that
        // jumped wrote.
        let clock_back_ms = if state.has_jumped { CLOCK_BEHIND_MS_MAX } else { 0 };
        let left = Left {
            seed: self.seed,
            tenant,
            outside,
            canons: scenario.canons(),
            secret: scenario.has_classes.then(|| format!("secret-of-{}", scenario.canary)),
            log: &log,
            sessions: sessions(kept(&log)),
        };
        left.check(Rules { clock_back_ms, ..Rules::STRICT })?;
        drop(state);
        self.each_time_counts_once(tenant)?;
        self.no_clock_refuses(tenant)?;
        let count = |kind: Option<Kind>| {
            let is_it =
                |it: &&std::sync::Arc<cog_ledger::Entry>| kind.is_none_or(|kind| it.kind() == kind);
            log.entries().filter(is_it).count() as u64
        };
        Ok(Summary {
            entries: count(None),
            receipts: count(Some(Kind::Receipt)),
            ..Summary::default()
        })
    }

    /// However wrong the clocks of nodes are, nothing is refused for it.
    fn no_clock_refuses(&self, tenant: TenantId) -> Result<(), Broken> {
        let is_it =
            |entry: &cog_ledger::Entry| entry.text("code") == Some("freshness.clock_behind");
        match self.entries(tenant).iter().find(|entry| is_it(entry)) {
            Some(entry) => {
                let what = format!("{tenant}: entry {} refuses for a clock", entry.seq());
                Err(self.broken(&what))
            }
            None => Ok(()),
        }
    }

    /// No time of a schedule is decided twice.
    fn each_time_counts_once(&self, tenant: TenantId) -> Result<(), Broken> {
        let mut seen = BTreeSet::new();
        for entry in self.entries(tenant).iter().filter(|it| it.kind() == Kind::ScheduleFired) {
            let time =
                (entry.text("schedule").map(str::to_owned), entry.text("at").map(str::to_owned));
            if !seen.insert(time) {
                return Err(self.broken(&format!("{tenant}: a time of a schedule counts twice")));
            }
        }
        Ok(())
    }
}
