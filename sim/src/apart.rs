//! No tenant sees or changes anything of another.

use std::collections::BTreeSet;

use cog_base::id::RunId;
use cog_ledger::memory::KeptLog;
use cog_store::StoreError;

use crate::check::Broken;
use crate::common::Common;
use crate::house::House;

/// Each tenant has a word of its own in its flows, canon, signals and inputs, and ids that nobody
/// else has. None of them is in anything of another: entries, bodies, calls of adapters, and what
/// the store gives.
pub(crate) fn check(common: &Common, houses: &[House]) -> Result<(), Broken> {
    for whose in houses {
        let marks = marks(common, whose);
        for other in houses.iter().filter(|other| other.number != whose.number) {
            let texts = everything(common, other);
            let seen = |mark: &&String| texts.iter().any(|text| text.contains(mark.as_str()));
            if let Some(mark) = marks.iter().find(seen) {
                let (other, whose) = (other.tenant, whose.tenant);
                return Err(common.broken(&format!("{other} has {mark}, which is of {whose}")));
            }
            let runs = runs(&common.disk.log(whose.tenant));
            let found = found(common, other, &runs);
            if let Some(what) = found.map_err(|error| common.broken(&error.to_string()))? {
                let (other, whose) = (other.tenant, whose.tenant);
                return Err(common.broken(&format!("{other} is given {what} of {whose}")));
            }
        }
    }
    Ok(())
}

/// What nobody but this tenant has.
fn marks(common: &Common, house: &House) -> Vec<String> {
    let log = common.disk.log(house.tenant);
    let runs = runs(&log).into_iter().chain(house.forks.iter().copied());
    let runs = runs.chain(house.scenario.all.iter().map(|start| start.run));
    let runs: BTreeSet<String> = runs.map(|run| run.to_string()).collect();
    runs.into_iter().chain([house.scenario.canary.clone(), house.tenant.to_string()]).collect()
}

fn runs(log: &KeptLog) -> BTreeSet<RunId> {
    log.entries().filter_map(|entry| entry.session()).collect()
}

/// Everything that was kept or done for a tenant, as texts.
fn everything(common: &Common, house: &House) -> Vec<String> {
    let log = common.disk.log(house.tenant);
    let entries = log.entries().map(|entry| entry.bytes());
    let bodies = log.bodies().map(|(_, body)| body.bytes.as_slice());
    let texts = entries.chain(bodies).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    texts.chain(house.outside.calls.iter().cloned()).collect()
}

/// What the store gives one tenant of the runs of another.
fn found(
    common: &Common,
    house: &House,
    runs: &BTreeSet<RunId>,
) -> Result<Option<String>, StoreError> {
    let store = common.disk.store();
    let scope = store.scope(house.tenant)?;
    for run in runs {
        if scope.session(*run)?.is_some() {
            return Ok(Some(run.to_string()));
        }
    }
    Ok(None)
}
