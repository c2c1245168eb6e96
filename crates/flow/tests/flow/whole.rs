//! A workflow as people write them, from its first step to its outputs.

use cog_flow::{Action, Status};

use crate::harness::World;

const INVOICES: &str = include_str!("invoices.yaml");

#[test]
fn a_whole_workflow_from_folder_to_total() {
    let mut world = World::start_with(INVOICES, &[("folder", "./mail")]);
    world.expect(&["perform list"]);
    let entries = r#"{"entries":[{"kind":"file","name":"a.txt"},{"kind":"folder","name":"b"},{"kind":"file","name":"c.txt"}]}"#;
    world.complete("list", entries);
    world.expect(&["perform invoice[0].text", "perform invoice[1].text"]);
    world.complete("invoice[0].text", r#"{"text":"Pay us"}"#);
    let Some(Action::Perform { uses, with, retry, terms, actor, .. }) = world.actions.first()
    else {
        panic!("{:?}", world.actions)
    };
    assert_eq!((uses.as_str(), actor.as_deref()), ("model.chat", Some("agent:clerk")));
    assert_eq!((retry.attempts, retry.backoff_ms, terms.timeout_ms), (3, 200, Some(60_000)));
    assert!(retry.on_transient && !retry.on_timeout && !retry.on_any);
    assert!(with.get("messages").unwrap().to_string().contains("Pay us"));
    world.lines();
    world.complete("invoice[1].text", r#"{"text":"Hello"}"#);
    let invoice = r#"{"json":{"amount_cents":1200,"kind":"invoice","supplier":"Acme"}}"#;
    world.complete("invoice[0].read", invoice);
    world.expect(&["perform invoice[1].read", "choose invoice[0].pay 1 of sepa,instant"]);
    world.complete("invoice[1].read", r#"{"json":{"kind":"letter"}}"#);
    world.plan("invoice[0].pay", Some("sepa"));
    world.expect(&["perform invoice[0].pay.sepa.write"]);
    world.complete("invoice[0].pay.sepa.write", r#"{"path":"Acme.json"}"#);
    world.expect(&["ask sign: 1 of 2 paid"]);
    assert_eq!(world.status(), Status::Waiting);
    world.approve("sign");
    world.expect(&[r#"finish completed {"paid":1,"total_cents":1200}"#]);
}
