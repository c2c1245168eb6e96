//! A town: several nodes around one database, all on one thread, from a seed.
//!
//! Keepers, desks, lanes, listeners and committers are the very code of the program
//! (`cog_node::Stepped`); the database is a model of the store of many nodes, with its clock, its
//! claims and their fences. Nodes are cut off from it, are slow, stand still, have clocks of their
//! own and die, in the middle of any call. When the troubles are over everything must come to
//! rest, and [`Town::check`] demands of what is left what is demanded of every world.

mod check;
mod database;
mod link;
mod living;
mod people;
mod stage;
mod trouble;
mod work;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use cog_base::Timestamp;
use cog_base::entropy::SeededEntropy;
use cog_base::id::{MailId, TenantId, Uuid};
use cog_engine::{Notice, What};
use cog_node::{Part, Parts, Settings, Stepped, Told};

use crate::check::Broken;
use crate::counts::Summary;
use crate::outside::Outside;
use database::{Database, Life};
use link::Link;
use living::{Good, Line, Living, NodeClock, Tools};
use people::People;
use work::Work;

pub use link::Call;
pub use trouble::{Mishap, Side, Trap, Troubles};

/// The length of a claim.
const LEASE: Duration = Duration::from_secs(8);
/// How long a run that waits stays in memory.
const STAY: Duration = Duration::from_secs(6);
/// When towns begin, in microseconds.
const START: i64 = 1_795_000_000_000_000;
/// The most events of one town: beyond it the town is stuck.
const EVENTS_MAX: u64 = 60_000;
/// How far a clock is ahead or behind at most, in microseconds.
const SKEW_MAX: u64 = 3_600_000_000;

/// What a town begins with.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// What it all follows from.
    pub seed: u64,
    /// How many nodes there are.
    pub nodes: usize,
    /// How many tenants there are.
    pub tenants: usize,
    /// The most runs that people ask for, for each tenant; none when there are no people.
    pub runs_max: u64,
    /// How often what goes wrong.
    pub troubles: Troubles,
    /// The most that goes wrong, all in all.
    pub troubles_max: u64,
    /// The length of a claim.
    pub lease: Duration,
    /// The most events until something must be so: beyond it the town is stuck.
    pub events_max: u64,
}

impl Plan {
    /// A town in which nothing goes wrong but what a test has go wrong, and nobody asks for
    /// anything but what it asks for.
    #[must_use]
    pub const fn staged(seed: u64, nodes: usize, tenants: usize) -> Self {
        let (troubles, lease, events_max) = (Troubles::NONE, LEASE, EVENTS_MAX);
        Self { seed, nodes, tenants, runs_max: 0, troubles, troubles_max: 0, lease, events_max }
    }
}

/// Several nodes around one database, and people who write to them.
pub struct Town {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    seed: u64,
    plan: Plan,
    troubles: Troubles,
    database: Arc<Database>,
    tenants: Vec<TenantId>,
    state: Mutex<State>,
}

struct State {
    dice: SeededEntropy,
    lives: Vec<Arc<Living>>,
    /// Nodes that start again, and when.
    starts: Vec<(Timestamp, usize)>,
    work: Vec<Work>,
    /// How much longer effects take than they do.
    slowness: u64,
    /// What entries name as the program of lives that start from here on.
    release: String,
    outside: BTreeMap<TenantId, Outside>,
    people: People,
    traps: Vec<Trap>,
    troubles_left: u64,
    /// Whether the clock of a node jumped.
    has_jumped: bool,
    counts: Summary,
    told: Vec<(usize, Told)>,
    wrong: Option<String>,
}

/// What may happen next.
#[derive(Clone, Copy)]
enum Next {
    Part(usize, Part),
    Work(usize),
    People,
    Start(usize),
}

impl Town {
    /// A town whose whole story follows from a seed.
    ///
    /// # Errors
    /// [`Broken`] when a node does not start.
    pub fn seeded(seed: u64) -> Result<Self, Broken> {
        let mut dice = SeededEntropy::new(seed ^ 0x70_3E);
        let nodes = usize::try_from(2 + dice.below(3)).unwrap_or(2);
        Self::seeded_with(seed, nodes)
    }

