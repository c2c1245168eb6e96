//! Runs that leave memory, as only time or somebody outside brings them on, and come back; and those
//! that were open when their tenant was opened, which come the same way.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cog_base::Timestamp;
use cog_base::id::{ReceiptId, RunId, TenantId};
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
        if !self.wake_some(tenant, house.store.scope(tenant)?.as_ref())? {
            return Ok(());
        }
        let Some(office) = self.offices.get_mut(&tenant) else { return Ok(()) };
        office.left.clear();
        office.waking = house.store.unpark(&office.claim, until, WAKE_MAX)?;
        let is_more = office.waking.len() == WAKE_MAX as usize;
        self.wake_some(tenant, house.store.scope(tenant)?.as_ref())?;
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

    /// Have some of the runs back that are to be in memory, the rest when others had their turn. Says
    /// whether that was all. What fails because the store is away is tried again.
    fn wake_some(&mut self, tenant: TenantId, scope: &dyn TenantTx) -> Result<bool, StoreError> {
        for _ in 0..WAKE_MAX {
            let Some(office) = self.offices.get(&tenant) else { return Ok(true) };
            let Some(run) = office.waking.last().copied() else { return Ok(true) };
            // It stays behind with its tree.
            if !office.left.contains(&run)
                && let Err(why) = self.wake(tenant, scope, run)?
            {
                self.house.tell(Told::Left { tenant, run, why });
            }
            if let Some(office) = self.offices.get_mut(&tenant) {
                office.waking.pop();
            }
        }
        let is_more = self.offices.get(&tenant).is_some_and(|it| !it.waking.is_empty());
        if is_more {
            // As above.
            let _ = self.own.send(Paper::Due(tenant));
        }
        Ok(!is_more)
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
        let Again { runs, tree } = self.again(tenant, scope, &office.change, run)?;
        let tree = match tree {
            Ok(tree) => tree,
            Err(why) => {
                self.leave(tenant, runs);
                return Ok(Err(why));
            }
        };
        if let Some(office) = self.offices.get_mut(&tenant) {
            office.leaving.retain(|it| !runs.contains(&it.run));
            runs.iter().for_each(|run| drop(office.claimed.remove(run)));
            // Until the lane counts them.
            office.open.fetch_add(runs.len(), Ordering::SeqCst);
            office.bound.extend(runs);
        }
        let _ = self.lane.send(Order::TakeUp(tenant, Box::new(tree)));
        Ok(Ok(()))
    }

    /// Runs stay behind: what they hold is free.
    fn leave(&mut self, tenant: TenantId, runs: Vec<RunId>) {
        let Some(office) = self.offices.get_mut(&tenant) else { return };
        let claimed = runs.iter().filter_map(|run| office.claimed.remove(run));
        let receipts: Vec<ReceiptId> = claimed.flatten().collect();
        office.left.extend(runs);
        let is_full = office.is_full.load(Ordering::SeqCst);
        if !receipts.is_empty() {
            let _ = self.lane.send(Order::Unclaim(tenant, receipts));
        }
        if is_full {
            // As above.
            let _ = self.own.send(Paper::Room(tenant));
        }
    }
}
