//! Runs that leave memory, as only time or somebody outside brings them on, and come back.

use std::collections::HashSet;
use std::sync::Arc;

use cog_base::Timestamp;
use cog_base::id::{RunId, TenantId};
use cog_engine::Dormant;
use cog_store::{Parked, StoreError, TenantTx};

use super::opening::Again;
use super::{Desk, Paper};
use crate::keeper::ms;
use crate::lane::Order;
use crate::told::Told;

/// The most that come back before others have their turn.
const WAKE_MAX: u32 = 64;

impl Desk {
    /// Runs have left memory.
    pub(super) fn have_left(&mut self, tenant: TenantId, left: Vec<Dormant>) {
        let runs: HashSet<RunId> = left.iter().map(|it| it.run).collect();
        if let Some(office) = self.offices.get_mut(&tenant) {
            for Dormant { run, wake } in left {
                office.bound.remove(&run);
                self.house.kit.unbind(tenant, run);
                office.leaving.push(Parked { run, wake });
                let next = [office.next_wake, wake].into_iter().flatten().min();
                office.next_wake = next;
            }
        }
        self.house.tell(Told::Parked { tenant, runs: runs.len() });
        let _ = self.lane.send(Order::Left(tenant, runs));
        self.keep_parked(tenant);
    }

    /// Have the store know which runs have left memory. Until it does, the next owner has them in
    /// memory again, and this one does not let the tenant go.
    pub(super) fn keep_parked(&mut self, tenant: TenantId) {
        let Some(office) = self.offices.get_mut(&tenant) else { return };
        if office.leaving.is_empty() {
            return;
        }
        if self.house.store.park(&office.claim, &office.leaving).is_ok() {
            office.leaving.clear();
        }
    }

    /// Have runs back in memory before they are due.
    pub(super) fn wake_due(&mut self, tenant: TenantId) {
        let until = self.house.now().plus_ms(ms(self.house.settings.early()));
        let Some(office) = self.offices.get(&tenant) else { return };
        let is_early = office.next_wake.is_none_or(|wake| until < wake);
        if office.is_draining || (is_early && office.waking.is_empty()) {
            return;
        }
        if let Err(_away) = self.wake_until(tenant, until)
            && let Some(office) = self.offices.get_mut(&tenant)
        {
            office.is_behind = true;
        }
    }

    fn wake_until(&mut self, tenant: TenantId, until: Timestamp) -> Result<(), StoreError> {
        let house = Arc::clone(&self.house);
        self.wake_taken(tenant, house.store.scope(tenant)?.as_ref())?;
        let Some(office) = self.offices.get_mut(&tenant) else { return Ok(()) };
        office.waking = house.store.unpark(&office.claim, until, WAKE_MAX)?;
        let is_more = office.waking.len() == WAKE_MAX as usize;
        self.wake_taken(tenant, house.store.scope(tenant)?.as_ref())?;
        if is_more {
            // The thread that reads this is this one.
            let _ = self.own.send(Paper::Due(tenant));
        }
        let next = house.store.next_wake(tenant)?;
        if let Some(office) = self.offices.get_mut(&tenant) {
            // Of those that the store does not know yet, the time is kept here.
            let leaving = office.leaving.iter().filter_map(|it| it.wake);
            office.next_wake = leaving.chain(next).min();
        }
        Ok(())
    }

    /// What fails because the store is away is tried again.
    fn wake_taken(&mut self, tenant: TenantId, scope: &dyn TenantTx) -> Result<(), StoreError> {
        while let Some(run) = self.offices.get(&tenant).and_then(|it| it.waking.last().copied()) {
            if let Err(why) = self.wake(tenant, scope, run)? {
                self.house.tell(Told::Left { tenant, run, why });
            }
            if let Some(office) = self.offices.get_mut(&tenant) {
                office.waking.pop();
            }
        }
        Ok(())
    }

    /// Have a run back in memory, or say why it cannot go on.
    pub(super) fn wake(
        &mut self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        run: RunId,
    ) -> Result<Result<(), String>, StoreError> {
        let Some(office) = self.offices.get(&tenant) else { return Ok(Ok(())) };
        if office.bound.contains(&run) {
            return Ok(Ok(()));
        }
        let Again { runs, resumption } = self.again(tenant, scope, &office.change, run)?;
        let resumption = match resumption {
            Ok(resumption) => resumption,
            Err(why) => return Ok(Err(why)),
        };
        if let Some(office) = self.offices.get_mut(&tenant) {
            office.leaving.retain(|it| !runs.contains(&it.run));
            office.bound.extend(runs);
        }
        let _ = self.lane.send(Order::Resume(tenant, vec![resumption]));
        Ok(Ok(()))
    }
}
