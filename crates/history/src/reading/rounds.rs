//! `repeat`: rounds one after the other, and none behind the one with which it is over.

use std::sync::Arc;

use cog_base::Value;
use cog_flow::limits::MAX_SLEEP_MS;
use cog_flow::{Block, Repeat, Step};

use super::Reading;
use super::anew::Waiter;
use super::body::pending;
use super::scope::{Gap, Level, Sight};
use super::stand::{Bound, Fall, Pending, Raw, Release};
use crate::property::Property;

impl Reading<'_> {
    /// What a group came to whose steps run until something is so.
    pub(super) fn rounds(
        &mut self,
        step: &Arc<Step>,
        (block, repeat): (&Arc<Block>, &Repeat),
        frame: usize,
        path: &str,
        release: Release,
    ) -> Raw {
        self.barred.insert(path.to_owned(), Property::Rounds);
        let bound = self.bound(step, path);
        let bound = bound.map(|bound| Bound { since: Some(release.at), ..bound });
        let (mut release, mut before) = (release, Some(Value::Null));
        let mut index = 0_u32;
        loop {
            let prefix = format!("{path}[{index}]");
            if let Some(bound) = &bound {
                self.bounded.insert(prefix.clone(), bound.clone());
            }
            let level =
                self.open(Some(frame), Level::Item { id: None, value: before, index, own: None });
            let inside =
                self.under(step, frame, |it| it.block(block, Some(level), &prefix, release));
            index = index.saturating_add(1);
            let came_to =
                |steps: Value| Value::map([("rounds", u64::from(index).into()), ("steps", steps)]);
            let output = inside.steps.clone().map(came_to);
            let over = match (inside.over, inside.fall) {
                (None, _) => return Raw::Open(pending(inside.pending, &prefix)),
                (Some(over), Some(fall)) => return Raw::Fell(Fall { at: over, ..fall }, output),
                (Some(over), None) => over,
            };
            self.keeps_no_consent(&prefix, over, false);
            let sight = Sight { frame: inside.frame, at: over };
            let next = match self.goes_on(repeat, sight, index) {
                _ if inside.unknown => Err(Gap::Unknown),
                next => next,
            };
            let ms = match next {
                Ok(None) => return Raw::Completed(over, output),
                Err(Gap::Fails(error)) => {
                    return Raw::Fell(Fall::failed(over, path, Some(error)), output);
                }
                Ok(Some(ms)) => Some(ms),
                // The entries alone say whether there was another.
                Err(Gap::Unknown)
                    if index < repeat.most && self.is_begun(&format!("{path}[{index}]")) =>
                {
                    self.unsure = true;
                    None
                }
                Err(Gap::Unknown) => return Raw::Unknown(over),
            };
            before = inside.steps.map(|steps| Value::map([("steps", steps)]));
            release = Release { at: over, by: Property::Rounds };
            match self.pause(step, frame, (path, index), (ms, bound.as_ref()), release) {
                Raw::Completed(at, _) => release.at = at,
                Raw::Fell(fall, _) => return Raw::Fell(fall, output),
                raw @ (Raw::Skipped(_) | Raw::Open(_) | Raw::Unknown(_)) => return raw,
            }
        }
    }

    /// After how many milliseconds the next round begins; nothing if that was the last.
    fn goes_on(&self, repeat: &Repeat, sight: Sight, rounds: u32) -> Result<Option<u64>, Gap> {
        let fails = |code: &str, message: &str| Gap::Fails(super::failure(code, message));
        let until = self.evaluate(&repeat.until, sight)?;
        let wrong = || {
            let message = format!("`until` must be true or false, it came to {}", until.kind());
            fails("expression", &message)
        };
        if until.as_bool().ok_or_else(wrong)? {
            return Ok(None);
        }
        if rounds >= repeat.most {
            let message = format!("`until` does not hold, and {} rounds are the most", repeat.most);
            return Err(fails("repeat.most", &message));
        }
        let Some(ms) = &repeat.every_ms else { return Ok(Some(0)) };
        let ms = self.evaluate_number(ms, sight)?;
        if ms > MAX_SLEEP_MS.unsigned_abs() {
            return Err(fails("limit", "more than 366 days between two rounds"));
        }
        Ok(Some(ms))
    }

    /// Whether anything is known of a round.
    fn is_begun(&self, round: &str) -> bool {
        self.log.within(round).next().is_some() || self.log.timers.contains_key(round)
    }

    /// The time between two rounds: over when the timer of the next one is due.
    fn pause(
        &mut self,
        step: &Arc<Step>,
        frame: usize,
        (path, index): (&str, u32),
        (ms, bound): (Option<u64>, Option<&Bound>),
        release: Release,
    ) -> Raw {
        let next = format!("{path}[{index}]");
        if ms == Some(0) || (ms.is_none() && !self.log.timers.contains_key(&next)) {
            return Raw::Completed(release.at, None);
        }
        let waiter = Waiter { step: Some(step), frame, stays: true };
        let raw = self.lived(&next, release, &waiter, |it, life, release| {
            let Some(place) = it.timer(life, &next) else {
                return Raw::Open(vec![Pending { path: next.clone() }]);
            };
            if ms.is_some() {
                it.due(place, release.at, ms, &next);
            }
            Raw::Completed(place, None)
        });
        let by = if let Raw::Completed(at, _) = raw { Some(at) } else { None };
        let fall = bound.and_then(|bound| self.over_time(bound, release.at, by));
        fall.map_or(raw, |fall| Raw::Fell(fall, None))
    }
}
