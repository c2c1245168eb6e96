//! What a flow wants done, put to the gate.

use std::collections::VecDeque;

use cog_base::entropy::NoEntropy;
use cog_base::id::{ApprovalId, CheckpointId, RunId};
use cog_base::json::Map;
use cog_base::{Digest, Timestamp, Value};
use cog_flow::{Action, Event, StepError, StepPath};
use cog_gate::decision::Need;
use cog_gate::{Actor, Answer, AnyEffect, Refusal};
use cog_ledger::{Durable, Entry, Kind};

use crate::active::{Active, Question, State, Todo, Wanted};
use crate::engine::{Await, Engine, Output, Timer, Turn};
use crate::history::{Mismatch, unexpected};
use crate::notice::What;
use crate::start::draft;

impl Engine {
    /// Tell the flow what happened and do what it then wants.
    pub(crate) fn tell_flow(
        &mut self,
        id: RunId,
        event: Event,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        // A flow that has cancelled the step, or has ended, does not want to hear of it.
        let Ok(actions) = active.run.apply(event) else { return Ok(()) };
        self.act(id, actions, turn)
    }

    /// Do what the flow wants, and what it wants because of that.
    pub(crate) fn act(
        &mut self,
        id: RunId,
        actions: Vec<Action>,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        let todos = active.take(actions);
        self.work_off(id, todos, turn)
    }

    /// Do what was noted, and what follows from the answers.
    pub(crate) fn work_off(
        &mut self,
        id: RunId,
        todos: Vec<Todo>,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let mut queue = VecDeque::from(todos);
        while let Some(todo) = queue.pop_front() {
            let Some(event) = self.work_on(id, todo, turn)? else { continue };
            let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
            let actions = active.run.apply(event).unwrap_or_default();
            queue.extend(active.take(actions));
        }
        Ok(())
    }

    /// Do one thing, unless it was given up since. The event, if the answer is there at once.
    fn work_on(
        &mut self,
        id: RunId,
        todo: Todo,
        turn: &mut Turn,
    ) -> Result<Option<Event>, NoEntropy> {
        // What is wanted stays so, for the engine that resumes the run.
        if self.is_quiet(id) && matches!(todo, Todo::Choice(_) | Todo::Mark(_) | Todo::Question(..))
        {
            return Ok(None);
        }
        let begins = matches!(
            todo,
            Todo::Effect(_) | Todo::Choice(_) | Todo::Mark(_) | Todo::Question(..) | Todo::Child(_)
        );
        if begins && self.is_out_of_time(id, turn)? {
            return Ok(None);
        }
        let todo = self.counted(todo);
        let Some(active) = self.runs.get_mut(&id) else { return Ok(None) };
        match todo {
            Todo::Effect(step) => {
                let state = active.wanted.get(&step).map(|wanted| &wanted.state);
                if state == Some(&State::New) { self.ask(id, &step, turn) } else { Ok(None) }
            }
            Todo::Choice(step) => match active.choices.remove(&step) {
                Some(choice) => self.choose(id, choice, turn).map(Some),
                None => Ok(None),
            },
            Todo::Mark(step) => match active.marks.remove(&step) {
                Some(name) => self.mark(id, step, &name, turn).map(Some),
                None => Ok(None),
            },
            Todo::Question(step, ms) => {
                if !active.asks.contains_key(&step) {
                    return Ok(None);
                }
                turn.output(Output::Arm { timer: timer(id, &step), ms });
                self.consult(id, &step, turn)
            }
            // It was counted in milliseconds above.
            Todo::Until(..) => Ok(None),
            Todo::Timer(step, ms) => {
                if active.sleeping.contains(&step) {
                    turn.tell_behind(id, What::Sleeping { step: step.to_string(), ms });
                    turn.output(Output::Arm { timer: timer(id, &step), ms });
                }
                Ok(None)
            }
            Todo::Bound(step, ms) => {
                if active.bounded.contains(&step) {
                    turn.output(Output::Arm { timer: timer(id, &step), ms });
                }
                Ok(None)
            }
            Todo::Listen(step, ms) => {
                if let Some(signal) = active.listening.get(&step).cloned() {
                    let (told, timeout_ms) = (step.to_string(), ms);
                    turn.tell_behind(id, What::Listening { step: told, signal, timeout_ms });
                    active.parked = false;
                    if let Some(ms) = ms {
                        turn.output(Output::Arm { timer: timer(id, &step), ms });
                    }
                }
                Ok(None)
            }
            Todo::Child(step) => self.want_child(id, &step, turn),
            Todo::Withdraw(step) => {
                self.end_child(id, &step, turn)?;
                self.withdraw(id, &step, turn)
            }
            Todo::Fell(step, error) => {
                let (step, message) = (step.to_string(), error.message);
                turn.tell_behind(id, What::Fell { step, message });
                Ok(None)
            }
        }
    }

