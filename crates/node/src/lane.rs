//! A machine that drives the engines of many tenants, in turns of equal shares. It waits for none of
//! them, and never for the store.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use cog_base::Timestamp;
use cog_base::id::{MailId, ReceiptId, RunId, TenantId};
use cog_base::turns::Turns;
use cog_canon::Canon;
use cog_engine::driver::{Broken, contained};
use cog_engine::{Dormant, Driver, Input, Swept, Tree, What};
use cog_ledger::{Entry, Kind};

use crate::asked::Asked;
use crate::desk::Paper;
use crate::hands::Careful;
use crate::house::House;
use crate::keeper::ms;

use crate::told::Told;

/// The longest sleep when no timer is due.
const NAP: Duration = Duration::from_secs(60);
/// The most that is taken in before engines get their turn.
const ORDERS_PER_TURN_MAX: usize = 4_096;
/// What an engine takes in in a turn, for each unit of its tenant's weight: enough that appends are
/// handed over together, little enough that the others on the thread wait for a few milliseconds.
const TURN_INPUTS: u64 = 64;
/// The most turns before it is looked for orders and timers again.
const TURNS_MAX: usize = 64;

/// So much mail is taken in before the desk hears of it while an engine is busy: it looks into the
/// log for each piece, and for all together at once.
const TAKEN_IN_MIN: usize = 32;

/// What a lane is told to do.
pub(crate) enum Order {
    /// Drive the engine of a tenant.
    Begin(Box<Seat>),
    /// Go on with runs that are not in memory.
    TakeUp(TenantId, Box<Tree>),
    /// Runs of which something may have been under way do not go on: what these receipts hold is free.
    Unclaim(TenantId, Vec<ReceiptId>),
    /// The desk knows which runs have left memory, and says nothing more to them.
    Left(TenantId, HashSet<RunId>),
    /// There is an input for a tenant.
    Ready(TenantId),
    /// These inputs came by mail.
    Deliver(TenantId, Vec<(MailId, Input)>),
    /// Something is recorded about canons; one that came in force is given as far as it loads.
    Canon(TenantId, Option<Arc<Canon>>, Arc<Entry>),
    /// Let an engine decide nothing until it may go on, and say when that is so.
    Hold(TenantId, Sender<()>),
    /// It may go on.
    Go(TenantId),
    /// The claims were renewed.
    Renewed,
    /// Begin nothing new, and let the tenant go when everything is settled.
    Drain(TenantId),
    /// Let the tenant go at once.
    Drop(TenantId),
    Quit,
}

impl Order {
    /// Whom it is about; nobody when it is about all.
    fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::Begin(seat) => Some(seat.tenant),
            Self::TakeUp(tenant, _)
            | Self::Unclaim(tenant, _)
            | Self::Left(tenant, _)
            | Self::Ready(tenant)
            | Self::Deliver(tenant, _)
            | Self::Canon(tenant, ..)
            | Self::Hold(tenant, _)
            | Self::Go(tenant)
            | Self::Drain(tenant)
            | Self::Drop(tenant) => Some(*tenant),
            Self::Renewed | Self::Quit => None,
        }
    }
}

/// The engine of a tenant, with what is known of it.
pub(crate) struct Seat {
    pub(crate) tenant: TenantId,
    pub(crate) driver: Driver,
    pub(crate) hands: Careful,
    /// How many runs are open, for the desk to see.
    pub(crate) open: Arc<AtomicUsize>,
    /// How many wait for their turn, likewise.
    pub(crate) queued: Arc<AtomicUsize>,
    /// Whether the desk waits for fewer of them.
    pub(crate) is_full: Arc<AtomicBool>,
    /// Whether an order to turn to it is on its way.
    pub(crate) is_called: Arc<AtomicBool>,
    due: Option<Timestamp>,
    /// The runs that were dormant when the claims were last renewed.
    dormant: BTreeSet<RunId>,
    /// The runs that have left memory, which the desk has not heard yet.
    leaving: HashSet<RunId>,
    /// Mail whose inputs the engine has not taken in yet, the first first.
    delivered: VecDeque<Delivered>,
    asked: Asked,
    /// What it is asked waits.
    is_held: bool,
    is_draining: bool,
}

/// Mail whose input is on its way to the engine.
struct Delivered {
    mail: MailId,
    /// How many inputs the engine must have taken in to have this one.
    sent: u64,
    /// The run in memory that it is said to.
    run: Option<RunId>,
}

