//! One step: how it starts, how it ends, and what its end means to others.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::json::{Json, Map};
use cog_base::{Source, Sources, Value};
use cog_schedule::moment;

use super::Run;
use super::cell::{Cell, CellId, Fall, FrameId, FrameKind, Phase, Role};
use super::event::{Action, StepError, StepStatus};
use super::sources::got_from;
use super::view::View;
use crate::definition::{Approve, Body, EffectCall, Handler, Sleep, Step};
use crate::expr::weight;
use crate::limits::MAX_SLEEP_MS;
use crate::parse::STARTED_AT;
use crate::template::{Template, TemplateError, evaluate_map};

/// The code of a failure that is the answer to `Cancel`.
const CANCELLED: &str = "cancelled";

/// How a step ended.
pub(super) enum Outcome {
    Completed(Value),
    Refused(Value),
    Failed(StepError),
    /// A step inside fell; the output says how the others did.
    Fell(Fall),
    Skipped(&'static str),
}

/// A refusal that does not come from the gate.
pub(super) fn denied(code: &str, reason: &str, by: Option<&str>) -> Outcome {
    let mut denial = Map::from([
        ("id".to_owned(), Json::Null),
        ("code".to_owned(), Value::from(code)),
        ("reason".to_owned(), Value::from(reason)),
    ]);
    if let Some(by) = by {
        denial.insert("by".to_owned(), Value::from(by));
    }
    Outcome::Refused(Json::Map(denial))
}

fn expression_error(error: &TemplateError) -> StepError {
    StepError::new("expression", error.to_string())
}

/// What a question came to: who agreed, and what they filled in; by person where several had to.
pub(super) fn agreed(body: &Body, by: Vec<String>, mut forms: BTreeMap<String, Map>) -> Value {
    let form = if let Body::Approve(approve) = body
        && !approve.form.is_empty()
    {
        let only = by.first().filter(|_| approve.count == 1);
        let form = only.map(|who| forms.remove(who).unwrap_or_default());
        let all = || forms.into_iter().map(|(who, form)| (who, Value::Map(form))).collect();
        Some(("form", Value::Map(form.unwrap_or_else(all))))
    } else {
        None
    };
    Value::map([("by", Value::list(by))].into_iter().chain(form))
}

impl Run {
    pub(super) fn evaluate(&self, template: &Template, frame: FrameId) -> Result<Value, StepError> {
        let view = View { run: self, frame };
        template.evaluate(&view).map_err(|error| expression_error(&error))
    }

    pub(super) fn evaluate_members(
        &self,
        members: &BTreeMap<String, Template>,
        frame: FrameId,
    ) -> Result<Map, StepError> {
        let view = View { run: self, frame };
        evaluate_map(members, &view).map_err(|error| expression_error(&error))
    }

    pub(super) fn evaluate_text(
        &self,
        template: &Template,
        frame: FrameId,
        what: &str,
    ) -> Result<String, StepError> {
        let value = self.evaluate(template, frame)?;
        match (value.as_text(), value.as_int()) {
            (Some(text), _) => Ok(text.to_owned()),
            (None, Some(number)) => Ok(number.to_string()),
            (None, None) => Err(wrong_kind(what, "a string", &value)),
        }
    }

    pub(super) fn evaluate_number(
        &self,
        template: &Template,
        frame: FrameId,
        what: &str,
    ) -> Result<u64, StepError> {
        let value = self.evaluate(template, frame)?;
        value.as_u64().ok_or_else(|| wrong_kind(what, "an integer from 0 up", &value))
    }

    /// The steps it needs are done: decides whether it runs, and for what.
    pub(super) fn start_cell(&mut self, id: CellId) {
        if std::mem::take(&mut self.cells.get_mut(id).held) {
            return self.let_go(id);
        }
        let cell = self.cells.get(id);
        if !matches!(cell.phase, Phase::Waiting) {
            return;
        }
        let step = Arc::clone(&cell.step);
        let (frame, role) = (cell.frame, cell.role);
        self.cells.get_mut(id).began = Some(self.moment);
        let Role::Whole { .. } = role else { return self.begin(id, &step) };
        match self.condition(&step, frame) {
            Ok(true) => {}
            Ok(false) => return self.finish(id, Outcome::Skipped("its `if` is false")),
            Err(error) => {
                let sources = self.handed(id, &step.condition);
                self.cells.get_mut(id).sources = sources;
                return self.fail(id, error);
            }
        }
        match &step.foreach {
            Some(foreach) => self.begin_loop(id, foreach, frame),
            None => self.begin(id, &step),
        }
    }

