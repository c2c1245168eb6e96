//! Runs that wait for their turn on nodes: the log says who does, whoever owns it.

use std::sync::atomic::Ordering;

use cog_base::id::{MailId, RunId, TenantId};
use cog_engine::Sent;
use cog_flow::Signal;
use cog_ledger::{Entry, Kind};
use cog_node::{Request, ask, of_queue};

use crate::asking::refusal;
use crate::town::{Town, canon, tenant, wait, wanted};

const PAGE: &str = "  - { id: w, uses: file.write, as: \"agent:archivist\", \
                    with: { root: archive, path: \"${{ run.id }}\", mode: create, text: x } }\n";
const WAITS: &str = "  - { id: go, wait_for: { signal: go } }\n";
const ONE: &str = "concurrency: { key: all, limit: 1 }";

/// Ask for a run of these steps, held to these limits.
fn start(town: &Town, tenant: TenantId, limits: &str, steps: &str) -> RunId {
    start_with(town, tenant, (limits, None), steps)
}

fn start_with(
    town: &Town,
    tenant: TenantId,
    (limits, priority): (&str, Option<u8>),
    steps: &str,
) -> RunId {
    let mut wanted = wanted(steps, "/srv/archive");
    let head = "domain: archive\n";
    wanted.source = wanted.source.replacen(head, &format!("{head}{limits}\n"), 1);
    wanted.priority = priority;
    let run = wanted.run;
    let request = Request::Start(Box::new(wanted));
    ask(&*town.store, tenant, MailId::from_uuid(run.uuid()), &request, None).unwrap();
    run
}

fn is_asked(town: &Town, tenant: TenantId, run: RunId, kind: Kind) -> bool {
    let scope = town.store.scope(tenant).unwrap();
    of_queue(scope.as_ref(), run, kind).unwrap().is_some()
}

fn signal(town: &Town, tenant: TenantId, run: RunId) {
    let signal = Signal {
        id: "go".to_owned(),
        name: "go".to_owned(),
        from: "user:operator".to_owned(),
        payload: cog_base::Value::Null,
    };
    let sent = Box::new(Sent { signal, subject: None });
    town.request(tenant, &Request::Signal { run, sent });
}

/// The runs in the order in which they began, and how many were open at once at most.
fn order(entries: &[Entry]) -> (Vec<RunId>, i32) {
    let (mut order, mut open, mut most) = (Vec::new(), 0, 0);
    for entry in entries {
        if entry.kind() == Kind::SessionStarted {
            order.extend(entry.session());
            open += 1;
        }
        open -= i32::from(entry.kind() == Kind::SessionSealed);
        most = most.max(open);
    }
    (order, most)
}

pub(super) fn runs_of_a_key_begin_one_after_the_other_by_priority_and_age(town: &Town) {
    town.world.takes_ms.store(20, Ordering::Relaxed);
    let tenant = tenant(1);
    town.request(tenant, &canon());
    let first = start(town, tenant, ONE, WAITS);
    let house = town.node("one");
    wait("the first has begun", || town.session(tenant, first).is_some());
    let low = start_with(town, tenant, (ONE, Some(0)), PAGE);
    let rest: Vec<RunId> = (0..3).map(|_| start(town, tenant, ONE, PAGE)).collect();
    let high = start_with(town, tenant, (ONE, Some(9)), PAGE);
    wait("all are asked for", || is_asked(town, tenant, high, Kind::SessionQueued));
    assert!(town.session(tenant, high).is_none());
    signal(town, tenant, first);
    let all: Vec<RunId> = [first, high].into_iter().chain(rest).chain([low]).collect();
    for run in &all {
        assert_eq!(town.end(tenant, *run), "completed");
    }
    town.wait_for_empty_mail();
    house.node.stop();
    assert_eq!(order(&town.entries(tenant)), (all, 1));
    town.assert_whole(tenant);
}

pub(super) fn whoever_takes_over_knows_who_waits_and_begins_each_once(town: &Town) {
    let tenant = tenant(1);
    town.request(tenant, &canon());
    let one = town.node("one");
    let first = start(town, tenant, ONE, WAITS);
    let rest: Vec<RunId> = (0..3).map(|_| start(town, tenant, ONE, PAGE)).collect();
    wait("all are asked for", || {
        rest.iter().all(|run| is_asked(town, tenant, *run, Kind::SessionQueued))
    });
    one.node.stop();
    let two = town.node("two");
    signal(town, tenant, first);
    for run in &rest {
        assert_eq!(town.end(tenant, *run), "completed");
    }
    town.wait_for_empty_mail();
    two.node.stop();
    let all: Vec<RunId> = std::iter::once(first).chain(rest).collect();
    assert_eq!(order(&town.entries(tenant)), (all, 1));
    town.assert_whole(tenant);
}

pub(super) fn a_rate_is_waited_for_though_nothing_else_goes_on(town: &Town) {
    let tenant = tenant(1);
    town.request(tenant, &canon());
    let house = town.node("one");
    let rate = "rate: { count: 1, per_seconds: 2 }";
    let runs: Vec<RunId> = (0..2).map(|_| start(town, tenant, rate, PAGE)).collect();
    for run in &runs {
        assert_eq!(town.end(tenant, *run), "completed");
    }
    house.node.stop();
    let entries = town.entries(tenant);
    let starts = entries.iter().filter(|entry| entry.kind() == Kind::SessionStarted);
    let at: Vec<_> = starts.map(Entry::at).collect();
    assert!(at[1].ms_since(at[0]) >= 2_000, "{at:?}");
    town.assert_whole(tenant);
}

pub(super) fn runs_that_wait_are_withdrawn_refused_and_displaced(town: &Town) {
    let tenant = tenant(1);
    town.request(tenant, &canon());
    let house = town.node("one");
    let first = start(town, tenant, ONE, WAITS);
    let second = start(town, tenant, ONE, WAITS);
    wait("the second is asked for", || is_asked(town, tenant, second, Kind::SessionQueued));
    let cancel = |who: &str| {
        let reason = "asked for twice".to_owned();
        Request::Cancel { run: second, who: who.parse().unwrap(), reason }
    };
    let eve = town.request(tenant, &cancel("user:eve"));
    let why = refusal(town, eve);
    assert!(why.contains("It takes user:operator"), "{why}");
    town.request(tenant, &cancel("user:operator"));
    wait("it is withdrawn", || is_asked(town, tenant, second, Kind::SessionUnqueued));
    let refuse = "concurrency: { key: all, limit: 1, when_full: refuse }";
    let third = start(town, tenant, refuse, WAITS);
    wait("the third is refused", || is_asked(town, tenant, third, Kind::SessionUnqueued));
    let cancels = "concurrency: { key: all, limit: 1, when_full: cancel_running }";
    let fourth = start(town, tenant, cancels, PAGE);
    assert_eq!(town.end(tenant, first), "cancelled");
    assert_eq!(town.end(tenant, fourth), "completed");
    town.wait_for_empty_mail();
    house.node.stop();
    town.assert_whole(tenant);
}

on_each_store! {
    runs_of_a_key_begin_one_after_the_other_by_priority_and_age,
    whoever_takes_over_knows_who_waits_and_begins_each_once,
    a_rate_is_waited_for_though_nothing_else_goes_on,
    runs_that_wait_are_withdrawn_refused_and_displaced,
}
