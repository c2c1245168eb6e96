//! The way of one life of a node to the store that the nodes share. Each call of the store is a
//! moment at which something may go wrong, before it and behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cog_base::entropy::Entropy;
use cog_base::id::{MailId, RunId, TenantId};
use cog_base::{Digest, Timestamp};
use cog_ledger::keys::{KeyRing, SignError, Signer};
use cog_ledger::{Checkpoint, Entry, SealedBatch, Shelf, ShelfError, Tail};
use cog_store::{
    After, Claim, Cursor, CursorStep, Cursors, Cut, DeadLetter, Delivery, Erasable, Erased, Except,
    Files, Keep, Mail, OpenBody, Parked, Posted, Pruned, Recorded, Renewed, RequestKey, Select,
    Session, Shared, Store, StoreError, TenantTx, Wakeup, Wakeups,
};

use super::database::{Database, Life};

/// A call of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Entries are appended.
    Commit,
    /// The end of a log is read for who appends to it.
    Tail,
    /// A signing key is made or read.
    Key,
    /// Reading of a log begins.
    Scope,
    /// Something of a log is read.
    Read,
    /// The time of the database is asked for.
    Time,
    /// Tenants are claimed.
    Claim,
    /// It is looked when the next claim ends.
    NextEnd,
    /// Claims are renewed.
    Renew,
    /// A tenant is given back.
    Release,
    /// Mail is posted.
    Post,
    /// Mail is read.
    Mail,
    /// Mail is removed.
    Remove,
    /// Mail is refused.
    Refuse,
    /// Runs are noted as parked.
    Park,
    /// Parked runs that are due are taken.
    Unpark,
    /// It is read when parked runs are due, or which are not parked.
    Parked,
    /// Something is kept or removed that is not of a log.
    Keep,
}

impl Call {
    /// Whether something is different afterwards.
    pub(super) const fn changes(self) -> bool {
        match self {
            Self::Commit
            | Self::Key
            | Self::Claim
            | Self::Renew
            | Self::Release
            | Self::Post
            | Self::Remove
            | Self::Refuse
            | Self::Park
            | Self::Unpark
            | Self::Keep => true,
            Self::Tail
            | Self::Scope
            | Self::Read
            | Self::Time
            | Self::NextEnd
            | Self::Mail
            | Self::Parked => false,
        }
    }
}

/// What is between a node and its store: it may hold calls up, and lose them or their answers.
pub(super) trait Wire: Send + Sync {
    /// A call is on its way.
    fn there(&self, call: Call) -> Result<(), StoreError>;

    /// Its answer is on its way.
    fn back(&self, call: Call) -> Result<(), StoreError>;
}

/// What this life believes of a tenant.
#[derive(Clone, Copy)]
enum Held {
    Ours(i64),
    Lost,
}

/// The store as one life of a node has it.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) database: Arc<Database>,
    pub(super) life: Life,
    name: String,
    wire: Arc<dyn Wire>,
    state: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    held: BTreeMap<TenantId, Held>,
    /// Tenants that came back since their end was last read.
    fresh: BTreeSet<TenantId>,
    has_writer: bool,
}

impl Link {
    pub(super) fn new(database: Arc<Database>, life: Life, wire: Arc<dyn Wire>) -> Self {
        database.listen(life);
        let state = Arc::default();
        Self { database, life, name: format!("life {life}"), wire, state }
    }

