//! Receipts with their outcomes, and the sums that the seal states.

use std::collections::BTreeMap;

use cog_base::json::Map;
use cog_base::{Digest, Value};
use cog_ledger::Kind;
use cog_ledger::kind::TRACE_CONTEXT;

use crate::log::{End, Event, Log, What};
use crate::property::Property;
use crate::report::Report;

/// Each receipt has one outcome, behind it and before the seal.
pub(crate) fn outcomes(log: &Log, report: &mut Report) {
    let mut open: BTreeMap<&str, bool> = BTreeMap::new();
    for event in &log.events {
        if let What::Receipt(receipt) = &event.what {
            let again = open.insert(&receipt.id, true).is_some();
            report.test(Property::Outcome, !again, event.seq, || {
                format!("the receipt {} was given before", receipt.id)
            });
        } else if let What::Outcome(outcome) = &event.what {
            let was_open = open.insert(&outcome.receipt, false) == Some(true);
            report.test(Property::Outcome, was_open, event.seq, || {
                format!("{} is not open before its outcome", outcome.receipt)
            });
        } else if let What::Sealed(_) = &event.what {
            let left = open.values().filter(|open| **open).count();
            report.test(Property::Outcome, left == 0, event.seq, || {
                format!("the run is sealed while {left} receipts have no outcome")
            });
        }
    }
}

/// The seal states what its run adds up to.
pub(crate) fn sums(log: &Log, report: &mut Report) {
    let seal = log.events.iter().position(|event| matches!(event.what, What::Sealed(_)));
    let Some((before, rest)) = seal.and_then(|place| log.events.split_at_checked(place)) else {
        return;
    };
    let Some(event) = rest.first() else { return };
    let What::Sealed(stated) = &event.what else { return };
    let mut trace = Vec::new();
    before.iter().for_each(|event| trace.extend_from_slice(event.leaf.as_bytes()));
    let ends = |end| move |event: &Event| matches!(&event.what, What::Outcome(outcome) if outcome.end == end);
    let count =
        |is: &dyn Fn(&Event) -> bool| before.iter().filter(|event| is(event)).count() as u64;
    let spent = before.iter().fold(0_u64, |sum, event| {
        let What::Outcome(outcome) = &event.what else { return sum };
        sum.saturating_add(outcome.cost)
    });
    let outcomes = End::ALL.map(|(word, end)| (word, count(&ends(end))));
    let expected = [
        ("entries", Value::from(before.len() as u64)),
        ("receipts", count(&|event| event.kind == Kind::Receipt).into()),
        ("denials", count(&|event| event.kind == Kind::Denial).into()),
        ("outcomes", Value::map(outcomes)),
        ("spent_micros", spent.into()),
        ("trace", Digest::in_context(TRACE_CONTEXT, &trace).into()),
    ];
    for (name, counted) in expected {
        report.test(Property::Sums, stated.get(name) == Some(&counted), event.seq, || {
            format!("the seal states {name} {}, the run has {counted}", said(stated, name))
        });
    }
}

fn said(stated: &Map, name: &str) -> String {
    stated.get(name).map_or_else(|| "nothing".to_owned(), ToString::to_string)
}
