//! Who owns a log, and who only believes it.

use cog_ledger::Kind;
use cog_node::Told;
use cog_sim::{Call, Mishap, Plan, Side, Town, Trap};

use crate::{LONG_MS, flow, rest, town, town_of, wait_for, write, writes};

/// The length of claims in a staged town.
const LEASE_MS: u64 = 8_000;

/// The database goes away at each call, one after the other, by which a node takes up the runs of
/// a dead one.
#[test]
fn s01_database_restarts_in_the_middle_of_recovery() {
    let mut points = 0;
    loop {
        let (town, tenant) = town(2);
        let source = flow("pages", "", &writes(3));
        let runs = [town.start(tenant, &source), town.start(tenant, &source)];
        town.run_until("an effect is under way", |town| town.in_hand() > 0).unwrap();
        let owner = town.owner(tenant).unwrap();
        town.kill(owner, None);
        let calls = [Call::Scope, Call::Read, Call::Parked, Call::Mail];
        let call = calls[points % calls.len()];
        let (after, mishap) = ((points / calls.len()) as u64, Mishap::Restart(3_000));
        let trap = Trap { node: Some(1 - owner), at: (call, Side::There), after, mishap };
        town.trap(trap);
        wait_for(&town, tenant, &runs, "completed");
        let was_sprung = town.is_sprung();
        town.disarm();
        rest(&town);
        if !was_sprung && points > 16 {
            break;
        }
        points += 1;
        assert!(points < 400);
    }
    assert!(points > 16, "{points} points");
}

/// The second node is given the tenant while the answer to the first is on its way for longer than
/// the claim lasts. Which look for work finds the tenant is not known before: each is late once.
#[test]
fn s02_two_nodes_recover_the_same_dead_node_from_the_same_stale_list() {
    let claims = |late: u64| {
        let (town, tenant) = town(3);
        let runs = [town.start(tenant, &flow("pages", "", &writes(3)))];
        town.run_until("an effect is under way", |town| town.in_hand() > 0).unwrap();
        let dead = town.owner(tenant).unwrap();
        town.kill(dead, None);
        town.pass(LEASE_MS - 2_000).unwrap();
        let mishap = Mishap::Takes(LEASE_MS + 2_000);
        town.trap(Trap { node: None, at: (Call::Claim, Side::Back), after: late, mishap });
        wait_for(&town, tenant, &runs, "completed");
        town.pass(LONG_MS).unwrap();
        town.disarm();
        let claimed = |(_, told): &&(usize, Told)| matches!(told, Told::Claimed { .. });
        let told = town.told();
        let nodes: Vec<usize> = told.iter().filter(claimed).map(|(node, _)| *node).collect();
        assert!(nodes.contains(&dead));
        rest(&town);
        assert_eq!(town.done(tenant), 3, "each page once");
        nodes.len()
    };
    let claims: Vec<usize> = (0..4).map(claims).collect();
    assert!(claims.contains(&3), "both of the others were given it: {claims:?}");
}

/// A node is told to stop while an effect is under way, and another of its name starts.
#[test]
fn s03_new_node_starts_while_the_old_twin_of_its_name_drains() {
    let (town, tenant) = town(1);
    town.slow_down(20);
    let runs = [town.start(tenant, &flow("pages", "", &writes(2)))];
    town.run_until("an effect is under way", |town| town.in_hand() > 0).unwrap();
    town.drain(0);
    town.start_node(0);
    town.slow_down(1);
    wait_for(&town, tenant, &runs, "completed");
    rest(&town);
    assert_eq!(town.done(tenant), 2);
    let started = town.entries(tenant);
    assert_eq!(crate::of_kind(&started, Kind::SessionStarted).len(), 1);
}

/// A node stands still, clock and all, while an effect is under way. Another takes over and settles
/// what it finds; then the first goes on and says what came of it.
#[test]
fn s05_slow_node_reports_after_its_claim_was_taken() {
    for posts in [false, true] {
        let (town, tenant) = town(2);
        let post = "  - { id: w0, uses: http.request, with: { url: \"https://sim.example/a\", \
                    method: POST, body: x }, on_error: continue }\n";
        let steps = if posts { post.to_owned() + &write("w1", "w0") } else { writes(2) };
        let run = town.start(tenant, &flow("pages", "", &steps));
        town.run_until("an effect is under way", |town| town.in_hand() > 0).unwrap();
        let slow = town.owner(tenant).unwrap();
        town.stop_clock(slow, true);
        town.pause(slow, 4 * LEASE_MS);
        town.pass(2 * LEASE_MS).unwrap();
        assert_eq!(town.owner(tenant), Some(1 - slow), "the other has it");
        town.pass(2 * LEASE_MS).unwrap();
        town.stop_clock(slow, false);
        town.run_until("the run ends", |town| town.status(tenant, run).is_some()).unwrap();
        town.pass(LONG_MS).unwrap();
        let lets_go = |(node, told): &(usize, Told)| {
            *node == slow && matches!(told, Told::Lost { .. } | Told::Released { .. })
        };
        assert!(town.told().iter().any(lets_go), "the slow one lets go of it");
        rest(&town);
        let entries = town.entries(tenant);
        let receipts = crate::of_kind(&entries, Kind::Receipt).len();
        assert_eq!(crate::of_kind(&entries, Kind::Outcome).len(), receipts);
    }
}

