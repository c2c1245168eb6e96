//! Where one run goes on from another: the steps that begin anew although they were over, because
//! people's consent is not taken over, and what has to wait for them.

use std::sync::Arc;

use cog_base::Value;
use cog_flow::{Block, Body, Step};

use super::Reading;
use super::scope::{Gap, Level, Sight};
use super::stand::{Fall, How, Raw, Release, Stand};
use crate::log::What;
use crate::property::Property;

/// What waits for an event from one run into the next.
pub(super) struct Waiter<'s> {
    /// The step; nothing where its `if` is none of what it begins by.
    pub(super) step: Option<&'s Step>,
    pub(super) frame: usize,
    /// Whether it stays over in the runs that go on from the one in which it came to its end.
    pub(super) stays: bool,
}

impl Reading<'_> {
    /// What a step that waits for an entry came to. Where the run in which it began did not come
    /// to its end, it begins anew in the one that goes on from there.
    pub(super) fn lived(
        &mut self,
        path: &str,
        release: Release,
        waiter: &Waiter<'_>,
        mut inside: impl FnMut(&mut Self, usize, Release) -> Raw,
    ) -> Raw {
        let (mut index, mut release) = (self.source.seen_by(release.at), release);
        loop {
            let raw = inside(self, index, release);
            let Some(mut next) = self.source.next(index).map(|life| life.start) else { return raw };
            // Of what cannot be told it was open if it is in the run that goes on from there.
            let is_open = match raw {
                Raw::Open(_) => true,
                Raw::Unknown(_) => self.is_later(path, next),
                Raw::Completed(..) | Raw::Skipped(_) | Raw::Fell(..) => false,
            };
            if !is_open {
                if waiter.stays {
                    self.only_before(path, next);
                }
                return raw;
            }
            index = index.saturating_add(1);
            // It may wait for a step that begins anew, and is not over in that run.
            let mut hold = self.hold(path, index);
            while hold.is_none() {
                let Some(later) = self.source.next(index).map(|life| life.start) else {
                    return raw;
                };
                (next, index) = (later, index.saturating_add(1));
                hold = self.hold(path, index);
            }
            release.at = next;
            if let Some(hold) = hold.filter(|hold| *hold >= next) {
                release.at = hold;
                if let Some(raw) = self.barred_again(path, release, waiter) {
                    return raw;
                }
            }
        }
    }

    /// Whether something of a step is in the runs behind a place.
    fn is_later(&self, path: &str, next: usize) -> bool {
        let log = self.log;
        let mut places = log.begins.get(path).into_iter().chain(log.timers.get(path)).flatten();
        places.any(|place| *place >= next)
    }

    /// A step that was over does not begin again.
    pub(super) fn only_before(&mut self, path: &str, next: usize) {
        let places = self.log.begins.get(path).into_iter().flatten();
        for place in places.filter(|place| **place >= next) {
            let message = format!("`{path}` begins again, although it was over before");
            self.report.broken(Property::Twice, self.log.seq(*place), message);
        }
    }

    /// The `if` of a step that waited for one that began anew is read again.
    fn barred_again(&mut self, path: &str, release: Release, waiter: &Waiter<'_>) -> Option<Raw> {
        let step = waiter.step.filter(|_| !path.ends_with(']'))?;
        match self.condition(step, Sight { frame: waiter.frame, at: release.at }) {
            Ok(true) => None,
            Ok(false) => Some(Raw::Skipped(release.at)),
            Err(Gap::Fails(error)) => {
                Some(Raw::Fell(Fall::failed(release.at, path, Some(error)), None))
            }
            Err(Gap::Unknown) => {
                self.unsure = true;
                None
            }
        }
    }

    /// Behind which place something inside a step, or the step itself, may begin in a run because
    /// of the steps that it needs and that begin anew; nothing while one is not over.
    pub(super) fn hold(&self, path: &str, life: usize) -> Option<usize> {
        let mut near = path;
        loop {
            if let Some(holds) = self.holds.get(near) {
                return holds.get(life).copied().unwrap_or_default();
            }
            let Some(at) = near.rfind(['.', '[']) else { return Some(0) };
            near = near.get(..at).unwrap_or_default();
        }
    }

    /// Behind which place that which needs a step may begin in a run.
    pub(super) fn over_in(
        &self,
        frame: usize,
        (prefix, id): (&str, &str),
        life: usize,
    ) -> Option<usize> {
        let stand = self.stand(frame, id)?.in_life(life);
        let over = stand.over.filter(|_| stand.fall.is_none())?;
        Some(over.max(self.hold(&super::block::join(prefix, id), life)?))
    }

    /// Note behind what a step may begin in each of the runs.
    pub(super) fn note_holds(&mut self, step: &Step, frame: usize, prefix: &str) {
        if self.source.next(0).is_none() {
            return;
        }
        let path = super::block::join(prefix, &step.id);
        let in_life = |life: usize| {
            step.needs.iter().try_fold(self.hold(prefix, life)?, |latest, id| {
                Some(latest.max(self.over_in(frame, (prefix, id), life)?))
            })
        };
        let holds = (0..self.source.lives()).map(in_life).collect();
        self.holds.insert(path, holds);
    }

    /// Nothing of a step begins before what it has to wait for in its run.
    pub(super) fn held_back(&mut self, path: &str, by: Property) {
        let log = self.log;
        for life in 1..self.source.lives() {
            let hold = self.hold(path, life);
            let start = self.source.life(life).start;
            // What was kept is no matter of this run.
            if hold.is_some_and(|hold| hold < start) {
                continue;
            }
            for place in self.begun_in(life, path) {
                let holds = hold.is_some_and(|hold| hold < *place);
                self.report.test(by, holds, log.seq(*place), || {
                    format!("`{path}` does not wait for a step that begins anew in its run")
                });
            }
        }
    }

    /// The stands of a step in the runs in which it begins anew.
    pub(super) fn anew(
        &mut self,
        block: &Arc<Block>,
        step: &Arc<Step>,
        (frame, path): (usize, &str),
        mut stand: Stand,
        by: Property,
    ) -> Stand {
        for life in 1..self.source.lives() {
            let start = self.source.life(life).start;
            if stand.in_life(life).over.is_none_or(|over| over >= start) {
                continue;
            }
            if !self.is_anew(block, step, stand.in_life(life)) {
                let is_question = matches!(step.body, Body::Approve(_)) && step.foreach.is_none();
                if is_question && !self.begun_in(life, path).is_empty() {
                    self.only_before(path, start);
                }
                continue;
            }
            let again = match self.hold(path, life) {
                Some(hold) => {
                    let release = Release { at: hold.max(start), by };
                    let again = self.step(step, frame, path, release);
                    self.kept(step, path, &again);
                    again
                }
                None => Stand::new(How::Waiting, None, None),
            };
            stand.later.push((life, again));
        }
        stand
    }

    /// Whether a step that was over begins anew in a run that goes on from there.
    fn is_anew(&self, block: &Block, step: &Step, stand: &Stand) -> bool {
        let flow = &self.source.flow;
        let position = block.steps.iter().position(|it| it.id == step.id).unwrap_or_default();
        let is_shown = matches!(step.body, Body::Compute(_))
            && flow.shown_to_people(block).contains(&position);
        match stand.how {
            How::Skipped => is_shown || flow.asks_people(step),
            How::Completed if step.foreach.is_some() => {
                let none = stand.output.as_ref().and_then(Value::as_list);
                none.is_some_and(<[Value]>::is_empty) && flow.asks_people(step)
            }
            How::Completed => is_shown || matches!(step.body, Body::Approve(_)),
            How::Waiting | How::Running | How::Refused | How::Failed => false,
        }
    }

    /// No consent that was given inside what is over is taken over by a run that goes on from
    /// there. `itself`: the step is an item, and asks.
    pub(super) fn keeps_no_consent(&mut self, path: &str, at: usize, itself: bool) {
        // Perhaps it was not over there.
        if self.is_vague(at) {
            return;
        }
        let Some(next) = self.source.next(self.source.whose(at)).map(|life| life.start) else {
            return;
        };
        let log = self.log;
        for (step, places) in log.within(path).filter(|(step, _)| itself || *step != path) {
            let asked = |place: &&usize| {
                let what = log.event(**place).map(|event| &event.what);
                matches!(what, Some(What::Requested(request)) if request.action == "approve")
            };
            let given = places.iter().filter(|place| **place <= at).filter(asked).any(|place| {
                let decided = self.decided(*place, places, (step, false));
                matches!(decided, Some((over, Raw::Completed(..))) if over <= at)
            });
            self.report.test(Property::Inherited, !given, log.seq(next), || {
                format!("it takes over the consent that was given at `{step}`, inside `{path}`")
            });
        }
    }

    /// From here on the steps of a level stand as they did in one of the runs.
    pub(super) fn settle(&mut self, frame: usize, life: usize) {
        if let Some(Level::Steps { stands, .. }) = self.frames.get_mut(frame).map(|it| &mut it.kind)
        {
            for stand in stands.values_mut() {
                *stand = Stand { later: Vec::new(), ..stand.in_life(life).clone() };
            }
        }
    }
}
