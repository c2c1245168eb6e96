//! What a message is, and what the broker says to it.

use cog_base::json::parse_loose;
use cog_events::{check, read};
use cog_outbox::{Sink as _, Verdict};
use cog_outbox_amqp::{AmqpError, AmqpSink, CONTENT_TYPE, NAME_BYTES_MAX, Options};
use cog_services::rabbitmq::shared_url;
use lapin::types::{AMQPValue, FieldTable};

use crate::consumer::Consumer;
use crate::place::{few, options, sink};

#[test]
fn a_message_is_the_event_and_says_what_brokers_look_at() {
    let url = shared_url().unwrap();
    let options = options(&url);
    let mut sink = sink(&options);
    let queue = format!("{}.all", options.exchange);
    sink.make_queue(&queue, &["#"]).unwrap();
    let events = few();
    assert_eq!(sink.deliver(&events), vec![Verdict::Confirmed; events.len()]);
    let mut consumer = Consumer::new(&url, &queue);
    for event in &events {
        let delivery = consumer.next();
        let text = String::from_utf8(delivery.data.clone()).unwrap();
        assert_eq!(text, event.json());
        check(&read(&text).unwrap()).unwrap();
        assert_eq!(delivery.routing_key.as_str(), event.kind());
        let said = &delivery.properties;
        assert_eq!(said.content_type().as_ref().unwrap().as_str(), CONTENT_TYPE);
        assert_eq!(said.message_id().as_ref().unwrap().as_str(), event.id());
        assert_eq!(said.kind().as_ref().unwrap().as_str(), event.kind());
        assert_eq!(*said.delivery_mode(), Some(2));
        let header = |name: &str| match said.headers().as_ref().unwrap().inner().get(name) {
            Some(AMQPValue::LongString(text)) => text.to_string(),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(header("partitionkey"), event.lane());
        assert_eq!(header("sequence"), event.sequence());
        assert_eq!(header("tenant"), event.tenant().to_string());
    }
}

#[test]
fn three_consumers_get_what_each_asks_for() {
    let url = shared_url().unwrap();
    let options = options(&url);
    let mut sink = sink(&options);
    let wanted = [
        ("billing", "workflow.execution.completed", vec![4]),
        ("notification", "workflow.#", vec![1, 4]),
        ("analytics", "#", vec![0, 1, 2, 3, 4, 5]),
    ];
    let queue = |name: &str| format!("{}.{name}", options.exchange);
    for (name, pattern, _) in &wanted {
        sink.make_queue(&queue(name), &[pattern]).unwrap();
    }
    sink.deliver(&few());
    for (name, _, expected) in &wanted {
        let mut consumer = Consumer::new(&url, &queue(name));
        for seq in expected {
            let event = parse_loose(&String::from_utf8(consumer.next().data).unwrap()).unwrap();
            assert_eq!(event.get("sequence").unwrap().as_text().unwrap(), format!("{seq:020}"));
        }
    }
}

#[test]
fn what_no_queue_takes_comes_back_and_is_refused() {
    let options = options(&shared_url().unwrap());
    let mut sink = sink(&options);
    sink.make_queue(&format!("{}.some", options.exchange), &["workflow.#"]).unwrap();
    let verdicts = sink.deliver(&few());
    let no_route = || Verdict::Refused("no queue takes it: NO_ROUTE".to_owned());
    let yes = || Verdict::Confirmed;
    assert_eq!(verdicts, [no_route(), yes(), no_route(), no_route(), yes(), no_route()]);
}

#[test]
fn what_a_full_queue_turns_down_is_refused() {
    let options = options(&shared_url().unwrap());
    let mut sink = sink(&options);
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(2));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    sink.make_queue_with(&format!("{}.full", options.exchange), &["#"], arguments).unwrap();
    let events = few();
    // The broker may take some more before it notices; in the end it does not.
    let verdicts: Vec<Verdict> = (0..4).flat_map(|_| sink.deliver(&events)).collect();
    assert_eq!(verdicts.first(), Some(&Verdict::Confirmed));
    assert_eq!(verdicts.last(), Some(&Verdict::Refused("a queue turned it down".to_owned())));
}

#[test]
fn what_a_consumer_turns_down_is_in_the_queue_of_dead_letters() {
    let url = shared_url().unwrap();
    let options = options(&url);
    let mut sink = sink(&options);
    let queue = format!("{}.picky", options.exchange);
    sink.make_queue(&queue, &["workflow.execution.completed"]).unwrap();
    sink.deliver(&few());
    let turned_down = Consumer::new(&url, &queue).turn_down();
    let letter = Consumer::new(&url, &format!("{}.dead", options.exchange)).next();
    assert_eq!(letter.data, turned_down.data);
    assert_eq!(letter.routing_key.as_str(), "workflow.execution.completed");
}

#[test]
fn a_broker_that_is_not_there_is_no_fault_of_the_event() {
    let mut sink = sink(&Options::new("amqp://guest:guest@127.0.0.1:1/%2f"));
    let verdicts = sink.deliver(&few());
    assert!(matches!(&verdicts[..], [Verdict::Lost(_)]), "{verdicts:?}");
}

#[test]
fn a_wrong_password_is_said_and_not_shown() {
    let url = shared_url().unwrap().replace("guest:guest@", "guest:hush-hush@");
    let mut sink = sink(&options(&url));
    match &sink.deliver(&few())[..] {
        [Verdict::Lost(why)] => {
            assert!(why.contains("ACCESS") && !why.contains("hush-hush"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_that_the_protocol_does_not_carry_are_refused() {
    for exchange in [String::new(), "x".repeat(NAME_BYTES_MAX + 1)] {
        let made = AmqpSink::new(Options { exchange, ..Options::new("amqp://127.0.0.1") });
        assert!(matches!(made.err(), Some(AmqpError::Name(_))));
    }
    let mut sink = sink(&options(&shared_url().unwrap()));
    let long = "q".repeat(NAME_BYTES_MAX + 1);
    assert!(matches!(sink.make_queue(&long, &["#"]), Err(AmqpError::Name(_))));
    let pattern = "p".repeat(300);
    assert!(matches!(sink.make_queue("q", &[&pattern]), Err(AmqpError::Name(_))));
}
