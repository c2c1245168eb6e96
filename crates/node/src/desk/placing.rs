//! Runs that runs begin: where their folders stand, and what performs their effects there.

use std::sync::Arc;

use cog_base::id::TenantId;
use cog_engine::{Input, Place, Placed};
use cog_store::StoreError;

use super::Desk;
use super::opening::in_force;
use super::post::Folders;
use crate::kit::Ready;

impl Desk {
    /// Find out where runs stand that runs begin. While the store is away they wait.
    pub(super) fn place(&mut self, tenant: TenantId) {
        loop {
            let next = self.offices.get_mut(&tenant).and_then(|it| it.placing.pop_front());
            let Some((place, inbox)) = next else { return };
            if let Ok(placed) = self.placed(tenant, &place) {
                inbox.send(Input::Placed { parent: place.parent, run: place.run, placed });
                continue;
            }
            if let Some(office) = self.offices.get_mut(&tenant) {
                office.placing.push_front((place, inbox));
            }
            return;
        }
    }

    /// Where the folders of a run stand, with its adapters bound; or why it cannot be begun.
    fn placed(
        &mut self,
        tenant: TenantId,
        place: &Place,
    ) -> Result<Result<Placed, String>, StoreError> {
        let house = Arc::clone(&self.house);
        let Some(office) = self.offices.get_mut(&tenant) else { return Ok(Err(String::new())) };
        let scope = house.store.scope(tenant)?;
        let canon = in_force(&house, scope.as_ref(), &office.change, &place.domain)?;
        let placed = match house.kit.place(place) {
            Ok(placed) => placed,
            Err(why) => return Ok(Err(why)),
        };
        let roots = match Folders::of(place.roots.clone(), &placed.places) {
            Ok(Folders { roots, .. }) => roots,
            Err(why) => return Ok(Err(why)),
        };
        let (run, base, canon) = (place.run, placed.base.as_str(), canon.as_deref());
        if let Err(why) = house.kit.bind(&Ready { tenant, run, base, roots: &roots, canon }) {
            return Ok(Err(why));
        }
        office.bound.insert(run);
        Ok(Ok(placed))
    }
}
