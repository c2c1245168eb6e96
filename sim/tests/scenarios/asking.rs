//! People and what they were asked, over lives, releases and forks.

use std::collections::BTreeSet;

use cog_base::id::ApprovalId;
use cog_engine::fork::Fork;
use cog_ledger::{Entry, Kind};
use cog_node::{Forked, Request, Told};
use cog_sim::Town;

use crate::{LONG_MS, flow, of_kind, rest, told, town, wait_for, write, writes};

/// A run is held, every node of one release ends, and nodes of the next one start. The run stays as
/// it is until somebody lets it go on.
#[test]
fn s09_paused_run_across_an_upgrade() {
    let (town, tenant) = town(2);
    town.slow_down(10);
    let run = town.start(tenant, &flow("pages", "", &writes(3)));
    town.run_until("an effect is under way", |town| town.in_hand() > 0).unwrap();
    town.hold(tenant, run, true);
    town.run_until("it is held", |town| town.count(tenant, Kind::SessionPaused) == 1).unwrap();
    town.pass(LONG_MS).unwrap();
    let before = town.done(tenant);
    (0..2).for_each(|node| town.drain(node));
    town.pass(LONG_MS).unwrap();
    town.upgrade("cognitionos/sim-next");
    (0..2).for_each(|node| town.start_node(node));
    town.pass(LONG_MS).unwrap();
    assert_eq!(town.done(tenant), before, "nothing is done while it is held");
    assert_eq!(town.status(tenant, run), None);
    town.hold(tenant, run, false);
    wait_for(&town, tenant, &[run], "completed");
    rest(&town);
    assert_eq!(town.done(tenant), 3);
    let entries = town.entries(tenant);
    let releases: BTreeSet<&str> = entries.iter().map(Entry::engine).collect();
    assert_eq!(releases.len(), 2, "{releases:?}");
}

fn approvals(entries: &[Entry]) -> Vec<ApprovalId> {
    let asked = of_kind(entries, Kind::ApprovalRequested).into_iter();
    asked.map(|entry| entry.id().unwrap().parse().unwrap()).collect()
}

/// A run goes on from before the place where another was approved: people are asked again, and
/// what they said of the first counts for nothing.
#[test]
fn s14_replay_from_before_an_approval_asks_again() {
    let (town, tenant) = town(2);
    let sign = "  - { id: sign, needs: [w0], approve: { by: [\"role:finance\"], count: 1, message: Go? } }\n";
    let source = flow("sign", "", &(write("w0", "") + sign + &write("w1", "sign")));
    let run = town.start(tenant, &source);
    town.run_until("it asks", |town| approvals(&town.entries(tenant)).len() == 1).unwrap();
    let first = approvals(&town.entries(tenant))[0];
    town.answer(tenant, run, first);
    wait_for(&town, tenant, &[run], "completed");
    // The place is where the first page was written.
    let entries = town.entries(tenant);
    let place = of_kind(&entries, Kind::Outcome)[0].seq();
    let other = town.wanted(&source).run;
    let forked = Forked {
        run: other,
        fork: Fork { session: run, seq: place, step: None },
        given: Default::default(),
        places: [("out".to_owned(), "/srv/out".to_owned())].into(),
        initiator: "user:operator".parse().unwrap(),
    };
    town.ask(tenant, &Request::Fork(Box::new(forked)));
    town.run_until("it asks again", |town| approvals(&town.entries(tenant)).len() == 2).unwrap();
    // Whoever has the tenant next asks for the same.
    let owner = town.owner(tenant).unwrap();
    town.kill(owner, Some(1_000));
    town.answer(tenant, other, first);
    town.pass(LONG_MS).unwrap();
    assert_eq!(town.status(tenant, other), None, "the answer of the first is not used");
    let asked = approvals(&town.entries(tenant));
    assert_eq!((asked.len(), asked[0]), (2, first));
    assert_ne!(asked[1], first);
    town.answer(tenant, other, asked[1]);
    wait_for(&town, tenant, &[other], "completed");
    rest(&town);
    assert_eq!(town.done(tenant), 3, "the first page is taken over, the second is written by each");
}

/// How many runs have left memory.
fn parked(town: &Town) -> usize {
    let of = |(_, told): (usize, Told)| if let Told::Parked { runs, .. } = told { runs } else { 0 };
    town.told().into_iter().map(of).sum()
}

/// What is said to a run in the very beat in which it would leave memory is heard, also by a machine
/// that was kept waiting and hears both at once.
#[test]
fn signal_reaches_a_run_that_is_about_to_leave_memory() {
    /// How often claims are renewed, and dormant runs looked for.
    const BEAT_MS: u64 = 1_000;
    let (town, tenant) = town(1);
    let source = flow("paid", "", "  - { id: paid, wait_for: { signal: payment } }\n");
    let (mut left, mut stayed) = (0, 0);
    for ms in (0..24).cycle().take(96) {
        // One that leaves tells when the beat is. The next leaves two beats behind it.
        let before = parked(&town);
        let first = town.start(tenant, &source);
        town.run_until("it has left", |town| parked(town) > before).unwrap();
        let run = town.start(tenant, &source);
        town.pass(2 * BEAT_MS - 12 + ms).unwrap();
        match parked(&town) - before {
            1 => stayed += 1,
            _ => left += 1,
        }
        for run in [first, run] {
            town.signal(tenant, run, "payment");
        }
        town.pass(4 * BEAT_MS).unwrap();
        for run in [first, run] {
            let status = town.status(tenant, run);
            assert_eq!(status.as_deref(), Some("completed"), "{ms} ms on: {}", told(&town));
        }
    }
    assert!(left > 16 && stayed > 16, "{left} had left memory, {stayed} had not");
    rest(&town);
}
