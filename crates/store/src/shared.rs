//! What a store that many nodes share does beyond keeping logs: it says which node writes
//! which log, and carries mail to whoever does.

use std::time::Duration;

use cog_base::id::{MailId, RunId, TenantId};
use cog_base::{Digest, Timestamp};

use crate::{Keep, StoreError};

/// The tenant is this node's to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Whose log.
    pub tenant: TenantId,
    /// How often it changed hands; it never goes back.
    pub fence: i64,
    /// How often somebody had called for work on it when it was claimed.
    pub calls: i64,
}

/// Why a tenant is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// There is work; another node should go on with it.
    Stopping,
    /// There is nothing to do, unless somebody called for it since the claim saw this count
    /// of calls.
    Idle {
        /// [`Claim::calls`], or the count of a later look.
        calls: i64,
    },
}

/// What became of the claims of a node when it renewed them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Renewed {
    /// Those it has, each with how often somebody has called for work on it by now.
    pub kept: Vec<(TenantId, i64)>,
    /// Those that another node has taken, each until it is claimed anew.
    pub lost: Vec<TenantId>,
    /// Of those it has, the ones that somebody asks it to give back as soon as it can: they are
    /// to go elsewhere.
    pub asked: Vec<TenantId>,
    /// The time of the store at that, if there was a claim to renew.
    pub at: Option<Timestamp>,
}

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wakeup {
    /// Somebody called for work on this tenant.
    Tenant(TenantId),
    /// The connection is new, and what was said before is not known: look at everything.
    Anything,
    /// Nothing was said in that time.
    Nothing,
}

/// Hints that there is work. A hint may be lost: whoever listens also looks by itself.
pub trait Wakeups: Send {
    /// Wait for the next hint, at most so long.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] while nobody can be heard; ask again later.
    fn next(&mut self, wait: Duration) -> Result<Wakeup, StoreError>;
}

/// Something for the owner of a log, whoever that is. It is there until the owner removes
/// it, which it does when the log says what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Stable: what is posted twice is there once.
    pub id: MailId,
    /// What kind of thing, a word.
    pub kind: String,
    /// The run that it is about.
    pub run: Option<RunId>,
    /// The thing itself. It is kept sealed.
    pub payload: Vec<u8>,
}

/// The name that somebody gave a request, so that asking twice is asking once.
#[derive(Debug, Clone, Copy)]
pub struct RequestKey<'a> {
    /// The name, of the tenant's own choice.
    pub name: &'a str,
    /// What exactly was asked for.
    pub request: Digest,
}

/// What became of something that was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// It waits for the owner.
    Waiting,
    /// The same was asked for before under that name: this is the run of it.
    Before(RunId),
    /// Something else was asked for before under that name.
    Differs(RunId),
}

/// How mail stands that was not removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// It waits for the owner.
    Waiting,
    /// Nothing comes of it, for this reason.
    Refused(String),
}

/// What is left out when mail is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Except<'a> {
    /// Mail of these ids.
    pub ids: &'a [MailId],
    /// Mail of this kind.
    pub kind: Option<&'a str>,
}

/// A run that nobody has in memory: only time or somebody outside brings it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parked {
    /// The run.
    pub run: RunId,
    /// When it goes on by itself; nothing when it does not.
    pub wake: Option<Timestamp>,
}

/// The longest reason that is kept with mail, in bytes.
pub const WHY_BYTES_MAX: usize = 4_096;

/// The name of a request as it goes into the digest that stands for it: told apart from the names of
/// subjects.
#[must_use]
pub fn request_name(name: &str) -> String {
    ["request/", name].concat()
}

/// The most mail that is read at once.
pub const MAIL_MAX: u32 = 256;

/// A store that many nodes share. For each log there is at most one node that may write it,
/// by the time of the store.
pub trait Shared: Keep {
    /// What this life of the node is called among the others.
    fn node(&self) -> &str;

