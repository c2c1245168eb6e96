//! Of several databases, where a tenant is: each knows itself of each tenant whether it is
//! here, and refuses to write what is not. So no map needs to be right.

use cog_base::id::TenantId;
use cog_store::StoreError;
use tokio_postgres::Row;

use crate::error::failed;
use crate::id::Id;
use crate::link::Link;
use crate::owning::{CALL, NOTIFY};
use crate::pool::Stop;
use crate::{PostgresStore, shards};

/// The database that commands and nodes are pointed to first.
pub const HOME: &str = "home";
/// The longest name of a database, in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// The tenant is a parameter of no row-level security here: the row is of no tenant.
const PLACE: &str = "
    SELECT place, elsewhere, place_until > clock_timestamp() FROM owner WHERE $1 = tenant";
/// Also keeps the tenant from leaving until the end of the transaction.
const PLACE_KEPT: &str = "
    SELECT place, elsewhere, place_until > clock_timestamp() FROM owner WHERE $1 = tenant
    FOR KEY SHARE";
/// Where a tenant is that is not here.
pub(crate) const AWAY: &str = "
    SELECT elsewhere FROM owner WHERE $1 = tenant AND place IN ('arriving', 'moved')";
/// Also keeps the shard from moving until the end of the transaction.
const SHARD_KEPT: &str = "SELECT elsewhere FROM shard WHERE shard = $1 FOR KEY SHARE";
const SHARD: &str = "SELECT elsewhere FROM shard WHERE shard = $1";
const BEGIN: &str = "INSERT INTO owner (tenant, node, fence, until, wanted, calls)
    VALUES ($1, NULL, 0, '-infinity', false, 0) ON CONFLICT DO NOTHING";
const GIVE_NAME: &str = "UPDATE instance SET name = $1 WHERE one = 1 AND name IS NULL RETURNING 1";
const NAME: &str = "SELECT coalesce(name, '') FROM instance WHERE one = 1";
const HAS_TENANTS: &str = "SELECT EXISTS (SELECT FROM owner WHERE place IS NULL)";
const ALL_AT_HOME: &str = "UPDATE shard SET elsewhere = 'home'";
const SHARDS: &str = "SELECT shard, elsewhere FROM shard ORDER BY shard";
const PLACES: &str = "SELECT tenant, place, elsewhere FROM owner
    WHERE place IS DISTINCT FROM 'arriving' ORDER BY tenant";
const SEND_TO: &str = "INSERT INTO owner AS o
        (tenant, node, fence, until, wanted, calls, place, elsewhere)
    VALUES ($1, NULL, 0, '-infinity', false, 0, 'moved', $2)
    ON CONFLICT (tenant) DO UPDATE SET elsewhere = excluded.elsewhere
    WHERE o.place = 'moved' RETURNING 1";
const LOCK_SHARD: &str = "SELECT elsewhere IS NULL FROM shard WHERE shard = $1 FOR UPDATE";
const SET_SHARD: &str = "UPDATE shard SET elsewhere = $2 WHERE shard = $1";

/// Where a tenant is, as one database knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whereabouts {
    /// Here; `begun` says whether there is anything of it.
    Here {
        /// Whether somebody ever asked for anything.
        begun: bool,
    },
    /// Here, and on its way to the database that is named.
    Leaving(String),
    /// Not here yet, and on its way from the database that is named.
    Arriving(String),
    /// In the database that is named.
    Elsewhere(String),
}

/// The mark of a tenant in a row: place, the other database, and whether it counts still.
fn mark(row: Option<&Row>) -> Option<(String, String, bool)> {
    let row = row?;
    Some((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?, row.get(2)))
}

/// See that what is here may be written.
fn is_open(tenant: TenantId, mark: Option<(String, String, bool)>) -> Result<(), StoreError> {
    match mark {
        Some((place, to, counts)) => match place.as_str() {
            "moved" | "arriving" => Err(StoreError::Moved { tenant, to }),
            "leaving" if counts => Err(StoreError::Moved { tenant, to }),
            _ => Ok(()),
        },
        None => Ok(()),
    }
}

/// See that a tenant of which nothing is known may begin here.
fn begins(link: &mut Link, tenant: TenantId) -> Result<(), Stop> {
    let rows = link.query(SHARD_KEPT, &[&shards::of(tenant)])?;
    match rows.first().and_then(|row| row.get::<_, Option<String>>(0)) {
        None => Ok(()),
        Some(to) => Err(StoreError::Moved { tenant, to }.into()),
    }
}

/// Call for work on a tenant, if it is here or may begin here. Until the end of the
/// transaction it does not leave.
pub(crate) fn call(link: &mut Link, tenant: TenantId) -> Result<(), Stop> {
    let id = Id::from(tenant);
    let rows = link.query(CALL, &[&id])?;
    if rows.first().is_some_and(|row| row.get(3)) {
        begins(link, tenant)?;
    }
    is_open(tenant, mark(rows.first()))?;
    // Heard when this is committed.
    link.query(NOTIFY, &[&id])?;
    Ok(())
}

/// See that a tenant is here, or begins here, and keep it from leaving until the end of the
/// transaction.
pub(crate) fn keep(link: &mut Link, tenant: TenantId) -> Result<(), Stop> {
    let id = Id::from(tenant);
    let mut rows = link.query(PLACE_KEPT, &[&id])?;
    if rows.is_empty() {
        begins(link, tenant)?;
        link.query(BEGIN, &[&id])?;
        rows = link.query(PLACE_KEPT, &[&id])?;
    }
    Ok(is_open(tenant, mark(rows.first()))?)
}

