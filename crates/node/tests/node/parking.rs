//! Runs that leave memory while they wait, and come back when they are due or asked for.

use std::time::{Duration, Instant};

use cog_base::id::{ApprovalId, RunId, TenantId};
use cog_node::{Request, Settings, Told};

use crate::town::{House, Town, tenant, wait};

const SIGN: &str = "  - { id: sign, approve: { by: [\"user:head-of-archive\"], count: 1, \
    message: \"Go on?\" } }\n  - { id: w, needs: [sign], uses: file.write, \
    as: \"agent:archivist\", with: { root: archive, path: p, mode: create, text: x } }\n";
const NAP_MS: u64 = 4_000;

/// A node whose runs leave memory soon.
fn node(town: &Town, name: &str) -> House {
    town.node_with(name, |settings: &mut Settings| settings.stay = Duration::from_secs(1))
}

/// Wait until so many runs have left memory.
fn parked(house: &House, runs: usize) {
    let mut left = runs;
    while left > 0 {
        let told = house.wait_for(|told| matches!(told, Told::Parked { .. }));
        let Told::Parked { runs, .. } = told else { return };
        left = left.checked_sub(runs).unwrap();
    }
}

fn agree(town: &Town, tenant: TenantId, run: RunId, approval: ApprovalId) {
    let who = "user:head-of-archive".parse().unwrap();
    town.request(
        tenant,
        &Request::Answer { run, approval, who, verdict: Ok(cog_base::json::Map::new()) },
    );
}

pub(super) fn a_run_that_waits_for_somebody_leaves_memory_and_comes_back_when_asked(town: &Town) {
    let house = node(town, "one");
    let tenant = tenant(1);
    let runs: Vec<RunId> = (0..20).map(|_| town.start_steps(tenant, SIGN)).collect();
    let approvals: Vec<_> = runs.iter().map(|run| town.approval(tenant, *run)).collect();
    parked(&house, runs.len());
    let (first, rest) = (0, 1..runs.len());
    agree(town, tenant, runs[first], approvals[first]);
    assert_eq!(town.end(tenant, runs[first]), "completed");
    house.node.stop();
    // Who has the tenant next has none of them in memory.
    let house = node(town, "two");
    let opened = Told::Opened { tenant, runs: 0 };
    house.wait_for(|told| *told == opened);
    for at in rest {
        agree(town, tenant, runs[at], approvals[at]);
    }
    for run in &runs {
        assert_eq!(town.end(tenant, *run), "completed");
    }
    town.wait_for_empty_mail();
    house.node.stop();
    assert_eq!(town.world.counts(), [1; 20]);
    assert_eq!(town.assert_whole(tenant), ["completed"; 20]);
}

pub(super) fn a_run_that_sleeps_leaves_memory_and_goes_on_in_time(town: &Town) {
    let house = node(town, "one");
    let tenant = tenant(1);
    let nap = format!("  - {{ id: nap, sleep: {{ ms: {NAP_MS} }} }}\n");
    let begun = Instant::now();
    let run = town.start_steps(tenant, &nap);
    parked(&house, 1);
    assert_eq!(town.end(tenant, run), "completed");
    assert!(begun.elapsed() >= Duration::from_millis(NAP_MS));
    // The tenant stays where it is while one of its runs has a time, and the next node knows it.
    let run = town.start_steps(tenant, &nap);
    parked(&house, 1);
    house.node.stop();
    let house = node(town, "two");
    assert_eq!(town.end(tenant, run), "completed");
    house.node.stop();
    town.assert_whole(tenant);
}

pub(super) fn what_is_said_to_a_run_as_it_leaves_memory_is_heard(town: &Town) {
    let house = node(town, "one");
    let tenant = tenant(1);
    let runs: Vec<RunId> = (0..200).map(|_| town.start_steps(tenant, SIGN)).collect();
    // Some are answered before they leave, some as they leave, some after.
    for run in &runs {
        let approval = town.approval(tenant, *run);
        agree(town, tenant, *run, approval);
        std::thread::sleep(Duration::from_millis(10));
    }
    for run in &runs {
        assert_eq!(town.end(tenant, *run), "completed");
    }
    wait("the mail is gone", || town.mail() == 0);
    house.node.stop();
    assert_eq!(town.assert_whole(tenant), ["completed"; 200]);
}

on_each_store! {
    a_run_that_waits_for_somebody_leaves_memory_and_comes_back_when_asked,
    a_run_that_sleeps_leaves_memory_and_goes_on_in_time,
    what_is_said_to_a_run_as_it_leaves_memory_is_heard,
}
