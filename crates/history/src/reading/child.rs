//! A step that begins another run.

use cog_base::{Digest, Value};
use cog_flow::ChildCall;

use super::Reading;
use super::scope::{Gap, Sight};
use super::stand::{Fall, Pending, Raw, Release};
use crate::log::{ChildEnd, ChildStart, What};
use crate::property::Property;

impl Reading<'_> {
    pub(super) fn child(
        &mut self,
        child: &ChildCall,
        frame: usize,
        path: &str,
        (life, release): (usize, Release),
    ) -> Raw {
        self.claimed.insert(path.to_owned());
        if child.wait && !child.outlives {
            self.waiting.insert(path.to_owned());
        }
        let log = self.log;
        let (places, sight) = (self.begun_in(life, path), Sight { frame, at: release.at });
        self.begins(path, places, release);
        let Some(first) = places.first().copied() else {
            let inputs = self.evaluate_all(&child.inputs, sight);
            return match inputs.and_then(|_| self.subject(None, sight)) {
                Ok(()) => Raw::Open(vec![Pending { path: path.to_owned() }]),
                Err(Gap::Fails(error)) => {
                    Raw::Fell(Fall::failed(release.at, path, Some(error)), None)
                }
                Err(Gap::Unknown) => Raw::Unknown(release.at),
            };
        };
        for again in places.iter().skip(1) {
            let message = format!("`{path}` begins another run, although it began one");
            self.report.broken(Property::Twice, log.seq(*again), message);
        }
        match log.event(first).map(|event| &event.what) {
            Some(What::Invalid { message, .. }) => {
                let error = message.as_deref().map(|it| super::failure("step.invalid", it));
                Raw::Fell(Fall::failed(first, path, error), None)
            }
            Some(What::ChildStarted(start)) => {
                self.asks(child, sight, (first, path), start);
                if !child.wait {
                    let output = Value::map([("run", start.run.as_str())]);
                    return Raw::Completed(first, Some(output));
                }
                match log.ended(&start.run) {
                    Some((place, end)) => ended(place, path, &start.run, end),
                    None => Raw::Open(vec![Pending { path: path.to_owned() }]),
                }
            }
            Some(_) | None => Raw::Open(vec![Pending { path: path.to_owned() }]),
        }
    }

    /// Whether the step, once it was stopped, is over only with the end of the run that it began.
    pub(super) fn is_waited_for(&self, path: &str) -> bool {
        self.waiting.contains(path)
    }

    /// The run that is asked for is the one that the file names, with the inputs that it gives.
    fn asks(
        &mut self,
        child: &ChildCall,
        sight: Sight,
        (place, path): (usize, &str),
        start: &ChildStart,
    ) {
        let seq = self.log.seq(place);
        let given = self.evaluate_all(&child.inputs, sight);
        let Some(named) = self.source.flow.children.get(&child.workflow) else {
            let message = format!("`{path}` begins a run of what was not read with the file");
            return self.report.broken(Property::Child, seq, message);
        };
        let same = start.workflow == child.workflow
            && start.definition == Some(named.flow.family_digest());
        let inputs = given.ok().and_then(|given| named.flow.bind_values(&given).ok());
        let digest =
            |inputs| Digest::in_context("cognitionos/inputs/v1", &Value::Map(inputs).canonical());
        let fits = inputs.is_none_or(|inputs| start.inputs == Some(digest(inputs)));
        self.report.test(Property::Child, same && fits, seq, || {
            format!("`{path}` begins another run than its file says, or with other inputs")
        });
    }
}

/// What a step came to whose run ended.
fn ended(place: usize, path: &str, run: &str, end: &ChildEnd) -> Raw {
    let body = end.body.as_ref();
    let error = body.and_then(|body| body.get("error"));
    match end.status.as_str() {
        "completed" => Raw::Completed(place, body.and_then(|body| body.get("output")).cloned()),
        status => {
            let told = body.map(|_| told(run, status, error));
            if status == "refused" {
                let told = told.map(|told| {
                    Value::map([("id", run), ("code", "child.refused"), ("reason", &told)])
                });
                return Raw::Fell(Fall::refused(place, path, told), None);
            }
            let code = if status == "cancelled" { "child.cancelled" } else { "child.failed" };
            let told = told.map(|told| super::failure(code, &told));
            Raw::Fell(Fall::failed(place, path, told), None)
        }
    }
}

/// How a run ended, in the words that expressions see.
fn told(run: &str, status: &str, error: Option<&Value>) -> String {
    let text = |name: &str| error.and_then(|error| error.get(name)?.as_text());
    let why = text("message").or_else(|| text("reason")).unwrap_or("it says nothing of why");
    let at = text("step").map_or_else(String::new, |at| format!(" in its step `{at}`"));
    let word = if status == "failed" { "failed".to_owned() } else { format!("was {status}") };
    format!("{run} {word}{at}: {why}")
}
