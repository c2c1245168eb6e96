//! The store of many nodes: one PostgreSQL database that any number of nodes share.
//!
//! Its tables belong to an owner role, which [`migrate`]s them. Nodes connect as another
//! role, which owns nothing: row-level security is forced on every table of tenants, and a
//! transaction sees and writes the rows of the one tenant that it set, or none.
//!
//! One node at a time writes the log of a tenant: it claims the tenant for a while, by the
//! clock of the database, and each commit checks in its own transaction that the claim was
//! not passed on. What a node does while it cannot reach the database, and a commit whose
//! answer was lost, is in [`PostgresStore`].

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the home of the way to the database, which waits for it when it is away"
)]

mod address;
mod cursors;
mod databases;
mod error;
mod id;
mod keep;
mod link;
mod mailing;
mod moving;
mod owning;
mod parking;
mod places;
mod pool;
mod reading;
mod schema;
mod shards;
mod shared;
mod shelf;
mod wakeups;
#[cfg(test)]
mod walls;
mod writing;

// Some tests are in here, and share what they stand on with those outside.
#[cfg(test)]
extern crate self as cog_store_postgres;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cog_base::Entropy;
use cog_base::cipher::Key;
use cog_base::id::TenantId;
use cog_ledger::{KeyRing, Shelf};
use cog_store::vault::{Drawn, Vault};
use cog_store::{Claim, Store, StoreError, TenantTx};

pub use databases::Databases;
pub use moving::{Moved, Moving, Step as MoveStep};
pub use places::{HOME, NAME_BYTES_MAX, Whereabouts};
pub use schema::{MIGRATION_LATEST, Migrated, migrate};
pub use shards::{SHARDS, number as shard_of};
pub use wakeups::Wakeups;

use crate::address::Address;
use crate::id::Id;
use crate::link::Link;
use crate::owning::Owning;
use crate::pool::Pool;
use crate::reading::Scope;
use crate::writing::Writing;

const MASTER_CONTEXT: &[u8] = b"cognitionos/kept-instance/v1\n";
const TENANTS: &str = "SELECT tenant FROM tenant WHERE NOT EXISTS (
        SELECT FROM owner WHERE owner.tenant = tenant.tenant AND place IN ('arriving', 'moved'))
    ORDER BY tenant";
const INTRODUCE: &str = "INSERT INTO instance (one, sealed) VALUES (1, $1) ON CONFLICT DO NOTHING";
const KNOWN_BY: &str = "SELECT sealed FROM instance WHERE one = 1";

/// How a node uses the database.
#[derive(Debug, Clone)]
pub struct Options {
    /// `postgres://role:password@host:port/database?…`. Beside what the driver knows:
    /// `sslmode` is `disable`, or `require`, `verify-ca` or `verify-full`, which all verify
    /// the server's certificate and name; `sslrootcert` names a file of authorities. Without
    /// `sslmode`, TLS is used unless the server is on this machine.
    pub url: String,
    /// What this node is called. A random part is added, so that two lives of it differ.
    pub node: String,
    /// Seals every other key. The same on every node; kept apart from the database.
    pub master: Key,
    /// Whether the writer claims a tenant that nobody owns when it first writes its log. Off
    /// for a node that shares its tenants with others: it claims before it works.
    pub claims_itself: bool,
    /// How long a claim lasts, and so how soon others take over from a node that died. Each
    /// commit renews it; [`cog_store::Shared::renew`] does for tenants that are quiet.
    pub lease: Duration,
    /// How long one call waits for a server that is away.
    pub patience: Duration,
    /// What the database is called among several; nothing when it is the only one. It has its
    /// name from the first that opens it with one.
    pub name: Option<String>,
}

impl Options {
    /// A node that claims what it writes, for 3 seconds at a time, and waits up to 10 seconds
    /// for the server.
    #[must_use]
    pub fn new(url: &str, node: &str, master: Key) -> Self {
        let (lease, patience) = (Duration::from_secs(3), Duration::from_secs(10));
        let (url, node) = (url.to_owned(), node.to_owned());
        Self { url, node, master, claims_itself: true, lease, patience, name: None }
    }
}

/// The store in one database. Clones share it. When the last is gone, what it owns is free
/// for other nodes.
///
/// Reading and claiming connect anew by themselves. A commit waits for the server, at most
/// [`Options::patience`]; then it fails as a passing error, or, when the server was lost in
/// the middle of it and nobody can tell whether it was kept, as [`StoreError::Unknown`].
/// When the server is back in time, it is looked up: a commit is never written twice.
#[derive(Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pool: Pool,
    vault: Vault<TenantId>,
    owning: Owning,
    claims_itself: bool,
    patience: Duration,
    name: Option<String>,
    has_writer: AtomicBool,
    writing: Mutex<Writing>,
}

