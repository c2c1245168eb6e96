//! Limits on how many runs are open at once, and runs that wait for others.

use cog_base::id::{RunId, TenantId};
use cog_ledger::{Entry, Kind};
use cog_sim::{Call, Mishap, Side, Town, Trap};

use crate::{LONG_MS, flow, of_kind, rest, told, town, wait_for, write, writes};

const ONE: &str = "concurrency: { key: all, limit: 1 }";
const STUCK: &str = "  - { id: go, wait_for: { signal: go } }\n";

/// The most runs that were open at once.
fn most(entries: &[Entry]) -> i32 {
    let (mut open, mut most) = (0, 0);
    for entry in entries {
        open += i32::from(entry.kind() == Kind::SessionStarted);
        open -= i32::from(entry.kind() == Kind::SessionSealed);
        most = most.max(open);
    }
    most
}

fn is_open(town: &Town, tenant: TenantId, run: RunId) -> bool {
    town.session(tenant, run).is_some_and(|session| session.status.is_none())
}

/// A run that nothing brings on holds the only place. Its node dies; when it is ended, whoever has
/// the tenant then lets the next one begin.
#[test]
fn s04_stuck_run_holds_a_key_of_one() {
    let (town, tenant) = town(2);
    let stuck = town.start(tenant, &flow("one", ONE, STUCK));
    town.run_until("it holds the key", |town| is_open(town, tenant, stuck)).unwrap();
    let next = town.start(tenant, &flow("one", ONE, &writes(1)));
    town.run_until("the next waits", |town| town.count(tenant, Kind::SessionQueued) == 2).unwrap();
    let owner = town.owner(tenant).unwrap();
    town.kill(owner, None);
    town.pass(LONG_MS).unwrap();
    assert_eq!(town.session(tenant, next), None, "the key is still held: {}", told(&town));
    town.cancel(tenant, stuck);
    wait_for(&town, tenant, &[next], "completed");
    assert_eq!(town.status(tenant, stuck).as_deref(), Some("cancelled"));
    rest(&town);
    assert_eq!(most(&town.entries(tenant)), 1);
}

/// Runs wait for the place of one that is ended while its node dies at each commit.
#[test]
fn s08_running_run_is_killed_at_its_limit_while_others_wait() {
    for after in 0..10 {
        let (town, tenant) = town(2);
        let first = town.start(tenant, &flow("one", ONE, STUCK));
        town.run_until("it is open", |town| is_open(town, tenant, first)).unwrap();
        let others: Vec<RunId> =
            (0..3).map(|_| town.start(tenant, &flow("one", ONE, &writes(1)))).collect();
        town.run_until("all wait", |town| town.count(tenant, Kind::SessionQueued) == 4)
            .unwrap_or_else(|broken| panic!("{broken}: {}", told(&town)));
        let (at, mishap) = ((Call::Commit, Side::Back), Mishap::Dies);
        town.trap(Trap { node: None, at, after, mishap });
        town.cancel(tenant, first);
        wait_for(&town, tenant, &others, "completed");
        town.disarm();
        rest(&town);
        assert_eq!(most(&town.entries(tenant)), 1, "after {after} commits");
    }
}

/// Both branches of a join end in the same moment, and no call for work is heard by anybody.
#[test]
fn s10_join_is_reached_though_no_call_is_heard() {
    let steps = "  - { id: left, wait_for: { signal: left } }\n  \
                 - { id: right, wait_for: { signal: right } }\n"
        .to_owned()
        + &write("after", "left, right");
    for cut in [None, Some(Call::Commit), Some(Call::Mail), Some(Call::Remove)] {
        let (town, tenant) = town(2);
        let run = town.start(tenant, &flow("join", "", &steps));
        town.run_until("it waits", |town| is_open(town, tenant, run)).unwrap();
        // Long enough to have left memory, and both nodes to have given the tenant up.
        town.pass(LONG_MS).unwrap();
        town.deafen(true);
        let mishap = Mishap::Takes(500);
        let traps = cut.into_iter().map(|call| Trap {
            node: None,
            at: (call, Side::Back),
            after: 0,
            mishap,
        });
        traps.for_each(|trap| town.trap(trap));
        town.signal(tenant, run, "left");
        town.signal(tenant, run, "right");
        let asked = town.now();
        wait_for(&town, tenant, &[run], "completed");
        let took = town.now().ms_since(asked);
        assert!(took < 15_000, "{cut:?}: whoever looks by itself found it after {took} ms");
        rest(&town);
        assert_eq!(of_kind(&town.entries(tenant), Kind::Signal).len(), 2);
    }
}
