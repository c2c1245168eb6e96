//! The machine in a world that fails, from seeds: a broker that takes, refuses, goes away and
//! loses answers, a store that is in trouble, dispatchers that die or are overtaken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::Timestamp;
use cog_base::entropy::SeededEntropy;
use cog_base::id::TenantId;
use cog_conformance::tenant;
use cog_events::{Event, Inbox, Types};
use cog_outbox::{Machine, Policy, Step, Verdict, page};
use cog_store::{Cursors as _, Keep, MemoryStore, Store as _, StoreError};

use crate::house::{at, events, filled};

const SEEDS: u64 = 300;
const TENANTS: u64 = 3;

/// One life of a dispatcher.
struct Life {
    machine: Machine,
    asleep_until: Timestamp,
}

struct World<'a> {
    store: &'a MemoryStore,
    consumer: String,
    chance: SeededEntropy,
    now: Timestamp,
    lives: Vec<Life>,
    /// Everything that the broker took, in its order.
    taken: Vec<Arc<Event>>,
    /// Events that the broker never takes.
    poison: BTreeSet<(TenantId, u64)>,
    /// The broker is away until then.
    away_until: Timestamp,
    story: Vec<String>,
}

fn size(store: &MemoryStore, tenant: TenantId) -> u64 {
    store.scope(tenant).unwrap().checkpoint().unwrap().unwrap().size()
}

impl<'a> World<'a> {
    fn new(store: &'a MemoryStore, seed: u64) -> Self {
        let mut chance = SeededEntropy::new(seed);
        let mut poison = BTreeSet::new();
        for number in 1..=TENANTS {
            for _ in 0..chance.below(4) {
                poison.insert((tenant(number), chance.below(size(store, tenant(number)))));
            }
        }
        let consumer = format!("consumer {seed}");
        let mut world = Self {
            store,
            consumer,
            chance,
            now: at(0),
            lives: Vec::new(),
            taken: Vec::new(),
            poison,
            away_until: at(0),
            story: Vec::new(),
        };
        world.begin();
        world
    }

    /// A new life takes all cursors.
    fn begin(&mut self) {
        let policy = Policy { window_max: 64, read_max: 16, move_every: 8, ..Policy::default() };
        let mut machine = Machine::new(policy);
        for number in 1..=TENANTS {
            let tenant = tenant(number);
            let cursor = self.store.take_cursor(tenant, &self.consumer, 0).unwrap();
            machine.follow(tenant, &cursor, size(self.store, tenant));
        }
        self.lives.push(Life { machine, asleep_until: self.now });
    }

    /// Whether everything is recorded.
    fn is_done(&self) -> bool {
        let cursors = (1..=TENANTS).map(|number| {
            let cursors = self.store.cursors(tenant(number)).unwrap();
            let own = cursors.into_iter().find(|cursor| cursor.consumer == self.consumer);
            own.unwrap().next == size(self.store, tenant(number))
        });
        cursors.into_iter().all(|done| done)
    }

    fn run(&mut self) {
        for _ in 0..20_000 {
            if self.is_done() {
                return;
            }
            self.happen();
            let awake = self.lives.len();
            let which = usize::try_from(self.chance.below(awake as u64)).unwrap();
            if self.lives[which].asleep_until <= self.now {
                self.turn(which);
            } else {
                self.now = self.now.plus_ms(10);
            }
        }
        panic!("{} did not come to an end: {:?}", self.consumer, self.story);
    }

    fn happen(&mut self) {
        match self.chance.below(200) {
            0 => {
                self.story.push(format!("{} dies", self.lives.len()));
                self.lives.pop();
                self.begin();
            }
            // The one before goes on, and does not know.
            1 if self.lives.len() < 3 => {
                self.story.push("twin".to_owned());
                self.begin();
            }
            2 => {
                let ms = self.chance.below(40_000);
                if let Some(life) = self.lives.last_mut() {
                    life.asleep_until = self.now.plus_ms(ms);
                }
            }
            3 => self.away_until = self.now.plus_ms(self.chance.below(50_000)),
            4 => self.now = self.now.plus_ms(self.chance.below(100_000)),
            _ => {}
        }
    }

