//! Which tenants there is work for, and which of them are claimed. One process writes here at a time,
//! so a claim has no end but that of its process; its fence tells it from those before.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cog_base::Timestamp;
use cog_base::id::{TenantId, Uuid};
use cog_store::{After, Claim, Renewed, StoreError, Wakeup, Wakeups};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use crate::SqliteStore;
use crate::beside::{Stop, bytes};
use crate::error::failed;
use crate::schema::NODES_SINCE;

/// The last turn that was given, and one more.
macro_rules! next_turn {
    () => {
        "(SELECT coalesce(max(turn), 0) + 1 FROM owner)"
    };
}
const CLAIM: &str = "UPDATE owner SET held = 1, fence = fence + 1 WHERE tenant = ?1
    RETURNING tenant, fence, calls";
const WAITING: &str =
    "SELECT tenant FROM owner WHERE wanted = 1 AND held = 0 ORDER BY turn LIMIT ?1";
const RELEASE: &str = concat!(
    "UPDATE owner SET held = 0, wanted = (calls <> ?2), turn = ",
    next_turn!(),
    " WHERE tenant = ?1 AND held = 1"
);
const CALL: &str = concat!(
    "INSERT INTO owner (tenant, held, fence, calls, wanted, turn) VALUES (?1, 0, 0, 1, 1, ",
    next_turn!(),
    ") ON CONFLICT DO UPDATE SET wanted = 1, calls = calls + 1"
);
const NOTE: &str = concat!(
    "INSERT INTO owner (tenant, held, fence, calls, wanted, turn) VALUES (?1, 0, 0, 0, 1, ",
    next_turn!(),
    ") ON CONFLICT DO UPDATE SET wanted = 1"
);
const HELD: &str = "SELECT fence FROM owner WHERE tenant = ?1 AND held = 1";
const TIME: &str = "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) * 1000";

/// Who listens for calls.
#[derive(Default)]
pub(crate) struct Bell(Mutex<Vec<Sender<TenantId>>>);

impl Bell {
    fn listeners(&self) -> MutexGuard<'_, Vec<Sender<TenantId>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tell everybody who still listens.
    pub(crate) fn ring(&self, tenant: TenantId) {
        self.listeners().retain(|listener| listener.send(tenant).is_ok());
    }

    pub(crate) fn listen(&self) -> Listener {
        let (say, heard) = channel();
        self.listeners().push(say);
        Listener { heard, is_new: true }
    }
}

/// Hears of calls within the process.
pub(crate) struct Listener {
    heard: Receiver<TenantId>,
    is_new: bool,
}

impl Wakeups for Listener {
    fn next(&mut self, wait: Duration) -> Result<Wakeup, StoreError> {
        if std::mem::take(&mut self.is_new) {
            return Ok(Wakeup::Anything);
        }
        match self.heard.recv_timeout(wait) {
            Ok(tenant) => Ok(Wakeup::Tenant(tenant)),
            // The store is kept by whoever listens to it, so nobody hangs up.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(Wakeup::Nothing),
        }
    }
}

/// What the process had that wrote here before is free.
pub(crate) fn free_all(db: &Connection) -> Result<(), StoreError> {
    db.execute("UPDATE owner SET held = 0 WHERE held = 1", [])
        .map(drop)
        .map_err(|error| failed("give back what an earlier process had claimed", error))
}

/// Say that there is work for a tenant, within the transaction that makes it.
pub(crate) fn call(tx: &Transaction<'_>, tenant: TenantId) -> Result<(), Stop> {
    tx.prepare_cached(CALL)?.execute([bytes(tenant)])?;
    Ok(())
}

/// Note that somebody should look whether there is work for a tenant: its log was written.
pub(crate) fn note(tx: &Transaction<'_>, tenant: TenantId) -> Result<(), StoreError> {
    tx.prepare_cached(NOTE)
        .and_then(|mut note| note.execute([bytes(tenant)]))
        .map(drop)
        .map_err(|error| failed("note that there is work", error))
}

/// See that a claim is the last one on its tenant, and not given back.
pub(crate) fn check(db: &Connection, node: &str, claim: &Claim) -> Result<(), Stop> {
    let mut held = db.prepare_cached(HELD)?;
    let fence: Option<i64> = held.query_row([bytes(claim.tenant)], |row| row.get(0)).optional()?;
    let owner = match fence {
        Some(fence) if fence == claim.fence => return Ok(()),
        Some(_) => node,
        None => "nobody",
    };
    Err(StoreError::Owned { tenant: claim.tenant, owner: owner.to_owned() }.into())
}

fn tenant(row: &Row<'_>) -> rusqlite::Result<TenantId> {
    Ok(TenantId::from_uuid(Uuid::from_u128(u128::from_be_bytes(row.get(0)?))))
}

fn claimed(row: &Row<'_>) -> rusqlite::Result<Claim> {
    Ok(Claim { tenant: tenant(row)?, fence: row.get(1)?, calls: row.get(2)? })
}

impl SqliteStore {
    pub(crate) fn claim_those_that_wait(
        &self,
        limit: u32,
        except: &[TenantId],
    ) -> Result<Vec<Claim>, StoreError> {
        let wanted = limit as usize + except.len();
        let waiting = self.read(("look for tenants that wait", NODES_SINCE), |db| {
            db.prepare_cached(WAITING)?
                .query_map([wanted], tenant)?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let free = waiting.into_iter().filter(|tenant| !except.contains(tenant));
        let free: Vec<TenantId> = free.take(limit as usize).collect();
        if free.is_empty() {
            return Ok(Vec::new());
        }
        self.write("claim tenants that wait", |tx| {
            let mut claim = tx.prepare_cached(CLAIM)?;
            let claims = free.iter().map(|tenant| claim.query_row([bytes(*tenant)], claimed));
            Ok(claims.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Nobody takes a claim away or asks for one, and none ends.
    pub(crate) fn still_claimed(&self) -> Result<Renewed, StoreError> {
        let (kept, at) = self.read(("read which tenants are claimed", NODES_SINCE), |db| {
            let at = db.query_row(TIME, [], |row| row.get::<_, i64>(0))?;
            let kept = |row: &Row<'_>| Ok((tenant(row)?, row.get(1)?));
            let kept = db
                .prepare_cached("SELECT tenant, calls FROM owner WHERE held = 1")?
                .query_map([], kept)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok::<_, Stop>((kept, at))
        })?;
        let (lost, asked) = Default::default();
        Ok(Renewed { kept, lost, asked, at: Some(Timestamp::from_micros(at)) })
    }

    pub(crate) fn give_back(&self, tenant: TenantId, after: After) -> Result<(), StoreError> {
        let calls = match after {
            After::Stopping => -1,
            After::Idle { calls } => calls,
        };
        self.write("give a tenant back", |tx| {
            tx.prepare_cached(RELEASE)?.execute(params![bytes(tenant), calls])?;
            Ok(())
        })?;
        // Who writes to it from here on without a claim leaves work for whoever claims it next.
        self.inner().writing()?.noted.remove(&tenant);
        Ok(())
    }

    pub(crate) fn clock(&self) -> Result<Timestamp, StoreError> {
        let micros = self.read(("read the time", NODES_SINCE), |db| {
            db.query_row(TIME, [], |row| row.get::<_, i64>(0))
        })?;
        Ok(Timestamp::from_micros(micros))
    }
}
