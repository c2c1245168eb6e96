//! What each constraint and each weight does to a selection.

#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use cog_base::{Digest, Micros};
use cog_optr::{
    Admissible, Candidate, Constraints, Envelope, MAX_CANDIDATES, MAX_STEPS, Outcome, Risk,
    StepEstimate, Used, Weights, room, select,
};

fn weights() -> Weights {
    Weights {
        latency_micros_per_second: 10,
        loss_micros: [(Risk::Low, 0), (Risk::Medium, 1_000), (Risk::High, 50_000)].into(),
        risk_weight_percent: 100,
    }
}

fn step(id: &str) -> StepEstimate {
    StepEstimate {
        id: id.to_owned(),
        action: "file.write".to_owned(),
        writes: set(&["file:payments/acme.json"]),
        admissible: Admissible::Yes,
        cost: Micros::new(100),
        latency_ms: 1_000,
        risk: Risk::Low,
        amount_minor: 0,
        needs: Vec::new(),
    }
}

fn needing(id: &str, needs: &[&str]) -> StepEstimate {
    StepEstimate { needs: needs.iter().map(ToString::to_string).collect(), ..step(id) }
}

fn plan(id: &str, steps: Vec<StepEstimate>) -> Candidate {
    Candidate { id: id.to_owned(), digest: Digest::of(&[id.as_bytes()]), steps }
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(ToString::to_string).collect()
}

/// The verdict on one plan, in one line.
fn verdict(steps: Vec<StepEstimate>, constraints: &Constraints) -> String {
    let selection = select(&[plan("only", steps)], constraints, &weights());
    let verdict = selection.table.first().expect("every candidate is listed");
    match &verdict.outcome {
        Outcome::Scored { cost, latency_ms, risk_loss, total, approvals } => format!(
            "{} + {latency_ms} ms + {} = {}{}",
            cost.get(),
            risk_loss.get(),
            total.get(),
            approvals.iter().map(|by| format!(", approval {by}")).collect::<String>(),
        ),
        Outcome::FellOut { code, reason } => format!("{code}: {reason}"),
    }
}

fn check(steps: Vec<StepEstimate>, constraints: &Constraints, expected: &str) {
    assert_eq!(verdict(steps, constraints), expected);
}

#[test]
fn a_score_is_cost_and_time_and_weighted_loss() {
    let free = Constraints::default();
    check(vec![step("a")], &free, "100 + 1000 ms + 0 = 110");
    check(vec![], &free, "0 + 0 ms + 0 = 0");
    let risky = StepEstimate { risk: Risk::Medium, latency_ms: 1, ..step("a") };
    check(vec![risky], &free, "100 + 1 ms + 1000 = 1101");
}

#[test]
fn time_is_the_longest_path_not_the_sum() {
    let free = Constraints::default();
    check(vec![step("a"), step("b")], &free, "200 + 1000 ms + 0 = 210");
    check(
        vec![needing("d", &["b", "c"]), needing("b", &["a"]), needing("c", &["a"]), step("a")],
        &free,
        "400 + 3000 ms + 0 = 430",
    );
    let slow = |id| StepEstimate { latency_ms: 5_000, ..step(id) };
    check(vec![slow("a"), step("b"), needing("c", &["a", "b"])], &free, "300 + 6000 ms + 0 = 360");
    check(vec![step("a"), slow("b"), needing("c", &["a", "b"])], &free, "300 + 6000 ms + 0 = 360");
    check(vec![step("a"), needing("b", &["a", "a"])], &free, "200 + 2000 ms + 0 = 220");
}

#[test]
fn a_plan_that_is_no_plan_falls_out() {
    let free = Constraints::default();
    check(
        vec![needing("a", &["b"]), needing("b", &["a"]), step("c")],
        &free,
        "plan.cycle: the steps need each other in a circle",
    );
    check(vec![needing("a", &["a"])], &free, "plan.cycle: the steps need each other in a circle");
    check(
        vec![needing("a", &["z"])],
        &free,
        "plan.unknown_need: step `a` needs `z`, which is no step of the plan",
    );
    check(vec![step("a"), step("a")], &free, "plan.duplicate_step: two steps are called `a`");
    let many = |count: usize| (0..count).map(|n| step(&n.to_string())).collect();
    check(many(MAX_STEPS), &free, "25600 + 1000 ms + 0 = 25610");
    check(many(MAX_STEPS + 1), &free, "plan.too_many_steps: 257 steps; a plan has 256 at most");
}

