//! The one connection that writes logs, and what a commit of the ledger writes: in one
//! transaction, two flights of statements. The first begins, checks the fences and writes
//! everything; the second, when all of that was good, commits.

mod doubt;
mod rows;
mod sealing;

use std::time::{Duration, Instant};

use cog_base::id::TenantId;
use cog_ledger::SealedBatch;
use cog_store::StoreError;
use cog_store::vault::Drawn;
use tokio_postgres::Row;

use crate::Inner;
use crate::error::{ends_connection, failed};
use crate::id::Id;
use crate::link::{Link, Step};
use crate::owning::{CHECK, RENEW};
use crate::pool::begin;
use crate::reading::number;
use rows::{Plan, Wants};
use sealing::Subjects;

/// The first wait before the server is tried again; each further one is twice as long, up to
/// the second.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);

const COMMIT: &str = "COMMIT";
const SIZE: &str = "SELECT size FROM log WHERE tenant = $1";

/// Everything that writes a log goes through here.
pub(crate) struct Writing {
    link: Option<Link>,
    entropy: Drawn,
    subjects: Subjects,
    /// Tenants that came back to this node since their end was last read: who goes on with
    /// one of them must read it first.
    pub(crate) fresh: std::collections::HashSet<TenantId>,
}

/// Why a try was not kept.
enum Failure {
    /// For certain not. The whole commit may be tried again on another connection.
    Again(StoreError),
    /// For certain not.
    Refused(StoreError),
    /// The server was lost after it was told to commit.
    InDoubt(StoreError),
}

impl Writing {
    pub(crate) fn new(entropy: Drawn) -> Self {
        let fresh = std::collections::HashSet::new();
        Self { link: None, entropy, subjects: Subjects::default(), fresh }
    }

    pub(crate) fn entropy(&mut self) -> &mut Drawn {
        &mut self.entropy
    }

    /// Drop what is remembered of the database; it is read again when needed.
    pub(crate) fn forget(&mut self) {
        self.subjects.clear();
        self.link = None;
    }

    /// Keep all batches or none. While the server is away, wait for it, but not for ever.
    pub(crate) fn commit(
        &mut self,
        inner: &Inner,
        batches: &[SealedBatch],
    ) -> Result<(), StoreError> {
        let mut patience = Patience::new(inner.patience);
        loop {
            let failure = match self.attempt(inner, batches) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            self.subjects.clear();
            for batch in batches {
                inner.vault.forget(cog_store::vault::Which::Log(batch.tenant));
            }
            match failure {
                Failure::Refused(error) => return Err(error),
                Failure::Again(error) => {
                    self.link = None;
                    if !patience.wait() {
                        return Err(error);
                    }
                }
                Failure::InDoubt(error) => {
                    self.link = None;
                    return doubt::settle(inner, batches, error, &mut patience);
                }
            }
        }
    }

    fn attempt(&mut self, inner: &Inner, batches: &[SealedBatch]) -> Result<(), Failure> {
        let mut tenants: Vec<TenantId> = batches.iter().map(|batch| batch.tenant).collect();
        tenants.sort_unstable();
        tenants.dedup();
        inner.claim_missing(&tenants).map_err(refused)?;
        let mut link = match self.link.take().filter(|link| !link.is_closed()) {
            Some(link) => link,
            None => open(inner).map_err(refused)?,
        };
        let sealed = self.subjects.seal(inner, &mut link, &mut self.entropy, batches)?;
        let plan = Plan::new(inner, &tenants, batches, &sealed);
        let (rows, error) = link.flight_until_error(&plan.steps);
        // What was answered before an error may be its cause.
        let checked = check(inner, &plan, &rows);
        let checked = checked.and_then(|due| error.map_or(Ok(due), |error| Err(stopped(error))));
        let due = match checked {
            Ok(due) => due,
            Err(failure) => {
                return Err(self.undo(link, batches, failure));
            }
        };
        if due && let Err(failure) = renew(inner, &mut link, &tenants) {
            return Err(self.undo(link, batches, failure));
        }
        let committed = link.flight(&[Step::plain(COMMIT)]);
        match committed {
            Ok(_) => {
                self.link = Some(link);
                Ok(())
            }
            Err(error) if ends_connection(&error) => {
                Err(Failure::InDoubt(failed("commit to the ledger", error)))
            }
            Err(error) => Err(self.undo(link, batches, stopped(error))),
        }
    }

    /// Take back what was written, and say what is in the way.
    fn undo(&mut self, mut link: Link, batches: &[SealedBatch], failure: Failure) -> Failure {
        if link.batch("ROLLBACK").is_err() {
            return failure;
        }
        // What failed may be what comes of a batch that does not begin at the end.
        let mut moved = None;
        for batch in batches {
            match self.moved(&mut link, batches, batch.tenant) {
                Ok(None) => {}
                Ok(found) => moved = moved.or(found),
                // The next try will tell.
                Err(_) => return failure,
            }
        }
        self.link = Some(link);
        match (failure, moved) {
            (Failure::Refused(StoreError::Owned { tenant, owner }), _) => {
                Failure::Refused(StoreError::Owned { tenant, owner })
            }
            (_, Some(moved)) => Failure::Refused(moved),
            (failure, None) => failure,
        }
    }

