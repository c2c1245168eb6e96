//! Opening a tenant: its engine is made from the log, and its open runs go on.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cog_base::Digest;
use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_canon::{Canon, Source};
use cog_engine::{Driver, Engine, History, Rebuilt, Record, Settings, Tree, Versions};
use cog_gate::change::ChangeControl;
use cog_gate::snapshot::{Access, TenantStatus};
use cog_ledger::{Entry, Kind};
use cog_store::{Claim, Select, StoreError, TenantTx};

use super::times::Times;
use super::{AGAIN_BEATS, Desk, Office, Unopened};
use crate::hands::Careful;
use crate::house::{Committed, House};
use crate::kit::{Ready, Root};
use crate::lane::{Order, Seat};
use crate::lease::Lease;

use crate::told::Told;

/// Of so many runs at once it is read what may be under way.
const CLAIM_RUNS: usize = 128;

/// Runs to go on with.
pub(super) struct Again {
    /// Those of one tree that are open, and bound; of one that cannot go on, those that are known.
    pub(super) runs: Vec<RunId>,
    /// What the engine is given, or why they cannot go on here.
    pub(super) tree: Result<Tree, String>,
}

impl Desk {
    /// Open a tenant that is ours, or try again later. `said` is what was told of why it was not
    /// opened before. Its engine begins with what may be under way of all runs; the runs themselves
    /// come one after the other.
    pub(super) fn open(&mut self, claim: Claim, lease: Arc<Lease>, said: Option<String>) {
        let tenant = claim.tenant;
        if lease.is_over() {
            return self.wound_up(tenant);
        }
        let opened = match self.too_early(tenant) {
            Ok(None) => self.opened(claim, &lease).map_err(|error| told(&error)),
            Ok(Some(why)) => Err(why),
            Err(error) => Err(told(&error)),
        };
        match opened {
            Ok((office, seat)) => {
                let runs = office.waking.len();
                self.offices.insert(tenant, office);
                let _ = self.lane.send(Order::Begin(Box::new(seat)));
                // At once, and not behind whoever else is to be opened.
                self.wake_due(tenant);
                self.house.tell(Told::Opened { tenant, runs });
                self.look(tenant);
            }
            Err(why) => {
                if said.as_ref() != Some(&why) {
                    self.house.tell(Told::Stalled { tenant, why: why.clone() });
                }
                let beats = AGAIN_BEATS;
                self.unopened.insert(tenant, Unopened { claim, lease, beats, why });
            }
        }
    }

    /// Why nothing is done yet with a log: a clock was ahead when it was written.
    fn too_early(&self, tenant: TenantId) -> Result<Option<String>, StoreError> {
        let clock = &self.house.clock;
        let now = clock.ask(self.house.store.as_ref())?;
        let newest = Select { newest_first: true, limit: 1, ..Select::default() };
        let newest = self.house.store.scope(tenant)?.select(&newest)?;
        Ok(clock.too_early(newest.first().map(|entry| entry.at()), now))
    }

    fn opened(&self, claim: Claim, lease: &Arc<Lease>) -> Result<(Office, Seat), StoreError> {
        let (house, tenant) = (&self.house, claim.tenant);
        // What an earlier life of its engine left in the queue was decided before the claim.
        house.committer.forgive(tenant);
        let scope = house.store.scope(tenant)?;
        let settings = Settings { tenant, status: TenantStatus::Active };
        let mut engine = Engine::new(settings, Arc::clone(&house.clock) as _, (house.entropy)());
        let (mut change, mut digests) = (ChangeControl::default(), Vec::new());
        let kinds = [ChangeControl::KINDS.as_slice(), &Versions::KINDS].concat();
        scope.each(Select { kinds, ..Select::default() }, &mut |entry| {
            engine.observe(entry);
            change.observe(entry);
            digests.extend(activated(entry));
        })?;
        let newest = Select { newest_first: true, limit: 1, ..Select::default() };
        scope.select(&newest)?.iter().for_each(|entry| engine.observe(entry));
        for digest in digests {
            if let Some(canon) = canon(house, scope.as_ref(), digest)? {
                engine.know(canon);
            }
        }
        engine.recall(scope.as_ref())?;
        // Those that nobody has in memory come when they are due, or when somebody asks for them.
        let mut waking = house.store.awake(tenant)?;
        let claimed = claim_all(&mut engine, scope.as_ref(), &waking)?;
        // The oldest is the first.
        waking.reverse();
        let hands = Careful::of(house, tenant, lease);
        let seat = self.seat(tenant, engine, &hands);
        let office = Office {
            claim,
            lease: Arc::clone(lease),
            hands,
            change,
            open: Arc::clone(&seat.open),
            in_hand: Default::default(),
            noes: Default::default(),
            begun: HashSet::new(),
            bound: BTreeSet::new(),
            leaving: Vec::new(),
            waking,
            claimed,
            left: HashSet::new(),
            placing: VecDeque::new(),
            next_wake: house.store.next_wake(tenant)?,
            called: Vec::new(),
            queued: Arc::clone(&seat.queued),
            times: Times::read(scope.as_ref())?,
            calls: claim.calls,
            round: Default::default(),
            coming: HashSet::new(),
            is_full: Arc::clone(&seat.is_full),
            is_behind: false,
            is_draining: false,
            beats: 0,
            idle_beats: 0,
        };
        Ok((office, seat))
    }