    pub(super) fn condition(&self, step: &Step, frame: FrameId) -> Result<bool, StepError> {
        let Some(condition) = &step.condition else { return Ok(true) };
        let value = self.evaluate(condition, frame)?;
        value.as_bool().ok_or_else(|| wrong_kind("`if`", "true or false", &value))
    }

    /// Does what the body says.
    pub(super) fn begin(&mut self, id: CellId, step: &Arc<Step>) {
        let frame = self.cells.get(id).frame;
        self.cells.get_mut(id).sources = Sources::default();
        let begun = match &step.body {
            Body::Effect(call) => self.perform(id, step, call, frame),
            Body::Compute(with) => match self.compute(with, frame) {
                Ok(output) => {
                    let sources = self.handed(id, with.values());
                    self.cells.get_mut(id).sources = sources;
                    return self.finish(id, Outcome::Completed(output));
                }
                Err(error) => Err(error),
            },
            Body::Group(_) if step.repeat.is_some() => self.begin_rounds(id),
            Body::Group(block) => {
                let path = self.cells.get(id).path.clone();
                let block = Arc::clone(block);
                self.open_frame(block, Some(frame), FrameKind::Group(id), Some(&path))
                    .map(|inside| {
                        self.enter(id, Phase::Inside(inside), StepStatus::Running);
                        self.bound(id);
                    })
                    .ok_or_else(Self::too_many_steps)
            }
            Body::Choose(choose) => self.select_plan(id, choose, frame),
            Body::Approve(approve) => self.ask(id, approve, frame),
            Body::Sleep(Sleep::For(ms)) => self.sleep(id, ms, frame),
            Body::Sleep(Sleep::Until(at)) => self.sleep_until(id, at, frame),
            Body::WaitFor(wait) => self.wait_for(id, wait, frame),
            Body::Checkpoint(name) => {
                let (step, name) = (self.cells.get(id).path.clone(), name.clone());
                self.actions.push(Action::Mark { step, name });
                self.listen(id, Phase::Marking);
                Ok(())
            }
            Body::Run(child) => self.start_run(id, child, frame),
            Body::Continue(inputs) => self.continue_as_new(id, inputs, frame),
        };
        if let Err(error) = begun {
            self.shows_its_body(id, step);
            self.fail(id, error);
        }
    }

    fn compute(
        &mut self,
        with: &BTreeMap<String, Template>,
        frame: FrameId,
    ) -> Result<Value, StepError> {
        let output = Json::Map(self.evaluate_members(with, frame)?);
        let left = self.computed_left.checked_sub(weight(&output));
        let too_much =
            || StepError::new("limit", "the run keeps more than 64 MiB of computed values");
        self.computed_left = left.ok_or_else(too_much)?;
        Ok(output)
    }

    pub(super) fn enter(&mut self, id: CellId, phase: Phase, status: StepStatus) {
        let cell = self.cells.get_mut(id);
        cell.phase = phase;
        cell.status = status;
    }

    /// The cell waits for an event from now on.
    pub(super) fn listen(&mut self, id: CellId, phase: Phase) {
        let parked = phase.is_parked();
        self.parked += usize::from(parked);
        self.open.insert(self.cells.get(id).path.clone(), id);
        let status = if parked { StepStatus::Parked } else { StepStatus::Running };
        self.enter(id, phase, status);
    }

    /// The cell waits for no event any more.
    pub(super) fn unlisten(&mut self, id: CellId) {
        let cell = self.cells.get(id);
        if cell.phase.is_parked() {
            self.parked = self.parked.saturating_sub(1);
        }
        let path = cell.waits_as();
        if self.open.get(&path) == Some(&id) {
            self.open.remove(&path);
        }
    }

