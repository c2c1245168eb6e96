//! A machine that reads and tidies for the tenants of one lane: it opens them, takes their
//! mail, and removes mail when the log says what came of it. It may wait for the store.

mod activating;
mod forking;
mod opening;
mod parking;
mod placing;
mod post;
mod recording;
mod ruling;
mod said;
mod times;
mod tray;
mod turn;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};

use cog_base::Timestamp;
use cog_base::id::{MailId, RunId, TenantId};
use cog_engine::driver::contained;
use cog_engine::{Dormant, Inbox, Place};
use cog_gate::change::ChangeControl;
use cog_store::{Claim, Parked, StoreError};

use crate::hands::Careful;
use crate::house::House;
use crate::keeper::Event;
use crate::lane::Order;
use crate::lease::Lease;
use crate::request::Request;
use crate::told::Told;

use opening::Claimed;
use post::Round;
use times::Times;
use tray::Tray;

pub(crate) use opening::told;

/// How many beats a tenant is idle before it is given back.
const IDLE_BEATS: u32 = 40;
/// How many beats pass before something that failed is tried again.
const AGAIN_BEATS: u32 = 8;

/// What a desk is told.
pub(crate) enum Paper {
    /// A tenant is ours.
    Open(Claim, Arc<Lease>),
    /// There may be mail; so often somebody had called for work by now.
    Mail(TenantId, i64),
    /// More mail is to be sorted or read, after others had their turn.
    More(TenantId),
    /// What the engine submitted when it took this mail in is decided.
    Decided(TenantId, Vec<MailId>),
    /// More runs are due than came back at once.
    Due(TenantId),
    /// The engine has taken in what came by mail, and said no to some of what came.
    TakenIn {
        tenant: TenantId,
        ids: Vec<MailId>,
        noes: BTreeMap<MailId, String>,
    },
    /// Fewer runs of a tenant are open than were.
    Room(TenantId),
    /// These runs, which wait for their turn, may begin.
    Called(TenantId, Vec<RunId>),
    /// These runs were asked to make way for one that waits, and are not in memory.
    MakeWay(TenantId, RunId, Vec<RunId>),
    /// These runs have left memory.
    Dormant(TenantId, Vec<Dormant>),
    /// This mail is for runs that have left memory.
    Back(TenantId, Vec<MailId>),
    /// A run is to begin another: where its folders stand is to be found out.
    Place(TenantId, Box<Place>, Inbox),
    /// Let a tenant go when what began is settled.
    Drain(TenantId),
    /// Let a tenant go at once.
    Close(TenantId),
    /// The engine of a tenant is gone.
    Gone(TenantId),
    /// Some time has passed.
    Beat,
    Quit,
}

impl Paper {
    /// Whom it is about; nobody when it is about all.
    fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::Open(claim, _) => Some(claim.tenant),
            Self::Mail(tenant, _)
            | Self::More(tenant)
            | Self::Decided(tenant, _)
            | Self::Due(tenant)
            | Self::TakenIn { tenant, .. }
            | Self::Room(tenant)
            | Self::Called(tenant, _)
            | Self::MakeWay(tenant, ..)
            | Self::Dormant(tenant, _)
            | Self::Back(tenant, _)
            | Self::Place(tenant, ..)
            | Self::Drain(tenant)
            | Self::Close(tenant)
            | Self::Gone(tenant) => Some(*tenant),
            Self::Beat | Self::Quit => None,
        }
    }
}

/// A tenant that is open.
struct Office {
    /// What mail is read and put away under.
    claim: Claim,
    lease: Arc<Lease>,
    hands: Careful,
    change: ChangeControl,
    open: Arc<AtomicUsize>,
    /// Mail that the engine has or is about to have.
    in_hand: BTreeMap<MailId, Request>,
    /// Why nothing comes of some of it, if the log does not say otherwise.
    noes: BTreeMap<MailId, String>,
    /// Runs that were begun in this life of the engine: none of them is begun twice.
    begun: HashSet<RunId>,
    /// Runs whose adapters are bound.
    bound: BTreeSet<RunId>,
    /// Runs that have left memory, of which the store does not know it yet.
    leaving: Vec<Parked>,
    /// Runs that are to be in memory and are not yet, the last first: those that are due, and all that
    /// were open when the tenant was opened.
    waking: Vec<RunId>,
    /// What the engine holds for such runs.
    claimed: Claimed,
    /// Those of them that cannot go on here.
    left: HashSet<RunId>,
    /// Runs that runs begin, of which it is to be found out where their folders stand.
    placing: VecDeque<(Box<Place>, Inbox)>,
    /// When the first run that has left memory goes on by itself.
    next_wake: Option<Timestamp>,
    /// Runs that waited for their turn, may begin, and are not with the engine yet.
    called: Vec<RunId>,
    /// How many runs wait for their turn.
    queued: Arc<AtomicUsize>,
    /// What is started at times.
    times: Times,
    /// How often somebody had called when the mail was last looked at.
    calls: i64,
    /// Mail that was read and is to be sorted.
    round: Round,
    /// Runs to start that the engine has not taken in yet.
    coming: HashSet<MailId>,
    /// More mail waits than runs may be open.
    is_full: Arc<AtomicBool>,
    /// Mail could not be read or removed.
    is_behind: bool,
    /// It is on its way out, and takes nothing more.
    is_draining: bool,
    beats: u32,
    idle_beats: u32,
}