    /// A wait until a time, counted in milliseconds from now on.
    fn counted(&self, todo: Todo) -> Todo {
        if let Todo::Until(step, at) = todo {
            Todo::Timer(step, ms_until(at, self.ledger_now()))
        } else {
            todo
        }
    }

    /// Give the place where a run stands a name: another goes on behind the entry that says so.
    fn mark(
        &mut self,
        id: RunId,
        step: StepPath,
        name: &str,
        turn: &mut Turn,
    ) -> Result<Event, NoEntropy> {
        let checkpoint = CheckpointId::new(self.now(), self.entropy.as_mut())?;
        if let Some(active) = self.runs.get(&id) {
            let data = Map::from([
                ("id".into(), checkpoint.into()),
                ("name".into(), name.into()),
                ("run".into(), id.into()),
                ("step".into(), (&step).into()),
            ]);
            let draft = draft(&active.origin, Kind::Checkpoint, None, data, None);
            turn.append(active.origin.tenant, id, draft, Await::Nothing);
        }
        Ok(Event::Marked { step })
    }

    /// Whether nothing new of a run is asked for now.
    pub(crate) fn is_quiet(&self, id: RunId) -> bool {
        self.is_draining || self.runs.get(&id).is_some_and(Active::is_paused)
    }

    /// Put a wanted effect to the gate. The event, if the answer is final at once.
    pub(crate) fn ask(
        &mut self,
        id: RunId,
        step: &StepPath,
        turn: &mut Turn,
    ) -> Result<Option<Event>, NoEntropy> {
        if self.is_quiet(id) || self.is_out_of_time(id, turn)? {
            return Ok(None);
        }
        let Some(active) = self.runs.get(&id) else { return Ok(None) };
        let Some(wanted) = active.wanted.get(step) else { return Ok(None) };
        let (actor, effect) = match read(active, wanted) {
            Ok(read) => read,
            Err(message) => return Ok(Some(self.invalid(id, step, &message, turn))),
        };
        let (canon, in_force) = self.canon_for(&active.origin.domain);
        let world = self.world(canon.as_ref(), in_force);
        let name = step.to_string();
        let (subject, sources) = (wanted.subject.clone(), wanted.sources.clone());
        let origin = &active.origin;
        let question = cog_gate::Question { origin, step: &name, actor, effect, subject, sources };
        let answer = self.gate.ask(question, &world, self.entropy.as_mut())?;
        Ok(self.answered(id, step, answer, turn))
    }

    fn answered(
        &mut self,
        id: RunId,
        step: &StepPath,
        answer: Answer<AnyEffect>,
        turn: &mut Turn,
    ) -> Option<Event> {
        let tenant = self.settings.tenant;
        let active = self.runs.get_mut(&id)?;
        let wanted = active.wanted.get_mut(step)?;
        match answer {
            Answer::Permitted(mut pending) => {
                wanted.state = State::Open;
                active.open.insert(pending.receipt(), step.clone());
                let draft = pending.take_draft()?;
                wanted.lowers = lowers(&draft.data);
                turn.append(tenant, id, draft, Await::Receipt(pending));
                None
            }
            Answer::Refused(refusal) => {
                active.wanted.remove(step);
                Some(self.refused(id, step, *refusal, turn))
            }
            Answer::NeedsApproval(asked) => {
                wanted.state = State::Approval(asked.id);
                active.parked = false;
                if let Some(draft) = asked.draft {
                    let text = |name: &str| draft.data.get(name).and_then(Value::as_text);
                    let action = text("action").unwrap_or_default();
                    let about = format!("{action} on {}", text("resource").unwrap_or_default());
                    let (step, need) = (step.to_string(), asked.need);
                    turn.append(tenant, id, draft, Await::Asked);
                    escalates(id, asked.id, &need, turn);
                    turn.tell_behind(id, What::Asked { step, approval: asked.id, need, about });
                }
                None
            }
            Answer::Waits { conflicts, .. } => {
                wanted.state = State::Leased;
                self.may_be_leased = true;
                let keys = conflicts.into_iter().map(|conflict| conflict.key).collect();
                turn.tell_behind(id, What::Waiting { step: step.to_string(), keys });
                None
            }
        }
    }

