//! What holds of every selection, on generated plans.

#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use cog_base::{Digest, Micros};
use cog_optr::{
    Admissible, Candidate, Constraints, Envelope, Outcome, Risk, StepEstimate, Used, Weights,
    select,
};
use proptest::prelude::*;

fn admissible() -> impl Strategy<Value = Admissible> {
    prop_oneof![
        6 => Just(Admissible::Yes),
        1 => Just(Admissible::NotYetKnown),
        1 => Just(Admissible::NeedsApproval { by: "1 of role:finance".to_owned() }),
        1 => Just(Admissible::No { code: "canon".to_owned(), reason: "No.".to_owned() }),
    ]
}

/// Small numbers, so that ties and limits are met, and now and then a vast one.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0_u64..4, 4 => 0_u64..5_000, 1 => Just(u64::MAX)]
}

fn step(number_of: usize) -> impl Strategy<Value = StepEstimate> {
    // Mostly earlier steps; now and then any name, so that circles and gaps occur.
    let needs = prop_oneof![
        9 => proptest::sample::subsequence((0..number_of).collect::<Vec<_>>(), 0..=number_of),
        1 => proptest::sample::subsequence(vec![0, 1, 2, 3], 0..3),
    ];
    let writes = proptest::collection::btree_set(0..3_usize, 0..3);
    let words = (0..3_usize, writes, 0..4_usize);
    (words, admissible(), number(), number(), number(), needs).prop_map(
        move |((action, writes, risk), admissible, cost, latency_ms, amount_minor, needs)| {
            StepEstimate {
                id: number_of.to_string(),
                action: format!("action{action}"),
                writes: writes.iter().map(|key| format!("resource{key}")).collect(),
                admissible,
                cost: Micros::new(cost),
                latency_ms,
                risk: *Risk::ALL.get(risk).expect("four classes"),
                amount_minor,
                needs: needs.iter().map(ToString::to_string).collect(),
            }
        },
    )
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let steps = prop_oneof![
        Just(vec![]).boxed(),
        step(0).prop_map(|step| vec![step]).boxed(),
        (step(0), step(1)).prop_map(|(a, b)| vec![b, a]).boxed(),
        (step(0), step(1), step(2)).prop_map(|(a, b, c)| vec![c, a, b]).boxed(),
    ];
    // Few names, so that two candidates may share one: then they differ in the digest only.
    (0..3_u8, any::<[u8; 2]>(), steps).prop_map(|(id, digest, steps)| Candidate {
        id: format!("plan{id}"),
        digest: Digest::of(&[&digest]),
        steps,
    })
}

fn constraints() -> impl Strategy<Value = Constraints> {
    let limit = || proptest::option::weighted(0.3, 0_u64..5_000);
    let word = |prefix: &'static str| (0..3_u8).prop_map(move |n| format!("{prefix}{n}"));
    let words = |prefix, most| proptest::collection::btree_set(word(prefix), 0..most);
    let forbidden = proptest::collection::vec(words("action", 3), 0..2);
    (
        (limit(), limit(), proptest::option::weighted(0.3, 0_u64..4), limit()),
        forbidden,
        (words("resource", 3), 0_u64..10, words("action", 2)),
    )
        .prop_map(|((budget, deadline_ms, resources_max, amount_max), forbidden, used)| {
            let forbidden = forbidden.into_iter().map(|set| set.into_iter().collect()).collect();
            let (resources, amount_minor, actions) = used;
            Constraints {
                budget: budget.map(Micros::new),
                deadline_ms,
                envelope: Envelope { resources_max, amount_max, forbidden },
                used: Used { resources, amount_minor, actions },
            }
        })
}

fn weights() -> impl Strategy<Value = Weights> {
    (
        prop_oneof![0_u64..50, 1_000_u64..3_000],
        proptest::collection::vec(0_u64..50, 3..=4),
        0_u64..300,
    )
        .prop_map(|(latency_micros_per_second, losses, risk_weight_percent)| Weights {
            latency_micros_per_second,
            loss_micros: Risk::ALL.into_iter().zip(losses).collect(),
            risk_weight_percent,
        })
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    proptest::collection::vec(candidate(), 0..8)
}

/// The score of a plan by the definition, with the longest path found by walking every one.
fn score(plan: &Candidate, weights: &Weights) -> u128 {
    fn end(plan: &Candidate, step: &StepEstimate) -> u128 {
        let needs = plan.steps.iter().filter(|other| step.needs.contains(&other.id));
        let start = needs.map(|need| end(plan, need)).max().unwrap_or(0);
        start + u128::from(step.latency_ms)
    }
    let latency = plan.steps.iter().map(|step| end(plan, step)).max().unwrap_or(0);
    let cost: u128 = plan.steps.iter().map(|step| u128::from(step.cost.get())).sum();
    let loss = |step: &StepEstimate| weights.loss_micros.get(&step.risk).copied().expect("priced");
    let loss: u128 = plan.steps.iter().map(|step| u128::from(loss(step))).sum();
    let time = latency * u128::from(weights.latency_micros_per_second);
    cost + time.div_ceil(1_000) + (loss * u128::from(weights.risk_weight_percent)).div_ceil(100)
}

