//! What an entry of each kind does to a run that is rebuilt, if it is one that the flow wants.

use std::collections::BTreeMap;

use cog_base::id::{ApprovalId, ReceiptId};
use cog_base::{Sources, Value};
use cog_flow::{Event, StepPath};
use cog_gate::decision::read_record;
use cog_gate::{Consent, Effect, FORM, Report, Wish, act};
use cog_ledger::Entry;
use cog_ledger::kind::CONTINUED;

use super::{Charged, Claim, History, Mismatch, Record, no_body, unexpected};
use crate::active::{State, class_in};
use crate::notice::Intervention;
use crate::settle::event_of;
use crate::steps::{lowers, read, refused, step_of, unasked, waits_for};

impl History {
    pub(super) fn receipt(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let step = self.fits(entry)?;
        let id = entry.id().and_then(|id| id.parse::<ReceiptId>().ok());
        let id = id.ok_or_else(|| unexpected(entry, "it has no receipt id"))?;
        let body = record.body.as_ref().ok_or(no_body(entry))?;
        let (intent, _) =
            read_record(body).map_err(|error| unexpected(entry, &error.to_string()))?;
        if entry.data().get("intent") != Some(&intent.digest().into()) {
            return Err(unexpected(entry, "its record is of another intent"));
        }
        if let Some(wanted) = self.active.wanted.get_mut(&step) {
            came_from(&mut self.came, record, &wanted.sources)?;
            wanted.state = State::Open;
            wanted.lowers = lowers(entry.data());
        }
        self.active.open.insert(id, step);
        self.intents.insert(id, intent);
        self.charged.push(Charged::Receipt(id));
        Ok(())
    }

    pub(super) fn denial(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        if entry.text("action").and_then(Wish::of).is_some() || act::is_refused(entry) {
            // Somebody may not end or hold the run, or answer: the flow never heard of it.
            return Ok(());
        }
        if let Some(selection) = entry.data().get("selection") {
            // The refusal of a candidate plan: the flow has heard of it with the selection.
            let known = self.selection.as_ref() == Some(selection);
            return if known {
                Ok(())
            } else {
                Err(unexpected(entry, "no such selection before it"))
            };
        }
        let is_question = entry.text("action") == Some(Consent::ACTION);
        let step = if is_question { step_of(entry)? } else { self.fits(entry)? };
        let ask = self.active.asks.remove(&step).filter(|_| is_question);
        if is_question && ask.is_none() {
            return Err(unexpected(entry, "the flow does not ask people there"));
        }
        let wanted = self.active.wanted.remove(&step);
        let sources = wanted.map(|it| it.sources).or(ask.map(|it| it.sources));
        came_from(&mut self.came, record, &sources.unwrap_or_default())?;
        let body = record.body.as_ref().ok_or(no_body(entry))?;
        let reason = body.at(&["trace", "reason"]).and_then(Value::as_text).unwrap_or_default();
        let code = entry.data().get("code").and_then(Value::as_text).unwrap_or_default();
        let id = entry.id().unwrap_or_default();
        self.apply(refused(&step, id, code, reason));
        Ok(())
    }

    pub(super) fn requested(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let id = entry.id().and_then(|id| id.parse::<ApprovalId>().ok());
        let id = id.ok_or_else(|| unexpected(entry, "it has no approval id"))?;
        let step = step_of(entry)?;
        if let Some(ask) = self.active.asks.get_mut(&step) {
            came_from(&mut self.came, record, &ask.sources)?;
            let (consent, named) = (ask.consent(&step), ask.need.to_value());
            let is_it = entry.digest("effect") == Some(consent.digest())
                && entry.data().get("need") == Some(&named)
                && entry.actor() == self.active.origin.initiator.as_str();
            if !is_it {
                return Err(unexpected(entry, "the flow asks other people, or another question"));
            }
            ask.asked(id);
            // A run that was held asks later than it wanted to.
            if let Some(armed) = self.armed.get_mut(&step) {
                armed.at = entry.at();
            }
            return Ok(());
        }
        let step = self.fits(entry)?;
        if let Some(wanted) = self.active.wanted.get_mut(&step) {
            came_from(&mut self.came, record, &wanted.sources)?;
            wanted.state = State::Approval(id);
        }
        Ok(())
    }