    /// The time of the store, which is the same for all nodes.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be asked.
    fn time(&self) -> Result<Timestamp, StoreError>;

    /// Claim up to `limit` tenants that have work and no owner, the longest waiting first,
    /// but none of `except`. Nodes that do so at once get different ones.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be asked.
    fn claim_waiting(&self, limit: u32, except: &[TenantId]) -> Result<Vec<Claim>, StoreError>;

    /// How long until the claim of another node on a tenant with work ends, if nobody renews
    /// it; nothing when there is none.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be asked.
    fn next_end(&self) -> Result<Option<Duration>, StoreError>;

    /// Renew every claim of this node.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be asked; the claims then last as long as they did.
    fn renew(&self) -> Result<Renewed, StoreError>;

    /// Give a tenant back. Nothing of it is written here until it is claimed anew.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be asked; the claim then ends by itself.
    fn release(&self, tenant: TenantId, after: After) -> Result<(), StoreError>;

    /// Listen for calls, of this node's too.
    fn wakeups(&self) -> Box<dyn Wakeups>;

    /// Post mail to the owner of a log and call for work on it, in one transaction. Mail with
    /// an id that is there already changes nothing. With a `key`, only if nothing was asked
    /// for under that name; [`Mail::run`] is then the run that the name stands for.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be posted.
    fn post(
        &self,
        tenant: TenantId,
        mail: &Mail,
        key: Option<RequestKey<'_>>,
    ) -> Result<Posted, StoreError>;

    /// Mail for who has this claim that waits, in the order in which it came, without that of
    /// `except`; at most [`MAIL_MAX`]. Of what does not open there is the id alone.
    ///
    /// # Errors
    /// [`StoreError::Owned`] when the tenant has changed hands since, and another when it cannot
    /// be read.
    fn mail(
        &self,
        claim: &Claim,
        except: Except<'_>,
    ) -> Result<Vec<Result<Mail, MailId>>, StoreError>;

    /// Remove mail of which the log says what came.
    ///
    /// # Errors
    /// [`StoreError::Owned`] when the tenant has changed hands since the claim, and another
    /// when it cannot be removed; it is then delivered again.
    fn remove_mail(&self, claim: &Claim, ids: &[MailId]) -> Result<(), StoreError>;

    /// Keep mail of which nothing comes, with the reason, and deliver it no more.
    ///
    /// # Errors
    /// [`StoreError::Owned`] when the tenant has changed hands since the claim, and another
    /// when that cannot be kept; it is then delivered again.
    fn refuse_mail(&self, claim: &Claim, id: MailId, why: &str) -> Result<(), StoreError>;

    /// How mail stands; nothing when it was removed or never posted.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn delivery(&self, tenant: TenantId, id: MailId) -> Result<Option<Delivery>, StoreError>;

    /// Note that nobody has these runs in memory. It is a hint for who has the tenant next, not
    /// part of the log: whatever is recorded of a run takes it back.
    ///
    /// # Errors
    /// [`StoreError::Owned`] when the tenant has changed hands since the claim, and another
    /// when it cannot be noted; the runs are then had in memory by who has the tenant next.
    fn park(&self, claim: &Claim, parked: &[Parked]) -> Result<(), StoreError>;

    /// Up to `limit` parked runs that go on by themselves by `until`, the first due first. They
    /// are parked no more.
    ///
    /// # Errors
    /// [`StoreError::Owned`] when the tenant has changed hands since the claim, and another
    /// when it cannot be asked.
    fn unpark(&self, claim: &Claim, until: Timestamp, limit: u32)
    -> Result<Vec<RunId>, StoreError>;

    /// When the first parked run goes on by itself; nothing when none does.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be asked.
    fn next_wake(&self, tenant: TenantId) -> Result<Option<Timestamp>, StoreError>;

    /// The open runs that are not parked, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn awake(&self, tenant: TenantId) -> Result<Vec<RunId>, StoreError>;
}