    /// A refusal is on record, and the flow hears of it.
    fn refused(&self, id: RunId, step: &StepPath, refusal: Refusal, turn: &mut Turn) -> Event {
        let Refusal { id: denial, code, reason, flips, draft, .. } = refusal;
        turn.append(self.settings.tenant, id, draft, Await::Nothing);
        let event = refused(step, &denial.to_string(), &code, &reason);
        let step = step.to_string();
        turn.tell_behind(id, What::Refused { step, denial, code, reason, flips });
        event
    }

    /// Arguments that make no effect: the attempt is on record, and the step fails.
    pub(crate) fn invalid(
        &mut self,
        id: RunId,
        step: &StepPath,
        message: &str,
        turn: &mut Turn,
    ) -> Event {
        if let Some(active) = self.runs.get_mut(&id) {
            active.wanted.remove(step);
            active.children.remove(step);
            active.wish.take_if(|wish| wish.step == *step);
            let data = evidence("step.invalid", &step.to_string());
            let draft = draft(&active.origin, Kind::Evidence, None, data, None);
            // What the arguments were wrong in may be about a person.
            let draft = draft.saying("message", message);
            turn.append(active.origin.tenant, id, draft, Await::Nothing);
            let (step, message) = (step.to_string(), message.to_owned());
            turn.tell_behind(id, What::Fell { step, message });
        }
        let (code, message) = ("step.invalid".to_owned(), message.to_owned());
        Event::Failed { step: step.clone(), error: StepError { code, message, transient: false } }
    }

    /// Put a step's question to people.
    pub(crate) fn consult(
        &mut self,
        id: RunId,
        step: &StepPath,
        turn: &mut Turn,
    ) -> Result<Option<Event>, NoEntropy> {
        let Some(active) = self.runs.get(&id) else { return Ok(None) };
        let Some(ask) = active.asks.get(step).cloned() else { return Ok(None) };
        let effect = ask.consent(step);
        let Question { message, subject, sources, .. } = ask;
        let (canon, in_force) = self.canon_for(&active.origin.domain);
        if canon.is_none() {
            return Ok(Some(self.nobody_to_ask(id, step, turn)));
        }
        let world = self.world(canon.as_ref(), in_force);
        let name = step.to_string();
        let question = cog_gate::Question {
            origin: &active.origin,
            step: &name,
            actor: active.origin.initiator.clone(),
            effect,
            subject,
            sources,
        };
        let asked = match self.gate.consult(&question, &world, self.entropy.as_mut())? {
            Ok(asked) => asked,
            Err(refusal) => {
                self.runs.get_mut(&id).map(|active| active.asks.remove(step));
                return Ok(Some(self.refused(id, step, *refusal, turn)));
            }
        };
        if let Some(draft) = asked.draft {
            turn.append(self.settings.tenant, id, draft, Await::Asked);
            escalates(id, asked.id, &asked.need, turn);
        }
        if let Some(active) = self.runs.get_mut(&id) {
            active.parked = false;
            if let Some(ask) = active.asks.get_mut(step) {
                ask.asked(asked.id);
            }
        }
        let what = What::Asked { step: name, approval: asked.id, need: asked.need, about: message };
        turn.tell_behind(id, what);
        Ok(None)
    }

    /// Without a canon nobody is entitled to answer: the question is on record as one that
    /// could not be asked, and counts as answered with no.
    fn nobody_to_ask(&mut self, id: RunId, step: &StepPath, turn: &mut Turn) -> Event {
        if let Some(active) = self.runs.get_mut(&id) {
            active.asks.remove(step);
            let data = evidence("step.invalid", &step.to_string());
            let draft = draft(&active.origin, Kind::Evidence, None, data, None);
            let draft = draft.saying("message", NOBODY);
            turn.append(active.origin.tenant, id, draft, Await::Nothing);
        }
        unasked(step)
    }

    /// Ask again for every effect that waited for a lease, in all runs.
    pub(crate) fn ask_leased(&mut self, turn: &mut Turn) -> Result<(), NoEntropy> {
        if !self.may_be_leased {
            return Ok(());
        }
        self.may_be_leased = false;
        let mut waiting = Vec::new();
        for (id, active) in &self.runs {
            for (step, _) in active.wanted.iter().filter(|(_, it)| it.state == State::Leased) {
                self.may_be_leased = true;
                // A run with answers on their way asks when they are in the ledger.
                if active.answers.is_empty() {
                    waiting.push((*id, step.clone()));
                }
            }
        }
        for (id, step) in waiting {
            if let Some(event) = self.ask(id, &step, turn)? {
                self.tell_flow(id, event, turn)?;
            }
        }
        Ok(())
    }