    fn perform(
        &mut self,
        id: CellId,
        step: &Step,
        call: &EffectCall,
        frame: FrameId,
    ) -> Result<(), StepError> {
        let with = self.evaluate_members(&call.with, frame)?;
        let checked = call.operation.check(&with);
        checked.map_err(|error| StepError::new("arguments", error.to_string()))?;
        let subject = self.subject(step, frame)?;
        let sources = self.handed(id, call.with.values());
        let path = self.cells.get(id).path.clone();
        let mut all = got_from(call.operation, &with, &path);
        all.add(&sources);
        self.cells.get_mut(id).sources = all;
        let action = Action::Perform {
            step: path,
            uses: call.operation.as_str().to_owned(),
            actor: step.actor.clone(),
            with,
            retry: call.retry.clone(),
            terms: call.terms,
            subject,
            sources,
        };
        self.actions.push(action);
        self.listen(id, Phase::Effect);
        Ok(())
    }

    /// Whose data the output holds: what the step says, or the nearest step around it, or the run.
    pub(super) fn subject(&self, step: &Step, frame: FrameId) -> Result<Option<String>, StepError> {
        if let Some(subject) = &step.subject {
            return self.evaluate_text(subject, frame, "`subject`").map(Some);
        }
        let around = self.subject_around(frame, |owner, subject| {
            let what = format!("`subject` of `{}`", owner.path);
            self.evaluate_text(subject, owner.frame, &what)
        });
        around.map_or_else(|| Ok(self.subject.clone()), |subject| subject.map(Some))
    }

    /// What comes of the subject that the nearest step around a frame names; nothing where none
    /// names one.
    pub(super) fn subject_around<T>(
        &self,
        frame: FrameId,
        of: impl FnOnce(&Cell, &Template) -> T,
    ) -> Option<T> {
        let mut inside = Some(frame);
        while let Some(frame) = inside {
            let entry = self.frames.get(frame);
            let owner = entry.kind.owner().map(|owner| self.cells.get(owner));
            let subject = owner.and_then(|owner| Some((owner, owner.step.subject.as_ref()?)));
            if let Some((owner, subject)) = subject {
                return Some(of(owner, subject));
            }
            inside = entry.parent;
        }
        None
    }

    fn ask(&mut self, id: CellId, approve: &Approve, frame: FrameId) -> Result<(), StepError> {
        let message = self.evaluate_text(&approve.message, frame, "`message`")?;
        let step = Arc::clone(&self.cells.get(id).step);
        let subject = self.subject(&step, frame)?;
        let sources = self.handed(id, [&approve.message]);
        let path = self.cells.get(id).path.clone();
        let mut answer = self.labels(id);
        answer.add(&Sources::of(Source::People, &path));
        self.cells.get_mut(id).sources = answer;
        self.takes_time(id, approve.expires_ms);
        self.actions.push(Action::Ask {
            step: path,
            by: approve.by.clone(),
            count: approve.count,
            message,
            expires_ms: approve.expires_ms,
            escalate: approve.escalate.as_ref().map(|it| (it.after_ms, it.to.clone())),
            form: approve.form.clone(),
            subject,
            sources,
        });
        self.listen(id, Phase::Asking);
        Ok(())
    }

    fn sleep(&mut self, id: CellId, ms: &Template, frame: FrameId) -> Result<(), StepError> {
        let ms = self.evaluate_number(ms, frame, "`sleep`")?;
        if ms > MAX_SLEEP_MS.unsigned_abs() {
            return Err(StepError::new("limit", "a sleep of more than 366 days"));
        }
        self.takes_time(id, ms);
        self.actions.push(Action::Arm { timer: self.cells.get(id).path.clone(), ms });
        self.listen(id, Phase::Sleeping);
        Ok(())
    }