    fn seat(&self, tenant: TenantId, engine: Engine, hands: &Careful) -> Seat {
        let ledger = Box::new(Committed(self.house.committer.clone()));
        let clock = Arc::clone(&self.house.clock);
        let driver = Driver::new(engine, ledger, Box::new(hands.clone()), clock);
        let (lane, is_called) = (self.lane.clone(), Arc::new(AtomicBool::new(false)));
        let called = Arc::clone(&is_called);
        let driver = driver.waking(move || {
            if !called.swap(true, Ordering::SeqCst) {
                let _ = lane.send(Order::Ready(tenant));
            }
        });
        Seat::new(tenant, driver, hands.clone(), is_called)
    }

    /// A run as the log has it, with all others of its tree, and the adapters of those that are
    /// open bound; or why it cannot go on.
    pub(super) fn again(
        &self,
        tenant: TenantId,
        scope: &dyn TenantTx,
        change: &ChangeControl,
        run: RunId,
    ) -> Result<Again, StoreError> {
        let mut known = |digest| canon(&self.house, scope, digest);
        let read = |run| match Rebuilt::read(scope, run, &mut known, &mut |_| {}) {
            Ok(Ok(rebuilt)) => Ok(rebuilt),
            Ok(Err(why)) => Err(Ok(why.to_string())),
            Err(away) => Err(Err(away)),
        };
        let tree = match Tree::read(run, read) {
            Ok(tree) => tree.whole(),
            Err(Ok(why)) => return Ok(Again { runs: vec![run], tree: Err(why) }),
            Err(Err(away)) => return Err(away),
        };
        let mut runs = Vec::new();
        for one in tree.all().map(Rebuilt::history).filter(|it| !it.is_sealed()) {
            let id = one.origin().session;
            let canon = in_force(&self.house, scope, change, &one.flow().domain)?;
            if let Err(why) = self.bind_again(tenant, id, one, canon.as_deref()) {
                runs.iter().for_each(|run| self.house.kit.unbind(tenant, *run));
                runs.push(run);
                return Ok(Again { runs, tree: Err(why) });
            }
            runs.push(id);
        }
        Ok(Again { runs, tree: Ok(tree) })
    }

    /// Bind the adapters of a run that another life of an engine began.
    fn bind_again(
        &self,
        tenant: TenantId,
        run: RunId,
        history: &History,
        canon: Option<&Canon>,
    ) -> Result<(), String> {
        let flow = history.flow();
        let roots = history.places().iter().map(|(name, path)| {
            let write = history.roots().get(name) == Some(&Access::Write);
            // What the workflow has made when it is missing is made again.
            let create = flow.roots.iter().any(|root| root.name == *name && root.create);
            (name.clone(), Root { path: path.clone(), write, create })
        });
        let roots: BTreeMap<String, Root> = roots.collect();
        let base = history.base();
        self.house.kit.bind(&Ready { tenant, run, base, roots: &roots, canon })
    }
}

pub(super) fn activated(entry: &Entry) -> Option<Digest> {
    let digest = entry.data().get("digest").and_then(cog_base::Value::as_text);
    digest.filter(|_| entry.kind() == Kind::CanonActivated)?.parse().ok()
}

/// A kept version of canon. One that does not load decides nothing: without it everything is
/// refused.
pub(super) fn canon(
    house: &House,
    scope: &dyn TenantTx,
    digest: Digest,
) -> Result<Option<Arc<Canon>>, StoreError> {
    if let Some(canon) = house.canons().get(&digest) {
        return Ok(Some(Arc::clone(canon)));
    }
    let Some(files) = scope.canon(digest)? else { return Ok(None) };
    let source = Source::new(files.into_iter().map(|(path, text)| (path, text.into_bytes())));
    let canon = Canon::load(&source).ok().filter(|canon| canon.digest() == digest).map(Arc::new);
    if let Some(canon) = &canon {
        house.remember(Arc::clone(canon));
    }
    Ok(canon)
}

/// The canon in force in a domain, if it is known.
pub(super) fn in_force(
    house: &House,
    scope: &dyn TenantTx,
    change: &ChangeControl,
    domain: &str,
) -> Result<Option<Arc<Canon>>, StoreError> {
    change.in_force(domain).map_or(Ok(None), |digest| canon(house, scope, digest))
}

/// The runs of which something may be under way, each with the receipts of that.
pub(super) type Claimed = BTreeMap<RunId, Vec<ReceiptId>>;

/// Have an engine hold what may be under way of these runs, before any of them goes on.
fn claim_all(
    engine: &mut Engine,
    scope: &dyn TenantTx,
    runs: &[RunId],
) -> Result<Claimed, StoreError> {
    let mut claimed = Claimed::new();
    for runs in runs.chunks(CLAIM_RUNS) {
        let entries = scope.under_way(runs)?;
        let mut by_run: BTreeMap<RunId, Vec<Record>> = BTreeMap::new();
        for recorded in scope.with_bodies(entries)? {
            let record = Record::of(recorded);
            if let Some(run) = record.entry.session() {
                by_run.entry(run).or_default().push(record);
            }
        }
        for (run, records) in by_run {
            engine.claim(&records);
            let receipts = records.iter().filter(|it| it.entry.kind() == Kind::Receipt);
            let ids = receipts.filter_map(|it| it.entry.id()?.parse().ok());
            claimed.insert(run, ids.collect());
        }
    }
    Ok(claimed)
}

/// The records of a run up to an entry.
pub(super) fn records(
    scope: &dyn TenantTx,
    run: RunId,
    until: u64,
) -> Result<Vec<Record>, StoreError> {
    let mut records = Vec::new();
    let select = Select { to: until.saturating_add(1), ..Select::session(run) };
    scope.each_record(select, &mut |recorded| records.push(Record::of(recorded)))?;
    Ok(records)
}

/// An error with its causes on one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
