//! A node without threads: whoever has it says which of its machines does something next.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use cog_base::Timestamp;
use cog_store::{Committer, Stepper, StoreError};

use crate::desk::{Desk, Paper};
use crate::house::{House, Meanwhile};
use crate::keeper::{Event, Keeper, ms};
use crate::lane::{Lane, Order};
use crate::listener::Listener;
use crate::node::{Machines, Pair, Parts, Settings};
use crate::time::StoreClock;

/// A machine of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Claims tenants and gives them back.
    Keeper,
    /// Reads for the tenants of one lane.
    Desk(usize),
    /// Drives engines.
    Lane(usize),
    /// The same, which has been kept waiting and takes in all that it was told.
    LateLane(usize),
    /// Records for all.
    Committer,
    /// Hears calls for work. Only whoever has the node knows whether there is one.
    Listener,
    /// The time between two beats has passed.
    Beat,
}

/// A machine, and what it was told and has not taken in.
struct Station<M, T> {
    machine: Mutex<Option<M>>,
    news: Mutex<Option<(Receiver<T>, VecDeque<T>)>>,
}

impl<M, T> Station<M, T> {
    fn new((machine, news): (M, Receiver<T>)) -> Self {
        let news = Mutex::new(Some((news, VecDeque::new())));
        Self { machine: Mutex::new(Some(machine)), news }
    }

    fn has_news(&self) -> bool {
        self.news() > 0
    }

    /// How much it was told that it has not taken in.
    fn news(&self) -> usize {
        let mut news = locked(&self.news);
        let Some((more, news)) = news.as_mut() else { return 0 };
        news.extend(more.try_iter());
        news.len()
    }

    fn next(&self) -> Option<T> {
        self.has_news().then(|| locked(&self.news).as_mut()?.1.pop_front()).flatten()
    }

    /// Act with the machine; nothing when it is gone, or in the middle of something. It is gone
    /// when it does not go on.
    fn act(&self, act: impl FnOnce(&mut M) -> bool) {
        let Ok(mut place) = self.machine.try_lock() else { return };
        if place.as_mut().is_some_and(|machine| !act(machine)) {
            *place = None;
        }
    }

    /// What a machine says that is there and not in the middle of something.
    fn look<R>(&self, look: impl FnOnce(&M) -> R) -> Option<R> {
        self.machine.try_lock().ok()?.as_ref().map(look)
    }