impl Seat {
    pub(crate) fn new(
        tenant: TenantId,
        driver: Driver,
        hands: Careful,
        is_called: Arc<AtomicBool>,
    ) -> Self {
        let queued = driver.engine().queue().line.len();
        Self {
            tenant,
            driver,
            hands,
            open: Arc::default(),
            queued: Arc::new(AtomicUsize::new(queued)),
            is_full: Arc::default(),
            is_called,
            due: None,
            dormant: BTreeSet::new(),
            leaving: HashSet::new(),
            delivered: VecDeque::new(),
            asked: Asked::default(),
            is_held: false,
            is_draining: false,
        }
    }
}

impl Seat {
    /// Have those runs leave memory that have been dormant for a beat, do not go on by themselves
    /// soon, and have nothing said to them that they have not heard.
    fn forget_dormant(&mut self, soon: Timestamp) -> Vec<Dormant> {
        let said: HashSet<RunId> = self.untaken().filter_map(|it| it.run).collect();
        let dormant = self.driver.engine().dormant().filter(|run| !said.contains(run));
        let dormant: BTreeSet<RunId> = dormant.collect();
        let before = std::mem::take(&mut self.dormant);
        let (old, new): (Vec<RunId>, Vec<RunId>) =
            dormant.into_iter().partition(|run| before.contains(run));
        self.dormant = new.into_iter().collect();
        let mut left = Vec::new();
        for run in old {
            if self.driver.wake_of(run).is_some_and(|wake| wake < soon) {
                self.dormant.insert(run);
            } else if let Some(dormant) = self.driver.forget(run) {
                left.push(dormant);
                self.leaving.insert(run);
            }
        }
        left
    }

    /// The mail that the engine has taken in and the desk does not know of; while there is more to
    /// do, only when there is much of it.
    fn taken_in(&mut self, is_busy: bool) -> Vec<MailId> {
        let count = self.delivered.len() - self.untaken().count();
        if is_busy && count < TAKEN_IN_MIN {
            return Vec::new();
        }
        self.delivered.drain(..count).map(|it| it.mail).collect()
    }

    /// The mail that the engine has not taken in yet.
    fn untaken(&self) -> impl Iterator<Item = &Delivered> {
        let taken = self.driver.taken();
        self.delivered.iter().rev().take_while(move |it| it.sent > taken)
    }

    /// Whether an input is for a run that has left memory, which the desk did not know.
    fn has_left(&self, input: &Input) -> bool {
        !self.leaving.is_empty() && run_of(input).is_some_and(|run| self.leaving.contains(&run))
    }
}

/// The run in memory that something from outside is said to.
const fn run_of(input: &Input) -> Option<RunId> {
    if let Input::Answer { run, .. }
    | Input::Delegate { run, .. }
    | Input::Signal { run, .. }
    | Input::Pause { run, .. }
    | Input::Unpause { run, .. }
    | Input::Cancel { run, .. } = input
    {
        Some(*run)
    } else {
        None
    }
}

/// What became of a turn.
enum Turned {
    /// Everything there was to do is done.
    Idle,
    /// So much was done, and there is more to do.
    Busy(u64),
    /// The engine is to go.
    Over,
}

pub(crate) struct Lane {
    house: Arc<House>,
    desk: Sender<Paper>,
    seats: BTreeMap<TenantId, Seat>,
    due: BTreeSet<(Timestamp, TenantId)>,
    ready: Turns<TenantId>,
}

impl Lane {
    pub(crate) fn new(house: Arc<House>, desk: Sender<Paper>) -> Self {
        let (seats, due) = (BTreeMap::new(), BTreeSet::new());
        let ready = Turns::new(TURN_INPUTS).weighing(house.settings.weights.clone());
        Self { house, desk, seats, due, ready }
    }

