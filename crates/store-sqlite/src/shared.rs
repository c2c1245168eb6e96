//! What a node takes, of which there is one here: whoever writes in the folder.

use std::time::Duration;

use cog_base::Timestamp;
use cog_base::id::{MailId, RunId, TenantId};
use cog_store::{
    After, Claim, Delivery, Except, Mail, Parked, Posted, Renewed, RequestKey, Shared, StoreError,
    Wakeups,
};

use crate::SqliteStore;

/// What the node of a folder is called.
pub(crate) const NODE: &str = "embedded";

impl Shared for SqliteStore {
    fn node(&self) -> &str {
        NODE
    }

    fn time(&self) -> Result<Timestamp, StoreError> {
        self.clock()
    }

    fn claim_waiting(&self, limit: u32, except: &[TenantId]) -> Result<Vec<Claim>, StoreError> {
        self.claim_those_that_wait(limit, except)
    }

    fn next_end(&self) -> Result<Option<Duration>, StoreError> {
        Ok(None)
    }

    fn renew(&self) -> Result<Renewed, StoreError> {
        self.still_claimed()
    }

    fn release(&self, tenant: TenantId, after: After) -> Result<(), StoreError> {
        self.give_back(tenant, after)
    }

    fn wakeups(&self) -> Box<dyn Wakeups> {
        Box::new(self.inner().bell.listen())
    }

    fn post(
        &self,
        tenant: TenantId,
        mail: &Mail,
        key: Option<RequestKey<'_>>,
    ) -> Result<Posted, StoreError> {
        self.post_mail(tenant, mail, key)
    }

    fn mail(
        &self,
        claim: &Claim,
        except: Except<'_>,
    ) -> Result<Vec<Result<Mail, MailId>>, StoreError> {
        self.waiting_mail(claim, except)
    }

    fn remove_mail(&self, claim: &Claim, ids: &[MailId]) -> Result<(), StoreError> {
        self.remove(claim, ids)
    }

    fn refuse_mail(&self, claim: &Claim, id: MailId, why: &str) -> Result<(), StoreError> {
        self.refuse(claim, id, why)
    }

    fn delivery(&self, tenant: TenantId, id: MailId) -> Result<Option<Delivery>, StoreError> {
        self.how_it_stands(tenant, id)
    }

    fn park(&self, claim: &Claim, parked: &[Parked]) -> Result<(), StoreError> {
        self.note_parked(claim, parked)
    }

    fn unpark(
        &self,
        claim: &Claim,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<RunId>, StoreError> {
        self.take_due(claim, until, limit)
    }

    fn next_wake(&self, tenant: TenantId) -> Result<Option<Timestamp>, StoreError> {
        self.first_wake(tenant)
    }

    fn awake(&self, tenant: TenantId) -> Result<Vec<RunId>, StoreError> {
        self.not_parked(tenant)
    }
}
