//! What a long turn of the driver appends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cog_base::entropy::SeededEntropy;
use cog_base::id::{ReceiptId, RunId, TenantId, Uuid};
use cog_base::{Clock, Timestamp};
use cog_engine::driver::{Append, Broken, Reply};
use cog_engine::{Driver, Engine, Hands, Inbox, Input, Ledger, Settings, Start, Terms};
use cog_gate::snapshot::TenantStatus;
use cog_gate::{AnyEffect, Cleared};
use cog_ledger::Draft;

struct Stopped;

/// A clock that breaks when it is asked for so many times.
struct Breaks(AtomicU64);

impl Clock for Breaks {
    fn now(&self) -> Timestamp {
        assert!(self.0.fetch_sub(1, Ordering::Relaxed) > 0, "the clock broke");
        Stopped.now()
    }
}

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000)
    }
}

/// How many appends were handed over together, each time.
#[derive(Clone, Default)]
struct Sizes(Arc<Mutex<Vec<usize>>>);

impl Ledger for Sizes {
    fn submit(&self, _: Vec<(TenantId, Draft)>, _: Reply) {
        self.0.lock().unwrap().push(1);
    }

    fn submit_all(&self, appends: Vec<Append>) {
        self.0.lock().unwrap().push(appends.len());
    }
}

struct Idle;

impl Hands for Idle {
    fn perform(&self, _: RunId, _: Cleared<AnyEffect>, _: Terms, _: Inbox) {}

    fn probe(&self, _: RunId, _: ReceiptId, _: AnyEffect, _: Inbox) {}
}

fn start(number: u128) -> Input {
    let source = "name: test\ndomain: test\nsteps: [{ id: one, uses: compute, with: { a: 1 } }]\n";
    let flow = cog_flow::parse(source, "test.yaml").map_err(|errors| errors.to_string());
    Input::Start(Box::new(Start {
        run: RunId::from_uuid(Uuid::from_u128(number)),
        flow: Arc::new(flow.unwrap()),
        source: source.to_owned(),
        inputs: Default::default(),
        roots: Default::default(),
        places: Default::default(),
        base: String::new(),
        initiator: "user:ada".parse().unwrap(),
        environment: None,
        firing: None,
        labels: Default::default(),
        trigger: None,
        ask: Default::default(),
        keyed: None,
        is_queued: false,
    }))
}

#[test]
fn the_committer_has_work_while_the_rest_of_a_long_turn_is_made() {
    let tenant = TenantId::from_uuid(Uuid::from_u128(7));
    let settings = Settings { tenant, status: TenantStatus::Active };
    let engine = Engine::new(settings, Arc::new(Stopped), Box::new(SeededEntropy::new(1)));
    let sizes = Sizes::default();
    let ledger = Box::new(sizes.clone());
    let mut driver = Driver::new(engine, ledger, Box::new(Idle), Arc::new(Stopped));
    (0..70).for_each(|number| driver.inbox().send(start(number)));
    driver.turn(0).unwrap();
    assert_eq!(*sizes.0.lock().unwrap(), [32, 32, 6]);
}

#[test]
fn a_sweep_takes_in_no_more_than_others_can_wait_for() {
    let tenant = TenantId::from_uuid(Uuid::from_u128(7));
    let settings = Settings { tenant, status: TenantStatus::Active };
    let engine = Engine::new(settings, Arc::new(Stopped), Box::new(SeededEntropy::new(1)));
    let ledger = Box::new(Sizes::default());
    let mut driver = Driver::new(engine, ledger, Box::new(Idle), Arc::new(Stopped));
    (0..70).for_each(|number| driver.inbox().send(start(number)));
    let mut seen = Vec::new();
    for inputs_max in [20, 20, 20, 20] {
        let swept = driver.sweep(inputs_max, &mut Vec::new()).unwrap();
        seen.push((swept.inputs, swept.has_more, driver.taken(), driver.sent()));
    }
    let expected =
        [(20, true, 20, 70), (20, true, 40, 70), (20, true, 60, 70), (10, false, 70, 70)];
    assert_eq!(seen, expected);
}

#[test]
fn a_panic_stays_inside_and_nothing_of_it_reaches_the_ledger() {
    let tenant = TenantId::from_uuid(Uuid::from_u128(7));
    let settings = Settings { tenant, status: TenantStatus::Active };
    let whole = |asks: u64| {
        let clock = Arc::new(Breaks(AtomicU64::new(asks)));
        let entropy = Box::new(SeededEntropy::new(1));
        let engine = Engine::new(settings.clone(), Arc::new(Stopped), entropy);
        let sizes = Sizes::default();
        let ledger = Box::new(sizes.clone());
        let mut driver = Driver::new(engine, ledger, Box::new(Idle), clock);
        (0..3).for_each(|number| driver.inbox().send(start(number)));
        let said = [driver.turn(0), driver.turn(0)].map(|turn| turn.map(drop));
        let appended = sizes.0.lock().unwrap().clone();
        (said, appended)
    };
    let broken = Err(Broken::Panicked("the clock broke".to_owned()));
    let mut asks = 0;
    // Wherever it breaks, also when the runs were begun and are not handed over yet.
    let appended = loop {
        let (said, appended) = whole(asks);
        if said != [broken.clone(), broken.clone()] {
            break appended;
        }
        assert_eq!(appended, [0; 0], "after {asks}");
        asks += 1;
    };
    assert!(asks >= 2, "{asks}");
    assert_eq!(appended, [3]);
}
