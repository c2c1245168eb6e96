//! `choose`: offering plans, running the chosen one, offering the rest when it fell.

use std::collections::BTreeSet;
use std::sync::Arc;

use cog_base::json::Map;
use cog_base::{Value, json};

use super::cell::{CellId, Fall, FrameId, FrameKind, Phase};
use super::event::{
    Action, Constraints, Expect, OutOfOrder, PlanSpec, PlanStep, StepError, StepStatus,
};
use super::step::{Outcome, denied};
use super::{Run, Wait};
use crate::definition::{Body, Choose, EffectCall, Plan, Step};
use crate::expr::Target;
use crate::limits::MAX_REPLANS;
use crate::path::StepPath;
use crate::template::Template;

impl Run {
    /// Offers every plan that did not fall.
    pub(super) fn select_plan(
        &mut self,
        id: CellId,
        choose: &Choose,
        frame: FrameId,
    ) -> Result<(), StepError> {
        let choice = self.cells.get_mut(id).choice.get_or_insert_default();
        choice.attempt += 1;
        let (attempt, fallen) = (choice.attempt, choice.fallen.clone());
        let definition = Arc::clone(&self.cells.get(id).step);
        let subject = self.subject(&definition, frame)?;
        let plans = self.offers(id, choose, &fallen, subject.as_deref())?;
        let goal = self.evaluate_text(&choose.goal, frame, "`goal`")?;
        let constraints = Constraints {
            cost_micros: self.optional_number(choose.cost_micros.as_ref(), frame)?,
            deadline_ms: self.optional_number(choose.deadline_ms.as_ref(), frame)?,
        };
        let step = self.cells.get(id).path.clone();
        self.actions.push(Action::Choose { step, goal, constraints, plans, attempt, subject });
        self.listen(id, Phase::Choosing);
        Ok(())
    }

    fn optional_number(
        &self,
        template: Option<&Template>,
        frame: FrameId,
    ) -> Result<Option<u64>, StepError> {
        template.map(|one| self.evaluate_number(one, frame, "a constraint")).transpose()
    }

    fn offers(
        &self,
        id: CellId,
        choose: &Choose,
        fallen: &BTreeSet<usize>,
        subject: Option<&str>,
    ) -> Result<Vec<PlanSpec>, StepError> {
        choose
            .plans
            .iter()
            .enumerate()
            .filter(|(position, _)| !fallen.contains(position))
            .map(|(_, plan)| self.offer(id, plan, subject))
            .collect()
    }

    /// A plan as it can be foreseen; `subject` is that of the choice.
    fn offer(&self, id: CellId, plan: &Plan, subject: Option<&str>) -> Result<PlanSpec, StepError> {
        let frame = self.cells.get(id).frame;
        let expect = Expect {
            cost_micros: self.evaluate_number(&plan.cost_micros, frame, "`cost_micros`")?,
            latency_ms: self.evaluate_number(&plan.latency_ms, frame, "`latency_ms`")?,
            risk: plan.risk,
        };
        let mut steps = Vec::new();
        for step in &plan.block.steps {
            let Body::Effect(call) = &step.body else { continue };
            steps.push(PlanStep {
                id: step.id.clone(),
                needs: step.needs.clone(),
                uses: call.operation.as_str().to_owned(),
                actor: step.actor.clone(),
                with: self.foreseen(plan, step, call, frame)?,
                subject: self.foreseen_subject(plan, step, frame)?.or(subject.map(str::to_owned)),
                sources: self.foreseen_sources(id, plan, step, call),
            });
        }
        Ok(PlanSpec { id: plan.id.clone(), expect, steps })
    }

    /// The arguments of a plan's step, unless they depend on what the plan brings about.
    fn foreseen(
        &self,
        plan: &Plan,
        step: &Step,
        call: &EffectCall,
        frame: FrameId,
    ) -> Result<Option<Map>, StepError> {
        if call.with.values().any(|template| depends_on(template, plan)) {
            return Ok(None);
        }
        let with = self.evaluate_members(&call.with, frame)?;
        call.operation.check(&with).map_err(|error| {
            let message = format!("plan `{}`, step `{}`: {error}", plan.id, step.id);
            StepError::new("arguments", message)
        })?;
        Ok(Some(with))
    }