    /// Somebody agreed, and filled in what the step asks for.
    pub(super) fn agreed(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let id = entry.id().and_then(|id| id.parse::<ApprovalId>().ok());
        let step = id.and_then(|id| waits_for(&self.active, id));
        let ask = step.and_then(|step| self.active.asks.get_mut(&step));
        let Some(ask) = ask.filter(|ask| !ask.form.is_empty()) else { return Ok(()) };
        let form = record.body.as_ref().ok_or(no_body(entry))?.get(FORM).and_then(Value::as_map);
        let is_it = form.is_some_and(|form| ask.form.bind_values(form).as_ref() == Ok(form));
        let Some(form) = form.filter(|_| is_it) else {
            return Err(unexpected(entry, "what was filled in is not what the step asks for"));
        };
        let voice = entry.text("for").unwrap_or(entry.actor());
        ask.forms.insert(voice.to_owned(), form.clone());
        Ok(())
    }

    pub(super) fn outcome(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let id = entry.id().and_then(|id| id.parse::<ReceiptId>().ok());
        let step = id.and_then(|id| self.active.open.remove(&id));
        let (Some(id), Some(step)) = (id, step) else {
            return Err(unexpected(entry, "no receipt is open for it"));
        };
        let report = Report::from_record(entry.data(), record.body.as_ref());
        let report = report.ok_or(no_body(entry))?;
        self.charged.push(Charged::Outcome(id, report.clone()));
        match event_of(&step, &report) {
            Some(event) => {
                self.active.came_of(&step, &event);
                self.apply(event);
            }
            None => {
                let event = self.active.abandoned(&step);
                event.into_iter().for_each(|event| self.apply(event));
            }
        }
        Ok(())
    }

    pub(super) fn marked(&mut self, entry: &Entry) -> Result<(), Mismatch> {
        let step = step_of(entry)?;
        let name = self.active.marks.remove(&step);
        if name.is_none() || entry.text("name") != name.as_deref() {
            return Err(unexpected(entry, "the flow names no place so there"));
        }
        self.apply(Event::Marked { step });
        Ok(())
    }

    pub(super) fn planned(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let step = step_of(entry)?;
        let Some(choice) = self.active.choices.remove(&step) else {
            return Err(unexpected(entry, "the flow wants no choice there"));
        };
        let goal = record.body.as_ref().and_then(|body| body.get("goal"));
        if goal.is_some_and(|goal| goal.as_text() != Some(&choice.goal)) {
            return Err(unexpected(entry, "the flow has another goal there"));
        }
        let plan = entry.data().get("chosen").and_then(Value::as_text).map(str::to_owned);
        // Why there is none stands in the body; in the entry it did at first.
        let about = record.body.as_ref().and_then(|body| body.get("reason"));
        let reason = about.or(entry.data().get("reason")).and_then(Value::as_text);
        let reason = match (&plan, reason) {
            (Some(_), _) => String::new(),
            (None, Some(reason)) => reason.to_owned(),
            (None, None) => return Err(no_body(entry)),
        };
        self.selection = entry.data().get("id").cloned();
        let event = Event::Planned { step, plan, reason };
        let actions = self.active.run.apply(event);
        let actions = actions.map_err(|error| unexpected(entry, &error.to_string()))?;
        self.take(actions);
        Ok(())
    }

