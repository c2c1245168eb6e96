//! One step: whether it runs, what its body came to, and what its handlers made of that.

use std::sync::Arc;

use cog_base::Value;
use cog_flow::{Body, Handler, Step, Template};

use super::Reading;
use super::anew::Waiter;
use super::scope::{Gap, Sight};
use super::stand::{Fall, How, Pending, Raw, Release, Stand};
use super::undo::Undoable;
use crate::property::Property;

impl Reading<'_> {
    /// Work out a step that was released.
    pub(super) fn step(
        &mut self,
        step: &Arc<Step>,
        frame: usize,
        path: &str,
        release: Release,
    ) -> Stand {
        match self.condition(step, Sight { frame, at: release.at }) {
            Ok(true) => {}
            Ok(false) => {
                self.barred.insert(path.to_owned(), Property::Condition);
                return self.conclude(step, frame, path, release, Raw::Skipped(release.at));
            }
            Err(Gap::Fails(error)) => {
                let fall = Fall::failed(release.at, path, Some(error));
                return self.conclude(step, frame, path, release, Raw::Fell(fall, None));
            }
            Err(Gap::Unknown) => {
                self.unsure = true;
                if self.log.within(path).next().is_none() {
                    return self.conclude(step, frame, path, release, Raw::Unknown(release.at));
                }
            }
        }
        match &step.foreach {
            Some(foreach) => self.each(step, foreach, frame, path, release),
            None => {
                let raw = self.body(step, frame, path, release);
                self.conclude(step, frame, path, release, raw)
            }
        }
    }

    /// What was over when another run went on from there keeps no consent.
    pub(super) fn kept(&mut self, step: &Step, path: &str, stand: &Stand) {
        let Some(over) = stand.over else { return };
        self.keeps_no_consent(path, over, path.ends_with(']'));
        let is_whole_loop = step.foreach.is_some() && !path.ends_with(']');
        let by_run = matches!(step.body, Body::Run(_)) && stand.how == How::Completed;
        let by_run = by_run && !is_whole_loop;
        let next = self.source.next(self.source.whose(over)).map(|life| life.start);
        if let Some(next) = next.filter(|_| by_run && self.source.flow.asks_people(step)) {
            let message =
                format!("it takes over the consent that was given in the run of `{path}`");
            self.report.broken(Property::Inherited, self.log.seq(next), message);
        }
    }

    pub(super) fn condition(&mut self, step: &Step, sight: Sight) -> Result<bool, Gap> {
        let Some(condition) = &step.condition else { return Ok(true) };
        let value = self.evaluate(condition, sight)?;
        let fails = || {
            let message = format!("`if` must be true or false, it came to {}", value.kind());
            Gap::Fails(super::failure("expression", &message))
        };
        value.as_bool().ok_or_else(fails)
    }

    /// What the body of a step, or of one item of it, came to.
    pub(super) fn body(
        &mut self,
        step: &Arc<Step>,
        frame: usize,
        path: &str,
        release: Release,
    ) -> Raw {
        let stays = !matches!(step.body, Body::Approve(_));
        let waiter = Waiter { step: Some(step), frame, stays };
        match &step.body {
            Body::Effect(call) => self.lived(path, release, &waiter, |it, life, release| {
                it.effect((step, call), frame, path, (life, release))
            }),
            Body::Compute(with) => match self.evaluate_all(with, Sight { frame, at: release.at }) {
                Ok(output) => {
                    self.computes(&output);
                    Raw::Completed(release.at, Some(Value::Map(output)))
                }
                Err(Gap::Fails(error)) => {
                    Raw::Fell(Fall::failed(release.at, path, Some(error)), None)
                }
                Err(Gap::Unknown) => Raw::Unknown(release.at),
            },
            Body::Group(block) => {
                if let Some(repeat) = &step.repeat {
                    return self.rounds(step, (block, repeat), frame, path, release);
                }
                if let Some(bound) = self.bound(step, path) {
                    self.bounded.insert(path.to_owned(), bound);
                }
                let inside =
                    self.under(step, frame, |it| it.block(block, Some(frame), path, release));
                let output = inside.steps.map(|steps| Value::map([("steps", steps)]));
                match (inside.over, inside.fall) {
                    (Some(over), None) if inside.unknown => Raw::Unknown(over),
                    (None, _) => Raw::Open(pending(inside.pending, path)),
                    (Some(over), None) => Raw::Completed(over, output),
                    (Some(over), Some(fall)) => Raw::Fell(Fall { at: over, ..fall }, output),
                }
            }
            Body::Choose(choose) => {
                self.under(step, frame, |it| it.choose(choose, frame, path, release))
            }
            Body::Approve(approve) => self.lived(path, release, &waiter, |it, life, release| {
                it.approve(approve, frame, path, (life, release))
            }),
            Body::Sleep(sleep) => self.lived(path, release, &waiter, |it, life, release| {
                it.sleep(sleep, frame, path, (life, release))
            }),
            Body::WaitFor(wait) => self.lived(path, release, &waiter, |it, life, release| {
                it.wait_for(wait, frame, path, (life, release))
            }),
            Body::Checkpoint(name) => self.lived(path, release, &waiter, |it, life, release| {
                it.checkpoint(name, path, (life, release))
            }),
            Body::Run(child) => self.lived(path, release, &waiter, |it, life, release| {
                it.child(child, frame, path, (life, release))
            }),
            Body::Continue(inputs) => self.lived(path, release, &waiter, |it, life, release| {
                it.continuing(inputs, frame, path, (life, release))
            }),
        }
    }

    /// Read something that stands inside a step.
    pub(super) fn under<T>(
        &mut self,
        step: &Arc<Step>,
        frame: usize,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let names = step.subject.is_some();
        if names {
            self.subjects.push((Arc::clone(step), frame));
        }
        let what = read(self);
        if names {
            self.subjects.pop();
        }
        what
    }

    /// Whether it can be told whose data a step holds: by its own word, or by that of the nearest
    /// step around it that has one.
    pub(super) fn subject(&self, own: Option<&Template>, sight: Sight) -> Result<(), Gap> {
        let around = self.subjects.last();
        let around = around.and_then(|(step, frame)| {
            Some((step.subject.as_ref()?, Sight { frame: *frame, ..sight }))
        });
        let named = own.map(|subject| (subject, sight)).or(around);
        named.map_or(Ok(()), |(subject, sight)| self.evaluate_text(subject, sight))
    }

    /// What a step stands like when its body ended so, handlers and all.
    pub(super) fn conclude(
        &mut self,
        step: &Arc<Step>,
        frame: usize,
        path: &str,
        release: Release,
        raw: Raw,
    ) -> Stand {
        let begun = Some(release.at);
        for (handler, word) in [(&step.on_error, "on_error"), (&step.on_refused, "on_refused")] {
            if matches!(handler, Handler::Steps(_)) {
                self.barred.insert(format!("{path}.{word}"), Property::Handler);
            }
        }
        match raw {
            Raw::Completed(at, output) => {
                self.undoable(step, frame, path, (release.at, at), false);
                Stand { output, ..Stand::new(How::Completed, begun, Some(at)) }
            }
            Raw::Skipped(at) => Stand::new(How::Skipped, begun, Some(at)),
            Raw::Open(pending) => Stand { pending, ..Stand::new(How::Running, begun, None) },
            Raw::Unknown(at) => {
                let vague = self.vague;
                self.unknown(path, at);
                // What is computed is over where it began.
                if matches!(step.body, Body::Compute(_)) {
                    self.vague = vague;
                }
                self.undoable(step, frame, path, (release.at, at), true);
                Stand::unknown(begun, at)
            }
            Raw::Fell(fall, output) => {
                let vague = fall.at == release.at && fall.step == path && self.is_vague(fall.at);
                let fall = Fall { vague: fall.vague || vague, ..fall };
                self.fell(step, frame, path, release, (fall, output))
            }
        }
    }

    /// Nobody can tell what a step came to, and whether it was over at that place or behind it.
    pub(super) fn unknown(&mut self, path: &str, at: usize) {
        self.unsure = true;
        self.untold.insert(path.to_owned());
        self.vague = Some(self.vague.map_or(at, |vague| vague.min(at)));
    }

    fn fell(
        &mut self,
        step: &Arc<Step>,
        frame: usize,
        path: &str,
        release: Release,
        (fall, output): (Fall, Option<Value>),
    ) -> Stand {
        self.keeps_no_consent(path, fall.at, path.ends_with(']'));
        let how = if fall.refused { How::Refused } else { How::Failed };
        let error = if fall.step == path { fall.error.clone() } else { fall.located() };
        let mut stand = Stand::new(how, Some(release.at), Some(fall.at));
        (stand.output, stand.error) = (output.or(Some(Value::Null)), error);
        let (handler, word) = if fall.refused {
            (&step.on_refused, "on_refused")
        } else {
            (&step.on_error, "on_error")
        };
        // Those of a `foreach` have their say about each item, and not about the loop itself.
        let is_loop = step.foreach.is_some() && !path.ends_with(']');
        match if is_loop { &Handler::Fail } else { handler } {
            Handler::Fail => Stand { fall: Some(fall), ..stand },
            Handler::Continue => stand,
            Handler::Steps(block) => {
                self.note(frame, &step.id, stand.clone());
                let release = Release { at: fall.at, by: Property::Handler };
                let prefix = format!("{path}.{word}");
                let inside =
                    self.under(step, frame, |it| it.block(block, Some(frame), &prefix, release));
                if let (Some(over), true, None) = (inside.over, inside.unknown, &inside.fall) {
                    self.unknown(path, over);
                    return Stand::unknown(stand.begun, over);
                }
                let pending = match inside.over {
                    Some(_) => Vec::new(),
                    None => pending(inside.pending, &prefix),
                };
                let fall = inside.fall.zip(inside.over).map(|(fall, at)| Fall { at, ..fall });
                Stand { over: inside.over, fall, pending, ..stand }
            }
        }
    }

    /// A step completed, perhaps, and says how it is undone.
    pub(super) fn undoable(
        &mut self,
        step: &Arc<Step>,
        frame: usize,
        path: &str,
        (begun, at): (usize, usize),
        perhaps: bool,
    ) {
        if step.on_cancel.is_some() {
            let is_effect = matches!(step.body, Body::Effect(_));
            let is_group = matches!(step.body, Body::Group(_));
            let (path, step) = (path.to_owned(), Arc::clone(step));
            let subjects = self.subjects.clone();
            let one =
                Undoable { step, path, frame, begun, at, is_effect, is_group, perhaps, subjects };
            self.undoable.push(one);
        }
    }
}

/// What is waited for inside, or the place itself.
pub(super) fn pending(inside: Vec<Pending>, path: &str) -> Vec<Pending> {
    if inside.is_empty() { vec![Pending { path: path.to_owned() }] } else { inside }
}