    pub(crate) fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let first = match orders.recv_timeout(self.nap()) {
                Ok(order) => Some(order),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let more = orders.try_iter().take(ORDERS_PER_TURN_MAX - 1);
            if !self.step(first.into_iter().chain(more)) {
                return;
            }
        }
    }

    /// Follow orders, and have engines take their turn that have something to do. Says whether it
    /// goes on.
    pub(crate) fn step(&mut self, orders: impl Iterator<Item = Order>) -> bool {
        for order in orders {
            if matches!(order, Order::Quit) {
                return false;
            }
            self.follow(order);
        }
        self.ring();
        for _ in 0..self.ready.len().min(TURNS_MAX) {
            let Some((tenant, inputs)) = self.ready.begin() else { break };
            let mut done = None;
            self.whole(tenant, |lane| done = lane.turn(tenant, inputs));
            self.ready.did(tenant, done.unwrap_or(0), done.is_some());
        }
        true
    }

    /// When it has something to do without an order; nothing when it has not.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        let due = self.due.first().map(|(at, _)| *at);
        if self.ready.is_empty() { due } else { Some(Timestamp::MIN) }
    }

    fn nap(&self) -> Duration {
        let now = self.house.now();
        let ms = self.next().map(|at| if at <= now { 0 } else { at.ms_since(now) + 1 });
        ms.map_or(NAP, |ms| Duration::from_millis(ms).min(NAP))
    }

    /// Turn to those whose timers are due.
    fn ring(&mut self) {
        let now = self.house.now();
        while let Some((at, tenant)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, tenant));
            if let Some(seat) = self.seats.get_mut(&tenant) {
                seat.due = None;
            }
            self.ready.join(tenant);
        }
    }

    fn follow(&mut self, order: Order) {
        match order.tenant() {
            Some(tenant) => self.whole(tenant, |lane| lane.take(order)),
            None => self.take(order),
        }
    }

    /// Act for a tenant. When something panics, its engine goes, and only that.
    fn whole(&mut self, tenant: TenantId, act: impl FnOnce(&mut Self)) {
        if let Err(why) = contained(|| act(self)) {
            self.house.tell(Told::Panicked { tenant, why });
            self.let_go(tenant);
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Begin(seat) => {
                let (tenant, inbox) = (seat.tenant, seat.driver.inbox());
                self.seats.insert(tenant, *seat);
                inbox.send(Input::Look);
                self.ready.join(tenant);
            }
            Order::Ready(tenant) => self.ready.join(tenant),
            Order::Deliver(tenant, post) => {
                let Some(seat) = self.seats.get_mut(&tenant) else { return };
                let inbox = seat.driver.inbox();
                let (post, back): (Vec<_>, Vec<_>) =
                    post.into_iter().partition(|(_, input)| !seat.has_left(input));
                if !back.is_empty() {
                    let back = back.into_iter().map(|(id, _)| id).collect();
                    let _ = self.desk.send(Paper::Back(tenant, back));
                }
                for (mail, input) in post {
                    let run = run_of(&input);
                    seat.asked.of(mail, &input);
                    inbox.send(input);
                    seat.delivered.push_back(Delivered { mail, sent: seat.driver.sent(), run });
                }
                self.ready.join(tenant);
            }
            Order::Canon(tenant, canon, entry) => self.canon(tenant, canon, &entry),
            Order::Hold(tenant, held) => {
                self.hold(tenant, true);
                // Whoever does not wait for it any more has given the tenant up.
                let _ = held.send(());
            }
            Order::Go(tenant) => self.hold(tenant, false),
            Order::TakeUp(tenant, tree) => self.hand_in(tenant, Input::TakeUp(tree)),
            Order::Unclaim(tenant, receipts) => self.hand_in(tenant, Input::Unclaim(receipts)),
            Order::Left(tenant, runs) => {
                if let Some(seat) = self.seats.get_mut(&tenant) {
                    seat.leaving.retain(|run| !runs.contains(run));
                }
            }
            Order::Renewed => {
                for tenant in self.seats.keys().copied().collect::<Vec<_>>() {
                    self.whole(tenant, |lane| lane.renewed(tenant));
                }
            }
            Order::Drain(tenant) => match self.seats.get_mut(&tenant) {
                Some(seat) => {
                    seat.driver.engine_mut().drain();
                    seat.is_draining = true;
                    self.ready.join(tenant);
                }
                None => self.let_go(tenant),
            },
            Order::Drop(tenant) => self.let_go(tenant),
            Order::Quit => {}
        }
    }

    fn hand_in(&mut self, tenant: TenantId, input: Input) {
        if let Some(seat) = self.seats.get(&tenant) {
            seat.driver.inbox().send(input);
            self.ready.join(tenant);
        }
    }

    /// Something was recorded about canons, or about versions of workflows.
    fn canon(&mut self, tenant: TenantId, canon: Option<Arc<Canon>>, entry: &Entry) {
        let Some(seat) = self.seats.get_mut(&tenant) else { return };
        let engine = seat.driver.engine_mut();
        canon.into_iter().for_each(|canon| engine.know(canon));
        engine.observe(entry);
        if entry.kind() == Kind::CanonActivated {
            let domain = entry.domain().to_owned();
            seat.driver.inbox().send(Input::Renew { domain });
            self.ready.join(tenant);
        }
    }

    /// Have an engine decide nothing, or let it go on.
    fn hold(&mut self, tenant: TenantId, is_held: bool) {
        let Some(seat) = self.seats.get_mut(&tenant) else { return };
        seat.is_held = is_held;
        self.ready.join(tenant);
    }

    fn renewed(&mut self, tenant: TenantId) {
        let soon = self.house.now().plus_ms(ms(self.house.settings.stay));
        let Some(seat) = self.seats.get_mut(&tenant) else { return };
        seat.hands.go_on();
        let left = seat.forget_dormant(soon);
        if !left.is_empty() {
            let _ = self.desk.send(Paper::Dormant(tenant, left));
            self.ready.join(tenant);
        }
    }

    /// Let an engine do so much. Says how much it did when it has more to do.
    fn turn(&mut self, tenant: TenantId, inputs: u64) -> Option<u64> {
        let seat = self.seats.get_mut(&tenant).filter(|seat| !seat.is_held)?;
        let busy = match turn(&self.house, &self.desk, seat, inputs) {
            Turned::Over => {
                self.let_go(tenant);
                return None;
            }
            Turned::Busy(done) => Some(done),
            Turned::Idle => None,
        };
        let due = seat.driver.next_due();
        if due != seat.due {
            if let Some(before) = seat.due {
                self.due.remove(&(before, tenant));
            }
            if let Some(due) = due {
                self.due.insert((due, tenant));
            }
            seat.due = due;
        }
        busy
    }

    /// Drop the engine of a tenant. What is under way goes on, and settles nothing.
    fn let_go(&mut self, tenant: TenantId) {
        if let Some(seat) = self.seats.remove(&tenant)
            && let Some(due) = seat.due
        {
            self.due.remove(&(due, tenant));
        }
        // When the desk is gone the node has ended.
        let _ = self.desk.send(Paper::Gone(tenant));
    }
}

