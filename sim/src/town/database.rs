//! A model of the store that nodes share: what the PostgreSQL store does with its tables, in one
//! piece of memory. It never fails by itself; the way to it does (`link`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cog_base::id::{MailId, RunId, TenantId};
use cog_base::{Digest, Timestamp};
use cog_ledger::memory::{KeptLog, MemoryShelf};
use cog_ledger::{Kind, SealedBatch, Shelf};
use cog_store::{
    After, Claim, Delivery, Except, MAIL_MAX, Mail, MemoryStore, Parked, Posted, Renewed,
    RequestKey, Store, StoreError,
};

/// One life of a node: a twin of the same name is another.
pub(super) type Life = u64;

/// How far a clock of the database goes at most by itself.
const NEVER: i64 = i64::MIN;

pub(crate) struct Database {
    /// Everything of the logs that is read.
    pub(super) logs: MemoryStore,
    now: AtomicI64,
    lease: i64,
    state: Mutex<State>,
}

struct State {
    shelf: Box<dyn Shelf + Send>,
    /// Everything that was ever committed, as it was.
    kept: MemoryShelf,
    owners: BTreeMap<TenantId, Owner>,
    mail: BTreeMap<TenantId, Vec<Row>>,
    /// What requests were named, with what exactly was asked for and the run of it.
    names: BTreeMap<(TenantId, String), (Digest, RunId)>,
    parked: BTreeMap<(TenantId, RunId), Option<Timestamp>>,
    lines: BTreeMap<Life, Line>,
    receipts: BTreeSet<(TenantId, String)>,
    /// How many entries of each kind were committed.
    counts: BTreeMap<(TenantId, Kind), usize>,
    /// The fence under which each log was last written.
    written: BTreeMap<TenantId, i64>,
    /// What must never be and was.
    wrong: Option<String>,
    /// No call is heard by anybody.
    is_deaf: bool,
}

/// Who may write a log.
#[derive(Clone, Copy)]
struct Owner {
    node: Option<Life>,
    fence: i64,
    until: i64,
    wanted: bool,
    calls: i64,
}

/// Mail that was not removed.
struct Row {
    mail: Mail,
    refused: Option<String>,
}

/// Who listens.
#[derive(Default)]
struct Line {
    heard: VecDeque<TenantId>,
    is_open: bool,
}

