//! The choice itself.

use std::collections::BTreeSet;

use cog_base::Micros;

use crate::constraints::{Constraints, Weights};
use crate::fault::Fault;
use crate::plan::{Admissible, Candidate, StepEstimate};
use crate::schedule::critical_path_ms;
use crate::verdict::{Outcome, Selection, Verdict};
use crate::{MAX_CANDIDATES, MAX_STEPS};

/// Chooses the candidate with the least score among those that can be taken; a tie goes to
/// the smaller digest. Says of every candidate how it scored or why it fell out.
///
/// The order of the candidates makes no difference to which plan is chosen.
#[must_use]
pub fn select(candidates: &[Candidate], constraints: &Constraints, weights: &Weights) -> Selection {
    let found = candidates.len();
    let outcome = |candidate: &Candidate| {
        if found > MAX_CANDIDATES {
            return Err(Fault::TooManyCandidates { found });
        }
        judge(candidate, constraints, weights)
    };
    let verdict = |candidate: &Candidate| Verdict {
        candidate: candidate.id.clone(),
        digest: candidate.digest,
        outcome: outcome(candidate).unwrap_or_else(|fault| Outcome::fell_out(&fault)),
    };
    let table: Vec<Verdict> = candidates.iter().map(verdict).collect();
    let scored = table.iter().enumerate().filter_map(|(place, verdict)| {
        Some((verdict.outcome.total()?, verdict.digest, &verdict.candidate, place))
    });
    let chosen = scored.min().map(|(.., place)| place);
    Selection { chosen, table }
}

fn judge(
    candidate: &Candidate,
    constraints: &Constraints,
    weights: &Weights,
) -> Result<Outcome, Fault> {
    let steps = candidate.steps.as_slice();
    if steps.len() > MAX_STEPS {
        return Err(Fault::TooManySteps { found: steps.len() });
    }
    let latency_ms = critical_path_ms(steps)?;
    let approvals = admissible(steps)?;
    inside_envelope(steps, constraints)?;
    let cost = sum("expected cost", steps.iter().map(|step| step.cost.get()))?;
    affordable(Micros::new(cost), latency_ms, constraints)?;
    let risk_loss = expected_loss(steps, weights)?;
    let total = total(cost, latency_ms, risk_loss, weights)?;
    Ok(Outcome::Scored {
        cost: Micros::new(cost),
        latency_ms,
        risk_loss: Micros::new(risk_loss),
        total: Micros::new(total),
        approvals,
    })
}

/// What a candidate would have to be given so that it could be taken. Nothing for one that can
/// be taken as it is, and for one that something else stands in the way of.
#[must_use]
pub fn room(candidate: &Candidate, constraints: &Constraints, weights: &Weights) -> Option<Room> {
    let free = Constraints { budget: None, deadline_ms: None, ..constraints.clone() };
    let Ok(Outcome::Scored { cost, latency_ms, .. }) = judge(candidate, &free, weights) else {
        return None;
    };
    let over = |found: u64, max: Option<u64>| max.is_some_and(|max| found > max);
    let budget = over(cost.get(), constraints.budget.map(Micros::get)).then_some(cost);
    let deadline_ms = over(latency_ms, constraints.deadline_ms).then_some(latency_ms);
    (budget.is_some() || deadline_ms.is_some()).then_some(Room { budget, deadline_ms })
}

/// The least that a candidate needs where it has less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The budget, if the one there is is too small.
    pub budget: Option<Micros>,
    /// Milliseconds until the deadline, if there are too few.
    pub deadline_ms: Option<u64>,
}

/// Who would have to approve, when no step would be refused.
fn admissible(steps: &[StepEstimate]) -> Result<Vec<String>, Fault> {
    let mut approvals = BTreeSet::new();
    for step in steps {
        match &step.admissible {
            Admissible::Yes | Admissible::NotYetKnown => {}
            Admissible::NeedsApproval { by } => {
                approvals.insert(by.clone());
            }
            Admissible::No { code, reason } => {
                return Err(Fault::Inadmissible {
                    step: step.id.clone(),
                    code: code.clone(),
                    reason: reason.clone(),
                });
            }
        }
    }
    Ok(approvals.into_iter().collect())
}