    /// The way of people, who own nothing and hear nothing.
    pub(super) fn to_ask(database: Arc<Database>, wire: Arc<dyn Wire>) -> Self {
        let state = Arc::default();
        Self { database, life: Life::MAX - 1, name: "people".to_owned(), wire, state }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ours(&self) -> BTreeMap<TenantId, i64> {
        let known = self.known();
        let ours = known.held.iter().filter_map(|(tenant, held)| match held {
            Held::Ours(fence) => Some((*tenant, *fence)),
            Held::Lost => None,
        });
        ours.collect()
    }

    /// A call with its way there and back.
    fn call<T>(
        &self,
        call: Call,
        act: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.wire.there(call)?;
        let answer = act(&self.database);
        self.wire.back(call)?;
        answer
    }

    /// The fence of a tenant that is ours.
    fn fence(&self, tenant: TenantId) -> Result<i64, StoreError> {
        match self.known().held.get(&tenant) {
            Some(Held::Ours(fence)) => Ok(*fence),
            Some(Held::Lost) | None => {
                Err(StoreError::Owned { tenant, owner: "somebody else".to_owned() })
            }
        }
    }

    fn commit(&self, batches: &[SealedBatch]) -> Result<(), StoreError> {
        let mut fences = BTreeMap::new();
        for batch in batches {
            fences.insert(batch.tenant, self.fence(batch.tenant)?);
        }
        self.wire.there(Call::Commit)?;
        let kept = self.database.commit(self.life, &fences, batches);
        match self.wire.back(Call::Commit) {
            Err(source) if kept.is_ok() => {
                return Err(StoreError::Unknown { source: Box::new(source) });
            }
            answered => answered?,
        }
        match kept {
            Err(StoreError::Owned { tenant, owner }) => {
                self.known().held.insert(tenant, Held::Lost);
                Err(StoreError::Owned { tenant, owner })
            }
            Err(StoreError::HeadMoved { tenant, .. }) if self.known().fresh.contains(&tenant) => {
                let why = format!("the log of {tenant} went on elsewhere and is read again");
                Err(StoreError::Busy { source: why.into() })
            }
            kept => kept,
        }
    }
}

impl Store for Link {
    fn shelf(&self) -> Result<Box<dyn Shelf + Send>, StoreError> {
        if std::mem::replace(&mut self.known().has_writer, true) {
            return Err(StoreError::WriterTaken);
        }
        Ok(Box::new(Place(self.clone())))
    }

    fn signing_keys(&self) -> Result<Box<dyn KeyRing>, StoreError> {
        Ok(Box::new(Keys { keys: self.database.logs.signing_keys()?, link: self.clone() }))
    }

    fn scope(&self, tenant: TenantId) -> Result<Box<dyn TenantTx + '_>, StoreError> {
        self.wire.there(Call::Scope)?;
        let scope = self.database.logs.scope(tenant)?;
        self.wire.back(Call::Scope)?;
        Ok(Box::new(Seen { scope, link: self }))
    }

    fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        self.call(Call::Scope, |database| database.logs.tenants())
    }
}

/// The place of the one writer.
struct Place(Link);

impl Shelf for Place {
    fn commit(&mut self, batches: &[SealedBatch]) -> Result<(), ShelfError> {
        Ok(self.0.commit(batches)?)
    }

    fn tail(&mut self, tenant: TenantId) -> Result<Option<Tail>, ShelfError> {
        let tail = self.0.call(Call::Tail, |database| database.logs.scope(tenant)?.tail())?;
        self.0.known().fresh.remove(&tenant);
        Ok(tail)
    }
}

struct Keys {
    keys: Box<dyn KeyRing>,
    link: Link,
}

impl KeyRing for Keys {
    fn create(
        &mut self,
        tenant: TenantId,
        name: &str,
        entropy: &mut dyn Entropy,
    ) -> Result<Box<dyn Signer>, SignError> {
        let keys = &mut self.keys;
        self.link.wire.there(Call::Key).map_err(|error| SignError::Store(Box::new(error)))?;
        keys.create(tenant, name, entropy)
    }

    fn open(
        &mut self,
        tenant: TenantId,
        name: &str,
        id: u32,
    ) -> Result<Box<dyn Signer>, SignError> {
        self.link.wire.there(Call::Key).map_err(|error| SignError::Store(Box::new(error)))?;
        self.keys.open(tenant, name, id)
    }
}

/// A log as it was when it was looked at. Each page of it is another call.
struct Seen<'a> {
    scope: Box<dyn TenantTx + 'a>,
    link: &'a Link,
}

impl Seen<'_> {
    fn read<T>(
        &self,
        read: impl FnOnce(&dyn TenantTx) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.link.wire.there(Call::Read)?;
        read(self.scope.as_ref())
    }
}

