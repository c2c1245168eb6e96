//! Consents: asked for before they are given, given before they are rested on, by other people,
//! in time, and used once.

use std::collections::{BTreeMap, BTreeSet};

use crate::log::{End, Event, Log, Receipt, Request, What};
use crate::property::Property;
use crate::report::Report;

struct Asked<'l> {
    request: &'l Request,
    event: &'l Event,
    /// Those whose yes counts.
    people: BTreeSet<&'l str>,
    /// Who has whom answer in their place.
    delegated: BTreeMap<&'l str, &'l str>,
    rejected: bool,
    used_by: Option<&'l str>,
    escalated: bool,
}

/// Check every answer and every receipt that rests on one.
pub(crate) fn check(log: &Log, clock_back_ms: u64, report: &mut Report) {
    let Some(Event { what: What::Started { initiator }, .. }) = log.events.first() else { return };
    let mut asked: BTreeMap<&str, Asked<'_>> = BTreeMap::new();
    for event in &log.events {
        if let What::Requested(request) = &event.what {
            let (people, delegated) = (BTreeSet::new(), BTreeMap::new());
            let (rejected, used_by, escalated) = (false, None, false);
            let one = Asked { request, event, people, delegated, rejected, used_by, escalated };
            asked.insert(&request.id, one);
        } else if let What::Escalated { request, intent, of } = &event.what {
            let is_due = asked.get_mut(request.as_str()).is_some_and(|asked| {
                let same = *intent == asked.request.intent && event.canon == asked.event.canon;
                let is_first = !std::mem::replace(&mut asked.escalated, true);
                let later = asked.request.escalate.as_ref();
                let fits = later.is_some_and(|(after_ms, later)| {
                    later == of
                        && asked.event.at.plus_ms(*after_ms) <= event.at.plus_ms(clock_back_ms)
                });
                same && is_first && fits
            });
            report.test(Property::Escalated, is_due, event.seq, || {
                format!("{request} is not to be answered by others, or not yet, or by these")
            });
        } else if let What::Delegated { request, intent, to } = &event.what {
            let may = asked.get_mut(request.as_str()).is_some_and(|asked| {
                let same = *intent == asked.request.intent && event.canon == asked.event.canon;
                same && asked.hands_over(&event.actor, to, initiator)
            });
            report.test(Property::Delegated, may, event.seq, || {
                format!("`{}` may not have `{to}` answer {request}", event.actor)
            });
        } else if let What::Granted { request, intent, voice, .. } = &event.what {
            let Some(asked) = asked.get_mut(request.as_str()) else {
                let message = format!("{request} was not asked for before");
                report.broken(Property::Consent, event.seq, message);
                continue;
            };
            let same = *intent == asked.request.intent && event.canon == asked.event.canon;
            report.test(Property::Consent, same && !asked.rejected, event.seq, || {
                format!("{request} was asked for something else, or had a no before")
            });
            let voice = asked.spoken(event, voice.as_deref(), report);
            asked.granted((event, voice), initiator, report);
        } else if let What::Rejected { request, voice, .. } = &event.what {
            if let Some(asked) = asked.get_mut(request.as_str()) {
                asked.spoken(event, voice.as_deref(), report);
                asked.rejected = true;
            }
        } else if let What::Receipt(receipt) = &event.what {
            for approval in &receipt.approvals {
                rests_on(log, event, receipt, asked.get_mut(approval.as_str()), report);
            }
        }
    }
}

impl<'l> Asked<'l> {
    /// One person who may answer lets another one do so; neither has a part in it so far.
    fn hands_over(&mut self, who: &'l str, to: &'l str, initiator: &str) -> bool {
        let is_own = |one: &str| one == initiator || one == self.event.actor;
        let is_free = |one: &str| {
            let mut handed = self.delegated.iter();
            !self.people.contains(one) && !handed.any(|(from, to)| *from == one || *to == one)
        };
        let both = [who, to];
        let may = both.iter().all(|one| one.starts_with("user:") && !is_own(one) && is_free(one));
        self.delegated.insert(who, to);
        may && who != to && !self.rejected
    }

    /// In whose name somebody answers: their own, or the one that was handed to them.
    fn spoken(&self, event: &'l Event, voice: Option<&'l str>, report: &mut Report) -> &'l str {
        let who = event.actor.as_str();
        let is_theirs = match voice {
            Some(voice) => self.delegated.get(voice) == Some(&who),
            None => !self.delegated.iter().any(|(from, to)| *from == who || *to == who),
        };
        report.test(Property::Delegated, is_theirs, event.seq, || {
            format!("`{who}` answers in a place that is not theirs")
        });
        voice.unwrap_or(who)
    }

    fn granted(
        &mut self,
        (event, voice): (&'l Event, &'l str),
        initiator: &str,
        report: &mut Report,
    ) {
        let who = event.actor.as_str();
        let is_own = |one: &str| one == initiator || one == self.event.actor;
        let other = !is_own(who) && !is_own(voice) && who.starts_with("user:");
        report.test(Property::People, other, event.seq, || {
            format!("`{who}` consents, and is no person, asked for it or began the run")
        });
        if other && event.at <= self.request.expires {
            self.people.insert(voice);
        }
    }
}

fn rests_on<'l>(
    log: &Log,
    event: &Event,
    receipt: &'l Receipt,
    asked: Option<&mut Asked<'l>>,
    report: &mut Report,
) {
    let Some(asked) = asked else {
        let message = "it rests on a consent that was not asked for before".to_owned();
        return report.broken(Property::Consent, event.seq, message);
    };
    let is_given_back = |earlier: &str| {
        log.outcome(earlier).is_some_and(|(_, outcome)| outcome.end == End::Abandoned)
    };
    let unused = asked.used_by.is_none_or(is_given_back);
    let same = receipt.intent == asked.request.intent && event.canon == asked.event.canon;
    report.test(Property::Consent, unused && same && !asked.rejected, event.seq, || {
        format!("{} is consent to something else, was used, or is a no", asked.request.id)
    });
    let (given, count) = (asked.people.len() as u64, asked.request.count);
    report.test(Property::People, given >= count, event.seq, || {
        format!("{} of the {count} people that it takes consented before", given)
    });
    asked.used_by = Some(&receipt.id);
}
