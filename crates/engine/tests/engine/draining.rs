//! An engine that is about to go: what began is settled, and nothing new begins.

use crate::house::House;

const WRITE: &str = "uses: file.write, with: { root: out, path: a, text: b }";

#[test]
fn what_is_under_way_is_settled_and_the_next_engine_goes_on() {
    let mut house = House::new();
    let run =
        house.start(&format!("  - {{ id: a, {WRITE} }}\n  - {{ id: b, needs: [a], {WRITE} }}\n"));
    house.engine.drain();
    house.done("written");
    assert_eq!(house.story(run), ["receipt", "outcome completed 1"]);
    assert!(house.under_way.is_empty() && house.engine.appends() == 0);
    house.restart();
    house.done("written");
    let whole = [
        "receipt",
        "outcome completed 1",
        "receipt",
        "outcome completed 1",
        "session.sealed completed",
    ];
    assert_eq!(house.story(run), whole);
    house.assert_replays(run);
}

#[test]
fn nobody_is_asked_and_nothing_is_chosen_any_more() {
    let mut house = House::new();
    let run = house.start(&format!(
        "  - {{ id: a, {WRITE} }}\n  - {{ id: b, needs: [a], approve: {{ by: [\"role:finance\"], count: 1, message: m }} }}\n"
    ));
    house.engine.drain();
    house.done("written");
    assert!(house.asked().is_empty());
    house.restart();
    assert_eq!(house.asked().len(), 1);
    assert_eq!(house.story(run).last().map(String::as_str), Some("approval.requested"));
}
