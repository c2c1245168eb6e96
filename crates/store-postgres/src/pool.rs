//! Connections that wait for work.

use std::sync::{Mutex, PoisonError};

use cog_base::id::TenantId;
use cog_store::StoreError;
use tokio_postgres::Error;

use crate::address::Address;
use crate::error::{ends_connection, failed};
use crate::id::Id;
use crate::link::{Link, Step};
use crate::places;

/// The most idle connections that are kept.
const IDLE_MAX: usize = 8;
/// Sets whose rows a transaction may see and write.
pub(crate) const SET_TENANT: &str = "SELECT set_config('app.tenant', ($1::uuid)::text, true)";

/// Why work on a connection ended early.
pub(crate) enum Stop {
    Database(Error),
    Store(StoreError),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Stop {
    pub(crate) fn told(self, doing: &str) -> StoreError {
        match self {
            Self::Database(error) => failed(doing, error),
            Self::Store(error) => error,
        }
    }
}

pub(crate) struct Pool {
    address: Address,
    idle: Mutex<Vec<Link>>,
}

impl Pool {
    pub(crate) const fn new(address: Address) -> Self {
        Self { address, idle: Mutex::new(Vec::new()) }
    }

    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    /// Give a connection back. One that is over is dropped.
    pub(crate) fn give(&self, link: Link) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !link.is_closed() && idle.len() < IDLE_MAX {
            idle.push(link);
        }
    }

    /// Do something on a connection. When it was an idle one and turns out to be over, as
    /// after a restart of the server, it is done once more on a new one: `work` must be
    /// something that may be done twice. The connection stays out until it is given back.
    pub(crate) fn on_link<T>(
        &self,
        doing: &str,
        mut work: impl FnMut(&mut Link) -> Result<T, Stop>,
    ) -> Result<(Link, T), StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(mut link) = idle {
            match work(&mut link) {
                Ok(done) => return Ok((link, done)),
                Err(Stop::Database(error)) if ends_connection(&error) => {
                    // The others are as old.
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
                }
                Err(stop) => return Err(stop.told(doing)),
            }
        }
        let mut link = Link::open(&self.address, "")?;
        let done = work(&mut link).map_err(|stop| stop.told(doing))?;
        Ok((link, done))
    }

    /// One statement outside any tenant, in a transaction of its own.
    pub(crate) fn query(
        &self,
        doing: &str,
        sql: &str,
        values: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let (link, rows) = self.on_link(doing, |link| Ok(link.query(sql, values)?))?;
        self.give(link);
        Ok(rows)
    }

    /// A transaction that sees and writes one tenant's rows only. `work` must be something
    /// that may be done twice.
    pub(crate) fn write<T>(
        &self,
        doing: &str,
        tenant: TenantId,
        mut work: impl FnMut(&mut Link) -> Result<T, Stop>,
    ) -> Result<T, StoreError> {
        let (link, done) = self.on_link(doing, |link| {
            begin(link, "BEGIN", tenant)?;
            let done = work(link).and_then(|done| {
                link.batch("COMMIT")?;
                Ok(done)
            });
            if done.is_err() {
                // Without an answer the connection is over, and the transaction with it.
                let _ = link.batch("ROLLBACK");
            }
            done
        })?;
        self.give(link);
        Ok(done)
    }
}

impl Pool {
    /// As [`Pool::write`], of a tenant that is here and stays until it is done.
    pub(crate) fn change<T>(
        &self,
        doing: &str,
        tenant: TenantId,
        mut work: impl FnMut(&mut Link) -> Result<T, Stop>,
    ) -> Result<T, StoreError> {
        self.write(doing, tenant, |link| {
            places::keep(link, tenant)?;
            work(link)
        })
    }

    /// As [`Pool::write`], to read of a tenant that was still here afterwards.
    pub(crate) fn look<T>(
        &self,
        doing: &str,
        tenant: TenantId,
        mut work: impl FnMut(&mut Link) -> Result<T, Stop>,
    ) -> Result<T, StoreError> {
        self.write(doing, tenant, |link| {
            let found = work(link)?;
            places::is_here(link, tenant)?;
            Ok(found)
        })
    }
}

/// Begin a transaction of one tenant.
pub(crate) fn begin(link: &mut Link, how: &'static str, tenant: TenantId) -> Result<(), Error> {
    let set = Step::new(SET_TENANT, vec![Box::new(Id::from(tenant))]);
    let begun = link.flight(&[Step::plain(how), set]);
    if begun.is_err() {
        // As above.
        let _ = link.batch("ROLLBACK");
    }
    begun.map(drop)
}
