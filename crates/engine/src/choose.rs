//! Candidate plans put to OPTR: what the canon would say about each step, what it costs.

use std::collections::BTreeSet;
use std::sync::Arc;

use cog_base::entropy::NoEntropy;
use cog_base::id::{RunId, SelectionId};
use cog_base::json::Map;
use cog_base::{Digest, Micros, Value};
use cog_canon::Canon;
use cog_flow::{Event, PlanSpec, PlanStep, StepPath};
use cog_gate::decision::{Decision, Verdict};
use cog_gate::explain::reason;
use cog_gate::{Actor, Answer, AnyEffect, Effect, Gate, Question, Refusal};
use cog_ledger::{BodyDraft, Kind};
use cog_optr::{Admissible, Candidate, Constraints, Envelope, Risk, StepEstimate, Used, Weights};

use crate::active::Active;
use crate::engine::{Await, Engine, Turn};
use crate::notice::What;
use crate::prospects::{self, Fall, falls, ways};
use crate::start::draft;

/// What a flow asks to choose among.
#[derive(Clone)]
pub(crate) struct Choice {
    pub(crate) step: StepPath,
    pub(crate) goal: String,
    pub(crate) constraints: cog_flow::Constraints,
    pub(crate) plans: Vec<PlanSpec>,
    pub(crate) attempt: u32,
    /// Whose personal data goal and candidates hold.
    pub(crate) subject: Option<String>,
}

impl Engine {
    /// Select a plan and record the selection with every candidate's score or fault. When
    /// none is admissible, the refusal that stood in the way of the first is recorded too, so
    /// that it can be explained like any other.
    pub(crate) fn choose(
        &mut self,
        id: RunId,
        choice: Choice,
        turn: &mut Turn,
    ) -> Result<Event, NoEntropy> {
        let Choice { step, goal, constraints, plans, attempt, subject } = choice;
        let selection = SelectionId::new(self.now(), self.entropy.as_mut())?;
        let Some(active) = self.runs.get(&id) else {
            return Ok(Event::Planned { step, plan: None, reason: "the run is gone".into() });
        };
        let (canon, in_force) = self.canon_for(&active.origin.domain);
        let candidates: Vec<_> =
            plans.iter().map(|plan| self.candidate(active, &step, plan, canon.as_ref())).collect();
        let (limits, prices) = match &canon {
            Some(canon) => (self.constraints(active, &constraints, canon), weights(canon)),
            None => (Constraints::default(), no_weights()),
        };
        let found = cog_optr::select(&candidates, &limits, &prices);
        let table = found.to_value().get("candidates").cloned().unwrap_or(Value::Null);
        let chosen = found.chosen.and_then(|place| plans.get(place)).map(|plan| plan.id.clone());
        let falls = match &chosen {
            Some(_) => Vec::new(),
            None => falls(&candidates, &found, &limits, &prices),
        };
        let refusal = match &chosen {
            Some(_) => None,
            None => self.refusal(id, &step, (&plans, &falls), selection)?,
        };
        let reason = prospects::reason(&candidates, &falls);
        let mut data = Map::from([
            ("id".into(), selection.into()),
            ("step".into(), step.to_string().into()),
            ("attempt".into(), attempt.into()),
            ("candidates".into(), named(&table)),
        ]);
        // What may be about a person stands in the body, which can be erased.
        let mut about = vec![("goal", Value::from(goal.as_str())), ("candidates", table.clone())];
        match &chosen {
            Some(chosen) => drop(data.insert("chosen".into(), chosen.as_str().into())),
            None => {
                let flips = ways(&candidates, &limits, &prices);
                about.push(("flips", Value::list(flips.iter().map(String::as_str))));
                about.push(("reason", reason.as_str().into()));
            }
        }
        let body = Some(BodyDraft { subject, bytes: Value::map(about).canonical() });
        let Some(active) = self.runs.get(&id) else {
            return Ok(Event::Planned { step, plan: None, reason });
        };
        let draft = draft(&active.origin, Kind::PlanSelected, in_force, data, body);
        turn.append(active.origin.tenant, id, draft, Await::Nothing);
        let (name, plan) = (step.to_string(), chosen.clone());
        let told = What::Planned { step: name, selection, goal, chosen: plan, candidates: table };
        turn.tell_behind(id, told);
        if let Some(refusal) = refusal {
            self.stood_in_the_way(id, *refusal, turn);
        }
        let reason = if chosen.is_some() { String::new() } else { reason };
        Ok(Event::Planned { step, plan: chosen, reason })
    }

    /// Record the refusal that stood in the way of a plan.
    fn stood_in_the_way(&self, id: RunId, refusal: Refusal, turn: &mut Turn) {
        let Refusal { id: denial, code, reason, flips, draft, .. } = refusal;
        let name = draft.data.get("step").and_then(Value::as_text).unwrap_or_default();
        let step = name.to_owned();
        turn.append(self.settings.tenant, id, draft, Await::Nothing);
        turn.tell_behind(id, What::Refused { step, denial, code, reason, flips });
    }

