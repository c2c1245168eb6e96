//! Nodes send what happens to a broker: while it is away, and after a node is killed.

use cog_services::rabbitmq::Broker;

use crate::nodes::{Node, Town, wait_until};

/// A node that sends everything about runs to one queue, and to another that they ended.
fn node(town: &Town, name: &str) -> Node {
    let queues = ["--queue", "all=workflow.#", "--queue", "billing=workflow.execution.completed"];
    town.node_with(name, &[&["--events", "amqp.url"], &queues[..]].concat())
}

fn count(town: &Town, sql: &str) -> usize {
    town.database.statement(sql).unwrap()[0].parse().unwrap()
}

/// How many ledgers there are of which the broker has confirmed everything.
fn sent(town: &Town) -> usize {
    let sql = "SELECT count(*) FROM cognitionos.cursor JOIN cognitionos.log USING (tenant)
        WHERE consumer = 'amqp' AND next = size";
    count(town, sql)
}

#[test]
fn what_happens_goes_out_once_the_broker_is_there_whichever_node_is() {
    let (town, broker) = (Town::new("outgoing"), Broker::start().unwrap());
    town.folder.write("amqp.url", &broker.url());
    let one = node(&town, "one");
    let load = town.load(2, 2);
    town.is_done(&load);
    wait_until("everything is sent", || sent(&town) == 2);
    // The broker goes, and runs go on.
    broker.kill().unwrap();
    let mut more = Vec::new();
    for number in 0..2 {
        let (tenant, key) = (load[0].0.clone(), format!("away-{number}"));
        let run = town.submit(&tenant, &key, &[]).ends(0).id("run");
        more.push((tenant, key, run));
    }
    town.is_done(&[load, more].concat());
    one.waits_for("broker-away");
    assert_eq!(sent(&town), 1, "what is not confirmed is not sent");
    // The node goes too, and another one goes on from there.
    one.kill();
    broker.restart().unwrap();
    let two = node(&town, "two");
    wait_until("everything is sent", || sent(&town) == 2);
    assert_eq!(count(&town, "SELECT count(*) FROM cognitionos.dead_letter"), 0);
    two.ends();
    let bad = ["serve", "--events", "amqp.url", "--queue", "billing"];
    town.cog(&bad).ends(2).says(&["is not a queue and its types"]);
    town.cog(&["serve", "--events", "amqp.url"]).ends(2).says(&["--queue"]);
}
