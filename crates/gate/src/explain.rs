//! A refusal in words, and the smallest changes that would turn it round.

use cog_base::{Micros, Value};
use cog_canon::{Canon, Request};

use crate::decision::{Check, CheckName, Decision, Outcome, Verdict, decide};
use crate::intent::Intent;
use crate::snapshot::Snapshot;

/// Why an intent was refused, in a sentence for the person who asked.
#[must_use]
pub fn reason(decision: &Decision, intent: &Intent) -> String {
    let Some(check) = decision.failed() else { return "It was not refused.".into() };
    let rule = check.rules.first().and_then(|rule| rule.reason.clone());
    if let Some(reason) = rule {
        return reason;
    }
    let number = |name: &str| check.read.get(name).and_then(Value::as_u64).unwrap_or(0);
    let (kind, name) = intent.resource();
    match check.code {
        "identity.unknown" => format!("The canon does not know {}.", intent.actor()),
        "tenant.suspended" => "The tenant is suspended.".into(),
        "tenant.unknown" => "The run is not open, or nobody knows the tenant.".into(),
        "entitlement.missing" => format!("The plan does not include {}.", intent.action()),
        "quota.exceeded" => format!("The run has used all its {} effects.", number("limit")),
        "budget.exceeded" => format!(
            "It may cost up to {}, and the run has {} left of {}.",
            Micros::new(number("cost_micros")),
            Micros::new(number("limit_micros").saturating_sub(number("used_micros"))),
            Micros::new(number("limit_micros")),
        ),
        "root.undeclared" => format!("The run declares no root `{name}`."),
        "root.read_only" => format!("The root `{name}` may only be read."),
        "root.not_writable" => "The program's folder is not a root this run may write to.".into(),
        "path.leaves_root" => {
            let path = intent.at("args.path").and_then(Value::as_text).unwrap_or_default();
            format!("The path `{path}` leads out of the root `{name}`.")
        }
        "host.not_allowed" => format!("The canon does not list the host `{name}`."),
        "program.not_allowed" => format!("The canon does not list the program `{name}`."),
        "model.unknown" => format!("The canon does not list the model `{name}`."),
        "resource.unknown" => format!("Nobody knows resources of type {kind}."),
        "canon.missing" => "No canon is in force, and without one everything is refused.".into(),
        "canon.no_permit" => {
            format!("No policy permits {} to {} on {kind} `{name}`.", intent.actor(), intent.action())
        }
        "canon.error" => "A policy could not be evaluated, and what cannot be told is no.".into(),
        "canon.forbidden" => "A policy forbids it.".into(),
        "canon.limit" | "canon.window" => {
            let limit = check.read.get("limit").and_then(Value::as_text).unwrap_or_default();
            format!("The limit of the policy that permits it is reached: {limit}.")
        }
        "approval.rejected" => "The people who were asked to approve it said no.".into(),
        "interference.conflict" => "Another open effect holds what it touches.".into(),
        "envelope.resources" => {
            format!("The run would touch more than {} resources.", number("resources_max"))
        }
        "envelope.amount" => format!(
            "The run would move {} in all, more than the {} it may.",
            number("amount"),
            number("amount_max"),
        ),
        "envelope.combination" => "One run may not combine these actions.".into(),
        "freshness.clock_behind" => "The clock stands behind the ledger's last entry.".into(),
        "freshness.canon_changed" => "The canon in force is another one.".into(),
        other => format!("The check {} said {other}.", check.name.word()),
    }
}

/// The smallest changes that would turn a refusal round, in words, at most a few. Each is
/// tried: a change is named only if the decision with it is not a refusal any more. When
/// several checks fail, all that must change are named together.
#[must_use]
pub fn flips(
    intent: &Intent,
    snapshot: &Snapshot,
    canon: Option<&Canon>,
    decision: &Decision,
) -> Vec<String> {
    if !matches!(decision.verdict, Verdict::Refuse(_)) {
        return Vec::new();
    }
    let failed: Vec<_> =
        decision.checks.iter().filter(|check| check.outcome == Outcome::Fail).collect();
    match failed.as_slice() {
        [only] => mend(only, intent, snapshot, canon),
        several => {
            let first = |check: &&Check| mend(check, intent, snapshot, canon).into_iter().next();
            let parts: Option<Vec<_>> = several.iter().map(first).collect();
            parts.map(|parts| vec![parts.join(", and ")]).unwrap_or_default()
        }
    }
}