    /// Whether the first batch of a log does not begin where the log ends.
    fn moved(
        &self,
        link: &mut Link,
        batches: &[SealedBatch],
        tenant: TenantId,
    ) -> Result<Option<StoreError>, tokio_postgres::Error> {
        begin(link, "BEGIN READ ONLY", tenant)?;
        let rows = link.query(SIZE, &[&Id::from(tenant)])?;
        link.batch("ROLLBACK")?;
        let size = rows.first().map_or(0, |row| number(row.get(0)));
        let batch = batches.iter().find(|batch| batch.tenant == tenant);
        let first = batch.map_or(size, |batch| batch.first);
        if first == size {
            return Ok(None);
        }
        if self.fresh.contains(&tenant) {
            // Nobody lied: the writer goes on from an end that another node has moved.
            let why = format!("the log of {tenant} went on elsewhere and is read again");
            return Ok(Some(StoreError::Busy { source: why.into() }));
        }
        Ok(Some(StoreError::HeadMoved { tenant, first, size }))
    }
}

/// Look at what the statements of a plan answered. Returns whether a claim is due for
/// renewal.
fn check(inner: &Inner, plan: &Plan<'_>, rows: &[Vec<Row>]) -> Result<bool, Failure> {
    let mut due = false;
    for (wants, rows) in plan.wants.iter().zip(rows) {
        match wants {
            Wants::Nothing => {}
            Wants::Fences(tenants) => {
                due = check_fences(inner, tenants, rows).map_err(Failure::Refused)?;
            }
            Wants::Row(tenant, first) if rows.is_empty() => {
                let (tenant, first) = (*tenant, *first);
                // The size is read when the transaction is over.
                return Err(Failure::Refused(StoreError::HeadMoved { tenant, first, size: 0 }));
            }
            Wants::Row(..) => {}
            // A subject was erased by another node since its key was read.
            Wants::Rows(count) if rows.len() != *count => {
                let why = "a key was destroyed in the meantime".into();
                return Err(Failure::Again(StoreError::Busy { source: why }));
            }
            Wants::Rows(_) => {}
        }
    }
    Ok(due)
}

fn refused(error: StoreError) -> Failure {
    let is_away = matches!(error, StoreError::Unreachable { .. });
    if is_away { Failure::Again(error) } else { Failure::Refused(error) }
}

/// A statement before the commit failed, so that nothing is kept.
fn stopped(error: tokio_postgres::Error) -> Failure {
    let is_over = ends_connection(&error);
    let error = failed("write to the ledger", error);
    if is_over { Failure::Again(error) } else { Failure::Refused(error) }
}

/// The connection that writes. A transaction that it leaves open while it sleeps is ended by
/// the server, so that others can claim what it held.
fn open(inner: &Inner) -> Result<Link, StoreError> {
    let sleep = inner.owning.lease().as_millis().max(1);
    let settings = format!("SET idle_in_transaction_session_timeout = {sleep}");
    Link::open(inner.pool.address(), &settings)
}

/// See that every tenant is still ours. Returns whether a claim is due for renewal.
fn check_fences(inner: &Inner, tenants: &[TenantId], rows: &[Row]) -> Result<bool, StoreError> {
    let mut due = false;
    for tenant in tenants {
        let row = rows.iter().find(|row| row.get::<_, Id>(0).tenant() == *tenant);
        let (owner, fence): (&str, i64) =
            row.map_or(("nobody", -1), |row| (row.get(1), row.get(2)));
        if owner != inner.owning.node() || Some(fence) != inner.owning.fence(*tenant)? {
            return Err(inner.owning.lose(*tenant, owner));
        }
        due |= row.is_some_and(|row| row.get(3));
    }
    Ok(due)
}

fn renew(inner: &Inner, link: &mut Link, tenants: &[TenantId]) -> Result<(), Failure> {
    let mut fences = Vec::with_capacity(tenants.len());
    for tenant in tenants {
        fences.push(inner.owning.fence(*tenant).map_err(Failure::Refused)?.unwrap_or_default());
    }
    let ids: Vec<Id> = tenants.iter().map(|tenant| Id::from(*tenant)).collect();
    let (node, lease) = (inner.owning.node(), inner.owning.lease_micros());
    link.query(RENEW, &[&node, &ids, &fences, &lease]).map(drop).map_err(stopped)
}

/// The first statement of every commit.
fn check_step<'a>(inner: &Inner, tenants: &[TenantId]) -> Step<'a> {
    let ids: Vec<Id> = tenants.iter().map(|tenant| Id::from(*tenant)).collect();
    Step::new(CHECK, vec![Box::new(ids), Box::new(inner.owning.lease_micros() / 2)])
}

/// How long a commit still waits for the server.
pub(crate) struct Patience {
    until: Instant,
    pause: Duration,
    /// Whether it was tried again at once already: most often the connection was old.
    was_quick: bool,
}

impl Patience {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { until: Instant::now() + patience, pause: PAUSE, was_quick: false }
    }

    /// Wait a little; false when that was long enough.
    pub(crate) fn wait(&mut self) -> bool {
        if !std::mem::replace(&mut self.was_quick, true) {
            return true;
        }
        if Instant::now() >= self.until {
            return false;
        }
        std::thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        true
    }
}
