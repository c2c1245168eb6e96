//! A step of one effect: its receipts and refusals, in their order.

use cog_base::Value;
use cog_flow::{EffectCall, Retry, Step};

use super::Reading;
use super::scope::{Gap, Sight};
use super::stand::{Fall, Pending, Raw, Release};
use crate::log::{End, Event, Outcome, What};
use crate::property::Property;

impl Reading<'_> {
    pub(super) fn effect(
        &mut self,
        (step, call): (&Step, &EffectCall),
        frame: usize,
        path: &str,
        (life, release): (usize, Release),
    ) -> Raw {
        self.claimed.insert(path.to_owned());
        let log = self.log;
        let places = self.begun_in(life, path);
        if places.is_empty() {
            return self.without_entries(step, call, frame, path, release);
        }
        self.begins(path, places, release);
        let mut raw = Raw::Open(vec![Pending { path: path.to_owned() }]);
        // Behind which place another attempt may begin; nothing once it is over.
        let mut free = Some(release.at);
        for place in places {
            let Some(event) = log.event(*place) else { continue };
            let is_free = free.is_some_and(|free| *place > free || free == release.at);
            self.report.test(Property::Twice, is_free, event.seq, || {
                format!("`{path}` begins again, although it is under way or over")
            });
            match &event.what {
                What::Receipt(receipt) => {
                    self.serves((step, call), life, path, (event, &receipt.action));
                    let outcome = log.outcome(&receipt.id);
                    free = outcome.map(|(at, _)| at);
                    let Some((at, outcome)) = outcome else { continue };
                    self.tried(&call.retry, (event, log.event(at)), outcome);
                    if outcome.end != End::Abandoned {
                        free = None;
                        raw = ended(at, path, outcome);
                    }
                }
                What::Denial { error, .. } => {
                    free = None;
                    raw = Raw::Fell(Fall::refused(*place, path, error.clone()), None);
                }
                What::Invalid { message, .. } => {
                    free = None;
                    let error = message.as_deref().map(|it| super::failure("step.invalid", it));
                    raw = Raw::Fell(Fall::failed(*place, path, error), None);
                }
                What::Requested(request) => {
                    self.serves((step, call), life, path, (event, &request.action));
                }
                What::Planned { .. }
                | What::Started { .. }
                | What::Outcome(_)
                | What::Escalated { .. }
                | What::Delegated { .. }
                | What::Granted { .. }
                | What::Rejected { .. }
                | What::Timer { .. }
                | What::Signal(_)
                | What::Checkpoint { .. }
                | What::Cancel
                | What::ChildStarted(_)
                | What::ChildEnded(_)
                | What::Sealed(_)
                | What::Other => {}
            }
        }
        raw
    }

    /// A receipt or a request is for what the step says, and for whom.
    fn serves(
        &mut self,
        (step, call): (&Step, &EffectCall),
        life: usize,
        path: &str,
        (event, action): (&Event, &str),
    ) {
        let initiator = &self.source.life(life).initiator;
        let actor = step.actor.as_deref().unwrap_or(initiator);
        let same = action == call.operation.as_str() && event.actor == actor;
        self.report.test(Property::Step, same, event.seq, || {
            format!("`{path}` is not for `{action}` by `{}`", event.actor)
        });
    }

    /// The step has no entry: it failed by itself, or is still to begin.
    fn without_entries(
        &mut self,
        step: &Step,
        call: &EffectCall,
        frame: usize,
        path: &str,
        release: Release,
    ) -> Raw {
        let sight = Sight { frame, at: release.at };
        let with = self.evaluate_all(&call.with, sight).and_then(|with| {
            let fails = |message: String| Gap::Fails(super::failure("arguments", &message));
            call.operation.check(&with).map_err(|error| fails(error.to_string()))
        });
        match with.and_then(|()| self.subject(step.subject.as_ref(), sight)) {
            Ok(()) => Raw::Open(vec![Pending { path: path.to_owned() }]),
            Err(Gap::Fails(error)) => Raw::Fell(Fall::failed(release.at, path, Some(error)), None),
            Err(Gap::Unknown) => Raw::Unknown(release.at),
        }
    }

    /// The attempts under a receipt are no more than granted, and lie apart as asked.
    fn tried(&mut self, retry: &Retry, (given, over): (&Event, Option<&Event>), end: &Outcome) {
        let Some(over) = over else { return };
        let tried = end.attempts;
        let any = retry.on_any || retry.on_timeout || retry.on_transient;
        let most = if any { u64::from(retry.attempts) } else { 1 };
        self.report.test(Property::Attempts, tried <= most, over.seq, || {
            format!("{tried} attempts, where the step grants {most}")
        });
        if tried < 2 {
            return;
        }
        let waits = (1..tried).fold(0_u64, |sum, after| sum.saturating_add(wait(retry, after)));
        let took = over.at.ms_since(given.at).saturating_add(self.clock_back_ms);
        self.report.test(Property::Backoff, took >= waits, over.seq, || {
            format!("{tried} attempts within {took} ms, between which lie at least {waits} ms")
        });
    }
}

/// The least wait after so many attempts.
fn wait(retry: &Retry, attempts: u64) -> u64 {
    let mut wait = u128::from(retry.backoff_ms);
    for _ in 1..attempts {
        wait = (wait * u128::from(retry.factor)).min(u128::from(retry.backoff_ms_max));
    }
    let wait = wait.min(u128::from(retry.backoff_ms_max));
    let shorter = wait * u128::from(retry.jitter_percent.min(100)) / 100;
    u64::try_from(wait - shorter).unwrap_or(u64::MAX)
}

/// What an outcome means to its step.
fn ended(at: usize, path: &str, outcome: &Outcome) -> Raw {
    let part = |name| outcome.body.as_ref().and_then(|body: &Value| body.get(name)).cloned();
    match outcome.end {
        End::Completed => Raw::Completed(at, part("output")),
        End::Failed => Raw::Fell(Fall::failed(at, path, part("error")), None),
        End::Unknown => {
            let message = "nobody can tell whether it was done; look at the world before you do \
                           it again";
            let error = super::failure("effect.unknown", message);
            Raw::Fell(Fall::failed(at, path, Some(error)), None)
        }
        End::Abandoned => Raw::Open(vec![Pending { path: path.to_owned() }]),
    }
}
