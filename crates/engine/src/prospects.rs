//! When no plan can be taken: why not, in a sentence, and what would make one possible.

use cog_optr::{Admissible, Candidate, Constraints, Outcome, Selection, Weights, room, select};

/// What is said when there was nothing to choose from.
const NO_PLAN: &str = "no candidate plan is admissible";
/// The most reasons that one sentence names.
const REASONS_MAX: usize = 5;
/// The most changes that are named.
const WAYS_MAX: usize = 5;

/// Why a candidate fell out.
pub(crate) struct Fall {
    /// The reason; of a step that would be refused, that of its refusal.
    reason: String,
    /// Why it could not be taken either if none of its steps would be refused.
    pub(crate) beside: Option<String>,
}

/// Why each candidate fell out of a selection that chose none.
pub(crate) fn falls(
    candidates: &[Candidate],
    found: &Selection,
    constraints: &Constraints,
    weights: &Weights,
) -> Vec<Fall> {
    let fall = |(candidate, verdict): (&Candidate, &cog_optr::Verdict)| {
        let refused = candidate.steps.iter().find_map(|step| match &step.admissible {
            Admissible::No { code, reason } => Some((code, reason)),
            Admissible::Yes | Admissible::NeedsApproval { .. } | Admissible::NotYetKnown => None,
        });
        let (code, said) = match &verdict.outcome {
            Outcome::FellOut { code, reason } => (code.as_str(), reason.as_str()),
            Outcome::Scored { .. } => ("", ""),
        };
        match refused.filter(|(refusal, _)| *refusal == code) {
            Some((_, reason)) => {
                let beside = beside(candidate, code, constraints, weights);
                Fall { reason: reason.clone(), beside }
            }
            None => Fall { reason: said.to_owned(), beside: None },
        }
    };
    candidates.iter().zip(&found.table).map(fall).collect()
}

/// Why a candidate would fall out if none of its steps were refused. A step that is refused for
/// the envelope takes what is left of it, as its refusal names: that is not another reason.
fn beside(
    candidate: &Candidate,
    code: &str,
    constraints: &Constraints,
    weights: &Weights,
) -> Option<String> {
    let (mut permitted, mut limits) = (candidate.clone(), constraints.clone());
    for step in &mut permitted.steps {
        let is_refused = matches!(step.admissible, Admissible::No { .. });
        step.admissible = Admissible::Yes;
        match code {
            "envelope.amount" if is_refused => {
                let left = constraints.envelope.amount_max.unwrap_or(u64::MAX);
                let left = left.saturating_sub(constraints.used.amount_minor);
                step.amount_minor = step.amount_minor.min(left);
            }
            "envelope.resources" if is_refused => step.writes.clear(),
            "envelope.combination" => limits.used.actions.clear(),
            _ => {}
        }
    }
    let found = select(std::slice::from_ref(&permitted), &limits, weights);
    found.table.into_iter().find_map(|verdict| match verdict.outcome {
        Outcome::FellOut { reason, .. } => Some(reason),
        Outcome::Scored { .. } => None,
    })
}

/// Why none can be taken: the reason that all have, or each with its plans.
pub(crate) fn reason(candidates: &[Candidate], falls: &[Fall]) -> String {
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for (candidate, fall) in candidates.iter().zip(falls) {
        let plan = format!("`{}`", candidate.id);
        match reasons.iter_mut().find(|(reason, _)| *reason == fall.reason) {
            Some((_, plans)) => plans.push(plan),
            None => reasons.push((&fall.reason, vec![plan])),
        }
    }
    match reasons.as_slice() {
        [] => NO_PLAN.to_owned(),
        [(only, _)] => (*only).to_owned(),
        several => {
            let told = several.iter().take(REASONS_MAX);
            let told: Vec<_> =
                told.map(|(why, plans)| format!("{}: {why}", plans.join(", "))).collect();
            let more = if several.len() > REASONS_MAX { " …" } else { "" };
            format!("no plan can be taken. {}{more}", told.join(" / "))
        }
    }
}

/// The least changes of budget and deadline that would let a plan be taken, the fewest first.
pub(crate) fn ways(
    candidates: &[Candidate],
    constraints: &Constraints,
    weights: &Weights,
) -> Vec<String> {
    let mut ways = Vec::new();
    for candidate in candidates {
        let Some(room) = room(candidate, constraints, weights) else { continue };
        let budget = room
            .budget
            .zip(constraints.budget)
            .map(|(needed, given)| format!("the budget were at least {needed} (it is {given})"));
        let deadline = room.deadline_ms.zip(constraints.deadline_ms).map(|(needed, given)| {
            format!("the deadline were at least {needed} ms (it is {given} ms)")
        });
        let changes: Vec<_> = [budget, deadline].into_iter().flatten().collect();
        let way = format!("if {}, by the plan `{}`", changes.join(" and "), candidate.id);
        ways.push((changes.len(), way));
    }
    let fewest = ways.iter().map(|(count, _)| *count).min().unwrap_or(0);
    let fewest = ways.into_iter().filter(|(count, _)| *count == fewest);
    fewest.map(|(_, way)| way).take(WAYS_MAX).collect()
}
