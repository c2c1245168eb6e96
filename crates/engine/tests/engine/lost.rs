//! Attempts of which nobody reports: they outlived their time, or their adapter died.

use cog_gate::Lapse;

use crate::house::House;

/// A step that reads with `keys`; the first attempt and each further one is lost as often as
/// `lost` says, then it is done.
fn read(keys: &str, lost: &[Lapse]) -> Vec<String> {
    check("uses: file.read, with: { root: out, path: a }", keys, lost)
}

fn check(effect: &str, keys: &str, lost: &[Lapse]) -> Vec<String> {
    let mut house = House::new();
    let run = house.start(&format!("  - {{ id: a, {effect}, {keys} }}\n"));
    for lapse in lost {
        house.lose(*lapse);
        house.ring();
    }
    if !house.under_way.is_empty() {
        house.done("it is there");
    }
    house.assert_replays(run);
    assert!(house.under_way.is_empty() && house.engine.open_runs() == 0);
    house.story(run)
}

#[test]
fn a_read_that_outlives_its_time_is_tried_again_under_its_receipt() {
    let keys = "timeout_ms: 50, retry: { attempts: 3 }";
    assert_eq!(
        read(keys, &[Lapse::TimedOut, Lapse::TimedOut]),
        ["receipt", "outcome completed 3", "session.sealed completed"]
    );
    for on in ["[timeout]", "[any]", "[transient, timeout]"] {
        let keys = format!("timeout_ms: 50, retry: {{ attempts: 2, on: {on} }}");
        let story = read(&keys, &[Lapse::TimedOut]);
        assert_eq!(story, ["receipt", "outcome completed 2", "session.sealed completed"], "{on}");
    }
}

#[test]
fn an_adapter_that_dies_in_a_read_is_asked_again() {
    let story = read("retry: { attempts: 2 }", &[Lapse::Gone]);
    assert_eq!(story, ["receipt", "outcome completed 2", "session.sealed completed"]);
    let story = read("retry: { attempts: 2, on: [timeout] }", &[Lapse::Gone]);
    assert_eq!(story, ["receipt", "outcome failed effect.lost 1", "session.sealed failed"]);
}

#[test]
fn the_attempts_are_those_that_the_file_grants() {
    assert_eq!(
        read("timeout_ms: 50, retry: { attempts: 2 }", &[Lapse::TimedOut; 2]),
        ["receipt", "outcome failed effect.timeout 2", "session.sealed failed"]
    );
    assert_eq!(
        read("timeout_ms: 50", &[Lapse::TimedOut]),
        ["receipt", "outcome failed effect.timeout 1", "session.sealed failed"]
    );
}

/// The waits between the attempts of a step with this `retry`, each of which outlives its time.
fn waits(retry: &str) -> Vec<u64> {
    let mut house = House::new();
    house.start(&format!(
        "  - {{ id: a, uses: file.read, with: {{ root: out, path: a }}, timeout_ms: 50, retry: {retry} }}\n"
    ));
    let mut waits = Vec::new();
    while !house.under_way.is_empty() {
        assert_eq!(house.under_way.iter().map(|it| it.timeout_ms).collect::<Vec<_>>(), [Some(50)]);
        house.lose(Lapse::TimedOut);
        waits.extend(house.ring());
    }
    waits
}

#[test]
fn each_attempt_has_its_own_time_and_waits_longer() {
    assert_eq!(waits("{ attempts: 3, backoff_ms: 100, factor: 3 }"), [100, 300]);
}

#[test]
fn no_wait_is_longer_than_the_file_says() {
    let retry = "{ attempts: 5, backoff_ms: 100, factor: 3, backoff_ms_max: 500 }";
    assert_eq!(waits(retry), [100, 300, 500, 500]);
    assert_eq!(waits("{ attempts: 2, backoff_ms: 100, backoff_ms_max: 0 }"), [0]);
}

#[test]
fn jitter_makes_waits_shorter_each_by_another_part_and_the_same_ones_again() {
    let retry = "{ attempts: 9, backoff_ms: 1000, factor: 1, jitter_percent: 20 }";
    let spread = waits(retry);
    assert_eq!(spread, waits(retry), "a run told twice waits the same twice");
    assert!(spread.iter().all(|ms| (800..=1_000).contains(ms)), "{spread:?}");
    let different: std::collections::BTreeSet<_> = spread.iter().collect();
    assert!(different.len() > 4, "{spread:?}");
}

