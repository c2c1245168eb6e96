//! What people said no to: the choice is over, and nobody is asked the same twice.

use crate::house::House;

/// A plan that writes `cents` into `path`: from 501 on it takes the consent of finance.
fn plan(id: &str, cost: u64, path: &str, cents: u64) -> String {
    format!(
        "        - id: {id}\n\
         \x20         expect: {{ cost_micros: {cost}, latency_ms: 1, risk: low }}\n\
         \x20         steps: [{{ id: write, uses: file.write, with: {{ root: out, path: {path}, \
         document: {{ amount_cents: {cents} }} }} }}]\n"
    )
}

fn choose(id: &str, plans: &[String]) -> String {
    format!(
        "  - id: {id}\n    on_refused: continue\n    choose:\n      goal: pay\n      plans:\n{}",
        plans.concat()
    )
}

fn questions(story: &[String]) -> usize {
    story.iter().filter(|line| line.starts_with("approval.requested")).count()
}

/// Whoever said no to a payment was not asked for another way to make it.
#[test]
fn no_other_plan_is_taken_when_people_said_no() {
    for other in [plan("quick", 2, "bill", 900), plan("small", 2, "bill", 100)] {
        let mut house = House::new();
        let run = house.start(&choose("pay", &[plan("slow", 1, "bill", 900), other]));
        house.answer(run, Err("not this month"));
        assert_eq!(
            house.story(run),
            [
                "plan.selected slow",
                "approval.requested",
                "approval.rejected",
                "denial approval.rejected",
                "session.sealed completed"
            ]
        );
        house.assert_replays(run);
    }
}

/// What was refused in one choice is not brought up in the next, also after a crash.
#[test]
fn a_no_holds_for_the_whole_run() {
    for crash in [false, true] {
        let mut house = House::new();
        let first = choose("pay", &[plan("large", 1, "bill", 900)]);
        let second = choose("again", &[plan("large", 1, "bill", 900)]);
        let wait = "  - { id: wait, needs: [pay], sleep: { ms: 10 } }\n";
        let second = second.replace("    on_refused", "    needs: [wait]\n    on_refused");
        let run = house.start(&format!("{first}{wait}{second}"));
        house.answer(run, Err("not this month"));
        if crash {
            house.restart();
        }
        house.ring();
        assert_eq!(questions(&house.story(run)), 1, "{:?}", house.story(run));
        house.assert_replays(run);
    }
}

/// Two runs are two questions.
#[test]
fn another_run_may_ask_again() {
    let mut house = House::new();
    let flow = choose("pay", &[plan("large", 1, "bill", 900)]);
    let run = house.start(&flow);
    house.answer(run, Err("not this month"));
    let run = house.start(&flow);
    assert_eq!(house.asked().len(), 1);
    house.answer(run, Ok(()));
    house.done("written");
    house.assert_replays(run);
}

#[test]
fn a_step_that_asks_people_and_hears_no_is_over() {
    let mut house = House::new();
    let run = house.start(
        "  - { id: sign, approve: { by: [\"role:finance\"], message: Go on? }, on_refused: continue }\n\
         \x20 - { id: wait, needs: [sign], sleep: { ms: 10 } }\n",
    );
    house.answer(run, Err("no"));
    house.restart();
    assert!(house.asked().is_empty());
    house.ring();
    assert_eq!(questions(&house.story(run)), 1);
    house.assert_replays(run);
}
