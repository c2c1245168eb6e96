//! Who writes the log of a tenant: one node at a time, until a time by the clock of the
//! database. Each change of hands raises the fence of the tenant. A commit checks the fence
//! in its own transaction, so that a node that was overtaken while it slept appends nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cog_base::Timestamp;
use cog_base::id::TenantId;
use cog_store::{After, Claim, Renewed, StoreError};
use tokio_postgres::Row;

use crate::id::Id;
use crate::pool::Pool;
use crate::{places, shards};

/// What this node knows of what it owns.
#[derive(Debug, Clone)]
pub(crate) enum Held {
    Ours {
        fence: i64,
    },
    /// Another one has it; nothing is written until it is claimed anew.
    Lost {
        owner: String,
    },
}

pub(crate) struct Owning {
    /// This node, and which of its lives: a twin of the same name is another.
    node: String,
    lease: Duration,
    held: Mutex<HashMap<TenantId, Held>>,
}

const CLAIM: &str = "
    INSERT INTO owner AS o (tenant, node, fence, until, wanted, calls)
    SELECT one, $2, 1, clock_timestamp() + $3::bigint * interval '1 microsecond', true, 0
    FROM unnest($1::uuid[], $4::smallint[]) AS t (one, its) WHERE
        EXISTS (SELECT FROM owner WHERE owner.tenant = one)
        OR EXISTS (SELECT FROM shard WHERE shard.shard = its AND elsewhere IS NULL)
    ORDER BY one
    ON CONFLICT (tenant) DO UPDATE
    SET node = excluded.node, fence = o.fence + 1, until = excluded.until, wanted = true,
        place = NULL, elsewhere = NULL, place_until = '-infinity'
    WHERE (o.node IS NULL OR o.node = excluded.node OR o.until <= clock_timestamp())
        AND (o.place IS NULL
            OR o.place IN ('asked', 'leaving') AND o.place_until <= clock_timestamp())
    RETURNING tenant, fence, calls";
const CLAIM_WAITING: &str = "
    UPDATE owner SET node = $1, fence = fence + 1,
        until = clock_timestamp() + $2::bigint * interval '1 microsecond',
        place = NULL, elsewhere = NULL, place_until = '-infinity'
    WHERE tenant IN (
        SELECT tenant FROM owner
        WHERE wanted AND until <= clock_timestamp() AND tenant <> ALL ($4)
            AND (place IS NULL
                OR place IN ('asked', 'leaving') AND place_until <= clock_timestamp())
        ORDER BY until LIMIT $3 FOR UPDATE SKIP LOCKED)
    RETURNING tenant, fence, calls";
const CLAIMABLE: &str = "
    SELECT tenant FROM owner WHERE wanted AND until <= clock_timestamp() AND (place IS NULL
        OR place IN ('asked', 'leaving') AND place_until <= clock_timestamp())
    ORDER BY until LIMIT $1 FOR SHARE SKIP LOCKED";
/// Locks the rows of tenants in their order, as everything does that waits for a lock of more
/// than one: no two of them wait for each other.
macro_rules! own_in_order {
    ($then:literal) => {
        concat!(
            "WITH own AS (
                SELECT owner.tenant FROM owner
                JOIN unnest($2::uuid[], $3::bigint[]) AS said (tenant, fence)
                    ON owner.tenant = said.tenant AND owner.fence = said.fence
                WHERE owner.node = $1 ORDER BY owner.tenant FOR NO KEY UPDATE OF owner)
            ",
            $then
        )
    };
}
pub(crate) const RENEW: &str = own_in_order!(
    "UPDATE owner SET until = clock_timestamp() + $4::bigint * interval '1 microsecond'
    FROM own WHERE owner.tenant = own.tenant RETURNING owner.tenant, calls,
        coalesce(place = 'asked', false) AND place_until > clock_timestamp(),
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
);
const TIME: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
const NEXT_END: &str = "
    SELECT (extract(epoch FROM min(greatest(until, place_until)) - clock_timestamp())
        * 1000)::bigint
    FROM owner WHERE wanted AND node IS DISTINCT FROM $1 AND isfinite(greatest(until, place_until))
        AND (place IS NULL OR place IN ('asked', 'leaving'))";
const RELEASE: &str = own_in_order!(
    "UPDATE owner SET node = NULL, until = '-infinity', wanted = calls <> $4
    FROM own WHERE owner.tenant = own.tenant"
);
const OWNER: &str = "
    SELECT coalesce(node, CASE WHEN place IN ('arriving', 'moved')
        THEN 'the database ' || elsewhere ELSE 'nobody' END)
    FROM owner WHERE tenant = $1";
