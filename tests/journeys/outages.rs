//! The database dies under its nodes, in the middle of what they ask of it, and comes back.

use std::time::Duration;

use cog_services::postgres::{Cluster, Database};

use crate::nodes::{Node, Town};

#[test]
fn a_database_that_is_killed_under_three_nodes_loses_nothing_and_nothing_is_done_twice() {
    let cluster = Cluster::start(&[]).unwrap();
    let town = Town::around("outages", Database::in_cluster(&cluster.template()).unwrap());
    let nodes: Vec<Node> = (0..3).map(|number| town.node(&format!("n{number}"))).collect();
    let tenants: Vec<String> = (0..4).map(|_| town.new_tenant()).collect();
    let ask = |tenant: &str, key: &str| town.acknowledged(tenant, key);
    let (load, ()) = Town::asked_meanwhile(&tenants, ask, || {
        for pause in [0, 400, 0, 2_500] {
            town.wait_for_pages(town.written() + 4);
            cluster.kill().unwrap();
            std::thread::sleep(Duration::from_millis(pause));
            cluster.restart().unwrap();
        }
    });
    let receipts = town.is_done(&load);
    println!(
        "counted: 4 kills of a database under 3 nodes, {} runs, {receipts} receipts",
        load.len()
    );
    nodes.into_iter().for_each(Node::ends);
}
