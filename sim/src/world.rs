//! The simulated program: engines of several tenants, the committer that they share, and crashes.

use cog_base::Timestamp;
use cog_base::entropy::SeededEntropy;
use cog_base::id::{TenantId, Uuid};
use cog_engine::Input;

use crate::apart;
use crate::check::Broken;
use crate::common::{Answer, CRASHES_MAX, Common};
use crate::counts::Summary;
use crate::disk::Disk;
use crate::house::{Event, House};
use crate::scenario::{LONG_RUNS_MAX, RUNS_MAX, TENANTS_MAX};

/// One world in so many has a tenant with many runs: enough to prune.
const LONG_ONE_IN: u64 = 32;
/// How often operators come when everything has come to rest.
const RESTS_MAX: u64 = 2;
/// One world in so many has the embedded store.
const EMBEDDED_ONE_IN: u64 = 12;
/// The most events of one world: beyond it the world is stuck.
const EVENTS_MAX: u64 = 20_000;

/// How often what goes wrong: once in so many.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// The process dies, at any event.
    pub crash: u64,
    /// A commit fails, or its answer is lost.
    pub commit: u64,
    /// An effect fails for a while.
    pub transient: u64,
    /// An effect fails for good.
    pub failed: u64,
    /// An adapter dies, or cannot tell what it did.
    pub unclear: u64,
    /// The clock jumps.
    pub clock: u64,
    /// Somebody holds a run, at any event.
    pub pause: u64,
    /// Somebody ends a run, at any event or as it is resumed.
    pub cancel: u64,
    /// A run goes on from a place of another, at any event.
    pub fork: u64,
    /// The answer of a commit waits, and other things come before it.
    pub late: u64,
    /// What is meant for a tenant is told to another.
    pub misdirected: u64,
    /// Something is told twice.
    pub repeat: u64,
    /// An operator does something to a ledger, at any event.
    pub operate: u64,
}

/// Where the ledgers of a world are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// In memory, which is fast.
    Memory,
    /// In the embedded store, in a folder of its own.
    Embedded,
}

/// The simulated program and its surroundings.
pub struct World {
    pub(crate) common: Common,
    pub(crate) houses: Vec<House>,
    /// How often everything has come to rest.
    rests: u64,
}

/// What may happen next.
enum Next {
    Event(usize, usize),
    Start(usize),
    Commit,
    Answer,
}

impl World {
    /// A world whose whole story follows from `seed`. One in some has the embedded store.
    ///
    /// # Errors
    /// [`Broken`] when there is no folder for it.
    pub fn seeded(seed: u64) -> Result<Self, Broken> {
        let is_embedded = SeededEntropy::new(seed ^ 0xD15C).below(EMBEDDED_ONE_IN) == 0;
        Self::seeded_on(seed, if is_embedded { Store::Embedded } else { Store::Memory })
    }

    /// A world whose whole story follows from `seed`, with this store.
    ///
    /// # Errors
    /// [`Broken`] when there is no folder for it.
    pub fn seeded_on(seed: u64, store: Store) -> Result<Self, Broken> {
        let mut dice = SeededEntropy::new(seed);
        let faults = Faults {
            crash: 20 + dice.below(200),
            commit: 30 + dice.below(300),
            transient: 4 + dice.below(30),
            failed: 10 + dice.below(100),
            unclear: 20 + dice.below(100),
            clock: 30 + dice.below(100),
            pause: 100 + dice.below(400),
            cancel: 100 + dice.below(400),
            fork: 10 + dice.below(150),
            late: 2 + dice.below(30),
            misdirected: 20 + dice.below(200),
            repeat: 5 + dice.below(60),
            operate: 5 + dice.below(100),
        };
        Self::with_faults(seed, faults, store)
    }

    /// A world that fails as often as `faults` says.
    ///
    /// # Errors
    /// [`Broken`] when there is no folder for its store.
    pub fn with_faults(seed: u64, faults: Faults, store: Store) -> Result<Self, Broken> {
        let start = Timestamp::from_micros(1_795_000_000_000_000);
        let disk = Disk::new(seed ^ 0xD15C, faults.commit, store == Store::Embedded);
        let disk = disk.map_err(|what| Broken { seed, what })?;
        let mut common = Common::new(seed, faults, disk, start);
        common.counts.embedded = u64::from(store == Store::Embedded);
        let tenants = usize::try_from(2 + common.roll(2)).unwrap_or(2).min(TENANTS_MAX);
        let is_long = common.roll(LONG_ONE_IN) == 0;
        let mut houses = Vec::new();
        for number in 0..tenants {
            let tenant = TenantId::from_uuid(Uuid::from_u128(7 + number as u128));
            let most = if is_long && number == 0 { LONG_RUNS_MAX } else { RUNS_MAX };
            houses.push(House::new(&mut common, number, tenant, most));
        }
        common.counts.tenants = tenants as u64;
        Ok(Self { common, houses, rests: 0 })
    }

