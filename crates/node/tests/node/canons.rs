//! A canon comes in force while runs are under way: each decision is under the one that is in force
//! where it stands in the log.

use std::sync::atomic::Ordering;

use cog_base::id::TenantId;
use cog_base::{Digest, Value};
use cog_canon::{Canon, Source};
use cog_ledger::{Draft, Kind};
use cog_node::{Decided, Request};
use cog_store::Files;

use crate::town::{Town, canon, tenant};

const CHANGES: usize = 12;
const RUNS: u64 = 12;
const PAGES: u64 = 25;

/// The canon in force, by its files.
fn in_force(town: &Town, tenant: TenantId) -> (Digest, Files) {
    let entries = town.entries(tenant);
    let newest = entries.iter().rev().find(|entry| entry.kind() == Kind::CanonActivated);
    let digest = newest.unwrap().digest("digest").unwrap();
    (digest, town.store.scope(tenant).unwrap().canon(digest).unwrap().unwrap())
}

/// Have the owner of the log record something about a canon, and wait until it has.
fn record(town: &Town, tenant: TenantId, (kind, who): (Kind, &str), data: &[(&str, Value)]) {
    let data = data.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let draft = Draft {
        kind,
        actor: who.to_owned(),
        domain: "archive".into(),
        environment: "any".into(),
        session: None,
        canon: None,
        data: data.collect(),
        body: None,
    };
    let seen = town.entries(tenant).len() as u64;
    let decided = Decided { drafts: vec![draft], seen, unless: Vec::new(), then: None };
    let id = town.request(tenant, &Request::Record(Box::new(decided)));
    crate::town::wait("it is recorded", || town.store.delivery(tenant, id).unwrap().is_none());
}

pub(super) fn what_is_decided_stands_under_the_canon_that_is_in_force_there(town: &Town) {
    town.world.takes_ms.store(1, Ordering::Relaxed);
    let house = town.node("one");
    let tenant = tenant(1);
    town.request(tenant, &canon());
    town.wait_for_empty_mail();
    let (first, files) = in_force(town, tenant);
    let mut other = files;
    other.get_mut("canon.toml").unwrap().push_str("# The second.\n");
    let parts = other.iter().map(|(path, text)| (path.clone(), text.clone().into_bytes()));
    let second = Canon::load(&Source::new(parts)).unwrap().digest();
    town.store.put_canon(tenant, second, &other).unwrap();
    let mut runs: Vec<_> = (0..RUNS).map(|_| town.start(tenant, PAGES)).collect();
    for change in 0..CHANGES {
        let (from, to) = if change % 2 == 0 { (first, second) } else { (second, first) };
        let proposal = format!("prp_01m7ynaym0f2nb3em082cedj{change:02}");
        let named = ("proposal", Value::from(proposal.as_str()));
        let digest = ("digest", Value::from(to));
        let base = ("base", Value::from(from));
        let all = [named.clone(), digest.clone(), base];
        record(town, tenant, (Kind::CanonProposed, "user:operator"), &all);
        let both = [named.clone(), digest.clone()];
        record(town, tenant, (Kind::CanonApproved, "user:head-of-archive"), &both);
        let basis = ("basis", Value::from("change"));
        let all = [digest, ("previous", Value::from(from)), basis, named];
        record(town, tenant, (Kind::CanonActivated, "user:head-of-archive"), &all);
        assert_eq!(in_force(town, tenant).0, to);
        runs.push(town.start(tenant, PAGES));
    }
    for run in &runs {
        assert_eq!(town.end(tenant, *run), "completed");
    }
    town.wait_for_empty_mail();
    house.node.stop();
    let outcomes = town.assert_whole(tenant);
    assert_eq!(outcomes.len() as u64, runs.len() as u64 * PAGES);
}

on_each_store! {
    what_is_decided_stands_under_the_canon_that_is_in_force_there,
}
