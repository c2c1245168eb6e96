//! What a snapshot says of a run, against what the entries of the run show: nothing may be counted
//! too low, no bound be another, and no consent be named that was not given.

use std::collections::BTreeMap;

use cog_gate::snapshot::{Allowance, Approval, Snapshot, Spread, Tally};

/// What is wrong with a snapshot, by a code and in words.
pub(super) type Wrong = (&'static str, String);

/// Compare a recorded snapshot with one that is made of the entries before it.
///
/// More may be counted than the entries show: what another attempt was kept ready for stands in no
/// entry. And fewer consents may be named: one on record may not have been heard of.
pub(super) fn compare(recorded: &Snapshot, shown: &Snapshot) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    if recorded.roots != shown.roots || recorded.folder != shown.folder {
        let message = "its snapshot has other roots or folders than the run began with";
        wrong.push(("decision.bounds", message.to_owned()));
    }
    // Of a run that another began the bound is that of which least is left.
    let left = [
        ("effects", left(recorded.effects), left(shown.effects)),
        ("micros", left(recorded.budget), left(shown.budget)),
    ];
    let much = left.into_iter().find(|(_, said, shown)| said > shown);
    let much = much.map(|(what, said, shown)| match said {
        u64::MAX => format!("its snapshot has no end of {what}, and there are {shown} left"),
        said => format!("its snapshot has {said} {what} left, and there are {shown}"),
    });
    let low = [
        ("resources", touched(&recorded.spread), touched(&shown.spread)),
        ("of an amount", recorded.spread.amount, shown.spread.amount),
    ];
    let low = low.into_iter().find(|(_, said, shown)| said < shown);
    let low = low.map(|(what, said, shown)| {
        format!("its snapshot counts {said} {what}, and the entries before it show {shown}")
    });
    let (said, seen) = (&recorded.spread, &shown.spread);
    let is_fewer = !said.actions.is_superset(&seen.actions)
        || is_less(&said.receipts_by_policy, &seen.receipts_by_policy)
        || is_less(&said.sums_by_policy, &seen.sums_by_policy);
    let other = "its snapshot counts less under a policy, or fewer actions, than entries show";
    let message = much.or(low).or_else(|| is_fewer.then(|| other.to_owned()));
    wrong.extend(message.map(|message| ("decision.counts", message)));
    for approval in &recorded.approvals {
        if !shown.approvals.iter().any(|given| covers(given, approval)) {
            let message = format!(
                "its snapshot names the consent {}, which was not given so, or was used",
                approval.id
            );
            wrong.push(("decision.consent", message));
        }
    }
    wrong
}

/// Compare what a snapshot says of the periods of a domain with what the entries before it show.
/// More may be counted: of a receipt whose append failed nobody knows. `with_places` says whether it
/// is known where the roots of the run stand.
pub(super) fn compare_periods(
    recorded: &Snapshot,
    shown: &Snapshot,
    with_places: bool,
) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    let mut find = |message: String| wrong.push(("decision.period", message));
    for (period, shown) in &shown.periods {
        let Some(said) = recorded.periods.get(period) else {
            find(format!("its snapshot says nothing of the {period} of its domain"));
            continue;
        };
        if said.start != shown.start {
            find(format!(
                "its snapshot has the {period} of its domain begin at {}, and it began at {}",
                said.start, shown.start
            ));
            continue;
        }
        let keys = |tally: &Tally| {
            let adds = if with_places { tally.adds } else { 0 };
            tally.resources.saturating_add(adds)
        };
        let low = [
            ("effects", said.effects, shown.effects),
            ("of an amount", said.amount, shown.amount),
            ("micros", said.cost_micros, shown.cost_micros),
            ("resources", keys(said), keys(shown)),
        ];
        let low = low.into_iter().find(|(_, said, shown)| said < shown);
        let limited = is_less(&said.receipts_by_policy, &shown.receipts_by_policy)
            || is_less(&said.sums_by_policy, &shown.sums_by_policy);
        if let Some((what, said, shown)) = low {
            find(format!(
                "its snapshot counts {said} {what} in the {period} of its domain, and the entries \
                 before it show {shown}"
            ));
        } else if limited {
            find(format!(
                "its snapshot counts less under a policy in the {period} of its domain than \
                 entries show"
            ));
        }
    }
    wrong
}

/// Whether less is counted under a name than is shown.
fn is_less(said: &BTreeMap<String, u64>, shown: &BTreeMap<String, u64>) -> bool {
    let less = |(name, count): (&String, &u64)| {
        *count > 0 && said.get(name).is_none_or(|said| said < count)
    };
    shown.iter().any(less)
}

/// How much may still be used: all there is when there is no limit.
fn left(allowance: Allowance) -> u64 {
    allowance.limit.map_or(u64::MAX, |limit| limit.saturating_sub(allowance.used))
}

fn touched(spread: &Spread) -> u64 {
    spread.resources.saturating_add(spread.adds)
}

/// Whether a consent is one that the log shows, bound to the same.
fn covers(given: &Approval, named: &Approval) -> bool {
    let bound = |it: &Approval| (it.id, it.intent, it.canon, it.expires);
    bound(given) == bound(named) && named.by.is_subset(&given.by)
}