impl TenantTx for Seen<'_> {
    fn tenant(&self) -> TenantId {
        self.scope.tenant()
    }

    fn tail(&self) -> Result<Option<Tail>, StoreError> {
        self.read(|scope| scope.tail())
    }

    fn entry(&self, seq: u64) -> Result<Option<Entry>, StoreError> {
        self.read(|scope| scope.entry(seq))
    }

    fn select(&self, select: &Select) -> Result<Vec<Entry>, StoreError> {
        self.read(|scope| scope.select(select))
    }

    fn body(&self, seq: u64) -> Result<Option<OpenBody>, StoreError> {
        self.read(|scope| scope.body(seq))
    }

    fn with_bodies(&self, entries: Vec<Entry>) -> Result<Vec<Recorded>, StoreError> {
        self.read(|scope| scope.with_bodies(entries))
    }

    fn under_way(&self, runs: &[RunId]) -> Result<Vec<Entry>, StoreError> {
        self.read(|scope| scope.under_way(runs))
    }

    fn leaf(&self, seq: u64) -> Result<Option<Digest>, StoreError> {
        self.read(|scope| scope.leaf(seq))
    }

    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, StoreError> {
        self.read(|scope| scope.node(level, index))
    }

    fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        self.read(|scope| scope.checkpoint())
    }

    fn checkpoints(&self, size: u64, limit: usize) -> Result<Vec<Checkpoint>, StoreError> {
        self.read(|scope| scope.checkpoints(size, limit))
    }

    fn open_sessions(&self) -> Result<Vec<RunId>, StoreError> {
        self.read(|scope| scope.open_sessions())
    }

    fn sessions(&self, limit: usize) -> Result<Vec<Session>, StoreError> {
        self.read(|scope| scope.sessions(limit))
    }

    fn session(&self, id: RunId) -> Result<Option<Session>, StoreError> {
        self.read(|scope| scope.session(id))
    }

    fn canon(&self, digest: Digest) -> Result<Option<Files>, StoreError> {
        self.read(|scope| scope.canon(digest))
    }

    fn pruned(&self) -> Result<Pruned, StoreError> {
        self.read(|scope| scope.pruned())
    }
}

impl Cursors for Link {
    fn take_cursor(&self, tenant: TenantId, name: &str, from: u64) -> Result<Cursor, StoreError> {
        self.call(Call::Keep, |database| database.logs.take_cursor(tenant, name, from))
    }

    fn move_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        step: &CursorStep,
    ) -> Result<(), StoreError> {
        self.call(Call::Keep, |database| database.logs.move_cursor(tenant, consumer, step))
    }

    fn set_cursor(&self, tenant: TenantId, name: &str, next: u64) -> Result<Cursor, StoreError> {
        self.call(Call::Keep, |database| database.logs.set_cursor(tenant, name, next))
    }

    fn drop_cursor(&self, tenant: TenantId, consumer: &str) -> Result<bool, StoreError> {
        self.call(Call::Keep, |database| database.logs.drop_cursor(tenant, consumer))
    }

    fn cursors(&self, tenant: TenantId) -> Result<Vec<Cursor>, StoreError> {
        self.call(Call::Scope, |database| database.logs.cursors(tenant))
    }

    fn dead_letters(
        &self,
        tenant: TenantId,
        consumer: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.call(Call::Scope, |it| it.logs.dead_letters(tenant, consumer, from, limit))
    }
}

impl Keep for Link {
    fn put_canon(&self, tenant: TenantId, digest: Digest, files: &Files) -> Result<(), StoreError> {
        self.call(Call::Keep, |database| database.logs.put_canon(tenant, digest, files))
    }

    fn erasable(&self, tenant: TenantId, subject: &str) -> Result<Erasable, StoreError> {
        self.call(Call::Scope, |database| database.logs.erasable(tenant, subject))
    }

    fn erase(&self, tenant: TenantId, subject: &str) -> Result<Erased, StoreError> {
        self.call(Call::Keep, |database| database.logs.erase(tenant, subject))
    }

    fn bodies(&self, tenant: TenantId, range: Range<u64>) -> Result<Vec<(u64, u64)>, StoreError> {
        self.call(Call::Scope, |database| database.logs.bodies(tenant, range))
    }

    fn erase_bodies(&self, tenant: TenantId, entries: &[u64]) -> Result<u64, StoreError> {
        self.call(Call::Keep, |database| database.logs.erase_bodies(tenant, entries))
    }

    fn prune_bodies(&self, tenant: TenantId, before: u64) -> Result<Cut, StoreError> {
        self.call(Call::Keep, |database| database.logs.prune_bodies(tenant, before))
    }

    fn prunable(&self, tenant: TenantId, before: u64) -> Result<Range<u64>, StoreError> {
        self.call(Call::Scope, |database| database.logs.prunable(tenant, before))
    }

    fn prune_entries(&self, tenant: TenantId, before: u64) -> Result<Cut, StoreError> {
        self.call(Call::Keep, |database| database.logs.prune_entries(tenant, before))
    }

