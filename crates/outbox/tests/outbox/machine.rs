//! One consumer, step by step.

use std::sync::Arc;

use cog_base::Timestamp;
use cog_conformance::tenant;
use cog_events::{Event, Types};
use cog_outbox::{Machine, Notice, Page, Policy, Step, Verdict, page};
use cog_store::{Cursor, Keep, MemoryStore, Store as _, StoreError};

use crate::house::{at, events, filled};

/// A machine that follows the log of tenant 1, and its store.
struct Desk {
    machine: Machine,
    store: MemoryStore,
    now: Timestamp,
}

impl Desk {
    fn new(runs: u64, effects: u64) -> Self {
        let store = filled(1, runs, effects);
        let mut machine = Machine::new(Policy::default());
        let cursor = Cursor { consumer: "c".to_owned(), next: 0, fence: 7, dead_letters: 0 };
        machine.follow(tenant(1), &cursor, size(&store));
        Self { machine, store, now: at(0) }
    }

    /// The next step that is not to read; reading is done.
    fn step(&mut self) -> Step {
        loop {
            match self.machine.next(self.now) {
                Step::Read { tenant, from, limit } => {
                    let log = self.store.scope(tenant).unwrap();
                    let page = page(&*log, from, limit, &Types::all()).unwrap();
                    self.machine.read(tenant, page, self.now);
                }
                other => return other,
            }
        }
    }

    fn batch(&mut self) -> Vec<Arc<Event>> {
        match self.step() {
            Step::Deliver(batch) => batch,
            other => panic!("{other:?} is no delivery"),
        }
    }

    fn answer(&mut self, verdicts: Vec<Verdict>) {
        self.machine.delivered(verdicts, self.now);
    }

    fn wait(&mut self) -> u64 {
        match self.step() {
            Step::Wait { until: Some(until) } => {
                let ms = until.ms_since(self.now);
                self.now = until;
                ms
            }
            other => panic!("{other:?} is no waiting"),
        }
    }
}

fn size(store: &dyn Keep) -> u64 {
    store.scope(tenant(1)).unwrap().checkpoint().unwrap().unwrap().size()
}

fn seqs(batch: &[Arc<Event>]) -> Vec<u64> {
    batch.iter().map(|event| event.seq()).collect()
}

fn refused() -> Verdict {
    Verdict::Refused("no queue".to_owned())
}

fn lost() -> Verdict {
    Verdict::Lost("no broker".to_owned())
}

#[test]
fn each_delivery_has_one_event_of_each_run() {
    // Genesis, two beginnings, two receipts, evidence, two outcomes, two seals.
    let mut desk = Desk::new(2, 1);
    let mut batches = Vec::new();
    loop {
        match desk.step() {
            Step::Deliver(batch) => {
                batches.push(seqs(&batch));
                desk.answer(vec![Verdict::Confirmed; batch.len()]);
            }
            Step::Wait { until: Some(_) } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(batches, [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7], vec![8, 9]]);
    assert_eq!(desk.wait(), 200);
    let Step::Move { step, .. } = desk.step() else { panic!("the cursor is not moved") };
    assert_eq!((step.fence, step.next), (7, 10));
    desk.machine.moved(tenant(1), Ok(()), desk.now);
    assert_eq!(desk.step(), Step::Wait { until: None });
}

impl Desk {
    /// The next delivery, however long it takes, with everything recorded on the way.
    fn later(&mut self) -> Vec<Arc<Event>> {
        loop {
            match self.step() {
                Step::Deliver(batch) => return batch,
                Step::Move { tenant, .. } => self.machine.moved(tenant, Ok(()), self.now),
                Step::Wait { until } => self.now = until.unwrap(),
                Step::Read { .. } => panic!("that was done"),
            }
        }
    }
}

#[test]
fn a_refused_event_is_tried_three_times_further_and_further_apart_and_then_given_up() {
    let mut desk = Desk::new(2, 1);
    let (mut tried, mut others) = (Vec::new(), Vec::new());
    while tried.len() < 3 {
        let batch = desk.later();
        let verdict = |event: &Arc<Event>| {
            if event.seq() == 1 { refused() } else { Verdict::Confirmed }
        };
        for event in &batch {
            if event.seq() == 1 {
                tried.push(desk.now.ms_since(at(0)));
            } else {
                others.push(event.seq());
            }
        }
        desk.answer(batch.iter().map(verdict).collect());
    }
    assert_eq!(tried, [0, 200, 600]);
    // The other run went on to its end meanwhile, this one waited.
    assert_eq!(others, [0, 2, 4, 5, 7, 9]);
    let why = "no queue".to_owned();
    assert!(desk.machine.notices().contains(&Notice::GivenUp { tenant: tenant(1), seq: 1, why }));
    assert_eq!(seqs(&desk.later()), [3]);
}

#[test]
fn what_was_given_up_is_recorded_at_once_with_the_step() {
    let mut desk = Desk::new(1, 0);
    assert_eq!(seqs(&desk.batch()), [0, 1]);
    desk.answer(vec![Verdict::Confirmed, refused()]);
    for _ in 0..2 {
        assert_eq!(seqs(&desk.later()), [1]);
        desk.answer(vec![refused()]);
    }
    let Step::Move { step, .. } = desk.step() else { panic!("nothing is recorded") };
    assert_eq!(step.next, 2);
    assert_eq!((step.dead[0].seq, step.dead[0].attempts), (1, 3));
    desk.machine.moved(tenant(1), Ok(()), desk.now);
    assert_eq!(seqs(&desk.batch()), [2]);
}

#[test]
fn a_consumer_that_is_away_gets_no_dead_letters_but_time() {
    let mut desk = Desk::new(2, 1);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let batch = desk.batch();
        assert_eq!(batch[0].seq(), 0);
        desk.answer(vec![lost(); batch.len()]);
        waits.push(desk.wait());
    }
    assert_eq!(waits, [200, 400, 800, 1_600, 30_000, 30_000, 30_000, 30_000]);
    let opened = Notice::Opened { why: "no broker".to_owned() };
    assert_eq!(desk.machine.notices().first(), Some(&opened));
    // One event is tried; then all is as before.
    assert_eq!(seqs(&desk.batch()), [0]);
    desk.answer(vec![Verdict::Confirmed]);
    assert_eq!(desk.machine.notices().last(), Some(&Notice::Closed));
    assert_eq!(seqs(&desk.batch()), [1, 2, 5]);
}