    /// As [`Town::seeded`], with so many nodes.
    ///
    /// # Errors
    /// [`Broken`] when a node does not start.
    pub fn seeded_with(seed: u64, nodes: usize) -> Result<Self, Broken> {
        let mut dice = SeededEntropy::new(seed);
        let troubles = Troubles::drawn(&mut dice);
        let tenants = usize::try_from(1 + dice.below(2)).unwrap_or(1);
        let troubles_max = 2 + dice.below(24);
        let plan = Plan::staged(seed, nodes, tenants);
        Self::new(Plan { runs_max: 2, troubles, troubles_max, ..plan })
    }

    /// A town.
    ///
    /// # Errors
    /// [`Broken`] when a node does not start.
    pub fn new(plan: Plan) -> Result<Self, Broken> {
        let Plan { seed, troubles, .. } = plan;
        let database = Database::new(started(), plan.lease);
        let database = database.map_err(|error| Broken { seed, what: error.to_string() })?;
        let tenants = (0..plan.tenants).map(tenant).collect();
        let mut dice = SeededEntropy::new(seed ^ 0x5EED);
        let people = People::new(&plan, &mut dice);
        let mut counts = Summary { tenants: plan.tenants as u64, ..Summary::default() };
        counts.runs = people.runs();
        let state = State {
            dice,
            lives: Vec::new(),
            starts: Vec::new(),
            work: Vec::new(),
            slowness: 1,
            release: "cognitionos/sim".to_owned(),
            outside: BTreeMap::new(),
            people,
            traps: Vec::new(),
            troubles_left: plan.troubles_max,
            has_jumped: false,
            counts,
            told: Vec::new(),
            wrong: None,
        };
        let (database, state) = (Arc::new(database), Mutex::new(state));
        let inner = Arc::new(Inner { seed, plan, troubles, database, tenants, state });
        (0..plan.nodes).for_each(|node| inner.start(node));
        Ok(Self { inner })
    }

    /// Go on until people have what they asked for and nothing is under way, then stop every node.
    ///
    /// # Errors
    /// [`Broken`] when that never comes.
    pub fn run_until_quiet(&self) -> Result<(), Broken> {
        self.run_until("everything comes to rest", |town| town.inner.is_at_rest())?;
        self.stop()
    }

    /// Go on until something is so.
    ///
    /// # Errors
    /// [`Broken`] when it never is, or when something must not be that is.
    pub fn run_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<(), Broken> {
        // A town that is staged has nobody who waits for long.
        let every = if self.inner.plan.runs_max > 0 { 8 } else { 1 };
        for event in 0..self.inner.plan.events_max {
            self.inner.right()?;
            if (event % every == 0) && is_so(self) {
                return Ok(());
            }
            self.inner.misfortune();
            if !self.inner.step(None) {
                break;
            }
        }
        if is_so(self) { Ok(()) } else { Err(self.inner.broken(&format!("stuck: not so: {what}"))) }
    }