/// See that a tenant is not somewhere else, for whoever has read of it.
pub(crate) fn is_here(link: &mut Link, tenant: TenantId) -> Result<(), Stop> {
    let rows = link.query(AWAY, &[&Id::from(tenant)])?;
    match rows.first() {
        None => Ok(()),
        Some(row) => Err(StoreError::Moved { tenant, to: row.get(0) }.into()),
    }
}

/// Give the database its name, once; then see that it is the one.
pub(crate) fn name(link: &mut Link, name: &str) -> Result<(), StoreError> {
    let cannot = |error| failed("read what the database is called", error);
    link.batch("BEGIN").map_err(cannot)?;
    let is_new = !link.query(GIVE_NAME, &[&name]).map_err(cannot)?.is_empty();
    if is_new && name != HOME {
        let rows = link.query(HAS_TENANTS, &[]).map_err(cannot)?;
        if rows.first().is_some_and(|row| row.get(0)) {
            link.batch("ROLLBACK").map_err(cannot)?;
            let why = "it has tenants of its own already, and only the home database may";
            return Err(StoreError::io(format!("use the database as `{name}`"), why));
        }
        link.query(ALL_AT_HOME, &[]).map_err(cannot)?;
    }
    link.batch("COMMIT").map_err(cannot)?;
    let rows = link.query(NAME, &[]).map_err(cannot)?;
    let found: String = rows.first().map_or_else(String::new, |row| row.get(0));
    if found == name {
        return Ok(());
    }
    let why = format!("it is called `{found}`");
    Err(StoreError::io(format!("use the database as `{name}`"), why))
}

impl PostgresStore {
    /// What this database is called among several; nothing when it was opened as the only one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.inner.name.as_deref()
    }

    /// Where a tenant is, as this database knows it.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be asked.
    pub fn whereabouts(&self, tenant: TenantId) -> Result<Whereabouts, StoreError> {
        let pool = &self.inner.pool;
        let doing = "read where a tenant is";
        let rows = pool.query(doing, PLACE, &[&Id::from(tenant)])?;
        if rows.is_empty() {
            let rows = pool.query(doing, SHARD, &[&shards::of(tenant)])?;
            let elsewhere = rows.first().and_then(|row| row.get::<_, Option<String>>(0));
            let here = Whereabouts::Here { begun: false };
            return Ok(elsewhere.map_or(here, Whereabouts::Elsewhere));
        }
        Ok(match mark(rows.first()) {
            None => Whereabouts::Here { begun: true },
            Some((place, name, counts)) => match place.as_str() {
                "moved" => Whereabouts::Elsewhere(name),
                "arriving" => Whereabouts::Arriving(name),
                _ if counts => Whereabouts::Leaving(name),
                _ => Whereabouts::Here { begun: true },
            },
        })
    }

    /// Where tenants of each shard begin, as this database knows it: in the one that is named,
    /// or here.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be asked.
    pub fn shards(&self) -> Result<Vec<(u8, Option<String>)>, StoreError> {
        let rows = self.inner.pool.query("read where shards are", SHARDS, &[])?;
        let shard = |row: &Row| (u8::try_from(row.get::<_, i16>(0)).unwrap_or(0), row.get(1));
        Ok(rows.iter().map(shard).collect())
    }

    /// Every tenant that this database knows of, but for those that are only arriving: its
    /// shard, and the database that it was moved to.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be asked.
    pub fn places(&self) -> Result<Vec<(TenantId, u8, Option<String>)>, StoreError> {
        let rows = self.inner.pool.query("read where tenants are", PLACES, &[])?;
        let place = |row: &Row| {
            let tenant = row.get::<_, Id>(0).tenant();
            let is_moved = row.get::<_, Option<&str>>(1) == Some("moved");
            let elsewhere = row.get::<_, Option<String>>(2).filter(|_| is_moved);
            (tenant, shards::number(tenant), elsewhere)
        };
        Ok(rows.iter().map(place).collect())
    }

    /// Have a new tenant begin here, whatever its shard.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be recorded.
    pub fn found_here(&self, tenant: TenantId) -> Result<(), StoreError> {
        let id = Id::from(tenant);
        self.inner.pool.query("have a tenant begin", BEGIN, &[&id]).map(drop)
    }

    /// Note that a tenant is in another database, unless it is here or on its way.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be recorded.
    pub fn send_to(&self, tenant: TenantId, name: &str) -> Result<(), StoreError> {
        let values: &[&(dyn tokio_postgres::types::ToSql + Sync)] = &[&Id::from(tenant), &name];
        self.inner.pool.query("note where a tenant is", SEND_TO, values).map(drop)
    }

    /// Have tenants of a shard begin in the database that is named, or here. As long as some of
    /// them are here, it is not done, and these are returned: they are moved first.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be recorded.
    pub fn set_shard(&self, shard: u8, to: Option<&str>) -> Result<Vec<TenantId>, StoreError> {
        let number = i16::from(shard);
        // Of no tenant: what is set as the tenant sees none of theirs.
        let nobody = TenantId::from_uuid(cog_base::id::Uuid::from_u128(0));
        self.inner.pool.write("move a shard", nobody, |link| {
            // Waits for tenants that are just beginning.
            let rows = link.query(LOCK_SHARD, &[&number])?;
            let is_leaving = to.is_some() && rows.first().is_some_and(|row| row.get(0));
            let here = link.query(PLACES, &[])?;
            let here = here.iter().filter(|row| row.get::<_, Option<&str>>(1) != Some("moved"));
            let here = here.map(|row| row.get::<_, Id>(0).tenant());
            let here: Vec<TenantId> =
                here.filter(|one| is_leaving && shards::number(*one) == shard).collect();
            if here.is_empty() {
                link.query(SET_SHARD, &[&number, &to])?;
            }
            Ok(here)
        })
    }
}
