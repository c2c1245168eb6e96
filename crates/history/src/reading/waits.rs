//! Steps that wait: for people, for a time, for a signal.

use std::collections::BTreeSet;

use cog_base::Value;
use cog_base::json::Map;
use cog_flow::limits::MAX_SLEEP_MS;
use cog_flow::{Approve, Sleep, Step, Template, WaitFor, moment};

use super::Reading;
use super::scope::{Gap, Sight};
use super::stand::{Bound, Fall, Pending, Raw, Release};
use crate::log::{Event, Request, What};
use crate::property::Property;

impl Reading<'_> {
    /// A timer that was due, counted from what released its step.
    pub(super) fn sleep(
        &mut self,
        sleep: &Sleep,
        frame: usize,
        path: &str,
        (life, release): (usize, Release),
    ) -> Raw {
        let ms = match sleep {
            Sleep::For(ms) => ms,
            Sleep::Until(at) => return self.sleep_until(at, frame, path, (life, release)),
        };
        let ms = match self.evaluate_number(ms, Sight { frame, at: release.at }) {
            Ok(ms) if ms > MAX_SLEEP_MS.unsigned_abs() => {
                let error = super::failure("limit", "a sleep of more than 366 days");
                return Raw::Fell(Fall::failed(release.at, path, Some(error)), None);
            }
            Ok(ms) => ms,
            Err(Gap::Fails(error)) => {
                return Raw::Fell(Fall::failed(release.at, path, Some(error)), None);
            }
            Err(Gap::Unknown) => {
                self.await_all(path);
                return Raw::Unknown(release.at);
            }
        };
        match self.timer(life, path) {
            Some(place) => {
                self.due(place, release.at, Some(ms), path);
                Raw::Completed(place, Some(Value::Map(Map::new())))
            }
            None => Raw::Open(vec![Pending { path: path.to_owned() }]),
        }
    }

    /// A timer that was due at a time.
    fn sleep_until(
        &mut self,
        at: &Template,
        frame: usize,
        path: &str,
        (life, release): (usize, Release),
    ) -> Raw {
        let value = self.evaluate(at, Sight { frame, at: release.at });
        let text = value.map(|value| value.as_text().unwrap_or_default().to_owned());
        let until = match text.map(|text| moment(&text).ok_or(text)) {
            Ok(Ok(until)) => until,
            Ok(Err(text)) => {
                let text: String = text.chars().take(40).collect();
                let wanted = "`until` must be a time like 2026-12-24T18:00:00Z";
                let error = super::failure("expression", &format!("{wanted}, it came to `{text}`"));
                return Raw::Fell(Fall::failed(release.at, path, Some(error)), None);
            }
            Err(Gap::Fails(error)) => {
                return Raw::Fell(Fall::failed(release.at, path, Some(error)), None);
            }
            Err(Gap::Unknown) => {
                self.await_all(path);
                return Raw::Unknown(release.at);
            }
        };
        let Some(place) = self.timer(life, path) else {
            return Raw::Open(vec![Pending { path: path.to_owned() }]);
        };
        self.due(place, release.at, Some(0), path);
        let (seq, came) = (self.log.seq(place), self.log.at(place));
        self.report.test(Property::Early, came.plus_ms(self.clock_back_ms) >= until, seq, || {
            format!("`{path}` sleeps until {until}, and this is {came}")
        });
        Raw::Completed(place, Some(Value::Map(Map::new())))
    }

    /// A signal that fits, or a time that was over before one came. Which of several signals a
    /// step took depends on the others that waited: then it is over behind the first of them.
    pub(super) fn wait_for(
        &mut self,
        wait: &WaitFor,
        frame: usize,
        path: &str,
        (life, release): (usize, Release),
    ) -> Raw {
        let sight = Sight { frame, at: release.at };
        let limit = wait.timeout_ms.as_ref().map(|ms| self.evaluate_number(ms, sight)).transpose();
        let (limit, wanted) = match (limit, self.evaluate_all(&wait.matching, sight)) {
            (Ok(Some(ms)), Ok(_)) if ms > MAX_SLEEP_MS.unsigned_abs() => {
                let error = super::failure("limit", "a wait of more than 366 days");
                return Raw::Fell(Fall::failed(release.at, path, Some(error)), None);
            }
            (Ok(limit), Ok(wanted)) => (limit, wanted),
            (Err(Gap::Fails(error)), _) | (_, Err(Gap::Fails(error))) => {
                return Raw::Fell(Fall::failed(release.at, path, Some(error)), None);
            }
            (Err(Gap::Unknown), _) | (_, Err(Gap::Unknown)) => {
                self.await_all(path);
                return Raw::Unknown(release.at);
            }
        };
        if let Some(place) = self.timer(life, path) {
            self.due(place, release.at, limit, path);
            let message = format!("the signal `{}` did not come in time", wait.signal);
            let error = super::failure("timeout", &message);
            return Raw::Fell(Fall::failed(place, path, Some(error)), None);
        }
        let mut fitting = self.fitting(&wait.signal, &wanted);
        // One signal brings on one step: what was taken before this one waited is gone. Of two that
        // began to wait at once the first takes it, as far as it can be told that it fits both.
        fitting.retain(|(place, output)| {
            let is_left = |over| over > release.at || (over == release.at && output.is_none());
            let taken = self.taken.get(place);
            taken.is_none_or(|(by, over)| by == path || is_left(*over))
        });
        let (later, goes_on) = (self.source.life(life).until, self.log.timers.contains_key(path));
        match fitting.as_slice() {
            // Another step took it, or it came when another run went on from there.
            [(place, _)] if later.is_some_and(|until| *place > until || goes_on) => {
                Raw::Open(vec![Pending { path: path.to_owned() }])
            }
            [] => Raw::Open(vec![Pending { path: path.to_owned() }]),
            [(place, output)] => self.take(*place, path, release.at.max(*place), output.as_ref()),
            [(first, _), ..] => Raw::Unknown(release.at.max(*first)),
        }
    }

    /// A step goes on with a signal, unless another that waited for it may have done so.
    fn take(&mut self, place: usize, path: &str, over: usize, output: Option<&Value>) -> Raw {
        let (by, _) = self.taken.entry(place).or_insert_with(|| (path.to_owned(), over));
        if by != path {
            self.contested.insert(place);
        }
        if self.contested.contains(&place) {
            return Raw::Unknown(over);
        }
        Raw::Completed(over, output.cloned())
    }

    /// The signals with a name, and in their payload what is asked for; what they show.
    fn fitting(&self, name: &str, wanted: &Map) -> Vec<(usize, Option<Value>)> {
        let fits = |payload: &Value| {
            wanted.iter().all(|(member, value)| payload.get(member) == Some(value))
        };
        let signals = self.log.events.iter().enumerate().filter_map(|(place, event)| {
            let What::Signal(signal) = &event.what else { return None };
            let is_it = signal.name == name && signal.payload.as_ref().is_none_or(fits);
            let shown = |payload: &Value| {
                Value::map([
                    ("id", Value::from(signal.id.as_str())),
                    ("name", name.into()),
                    ("from", event.actor.as_str().into()),
                    ("payload", payload.clone()),
                ])
            };
            is_it.then(|| (place, signal.payload.as_ref().map(shown)))
        });
        signals.collect()
    }

    /// The first time that the timer of a step was due in one of the runs.
    pub(super) fn timer(&mut self, life: usize, path: &str) -> Option<usize> {
        let place = *self.source.life(life).places(self.log.timers.get(path)?).first()?;
        self.awaited.insert(place);
        Some(place)
    }

    /// The time of the steps inside was over at the place where its timer was due.
    pub(super) fn bound(&self, step: &Step, path: &str) -> Option<Bound> {
        let ms = step.timeout_ms?;
        let due = self.log.timers.get(path).and_then(|places| places.first())?;
        let error = super::failure("timeout", &format!("it took longer than {ms} ms"));
        Some(Bound { ms, since: None, fall: Fall::failed(*due, path, Some(error)) })
    }

    /// The fall of a step whose time was over before its steps inside were, or one of them fell.
    pub(super) fn out_of_time(
        &mut self,
        path: &str,
        release: Release,
        by: Option<usize>,
    ) -> Option<Fall> {
        let bound = self.bounded.remove(path)?;
        self.over_time(&bound, release.at, by)
    }

    /// The same, of a time that was over by then.
    pub(super) fn over_time(
        &mut self,
        bound: &Bound,
        released: usize,
        by: Option<usize>,
    ) -> Option<Fall> {
        let Bound { ms, since, fall } = bound.clone();
        if by.is_some_and(|by| by < fall.at) {
            return None;
        }
        self.awaited.insert(fall.at);
        self.due(fall.at, since.unwrap_or(released), Some(ms), &fall.step);
        Some(fall)
    }

    fn await_all(&mut self, path: &str) {
        let places = self.log.timers.get(path).into_iter().flatten();
        self.awaited.extend(places.copied());
    }

    /// A place that is given its name: over with the entry that says so.
    pub(super) fn checkpoint(
        &mut self,
        name: &str,
        path: &str,
        (life, release): (usize, Release),
    ) -> Raw {
        self.claimed.insert(path.to_owned());
        let (log, places) = (self.log, self.begun_in(life, path));
        self.begins(path, places, release);
        let Some(first) = places.first().copied() else {
            return Raw::Open(vec![Pending { path: path.to_owned() }]);
        };
        self.only_once(path, first, places);
        let named = log.event(first).map(|event| &event.what);
        let same = matches!(named, Some(What::Checkpoint { name: its, .. }) if its == name);
        self.report.test(Property::Step, same, log.seq(first), || {
            format!("`{path}` gives its place the name `{name}`, and nothing else")
        });
        Raw::Completed(first, Some(Value::Map(Map::new())))
    }

    /// A question: over with enough consents, with a no, or with its time.
    pub(super) fn approve(
        &mut self,
        approve: &Approve,
        frame: usize,
        path: &str,
        (life, release): (usize, Release),
    ) -> Raw {
        self.claimed.insert(path.to_owned());
        let log = self.log;
        let places = self.begun_in(life, path);
        self.begins(path, places, release);
        let sight = Sight { frame, at: release.at };
        let begins =
            || self.evaluate_text(&approve.message, sight).and_then(|()| self.subject(None, sight));
        if places.is_empty()
            && let Err(gap) = begins()
        {
            return match gap {
                Gap::Fails(error) => Raw::Fell(Fall::failed(release.at, path, Some(error)), None),
                Gap::Unknown => Raw::Unknown(release.at),
            };
        }
        let asked = (path, !approve.form.is_empty());
        let decided = places.iter().filter_map(|place| self.decided(*place, places, asked)).next();
        let due = log.timers.get(path).map(Vec::as_slice).unwrap_or_default();
        let expired = self.source.life(life).places(due).first().copied();
        match (decided, expired) {
            (Some((at, raw)), due) if due.is_none_or(|due| at < due) => {
                self.only_once(path, at, places);
                raw
            }
            (_, Some(due)) => {
                self.awaited.insert(due);
                self.due(due, release.at, Some(approve.expires_ms), path);
                self.only_once(path, due, places);
                let error =
                    super::denied("approval_expired", "not enough people answered in time", None);
                Raw::Fell(Fall::refused(due, path, Some(error)), None)
            }
            (_, None) => Raw::Open(vec![Pending { path: path.to_owned() }]),
        }
    }

    fn only_once(&mut self, path: &str, over: usize, places: &[usize]) {
        for late in places {
            self.report.test(Property::Twice, *late <= over, self.log.seq(*late), || {
                format!("`{path}` begins again, although it was over")
            });
        }
    }

    /// How the request at a place was decided, while no other had taken its place.
    pub(super) fn decided(
        &self,
        place: usize,
        places: &[usize],
        (path, has_form): (&str, bool),
    ) -> Option<(usize, Raw)> {
        let event = self.log.event(place)?;
        if let What::Invalid { .. } = &event.what {
            let reason = "no canon is in force, so that nobody is entitled to answer";
            let error = super::denied("approval_rejected", reason, Some("service:gate"));
            return Some((place, Raw::Fell(Fall::refused(place, path, Some(error)), None)));
        }
        // Nobody who is named could ever answer.
        if let What::Denial { error, .. } = &event.what {
            return Some((place, Raw::Fell(Fall::refused(place, path, error.clone()), None)));
        }
        let What::Requested(request) = &event.what else { return None };
        let next = places.iter().find(|next| **next > place).copied();
        let answers = self.log.answers.get(&request.id)?;
        let (mut people, mut forms) = (BTreeSet::new(), Some(Map::new()));
        for at in answers.iter().filter(|at| next.is_none_or(|next| **at < next)) {
            let answer = self.log.event(*at)?;
            if let What::Rejected { reason, .. } = &answer.what {
                let by = Some(answer.actor.as_str());
                let error = reason.as_deref();
                let error = error.map(|why| super::denied("approval_rejected", why, by));
                return Some((*at, Raw::Fell(Fall::refused(*at, path, error), None)));
            }
            if self.counts((place, request), event, answer) {
                let What::Granted { voice, form, .. } = &answer.what else { continue };
                // Who answers in the place of another is that one.
                let voice = voice.as_ref().unwrap_or(&answer.actor);
                people.insert(voice.as_str());
                if has_form {
                    forms = forms.zip(form.clone()).map(|(mut forms, form)| {
                        forms.insert(voice.clone(), form);
                        forms
                    });
                }
            }
            if people.len() as u64 >= request.count {
                let by = ("by", Value::list(people));
                // What was filled in and erased nobody knows any more.
                let output = match forms {
                    _ if !has_form => Some(Value::map([by])),
                    Some(forms) if request.count == 1 => {
                        let form = forms.values().next().cloned().unwrap_or(Value::Null);
                        Some(Value::map([by, ("form", form)]))
                    }
                    Some(forms) => Some(Value::map([by, ("form", Value::Map(forms))])),
                    None => None,
                };
                return Some((*at, Raw::Completed(*at, output)));
            }
        }
        None
    }

    fn counts(&self, (place, request): (usize, &Request), asked: &Event, answer: &Event) -> bool {
        let who = answer.actor.as_str();
        let initiator = &self.source.life(self.source.whose(place)).initiator;
        let other = who != initiator && who != asked.actor;
        other && who.starts_with("user:") && answer.at <= request.expires
    }
}