    /// The gate's refusal of the first step of the first plan that it refuses, as an entry of
    /// this selection: rather of a plan that nothing else stands in the way of.
    fn refusal(
        &mut self,
        id: RunId,
        step: &StepPath,
        (plans, falls): (&[PlanSpec], &[Fall]),
        selection: SelectionId,
    ) -> Result<Option<Box<Refusal>>, NoEntropy> {
        let Some(active) = self.runs.get(&id) else { return Ok(None) };
        let (canon, in_force) = self.canon_for(&active.origin.domain);
        let world = self.world(canon.as_ref(), in_force);
        // Without a canon nothing has a price, and no plan can be taken for that alone.
        let beside = falls.iter().map(|fall| fall.beside.as_deref().filter(|_| canon.is_some()));
        let mut plans: Vec<_> = plans.iter().zip(beside).collect();
        plans.sort_by_key(|(_, beside)| beside.is_some());
        let parts = plans.into_iter().flat_map(|it| it.0.steps.iter().map(move |part| (it, part)));
        for ((plan, beside), part) in parts {
            let Some(Ok((actor, effect))) = read_part(active, part) else { continue };
            let name = format!("{step}.{}.{}", plan.id, part.id);
            let origin = &active.origin;
            let (subject, sources) = (part.subject.clone(), part.sources.clone());
            let question = Question { origin, step: &name, actor, effect, subject, sources };
            let decision = self.gate.preview(&question, &world);
            if !matches!(decision.verdict, Verdict::Refuse(_)) {
                continue;
            }
            let answer = self.gate.ask(question, &world, self.entropy.as_mut())?;
            if let Answer::Refused(refusal) = answer {
                let mut refusal = match beside {
                    Some(because) => refusal.in_vain(because),
                    None => *refusal,
                };
                refusal.draft.data.insert("selection".into(), selection.into());
                return Ok(Some(Box::new(refusal)));
            }
        }
        Ok(None)
    }

    fn candidate(
        &self,
        active: &Active,
        step: &StepPath,
        plan: &PlanSpec,
        canon: Option<&Arc<Canon>>,
    ) -> Candidate {
        let expect = &plan.expect;
        // What a plan is expected to cost and take is said of the whole: its first step
        // carries it, so that the sums over the steps are those of the plan.
        let mut first = true;
        let steps = plan.steps.iter().map(|part| {
            let whole = std::mem::replace(&mut first, false);
            let mut estimate = self.estimate(active, step, plan, part, canon);
            if whole {
                estimate.risk = expect.risk.as_str().parse().unwrap_or(Risk::Critical);
                let cost = Micros::new(expect.cost_micros);
                estimate.cost = estimate.cost.checked_add(cost).unwrap_or(cost);
                estimate.latency_ms = expect.latency_ms;
            }
            estimate
        });
        Candidate { id: plan.id.clone(), digest: digest(plan), steps: steps.collect() }
    }

    fn estimate(
        &self,
        active: &Active,
        step: &StepPath,
        plan: &PlanSpec,
        part: &PlanStep,
        canon: Option<&Arc<Canon>>,
    ) -> StepEstimate {
        let risk = canon.map(|canon| canon.settings().risk_of(&part.uses));
        let mut estimate = StepEstimate {
            id: part.id.clone(),
            action: part.uses.clone(),
            writes: BTreeSet::new(),
            admissible: Admissible::NotYetKnown,
            cost: Micros::ZERO,
            latency_ms: 0,
            risk: risk.and_then(|risk| risk.parse().ok()).unwrap_or(Risk::Critical),
            amount_minor: 0,
            needs: part.needs.clone(),
        };
        let (actor, effect) = match read_part(active, part) {
            Some(Ok(read)) => read,
            Some(Err(reason)) => {
                estimate.admissible = Admissible::No { code: "step.invalid".into(), reason };
                return estimate;
            }
            None if part.uses == "compute" => {
                estimate.admissible = Admissible::Yes;
                return estimate;
            }
            None => return estimate,
        };
        if let Some(reason) = active.rejected.get(&(actor.clone(), effect.digest())) {
            let (code, reason) = ("approval.rejected".to_owned(), reason.clone());
            estimate.admissible = Admissible::No { code, reason };
            return estimate;
        }
        let name = format!("{step}.{}.{}", plan.id, part.id);
        let origin = &active.origin;
        let (subject, sources) = (None, part.sources.clone());
        let question = Question { origin, step: &name, actor, effect, subject, sources };
        let intent = Gate::intent(&question, canon.map(Arc::as_ref));
        let (_, in_force) = self.canon_for(&origin.domain);
        let world = self.world(canon, in_force);
        let decision = self.gate.preview(&question, &world);
        estimate.admissible = admissible(&decision, &reason(&decision, &intent));
        estimate.cost = intent.cost();
        estimate.writes = question.effect.footprint().writes;
        estimate.amount_minor =
            canon.map_or(0, |canon| cog_gate::decision::amount_of(canon.settings(), &intent));
        estimate
    }