#[test]
fn a_refused_step_takes_the_plan_with_it() {
    let no = Admissible::No {
        code: "canon.forbidden".to_owned(),
        reason: "Payments to sanctioned countries are not made.".to_owned(),
    };
    check(
        vec![step("a"), StepEstimate { admissible: no, ..step("pay") }],
        &Constraints::default(),
        "canon.forbidden: step `pay` would be refused: Payments to sanctioned countries are \
         not made.",
    );
}

#[test]
fn an_approval_or_an_unknown_keeps_the_plan_in_the_running() {
    let by = |by: &str| Admissible::NeedsApproval { by: by.to_owned() };
    check(
        vec![
            StepEstimate { admissible: by("1 of role:finance"), ..step("a") },
            StepEstimate { admissible: Admissible::NotYetKnown, ..step("b") },
            StepEstimate { admissible: by("1 of role:finance"), ..step("c") },
        ],
        &Constraints::default(),
        "300 + 1000 ms + 0 = 310, approval 1 of role:finance",
    );
}

#[test]
fn the_limits_are_the_last_values_that_pass() {
    let budget =
        |micros| Constraints { budget: Some(Micros::new(micros)), ..Constraints::default() };
    check(vec![step("a")], &budget(100), "100 + 1000 ms + 0 = 110");
    check(
        vec![step("a")],
        &budget(99),
        "plan.budget: expected cost $0.0001; the budget is $0.000099",
    );
    let deadline = |ms| Constraints { deadline_ms: Some(ms), ..Constraints::default() };
    check(vec![step("a")], &deadline(1_000), "100 + 1000 ms + 0 = 110");
    check(
        vec![step("a")],
        &deadline(999),
        "plan.deadline: expected duration 1000 ms; the deadline is 999 ms",
    );
}

#[test]
fn the_envelope_counts_what_the_run_has_used() {
    let used = |max| Constraints {
        envelope: Envelope { resources_max: Some(max), ..Envelope::default() },
        used: Used { resources: set(&["http:https://api.example/"]), ..Used::default() },
        ..Constraints::default()
    };
    check(vec![step("a"), step("b")], &used(2), "200 + 1000 ms + 0 = 210");
    check(
        vec![step("a")],
        &used(1),
        "envelope.resources: the run would write 2 resources; the envelope allows 1",
    );
    let reads = |id: &str| StepEstimate { writes: set(&[]), ..step(id) };
    check(vec![reads("a"), reads("b")], &used(1), "200 + 1000 ms + 0 = 210");
    let both = StepEstimate { writes: set(&["file:a/x", "file:a/y"]), ..step("a") };
    check(
        vec![both],
        &used(2),
        "envelope.resources: the run would write 3 resources; the envelope allows 2",
    );
    let moved = |max| Constraints {
        envelope: Envelope { amount_max: Some(max), ..Envelope::default() },
        used: Used { amount_minor: 900, ..Used::default() },
        ..Constraints::default()
    };
    let pay = || vec![StepEstimate { amount_minor: 100, ..step("pay") }];
    check(pay(), &moved(1_000), "100 + 1000 ms + 0 = 110");
    check(
        pay(),
        &moved(999),
        "envelope.amount: the run would move 1000 (10.00) minor units; the envelope allows 999 (9.99)",
    );
}

#[test]
fn actions_that_may_not_meet_do_not_meet_across_plans_either() {
    let constraints = |done: &[&str]| Constraints {
        envelope: Envelope {
            forbidden: vec![vec![], vec!["http.request".to_owned(), "file.write".to_owned()]],
            ..Envelope::default()
        },
        used: Used { actions: set(done), ..Used::default() },
        ..Constraints::default()
    };
    check(vec![step("a")], &constraints(&["file.read"]), "100 + 1000 ms + 0 = 110");
    check(
        vec![StepEstimate { action: "file.read".to_owned(), ..step("a") }],
        &constraints(&["http.request", "file.write"]),
        "100 + 1000 ms + 0 = 110",
    );
    check(
        vec![step("a")],
        &constraints(&["http.request"]),
        "envelope.combination: the run would do all of http.request, file.write, which the \
         envelope forbids",
    );
}

#[test]
fn what_has_no_price_or_does_not_fit_is_not_taken() {
    let free = Constraints::default();
    check(
        vec![StepEstimate { risk: Risk::Critical, ..step("a") }],
        &free,
        "plan.unpriced_risk: step `a` has risk `critical`, on which the canon puts no loss",
    );
    let vast = |id: &str| StepEstimate { cost: Micros::new(u64::MAX), ..step(id) };
    check(vec![vast("a")], &free, "plan.overflow: the score does not fit 64 bits");
    check(
        vec![vast("a"), vast("b")],
        &free,
        "plan.overflow: the expected cost does not fit 64 bits",
    );
    let slow = |id, needs| StepEstimate { latency_ms: u64::MAX, ..needing(id, needs) };
    check(
        vec![slow("a", &[]), slow("b", &["a"])],
        &free,
        "plan.overflow: the expected duration does not fit 64 bits",
    );
}