/// The envelope bounds the run as a whole: what it has used counts with what the plan adds,
/// and counts as it does at the gate.
fn inside_envelope(steps: &[StepEstimate], constraints: &Constraints) -> Result<(), Fault> {
    let (envelope, used) = (&constraints.envelope, &constraints.used);
    if steps.is_empty() {
        return Ok(());
    }
    let mut resources: BTreeSet<&String> = used.resources.iter().collect();
    resources.extend(steps.iter().flat_map(|step| &step.writes));
    within(resources.len() as u64, envelope.resources_max, |found, max| Fault::Resources {
        found,
        max,
    })?;
    // What is no amount counts as more than anything, and with more it is no more.
    let amounts = steps.iter().map(|step| step.amount_minor);
    let amount = amounts.fold(used.amount_minor, u64::saturating_add);
    within(amount, envelope.amount_max, |found, max| Fault::Amount { found, max })?;
    let own: BTreeSet<&String> = steps.iter().map(|step| &step.action).collect();
    let completed = |set: &&Vec<String>| {
        set.iter().any(|action| own.contains(action))
            && set.iter().all(|action| own.contains(action) || used.actions.contains(action))
    };
    let forbidden = envelope.forbidden.iter().find(completed);
    forbidden.map_or(Ok(()), |actions| Err(Fault::Forbidden { actions: actions.clone() }))
}

fn affordable(cost: Micros, latency_ms: u64, constraints: &Constraints) -> Result<(), Fault> {
    let budget = |found, max| Fault::Budget { found: Micros::new(found), max: Micros::new(max) };
    within(cost.get(), constraints.budget.map(Micros::get), budget)?;
    within(latency_ms, constraints.deadline_ms, |found, max| Fault::Deadline { found, max })
}

fn expected_loss(steps: &[StepEstimate], weights: &Weights) -> Result<u64, Fault> {
    let loss = |step: &StepEstimate| {
        let unpriced = || Fault::Unpriced { step: step.id.clone(), risk: step.risk };
        weights.loss_micros.get(&step.risk).copied().ok_or_else(unpriced)
    };
    let losses = steps.iter().map(loss).collect::<Result<Vec<u64>, Fault>>()?;
    sum("expected loss", losses)
}

/// The score of a candidate whose cost in micros, latency and expected loss in micros are known;
/// nothing when it is beyond 64 bits. The least wins, and a tie goes to the smaller digest.
#[must_use]
pub fn score(cost: u64, latency_ms: u64, risk_loss: u64, weights: &Weights) -> Option<u64> {
    total(cost, latency_ms, risk_loss, weights).ok()
}

fn total(cost: u64, latency_ms: u64, risk_loss: u64, weights: &Weights) -> Result<u64, Fault> {
    // INVARIANT: a product of two u64 fits a u128, and so does the sum of three parts of
    // which two were divided.
    let time = u128::from(latency_ms) * u128::from(weights.latency_micros_per_second);
    let loss = u128::from(risk_loss) * u128::from(weights.risk_weight_percent);
    let total = u128::from(cost) + time.div_ceil(1_000) + loss.div_ceil(100);
    u64::try_from(total).map_err(|_| Fault::Overflow { what: "score" })
}

fn within(
    found: u64,
    max: Option<u64>,
    fault: impl FnOnce(u64, u64) -> Fault,
) -> Result<(), Fault> {
    match max {
        Some(max) if found > max => Err(fault(found, max)),
        Some(_) | None => Ok(()),
    }
}

fn sum(what: &'static str, parts: impl IntoIterator<Item = u64>) -> Result<u64, Fault> {
    let sum = parts.into_iter().try_fold(0_u64, u64::checked_add);
    sum.ok_or(Fault::Overflow { what })
}
