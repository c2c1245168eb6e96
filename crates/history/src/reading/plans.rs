//! `choose`: a plan runs behind its selection, and the next one behind the fall of the last.

use std::collections::BTreeSet;

use cog_base::Value;
use cog_flow::limits::MAX_REPLANS;
use cog_flow::{Body, Choose, Template};

use super::Reading;
use super::anew::Waiter;
use super::scope::{Gap, Sight};
use super::stand::{Fall, Pending, Raw, Release};
use crate::log::What;
use crate::property::Property;

impl Reading<'_> {
    pub(super) fn choose(
        &mut self,
        choose: &Choose,
        frame: usize,
        path: &str,
        release: Release,
    ) -> Raw {
        self.claimed.insert(path.to_owned());
        self.barred.insert(path.to_owned(), Property::Plan);
        let log = self.log;
        let places = log.begins.get(path).map(Vec::as_slice).unwrap_or_default();
        self.begins(path, places, release);
        if places.is_empty() {
            let waiter = Waiter { step: None, frame, stays: true };
            return self.lived(path, release, &waiter, |it, _, release| {
                it.without_selection(choose, frame, path, release)
            });
        }
        let mut last: Option<(Fall, Option<Value>)> = None;
        let mut fallen: BTreeSet<&str> = BTreeSet::new();
        for (attempt, place) in places.iter().enumerate() {
            let seq = log.seq(*place);
            let Some(What::Planned { chosen, reason, .. }) = log.event(*place).map(|it| &it.what)
            else {
                continue;
            };
            if attempt > 0 {
                let fall = last.as_ref().map(|(fall, _)| fall);
                let more = fall.is_some_and(|fall| !is_last(fall, &fallen, attempt, choose));
                self.again(path, *place, fall.filter(|_| more));
            }
            let Some(chosen) = chosen else {
                let refused = || (none_admissible(*place, path, reason.as_ref()), None);
                let (fall, output) = last.unwrap_or_else(refused);
                return Raw::Fell(Fall { at: *place, ..fall }, output);
            };
            let plan = choose.plans.iter().find(|plan| plan.id == *chosen);
            let plan = plan.filter(|plan| !fallen.contains(plan.id.as_str()));
            self.report.test(Property::Plan, plan.is_some(), seq, || {
                format!("`{path}` has no plan `{chosen}` that has not fallen")
            });
            let Some(plan) = plan else { continue };
            let prefix = format!("{path}.{}", plan.id);
            let behind = Release { at: *place, by: Property::Plan };
            let inside = self.block(&plan.block, Some(frame), &prefix, behind);
            let output = inside.steps.map(|steps| {
                Value::map([("plan", Value::from(plan.id.as_str())), ("steps", steps)])
            });
            // Perhaps it fell, if another is selected behind it.
            let perhaps = inside.unknown && places.len() > attempt.saturating_add(1);
            let fell = || perhaps.then(|| Fall::failed(*place, path, None));
            match (inside.over, inside.fall.or_else(fell)) {
                (Some(over), None) if inside.unknown => return Raw::Unknown(over),
                (Some(over), None) => {
                    self.chosen(path, *place, places);
                    return Raw::Completed(over, output);
                }
                (Some(over), Some(fall)) => {
                    self.keeps_no_consent(&prefix, over, true);
                    fallen.insert(&plan.id);
                    last = Some((Fall { at: over, ..fall }, output));
                }
                (None, _) => {
                    self.chosen(path, *place, places);
                    return Raw::Open(inside.pending);
                }
            }
        }
        match last {
            Some((fall, output)) if is_last(&fall, &fallen, places.len(), choose) => {
                Raw::Fell(fall, output)
            }
            // What the others are offered with may have no value, and then there is no choice.
            Some((fall, _)) if self.has_expressions(choose) => Raw::Unknown(fall.at),
            Some(_) | None => Raw::Open(vec![Pending { path: path.to_owned() }]),
        }
    }

    /// Another plan is selected only behind the fall of the last, if that leaves another.
    fn again(&mut self, path: &str, place: usize, fall: Option<&Fall>) {
        let is_free = fall.is_some_and(|fall| fall.at < place);
        self.report.test(Property::Plan, is_free, self.log.seq(place), || {
            format!("`{path}` chooses again, although the last plan did not fall before")
        });
    }

    /// A plan did not fall: nothing is chosen behind its selection.
    fn chosen(&mut self, path: &str, place: usize, places: &[usize]) {
        for late in places {
            self.report.test(Property::Plan, *late <= place, self.log.seq(*late), || {
                format!("`{path}` chooses again, although its plan did not fall")
            });
        }
    }

    /// No selection is recorded: the step failed by itself, or is still to choose.
    fn without_selection(
        &mut self,
        choose: &Choose,
        frame: usize,
        path: &str,
        release: Release,
    ) -> Raw {
        let sight = Sight { frame, at: release.at };
        let mut all = vec![self.evaluate_text(&choose.goal, sight)];
        let numbers = choose.cost_micros.iter().chain(&choose.deadline_ms);
        let expected = choose.plans.iter().flat_map(|plan| [&plan.cost_micros, &plan.latency_ms]);
        for template in numbers.chain(expected) {
            all.push(self.evaluate_number(template, sight).map(drop));
        }
        all.push(self.subject(None, sight));
        match all.into_iter().collect::<Result<(), Gap>>() {
            Err(Gap::Fails(error)) => Raw::Fell(Fall::failed(release.at, path, Some(error)), None),
            Err(Gap::Unknown) => Raw::Unknown(release.at),
            Ok(()) if self.has_expressions(choose) => Raw::Unknown(release.at),
            Ok(()) => Raw::Open(vec![Pending { path: path.to_owned() }]),
        }
    }

    /// Whether what its plans would do is known only from what went before.
    fn has_expressions(&self, choose: &Choose) -> bool {
        let mut steps = choose.plans.iter().flat_map(|plan| &plan.block.steps);
        steps.any(|step| match &step.body {
            Body::Effect(call) => {
                let plain = |template: &Template| template.plain().is_some();
                !call.with.values().chain(&step.subject).all(plain)
            }
            Body::Compute(_)
            | Body::Group(_)
            | Body::Choose(_)
            | Body::Approve(_)
            | Body::Sleep(_)
            | Body::WaitFor(_)
            | Body::Checkpoint(_)
            | Body::Run(_)
            | Body::Continue(_) => false,
        })
    }
}

/// The refusal of a step that has no admissible plan.
fn none_admissible(place: usize, path: &str, reason: Option<&Value>) -> Fall {
    let denied = |reason| super::denied("no_admissible_plan", reason, None);
    Fall::refused(place, path, reason.and_then(Value::as_text).map(denied))
}

/// Whether no other plan is selected behind this fall: people said no, none is left, or enough
/// were tried.
fn is_last(fall: &Fall, fallen: &BTreeSet<&str>, tried: usize, choose: &Choose) -> bool {
    fall.is_by_people() || fallen.len() >= choose.plans.len() || tried > MAX_REPLANS as usize
}
