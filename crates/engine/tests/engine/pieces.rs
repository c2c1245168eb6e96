//! What a long turn of the driver appends.

use std::sync::{Arc, Mutex};

use cog_base::entropy::SeededEntropy;
use cog_base::id::{ReceiptId, RunId, TenantId, Uuid};
use cog_base::{Clock, Timestamp};
use cog_engine::driver::{Append, Reply};
use cog_engine::{Driver, Engine, Hands, Inbox, Input, Ledger, Settings, Start};
use cog_gate::snapshot::TenantStatus;
use cog_gate::{AnyEffect, Cleared};
use cog_ledger::Draft;

struct Stopped;

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
    fn perform(&self, _: RunId, _: Cleared<AnyEffect>, _: Option<u64>, _: Inbox) {}

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
