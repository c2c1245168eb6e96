//! The row of a log: its end, what was pruned, its key, and the state that binds its tables.

use std::path::Path;

use cog_base::cipher::Key;
use cog_base::entropy::Entropy;
use cog_base::id::{TenantId, Uuid};
use cog_store::vault::{LOG_KEY, SIGNING_KEY, Which};
use cog_store::{Pruned, StoreError};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::binding::{Bindings, End, State};
use crate::error::failed;
use crate::place::Range;

/// Keys by the number of their log.
pub(crate) type Vault = cog_store::vault::Vault<i64>;

/// A log as its row says, opened with its key: nobody without the key made it.
pub(crate) struct Log {
    pub(crate) no: i64,
    pub(crate) tenant: TenantId,
    /// Seals bodies that are about nobody.
    pub(crate) key: Key,
    pub(crate) bindings: Bindings,
    pub(crate) end: End,
    pub(crate) state: State,
    /// As it is kept. It is another one after every commit.
    pub(crate) sealed: Vec<u8>,
}

impl Log {
    /// The log of `tenant`, if it has begun.
    pub(crate) fn read(
        db: &Connection,
        vault: &Vault,
        tenant: TenantId,
    ) -> Result<Option<Self>, StoreError> {
        let row = db
            .prepare_cached(
                "SELECT no, size, frontier, last_leaf, last_at, bodies_from, entries_from, own_key,
                 state FROM log WHERE tenant = ?1",
            )
            .and_then(|mut read| {
                read.query_row([tenant.uuid().as_u128().to_be_bytes()], Kept::read).optional()
            })
            .map_err(|error| failed("read the end of a log", error))?;
        let opened = row.map(|kept| kept.open(vault, tenant)).transpose();
        match opened {
            Err(StoreError::Corrupt { .. }) if is_other_key(db, vault) => {
                let folder = db.path().map(Path::new).and_then(Path::parent);
                let path = folder.unwrap_or(Path::new("")).join("keys").join("master.key");
                Err(StoreError::OtherKeyFile { path })
            }
            opened => opened,
        }
    }

    /// A log with this key that has no entry yet.
    pub(crate) fn empty(no: i64, tenant: TenantId, key: Key) -> Self {
        let bindings = Bindings::new(&key);
        let (frontier, last_leaf) = (Vec::new(), Vec::new());
        let end = End { size: 0, frontier, last_leaf, last_at: 0, pruned: Pruned::default() };
        Self { no, tenant, key, bindings, end, state: State::default(), sealed: Vec::new() }
    }

    pub(crate) const fn range(&self) -> Range {
        Range::of(self.no)
    }

    /// What is kept of this log does not hold together.
    pub(crate) fn damaged(&self, what: &str) -> StoreError {
        StoreError::corrupt(format!("{what} of {}", self.tenant))
    }

    /// Write the end, with the state sealed anew.
    pub(crate) fn write(
        &mut self,
        tx: &Connection,
        entropy: &mut dyn Entropy,
    ) -> Result<(), StoreError> {
        self.sealed = self.bindings.seal(self.tenant, &self.end, &self.state, entropy)?;
        let end = &self.end;
        tx.prepare_cached(
            "UPDATE log SET size = ?2, frontier = ?3, last_leaf = ?4, last_at = ?5,
             bodies_from = ?6, entries_from = ?7, state = ?8 WHERE no = ?1",
        )
        .and_then(|mut update| {
            let pruned = end.pruned;
            update.execute(params![
                self.no,
                end.size,
                end.frontier,
                end.last_leaf,
                end.last_at,
                pruned.bodies,
                pruned.entries,
                self.sealed
            ])
        })
        .map(drop)
        .map_err(|error| failed("write the end of a log", error))
    }
}

/// Whether the master key is the one to blame when a log does not open: none of the signing
/// keys opens with it either.
fn is_other_key(db: &Connection, vault: &Vault) -> bool {
    let kept = db.prepare("SELECT tenant, sealed FROM signing_key").and_then(|mut read| {
        let rows = read.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<Vec<([u8; 16], Vec<u8>)>>>()
    });
    let kept = kept.unwrap_or_default();
    let opens = |(tenant, sealed): &([u8; 16], Vec<u8>)| {
        let tenant = TenantId::from_uuid(Uuid::from_u128(u128::from_be_bytes(*tenant)));
        vault.unwrap(tenant, SIGNING_KEY, sealed).is_ok()
    };
    !kept.is_empty() && !kept.iter().any(opens)
}

/// The row as it is kept.
struct Kept {
    no: i64,
    end: End,
    own_key: Vec<u8>,
    sealed: Vec<u8>,
}

impl Kept {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let end = End {
            size: row.get(1)?,
            frontier: row.get(2)?,
            last_leaf: row.get(3)?,
            last_at: row.get(4)?,
            pruned: Pruned { bodies: row.get(5)?, entries: row.get(6)? },
        };
        Ok(Self { no: row.get(0)?, end, own_key: row.get(7)?, sealed: row.get(8)? })
    }

    fn open(self, vault: &Vault, tenant: TenantId) -> Result<Log, StoreError> {
        let Self { no, end, own_key, sealed } = self;
        let damaged = || StoreError::corrupt(format!("the end of the log of {tenant}"));
        let key = vault.key(Which::Log(no), || {
            let secret = vault.unwrap(tenant, LOG_KEY, &own_key)?;
            Ok(Some(Key::from_bytes(*secret)))
        })?;
        let key = key.ok_or_else(damaged)?;
        let bindings = Bindings::new(&key);
        let state = bindings.open(tenant, &end, &sealed).ok_or_else(damaged)?;
        Ok(Log { no, tenant, key, bindings, end, state, sealed })
    }
}
