//! Waiting for signals, one rule at a time.

use cog_flow::{BadSignal, Event, Signal, Status};
use expect_test::expect;

use crate::diagnostics::check_steps;
use crate::harness::{World, with_steps};

const PAID: &str = "
- id: paid
  wait_for: { signal: payment, where: { order: \"${{ inputs.order }}\" }, timeout_ms: 60000 }
- { id: note, needs: [paid], uses: compute, with: { sum: \"${{ steps.paid.output.payload.sum }}\" } }";

fn paid() -> World {
    let text = with_steps(PAID)
        + "inputs: { order: { type: integer, default: 7 } }\noutputs: { sum: \"${{ steps.note.output.sum }}\" }\n";
    World::start(&text)
}

#[test]
fn a_signal_that_fits_brings_the_step_on_and_stops_its_timer() {
    let mut world = paid();
    world.expect(&["listen paid for payment, 60000"]);
    assert_eq!(world.status(), Status::Waiting);
    world.signal("s1", "payment", r#"{"order":7,"sum":120}"#);
    world.expect(&["cancel paid", r#"finish completed {"sum":120}"#]);
    world.expect_steps(&["paid completed", "note completed"]);
}

#[test]
fn a_signal_that_does_not_fit_is_kept_for_a_step_that_it_fits() {
    let mut world = paid();
    world.lines();
    for (name, payload) in [
        ("payment", r#"{"order":8,"sum":1}"#),
        ("payment", "{}"),
        ("payment", "null"),
        ("refund", r#"{"order":7}"#),
    ] {
        world.signal("s", name, payload);
        world.expect(&[]);
    }
    assert_eq!(world.status(), Status::Waiting);
}

#[test]
fn a_signal_that_came_early_is_taken_when_the_step_begins() {
    let text = with_steps(
        "- { id: first, sleep: { ms: 5 } }\n- { id: go, needs: [first], wait_for: { signal: go } }",
    ) + "outputs: { who: \"${{ steps.go.output.from + ' ' + steps.go.output.id }}\" }\n";
    let mut world = World::start(&text);
    world.expect(&["arm first 5"]);
    world.signal("s1", "go", "null");
    world.signal("s2", "go", "null");
    world.due("first");
    world.expect(&[r#"finish completed {"who":"user:ada s1"}"#]);
}

#[test]
fn one_signal_brings_on_one_step() {
    let text =
        with_steps("- { id: b, wait_for: { signal: go } }\n- { id: a, wait_for: { signal: go } }");
    let mut world = World::start(&text);
    world.expect(&["listen b for go", "listen a for go"]);
    world.signal("s1", "go", "1");
    world.expect(&["cancel a"]);
    world.signal("s2", "go", "2");
    world.expect(&["cancel b", "finish completed"]);
}

#[test]
fn a_signal_that_does_not_come_in_time_fails_the_step() {
    let mut world = paid();
    world.lines();
    world.due("paid");
    world.expect(&["finish failed: paid timeout"]);
    let late = Signal {
        id: "s".into(),
        name: "payment".into(),
        from: "user:ada".into(),
        payload: cog_base::Value::from(1_u64),
    };
    let error = world.apply(Event::Signalled(late)).unwrap_err().to_string();
    assert_eq!(error, "`signalled` for the signal `payment` is out of order: the run is over");
}

#[test]
fn a_run_does_not_keep_signals_without_end() {
    let mut world = paid();
    world.lines();
    let signal = |id: usize| Signal {
        id: format!("s{id}"),
        name: "other".into(),
        from: "user:ada".into(),
        payload: cog_base::Value::from(1_u64),
    };
    for id in 0..cog_flow::limits::MAX_SIGNALS_KEPT {
        world.apply(Event::Signalled(signal(id))).unwrap();
    }
    let error = world.apply(Event::Signalled(signal(0))).unwrap_err().to_string();
    assert!(error.contains("1000 signals wait"), "{error}");
}

#[test]
fn a_signal_has_a_short_id_a_name_and_says_little() {
    let check = |id: &str, name: &str, bytes: usize| {
        let payload = cog_base::Value::from("x".repeat(bytes).as_str());
        let signal = Signal { id: id.into(), name: name.into(), from: "user:ada".into(), payload };
        signal.check()
    };
    let most = cog_flow::limits::MAX_SIGNAL_BYTES - 2;
    assert_eq!(check("evt_1/2:3@x.y-z", "go", most), Ok(()));
    assert_eq!(check(&"x".repeat(128), "go", 0), Ok(()));
    for id in ["", "a b", "a\n", &"x".repeat(129)] {
        assert_eq!(check(id, "go", 0), Err(BadSignal::Id), "{id}");
    }
    assert_eq!(check("a", "Go", 0), Err(BadSignal::Name));
    assert_eq!(check("a", "go", most + 1), Err(BadSignal::Payload));
}

#[test]
fn what_is_wrong_with_the_wait() {
    check_steps(
        "- { id: a, wait_for: { signal: Paid, where: [a], timeout_ms: 5m } }\n- { id: b, wait_for: {}, retry: { attempts: 2 } }",
        expect![[r#"
            pay.yaml:5:34: `Paid` is not a signal: a-z first, then a-z, 0-9, `_` and `-`, at most 64
             5 |   - { id: a, wait_for: { signal: Paid, where: [a], timeout_ms: 5m } }
               |                                  ^
               = hint: did you mean `paid`?

            pay.yaml:5:47: `where` must be an object, this is a list
             5 |   - { id: a, wait_for: { signal: Paid, where: [a], timeout_ms: 5m } }
               |                                               ^
               = hint: write an object: `{ key: value }`, or lines `key: value`

            pay.yaml:5:64: `timeout_ms` must be an integer, this is a string
             5 |   - { id: a, wait_for: { signal: Paid, where: [a], timeout_ms: 5m } }
               |                                                                ^
               = hint: write 300000

            pay.yaml:6:24: `wait_for` needs `signal`
             6 |   - { id: b, wait_for: {}, retry: { attempts: 2 } }
               |                        ^
               = hint: add a line `signal: …`

            pay.yaml:6:28: `retry` means nothing here; it goes with an effect
             6 |   - { id: b, wait_for: {}, retry: { attempts: 2 } }
               |                            ^
               = hint: leave it out
        "#]],
    );
}

#[test]
fn a_step_that_is_cancelled_takes_no_signal() {
    let mut world = paid();
    world.lines();
    world.apply(Event::Cancelled { reason: "enough".into() }).unwrap();
    world.expect(&["cancel paid", "finish cancelled: - cancelled"]);
    world.expect_steps(&["paid skipped", "note skipped"]);
}

#[test]
fn what_undoes_a_run_may_wait_for_a_signal() {
    let text = with_steps(
        "- { id: a, uses: compute, with: { x: 1 }, on_cancel: { steps: [ { id: back, wait_for: { signal: refunded } } ] } }\n- { id: b, needs: [a], sleep: { ms: 5 } }",
    );
    let mut world = World::start(&text);
    world.apply(Event::Cancelled { reason: "enough".into() }).unwrap();
    world.expect(&["arm b 5", "cancel b", "listen a.on_cancel.back for refunded"]);
    world.signal("s1", "refunded", "1");
    world.expect(&["cancel a.on_cancel.back", "finish cancelled: - cancelled"]);
}
