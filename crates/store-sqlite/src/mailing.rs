//! Mail to whoever has claimed a tenant, and the names of requests.

use cog_base::Digest;
use cog_base::id::{MailId, RunId, TenantId, Uuid};
use cog_store::index::id_key;
use cog_store::shared::{WHY_BYTES_MAX, request_name};
use cog_store::{Claim, Delivery, Except, MAIL_MAX, Mail, Posted, RequestKey, StoreError};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use crate::SqliteStore;
use crate::beside::{Stop, bytes};
use crate::owning::{call, check};
use crate::schema::NODES_SINCE;
use crate::shared::NODE;

const NAME: &str = "INSERT INTO request (tenant, name, digest, session) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO NOTHING";
const NAMED: &str = "SELECT digest, session FROM request WHERE tenant = ?1 AND name = ?2";
const BEGUN: &str = "SELECT EXISTS (SELECT 1 FROM session JOIN log ON log.no = session.log
        WHERE log.tenant = ?1 AND session.id = ?2)
    OR EXISTS (SELECT 1 FROM entry_id WHERE key = ?3)";
const POST: &str =
    "INSERT INTO mail (tenant, id, kind, session, sealed) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO NOTHING";
const WAITING: &str = "SELECT id, kind, session, sealed FROM mail
    WHERE tenant = ?1 AND refused IS NULL AND kind IS NOT ?2 ORDER BY no";
const REMOVE: &str = "DELETE FROM mail WHERE tenant = ?1 AND id = ?2";
const REFUSE: &str = "UPDATE mail SET refused = ?3 WHERE tenant = ?1 AND id = ?2";
const DELIVERY: &str = "SELECT refused FROM mail WHERE tenant = ?1 AND id = ?2";

fn of_mail(id: MailId) -> [u8; 16] {
    id.uuid().as_u128().to_be_bytes()
}

pub(crate) fn of_run(id: RunId) -> [u8; 16] {
    id.uuid().as_u128().to_be_bytes()
}

pub(crate) fn run_of(bytes: [u8; 16]) -> RunId {
    RunId::from_uuid(Uuid::from_u128(u128::from_be_bytes(bytes)))
}

/// A row of mail as it is kept.
struct Kept {
    id: MailId,
    kind: String,
    run: Option<RunId>,
    sealed: Vec<u8>,
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        id: MailId::from_uuid(Uuid::from_u128(u128::from_be_bytes(row.get(0)?))),
        kind: row.get(1)?,
        run: row.get::<_, Option<[u8; 16]>>(2)?.map(run_of),
        sealed: row.get(3)?,
    })
}

impl SqliteStore {
    /// What stands for a name of this tenant: a keyed digest, which tells nobody anything who does not have
    /// the key.
    #[must_use]
    pub fn stands_for(&self, tenant: TenantId, name: &str) -> Digest {
        self.inner().vault.subject(tenant, name)
    }