    fn turn(&mut self, which: usize) {
        let now = self.now;
        match self.lives[which].machine.next(now) {
            Step::Read { tenant, from, limit } => {
                if self.chance.below(30) == 0 {
                    let error = StoreError::io("read", "no disk");
                    return self.lives[which].machine.unread(tenant, &error, now);
                }
                let log = self.store.scope(tenant).unwrap();
                let page = page(&*log, from, limit, &Types::all()).unwrap();
                self.lives[which].machine.read(tenant, page, now);
            }
            Step::Deliver(batch) => {
                let verdicts = self.deliver(&batch);
                self.now = self.now.plus_ms(self.chance.below(20));
                self.lives[which].machine.delivered(verdicts, self.now);
            }
            Step::Move { tenant, step } => {
                let result = if self.chance.below(20) == 0 {
                    Err(StoreError::io("write", "no disk"))
                } else {
                    self.store.move_cursor(tenant, &self.consumer, &step)
                };
                self.lives[which].machine.moved(tenant, result, now);
            }
            Step::Wait { until } => {
                let until = until.unwrap_or_else(|| now.plus_ms(1_000));
                if self.lives.len() == 1 {
                    self.now = self.now.max(until);
                } else {
                    self.now = self.now.plus_ms(50);
                }
            }
        }
    }

    /// The broker takes a prefix, and its answers may be lost.
    fn deliver(&mut self, batch: &[Arc<Event>]) -> Vec<Verdict> {
        let lost = || Verdict::Lost("away".to_owned());
        if self.now < self.away_until {
            return vec![lost(); batch.len()];
        }
        let breaks = self.chance.below(8) == 0;
        let cut = if breaks { self.chance.below(batch.len() as u64 + 1) } else { u64::MAX };
        let answered = if breaks { self.chance.below(cut + 1) } else { u64::MAX };
        let mut verdicts = Vec::new();
        for (place, event) in (0..).zip(batch) {
            let is_poison = self.poison.contains(&(event.tenant(), event.seq()));
            if place < cut && !is_poison {
                self.taken.push(Arc::clone(event));
            }
            if place < answered {
                verdicts.push(if is_poison {
                    Verdict::Refused("poison".to_owned())
                } else {
                    Verdict::Confirmed
                });
            }
        }
        verdicts
    }

    fn forget(&self, number: u64) -> bool {
        self.store.drop_cursor(tenant(number), &self.consumer).unwrap()
    }

    /// Every event was taken at least once or is a dead letter; a consumer that deduplicates
    /// sees each once, and those of a run in their order.
    fn check(&self) {
        let mut inbox = Inbox::remembering(100_000);
        let mut of_lanes: BTreeMap<(TenantId, &str), Vec<u64>> = BTreeMap::new();
        for event in &self.taken {
            if inbox.take(event.id()) {
                of_lanes.entry((event.tenant(), event.lane())).or_default().push(event.seq());
            }
        }
        for (lane, seqs) in &of_lanes {
            assert!(seqs.is_sorted(), "{lane:?} of {}: {seqs:?}", self.consumer);
        }
        for number in 1..=TENANTS {
            let dead = self.store.dead_letters(tenant(number), &self.consumer, 0, 1_000).unwrap();
            let dead: Vec<u64> = dead.iter().map(|letter| letter.seq).collect();
            for event in events(self.store as &dyn Keep, tenant(number)) {
                let is_poison = self.poison.contains(&(event.tenant(), event.seq()));
                let was_taken = !inbox.take(event.id());
                assert_ne!(was_taken, is_poison, "{}: {}", self.consumer, event.id());
                assert_eq!(dead.contains(&event.seq()), is_poison, "{}", self.consumer);
            }
        }
    }
}

#[test]
fn whatever_fails_each_event_comes_at_least_once_and_runs_keep_their_order() {
    let store = filled(TENANTS, 4, 3);
    let mut again = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(&store, seed);
        world.run();
        world.check();
        (1..=TENANTS).for_each(|number| assert!(world.forget(number)));
        let mut ids: Vec<&str> = world.taken.iter().map(|event| event.id()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        again += count - ids.len();
    }
    // Otherwise the faults were none.
    assert!(again > 1_000, "{again} came again");
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    let tell = || {
        let store = filled(TENANTS, 4, 3);
        let mut world = World::new(&store, 17);
        world.run();
        world.taken.iter().map(|event| event.id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tell(), tell());
}