#[test]
fn a_delivery_that_was_cut_short_goes_on_where_nothing_was_confirmed() {
    let mut desk = Desk::new(2, 1);
    assert_eq!(seqs(&desk.batch()), [0, 1, 2]);
    desk.answer(vec![Verdict::Confirmed, lost()]);
    assert_eq!(desk.wait(), 200);
    // The cursor is recorded where the first is that nobody answers for.
    let Step::Move { step, .. } = desk.step() else { panic!("the cursor is not moved") };
    assert_eq!(step.next, 1);
    desk.machine.moved(tenant(1), Ok(()), desk.now);
    assert_eq!(seqs(&desk.batch()), [1, 2, 5]);
}

#[test]
fn who_was_overtaken_delivers_nothing_more() {
    let mut desk = Desk::new(2, 1);
    let batch = desk.batch();
    desk.answer(vec![Verdict::Confirmed; batch.len()]);
    desk.now = at(60_000);
    let Step::Move { .. } = desk.step() else { panic!("the cursor is not moved") };
    let overtaken = StoreError::Overtaken { tenant: tenant(1), consumer: "c".to_owned() };
    desk.machine.moved(tenant(1), Err(overtaken), desk.now);
    assert_eq!(desk.machine.notices(), [Notice::Overtaken { tenant: tenant(1) }]);
    assert_eq!(desk.step(), Step::Wait { until: None });
}

#[test]
fn a_store_in_trouble_is_asked_again() {
    let mut desk = Desk::new(1, 0);
    let error = || StoreError::io("write", "no disk");
    desk.machine.next(desk.now);
    desk.machine.unread(tenant(1), &error(), desk.now);
    assert_eq!(desk.wait(), 10_000);
    let batch = desk.batch();
    desk.answer(vec![Verdict::Confirmed; batch.len()]);
    desk.now = desk.now.plus_ms(200);
    let Step::Move { step, .. } = desk.step() else { panic!("the cursor is not moved") };
    desk.machine.moved(tenant(1), Err(error()), desk.now);
    // Deliveries go on meanwhile.
    let batch = desk.batch();
    desk.answer(vec![Verdict::Confirmed; batch.len()]);
    assert_eq!(desk.wait(), 10_000);
    let Step::Move { step: again, .. } = desk.step() else { panic!("it is not tried again") };
    assert!(again.next > step.next);
}

#[test]
fn logs_take_turns_and_share_a_delivery() {
    let store = filled(3, 40, 1);
    let mut machine = Machine::new(Policy::default());
    for number in 1..=3 {
        let cursor = Cursor { consumer: "c".to_owned(), next: 1, fence: 1, dead_letters: 0 };
        machine.follow(tenant(number), &cursor, 41);
    }
    let mut firsts = Vec::new();
    for _ in 0..3 {
        let batch = loop {
            match machine.next(at(0)) {
                Step::Read { tenant, from, limit } => {
                    let log = store.scope(tenant).unwrap();
                    let page = page(&*log, from, limit.min(40), &Types::all()).unwrap();
                    machine.read(tenant, page, at(0));
                }
                Step::Deliver(batch) => break batch,
                other => panic!("{other:?}"),
            }
        };
        assert!(batch.len() <= 64);
        let of = |number| batch.iter().filter(|event| event.tenant() == tenant(number)).count();
        let shares = [of(1), of(2), of(3)];
        assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1, "{shares:?}");
        firsts.push(batch[0].tenant());
        machine.delivered(vec![Verdict::Confirmed; batch.len()], at(0));
        if firsts.len() == 1 {
            continue;
        }
        break;
    }
    assert_eq!(firsts, [tenant(1), tenant(2)]);
}

#[test]
fn what_is_held_has_a_maximum_however_long_the_log_is() {
    let policy = Policy { read_max: 100, window_max: 300, ..Policy::default() };
    let store = filled(1, 1, 500);
    let all = events(&store, tenant(1));
    let mut machine = Machine::new(policy);
    let cursor = Cursor { consumer: "c".to_owned(), next: 0, fence: 1, dead_letters: 0 };
    machine.follow(tenant(1), &cursor, all.len() as u64);
    let mut read_to = 0;
    // The first of the run is refused for ever; only what is outside the run goes on.
    for ms in 0..200_000 {
        match machine.next(at(ms)) {
            Step::Read { tenant, from, limit } => {
                let log = store.scope(tenant).unwrap();
                let page: Page = page(&*log, from, limit, &Types::all()).unwrap();
                read_to = page.next;
                machine.read(tenant, page, at(ms));
            }
            Step::Deliver(batch) => {
                let of_run = |event: &Arc<Event>| event.lane().starts_with("run_");
                let verdict = |event| if of_run(event) { lost() } else { Verdict::Confirmed };
                machine.delivered(batch.iter().map(verdict).collect(), at(ms));
            }
            Step::Move { tenant, step } => {
                assert!(step.next <= 1);
                machine.moved(tenant, Ok(()), at(ms));
            }
            Step::Wait { .. } => {}
        }
    }
    assert!(read_to <= 301, "read to {read_to}");
}
