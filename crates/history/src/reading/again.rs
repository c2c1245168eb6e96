//! The step by which a run continues as new: over with the seal that names the next run.

use std::collections::BTreeMap;

use cog_base::json::Map;
use cog_base::{Digest, Value};
use cog_flow::Template;

use super::Reading;
use super::scope::{Gap, Sight};
use super::stand::{Fall, Pending, Raw, Release};
use crate::log::{End, Event, What};
use crate::property::Property;

impl Reading<'_> {
    pub(super) fn continuing(
        &mut self,
        given: &BTreeMap<String, Template>,
        frame: usize,
        path: &str,
        (life, release): (usize, Release),
    ) -> Raw {
        self.claimed.insert(path.to_owned());
        let (log, places) = (self.log, self.begun_in(life, path));
        self.begins(path, places, release);
        let first = places.first().copied();
        if let Some(What::Invalid { message, .. }) =
            first.and_then(|place| log.event(place)).map(|event| &event.what)
        {
            let error = message.as_deref().map(|it| super::failure("step.invalid", it));
            return Raw::Fell(Fall::failed(first.unwrap_or(release.at), path, error), None);
        }
        let inputs = self.evaluate_all(given, Sight { frame, at: release.at });
        let seal = self.seal_of_a_chain(life);
        match (inputs, seal) {
            (Err(Gap::Fails(error)), _) => {
                Raw::Fell(Fall::failed(release.at, path, Some(error)), None)
            }
            (Err(Gap::Unknown), None) => Raw::Unknown(release.at),
            (Ok(_), None) => Raw::Open(vec![Pending { path: path.to_owned() }]),
            (inputs, Some((place, said))) => {
                self.hands_on(inputs.ok(), (place, path), said);
                self.is_continued = true;
                Raw::Completed(place, Some(Value::Map(Map::new())))
            }
        }
    }

    /// Where one of the runs is sealed as continued, and the digest of inputs that the seal says.
    fn seal_of_a_chain(&self, life: usize) -> Option<(usize, Option<Digest>)> {
        let life = self.source.life(life);
        let mut all = self.log.events.iter().enumerate();
        all.find_map(|(place, event)| {
            let What::Sealed(data) = &event.what else { return None };
            let next = data.get("continued").filter(|_| !life.places(&[place]).is_empty())?;
            let said = next.get("inputs").and_then(Value::as_text);
            Some((place, said.and_then(|said| said.parse().ok())))
        })
    }

    /// The next run is handed what the step came to, and something took place before it.
    fn hands_on(
        &mut self,
        inputs: Option<Map>,
        (place, path): (usize, &str),
        said: Option<Digest>,
    ) {
        let seq = self.log.seq(place);
        let bound = inputs.map(|inputs| self.source.flow.bind_values(&inputs));
        let digest =
            |inputs| Digest::in_context("cognitionos/inputs/v1", &Value::Map(inputs).canonical());
        let fits = bound.is_none_or(|bound| bound.ok().map(digest) == said);
        self.report.test(Property::Continued, fits, seq, || {
            format!("the next run is handed other inputs than `{path}` came to")
        });
        let before = self.log.events.get(..place).unwrap_or_default();
        let has_moved = before.iter().any(moves);
        self.report.test(Property::Continued, has_moved, seq, || {
            "the run continues as new, and nothing took place in it".to_owned()
        });
    }

    /// The signals that no step took, by their ids, of a run that continues as new.
    pub(super) fn left_over(&self) -> Option<Vec<String>> {
        let all = self.log.events.iter().enumerate();
        let left = all.filter(|(place, _)| !self.taken.contains_key(place));
        let left = left.filter_map(|(_, event)| {
            let What::Signal(signal) = &event.what else { return None };
            Some(signal.id.clone())
        });
        (self.is_continued && !self.unsure).then(|| left.collect())
    }
}

/// Whether an entry is of something that a chain of runs may wait for.
fn moves(event: &Event) -> bool {
    match &event.what {
        What::Outcome(outcome) => outcome.end == End::Completed,
        What::ChildEnded(end) => end.status == "completed",
        What::Granted { .. } | What::Rejected { .. } | What::Timer { .. } | What::Signal(_) => true,
        What::Started { .. }
        | What::Receipt(_)
        | What::Denial { .. }
        | What::Planned { .. }
        | What::Requested(_)
        | What::Escalated { .. }
        | What::Delegated { .. }
        | What::Cancel
        | What::Invalid { .. }
        | What::Checkpoint { .. }
        | What::ChildStarted(_)
        | What::Sealed(_)
        | What::Other => false,
    }
}