fn mend(
    check: &Check,
    intent: &Intent,
    snapshot: &Snapshot,
    canon: Option<&Canon>,
) -> Vec<String> {
    match check.name {
        CheckName::Identity => vec![format!("if the canon knew {}", intent.actor())],
        CheckName::Tenant => vec!["if the tenant were active".into()],
        CheckName::Entitlement => vec![format!("if the plan included {}", intent.action())],
        CheckName::Quota => {
            let more = snapshot.effects.used.saturating_add(1);
            vec![format!("if the run might use {more} effects")]
        }
        CheckName::Budget => {
            let needed = snapshot.budget.used.saturating_add(intent.cost().get());
            vec![format!("if the run's budget were at least {}", Micros::new(needed))]
        }
        CheckName::Confinement => confinement(check, intent),
        CheckName::Canon => canon.map(|canon| policies(check, intent, canon)).unwrap_or_else(|| {
            vec!["if a canon that permits it were in force".into()]
        }),
        CheckName::Envelope => envelope(check, intent, snapshot, canon),
        CheckName::Interference => vec!["if it were asked again when the lease has ended".into()],
        CheckName::Freshness => vec!["if clock and canon were current".into()],
        CheckName::Approval => vec!["if those who were asked approved it".into()],
    }
}

fn confinement(check: &Check, intent: &Intent) -> Vec<String> {
    let (_, name) = intent.resource();
    let words = match check.code {
        "root.undeclared" => format!("if the workflow declared the root `{name}`"),
        "root.read_only" => format!("if the workflow declared `{name}` with access: write"),
        "path.leaves_root" => format!("if the path stayed inside the root `{name}`"),
        "host.not_allowed" => format!("if the canon listed the host `{name}`"),
        "program.not_allowed" => format!("if the canon listed the program `{name}`"),
        "model.unknown" => format!("if the canon listed the model `{name}`"),
        _ => return Vec::new(),
    };
    vec![words]
}

fn policies(check: &Check, intent: &Intent, canon: &Canon) -> Vec<String> {
    if matches!(check.code, "canon.limit" | "canon.window") {
        let limit = check.read.get("limit").and_then(Value::as_text).unwrap_or_default();
        return vec![format!("if the limit ({limit}) left room")];
    }
    let request = Request {
        principal: intent.actor().as_str(),
        action: intent.action(),
        resource: intent.resource(),
        context: intent.context(),
    };
    canon.flips(&request).iter().map(cog_canon::Flip::describe).collect()
}

/// The largest amount that fits the envelope, if it is the amount that does not.
fn envelope(
    check: &Check,
    intent: &Intent,
    snapshot: &Snapshot,
    canon: Option<&Canon>,
) -> Vec<String> {
    let number = |name: &str| check.read.get(name).and_then(Value::as_u64);
    match (check.code, number("amount_max")) {
        ("envelope.amount", Some(most)) => {
            let left = most.saturating_sub(snapshot.spread.amount);
            vec![format!("if the amount were at most {left}")]
        }
        ("envelope.resources", _) => {
            vec!["if it touched only what the run has touched already".into()]
        }
        ("envelope.combination", _) => {
            let others = snapshot.spread.actions.iter().map(String::as_str);
            let others = others.filter(|action| *action != intent.action()).collect::<Vec<_>>();
            let mut alone = snapshot.clone();
            alone.spread.actions.clear();
            let turns = decide(intent, &alone, canon).verdict == Verdict::Allow;
            let words = format!("if the run had not done {} before", others.join(" or "));
            if turns { vec![words] } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}