    /// Whose data a plan's step holds by its own word, unless that depends on what the plan
    /// brings about.
    fn foreseen_subject(
        &self,
        plan: &Plan,
        step: &Step,
        frame: FrameId,
    ) -> Result<Option<String>, StepError> {
        let known = step.subject.as_ref().filter(|subject| !depends_on(subject, plan));
        known.map(|subject| self.evaluate_text(subject, frame, "`subject`")).transpose()
    }

    /// A selection was made.
    pub(super) fn planned(
        &mut self,
        step: &StepPath,
        plan: Option<&str>,
        reason: &str,
    ) -> Result<(), OutOfOrder> {
        let id = self.waiting("planned", step, &[Wait::Choosing])?;
        let definition = Arc::clone(&self.cells.get(id).step);
        let Body::Choose(choose) = &definition.body else { return Ok(()) };
        let Some(plan) = plan else {
            self.no_plan(id, reason);
            return Ok(());
        };
        let fallen = self.cells.get(id).choice.as_ref().map(|choice| &choice.fallen);
        let offered = choose.plans.iter().enumerate().find(|(position, one)| {
            one.id == plan && !fallen.is_some_and(|fallen| fallen.contains(position))
        });
        let Some((position, plan)) = offered else {
            let why = format!("the plan `{plan}` was not offered");
            return Err(OutOfOrder { event: "planned", subject: format!("step `{step}`"), why });
        };
        self.unlisten(id);
        let cell = self.cells.get_mut(id);
        cell.note = Some(format!("plan {}", plan.id));
        if let Some(choice) = &mut cell.choice {
            choice.plan = position;
        }
        let (frame, prefix) = (cell.frame, cell.path.child(&plan.id));
        let (block, kind) = (Arc::clone(&plan.block), FrameKind::Plan(id));
        match self.open_frame(block, Some(frame), kind, Some(&prefix)) {
            Some(inside) => self.enter(id, Phase::Inside(inside), StepStatus::Running),
            None => self.fail(id, Self::too_many_steps()),
        }
        Ok(())
    }

    /// No plan is admissible: the step ends as the last plan did, or is refused.
    fn no_plan(&mut self, id: CellId, reason: &str) {
        let last = self.cells.get_mut(id).choice.as_mut().and_then(|choice| choice.last.take());
        match last {
            Some(fall) => self.finish(id, Outcome::Fell(fall)),
            None => self.finish(id, denied("no_admissible_plan", reason, None)),
        }
    }

    /// The steps of the chosen plan are over.
    pub(super) fn end_plan(&mut self, id: CellId, frame: FrameId, fall: Option<Fall>) {
        let steps = self.gather(frame);
        self.add_frame(id, frame);
        let cell = self.cells.get_mut(id);
        if cell.cancelled {
            return self.finish(id, Outcome::Skipped("cancelled"));
        }
        let definition = Arc::clone(&cell.step);
        let Body::Choose(choose) = &definition.body else { return };
        let position = cell.choice.as_ref().map_or(0, |choice| choice.plan);
        let plan = choose.plans.get(position).map(|plan| plan.id.as_str());
        let output = Value::map([("plan", json::Json::from(plan)), ("steps", steps)]);
        let Some(fall) = fall else { return self.finish(id, Outcome::Completed(output)) };
        cell.output = output;
        let Some(choice) = &mut cell.choice else { return };
        choice.fallen.insert(position);
        choice.last = Some(fall.clone());
        let exhausted = choice.fallen.len() >= choose.plans.len() || choice.attempt > MAX_REPLANS;
        if exhausted || fall.is_by_people() {
            return self.finish(id, Outcome::Fell(fall));
        }
        let around = cell.frame;
        if let Err(error) = self.select_plan(id, choose, around) {
            self.shows_its_body(id, &definition);
            self.fail(id, error);
        }
    }
}

/// Whether a template reads what a step of the plan gives.
fn depends_on(template: &Template, plan: &Plan) -> bool {
    let mut inside = false;
    template.each_program(&mut |program| {
        inside |= program.references().iter().any(|reference| {
            matches!(&reference.target, Target::Step(id) if plan.block.index.contains_key(id))
        });
    });
    inside
}