impl Office {
    /// Whether one more run may be open. When not, the lane calls as soon as one has ended.
    fn has_room(&self, max: usize) -> bool {
        // Set before it is counted, as a run that ends then calls.
        self.is_full.store(true, Ordering::SeqCst);
        let open = self.open.load(Ordering::SeqCst) + self.waking.len();
        let is_full = open + self.coming.len() >= max;
        self.is_full.store(is_full, Ordering::SeqCst);
        !is_full
    }

    /// Whether its engine goes, or is gone.
    fn goes(&self) -> bool {
        self.is_draining || self.lease.is_over()
    }
}

/// A tenant that could not be opened yet.
struct Unopened {
    claim: Claim,
    lease: Arc<Lease>,
    /// In how many beats it is tried again.
    beats: u32,
    /// What was told of it.
    why: String,
}

pub(crate) struct Desk {
    house: Arc<House>,
    /// To go on later with what would keep others waiting.
    own: Sender<Paper>,
    lane: Sender<Order>,
    keeper: Sender<Event>,
    offices: BTreeMap<TenantId, Office>,
    /// Tenants that could not be opened yet.
    unopened: BTreeMap<TenantId, Unopened>,
    /// Tenants whose engine is gone, while something of theirs is under way.
    closing: BTreeMap<TenantId, Careful>,
}

impl Desk {
    pub(crate) fn new(
        house: Arc<House>,
        own: Sender<Paper>,
        lane: Sender<Order>,
        keeper: Sender<Event>,
    ) -> Self {
        let (offices, unopened, closing) = Default::default();
        Self { house, own, lane, keeper, offices, unopened, closing }
    }

    pub(crate) fn run(mut self, papers: &Receiver<Paper>) {
        let mut tray = Tray::new(self.house.settings.weights.clone());
        loop {
            if tray.is_empty() {
                let Ok(paper) = papers.recv() else { return };
                tray.put(paper);
            }
            papers.try_iter().for_each(|paper| tray.put(paper));
            while let Some(paper) = tray.take() {
                if !self.step(paper) {
                    return;
                }
                papers.try_iter().for_each(|paper| tray.put(paper));
            }
        }
    }

    /// Do what a paper says. Says whether it goes on.
    pub(crate) fn step(&mut self, paper: Paper) -> bool {
        match paper.tenant() {
            Some(tenant) => self.whole(tenant, |desk| desk.take(paper)),
            None if matches!(paper, Paper::Quit) => return false,
            None => self.take(paper),
        }
        true
    }

    /// Act for a tenant. When something panics, its engine goes, and only that.
    fn whole(&mut self, tenant: TenantId, act: impl FnOnce(&mut Self)) {
        let Err(why) = contained(|| act(self)) else { return };
        self.house.tell(Told::Panicked { tenant, why });
        match self.offices.get(&tenant) {
            Some(office) => {
                office.lease.end();
                let _ = self.lane.send(Order::Drop(tenant));
            }
            // It was being opened, or was on its way out. What is under way is waited for.
            None if self.closing.contains_key(&tenant) => {}
            None => self.wound_up(tenant),
        }
    }

    fn take(&mut self, paper: Paper) {
        match paper {
            Paper::Open(claim, lease) => self.open(claim, lease, None),
            Paper::Mail(tenant, calls) => {
                if let Some(office) = self.offices.get_mut(&tenant) {
                    office.calls = calls;
                    self.look(tenant);
                }
            }
            Paper::More(tenant) => self.look_on(tenant),
            Paper::Decided(tenant, ids) => self.decided(tenant, ids),
            Paper::Due(tenant) => self.wake_due(tenant),
            Paper::Room(tenant) => {
                self.begin_called(tenant);
                self.look(tenant);
            }
            Paper::Called(tenant, runs) => {
                if let Some(office) = self.offices.get_mut(&tenant) {
                    office.called.extend(runs);
                }
                self.begin_called(tenant);
            }
            Paper::MakeWay(tenant, run, others) => self.make_way(tenant, run, others),
            Paper::TakenIn { tenant, ids, noes } => {
                if let Some(office) = self.offices.get_mut(&tenant) {
                    office.coming.retain(|id| !ids.contains(id));
                    if office.is_full.load(Ordering::SeqCst) {
                        self.look(tenant);
                    }
                }
                self.settle(tenant, ids, noes);
            }
            Paper::Dormant(tenant, left) => self.have_left(tenant, left),
            Paper::Back(tenant, ids) => {
                if let Some(office) = self.offices.get_mut(&tenant) {
                    ids.iter().for_each(|id| drop(office.in_hand.remove(id)));
                    self.look(tenant);
                }
            }
            Paper::Place(tenant, place, inbox) => {
                if let Some(office) = self.offices.get_mut(&tenant) {
                    office.placing.push_back((place, inbox));
                    self.place(tenant);
                }
            }
            Paper::Drain(tenant) => {
                if let Some(office) = self.offices.get_mut(&tenant) {
                    office.is_draining = true;
                }
                self.close(tenant, Order::Drain(tenant));
            }
            Paper::Close(tenant) => {
                if let Some(office) = self.offices.get(&tenant) {
                    office.lease.end();
                }
                self.close(tenant, Order::Drop(tenant));
            }
            Paper::Gone(tenant) => self.gone(tenant),
            Paper::Beat => self.beat(),
            Paper::Quit => {}
        }
    }