    /// Whoever waits for an answer of it hears that there is none.
    fn clear(&self) {
        // What is dropped may have more to say to others.
        let news = locked(&self.news).take();
        drop(news);
        let machine = self.machine.try_lock().ok().and_then(|mut place| place.take());
        drop(machine);
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A node whose machines do something when they are told to, all on the thread of whoever tells
/// them. It has no life of its own: time is what the clock says whenever it is stepped.
///
/// A machine that waits for another has others stepped meanwhile: [`Stepped::start`] is given what
/// does that. Machines that are in the middle of something are left alone.
pub struct Stepped {
    beat: Duration,
    house: Arc<House>,
    to_keeper: Sender<Event>,
    keeper: Station<Keeper, Event>,
    desks: Vec<Station<Desk, Paper>>,
    lanes: Vec<Station<Lane, Order>>,
    committer: Mutex<Option<Stepper>>,
    listener: Mutex<Option<Listener>>,
    beat_at: Mutex<Timestamp>,
    is_dead: AtomicBool,
}

impl Stepped {
    /// A node whose machines call `meanwhile` again and again while they wait for another of them.
    /// It must have the others stepped.
    ///
    /// # Errors
    /// [`StoreError::WriterTaken`] when the store has a writer already.
    pub fn start(
        settings: Settings,
        parts: Parts,
        meanwhile: impl Fn() + Send + Sync + 'static,
    ) -> Result<Arc<Self>, StoreError> {
        let writer = parts.writer(&settings)?;
        let clock = Arc::new(StoreClock::new(Arc::clone(&parts.clock)));
        let entropy = (parts.entropy)();
        let (committer, stepper) = Committer::stepped(writer, Arc::clone(&clock) as _, entropy);
        Ok(Arc::new_cyclic(|node: &Weak<Self>| {
            let (node, beat) = (Weak::clone(node), settings.beat());
            let meanwhile: Meanwhile = Box::new(move || match node.upgrade() {
                Some(node) if node.is_dead() => node.clear(),
                Some(_) | None => meanwhile(),
            });
            let house = Arc::new(House::new(settings, parts, clock, committer, Some(meanwhile)));
            let Machines { keeper: (keeper, events, to_keeper), pairs, listener } =
                Machines::of(&house);
            let both = |Pair { desk, lane }| (Station::new(desk), Station::new(lane));
            let (desks, lanes) = pairs.into_iter().map(both).unzip();
            let beat_at = Mutex::new(house.machine.now().plus_ms(ms(beat)));
            Self {
                beat,
                house,
                to_keeper,
                keeper: Station::new((keeper, events)),
                desks,
                lanes,
                committer: Mutex::new(Some(stepper)),
                listener: Mutex::new(Some(listener)),
                beat_at,
                is_dead: AtomicBool::new(false),
            }
        }))
    }

    /// The machines that have something to do now, and are not in the middle of something.
    #[must_use]
    pub fn ready(&self) -> Vec<Part> {
        let (now, by_store) = (self.house.machine.now(), self.house.now());
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let mut ready = Vec::new();
        if let Some(next) = self.keeper.look(Keeper::next)
            && (self.keeper.has_news() || is_due(Some(next)))
        {
            ready.push(Part::Keeper);
        }
        for (place, desk) in self.desks.iter().enumerate() {
            if desk.look(|_| ()).is_some() && desk.has_news() {
                ready.push(Part::Desk(place));
            }
        }
        for (place, lane) in self.lanes.iter().enumerate() {
            if let Some(next) = lane.look(Lane::next)
                && (lane.has_news() || next.is_some_and(|at| at <= by_store))
            {
                ready.push(Part::Lane(place));
                if lane.news() > 1 {
                    ready.push(Part::LateLane(place));
                }
            }
        }
        let committer = self.committer.try_lock().ok();
        if committer.is_some_and(|it| it.as_ref().is_some_and(Stepper::has_work)) {
            ready.push(Part::Committer);
        }
        if !self.is_over() && is_due(Some(*locked(&self.beat_at))) {
            ready.push(Part::Beat);
        }
        ready
    }

    /// When something is due, at the latest, by the clock of the machine; nothing when it is over.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        let keeper = self.keeper.look(Keeper::next)?;
        let lanes = self.lanes.iter().filter_map(|lane| lane.look(Lane::next).flatten());
        let lanes = lanes.map(|at| self.house.clock.to_machine(at));
        let beat = *locked(&self.beat_at);
        Some(lanes.chain([beat]).fold(keeper, Timestamp::min))
    }

    /// Have a machine take in one thing that it was told, or the time; a lane that is late takes in
    /// all. A lane turns to its engines behind it.
    pub fn step(&self, part: Part) {
        match part {
            Part::Keeper => self.keeper.act(|keeper| {
                let goes_on = keeper.step(self.keeper.next());
                if !goes_on {
                    keeper.dismiss();
                }
                goes_on
            }),
            Part::Desk(place) => self.desk(place),
            Part::Lane(place) => {
                if let Some(lane) = self.lanes.get(place) {
                    lane.act(|it| it.step(lane.next().into_iter()));
                }
            }
            Part::LateLane(place) => {
                if let Some(lane) = self.lanes.get(place) {
                    lane.act(|it| {
                        let orders: Vec<Order> = std::iter::from_fn(|| lane.next()).collect();
                        it.step(orders.into_iter())
                    });
                }
            }
            Part::Committer => {
                if let Ok(mut committer) = self.committer.try_lock() {
                    committer.as_mut().map(Stepper::step);
                }
            }
            Part::Listener => {
                if let Ok(mut listener) = self.listener.try_lock() {
                    // While nobody can be heard, the keeper tells that the store is away.
                    let _ = listener.as_mut().map(|listener| listener.step(Duration::ZERO));
                }
            }
            Part::Beat => {
                *locked(&self.beat_at) = self.house.machine.now().plus_ms(ms(self.beat));
                // A keeper that is gone has nothing to renew.
                let _ = self.to_keeper.send(Event::Beat);
            }
        }
        if self.is_dead() {
            self.clear();
        }
    }

    fn desk(&self, place: usize) {
        let Some(desk) = self.desks.get(place) else { return };
        desk.act(|it| desk.next().is_none_or(|paper| it.step(paper)));
    }

    /// As [`crate::Node::stop`]: take nothing more, and give every tenant back. It is over when
    /// [`Stepped::is_over`] says so.
    pub fn stop(&self) {
        let _ = self.to_keeper.send(Event::Stop);
    }

    /// Whether it has given everything back, or was killed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_dead() || is_gone(&self.keeper.machine)
    }

    /// All that is in memory is gone. Of what a machine is in the middle of nothing must come any
    /// more: whoever has the node sees to it that its store does nothing.
    pub fn kill(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
        self.clear();
    }

    fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }

    fn clear(&self) {
        self.keeper.clear();
        self.desks.iter().for_each(Station::clear);
        self.lanes.iter().for_each(Station::clear);
        drop(self.committer.try_lock().ok().and_then(|mut it| it.take()));
        drop(self.listener.try_lock().ok().and_then(|mut it| it.take()));
    }
}

/// Whether a machine is gone; not when it is in the middle of something.
fn is_gone<M>(machine: &Mutex<Option<M>>) -> bool {
    machine.try_lock().is_ok_and(|place| place.is_none())
}
