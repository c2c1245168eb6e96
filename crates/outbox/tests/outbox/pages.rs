//! What is read of a log for its events.

use cog_base::json::{Value, parse};
use cog_conformance::{
    House, body, evidence, outcome, receipt, run, sealed, started, tenant, with_body,
};
use cog_events::{Event, Types, check};
use cog_ledger::Draft;
use cog_outbox::page;
use cog_store::MemoryStore;

use crate::house::{InMemory, events, filled};

/// What a model was asked and answered, with so many tokens.
fn chat(number: u64, input: u64, output: u64) -> [Draft; 2] {
    let mut asked = receipt(run(1), number);
    asked.data.insert("action".to_owned(), "model.chat".into());
    let answer = Value::map([("input_tokens", input), ("output_tokens", output)]);
    let answer = Value::map([("output", answer)]).canonical();
    [asked, with_body(outcome(run(1), number), Some("user:ada"), answer)]
}

/// The data of the event that the run was completed.
fn completed(house: &House<'_>) -> Value {
    let wanted = Types::matching(["workflow.execution.completed"]);
    let page = page(&*house.scope(tenant(1)), 0, 100, &wanted).unwrap();
    assert_eq!(page.events.len(), 1);
    let event = parse(page.events[0].json()).unwrap();
    check(&event).unwrap();
    event.get("data").unwrap().clone()
}

fn a_run_with_models(house: &mut House<'_>) {
    house.append(tenant(1), [started(run(1))]);
    house.append(tenant(1), chat(1, 100, 20));
    // Of another effect, whatever its output says.
    let other = with_body(outcome(run(1), 9), None, body(10));
    house.append(tenant(1), [receipt(run(1), 9), other]);
    house.append(tenant(1), chat(2, 400, 47));
    house.append(tenant(1), [sealed(run(1), "completed")]);
}

#[test]
fn a_run_that_ended_says_what_its_entries_say() {
    let place = InMemory(MemoryStore::new());
    let mut house = House::at(&place);
    a_run_with_models(&mut house);
    let data = completed(&house);
    assert_eq!(data.get("token_usage").unwrap().as_u64(), Some(567));
    assert_eq!(data.get("duration_ms").unwrap().as_u64(), Some(0));
    assert_eq!(data.get("workflow_id").unwrap().as_text(), Some("pay-supplier-invoices"));
    assert_eq!(data.get("execution_id").unwrap().as_text(), Some(&*run(1).to_string()));
}

#[test]
fn tokens_that_were_erased_are_not_guessed() {
    let place = InMemory(MemoryStore::new());
    let mut house = House::at(&place);
    a_run_with_models(&mut house);
    house.store().erase(tenant(1), "user:ada").unwrap();
    let data = completed(&house);
    assert!(data.get("token_usage").is_none());
    assert!(data.get("duration_ms").is_some());
}

#[test]
fn nothing_of_a_body_goes_out() {
    let place = InMemory(MemoryStore::new());
    let mut house = House::at(&place);
    let secret = with_body(receipt(run(1), 1), None, b"{\"a\":\"a secret\"}".to_vec());
    house.append(tenant(1), [started(run(1)), secret]);
    for event in events(house.store(), tenant(1)) {
        assert!(!event.json().contains("a secret"));
    }
}

#[test]
fn pages_meet_and_what_is_not_wanted_is_passed_over() {
    let store = filled(1, 5, 4);
    let all = events(&store, tenant(1));
    let wanted = Types::matching(["workflow.execution.*", "cognitionos.outcome"]);
    let log = cog_store::Store::scope(&store, tenant(1)).unwrap();
    for limit in [1, 2, 7, 1_000] {
        let (mut got, mut from) = (Vec::new(), 0);
        while from < all.len() as u64 {
            let page = page(&*log, from, limit, &wanted).unwrap();
            assert!(page.next > from && page.events.len() <= limit);
            from = page.next;
            got.extend(page.events);
        }
        let kept = all.iter().filter(|event| wanted.wants(event.kind()));
        assert!(got.iter().eq(kept), "by {limit}");
    }
    let nothing = page(&*log, 3, 10, &Types::matching(["no.such"])).unwrap();
    assert_eq!((nothing.events.len(), nothing.next), (0, all.len() as u64));
}

#[test]
fn what_was_pruned_is_passed_over() {
    let place = InMemory(MemoryStore::new());
    let mut house = House::at(&place);
    house.append(tenant(1), [started(run(1))]);
    house.append(tenant(1), (0..300).map(|number| receipt(run(1), number)));
    house.append(tenant(1), [sealed(run(1), "completed"), evidence("last"), evidence("last")]);
    house.store().prune_entries(tenant(1), 300).unwrap();
    let left: Vec<u64> = events(house.store(), tenant(1)).iter().map(|one| one.seq()).collect();
    assert_eq!(left.first().zip(left.get(1)), Some((&0, &256)));
    let data = completed(&house);
    for gone in ["workflow_id", "duration_ms", "token_usage"] {
        assert!(data.get(gone).is_none(), "{gone}");
    }
}

#[test]
fn an_empty_log_has_no_events() {
    let store = MemoryStore::new();
    let log = cog_store::Store::scope(&store, tenant(1)).unwrap();
    let page = page(&*log, 0, 10, &Types::all()).unwrap();
    assert_eq!((page.events, page.next), (Vec::<std::sync::Arc<Event>>::new(), 0));
}