    /// A draft became durable: what waited for it goes on.
    pub(crate) fn durable(
        &mut self,
        id: RunId,
        then: Await,
        entry: &Durable<Entry>,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        match then {
            Await::Nothing | Await::Queue | Await::Asked => Ok(()),
            Await::Started => {
                let workflow = self.runs.get(&id).map(|active| active.origin.workflow.clone());
                turn.tell(id, What::Started { workflow: workflow.unwrap_or_default() });
                Ok(())
            }
            Await::Receipt(pending) => self.granted(id, *pending, entry, turn),
            Await::Outcome { step, settling } => {
                self.outcome_is_durable(id, step, *settling, entry, turn);
                Ok(())
            }
            Await::Answered(approval, who) => self.answer_is_durable(id, approval, who, turn),
            Await::Seal => self.close(id, turn),
        }
    }
}

/// The class that a receipt takes for what comes of its effect.
pub(crate) fn lowers(receipt: &Map) -> Option<String> {
    receipt.get("declassify").and_then(Value::as_text).map(str::to_owned)
}

const NOBODY: &str = "no canon is in force, so that nobody is entitled to answer";

/// What a flow hears of a question that nobody could be asked.
pub(crate) fn unasked(step: &StepPath) -> Event {
    let (by, reason) = ("service:gate".to_owned(), NOBODY.to_owned());
    Event::Rejected { step: step.clone(), by, reason }
}

/// How many milliseconds are left until a time, so that it has come when they are over.
pub(crate) fn ms_until(at: Timestamp, now: Timestamp) -> u64 {
    if at <= now { 0 } else { at.ms_since(now).saturating_add(1) }
}

fn timer(run: RunId, step: &StepPath) -> Timer {
    Timer { run, name: step.to_string() }
}

/// The effect and the actor of a wanted step, or what is wrong with it.
pub(crate) fn read(active: &Active, wanted: &Wanted) -> Result<(Actor, AnyEffect), String> {
    let actor = match &wanted.actor {
        Some(actor) => actor.parse::<Actor>().map_err(|error| error.to_string())?,
        None => active.origin.initiator.clone(),
    };
    let effect =
        AnyEffect::from_args(&wanted.uses, &wanted.with).map_err(|error| error.to_string())?;
    Ok((actor, effect))
}

/// What a flow hears of a refusal; the same when it is rebuilt from the ledger.
pub(crate) fn refused(step: &StepPath, denial: &str, code: &str, reason: &str) -> Event {
    let denial = Value::map([("id", denial), ("code", code), ("reason", reason)]);
    Event::Refused { step: step.clone(), denial }
}

/// The data of an evidence entry about the run itself.
pub(crate) fn evidence(source: &str, note: &str) -> Map {
    let digest = Digest::in_context("cognitionos/evidence/v1", note.as_bytes());
    Map::from([
        ("source".into(), source.into()),
        ("digest".into(), digest.into()),
        ("note".into(), note.into()),
    ])
}

/// Have it noticed when a request takes too long, where others may answer then.
fn escalates(run: RunId, approval: ApprovalId, need: &Need, turn: &mut Turn) {
    if let Some(later) = &need.escalate {
        let timer = Timer { run, name: approval.to_string() };
        // The timer counts whole milliseconds.
        turn.output(Output::Arm { timer, ms: later.after_ms.saturating_add(1) });
    }
}

/// The request a step waits for, if it is this one.
pub(crate) fn waits_for(active: &Active, approval: ApprovalId) -> Option<StepPath> {
    let effect = active.wanted.iter().find(|(_, it)| it.state == State::Approval(approval));
    let ask = active.asks.iter().find(|(_, ask)| ask.approval == Some(approval));
    effect.map(|(step, _)| step.clone()).or_else(|| ask.map(|(step, _)| step.clone()))
}

/// Whose data it is about what a request asks for.
pub(crate) fn subject_of(active: &Active, approval: ApprovalId) -> Option<&str> {
    let step = waits_for(active, approval);
    let effect = step.as_ref().and_then(|step| active.wanted.get(step)?.subject.as_deref());
    let ask = step.as_ref().and_then(|step| active.asks.get(step)?.subject.as_deref());
    effect.or(ask).or(active.run.subject_of())
}

/// The step that an entry serves.
pub(crate) fn step_of(entry: &Entry) -> Result<StepPath, Mismatch> {
    let step = entry.data().get("step").and_then(Value::as_text).unwrap_or_default();
    step.parse().map_err(|_| unexpected(entry, &format!("`{step}` is no step")))
}
