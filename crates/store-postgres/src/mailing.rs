//! Mail to whoever owns the log of a tenant.

use cog_base::Digest;
use cog_base::id::{MailId, RunId, TenantId};
use cog_store::shared::{WHY_BYTES_MAX, request_name};
use cog_store::{Claim, Delivery, Except, MAIL_MAX, Mail, Posted, RequestKey, StoreError};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::PostgresStore;
use crate::id::{Hash, Id};
use crate::link::Link;
use crate::places;
use crate::pool::Stop;

const NAME: &str = "INSERT INTO request (tenant, name, digest, session) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING";
const NAMED_BEFORE: &str = "SELECT digest, session FROM request WHERE tenant = $1 AND name = $2";
const POST: &str = "INSERT INTO mail (tenant, id, kind, session, sealed)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
const WAITING: &str = "SELECT id, kind, session, sealed FROM mail
    WHERE tenant = $1 AND refused IS NULL AND id <> ALL ($2) AND kind IS DISTINCT FROM $4
    ORDER BY no LIMIT $3";
const REMOVE: &str = "DELETE FROM mail WHERE tenant = $1 AND id = ANY ($2)";
const REFUSE: &str = "UPDATE mail SET refused = $3 WHERE tenant = $1 AND id = $2";
const OWNER: &str = "SELECT coalesce(node, 'nobody'), fence FROM owner WHERE tenant = $1";
/// Also keeps the tenant from changing hands until the end of the transaction.
pub(crate) const OWNER_KEPT: &str =
    "SELECT coalesce(node, 'nobody'), fence FROM owner WHERE tenant = $1 FOR SHARE";
const DELIVERY: &str = "SELECT refused FROM mail WHERE tenant = $1 AND id = $2";

impl PostgresStore {
    pub(crate) fn post_mail(
        &self,
        tenant: TenantId,
        mail: &Mail,
        key: Option<RequestKey<'_>>,
    ) -> Result<Posted, StoreError> {
        let (id, session) = (Id::from(tenant), mail.run.map(Id::from));
        let sealed = {
            let mut writing = self.inner.writing();
            self.inner.vault.seal_mail(tenant, mail.id, &mail.payload, writing.entropy())?
        };
        let own = Id::from(mail.id);
        let values: &[&(dyn ToSql + Sync)] = &[&id, &own, &mail.kind, &session, &sealed];
        self.inner.pool.write("post mail", tenant, |link| {
            if let (Some(key), Some(run)) = (key, mail.run) {
                let name = self.inner.vault.subject(tenant, &request_name(key.name));
                match named(link, id, name, (key.request, run))? {
                    Posted::Waiting => {}
                    before @ (Posted::Before(_) | Posted::Differs(_)) => return Ok(before),
                }
            }
            places::call(link, tenant)?;
            link.query(POST, values)?;
            Ok(Posted::Waiting)
        })
    }

    pub(crate) fn waiting_mail(
        &self,
        claim: &Claim,
        except: Except<'_>,
    ) -> Result<Vec<Result<Mail, MailId>>, StoreError> {
        let tenant = claim.tenant;
        let ids: Vec<Id> = except.ids.iter().map(|id| Id::from(*id)).collect();
        let rows = self.inner.pool.write("read mail", tenant, |link| {
            self.check(link, claim, OWNER)?;
            let limit = i64::from(MAIL_MAX);
            Ok(link.query(WAITING, &[&Id::from(tenant), &ids, &limit, &except.kind])?)
        })?;
        let open = |row: &Row| {
            let id = row.get::<_, Id>(0).mail();
            let run = row.get::<_, Option<Id>>(2).map(Id::run);
            // One spoiled row keeps nobody from the rest.
            let payload = self.inner.vault.open_mail(tenant, id, row.get(3)).map_err(|_| id)?;
            Ok(Mail { id, kind: row.get(1), run, payload })
        };
        Ok(rows.iter().map(open).collect())
    }

    pub(crate) fn remove(&self, claim: &Claim, ids: &[MailId]) -> Result<(), StoreError> {
        let tenant = claim.tenant;
        let ids: Vec<Id> = ids.iter().map(|id| Id::from(*id)).collect();
        self.inner.pool.write("remove mail", tenant, |link| {
            self.check(link, claim, OWNER_KEPT)?;
            link.query(REMOVE, &[&Id::from(tenant), &ids])?;
            Ok(())
        })
    }

    pub(crate) fn refuse(&self, claim: &Claim, id: MailId, why: &str) -> Result<(), StoreError> {
        let tenant = claim.tenant;
        let why = why.get(..why.floor_char_boundary(WHY_BYTES_MAX)).unwrap_or(why);
        self.inner.pool.write("refuse mail", tenant, |link| {
            self.check(link, claim, OWNER_KEPT)?;
            link.query(REFUSE, &[&Id::from(tenant), &Id::from(id), &why])?;
            Ok(())
        })
    }

    /// See that a claim is still the last one on its tenant. What this node believes of it
    /// stays as it is: the next renewal tells whom it concerns.
    pub(crate) fn check(&self, link: &mut Link, claim: &Claim, sql: &str) -> Result<(), Stop> {
        let rows = link.query(sql, &[&Id::from(claim.tenant)])?;
        let (owner, fence): (&str, i64) =
            rows.first().map_or(("nobody", -1), |row| (row.get(0), row.get(1)));
        if owner == self.inner.owning.node() && fence == claim.fence {
            return Ok(());
        }
        Err(StoreError::Owned { tenant: claim.tenant, owner: owner.to_owned() }.into())
    }

    pub(crate) fn how_it_stands(
        &self,
        tenant: TenantId,
        id: MailId,
    ) -> Result<Option<Delivery>, StoreError> {
        let rows = self.inner.pool.look("look how mail stands", tenant, |link| {
            Ok(link.query(DELIVERY, &[&Id::from(tenant), &Id::from(id)])?)
        })?;
        Ok(rows.first().map(|row| match row.get::<_, Option<String>>(0) {
            None => Delivery::Waiting,
            Some(why) => Delivery::Refused(why),
        }))
    }
}

/// Give a request its name, or say what has it. Whoever gives it at the same time is waited
/// for.
fn named(
    link: &mut Link,
    tenant: Id,
    name: Digest,
    (digest, run): (Digest, RunId),
) -> Result<Posted, Stop> {
    link.query(NAME, &[&tenant, &Hash(name), &Hash(digest), &Id::from(run)])?;
    let rows = link.query(NAMED_BEFORE, &[&tenant, &Hash(name)])?;
    let Some(row) = rows.first() else {
        return Err(StoreError::corrupt("the name of a request").into());
    };
    let had = row.get::<_, Id>(1).run();
    Ok(match row.get::<_, &[u8]>(0) == digest.as_bytes() {
        _ if had == run => Posted::Waiting,
        true => Posted::Before(had),
        false => Posted::Differs(had),
    })
}
