//! Tenants that change hands, and a server that goes away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cog_base::Clock as _;
use cog_engine::What;
use cog_ledger::Kind;
use cog_node::Told;
use cog_services::postgres::{APPLICATION, Cluster, Database};

use crate::town::{Now, Town, Wrong, tenant, wait};

const TENANTS: u64 = 6;

fn load(town: &Town, runs: usize, pages: u64) -> Vec<(u64, cog_base::id::RunId)> {
    let all = (1..=TENANTS).flat_map(|number| std::iter::repeat_n(number, runs));
    all.map(|number| (number, town.start(tenant(number), pages))).collect()
}

fn is_permitted(told: &Told) -> bool {
    matches!(told, Told::Run { notice, .. } if matches!(notice.what, What::Permitted { .. }))
}

#[test]
fn a_node_that_stops_leaves_no_outcome_unknown_and_the_other_goes_on() {
    let town = Town::new();
    town.world.takes_ms.store(30, Ordering::Relaxed);
    let one = town.node("one");
    let runs = load(&town, 2, 8);
    one.wait_for(is_permitted);
    let two = town.node("two");
    // In the middle of everything.
    std::thread::sleep(Duration::from_millis(100));
    one.node.stop();
    let stopped = town.world.counts().len();
    assert!(stopped < runs.len() * 8, "it stopped in the middle");
    let mine = "SELECT count(*) FROM cognitionos.owner WHERE node LIKE 'one/%'";
    assert_eq!(town.database().statement(mine).unwrap(), ["0"]);
    for (number, run) in &runs {
        assert_eq!(town.end(tenant(*number), *run), "completed");
    }
    two.node.stop();
    for number in 1..=TENANTS {
        assert_eq!(town.assert_whole(tenant(number)), ["completed"; 16]);
    }
    assert_eq!(town.world.counts(), vec![1; runs.len() * 8]);
}

#[test]
fn a_node_that_was_overtaken_settles_nothing_and_the_other_does_nothing_twice() {
    let town = Town::new();
    // The effect that is under way when the claim is lost takes longer than the loss.
    town.world.takes_ms.store(1_500, Ordering::Relaxed);
    let one = town.node("one");
    let run = town.start(tenant(1), 2);
    one.wait_for(is_permitted);
    // As another node would that found the claim over, and held it for a while.
    let taken = "UPDATE cognitionos.owner SET node = 'stranger', fence = fence + 1,
        until = clock_timestamp() + interval '2500 milliseconds'";
    town.database().statement(taken).unwrap();
    one.wait_for(|told| matches!(told, Told::Lost { .. }));
    let before = town.entries(tenant(1)).len();
    wait("the effect is over", || town.world.counts() == [1]);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(town.entries(tenant(1)).len(), before, "what came of it is not recorded here");
    // When the stranger is gone, whoever has the tenant looks what was done.
    assert_eq!(town.end(tenant(1), run), "completed");
    one.node.stop();
    assert_eq!(town.assert_whole(tenant(1)), ["completed"; 2]);
    assert_eq!(town.world.counts(), [1, 1]);
}

#[test]
fn a_node_takes_over_within_three_seconds() {
    let town = Town::new();
    // Somebody claimed it and died: the claim ends by itself.
    let run = town.start(tenant(1), 1);
    let dead = "UPDATE cognitionos.owner SET node = 'dead', fence = fence + 1,
        until = clock_timestamp() + interval '2 seconds'";
    town.database().statement(dead).unwrap();
    let begun = Instant::now();
    let one = town.node("one");
    assert_eq!(town.end(tenant(1), run), "completed");
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(1_500) && took < Duration::from_secs(3), "{took:?}");
    one.node.stop();
    town.assert_whole(tenant(1));
}

#[test]
fn nodes_go_on_when_the_database_is_back() {
    let cluster = Cluster::start(&[]).unwrap();
    let town = Town::around(Database::in_cluster(&cluster.template()).unwrap());
    town.world.takes_ms.store(20, Ordering::Relaxed);
    let (one, two) = (town.node("one"), town.node("two"));
    let runs = load(&town, 2, 10);
    wait("there is load", || town.world.counts().len() > 10);
    for pause in [0, 3_000] {
        cluster.kill().unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        cluster.restart().unwrap();
        std::thread::sleep(Duration::from_millis(300));
    }
    for (number, run) in &runs {
        assert_eq!(town.end(tenant(*number), *run), "completed");
    }
    town.wait_for_empty_mail();
    one.node.stop();
    two.node.stop();
    for number in 1..=TENANTS {
        let outcomes = town.assert_whole(tenant(number));
        assert!(outcomes.iter().all(|it| it == "completed" || it == "abandoned"), "{outcomes:?}");
    }
    assert_eq!(town.world.counts(), vec![1; runs.len() * 10]);
}

#[test]
fn two_nodes_share_the_tenants() {
    let town = Town::new();
    town.world.takes_ms.store(50, Ordering::Relaxed);
    let houses = [town.node("one"), town.node("two"), town.node("three")];
    let mut runs = Vec::new();
    for number in 1..=60 {
        runs.push((tenant(number), town.start(tenant(number), 4)));
    }
    for (tenant, run) in runs {
        assert_eq!(town.end(tenant, run), "completed");
    }
    let shares = houses.map(|house| {
        house.node.stop();
        house.told.try_iter().filter(|told| matches!(told, Told::Claimed { .. })).count()
    });
    assert_eq!(shares.iter().sum::<usize>(), 60, "{shares:?}");
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
}