#[test]
fn what_the_file_names_is_not_tried_again() {
    let keys = "timeout_ms: 50, retry: { attempts: 3, on: [any], never_on: [effect.timeout] }";
    let story = read(keys, &[Lapse::TimedOut]);
    assert_eq!(story, ["receipt", "outcome failed effect.timeout 1", "session.sealed failed"]);
    let story = read(keys, &[Lapse::Gone, Lapse::TimedOut]);
    assert_eq!(story, ["receipt", "outcome failed effect.timeout 2", "session.sealed failed"]);
}

/// What may have happened is not repeated, whatever the file says about retries.
#[test]
fn what_may_have_happened_is_never_repeated() {
    let effects = [
        "uses: file.write, with: { root: out, path: a, text: b }",
        "uses: file.delete, with: { root: out, path: a }",
        "uses: http.request, with: { method: POST, url: \"https://sim.example/a\" }",
    ];
    for effect in effects {
        for lapse in [Lapse::TimedOut, Lapse::Gone] {
            let keys = "timeout_ms: 50, retry: { attempts: 5, on: [any] }";
            let story = check(effect, keys, &[lapse]);
            assert_eq!(
                story,
                ["receipt", "outcome unknown 1", "session.sealed failed"],
                "{effect} {lapse:?}"
            );
        }
    }
}

/// The reserves and the costs of a run that asks a model twice, the first time in vain, with
/// so much money.
fn asked_twice(cost_micros: u64) -> (u64, u64, u64) {
    let mut house = House::new();
    let run = house.start_with(
        &format!("budget: {{ cost_micros: {cost_micros} }}"),
        "  - { id: a, uses: model.chat, as: agent:clerk, timeout_ms: 50, retry: { attempts: 2 },\n\
         \x20     with: { model: reader, messages: [{ role: user, content: hello }], tokens_max: 50 } }\n",
    );
    while !house.under_way.is_empty() {
        house.lose(Lapse::TimedOut);
        house.ring();
    }
    let records = house.records(run);
    let number = |name: &str| {
        let found = records.iter().find_map(|it| it.entry.data().get(name)?.as_u64());
        found.unwrap_or_default()
    };
    (number("reserve_micros"), number("cost_micros"), number("attempts"))
}

/// A question to a model may have been billed: its whole reserve counts, for each attempt, and
/// there is no attempt that the budget might not cover.
#[test]
fn a_lost_question_counts_as_billed() {
    let (reserve, cost, attempts) = asked_twice(1_000_000);
    assert!(reserve > 0);
    assert_eq!((cost, attempts), (2 * reserve, 2));
    assert_eq!(asked_twice(2 * reserve), (reserve, 2 * reserve, 2));
    assert_eq!(asked_twice(2 * reserve - 1), (reserve, reserve, 1));
}

/// A run of four questions side by side, each tried up to three times, with so much money.
fn questions(cost_micros: u64) -> (House, cog_base::id::RunId) {
    let mut house = House::new();
    let ask = "uses: model.chat, as: agent:clerk, timeout_ms: 50, retry: { attempts: 3 }, \
               on_error: continue, on_refused: continue, with: { model: reader, \
               messages: [{ role: user, content: hello }], tokens_max: 50 }";
    let steps = ["a", "b", "c", "d"].map(|id| format!("  - {{ id: {id}, {ask} }}\n"));
    let late = format!("  - {{ id: s, sleep: {{ ms: 5 }} }}\n  - {{ id: e, needs: [s], {ask} }}\n");
    let budget = format!("budget: {{ cost_micros: {cost_micros} }}");
    let run = house.start_with(&budget, &format!("{}{late}", steps.concat()));
    (house, run)
}

/// The money of the next attempt is kept while it is waited for: what is asked in between does
/// not get it, and whatever fails how often, the run never spends more than it has.
#[test]
fn no_attempt_spends_what_the_run_does_not_have() {
    let reserve = asked_twice(1_000_000).0;
    for budget in (1..=16).map(|sixth| sixth * reserve * 5 / 6) {
        for seed in 0..8_u64 {
            let (mut house, run) = questions(budget);
            for turn in 0.. {
                if house.under_way.is_empty() && house.timers.is_empty() {
                    break;
                }
                let dice = (seed * 31 + turn * 17) % 5;
                if dice == 0 || house.under_way.is_empty() {
                    house.ring();
                } else if dice == 1 {
                    house.done("hello");
                } else {
                    house.lose(Lapse::TimedOut);
                }
            }
            let spent = house.sealed(run).expect("it ended").spent.get();
            assert!(spent <= budget, "{spent} of {budget}, seed {seed}");
            house.assert_replays(run);
        }
    }
}