fn turn(house: &House, desk: &Sender<Paper>, seat: &mut Seat, inputs: u64) -> Turned {
    let tenant = seat.tenant;
    // Before the inputs are taken in: what comes meanwhile calls again.
    seat.is_called.store(false, Ordering::SeqCst);
    let mut notices = Vec::new();
    // An effect that is over left room for one that waits.
    seat.hands.go_on();
    let inputs_max = usize::try_from(inputs).unwrap_or(usize::MAX);
    let swept = seat.driver.sweep(inputs_max, &mut notices);
    let (mut is_stopped, mut called) = (false, Vec::new());
    for notice in notices {
        is_stopped |= matches!(notice.what, What::Stopped { .. });
        if matches!(notice.what, What::Sealed(_) | What::NotBegun { .. }) {
            house.kit.unbind(tenant, notice.run);
        }
        seat.asked.hear(&notice);
        if matches!(notice.what, What::Called) {
            called.push(notice.run);
        }
        if let What::Queued { ends, .. } = &notice.what
            && !ends.is_empty()
        {
            let _ = desk.send(Paper::MakeWay(tenant, notice.run, ends.clone()));
        }
        house.tell(Told::Run { tenant, notice });
    }
    for (place, inbox) in seat.hands.placing() {
        let _ = desk.send(Paper::Place(tenant, Box::new(place), inbox));
    }
    // Without randomness, or with a run that the ledger did not take, a new engine goes on from
    // what the ledger says.
    let Swept { inputs, has_more } = match swept {
        Ok(swept) => swept,
        Err(Broken::NoEntropy(_)) => return Turned::Over,
        Err(Broken::Panicked(why)) => {
            house.tell(Told::Panicked { tenant, why });
            return Turned::Over;
        }
    };
    if is_stopped {
        return Turned::Over;
    }
    if !called.is_empty() {
        let _ = desk.send(Paper::Called(tenant, called));
    }
    seat.queued.store(seat.driver.engine().queue().line.len(), Ordering::SeqCst);
    let open = seat.driver.engine().open_runs();
    let before = seat.open.swap(open, Ordering::SeqCst);
    if open < before && seat.is_full.load(Ordering::SeqCst) {
        let _ = desk.send(Paper::Room(tenant));
    }
    let (ids, noes) = (seat.taken_in(has_more), seat.asked.noes());
    if !(ids.is_empty() && noes.is_empty()) {
        let _ = desk.send(Paper::TakenIn { tenant, ids, noes });
    }
    if has_more {
        return Turned::Busy(inputs);
    }
    let engine = seat.driver.engine();
    let is_quiet = engine.appends() == 0 && engine.delayed() == 0 && seat.hands.under_way() == 0;
    if seat.is_draining && is_quiet { Turned::Over } else { Turned::Idle }
}
