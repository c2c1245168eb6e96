//! A run that stopped, because the ledger could not be written, and goes on in the same process
//! while an adapter still has one of its effects in hand.

use crate::house::House;

const OTHER: &str = "  - { id: b, uses: file.read, with: { root: out, path: b } }\n";

/// The effect of `uses` is begun once, although its run stops and goes on in between.
fn check(uses: &str) {
    let mut house = House::new();
    let run = house.start(&format!("  - {{ id: a, {uses} }}\n{OTHER}"));
    let first = house.next();
    house.no_space = true;
    house.done("read");
    assert_eq!(house.engine.open_runs(), 0, "it has stopped");
    house.resume(run);
    assert_eq!(house.probes.len(), 0, "nobody looks for what is being done");
    assert_eq!(house.under_way.len(), 1, "reading is done again, and nothing else");
    house.give_back(first, "done");
    house.done("read");
    let mut ends = house.story(run);
    ends.retain(|line| line.starts_with("outcome"));
    let expected = ["outcome abandoned 1", "outcome completed 1", "outcome completed 1"];
    assert_eq!(ends, expected, "{uses}");
    assert_eq!(house.sealed(run).unwrap().status, "completed");
    house.assert_replays(run);
}

#[test]
fn what_is_under_way_is_waited_for_and_not_repeated() {
    for uses in [
        "uses: file.write, with: { root: out, path: a, text: b, mode: replace }",
        "uses: http.request, with: { method: POST, url: \"https://sim.example/a\" }",
        "uses: file.read, with: { root: out, path: a }",
    ] {
        check(uses);
    }
}

/// What was reported while the run stood still is looked for, as after a crash.
#[test]
fn what_ended_meanwhile_is_looked_for() {
    let mut house = House::new();
    let write = "uses: file.write, with: { root: out, path: a, text: b, mode: replace }";
    let run = house.start(&format!("  - {{ id: a, {write} }}\n{OTHER}"));
    let first = house.next();
    house.no_space = true;
    house.done("read");
    house.give_back(first, "done");
    house.resume(run);
    let [(run, receipt, _)] =
        std::mem::take(&mut house.probes).into_iter().collect::<Vec<_>>().try_into().unwrap();
    let found = cog_gate::Found::Done(cog_base::Value::Null);
    house.give(cog_engine::Input::Probed { run, receipt, found });
    house.done("read");
    assert_eq!(house.sealed(run).unwrap().status, "completed");
    house.assert_replays(run);
}

/// Going on with a run that is in memory changes nothing.
#[test]
fn a_run_that_goes_on_is_not_gone_on_with() {
    let mut house = House::new();
    let run = house.start(OTHER);
    house.resume(run);
    assert_eq!(house.under_way.len(), 1);
    house.done("read");
    assert_eq!(house.story(run), ["receipt", "outcome completed 1", "session.sealed completed"]);
}