impl Database {
    pub(super) fn new(start: Timestamp, lease: Duration) -> Result<Self, StoreError> {
        let logs = MemoryStore::new();
        let state = State {
            shelf: logs.shelf()?,
            kept: MemoryShelf::default(),
            owners: BTreeMap::new(),
            mail: BTreeMap::new(),
            names: BTreeMap::new(),
            parked: BTreeMap::new(),
            lines: BTreeMap::new(),
            receipts: BTreeSet::new(),
            counts: BTreeMap::new(),
            written: BTreeMap::new(),
            wrong: None,
            is_deaf: false,
        };
        let lease = i64::try_from(lease.as_micros()).unwrap_or(i64::MAX / 4);
        let now = AtomicI64::new(start.micros());
        Ok(Self { logs, now, lease, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn micros(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros())
    }

    pub(super) fn pass(&self, micros: i64) {
        self.now.fetch_add(micros.max(0), Ordering::Relaxed);
    }

    /// As if so much time had not passed; claims end as much earlier.
    pub(super) fn set_back(&self, ms: u64) {
        let micros = i64::try_from(ms.saturating_mul(1_000)).unwrap_or(0);
        self.now.fetch_sub(micros, Ordering::Relaxed);
        for owner in self.state().owners.values_mut().filter(|owner| owner.until != NEVER) {
            owner.until -= micros;
        }
    }

    /// Not before `at`.
    pub(super) fn reach(&self, at: Timestamp) {
        self.now.fetch_max(at.micros(), Ordering::Relaxed);
    }

    /// Everything that was committed to a log.
    pub(super) fn log(&self, tenant: TenantId) -> KeptLog {
        self.state().kept.log(tenant).cloned().unwrap_or_default()
    }

    pub(super) fn holds(&self, tenant: TenantId, receipt: &str) -> bool {
        self.state().receipts.contains(&(tenant, receipt.to_owned()))
    }

    /// How many entries of a kind a log has.
    pub(super) fn count(&self, tenant: TenantId, kind: Kind) -> usize {
        self.state().counts.get(&(tenant, kind)).copied().unwrap_or(0)
    }

    /// How many entries a log has.
    pub(super) fn size(&self, tenant: TenantId) -> u64 {
        self.state().kept.log(tenant).map_or(0, |log| log.entries.len() as u64)
    }

    /// What must never be and was.
    pub(super) fn wrong(&self) -> Option<String> {
        self.state().wrong.clone()
    }

    /// How much mail waits.
    pub(super) fn waiting(&self) -> usize {
        let state = self.state();
        state.mail.values().flatten().filter(|row| row.refused.is_none()).count()
    }

    /// Who has a tenant, and whether nobody else can have it now.
    pub(super) fn owner(&self, tenant: TenantId) -> Option<(Life, bool)> {
        let owner = *self.state().owners.get(&tenant)?;
        Some((owner.node?, self.micros() < owner.until))
    }

    // Claims.

    pub(super) fn claim_waiting(&self, life: Life, limit: u32, except: &[TenantId]) -> Vec<Claim> {
        let (now, until) = (self.micros(), self.micros().saturating_add(self.lease));
        let mut state = self.state();
        let free = |(tenant, owner): &(&TenantId, &mut Owner)| {
            owner.wanted && owner.until <= now && !except.contains(tenant)
        };
        let mut waiting: Vec<(&TenantId, &mut Owner)> =
            state.owners.iter_mut().filter(free).collect();
        waiting.sort_by_key(|(tenant, owner)| (owner.until, **tenant));
        let claim = |(tenant, owner): (&TenantId, &mut Owner)| {
            (owner.node, owner.until) = (Some(life), until);
            owner.fence += 1;
            Claim { tenant: *tenant, fence: owner.fence, calls: owner.calls }
        };
        waiting.into_iter().take(limit as usize).map(claim).collect()
    }

    pub(super) fn next_end(&self, life: Life) -> Option<Duration> {
        let now = self.micros();
        let state = self.state();
        let others = state
            .owners
            .values()
            .filter(|it| it.wanted && it.node != Some(life) && it.until != NEVER);
        let end = others.map(|owner| owner.until).min()?;
        Some(Duration::from_micros(u64::try_from(end - now).unwrap_or(0)))
    }

    /// Which of these claims stand, now renewed, and how often somebody has called for each.
    pub(super) fn renew(&self, life: Life, ours: &BTreeMap<TenantId, i64>) -> Renewed {
        let until = self.micros().saturating_add(self.lease);
        let mut state = self.state();
        let mut renewed = Renewed { at: Some(self.now()), ..Renewed::default() };
        for (tenant, fence) in ours {
            match state.owners.get_mut(tenant) {
                Some(owner) if owner.node == Some(life) && owner.fence == *fence => {
                    owner.until = until;
                    renewed.kept.push((*tenant, owner.calls));
                }
                _ => renewed.lost.push(*tenant),
            }
        }
        renewed
    }

    pub(super) fn release(&self, life: Life, (tenant, fence): (TenantId, i64), after: After) {
        let calls = match after {
            After::Stopping => -1,
            After::Idle { calls } => calls,
        };
        if let Some(owner) = self.state().owners.get_mut(&tenant)
            && owner.node == Some(life)
            && owner.fence == fence
        {
            (owner.node, owner.until, owner.wanted) = (None, NEVER, owner.calls != calls);
        }
    }

    /// Somebody takes a tenant who does nothing with it.
    pub(super) fn take_away(&self, tenant: TenantId) {
        let until = self.micros().saturating_add(self.lease);
        if let Some(owner) = self.state().owners.get_mut(&tenant) {
            (owner.node, owner.until) = (Some(Life::MAX), until);
            owner.fence += 1;
        }
    }

    /// See that a claim is still the last one on its tenant.
    fn check(state: &State, life: Life, claim: &Claim) -> Result<(), StoreError> {
        match state.owners.get(&claim.tenant) {
            Some(owner) if owner.node == Some(life) && owner.fence == claim.fence => Ok(()),
            owner => Err(owned(claim.tenant, owner)),
        }
    }

    /// Keep all batches or none: each is of a tenant that this life has under this fence.
    pub(super) fn commit(
        &self,
        life: Life,
        fences: &BTreeMap<TenantId, i64>,
        batches: &[SealedBatch],
    ) -> Result<(), StoreError> {
        let (now, until) = (self.micros(), self.micros().saturating_add(self.lease));
        let mut state = self.state();
        for batch in batches {
            let tenant = batch.tenant;
            let fence = fences.get(&tenant).copied().unwrap_or(-1);
            Self::check(&state, life, &Claim { tenant, fence, calls: 0 })?;
        }
        state.shelf.commit(batches).map_err(|error| unshelved(&error))?;
        let kept = state.kept.commit(batches);
        if let Err(error) = kept {
            state.wrong = Some(format!("the log forked: {error}"));
        }
        for batch in batches {
            if let Some(owner) = state.owners.get_mut(&batch.tenant) {
                let is_due = owner.until < now.saturating_add(self.lease / 2);
                owner.until = if is_due { until } else { owner.until };
                let fence = owner.fence;
                if state.written.insert(batch.tenant, fence).is_some_and(|it| it > fence) {
                    state.wrong =
                        Some(format!("{} was written under an older fence", batch.tenant));
                }
            }
            for sealed in &batch.entries {
                let entry = &sealed.entry;
                *state.counts.entry((batch.tenant, entry.kind())).or_default() += 1;
                if let Some(run) = entry.session() {
                    state.parked.remove(&(batch.tenant, run));
                }
                if let Some(id) = entry.id().filter(|_| entry.kind() == Kind::Receipt) {
                    state.receipts.insert((batch.tenant, id.to_owned()));
                }
            }
        }
        Ok(())
    }

    // Calls.

    pub(super) fn listen(&self, life: Life) {
        self.state().lines.insert(life, Line::default());
    }

    /// A line is cut: what was said meanwhile is not known.
    pub(super) fn hang_up(&self, life: Life) {
        if let Some(line) = self.state().lines.get_mut(&life) {
            *line = Line::default();
        }
    }

    /// Nobody listens any more.
    pub(super) fn go_silent(&self, life: Life) {
        self.state().lines.remove(&life);
    }

    /// Whether there is something to hear.
    pub(super) fn is_called(&self, life: Life) -> bool {
        let state = self.state();
        state.lines.get(&life).is_some_and(|line| !line.is_open || !line.heard.is_empty())
    }

    /// What is heard next: of a line that is new, that everything may have been said.
    pub(super) fn hear(&self, life: Life) -> Option<Option<TenantId>> {
        let mut state = self.state();
        let line = state.lines.get_mut(&life)?;
        if !std::mem::replace(&mut line.is_open, true) {
            return Some(None);
        }
        line.heard.pop_front().map(Some)
    }

    /// Call for work on a tenant.
    pub(super) fn call(&self, tenant: TenantId) {
        let mut state = self.state();
        let lines = state.lines.values_mut().filter(|it| it.is_open && it.heard.is_empty());
        lines.for_each(|it| it.heard.push_back(tenant));
    }

    /// Lose a call, or have it come twice.
    pub(super) fn garble(&self, life: Life, is_lost: bool) {
        if let Some(line) = self.state().lines.get_mut(&life)
            && let Some(tenant) = line.heard.pop_front()
            && !is_lost
        {
            line.heard.extend([tenant, tenant]);
        }
    }

    /// No call is heard by anybody, or all are again.
    pub(super) fn deafen(&self, is_deaf: bool) {
        self.state().is_deaf = is_deaf;
    }

    // Mail.

    pub(super) fn post(
        &self,
        tenant: TenantId,
        mail: &Mail,
        key: Option<RequestKey<'_>>,
    ) -> Posted {
        let mut state = self.state();
        if let (Some(key), Some(run)) = (key, mail.run) {
            let named = (tenant, key.name.to_owned());
            let (digest, had) = *state.names.entry(named).or_insert((key.request, run));
            if had != run {
                let is_same = digest == key.request;
                return if is_same { Posted::Before(had) } else { Posted::Differs(had) };
            }
        }
        let rows = state.mail.entry(tenant).or_default();
        if !rows.iter().any(|row| row.mail.id == mail.id) {
            rows.push(Row { mail: mail.clone(), refused: None });
        }
        let new = Owner { node: None, fence: 0, until: NEVER, wanted: true, calls: 0 };
        let owner = state.owners.entry(tenant).or_insert(new);
        owner.wanted = true;
        owner.calls += 1;
        let hears = !state.is_deaf;
        let lines = state.lines.values_mut().filter(|it| it.is_open && hears);
        lines.for_each(|it| it.heard.push_back(tenant));
        Posted::Waiting
    }

    pub(super) fn mail(
        &self,
        life: Life,
        claim: &Claim,
        except: Except<'_>,
    ) -> Result<Vec<Result<Mail, MailId>>, StoreError> {
        let state = self.state();
        Self::check(&state, life, claim)?;
        let rows = state.mail.get(&claim.tenant).map(Vec::as_slice).unwrap_or_default();
        let waits = |row: &&Row| {
            let is_left_out = except.ids.contains(&row.mail.id)
                || except.kind.is_some_and(|kind| kind == row.mail.kind);
            row.refused.is_none() && !is_left_out
        };
        let waiting = rows.iter().filter(waits).take(MAIL_MAX as usize);
        Ok(waiting.map(|row| Ok(row.mail.clone())).collect())
    }

    pub(super) fn remove_mail(
        &self,
        life: Life,
        claim: &Claim,
        ids: &[MailId],
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        Self::check(&state, life, claim)?;
        let rows = state.mail.entry(claim.tenant).or_default();
        rows.retain(|row| !ids.contains(&row.mail.id));
        Ok(())
    }

    pub(super) fn refuse_mail(
        &self,
        life: Life,
        claim: &Claim,
        (id, why): (MailId, &str),
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        Self::check(&state, life, claim)?;
        let rows = state.mail.entry(claim.tenant).or_default().iter_mut();
        rows.filter(|row| row.mail.id == id).for_each(|row| row.refused = Some(why.to_owned()));
        Ok(())
    }

    pub(super) fn delivery(&self, tenant: TenantId, id: MailId) -> Option<Delivery> {
        let state = self.state();
        let row = state.mail.get(&tenant)?.iter().find(|row| row.mail.id == id)?;
        Some(row.refused.clone().map_or(Delivery::Waiting, Delivery::Refused))
    }

    // Runs that nobody has in memory.

    pub(super) fn park(
        &self,
        life: Life,
        claim: &Claim,
        parked: &[Parked],
    ) -> Result<(), StoreError> {
        let tenant = claim.tenant;
        let mut state = self.state();
        Self::check(&state, life, claim)?;
        let scope = self.logs.scope(tenant)?;
        for Parked { run, wake } in parked {
            if scope.session(*run)?.is_some_and(|session| session.status.is_none()) {
                state.parked.insert((tenant, *run), *wake);
            }
        }
        Ok(())
    }

    pub(super) fn unpark(
        &self,
        life: Life,
        claim: &Claim,
        (until, limit): (Timestamp, u32),
    ) -> Result<Vec<RunId>, StoreError> {
        let mut state = self.state();
        Self::check(&state, life, claim)?;
        let due = state.parked.iter().filter_map(|((tenant, run), wake)| {
            let wake = wake.filter(|wake| *tenant == claim.tenant && *wake <= until)?;
            Some((wake, *run))
        });
        let mut due: Vec<(Timestamp, RunId)> = due.collect();
        due.sort_unstable();
        let runs: Vec<RunId> = due.into_iter().take(limit as usize).map(|(_, run)| run).collect();
        for run in &runs {
            state.parked.remove(&(claim.tenant, *run));
        }
        Ok(runs)
    }

    /// The notes are gone.
    pub(super) fn forget_notes(&self) {
        self.state().parked.clear();
    }

    pub(super) fn next_wake(&self, tenant: TenantId) -> Option<Timestamp> {
        let state = self.state();
        let wakes = state.parked.iter().filter(|((whose, _), _)| *whose == tenant);
        wakes.filter_map(|(_, wake)| *wake).min()
    }

    pub(super) fn awake(&self, tenant: TenantId) -> Result<Vec<RunId>, StoreError> {
        let open = self.logs.scope(tenant)?.open_sessions()?;
        let state = self.state();
        Ok(open.into_iter().filter(|run| !state.parked.contains_key(&(tenant, *run))).collect())
    }
}

fn owned(tenant: TenantId, owner: Option<&Owner>) -> StoreError {
    let node = owner.and_then(|owner| owner.node);
    let owner = node.map_or_else(|| "nobody".to_owned(), |life| format!("life {life}"));
    StoreError::Owned { tenant, owner }
}

/// What the shelf in memory says is about where logs end.
fn unshelved(error: &cog_ledger::ShelfError) -> StoreError {
    match error.source.downcast_ref::<StoreError>() {
        Some(StoreError::HeadMoved { tenant, first, size }) => {
            StoreError::HeadMoved { tenant: *tenant, first: *first, size: *size }
        }
        _ => StoreError::io("keep what is in memory", error.to_string()),
    }
}
