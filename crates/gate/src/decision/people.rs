//! What people may do about a run, by procedure 1: end it from outside, and answer a step that
//! asks. No policy speaks of either; the canon does, in its settings and its facts.

use std::collections::BTreeSet;

use cog_canon::Canon;

use super::checks::{check, seen};
use super::{Check, CheckName, Decision, Fact, Need, Outcome, Terms, Verdict};
use crate::intent::Intent;

/// Whether who asks may end the run, hold it or let it go on: whoever began it may, under every
/// canon and under none, and those may whom the canon names.
pub(super) fn cancel(intent: &Intent, canon: Option<&Canon>) -> Decision {
    let (who, initiator) = (intent.actor().as_str(), intent.origin().initiator.as_str());
    let code = match canon {
        _ if who == initiator => "cancel.initiator",
        Some(canon) if canon.may_cancel(who) => "cancel.entitled",
        Some(_) => "cancel.not_entitled",
        None => "cancel.no_canon",
    };
    let is_allowed = matches!(code, "cancel.initiator" | "cancel.entitled");
    let entitled = canon.map(|canon| canon.settings().runs.cancel.clone()).unwrap_or_default();
    let read = seen([("entitled", Fact::Texts(entitled)), ("initiator", initiator.into())]);
    let checks = vec![check(CheckName::Canon, is_allowed, [code, code], read)];
    let verdict = if is_allowed { Verdict::Allow } else { Verdict::Refuse(CheckName::Canon) };
    Decision { verdict, checks, terms: Terms::default() }
}

/// Whether there are people who can answer the question of a step: enough of those that it
/// names, without whoever began the run.
pub(super) fn consent(intent: &Intent, canon: Option<&Canon>) -> Decision {
    let nobody = Need { count: u64::MAX, of: Vec::new(), escalate: None };
    let need = intent.at("args").and_then(Need::from_value).unwrap_or(nobody);
    let (check, verdict) = match answerable(intent, canon, &need) {
        Ok(check) => (check, Verdict::NeedsApproval(need)),
        Err(check) => (check, Verdict::Refuse(CheckName::Approval)),
    };
    Decision { verdict, checks: vec![check], terms: Terms::default() }
}

/// The check of a need that enough people could meet, without whoever asks or began the run; in
/// place of an answer, the check of one that too few could.
pub(super) fn answerable(
    intent: &Intent,
    canon: Option<&Canon>,
    need: &Need,
) -> Result<Check, Check> {
    let own =
        |who: &String| who == intent.actor().as_str() || who == intent.origin().initiator.as_str();
    let people = canon.map(|canon| need.of.iter().flat_map(|group| canon.people(group)));
    let people: BTreeSet<String> = people.into_iter().flatten().filter(|who| !own(who)).collect();
    let could = people.len() as u64;
    let read = seen([
        ("could", Fact::Number(Some(could))),
        ("count", need.count.into()),
        ("of", Fact::Texts(need.of.clone())),
    ]);
    let is_possible = could >= need.count;
    let codes = ["approval.needed", "approval.nobody"];
    let mut check = check(CheckName::Approval, is_possible, codes, read);
    if is_possible {
        check.outcome = Outcome::Approval;
        return Ok(check);
    }
    Err(check)
}