    fn backup(&self, path: &Path) -> Result<(), StoreError> {
        self.database.logs.backup(path)
    }
}

impl Shared for Link {
    fn node(&self) -> &str {
        &self.name
    }

    fn time(&self) -> Result<Timestamp, StoreError> {
        self.call(Call::Time, |database| Ok(database.now()))
    }

    fn claim_waiting(&self, limit: u32, except: &[TenantId]) -> Result<Vec<Claim>, StoreError> {
        let claims = self.call(Call::Claim, |it| Ok(it.claim_waiting(self.life, limit, except)))?;
        let mut known = self.known();
        for claim in &claims {
            known.held.insert(claim.tenant, Held::Ours(claim.fence));
            known.fresh.insert(claim.tenant);
        }
        Ok(claims)
    }

    fn next_end(&self) -> Result<Option<Duration>, StoreError> {
        self.call(Call::NextEnd, |database| Ok(database.next_end(self.life)))
    }

    fn renew(&self) -> Result<Renewed, StoreError> {
        let ours = self.ours();
        let mut renewed = self.call(Call::Renew, |it| Ok(it.renew(self.life, &ours)))?;
        let mut known = self.known();
        for tenant in &renewed.lost {
            known.held.insert(*tenant, Held::Lost);
        }
        // A commit found these out, and told nobody but who submitted it.
        let lost = known.held.iter().filter(|(_, held)| matches!(held, Held::Lost));
        let found: Vec<TenantId> = lost.map(|(tenant, _)| *tenant).collect();
        renewed.lost = found;
        Ok(renewed)
    }

    fn release(&self, tenant: TenantId, after: After) -> Result<(), StoreError> {
        let Ok(fence) = self.fence(tenant) else { return Ok(()) };
        self.call(Call::Release, |database| {
            database.release(self.life, (tenant, fence), after);
            Ok(())
        })?;
        self.known().held.remove(&tenant);
        Ok(())
    }

    fn wakeups(&self) -> Box<dyn Wakeups> {
        Box::new(Line(self.clone()))
    }

    fn post(
        &self,
        tenant: TenantId,
        mail: &Mail,
        key: Option<RequestKey<'_>>,
    ) -> Result<Posted, StoreError> {
        self.call(Call::Post, |database| Ok(database.post(tenant, mail, key)))
    }

    fn mail(
        &self,
        claim: &Claim,
        except: Except<'_>,
    ) -> Result<Vec<Result<Mail, MailId>>, StoreError> {
        self.call(Call::Mail, |database| database.mail(self.life, claim, except))
    }

    fn remove_mail(&self, claim: &Claim, ids: &[MailId]) -> Result<(), StoreError> {
        self.call(Call::Remove, |database| database.remove_mail(self.life, claim, ids))
    }

    fn refuse_mail(&self, claim: &Claim, id: MailId, why: &str) -> Result<(), StoreError> {
        self.call(Call::Refuse, |database| database.refuse_mail(self.life, claim, (id, why)))
    }

    fn delivery(&self, tenant: TenantId, id: MailId) -> Result<Option<Delivery>, StoreError> {
        self.call(Call::Mail, |database| Ok(database.delivery(tenant, id)))
    }

    fn park(&self, claim: &Claim, parked: &[Parked]) -> Result<(), StoreError> {
        self.call(Call::Park, |database| database.park(self.life, claim, parked))
    }

    fn unpark(
        &self,
        claim: &Claim,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<RunId>, StoreError> {
        self.call(Call::Unpark, |database| database.unpark(self.life, claim, (until, limit)))
    }

    fn next_wake(&self, tenant: TenantId) -> Result<Option<Timestamp>, StoreError> {
        self.call(Call::Parked, |database| Ok(database.next_wake(tenant)))
    }

    fn awake(&self, tenant: TenantId) -> Result<Vec<RunId>, StoreError> {
        self.call(Call::Parked, |database| database.awake(tenant))
    }
}

/// What this life hears of calls.
struct Line(Link);

impl Wakeups for Line {
    fn next(&mut self, _: Duration) -> Result<Wakeup, StoreError> {
        let Link { database, life, .. } = &self.0;
        Ok(match database.hear(*life) {
            Some(Some(tenant)) => Wakeup::Tenant(tenant),
            Some(None) => Wakeup::Anything,
            None => Wakeup::Nothing,
        })
    }
}