/// Also keeps a claim from changing until the end of the transaction.
pub(crate) const CHECK: &str = "
    SELECT tenant, coalesce(node, CASE WHEN place IN ('arriving', 'moved')
            THEN 'the database ' || elsewhere ELSE 'nobody' END), fence,
        until < clock_timestamp() + $2::bigint * interval '1 microsecond'
    FROM owner WHERE tenant = ANY ($1) ORDER BY tenant FOR SHARE";
/// Waits for whoever writes or claims.
pub(crate) const LOCK: &str = "
    SELECT FROM owner WHERE tenant = ANY ($1) ORDER BY tenant FOR UPDATE";
pub(crate) const CALL: &str = "
    INSERT INTO owner AS o (tenant, node, fence, until, wanted, calls)
    VALUES ($1, NULL, 0, '-infinity', true, 1)
    ON CONFLICT (tenant) DO UPDATE SET wanted = true, calls = o.calls + 1
    RETURNING place, elsewhere, place_until > clock_timestamp(), xmax = 0";
/// What nodes listen to for calls.
pub(crate) const CHANNEL: &str = "cognitionos_work";
pub(crate) const NOTIFY: &str = "SELECT pg_notify('cognitionos_work', ($1::uuid)::text)";

impl Owning {
    pub(crate) fn new(node: String, lease: Duration) -> Self {
        Self { node, lease, held: Mutex::default() }
    }

    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// The length of a claim, in microseconds.
    pub(crate) fn lease_micros(&self) -> i64 {
        i64::try_from(self.lease.as_micros()).unwrap_or(i64::MAX / 4)
    }

    pub(crate) const fn lease(&self) -> Duration {
        self.lease
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, HashMap<TenantId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fence of a tenant that is ours; else who has it, as far as we know.
    pub(crate) fn fence(&self, tenant: TenantId) -> Result<Option<i64>, StoreError> {
        match self.held().get(&tenant) {
            Some(Held::Ours { fence }) => Ok(Some(*fence)),
            Some(Held::Lost { owner }) => Err(StoreError::Owned { tenant, owner: owner.clone() }),
            None => Ok(None),
        }
    }

    /// Note that another node has it.
    pub(crate) fn lose(&self, tenant: TenantId, owner: &str) -> StoreError {
        let owner = owner.to_owned();
        self.held().insert(tenant, Held::Lost { owner: owner.clone() });
        StoreError::Owned { tenant, owner }
    }

    /// Claim all of `tenants`, or say which one cannot be had.
    pub(crate) fn claim(
        &self,
        pool: &Pool,
        tenants: &[TenantId],
    ) -> Result<Vec<Claim>, StoreError> {
        let ids: Vec<Id> = tenants.iter().map(|tenant| Id::from(*tenant)).collect();
        let shards: Vec<i16> = tenants.iter().map(|tenant| shards::of(*tenant)).collect();
        let lease = self.lease_micros();
        let rows = pool.query("claim a tenant", CLAIM, &[&ids, &self.node, &lease, &shards])?;
        let claims = self.hold(&rows);
        for tenant in tenants {
            if !claims.iter().any(|claim| claim.tenant == *tenant) {
                let owner = self.owner(pool, *tenant)?;
                return Err(StoreError::Owned { tenant: *tenant, owner });
            }
        }
        Ok(claims)
    }

    pub(crate) fn claim_waiting(
        &self,
        pool: &Pool,
        limit: i64,
        except: &[TenantId],
    ) -> Result<Vec<Claim>, StoreError> {
        let except: Vec<Id> = except.iter().map(|tenant| Id::from(*tenant)).collect();
        let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&self.node, &self.lease_micros(), &limit, &except];
        Ok(self.hold(&pool.query("claim tenants that wait", CLAIM_WAITING, values)?))
    }