/// Whether the gate lets all steps through, by its own account of a run: each adds the keys
/// that it writes, its amount and its action.
fn at_the_gate<'a>(
    steps: impl Iterator<Item = &'a StepEstimate>,
    constraints: &Constraints,
) -> bool {
    let mut used = constraints.used.clone();
    let Envelope { resources_max, amount_max, forbidden } = &constraints.envelope;
    steps.into_iter().all(|step| {
        used.resources.extend(step.writes.iter().cloned());
        used.amount_minor = used.amount_minor.saturating_add(step.amount_minor);
        used.actions.insert(step.action.clone());
        let together = |set: &&Vec<String>| {
            set.contains(&step.action) && set.iter().all(|action| used.actions.contains(action))
        };
        resources_max.is_none_or(|most| used.resources.len() as u64 <= most)
            && amount_max.is_none_or(|most| used.amount_minor <= most)
            && forbidden.iter().find(together).is_none()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_order_of_candidates_does_not_matter(
        plans in candidates().prop_shuffle(),
        rotation in 0..8_usize,
        constraints in constraints(),
        weights in weights(),
    ) {
        let mut turned = plans.clone();
        turned.reverse();
        turned.rotate_left(rotation.checked_rem(plans.len()).unwrap_or(0));
        let one = select(&plans, &constraints, &weights);
        let other = select(&turned, &constraints, &weights);
        prop_assert_eq!(one.winner(), other.winner());
    }

    #[test]
    fn a_candidate_that_falls_out_changes_nothing(
        plans in candidates(),
        extra in candidate(),
        place in 0..8_usize,
        constraints in constraints(),
        weights in weights(),
    ) {
        let before = select(&plans, &constraints, &weights);
        let mut more = plans;
        let refused = StepEstimate {
            id: "refused".to_owned(),
            action: "file.delete".to_owned(),
            writes: ["resource9".to_owned()].into(),
            admissible: Admissible::No { code: "canon".to_owned(), reason: "No.".to_owned() },
            cost: Micros::ZERO,
            latency_ms: 0,
            risk: Risk::Low,
            amount_minor: 0,
            needs: Vec::new(),
        };
        let mut extra = extra;
        extra.steps.push(refused);
        more.insert(place.min(more.len()), extra);
        let after = select(&more, &constraints, &weights);
        prop_assert_eq!(before.winner(), after.winner());
    }

    #[test]
    fn the_chosen_plan_has_the_least_score(
        plans in candidates(),
        constraints in constraints(),
        weights in weights(),
    ) {
        let selection = select(&plans, &constraints, &weights);
        let scored = plans.iter().zip(&selection.table).filter_map(|(plan, verdict)| {
            Some((verdict.outcome.total()?, plan))
        });
        let mut least = None;
        for (total, plan) in scored {
            prop_assert_eq!(u128::from(total.get()), score(plan, &weights));
            let key = (score(plan, &weights), plan.digest);
            least = Some(least.map_or(key, |best| key.min(best)));
        }
        let chosen = selection.chosen.and_then(|place| plans.get(place));
        prop_assert_eq!(chosen.map(|plan| (score(plan, &weights), plan.digest)), least);
    }

    #[test]
    fn every_candidate_is_listed_and_none_that_breaks_a_rule_is_scored(
        plans in candidates(),
        constraints in constraints(),
        weights in weights(),
    ) {
        let selection = select(&plans, &constraints, &weights);
        prop_assert_eq!(selection.table.len(), plans.len());
        for (plan, verdict) in plans.iter().zip(&selection.table) {
            prop_assert_eq!(&plan.id, &verdict.candidate);
            prop_assert_eq!(plan.digest, verdict.digest);
            let Outcome::Scored { cost, latency_ms, .. } = &verdict.outcome else { continue };
            let refused = |step: &StepEstimate| matches!(step.admissible, Admissible::No { .. });
            prop_assert!(!plan.steps.iter().any(refused));
            prop_assert!(constraints.budget.is_none_or(|max| *cost <= max));
            prop_assert!(constraints.deadline_ms.is_none_or(|max| *latency_ms <= max));
            prop_assert!(at_the_gate(plan.steps.iter(), &constraints), "{plan:?}");
        }
    }

    /// Where a plan falls out by the envelope, the gate stops it on the way, whatever the
    /// order of its steps.
    #[test]
    fn what_the_envelope_stops_the_gate_stops(
        plans in candidates(),
        constraints in constraints(),
        weights in weights(),
    ) {
        let selection = select(&plans, &constraints, &weights);
        for (plan, verdict) in plans.iter().zip(&selection.table) {
            let Outcome::FellOut { code, .. } = &verdict.outcome else { continue };
            if code.starts_with("envelope.") {
                prop_assert!(!at_the_gate(plan.steps.iter(), &constraints), "{plan:?}");
                prop_assert!(!at_the_gate(plan.steps.iter().rev(), &constraints), "{plan:?}");
            }
        }
    }
}
