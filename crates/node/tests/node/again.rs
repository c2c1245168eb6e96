//! Chains of runs on nodes: whoever takes over goes on with the newest of them.

use std::sync::atomic::Ordering;

use cog_base::id::{MailId, RunId, TenantId};
use cog_engine::again::{newest, next_of};
use cog_engine::{Continues, Sent};
use cog_flow::Signal;
use cog_ledger::Kind;
use cog_node::{Request, ask};

use crate::town::{Town, canon, tenant, wait, wanted};

const PAGES: &str = "  - { id: w, uses: file.write, as: \"agent:archivist\", \
                     with: { root: archive, path: \"${{ run.id }}\", mode: create, text: x } }\n  \
                     - { id: again, needs: [w], if: inputs.n < 11, \
                     continue_as_new: { inputs: { n: \"${{ inputs.n + 1 }}\" } } }\n";
const HEARS: &str = "  - { id: go, wait_for: { signal: go } }\n  \
                     - { id: again, needs: [go], if: inputs.n < 2, \
                     continue_as_new: { inputs: { n: \"${{ inputs.n + 1 }}\" } } }\n";

fn start(town: &Town, tenant: TenantId, steps: &str) -> RunId {
    let mut wanted = wanted(steps, "/srv/archive");
    let head = "domain: archive\n";
    let inputs = "inputs: { n: { type: integer, default: 0 } }\n";
    wanted.source = wanted.source.replacen(head, &format!("{head}{inputs}"), 1);
    let run = wanted.run;
    let request = Request::Start(Box::new(wanted));
    ask(&*town.store, tenant, MailId::from_uuid(run.uuid()), &request, None).unwrap();
    run
}

/// The runs of the chain that began with this one.
fn chain(town: &Town, tenant: TenantId, first: RunId) -> Vec<RunId> {
    let entries = town.entries(tenant);
    let mut chain = vec![first];
    while let Some(next) = chain.last().and_then(|last| {
        entries.iter().filter(|entry| entry.session() == Some(*last)).find_map(next_of)
    }) {
        chain.push(next);
    }
    chain
}

fn stands(town: &Town, tenant: TenantId, first: RunId) -> Option<(RunId, bool)> {
    let scope = town.store.scope(tenant).unwrap();
    newest(scope.as_ref(), first).unwrap().map(|(run, over)| (run, over.is_some()))
}

#[test]
fn a_node_that_takes_over_goes_on_with_the_chain() {
    let town = Town::new();
    town.world.takes_ms.store(20, Ordering::Relaxed);
    let tenant = tenant(1);
    town.request(tenant, &canon());
    let one = town.node("one");
    let first = start(&town, tenant, PAGES);
    wait("the chain went on", || chain(&town, tenant, first).len() > 3);
    one.node.stop();
    assert!(!stands(&town, tenant, first).unwrap().1, "it was stopped in the middle");
    let two = town.node("two");
    wait("the chain is over", || stands(&town, tenant, first).is_some_and(|(_, over)| over));
    town.wait_for_empty_mail();
    two.node.stop();
    let runs = chain(&town, tenant, first);
    assert_eq!(runs.len(), 12);
    let entries = town.entries(tenant);
    for (place, pair) in runs.windows(2).enumerate() {
        let start = entries.iter().find(|entry| {
            entry.kind() == Kind::SessionStarted && entry.session() == pair.last().copied()
        });
        let of = start.and_then(Continues::of);
        let run = *pair.first().unwrap();
        assert_eq!(of, Some(Continues { run, count: place as u64 + 1 }));
    }
    assert_eq!(entries.iter().filter(|it| it.kind() == Kind::Receipt).count(), 12);
    town.assert_whole(tenant);
}

#[test]
fn what_waits_in_a_chain_comes_back_as_the_newest_run() {
    let town = Town::new();
    let tenant = tenant(1);
    town.request(tenant, &canon());
    let first = start(&town, tenant, HEARS);
    for round in 0..3_usize {
        let house = town.node(&format!("node-{round}"));
        let is_there = || {
            stands(&town, tenant, first).is_some() && chain(&town, tenant, first).len() == round + 1
        };
        wait("the round has begun", is_there);
        let run = *chain(&town, tenant, first).last().unwrap();
        let (name, from) = ("go".to_owned(), "user:operator".to_owned());
        let signal = Signal { id: "go".to_owned(), name, from, payload: cog_base::Value::Null };
        let sent = Box::new(Sent { signal, subject: None });
        town.request(tenant, &Request::Signal { run, sent });
        let is_over = || town.session(tenant, run).is_some_and(|session| session.status.is_some());
        wait("the round is over", is_over);
        town.wait_for_empty_mail();
        house.node.stop();
    }
    assert!(stands(&town, tenant, first).unwrap().1);
    assert_eq!(chain(&town, tenant, first).len(), 3);
    town.assert_whole(tenant);
}
