//! Runs that nobody has in memory, and when each goes on by itself.

use cog_base::Timestamp;
use cog_base::id::{RunId, TenantId};
use cog_store::{Claim, Parked, StoreError};

use crate::PostgresStore;
use crate::id::Id;
use crate::mailing::OWNER_KEPT;

const PARK: &str = "UPDATE session AS s SET parked = true, wake = p.wake
    FROM unnest($2::uuid[], $3::bigint[]) AS p (id, wake)
    WHERE s.tenant = $1 AND s.id = p.id AND s.status IS NULL";
const UNPARK: &str = "UPDATE session SET parked = false, wake = NULL
    WHERE tenant = $1 AND id IN (SELECT id FROM session
        WHERE tenant = $1 AND parked AND wake <= $2 ORDER BY wake LIMIT $3)
    RETURNING id";
const NEXT_WAKE: &str = "SELECT min(wake) FROM session WHERE tenant = $1 AND parked";
const AWAKE: &str = "SELECT id FROM session
    WHERE tenant = $1 AND status IS NULL AND NOT parked AND started ORDER BY first";

impl PostgresStore {
    pub(crate) fn note_parked(&self, claim: &Claim, parked: &[Parked]) -> Result<(), StoreError> {
        let runs: Vec<Id> = parked.iter().map(|it| Id::from(it.run)).collect();
        let wakes: Vec<Option<i64>> =
            parked.iter().map(|it| it.wake.map(Timestamp::micros)).collect();
        self.inner.pool.write("note which runs are parked", claim.tenant, |link| {
            self.check(link, claim, OWNER_KEPT)?;
            link.query(PARK, &[&Id::from(claim.tenant), &runs, &wakes])?;
            Ok(())
        })
    }

    pub(crate) fn take_due(
        &self,
        claim: &Claim,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<RunId>, StoreError> {
        let limit = i64::from(limit);
        let rows =
            self.inner.pool.write("read which parked runs are due", claim.tenant, |link| {
                self.check(link, claim, OWNER_KEPT)?;
                Ok(link.query(UNPARK, &[&Id::from(claim.tenant), &until.micros(), &limit])?)
            })?;
        Ok(rows.iter().map(|row| row.get::<_, Id>(0).run()).collect())
    }

    pub(crate) fn first_wake(&self, tenant: TenantId) -> Result<Option<Timestamp>, StoreError> {
        let rows = self.inner.pool.write("read when a parked run is due", tenant, |link| {
            Ok(link.query(NEXT_WAKE, &[&Id::from(tenant)])?)
        })?;
        Ok(rows.first().and_then(|row| row.get::<_, Option<i64>>(0)).map(Timestamp::from_micros))
    }

    pub(crate) fn not_parked(&self, tenant: TenantId) -> Result<Vec<RunId>, StoreError> {
        let rows = self.inner.pool.write("read which runs are not parked", tenant, |link| {
            Ok(link.query(AWAKE, &[&Id::from(tenant)])?)
        })?;
        Ok(rows.iter().map(|row| row.get::<_, Id>(0).run()).collect())
    }
}