impl PostgresStore {
    /// Connect to a database that [`migrate`] has made. `entropy` gives keys and nonces.
    ///
    /// # Errors
    /// [`StoreError`] says what is in the way: the server is not there, the schema is older,
    /// newer or changed, the role is not bound by row-level security, or the data are sealed
    /// with another master key.
    pub fn open(options: Options, entropy: Box<dyn Entropy>) -> Result<Self, StoreError> {
        let address = Address::parse(&options.url)?;
        let mut link = Link::open(&address, "")?;
        schema::check(&mut link)?;
        let mut entropy = Drawn::new(entropy);
        check_master(&mut link, &options.master, &mut entropy)?;
        if let Some(name) = &options.name {
            places::name(&mut link, name)?;
        }
        let mut life = [0; 8];
        entropy.fill(&mut life)?;
        let node = format!("{}/{:016x}", options.node, u64::from_be_bytes(life));
        let pool = Pool::new(address);
        pool.give(link);
        let inner = Inner {
            pool,
            vault: Vault::new(options.master),
            owning: Owning::new(node, options.lease),
            claims_itself: options.claims_itself,
            patience: options.patience,
            name: options.name,
            has_writer: AtomicBool::new(false),
            writing: Mutex::new(Writing::new(entropy)),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Claim a tenant: one that nobody owns, whose owner's time is over, or that is ours
    /// already, whose fence is raised too. What the writer held of it is read again.
    ///
    /// # Errors
    /// [`StoreError::Owned`] names who has it.
    pub fn claim(&self, tenant: TenantId) -> Result<Claim, StoreError> {
        let claims = self.inner.owning.claim(&self.inner.pool, &[tenant])?;
        self.inner.writing().fresh.insert(tenant);
        let missing = || StoreError::corrupt(format!("the claim on {tenant}"));
        claims.into_iter().next().ok_or_else(missing)
    }

    /// Up to `limit` tenants that have work and no owner, without claiming them.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be asked.
    pub fn claimable(&self, limit: u32) -> Result<Vec<TenantId>, StoreError> {
        owning::claimable(&self.inner.pool, i64::from(limit))
    }

    /// Say that there is work for a tenant, to whichever node owns it or will.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be told.
    pub fn call(&self, tenant: TenantId) -> Result<(), StoreError> {
        owning::call(&self.inner.pool, tenant)
    }

    /// Listen for [`PostgresStore::call`]s, of this node's too.
    #[must_use]
    pub fn wakeups(&self) -> Wakeups {
        Wakeups::new(self.inner.pool.address().clone())
    }
}

impl Store for PostgresStore {
    fn shelf(&self) -> Result<Box<dyn Shelf + Send>, StoreError> {
        shelf::take(&self.inner)
    }

    fn signing_keys(&self) -> Result<Box<dyn KeyRing>, StoreError> {
        Ok(Box::new(shelf::Keys(Arc::clone(&self.inner))))
    }

    fn scope(&self, tenant: TenantId) -> Result<Box<dyn TenantTx + '_>, StoreError> {
        Ok(Box::new(Scope::open(&self.inner, tenant)?))
    }

    fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let rows = self.inner.pool.query("read which logs there are", TENANTS, &[])?;
        Ok(rows.iter().map(|row| row.get::<_, Id>(0).tenant()).collect())
    }
}

impl Inner {
    /// What writes, for as long as it is held.
    pub(crate) fn writing(&self) -> MutexGuard<'_, Writing> {
        // A panic in the middle of a write leaves a transaction that is rolled back with its
        // connection, and what is remembered is read again.
        self.writing.lock().unwrap_or_else(|poisoned| {
            let mut writing = poisoned.into_inner();
            writing.forget();
            writing
        })
    }

    /// See that all of `tenants` were claimed, or claim those that were not.
    pub(crate) fn claim_missing(&self, tenants: &[TenantId]) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        for tenant in tenants {
            if self.owning.fence(*tenant)?.is_none() {
                missing.push(*tenant);
            }
        }
        match missing.first() {
            None => Ok(()),
            Some(_) if self.claims_itself => self.owning.claim(&self.pool, &missing).map(drop),
            Some(tenant) => {
                let owner = self.owning.owner(&self.pool, *tenant)?;
                Err(StoreError::Owned { tenant: *tenant, owner })
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without the database the claims end by themselves, a little later.
        let _ = self.owning.release_all(&self.pool);
    }
}

/// See that the master key is the one that the data are sealed with; the first one is.
fn check_master(link: &mut Link, master: &Key, entropy: &mut Drawn) -> Result<(), StoreError> {
    let cannot = |error| error::failed("check the master key", error);
    let sealed = master.seal(MASTER_CONTEXT, MASTER_CONTEXT, entropy)?;
    link.query(INTRODUCE, &[&sealed]).map_err(cannot)?;
    let rows = link.query(KNOWN_BY, &[]).map_err(cannot)?;
    let row = rows.first().ok_or_else(|| StoreError::corrupt("the mark of the master key"))?;
    let opened = master.open(MASTER_CONTEXT, row.get(0));
    opened.map(drop).map_err(|_| StoreError::OtherMasterKey)
}