    fn close(&mut self, tenant: TenantId, order: Order) {
        if self.unopened.remove(&tenant).is_some() {
            return self.wound_up(tenant);
        }
        // A tenant that is closing already says so when it is done.
        if self.offices.contains_key(&tenant) {
            let _ = self.lane.send(order);
        }
    }

    /// The engine is gone. What it had submitted is decided before the tenant may be claimed
    /// anew: nothing of this life of it is recorded under a later claim.
    fn gone(&mut self, tenant: TenantId) {
        let Some(office) = self.offices.remove(&tenant) else { return };
        office.lease.end();
        office.hands.go_on();
        self.house.until_decided(tenant);
        for run in office.bound {
            // A kit that panics over one run still hears of the others.
            if let Err(why) = contained(|| self.house.kit.unbind(tenant, run)) {
                self.house.tell(Told::Panicked { tenant, why });
            }
        }
        if office.hands.under_way() == 0 {
            self.wound_up(tenant);
        } else {
            self.closing.insert(tenant, office.hands);
        }
    }

    fn wound_up(&self, tenant: TenantId) {
        // When the keeper is gone the node has ended.
        let _ = self.keeper.send(Event::WoundUp(tenant));
    }

    fn beat(&mut self) {
        let quiet = |hands: &Careful| hands.under_way() == 0;
        let done: Vec<TenantId> =
            self.closing.iter().filter(|(_, hands)| quiet(hands)).map(|(id, _)| *id).collect();
        for tenant in done {
            self.closing.remove(&tenant);
            self.wound_up(tenant);
        }
        for unopened in std::mem::take(&mut self.unopened).into_values() {
            let tenant = unopened.claim.tenant;
            if unopened.beats == 0 {
                let Unopened { claim, lease, why, .. } = unopened;
                self.whole(tenant, |desk| desk.open(claim, lease, Some(why)));
            } else {
                let beats = unopened.beats - 1;
                self.unopened.insert(tenant, Unopened { beats, ..unopened });
            }
        }
        let tenants: Vec<TenantId> = self.offices.keys().copied().collect();
        for tenant in tenants {
            self.whole(tenant, |desk| desk.look_after(tenant));
        }
    }

    /// Finish what was left, and give back who is idle.
    fn look_after(&mut self, tenant: TenantId) {
        self.keep_parked(tenant);
        self.wake_due(tenant);
        self.place(tenant);
        self.begin_called(tenant);
        let Some(office) = self.offices.get_mut(&tenant) else { return };
        let open = office.open.load(Ordering::Acquire);
        if std::mem::take(&mut office.is_behind) {
            return self.look(tenant);
        }
        let keeps = self.keep_times(tenant);
        let Some(office) = self.offices.get_mut(&tenant) else { return };
        // What could not be decided now is decided with the next beat.
        let has_times = keeps.unwrap_or(true);
        let is_idle = !has_times && open == 0 && office.in_hand.is_empty();
        let is_idle = is_idle && !office.is_full.load(Ordering::Acquire);
        let is_idle = is_idle && office.leaving.is_empty() && office.next_wake.is_none();
        let is_idle = is_idle && office.waking.is_empty();
        let is_idle = is_idle && office.queued.load(Ordering::Acquire) == 0;
        let is_idle = is_idle && self.house.kit.is_done(tenant);
        office.idle_beats = if is_idle { office.idle_beats + 1 } else { 0 };
        // What waited in the engine for something else may be settled by now.
        office.beats = (office.beats + 1) % AGAIN_BEATS;
        if !office.in_hand.is_empty() && office.beats == 0 {
            let ids = office.in_hand.keys().copied().collect();
            return self.settle(tenant, ids, BTreeMap::new());
        }
        if office.idle_beats >= IDLE_BEATS {
            office.idle_beats = 0;
            let calls = office.calls;
            let _ = self.keeper.send(Event::Idle { tenant, calls });
        }
    }

    fn remove(&self, tenant: TenantId, mail: &[MailId]) -> Result<(), StoreError> {
        match self.offices.get(&tenant) {
            Some(office) if !mail.is_empty() => self.house.store.remove_mail(&office.claim, mail),
            _ => Ok(()),
        }
    }

    fn refuse(&self, tenant: TenantId, mail: MailId, why: &str) -> Result<(), StoreError> {
        let Some(office) = self.offices.get(&tenant) else { return Ok(()) };
        self.house.store.refuse_mail(&office.claim, mail, why)?;
        self.house.tell(Told::Refused { tenant, mail, why: why.to_owned() });
        Ok(())
    }
}