    /// How long until a claim of another node ends, if it is not renewed.
    pub(crate) fn next_end(&self, pool: &Pool) -> Result<Option<Duration>, StoreError> {
        let rows = pool.query("look when claims end", NEXT_END, &[&self.node])?;
        let ms = rows.first().and_then(|row| row.get::<_, Option<i64>>(0));
        Ok(ms.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0))))
    }

    /// The time of the database.
    pub(crate) fn time(&self, pool: &Pool) -> Result<Timestamp, StoreError> {
        let rows = pool.query("read the time of the database", TIME, &[])?;
        let micros = rows.first().map_or(0, |row| row.get(0));
        Ok(Timestamp::from_micros(micros))
    }

    fn hold(&self, rows: &[Row]) -> Vec<Claim> {
        let mut held = self.held();
        let claim = |row: &Row| {
            let (tenant, fence, calls) = (row.get::<_, Id>(0).tenant(), row.get(1), row.get(2));
            held.insert(tenant, Held::Ours { fence });
            Claim { tenant, fence, calls }
        };
        rows.iter().map(claim).collect()
    }

    pub(crate) fn owner(&self, pool: &Pool, tenant: TenantId) -> Result<String, StoreError> {
        let rows = pool.query("read who owns a tenant", OWNER, &[&Id::from(tenant)])?;
        Ok(rows.first().map_or_else(|| "nobody".to_owned(), |row| row.get(0)))
    }

    /// Everything that is ours: tenants and fences, side by side.
    fn ours(&self) -> (Vec<Id>, Vec<i64>) {
        let held = self.held();
        let ours = held.iter().filter_map(|(tenant, held)| match held {
            Held::Ours { fence } => Some((Id::from(*tenant), *fence)),
            Held::Lost { .. } => None,
        });
        ours.unzip()
    }

    /// Renew all claims.
    pub(crate) fn renew(&self, pool: &Pool) -> Result<Renewed, StoreError> {
        let (tenants, fences) = self.ours();
        let lease = self.lease_micros();
        let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&self.node, &tenants, &fences, &lease];
        let rows = pool.query("renew the claims of this node", RENEW, values)?;
        let kept: HashMap<TenantId, i64> =
            rows.iter().map(|row| (row.get::<_, Id>(0).tenant(), row.get(1))).collect();
        let asked = rows.iter().filter(|row| row.get(2));
        let asked: Vec<TenantId> = asked.map(|row| row.get::<_, Id>(0).tenant()).collect();
        let lost = tenants.iter().map(|id| id.tenant()).filter(|id| !kept.contains_key(id));
        let mut lost: Vec<TenantId> = lost.collect();
        for tenant in &lost {
            let owner = self.owner(pool, *tenant)?;
            let _ = self.lose(*tenant, &owner);
        }
        // A commit found these out, and told nobody but who submitted it.
        let held = self.held();
        let found = held.iter().filter(|(_, held)| matches!(held, Held::Lost { .. }));
        let found: Vec<TenantId> = found.map(|(tenant, _)| *tenant).collect();
        drop(held);
        lost.extend(found.into_iter().filter(|tenant| !lost.contains(tenant)).collect::<Vec<_>>());
        let at = rows.first().map(|row| Timestamp::from_micros(row.get(3)));
        Ok(Renewed { kept: kept.into_iter().collect(), lost, asked, at })
    }

    /// Give one tenant back.
    pub(crate) fn release(
        &self,
        pool: &Pool,
        tenant: TenantId,
        after: After,
    ) -> Result<(), StoreError> {
        let Ok(Some(fence)) = self.fence(tenant) else { return Ok(()) };
        let calls = match after {
            After::Stopping => -1,
            After::Idle { calls } => calls,
        };
        self.give_back(pool, &[Id::from(tenant)], &[fence], calls)?;
        self.held().remove(&tenant);
        Ok(())
    }

    /// Give everything back, when the node stops.
    pub(crate) fn release_all(&self, pool: &Pool) -> Result<(), StoreError> {
        let (tenants, fences) = self.ours();
        if tenants.is_empty() {
            return Ok(());
        }
        self.give_back(pool, &tenants, &fences, -1)?;
        self.held().clear();
        Ok(())
    }

    fn give_back(
        &self,
        pool: &Pool,
        tenants: &[Id],
        fences: &[i64],
        calls: i64,
    ) -> Result<(), StoreError> {
        let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&self.node, &tenants, &fences, &calls];
        pool.query("give a tenant back", RELEASE, values).map(drop)
    }
}

/// Tenants with work that nobody owns, the longest waiting first. Those that somebody is
/// just claiming are left out.
pub(crate) fn claimable(pool: &Pool, limit: i64) -> Result<Vec<TenantId>, StoreError> {
    let rows = pool.query("look for tenants that wait", CLAIMABLE, &[&limit])?;
    Ok(rows.iter().map(|row| row.get::<_, Id>(0).tenant()).collect())
}

/// Say that there is work for a tenant.
pub(crate) fn call(pool: &Pool, tenant: TenantId) -> Result<(), StoreError> {
    pool.write("call for work on a tenant", tenant, |link| places::call(link, tenant))
}