/// The node dies at each commit of a run that has children: before it is kept, and after.
#[test]
fn s06_crash_between_children_done_and_parent_advanced() {
    let child = flow("child", "", &writes(1));
    let steps = "  - id: child\n    foreach: \"${{ ['one', 'two'] }}\"\n    \
                 run: { workflow: child.yaml }\n"
        .to_owned()
        + &write("after", "child");
    let family = flow("family", "", &steps);
    let mut open = |_: &str, name: &str| {
        let (id, file, text) = (name.to_owned(), name.to_owned(), child.clone());
        Ok(cog_flow::Opened { id, file, text })
    };
    let read = cog_flow::parse(&family, "family.yaml").unwrap();
    let read = read.with_children("family.yaml", &mut open).unwrap();
    let (mut point, mut parents) = (0, 0);
    loop {
        let side = if point % 2 == 0 { Side::There } else { Side::Back };
        let (town, tenant) = town_of(Plan::staged(point, 2, 1));
        let mut wanted = town.wanted(&family);
        wanted.children = read.children_record();
        let run = wanted.run;
        let (at, after) = ((Call::Commit, side), point / 2);
        town.trap(Trap { node: None, at, after, mishap: Mishap::Dies });
        town.ask(tenant, &cog_node::Request::Start(Box::new(wanted)));
        wait_for(&town, tenant, &[run], "completed");
        let was_sprung = town.is_sprung();
        town.disarm();
        rest(&town);
        assert_eq!(town.done(tenant), 3, "each child once, and the parent");
        parents += 1;
        if !was_sprung {
            break;
        }
        point += 1;
    }
    assert!(parents > 12, "the node dies at {parents} commits");
}

/// A node dies while a run sleeps, and at each commit and each removal of mail around it: what was
/// acknowledged is there.
#[test]
fn s13_kill_during_a_sleep_and_after_a_job_was_acknowledged() {
    let steps =
        write("a", "") + "  - { id: nap, needs: [a], sleep: { ms: 20000 } }\n" + &write("b", "nap");
    for at in [(Call::Commit, Side::Back), (Call::Remove, Side::There), (Call::Remove, Side::Back)]
    {
        for after in 0..4 {
            let (town, tenant) = town(2);
            town.trap(Trap { node: None, at, after, mishap: Mishap::Dies });
            let run = town.start(tenant, &flow("nap", "", &steps));
            let has_slept = |town: &Town| town.count(tenant, Kind::Outcome) > 0;
            town.run_until("the first step is done", has_slept).unwrap();
            town.pass(3_000).unwrap();
            town.owner(tenant).into_iter().for_each(|owner| town.kill(owner, Some(1_000)));
            wait_for(&town, tenant, &[run], "completed");
            town.disarm();
            rest(&town);
            assert_eq!(town.done(tenant), 2, "{at:?} {after}");
        }
    }
}

/// A run that is over stays as it is, wherever its node died after the seal.
#[test]
fn s17_finished_run_does_not_turn_into_a_crashed_one_at_the_next_start() {
    for call in [Call::Remove, Call::Mail, Call::Renew, Call::Scope] {
        let (town, tenant) = town(2);
        let run = town.start(tenant, &flow("pages", "", &writes(1)));
        wait_for(&town, tenant, &[run], "completed");
        let sealed = town.entries(tenant);
        town.trap(Trap { node: None, at: (call, Side::There), after: 0, mishap: Mishap::Dies });
        town.pass(3_000).unwrap();
        town.disarm();
        (0..2).for_each(|node| town.kill(node, Some(500)));
        town.pass(LONG_MS).unwrap();
        rest(&town);
        assert_eq!(town.entries(tenant), sealed, "{call:?}: nothing was added");
        assert_eq!(town.done(tenant), 1);
    }
}

/// The answer to the commit of the first canon is lost, and there is more mail at once: it is in force
/// once.
#[test]
fn first_canon_of_which_the_answer_is_lost_comes_in_force_once() {
    for seed in 0..12 {
        let town = Town::new(Plan::staged(seed, 2, 1)).unwrap();
        let tenant = town.tenant(0);
        let (at, mishap) = ((Call::Commit, Side::Back), Mishap::Lost);
        town.trap(Trap { node: None, at, after: 0, mishap });
        town.found(0);
        let run = town.start(tenant, &flow("pages", "", &writes(1)));
        let is_called = |town: &Town| {
            // Calls for work go on while the engine is let go of.
            town.call(tenant);
            town.status(tenant, run).is_some() || town.count(tenant, Kind::CanonActivated) > 1
        };
        town.run_until("the run ends", is_called).unwrap();
        assert_eq!(town.count(tenant, Kind::CanonActivated), 1, "seed {seed}");
        rest(&town);
    }
}