    /// Stop every node as a person would, and wait until each has given back what it had.
    fn stop(&self) -> Result<(), Broken> {
        let inner = &self.inner;
        inner.be_well();
        for living in inner.lives() {
            living.is_stopping.store(true, Ordering::Relaxed);
            living.stepped().into_iter().for_each(|stepped| stepped.stop());
        }
        self.run_until("every node ends", |town| town.inner.lives().iter().all(|it| it.is_over()))
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn broken(&self, what: &str) -> Broken {
        Broken { seed: self.seed, what: what.to_owned() }
    }

    /// Something is that must never be.
    fn wrong(&self, what: String) {
        self.state().wrong.get_or_insert(what);
    }

    fn right(&self) -> Result<(), Broken> {
        let wrong = self.state().wrong.clone().or_else(|| self.database.wrong());
        wrong.map_or(Ok(()), |what| Err(self.broken(&what)))
    }

    fn count(&self, what: &'static str) {
        let mut state = self.state();
        state.counts.faults.add(what);
        state.troubles_left = state.troubles_left.saturating_sub(1);
    }

    fn lives(&self) -> Vec<Arc<Living>> {
        self.state().lives.clone()
    }

    /// How many lives are in the middle of something.
    fn depth(&self) -> usize {
        let state = self.state();
        state.lives.iter().map(|it| it.at_work.load(Ordering::Relaxed)).sum()
    }

    /// Start a node: another life of it.
    fn start(self: &Arc<Self>, node: usize) {
        let (life, skew, seed) = {
            let mut state = self.state();
            let life = state.lives.len() as Life + 1;
            let is_skewed = self.plan.troubles_max > 0 && state.dice.below(2) == 0;
            let skew = if is_skewed { state.dice.below(2 * SKEW_MAX) } else { SKEW_MAX };
            let ahead = i64::try_from(skew).unwrap_or(0) - i64::try_from(SKEW_MAX).unwrap_or(0);
            (life, ahead, self.seed.wrapping_mul(31).wrapping_add(life << 40))
        };
        let clock = NodeClock::new(Arc::clone(&self.database), skew);
        let living = Arc::new(Living::new(node, life, clock));
        self.state().lives.push(Arc::clone(&living));
        let (town, own) = (Arc::downgrade(self), Arc::downgrade(&living));
        let wire = Line { town: Weak::clone(&town), living: Weak::clone(&own) };
        let link = Link::new(Arc::clone(&self.database), life, Arc::new(wire));
        let (listening, telling) = (Weak::clone(&town), Weak::clone(&town));
        let drawn = Mutex::new(SeededEntropy::new(seed));
        let parts = Parts {
            store: Arc::new(link),
            kit: Arc::new(Tools { town, living: Weak::clone(&own), tenant: None }),
            clock: Arc::clone(&living.clock) as _,
            entropy: Box::new(move || {
                let mut drawn = drawn.lock().unwrap_or_else(PoisonError::into_inner);
                Box::new(SeededEntropy::new(drawn.next_u64()))
            }),
            tell: Box::new(move |told| {
                telling
                    .upgrade()
                    .into_iter()
                    .for_each(|town| town.hear((node, life), told.clone()));
            }),
        };
        let release = self.state().release.clone();
        let mut settings = Settings::new(&release, self.plan.lease);
        (settings.lanes, settings.stay) = (1 + usize::from(self.seed.is_multiple_of(4)), STAY);
        let meanwhile = move || {
            if let (Some(town), Some(living)) = (listening.upgrade(), own.upgrade()) {
                town.meanwhile(&living);
            }
        };
        match Stepped::start(settings, parts, meanwhile) {
            Ok(stepped) => living.begin(stepped),
            Err(error) => self.wrong(format!("node {node} does not start: {error}")),
        }
    }

    /// A machine of a life waits for another of them.
    fn meanwhile(&self, living: &Living) {
        let Some(stepped) = living.stepped() else { return };
        let ready = stepped.ready();
        let place =
            usize::try_from(self.state().dice.below(ready.len().max(1) as u64)).unwrap_or(0);
        match ready.get(place) {
            Some(part) => self.work_on(living, *part),
            None => {
                self.wrong("a machine waits for nobody".to_owned());
                living.die();
            }
        }
    }

    fn work_on(&self, living: &Living, part: Part) {
        let Some(stepped) = living.stepped() else { return };
        living.at_work.fetch_add(1, Ordering::Relaxed);
        stepped.step(part);
        living.at_work.fetch_sub(1, Ordering::Relaxed);
    }

    /// One event, chosen by the dice; else time passes until there is one, or until then. Says
    /// whether anything will ever happen.
    fn step(self: &Arc<Self>, until: Option<Timestamp>) -> bool {
        let micros = i64::try_from(self.state().dice.below(1_500)).unwrap_or(0);
        self.database.pass(micros);
        let next = self.choices();
        if next.is_empty() {
            let soonest = self.soonest();
            let at = soonest.into_iter().chain(until).min();
            at.into_iter().for_each(|at| self.database.reach(at));
            return at.is_some();
        }
        let place = self.state().dice.below(next.len() as u64);
        let Some(next) = usize::try_from(place).ok().and_then(|place| next.get(place)) else {
            return true;
        };
        self.state().counts.events += 1;
        match *next {
            Next::Part(place, part) => {
                let living = self.state().lives.get(place).cloned();
                living.into_iter().for_each(|living| self.work_on(&living, part));
            }
            Next::Work(place) => self.carry_out(place),
            Next::People => self.people_act(),
            Next::Start(place) => {
                let (_, node) = self.state().starts.swap_remove(place);
                self.start(node);
            }
        }
        true
    }

    fn choices(&self) -> Vec<Next> {
        let now = self.database.now();
        let lives = self.lives();
        let mut next = Vec::new();
        for (place, living) in lives.iter().enumerate() {
            let is_free = living.at_work.load(Ordering::Relaxed) == 0 && !living.is_paused(now);
            let Some(stepped) = living.stepped().filter(|_| is_free && !living.is_over()) else {
                continue;
            };
            next.extend(stepped.ready().into_iter().map(|part| Next::Part(place, part)));
            if !living.is_cut(now) && self.database.is_called(living.life) {
                next.push(Next::Part(place, Part::Listener));
            }
        }
        let state = self.state();
        for (place, work) in state.work.iter().enumerate() {
            if work.due <= now && !work.living.is_paused(now) {
                next.push(Next::Work(place));
            }
        }
        next.extend(state.people.next().filter(|at| *at <= now).map(|_| Next::People));
        let starts = state.starts.iter().enumerate();
        let due = starts.filter(|(_, (at, _))| *at <= now);
        next.extend(due.map(|(place, _)| Next::Start(place)));
        next
    }

    /// When something happens by itself.
    fn soonest(&self) -> Option<Timestamp> {
        let now = self.database.now();
        let lives = self.lives();
        let free = lives.iter().filter(|it| it.at_work.load(Ordering::Relaxed) == 0);
        let nodes: Vec<Timestamp> = free.filter_map(|living| living.next(now)).collect();
        let state = self.state();
        let work = state.work.iter().map(|work| work.due);
        let starts = state.starts.iter().map(|(at, _)| *at);
        nodes.into_iter().chain(work).chain(starts).chain(state.people.next()).min()
    }

    /// A life ends: all that it had in memory is gone.
    fn kill(&self, living: &Living) {
        living.die();
        self.database.go_silent(living.life);
        self.lose_work(living);
        let mut state = self.state();
        let again = self.database.now().plus_ms(state.dice.below(12_000));
        state.starts.push((again, living.node));
    }

    /// Something is told by a node.
    fn hear(&self, (node, life): (usize, Life), told: Told) {
        match &told {
            Told::Panicked { why, .. } => self.wrong(format!("node {node} panicked: {why}")),
            Told::Left { tenant, run, why } => {
                // Who was overtaken while it read may see what began since.
                if self.database.owner(*tenant).is_some_and(|(owner, _)| owner == life) {
                    self.wrong(format!("{run} is left: {why}"));
                }
            }
            Told::Run { tenant, notice: Notice { run, what } } => {
                let now = self.database.now();
                let mut state = self.state();
                let State { people, dice, .. } = &mut *state;
                people.hear(now, dice, (*tenant, *run), what);
                if matches!(what, What::NotBegun { .. }) {
                    state.counts.acts.add("run.not_begun");
                }
            }
            Told::Claimed { .. } => self.state().counts.acts.add("tenant.claimed"),
            Told::Opened { .. } => self.state().counts.acts.add("tenant.opened"),
            Told::Lost { .. } => self.state().counts.acts.add("tenant.lost"),
            Told::Released { .. } => self.state().counts.acts.add("tenant.released"),
            Told::Stalled { .. } => self.state().counts.acts.add("tenant.stalled"),
            Told::Parked { .. } => self.state().counts.acts.add("runs.parked"),
            Told::Refused { .. } => self.state().counts.acts.add("mail.refused"),
            Told::Fired { .. } => self.state().counts.acts.add("schedule.fired"),
            Told::Away { .. } | Told::Back => {}
        }
        self.state().told.push((node, told));
    }

    /// Everything that is wrong between nodes and database is well again.
    fn be_well(&self) {
        self.state().troubles_left = 0;
        self.lives().iter().for_each(|living| living.heal());
    }

    /// Whether people have what they asked for, and no run is under way.
    fn is_at_rest(&self) -> bool {
        let is_quiet = {
            let state = self.state();
            state.people.is_done() && state.work.is_empty() && state.starts.is_empty()
        };
        is_quiet && self.database.waiting() == 0 && self.tenants.iter().all(|it| self.is_over(*it))
    }

    fn client(&self) -> Link {
        Link::to_ask(Arc::clone(&self.database), Arc::new(Good))
    }
}

/// When towns begin.
fn started() -> Timestamp {
    Timestamp::from_micros(START)
}

/// The id of a tenant.
pub(crate) fn tenant(number: usize) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(7 + number as u128))
}

/// The id of mail, from the dice.
fn mail_id(now: Timestamp, dice: &mut SeededEntropy) -> MailId {
    // Seeded randomness does not fail.
    MailId::new(now, dice).unwrap_or_else(|_| MailId::from_uuid(Uuid::from_u128(0)))
}
