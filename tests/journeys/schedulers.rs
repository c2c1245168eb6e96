//! A scheduler of several databases: it decides for the tenants of each, and one that is away stops no
//! other.

use std::collections::BTreeSet;

use cog_base::Value;
use cog_services::postgres::{APPLICATION, Cluster, Database};

use crate::finished;
use crate::moves::Two;
use crate::nodes::{Node, Town};
use crate::program::text;
use crate::schedules::{assert_no_gap, decided};
use crate::workers::{trust, worker};

const OFTEN: &str = "
name: often
domain: archive
on: { schedule: [ { id: often, every_ms: 1000, overlap: allow_all, catch_up_minutes: 60 } ] }
steps: [ { id: nap, sleep: { ms: 10 } } ]
";

/// A scheduler of all databases that are given, at an address.
fn scheduler(town: &Town, name: &str, listen: &str) -> (Node, String) {
    let serve = ["serve", "--json", "--role", "scheduler", "--node", name, "--listen", listen];
    let node = town.process(&serve);
    let address = text(&node.waits_for("listening"), &["address"]).to_owned();
    (node, address)
}

/// Wait until it says this of a database.
fn waits_for(node: &Node, event: &str, database: &str) -> Value {
    loop {
        let said = node.waits_for(event);
        if text(&said, &["database"]) == database {
            return said;
        }
    }
}

/// Every time of the schedule was decided in the log of a tenant.
fn are_decided(town: &Town, tenant: &str) {
    let list = ["ledger", "list", "--tenant", tenant, "--kind", "schedule.fired", "--json"];
    let list = [&list[..], &["--limit", "100000"]].concat();
    let times = decided(town.cog(&list).ends(0).jsons());
    assert!(times.len() > 2, "{times:?}");
    assert_no_gap(&times);
}

#[test]
fn a_scheduler_decides_for_every_database_and_one_that_is_away_stops_no_other() {
    let cluster = Cluster::start(&[]).unwrap();
    let two = Two::around("schedulers", Database::in_cluster(&cluster.template()).unwrap());
    let town = &two.town;
    let tenant = |at: &str| town.cog(&["database", "new-tenant", "--at", at]).ends(0).id("ten");
    let (home, east) = (tenant("home"), tenant("east"));
    let (first, address) = scheduler(town, "s1", "127.0.0.1:0");
    let serving = [first.waits_for("serving"), first.waits_for("serving")];
    let names: BTreeSet<&str> = serving.iter().map(|it| text(it, &["database"])).collect();
    assert_eq!(names, BTreeSet::from(["east", "home"]));
    // Workers ask at one place, and one of them performs for both.
    let load = [(&home, "home"), (&east, "east")]
        .map(|(tenant, key)| (tenant.clone(), key.to_owned(), town.acknowledged(tenant, key)));
    trust(town, &[&home, &east]);
    let worker = worker(town, &format!("http://{address}"), "w1");
    town.is_done(&load);
    town.folder.write("often.yaml", OFTEN);
    for (tenant, at) in [(&home, "home"), (&east, "east")] {
        town.cog(&["schedules", "set", "often.yaml", "--tenant", tenant]).ends(0);
        assert_eq!(text(&waits_for(&first, "fired", at), &["tenant"]), tenant);
    }
    // It goes away under the scheduler, and comes back.
    cluster.kill().unwrap();
    waits_for(&first, "away", "east");
    waits_for(&first, "fired", "home");
    town.submit(&home, "meanwhile", &["--wait"]).ends(0).says(&["completed"]);
    cluster.restart().unwrap();
    waits_for(&first, "fired", "east");
    first.ends();
    // It is away when a scheduler begins.
    cluster.kill().unwrap();
    let (next, _) = scheduler(town, "s2", &address);
    waits_for(&next, "away", "east");
    waits_for(&next, "fired", "home");
    cluster.restart().unwrap();
    waits_for(&next, "serving", "east");
    waits_for(&next, "fired", "east");
    town.submit(&east, "later", &["--wait"]).ends(0).says(&["completed"]);
    next.ends();
    worker.ends();
    are_decided(town, &home);
    are_decided(town, &east);
    let key = town.folder.path("master.key");
    finished::compare_shared(&two.east.url(APPLICATION), &key).unwrap();
}