    /// The run that a node was asked for under this name.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub fn asked_as(&self, tenant: TenantId, name: &str) -> Result<Option<RunId>, StoreError> {
        let name = self.stands_for(tenant, &request_name(name));
        let run = self.read(("look for a request", NODES_SINCE), |db| {
            let run = |row: &Row<'_>| row.get::<_, [u8; 16]>(1);
            let mut look = db.prepare_cached(NAMED)?;
            look.query_row(params![bytes(tenant), name.as_bytes()], run).optional()
        })?;
        Ok(run.map(run_of))
    }

    pub(crate) fn post_mail(
        &self,
        tenant: TenantId,
        mail: &Mail,
        key: Option<RequestKey<'_>>,
    ) -> Result<Posted, StoreError> {
        let inner = self.inner();
        let sealed = {
            let entropy = &mut inner.writing()?.entropy;
            inner.vault.seal_mail(tenant, mail.id, &mail.payload, entropy)?
        };
        let posted = self.write("post mail", |tx| {
            if let (Some(key), Some(run)) = (key, mail.run) {
                let name = inner.vault.subject(tenant, &request_name(key.name));
                // Under that name a run may have been asked for without a node.
                let run_of_name = RunId::from_uuid(Uuid::of(&name));
                if is_begun(tx, tenant, run_of_name)? {
                    return Ok(Posted::Differs(run_of_name));
                }
                match named(tx, (tenant, name), (key.request, run))? {
                    Posted::Waiting => {}
                    before @ (Posted::Before(_) | Posted::Differs(_)) => return Ok(before),
                }
            }
            let (id, run) = (of_mail(mail.id), mail.run.map(of_run));
            tx.prepare_cached(POST)?.execute(params![bytes(tenant), id, mail.kind, run, sealed])?;
            call(tx, tenant)?;
            Ok(Posted::Waiting)
        })?;
        if posted == Posted::Waiting {
            inner.bell.ring(tenant);
        }
        Ok(posted)
    }

    pub(crate) fn waiting_mail(
        &self,
        claim: &Claim,
        except: Except<'_>,
    ) -> Result<Vec<Result<Mail, MailId>>, StoreError> {
        let tenant = claim.tenant;
        let rows = self.read(("read mail", NODES_SINCE), |db| {
            check(db, NODE, claim)?;
            let mut read = db.prepare_cached(WAITING)?;
            let rows = read.query_map(params![bytes(tenant), except.kind], kept)?;
            let is_left_out = |row: &Kept| except.ids.contains(&row.id);
            let rows = rows.filter(|row| !row.as_ref().is_ok_and(is_left_out));
            Ok::<_, Stop>(rows.take(MAIL_MAX as usize).collect::<rusqlite::Result<Vec<_>>>()?)
        })?;
        let open = |Kept { id, kind, run, sealed }: Kept| {
            // One spoiled row keeps nobody from the rest.
            let payload = self.inner().vault.open_mail(tenant, id, &sealed).map_err(|_| id)?;
            Ok(Mail { id, kind, run, payload })
        };
        Ok(rows.into_iter().map(open).collect())
    }

    pub(crate) fn remove(&self, claim: &Claim, ids: &[MailId]) -> Result<(), StoreError> {
        self.write("remove mail", |tx| {
            check(tx, NODE, claim)?;
            let mut remove = tx.prepare_cached(REMOVE)?;
            for id in ids {
                remove.execute(params![bytes(claim.tenant), of_mail(*id)])?;
            }
            Ok(())
        })
    }

    pub(crate) fn refuse(&self, claim: &Claim, id: MailId, why: &str) -> Result<(), StoreError> {
        let why = why.get(..why.floor_char_boundary(WHY_BYTES_MAX)).unwrap_or(why);
        self.write("refuse mail", |tx| {
            check(tx, NODE, claim)?;
            tx.prepare_cached(REFUSE)?.execute(params![bytes(claim.tenant), of_mail(id), why])?;
            Ok(())
        })
    }

    pub(crate) fn how_it_stands(
        &self,
        tenant: TenantId,
        id: MailId,
    ) -> Result<Option<Delivery>, StoreError> {
        let refused = self.read(("look how mail stands", NODES_SINCE), |db| {
            let refused = |row: &Row<'_>| row.get::<_, Option<String>>(0);
            let mut look = db.prepare_cached(DELIVERY)?;
            look.query_row(params![bytes(tenant), of_mail(id)], refused).optional()
        })?;
        Ok(refused.map(|why| why.map_or(Delivery::Waiting, Delivery::Refused)))
    }
}

/// Whether a run was begun, or waits for its turn.
fn is_begun(tx: &Transaction<'_>, tenant: TenantId, run: RunId) -> Result<bool, Stop> {
    let mut begun = tx.prepare_cached(BEGUN)?;
    let key = id_key(&run.to_string());
    Ok(begun.query_row(params![bytes(tenant), of_run(run), key], |row| row.get(0))?)
}

/// Give a request its name, or say what has it.
fn named(
    tx: &Transaction<'_>,
    (tenant, name): (TenantId, Digest),
    (digest, run): (Digest, RunId),
) -> Result<Posted, Stop> {
    let (tenant, name) = (bytes(tenant), name.as_bytes());
    tx.prepare_cached(NAME)?.execute(params![tenant, name, digest.as_bytes(), of_run(run)])?;
    let (kept, had): (Vec<u8>, [u8; 16]) = tx
        .prepare_cached(NAMED)?
        .query_row(params![tenant, name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let had = run_of(had);
    Ok(match kept == digest.as_bytes() {
        _ if had == run => Posted::Waiting,
        true => Posted::Before(had),
        false => Posted::Differs(had),
    })
}