    pub(super) fn evidence(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let text = |name: &str| entry.data().get(name).and_then(Value::as_text).unwrap_or_default();
        let note = text("note").to_owned();
        match text("source") {
            "timer" => {
                if let Ok(timer) = note.parse::<StepPath>() {
                    self.armed.remove(&timer);
                }
                let event = self.active.due(&note);
                event.into_iter().for_each(|event| self.apply(event));
            }
            "cancel" => {
                let reason = record.said().ok_or(no_body(entry))?.to_owned();
                let by = entry.actor().to_owned();
                let event = Event::Cancelled { reason: reason.clone() };
                if let Ok(actions) = self.active.run.apply(event) {
                    self.active.cancelled = Some(Intervention { by, reason });
                    self.take(actions);
                }
            }
            "step.invalid" => {
                let message = record.body.as_ref().and_then(|body| body.get("message"));
                let message = message.and_then(Value::as_text).ok_or(no_body(entry))?;
                self.invalid(&note, message);
            }
            _ => {}
        }
        Ok(())
    }

    /// The step whose arguments made no effect failed when it was wanted.
    fn invalid(&mut self, step: &str, message: &str) {
        let Ok(step) = step.parse::<StepPath>() else { return };
        if self.active.asks.remove(&step).is_some() {
            self.fell.push((step.clone(), message.to_owned()));
            return self.apply(unasked(&step));
        }
        let wanted = self.active.wanted.remove(&step).is_some();
        let wished = self.active.wish.take_if(|wish| wish.step == step).is_some();
        let wanted = wanted || wished;
        if self.active.children.remove(&step).is_some() || wanted {
            let (code, message) = ("step.invalid".to_owned(), message.to_owned());
            self.fell.push((step.clone(), message.clone()));
            let error = cog_flow::StepError { code, message, transient: false };
            self.apply(Event::Failed { step, error });
        }
    }

    pub(super) fn seal(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        if entry.text("status") == Some(CONTINUED) {
            self.continued(entry)?;
        }
        let end = self.active.end.as_mut();
        let end = end.ok_or_else(|| unexpected(entry, "the run has not ended"))?;
        let tally = &self.active.tally;
        let same = entry.data().get("status").and_then(Value::as_text) == Some(&end.status)
            && entry.data().get("trace") == Some(&tally.trace().into());
        self.sealed = true;
        end.class = record.body.as_ref().and_then(class_in);
        if record.body.is_some() {
            let (class, sources) = (end.class.clone(), end.sources.clone());
            self.claims.push(Claim { seq: entry.seq(), class, sources });
        }
        if !same {
            return Err(unexpected(entry, "its status or trace is another"));
        }
        let is_told = record.body.as_ref().is_none_or(|body| *body == end.to_value());
        if is_told { Ok(()) } else { Err(unexpected(entry, "its outputs or error are others")) }
    }

    /// The step of an entry, if the flow wants exactly this effect for it now.
    fn fits(&self, entry: &Entry) -> Result<StepPath, Mismatch> {
        let step = step_of(entry)?;
        let wanted = self.active.wanted.get(&step);
        let wanted = wanted
            .ok_or_else(|| unexpected(entry, &format!("the flow does not want `{step}` now")))?;
        let (actor, effect) =
            read(&self.active, wanted).map_err(|message| unexpected(entry, &message))?;
        let data = entry.data();
        if data.get("effect") != Some(&effect.digest().into()) {
            return Err(unexpected(entry, "the flow wants other arguments"));
        }
        if entry.actor() != actor.as_str() {
            return Err(unexpected(entry, "the flow names another actor"));
        }
        Ok(step)
    }
}

/// Note what the data of a decision came from. Its record says so, too, if it says anything of it.
fn came_from(
    came: &mut BTreeMap<u64, Sources>,
    record: &Record,
    sources: &Sources,
) -> Result<(), Mismatch> {
    came.insert(record.entry.seq(), sources.clone());
    let said = record.body.as_ref().and_then(|body| body.at(&["intent", "data_from"]));
    if said.is_none_or(|said| *said == sources.to_value()) {
        return Ok(());
    }
    Err(unexpected(&record.entry, "its data came from something else by the definition"))
}