    /// Go on until nothing is under way, people have answered and every run has ended.
    ///
    /// # Errors
    /// [`Broken`] when that never comes.
    pub fn run_until_quiet(&mut self) -> Result<(), Broken> {
        self.found()?;
        while self.step()? {
            self.common.counts.events += 1;
            if self.common.counts.events > EVENTS_MAX {
                return Err(self.common.broken("stuck: too many events"));
            }
        }
        Ok(())
    }

    /// The ledgers as they stand, an entry a line, one tenant behind the other.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        let logs = self.houses.iter().map(|house| self.common.disk.log(house.tenant));
        let lines = logs.flat_map(|log| {
            let line = |entry: &std::sync::Arc<cog_ledger::Entry>| {
                String::from_utf8_lossy(entry.bytes()).into_owned()
            };
            log.entries().map(line).collect::<Vec<_>>()
        });
        lines.collect()
    }

    /// The entries of all runs of each tenant with their bodies, as the history checker takes them.
    #[must_use]
    pub fn records(&self) -> Vec<Vec<cog_history::Record>> {
        self.houses.iter().map(|house| house.told(&self.common)).collect()
    }

    /// Check every invariant.
    ///
    /// # Errors
    /// [`Broken`] names the first that does not hold.
    pub fn check(&self) -> Result<Summary, Broken> {
        let mut summary = self.common.counts.clone();
        summary.faults = summary.faults.plus(self.common.disk.faults());
        for house in &self.houses {
            summary = summary.plus(house.check(&self.common)?);
        }
        apart::check(&self.common, &self.houses)?;
        Ok(summary)
    }

    /// Put the canon of each tenant in force.
    fn found(&mut self) -> Result<(), Broken> {
        self.common.disk.heal();
        self.common.go_up()?;
        for house in &mut self.houses {
            house.found(&mut self.common)?;
        }
        self.common.disk.fail_again(self.common.faults.commit);
        self.houses.iter_mut().try_for_each(|house| house.boot(&mut self.common))
    }

    /// One event, chosen by the dice. Says whether there was one.
    fn step(&mut self) -> Result<bool, Broken> {
        let micros = i64::try_from(self.common.roll(2_000)).unwrap_or(0);
        self.common.clock.move_on(micros);
        if self.common.one_in(self.common.faults.clock) {
            self.jump();
        }
        if self.common.one_in(self.common.faults.crash) {
            self.crash()?;
            return Ok(true);
        }
        self.interfere()?;
        if self.common.is_dying {
            self.crash()?;
        }
        let next = self.next();
        let went_on = match next {
            Some(next) => self.take(next).map(|()| true)?,
            None => self.rest()?,
        };
        if self.common.is_dying {
            self.crash()?;
        }
        self.restart()?;
        Ok(went_on)
    }

    /// One of the tenants.
    fn some(&mut self) -> Option<(&mut House, &mut Common)> {
        let place = usize::try_from(self.common.roll(self.houses.len() as u64)).ok()?;
        Some((self.houses.get_mut(place)?, &mut self.common))
    }

    /// People hold runs, end them, and have others go on from their places.
    fn interfere(&mut self) -> Result<(), Broken> {
        let faults = self.common.faults;
        if self.common.one_in(faults.cancel) {
            self.some().map_or(Ok(()), |(house, common)| house.cancel(common))?;
        }
        if self.common.one_in(faults.pause) {
            self.some().map_or(Ok(()), |(house, common)| house.pause(common))?;
        }
        if self.common.roll(faults.fork) == 0 {
            self.some().map_or(Ok(()), |(house, common)| house.fork(common))?;
        }
        if self.common.one_in(faults.operate) {
            self.some().map_or(Ok(()), |(house, common)| house.operate(common))?;
        }
        if self.common.one_in(faults.misdirected) {
            self.misdirect()?;
        }
        Ok(())
    }

    /// What is meant for a run of one tenant is told to the engine of another.
    fn misdirect(&mut self) -> Result<(), Broken> {
        let Some((house, common)) = self.some() else { return Ok(()) };
        let Some(input) = house.of_its_own(common)? else { return Ok(()) };
        self.common.counts.faults.add("misdirected");
        let (from, common) = (input.0, &mut self.common);
        let others = self.houses.iter_mut().filter(|house| house.number != from);
        let mut others: Vec<&mut House> = others.collect();
        let place = usize::try_from(common.roll(others.len() as u64)).unwrap_or(0);
        others.get_mut(place).map_or(Ok(()), |house| house.handle(common, input.1))
    }

    fn next(&mut self) -> Option<Next> {
        let mut all = Vec::new();
        for house in &self.houses {
            all.extend((0..house.under_way.len()).map(|place| (house.number, Some(place))));
            all.extend((!house.to_start.is_empty()).then_some((house.number, None)));
        }
        let events = all.into_iter().map(|(house, place)| match place {
            Some(place) => Next::Event(house, place),
            None => Next::Start(house),
        });
        let mut next: Vec<Next> = events.collect();
        next.extend((!self.common.appends.is_empty()).then_some(Next::Commit));
        next.extend((!self.common.answers.is_empty()).then_some(Next::Answer));
        if next.is_empty() {
            return None;
        }
        let place = usize::try_from(self.common.roll(next.len() as u64)).unwrap_or(0);
        Some(next.swap_remove(place))
    }

    fn take(&mut self, next: Next) -> Result<(), Broken> {
        match next {
            Next::Event(house, place) => match self.houses.get_mut(house) {
                Some(house) => house.happen(&mut self.common, place),
                None => Ok(()),
            },
            Next::Start(house) => match self.houses.get_mut(house) {
                Some(house) => house.start(&mut self.common),
                None => Ok(()),
            },
            Next::Commit => {
                self.common.commit();
                while !self.common.answers.is_empty() {
                    if self.common.one_in(self.common.faults.late) {
                        self.common.counts.faults.add("answer.late");
                        return Ok(());
                    }
                    self.answer()?;
                }
                Ok(())
            }
            Next::Answer => self.answer(),
        }
    }

    /// Tell an engine what came of its append.
    fn answer(&mut self) -> Result<(), Broken> {
        let Some(Answer { tenant, ticket, appended }) = self.common.answers.pop_front() else {
            return Ok(());
        };
        let Some(house) = self.houses.iter_mut().find(|house| house.tenant == tenant) else {
            return Ok(());
        };
        match appended {
            Ok(entries) => {
                if self.common.one_in(self.common.faults.repeat) {
                    self.common.counts.faults.add("answer.repeated");
                    house.under_way.push(Event::Told { ticket });
                }
                house.handle(&mut self.common, Input::Committed { ticket, entries })
            }
            // What was submitted behind a lost append depends on it: the engine goes no further,
            // and the next one goes on from what the ledger says.
            Err(message) => {
                house.is_spent = true;
                self.common.is_dying |= self.common.roll(3) == 0;
                house.handle(&mut self.common, Input::NotCommitted { ticket, message })
            }
        }
    }

    /// The clock jumps forward by minutes, or back by seconds.
    fn jump(&mut self) {
        let common = &mut self.common;
        common.counts.faults.add("clock.jump");
        let forward = common.roll(2) == 0;
        let jump = i64::try_from(common.roll(120_000_000)).unwrap_or(0);
        let jump = if forward { jump } else { -(jump / 30) };
        common.clock_back_ms += jump.min(0).unsigned_abs().div_ceil(1_000);
        common.clock.move_on(jump);
    }

    /// Nothing goes on. Operators do something to what is over, and runs go on from it.
    fn rest(&mut self) -> Result<bool, Broken> {
        self.rests += 1;
        let mut went_on = false;
        for house in &mut self.houses {
            if self.rests <= RESTS_MAX && self.common.one_in(self.common.faults.operate / 20 + 1) {
                house.operate_on_what_is_over(&mut self.common)?;
                went_on = true;
            }
            if !self.common.is_dying && house.may_fork() && self.common.roll(2) > 0 {
                house.fork(&mut self.common)?;
                went_on = true;
            }
        }
        Ok(went_on)
    }

    /// The process dies: all that was in memory is gone. Another one starts.
    fn crash(&mut self) -> Result<(), Broken> {
        self.common.counts.faults.add("crash");
        if self.common.counts.faults.of("crash") >= CRASHES_MAX {
            self.common.disk.heal();
        }
        self.houses.iter_mut().for_each(|house| house.lose(&mut self.common));
        self.common.go_down();
        self.common.go_up()?;
        self.houses.iter_mut().try_for_each(|house| house.boot(&mut self.common))
    }

    /// Engines of which an append was not recorded go, and others go on from the ledger.
    fn restart(&mut self) -> Result<(), Broken> {
        for house in self.houses.iter_mut().filter(|house| house.is_spent) {
            self.common.counts.faults.add("engine.dropped");
            self.common.lives += 1;
            house.lose(&mut self.common);
            self.common.forgive(house.tenant);
            house.boot(&mut self.common)?;
        }
        Ok(())
    }
}