#[test]
fn too_many_candidates_are_all_refused_and_all_listed() {
    let plans = |count: usize| -> Vec<Candidate> {
        (0..count).map(|n| plan(&n.to_string(), vec![step("a")])).collect()
    };
    let choose = |count| select(&plans(count), &Constraints::default(), &weights());
    assert!(choose(MAX_CANDIDATES).chosen.is_some());
    let refused = choose(MAX_CANDIDATES + 1);
    assert_eq!(refused.chosen, None);
    assert_eq!(refused.table.len(), MAX_CANDIDATES + 1);
}

#[test]
fn risk_decides_when_the_weight_says_so() {
    let cheap_but_risky = plan("instant", vec![StepEstimate { risk: Risk::High, ..step("a") }]);
    let safe = plan("sepa", vec![StepEstimate { cost: Micros::new(20_000), ..step("a") }]);
    let chosen = |percent| {
        let weights = Weights { risk_weight_percent: percent, ..weights() };
        let plans = [cheap_but_risky.clone(), safe.clone()];
        let selection = select(&plans, &Constraints::default(), &weights);
        selection.winner().map(|won| won.candidate.clone())
    };
    assert_eq!(chosen(0).as_deref(), Some("instant"));
    assert_eq!(chosen(100).as_deref(), Some("sepa"));
}

#[test]
fn the_entry_lists_every_candidate_with_its_score_or_its_reason() {
    let plans = [plan("sepa", vec![step("a")]), plan("cheque", vec![needing("a", &["a"])])];
    let selection = select(&plans, &Constraints::default(), &weights());
    let digest = |id: &str| Digest::of(&[id.as_bytes()]);
    assert_eq!(
        selection.to_value().to_string(),
        format!(
            concat!(
                r#"{{"candidates":[{{"digest":"{}","plan":"sepa","score":{{"approvals":[],"#,
                r#""cost_micros":100,"latency_ms":1000,"risk_loss_micros":0,"#,
                r#""total_micros":110}}}},{{"digest":"{}","plan":"cheque","reason":"#,
                r#"{{"code":"plan.cycle","text":"the steps need each other in a circle"}}}}],"#,
                r#""chosen":"sepa"}}"#,
            ),
            digest("sepa"),
            digest("cheque"),
        )
    );
    let none = select(&[], &Constraints::default(), &weights());
    assert_eq!(none.to_value().to_string(), r#"{"candidates":[]}"#);
}

#[test]
fn a_long_reason_is_cut() {
    let no = Admissible::No { code: "canon".to_owned(), reason: "é".repeat(10_000) };
    let text = verdict(vec![StepEstimate { admissible: no, ..step("a") }], &Constraints::default());
    assert_eq!(text.chars().count(), "canon: ".len() + cog_optr::MAX_REASON_CHARS);
}

/// What a plan lacks is the least that lets it be taken, and nothing is lacked by one that can be
/// taken or that something else stands in the way of.
#[test]
fn what_a_plan_lacks_is_the_least_that_lets_it_be_taken() {
    let (budget, deadline) = (Micros::new(99), 999);
    for (budget, deadline_ms, lacks) in [
        (None, None, (None, None)),
        (Some(budget), None, (Some(100), None)),
        (None, Some(deadline), (None, Some(1_000))),
        (Some(budget), Some(deadline), (Some(100), Some(1_000))),
        (Some(Micros::new(100)), Some(1_000), (None, None)),
    ] {
        let tight = Constraints { budget, deadline_ms, ..Constraints::default() };
        let only = plan("only", vec![step("a")]);
        let found = room(&only, &tight, &weights());
        let found = found.map_or((None, None), |it| (it.budget.map(Micros::get), it.deadline_ms));
        assert_eq!(found, lacks);
        let budget = lacks.0.map(Micros::new).or(budget);
        let enough = Constraints { budget, deadline_ms: lacks.1.or(deadline_ms), ..tight };
        assert_eq!(select(&[only], &enough, &weights()).chosen, Some(0));
    }
    let reason = "no".to_owned();
    let refused = Admissible::No { code: "canon.forbidden".to_owned(), reason };
    let refused = plan("refused", vec![StepEstimate { admissible: refused, ..step("a") }]);
    let tight = Constraints { budget: Some(budget), ..Constraints::default() };
    assert_eq!(room(&refused, &tight, &weights()), None);
}
