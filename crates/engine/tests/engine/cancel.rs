//! A run that somebody ends: nothing new begins, what is under way is waited for, and the seal
//! says so.

use cog_gate::Lapse;
use cog_ledger::Kind;

use crate::house::House;

const WRITE: &str = "uses: file.write, with: { root: out, path: a, text: b }";
const READ: &str = "uses: file.read, with: { root: out, path: a }";

/// What a run comes to that `happen` brings to its end.
fn check(steps: &str, happen: impl FnOnce(&mut House, cog_base::id::RunId), expected: &[&str]) {
    let mut house = House::new();
    let run = house.start(steps);
    happen(&mut house, run);
    assert_eq!(house.story(run), expected);
    assert_eq!(house.engine.open_runs(), 0);
    assert!(house.under_way.is_empty() && house.asked().is_empty());
    let sealed = house.sealed(run).expect("it is sealed");
    assert_eq!(sealed.status, "cancelled");
    let error = sealed.error.as_ref().map(ToString::to_string);
    assert_eq!(error.as_deref(), Some(r#"{"code":"cancelled","message":"wrong supplier"}"#));
    let records = house.records(run);
    let mut ended = records.iter().filter(|it| it.entry.text("source") == Some("cancel"));
    assert_eq!(ended.next().map(|it| it.entry.actor()), Some("user:ada"));
    assert!(ended.next().is_none(), "it is on record once");
    house.assert_replays(run);
}

#[test]
fn what_is_under_way_is_waited_for_and_nothing_follows() {
    check(
        &format!("  - {{ id: a, {WRITE} }}\n  - {{ id: b, needs: [a], {WRITE} }}\n"),
        |house, run| {
            house.cancel(run);
            assert!(house.sealed(run).is_none(), "its effect is under way");
            house.cancel(run);
            house.done("written");
        },
        &["receipt", "evidence cancel", "outcome completed 1", "session.sealed cancelled"],
    );
}

#[test]
fn a_failure_is_not_tried_again() {
    let step = format!("  - {{ id: a, {READ}, timeout_ms: 9, retry: {{ attempts: 5 }} }}\n");
    let expected = [
        "receipt",
        "evidence cancel",
        "outcome failed effect.timeout 1",
        "session.sealed cancelled",
    ];
    check(
        &step,
        |house, run| {
            house.cancel(run);
            house.lose(Lapse::TimedOut);
        },
        &expected,
    );
    // Nor is the wait before the next attempt waited for.
    check(
        &step,
        |house, run| {
            house.lose(Lapse::TimedOut);
            house.cancel(run);
        },
        &expected,
    );
}

#[test]
fn people_are_not_asked_any_more() {
    let large = "uses: file.write, with: { root: out, path: a, document: { amount_cents: 900 } }";
    for step in ["approve: { by: [\"role:finance\"], message: Go on? }", large] {
        check(
            &format!("  - {{ id: a, {step} }}\n"),
            |house, run| {
                assert_eq!(house.asked().len(), 1);
                house.cancel(run);
            },
            &["approval.requested", "evidence cancel", "session.sealed cancelled"],
        );
    }
}

#[test]
fn who_sleeps_or_waits_for_others_is_not_waited_for() {
    check(
        "  - { id: a, sleep: { ms: 100000 } }\n",
        |house, run| {
            house.cancel(run);
            house.ring();
        },
        &["evidence cancel", "session.sealed cancelled"],
    );
}

/// A run that is in no memory is ended as it is resumed, and nothing of it begins again.
#[test]
fn a_run_of_an_earlier_life_is_ended_without_going_on() {
    // Reading is safe to do again, and is not done again.
    check(
        &format!("  - {{ id: a, {READ} }}\n  - {{ id: b, {READ} }}\n"),
        |house, _| house.restart_to_cancel(),
        &[
            "receipt",
            "receipt",
            "evidence cancel",
            "outcome abandoned 1",
            "outcome abandoned 1",
            "session.sealed cancelled",
        ],
    );
    check(
        "  - { id: a, approve: { by: [\"role:finance\"], message: Go on? } }\n",
        |house, _| house.restart_to_cancel(),
        &["approval.requested", "evidence cancel", "session.sealed cancelled"],
    );
    check(
        "  - { id: a, uses: http.request, with: { method: POST, url: \"https://sim.example/a\" } }\n",
        |house, _| house.restart_to_cancel(),
        &["receipt", "evidence cancel", "outcome unknown 1", "session.sealed cancelled"],
    );
}

/// Whether a file was written is looked for, and the ledger says it.
#[test]
fn what_an_earlier_life_wrote_is_looked_for() {
    let done = cog_gate::Found::Done(cog_base::Value::Null);
    for (found, outcome) in
        [(done, "outcome completed 1"), (cog_gate::Found::NotDone, "outcome abandoned 1")]
    {
        check(
            &format!("  - {{ id: a, {WRITE} }}\n"),
            |house, _| {
                house.restart_to_cancel();
                let (run, receipt, _) = house.probes.pop_front().unwrap();
                house.give(cog_engine::Input::Probed { run, receipt, found });
            },
            &["receipt", "evidence cancel", outcome, "session.sealed cancelled"],
        );
    }
}

/// The process that was to end a run dies before it is sealed: the next one only seals it.
#[test]
fn a_crash_in_between_changes_nothing() {
    check(
        &format!("  - {{ id: a, {READ}, retry: {{ attempts: 3 }} }}\n"),
        |house, run| {
            house.cancel(run);
            house.restart();
        },
        &["receipt", "evidence cancel", "outcome abandoned 1", "session.sealed cancelled"],
    );
}

/// The one timer that is due while an answer is on its way, or who cancels then, comes after it
/// in the log and in the run.
#[test]
fn an_answer_on_its_way_comes_first() {
    for late in [false, true] {
        let mut house = House::new();
        let run =
            house.start("  - { id: a, approve: { by: [\"role:finance\"], message: Go on? } }\n");
        house.hold = true;
        house.answer(run, Ok(()));
        if late {
            house.ring();
        } else {
            house.cancel(run);
        }
        house.release();
        let (status, history) = (&house.sealed(run).unwrap().status, house.story(run));
        assert_eq!(status, "completed", "{history:?}");
        house.assert_replays(run);
    }
}

#[test]
fn a_run_that_has_ended_stays_as_it_is() {
    let mut house = House::new();
    let run = house.start(&format!("  - {{ id: a, {READ} }}\n"));
    house.done("it is there");
    house.cancel(run);
    house.restart_to_cancel();
    assert_eq!(house.sealed(run).unwrap().status, "completed");
    assert!(house.records(run).iter().all(|it| it.entry.kind() != Kind::Evidence));
}

/// What an open run needs to be rebuilt must not be erased.
#[test]
fn a_run_knows_whose_data_it_holds() {
    let mut house = House::new();
    let run = house.start(&format!(
        "  - {{ id: a, {READ}, subject: \"person:ada\" }}\n\
         \x20 - {{ id: b, needs: [a], {READ}, subject: \"person:bob\" }}\n"
    ));
    let history = cog_engine::replay::replay_run(&house.records(run)).unwrap();
    assert!(history.concerns("person:ada"));
    assert!(!history.concerns("person:bob"), "of him there is nothing yet");
}