    fn constraints(
        &self,
        active: &Active,
        wanted: &cog_flow::Constraints,
        canon: &Canon,
    ) -> Constraints {
        let left = self.gate.budget_left(active.origin.session);
        let asked = wanted.cost_micros.map(Micros::new);
        let envelope = &canon.settings().envelope;
        let used = self.gate.used(active.origin.session);
        Constraints {
            budget: asked.into_iter().chain(left).min(),
            deadline_ms: wanted.deadline_ms,
            envelope: Envelope {
                resources_max: envelope.resources_max,
                amount_max: envelope.amount_max,
                forbidden: envelope.forbidden.clone(),
            },
            used: Used {
                resources: used.resources,
                amount_minor: used.amount,
                actions: used.actions,
            },
        }
    }
}

/// The actor and the effect of a plan's step, what is wrong with them, or nothing when they
/// are not known before the plan runs.
fn read_part(active: &Active, part: &PlanStep) -> Option<Result<(Actor, AnyEffect), String>> {
    let with = part.with.as_ref().filter(|_| part.uses != "compute")?;
    let actor = match &part.actor {
        Some(actor) => actor.parse::<Actor>().map_err(|error| error.to_string()),
        None => Ok(active.origin.initiator.clone()),
    };
    let effect = AnyEffect::from_args(&part.uses, with).map_err(|error| error.to_string());
    Some(actor.and_then(|actor| Ok((actor, effect?))))
}

fn admissible(decision: &Decision, reason: &str) -> Admissible {
    match &decision.verdict {
        Verdict::Allow | Verdict::Wait => Admissible::Yes,
        Verdict::NeedsApproval(need) => {
            Admissible::NeedsApproval { by: format!("{} of {}", need.count, need.of.join(", ")) }
        }
        Verdict::Refuse(_) => {
            let code = decision.failed().map_or("refused", |check| check.code);
            Admissible::No { code: code.to_owned(), reason: reason.to_owned() }
        }
    }
}

fn weights(canon: &Canon) -> Weights {
    let settings = canon.settings();
    let loss = settings.risk.iter().filter_map(|(risk, loss)| Some((risk.parse().ok()?, *loss)));
    Weights {
        latency_micros_per_second: settings.optr.latency_micros_per_second,
        loss_micros: loss.collect(),
        risk_weight_percent: settings.optr.risk_weight_percent,
    }
}

/// Without a canon nothing has a price, and so every plan falls out.
fn no_weights() -> Weights {
    Weights {
        latency_micros_per_second: 0,
        loss_micros: std::collections::BTreeMap::new(),
        risk_weight_percent: 100,
    }
}

/// The candidates as the entry names them: which they were, and why each fell out, in a word.
fn named(table: &Value) -> Value {
    let candidates = table.as_list().unwrap_or_default().iter().map(|candidate| {
        let code = candidate.at(&["reason", "code"]).cloned();
        let members = ["plan", "digest"].map(|name| (name, candidate.get(name).cloned()));
        let members = members.into_iter().chain([("code", code)]);
        Value::map(members.filter_map(|(name, value)| Some((name, value?))))
    });
    Value::list(candidates)
}

/// Choose again among the candidates of a recorded selection: by the scores that are recorded, at
/// the prices of the canon. What the estimates rest on is not looked at.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn chosen_again(data: &Map, body: &Value, canon: Option<&Canon>) -> Result<(), String> {
    let table = body.get("candidates").cloned().unwrap_or(Value::Null);
    if data.get("candidates") != Some(&named(&table)) {
        return Err("its candidates are not those in its body".to_owned());
    }
    let prices = canon.map_or_else(no_weights, weights);
    let mut scored = Vec::new();
    for candidate in table.as_list().unwrap_or_default() {
        let text = |name| candidate.get(name).and_then(Value::as_text).unwrap_or_default();
        let Some(score) = candidate.get("score") else { continue };
        let number = |name| {
            let number = score.get(name)?;
            number.as_u64().or_else(|| number.as_text()?.parse().ok())
        };
        let parts = number("cost_micros").zip(number("latency_ms")).zip(number("risk_loss_micros"));
        let total = parts
            .and_then(|((cost, ms), loss)| cog_optr::score(cost, ms, loss, &prices))
            .filter(|total| number("total_micros") == Some(*total));
        let total = total.ok_or_else(|| format!("`{}` has another score", text("plan")))?;
        scored.push((total, text("digest").to_owned(), text("plan").to_owned()));
    }
    let best = scored.into_iter().min().map(|(.., plan)| plan);
    let chosen = data.get("chosen").and_then(Value::as_text);
    if best.as_deref() == chosen {
        return Ok(());
    }
    let words = |plan: Option<&str>| plan.map_or("none".to_owned(), |plan| format!("`{plan}`"));
    Err(format!("it chose {}, and the scores give {}", words(chosen), words(best.as_deref())))
}

fn digest(plan: &PlanSpec) -> Digest {
    let steps = plan.steps.iter().map(|step| {
        Value::map([
            ("id", Value::from(step.id.as_str())),
            ("uses", step.uses.as_str().into()),
            ("with", step.with.clone().map(Value::Map).into()),
        ])
    });
    let value = Value::map([("id", Value::from(plan.id.as_str())), ("steps", Value::list(steps))]);
    Digest::in_context("cognitionos/plan/v1", &value.canonical())
}