#[test]
fn an_engine_that_goes_over_again_and_again_is_left_alone_for_longer_each_time() {
    let town = Town::new();
    let house = town.node("one");
    let first = town.start(tenant(1), 1);
    assert_eq!(town.end(tenant(1), first), "completed");
    let say = |words: &str| town.database().statement(&format!("{words} {APPLICATION}")).unwrap();
    say("REVOKE INSERT ON cognitionos.entry FROM");
    let run = town.start(tenant(1), 1);
    std::thread::sleep(Duration::from_secs(3));
    say("GRANT INSERT ON cognitionos.entry TO");
    let claims = house.told.try_iter().filter(|told| matches!(told, Told::Claimed { .. })).count();
    assert!((3..=8).contains(&claims), "{claims} claims in three seconds");
    assert_eq!(town.end(tenant(1), run), "completed");
    house.node.stop();
    assert_eq!(town.assert_whole(tenant(1)), ["completed"; 2]);
}

#[test]
fn two_runs_with_open_receipts_are_taken_over_together() {
    let town = Town::new();
    town.world.takes_ms.store(1_000, Ordering::Relaxed);
    let one = town.node("one");
    // Pages of their own, so that neither waits for what the other holds.
    let runs = ["a", "b"].map(|name| {
        let page = |id: &str, needs: &str| {
            format!(
                "  - {{ id: {id}, {needs}uses: file.write, as: \"agent:archivist\", with: \
                 {{ root: archive, path: {name}-{id}, mode: create, text: x }} }}\n"
            )
        };
        town.start_steps(tenant(1), &(page("w1", "") + &page("w2", "needs: [w1], ")))
    });
    wait("both have a receipt", || {
        let receipts = town.entries(tenant(1));
        receipts.iter().filter(|entry| entry.kind() == Kind::Receipt).count() == 2
    });
    let taken = "UPDATE cognitionos.owner SET node = 'dead', fence = fence + 1,
        until = clock_timestamp() + interval '1 second'";
    town.database().statement(taken).unwrap();
    one.wait_for(|told| matches!(told, Told::Lost { .. }));
    drop(one.node);
    let two = town.node("two");
    for run in runs {
        assert_eq!(town.end(tenant(1), run), "completed");
    }
    two.node.stop();
    let outcomes = town.assert_whole(tenant(1));
    assert!(outcomes.iter().all(|it| it == "completed" || it == "abandoned"), "{outcomes:?}");
    assert_eq!(town.world.counts(), [1; 4]);
}

/// The clock of one machine is an hour ahead, that of the other an hour behind; each takes over from
/// one that died. What is written is dated by the database, and nothing is refused.
#[test]
fn nodes_whose_clocks_are_wrong_take_over_from_each_other() {
    let town = Town::new();
    let begun = Now.now();
    let nap = "  - { id: nap, needs: [w1], sleep: { ms: 1500 } }\n";
    let page = |id: &str, needs: &str| {
        format!(
            "  - {{ id: {id}, {needs}uses: file.write, as: \"agent:archivist\", with: \
             {{ root: archive, path: {id}, mode: create, text: x }} }}\n"
        )
    };
    let steps = page("w1", "") + nap + &page("w2", "needs: [nap], ");
    let runs: Vec<_> = (1..=3).map(|number| town.start_steps(tenant(number), &steps)).collect();
    let outcomes = |number: u64| {
        let entries = town.entries(tenant(number));
        entries.iter().filter(|entry| entry.kind() == Kind::Outcome).count()
    };
    for (name, wrong) in [("ahead", 3_600), ("behind", -3_600)] {
        let house = town.node_by(name, Arc::new(Wrong(wrong)), |_| {});
        for _ in 1..=3 {
            house.wait_for(|told| matches!(told, Told::Claimed { .. }));
        }
        wait("a step is done everywhere", || (1..=3).all(|number| outcomes(number) > 0));
        // As if it had died: nobody gives anything back.
        let dead = "UPDATE cognitionos.owner SET node = 'dead', fence = fence + 1, wanted = true,
            until = clock_timestamp() + interval '500 milliseconds'";
        town.database().statement(dead).unwrap();
        house.wait_for(|told| matches!(told, Told::Lost { .. }));
        drop(house.node);
    }
    let last = town.node_by("ahead again", Arc::new(Wrong(3_600)), |_| {});
    for (number, run) in (1..=3).zip(&runs) {
        assert_eq!(town.end(tenant(number), *run), "completed");
    }
    last.node.stop();
    let ended = Now.now();
    for number in 1..=3 {
        let outcomes = town.assert_whole(tenant(number));
        assert!(outcomes.iter().all(|it| it == "completed" || it == "abandoned"), "{outcomes:?}");
        for entry in town.entries(tenant(number)) {
            let at = entry.at();
            assert!(begun <= at && at <= ended, "{} is dated {at}", entry.kind());
            assert_ne!(entry.kind(), Kind::Denial);
        }
    }
    assert_eq!(town.world.counts(), [1; 6]);
}
