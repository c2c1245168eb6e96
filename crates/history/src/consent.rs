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
            let people = BTreeSet::new();
            let (rejected, used_by, escalated) = (false, None, false);
            let one = Asked { request, event, people, rejected, used_by, escalated };
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
        } else if let What::Granted { request, intent, .. } = &event.what {
            let Some(asked) = asked.get_mut(request.as_str()) else {
                let message = format!("{request} was not asked for before");
                report.broken(Property::Consent, event.seq, message);
                continue;
            };
            let same = *intent == asked.request.intent && event.canon == asked.event.canon;
            report.test(Property::Consent, same && !asked.rejected, event.seq, || {
                format!("{request} was asked for something else, or had a no before")
            });
            asked.granted(event, initiator, report);
        } else if let What::Rejected { request, .. } = &event.what {
            if let Some(asked) = asked.get_mut(request.as_str()) {
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
    fn granted(&mut self, event: &'l Event, initiator: &str, report: &mut Report) {
        let who = event.actor.as_str();
        let other = who != initiator && who != self.event.actor && who.starts_with("user:");
        report.test(Property::People, other, event.seq, || {
            format!("`{who}` consents, and is no person, asked for it or began the run")
        });
        if other && event.at <= self.request.expires {
            self.people.insert(who);
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