    /// A chain of runs has waited for a time that is a second behind the start of the run.
    fn sleep_until(&mut self, id: CellId, at: &Template, frame: FrameId) -> Result<(), StepError> {
        let text = self.evaluate_text(at, frame, "`until`")?;
        let at = moment(&text).ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            let message =
                format!("`until` must be a time like 2026-12-24T18:00:00Z, it came to `{text}`");
            StepError::new("expression", message)
        })?;
        let start = self.facts.get(STARTED_AT).and_then(Value::as_text).and_then(moment);
        self.takes_time(id, start.map_or(0, |start| at.ms_since(start)));
        self.actions.push(Action::ArmUntil { timer: self.cells.get(id).path.clone(), at });
        self.listen(id, Phase::Sleeping);
        Ok(())
    }

    /// The step failed by itself; onlookers hear of it.
    pub(super) fn fail(&mut self, id: CellId, error: StepError) {
        let step = self.cells.get(id).path.clone();
        self.actions.push(Action::Fell { step, error: error.clone() });
        self.finish(id, Outcome::Failed(error));
    }

    /// The step came to an end; its handlers may have more to say.
    pub(super) fn finish(&mut self, id: CellId, outcome: Outcome) {
        self.unlisten(id);
        self.unbound(id);
        let cell = self.cells.get_mut(id);
        let fall = match outcome {
            Outcome::Completed(output) => {
                cell.status = StepStatus::Completed;
                cell.output = output;
                self.note_undo(id);
                None
            }
            Outcome::Skipped(note) => {
                cell.status = StepStatus::Skipped;
                cell.note = Some(note.to_owned());
                None
            }
            Outcome::Refused(error) => Some(Fall { refused: true, error, step: cell.path.clone() }),
            Outcome::Failed(error) => {
                Some(Fall { refused: false, error: error.to_value(), step: cell.path.clone() })
            }
            Outcome::Fell(fall) => Some(fall),
        };
        match fall {
            Some(fall) => self.fall(id, fall),
            None => self.settle(id, None),
        }
    }

    /// The step was refused or failed.
    fn fall(&mut self, id: CellId, fall: Fall) {
        let cell = self.cells.get_mut(id);
        cell.note = note(&fall);
        cell.error = if fall.step == cell.path { fall.error.clone() } else { fall.located() };
        cell.status = if fall.refused { StepStatus::Refused } else { StepStatus::Failed };
        if cell.cancelled {
            // Stopped as asked, or ended by itself before it could be.
            if fall.error.get("code").and_then(Value::as_text) == Some(CANCELLED) {
                cell.status = StepStatus::Skipped;
            }
            return self.settle(id, None);
        }
        let step = Arc::clone(&cell.step);
        let (frame, path) = (cell.frame, cell.path.clone());
        // Those of a `foreach` have their say about each item, and not about the loop itself.
        let is_loop = step.foreach.is_some() && matches!(cell.role, Role::Whole { .. });
        let (handler, word) = if fall.refused {
            (&step.on_refused, "on_refused")
        } else {
            (&step.on_error, "on_error")
        };
        match if is_loop { &Handler::Fail } else { handler } {
            Handler::Fail => self.settle(id, Some(fall)),
            Handler::Continue => self.settle(id, None),
            Handler::Steps(block) => {
                let (block, prefix) = (Arc::clone(block), path.child(word));
                let kind = FrameKind::Handler(id);
                match self.open_frame(block, Some(frame), kind, Some(&prefix)) {
                    Some(inside) => self.cells.get_mut(id).phase = Phase::Handling(inside),
                    None => self.settle(id, Some(fall)),
                }
            }
        }
    }

    /// The step is over, handlers and all. A fall that is left goes to what is around.
    pub(super) fn settle(&mut self, id: CellId, fall: Option<Fall>) {
        let cell = self.cells.get_mut(id);
        cell.phase = Phase::Done;
        cell.choice = None;
        let (frame, role, cancelled) = (cell.frame, cell.role, cell.cancelled);
        let fall = fall.filter(|_| !cancelled);
        match role {
            Role::Item { whole, index } => self.settle_item(whole, index, id, fall),
            Role::Whole { position } => {
                match fall {
                    Some(fall) => self.fall_frame(frame, fall),
                    None => self.release(frame, position),
                }
                self.close_cell(frame);
            }
        }
    }
}

/// What the live view says about a fall.
fn note(fall: &Fall) -> Option<String> {
    let text = |key: &str| fall.error.get(key).and_then(Value::as_text);
    let why = text("reason").or_else(|| text("message")).or_else(|| text("code"))?;
    Some(why.chars().take(200).collect())
}

pub(super) fn wrong_kind(what: &str, wanted: &str, value: &Value) -> StepError {
    StepError::new("expression", format!("{what} must be {wanted}, it came to {}", value.kind()))
}
