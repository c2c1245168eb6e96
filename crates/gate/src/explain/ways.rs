//! What would mend one check that fails.

use cog_base::Value;
use cog_base::hosts::Hosts;
use cog_base::place::Place;
use cog_base::process::is_for_the_loader;
use cog_canon::{Canon, Change, Duty, Settings};

use super::turn::{Case, Turn, allowance, secured};
use crate::decision::{
    Broken, Check, CheckName, Over, admits, broken, evaluate, lacks_of, over, receivers, sum_key,
    variables, wants_network,
};
use crate::intent::Intent;
use crate::snapshot::Access;

/// Most other roots that are tried for a program, and other places for data.
const ROOTS_MAX: usize = 8;

/// The turns of which each mends the check or a part of it. For policies there are none here:
/// the canon looks for those.
pub(super) fn ways(check: &Check, case: &Case, made: &[Turn], canon: Option<&Canon>) -> Vec<Turn> {
    let Case { intent, snapshot, supposed } = case;
    let settings = supposed.settings.as_deref().or_else(|| canon.map(Canon::settings));
    match check.name {
        _ if canon.is_none() && is_for_want_of_a_canon(check) => vec![Turn::Canon],
        CheckName::Identity if check.code == "identity.another_person" => vec![Turn::Begun],
        CheckName::Identity => vec![Turn::Known],
        CheckName::Tenant => vec![Turn::Active],
        CheckName::Entitlement => vec![Turn::Entitled],
        CheckName::Quota => vec![Turn::Effects(snapshot.effects.used.saturating_add(1))],
        CheckName::Budget => {
            let budget = snapshot.budget;
            let more = Turn::Budget(budget.used.saturating_add(intent.cost().get()));
            let left = budget.limit.unwrap_or(u64::MAX).saturating_sub(budget.used);
            let less = number(intent, "cost_micros", left);
            // It costs what it costs, unless it must be cheaper anyway, or people said no to it as it is.
            let rejected = snapshot.approvals.iter().any(|approval| approval.rejected);
            let less = less.filter(|less| rejected || made.iter().any(|it| it.is_of_same(less)));
            [Some(more), less].into_iter().flatten().collect()
        }
        CheckName::Confinement => confinement(check, case, made, settings),
        CheckName::Data => data(check, case, settings),
        CheckName::Canon => canon.map(|canon| limits(case, canon)).unwrap_or_default(),
        CheckName::Approval if check.code == "approval.nobody" => {
            let (count, of) = (check.read.number("count"), check.read.texts("of"));
            vec![Turn::People { count: count.unwrap_or(0), of: of.join(" or ") }]
        }
        CheckName::Approval => vec![Turn::Consented],
        CheckName::Interference => [vec![Turn::LeaseEnded], other_roots(case, made)].concat(),
        CheckName::Envelope if check.read.time("ends").is_some() => {
            settings.map(|settings| bounds(case, settings)).unwrap_or_default()
        }
        CheckName::Envelope => envelope(check, case, settings).into_iter().collect(),
        CheckName::Freshness => vec![Turn::Fresh],
    }
}

fn is_for_want_of_a_canon(check: &Check) -> bool {
    match check.name {
        CheckName::Identity | CheckName::Canon | CheckName::Envelope => true,
        CheckName::Confinement => {
            matches!(
                check.code,
                "host.not_allowed"
                    | "program.not_allowed"
                    | "model.unknown"
                    | "source.not_listed"
                    | "root.not_in_canon"
            )
        }
        CheckName::Freshness => check.code == "freshness.canon_changed",
        CheckName::Tenant
        | CheckName::Entitlement
        | CheckName::Quota
        | CheckName::Budget
        | CheckName::Data
        | CheckName::Approval
        | CheckName::Interference => false,
    }
}

fn confinement(
    check: &Check,
    case: &Case,
    made: &[Turn],
    settings: Option<&Settings>,
) -> Vec<Turn> {
    let Case { intent, snapshot, .. } = case;
    let text = |path| intent.at(path).and_then(Value::as_text);
    let declared = |root: &str, access| Turn::Declared { root: root.to_owned(), access };
    match check.code {
        "environment.not_listed" => {
            check.read.texts("listed").iter().cloned().map(Turn::Environment).collect()
        }
        "model.recorded" => {
            let all = settings.and_then(|settings| settings.environments.as_ref());
            let others = all.map(|all| all.allow.difference(&all.production).cloned());
            let others = others.into_iter().flatten().map(Turn::Environment);
            std::iter::once(Turn::StandIns).chain(others).collect()
        }
        "root.undeclared" | "root.read_only" => {
            let reads = intent.action() == "file.read";
            let access = if reads { Access::Read } else { Access::Write };
            vec![declared(intent.resource().1, access)]
        }
        "path.leaves_root" => vec![Turn::Inside],
        "root.not_writable" => {
            let declared = text("args.root").map(|root| declared(root, Access::Write));
            declared.into_iter().chain(other_roots(case, made)).collect()
        }
        "root.elsewhere" | "root.not_in_canon" => {
            let root = intent.root().unwrap_or_default().to_owned();
            let folder = snapshot.folder.as_ref().map(|folder| folder.path.clone());
            [vec![Turn::Admitted { root, folder }], other_roots(case, made)].concat()
        }
        "root.shared" => other_roots(case, made),
        "program.not_allowed" | "program.network_not_allowed" => vec![listed(intent)],
        "program.env_not_allowed" => vec![listed(intent), unset(check, |_| true)],
        // What the canon does not let it have goes with what no canon can, in one change.
        "program.env_never_allowed" => {
            vec![unset(check, is_for_the_loader), unset(check, |_| true)]
        }
        "model.unknown" => vec![Turn::Model],
        "source.not_listed" | "source.key_not_listed" => vec![Turn::Sender],
        "host.user_in_url" => vec![Turn::NoUser],
        "host.not_allowed"
        | "host.port_not_allowed"
        | "host.plain_http"
        | "host.private_address" => host(intent, settings.map(|settings| &settings.hosts)),
        _ => Vec::new(),
    }
}

/// What would keep data from whom it is too confidential for: that the canon let it have it, that
/// it were less confidential, or another place that may have it.
fn data(check: &Check, case: &Case, settings: Option<&Settings>) -> Vec<Turn> {
    let Case { intent, snapshot, .. } = case;
    let rules = settings.and_then(|settings| settings.data.as_ref());
    let (Some(rules), Some(settings), Some(class)) = (rules, settings, intent.class()) else {
        return Vec::new();
    };
    let text = |name| check.read.text(name).unwrap_or_default();
    let (name, from) = (text("name").to_owned(), class.to_owned());
    let kind = receivers(intent).into_iter().map(|(kind, _)| kind).find(|it| *it == text("type"));
    let Some(kind) = kind.and_then(kind_of) else { return Vec::new() };
    let own = [
        Turn::Entrusted { kind, name: name.clone(), class: from.clone() },
        Turn::Classed { from: from.clone(), to: text("class_max").to_owned() },
    ];
    let others: Vec<&String> = match intent.resource().0 {
        "Model" => settings.models.keys().collect(),
        "Root" => {
            let writable = snapshot.roots.iter().filter(|(_, it)| **it == Access::Write);
            writable.map(|(root, _)| root).collect()
        }
        _ => Vec::new(),
    };
    let fits = |to: &&String| **to != name && admits(rules, &(kind, to.as_str()), &from);
    let others = others.into_iter().filter(fits).take(ROOTS_MAX).map(|to| {
        let (kind, from, to) = (kind.to_owned(), name.clone(), to.clone());
        Turn::Request(Change::Resource { kind, from, to })
    });
    own.into_iter().chain(others).collect()
}

fn kind_of(kind: &str) -> Option<&'static str> {
    ["Root", "Host", "Program", "Model"].into_iter().find(|it| *it == kind)
}

/// The other roots that a program might run in. Of an effect on files the root is what it is
/// about, and the canon looks for others. Where something was done for the root already, another
/// makes that spare.
fn other_roots(case: &Case, made: &[Turn]) -> Vec<Turn> {
    let Case { intent, snapshot, .. } = case;
    let of_root = |turn: &Turn| {
        matches!(turn, Turn::WorkIn { .. } | Turn::Declared { .. } | Turn::Admitted { .. })
    };
    if made.iter().any(of_root) {
        return Vec::new();
    }
    let root = intent.at("args.root").and_then(Value::as_text);
    let Some(root) = root.filter(|_| intent.action() == "process.run") else { return Vec::new() };
    let others = snapshot.roots.keys().filter(|name| *name != root);
    let turn = |to: &String| Turn::WorkIn { from: root.to_owned(), to: to.clone() };
    others.take(ROOTS_MAX).map(turn).collect()
}

/// The program, listed with what it asks for.
fn listed(intent: &Intent) -> Turn {
    let env = variables(intent).filter(|name| !is_for_the_loader(name)).map(str::to_owned);
    Turn::Program { network: wants_network(intent), env: env.collect() }
}

/// Without those of the variables that it may not be lent.
fn unset(check: &Check, which: fn(&str) -> bool) -> Turn {
    let stray = check.read.texts("variables").iter();
    Turn::Unset(stray.filter(|name| which(name)).cloned().collect())
}

/// What would let a request go out: another list, or https.
fn host(intent: &Intent, hosts: Option<&Hosts>) -> Vec<Turn> {
    let url = intent.at("args.url").and_then(Value::as_text).unwrap_or_default();
    let place = Place::of(url).filter(|place| place.host == intent.resource().1);
    let Some(place) = place else { return Vec::new() };
    let lacks = lacks_of(&place, hosts);
    let port = lacks.port.then(|| format!("the port {}", place.port));
    let plain_http = lacks.plain_http.then(|| "plain_http = true".to_owned());
    let private = lacks.private.then(|| "private = true".to_owned());
    let terms: Vec<_> = [port, plain_http, private].into_iter().flatten().collect();
    let listed = Turn::Host { allowance: allowance(&place), terms: terms.join(", ") };
    let secure = secured(url).as_deref().and_then(Place::of);
    let is_enough = secure.zip(hosts).is_some_and(|(place, hosts)| hosts.admit(&place).is_ok());
    [Some(listed), is_enough.then_some(Turn::Https)].into_iter().flatten().collect()
}

/// What would keep the limits and windows of the policies that permit it.
fn limits(case: &Case, canon: &Canon) -> Vec<Turn> {
    let Case { intent, snapshot, supposed } = case;
    let evaluation = evaluate(canon, intent);
    let Some(Broken { obligation, code, limit, over }) =
        broken(&evaluation, intent, snapshot, supposed)
    else {
        return Vec::new();
    };
    if let Some(over) = over {
        let less = match &obligation.duty {
            Duty::Sum { path, .. } => number(intent, path, over.left()),
            Duty::Receipts { .. }
            | Duty::Approval { .. }
            | Duty::Escalate { .. }
            | Duty::Declassify { .. }
            | Duty::Redact { .. }
            | Duty::Window(_) => None,
        };
        return [later(&over), less].into_iter().flatten().collect();
    }
    let policy = obligation.policy.clone();
    let spread = &snapshot.spread;
    match &obligation.duty {
        Duty::Receipts { at_most, .. } => {
            let given = spread.receipts_by_policy.get(&policy).copied().unwrap_or(0);
            let more = given.saturating_add(1);
            let words =
                format!("the policy `{policy}` let {more} through per run (it lets {at_most})");
            vec![Turn::Raised { policy, limit, words }]
        }
        Duty::Sum { path, at_most, .. } => {
            let sum = spread.sums_by_policy.get(&sum_key(&policy, path)).copied().unwrap_or(0);
            let left = at_most.checked_sub(sum);
            let less = left.and_then(|left| number(intent, path, left));
            let more = intent.at(path).and_then(Value::as_u64).filter(|_| code == "canon.limit");
            let raised = more.map(|more| {
                let sum = sum.saturating_add(more);
                let words = format!(
                    "the policy `{policy}` let {path} come to {sum} per run (it lets {at_most})"
                );
                Turn::Raised { policy, limit, words }
            });
            [less, raised].into_iter().flatten().collect()
        }
        Duty::Window(window) => vec![Turn::At(vec![window.clone()])],
        Duty::Approval { .. }
        | Duty::Escalate { .. }
        | Duty::Redact { .. }
        | Duty::Declassify { .. } => Vec::new(),
    }
}

/// What would keep the bounds of the domain: the next period, or a smaller amount.
fn bounds(case: &Case, settings: &Settings) -> Vec<Turn> {
    let Case { intent, snapshot, .. } = case;
    let Some((code, Some(over))) = over(settings, intent, snapshot) else { return Vec::new() };
    let less = (code == "envelope.period_amount")
        .then(|| amount(intent, &settings.envelope.amount_paths, over.left()));
    let less = less.flatten();
    [later(&over), less].into_iter().flatten().collect()
}

/// The next period, where that has room for what is wanted.
fn later(over: &Over) -> Option<Turn> {
    (over.wanted <= over.limit).then(|| Turn::After(over.end()))
}

fn envelope(check: &Check, case: &Case, settings: Option<&Settings>) -> Option<Turn> {
    let Case { intent, snapshot, .. } = case;
    let envelope = &settings?.envelope;
    match check.code {
        "envelope.resources" => Some(Turn::Touched),
        "envelope.amount" => {
            let left = envelope.amount_max?.saturating_sub(snapshot.spread.amount);
            amount(intent, &envelope.amount_paths, left)
        }
        "envelope.combination" => {
            let done = &snapshot.spread.actions;
            let together = |set: &&Vec<String>| {
                let own = |action: &String| action == intent.action();
                set.iter().any(own) && set.iter().all(|it| own(it) || done.contains(it))
            };
            let mut others = envelope.forbidden.iter().find(together)?.clone();
            others.retain(|action| action != intent.action());
            (!others.is_empty()).then_some(Turn::NotDone(others))
        }
        _ => None,
    }
}

/// The amount of an intent at most `most`, where it is one number that is more.
fn amount(intent: &Intent, paths: &[String], most: u64) -> Option<Turn> {
    let is_more = |value: &Value| value.as_u64().is_none_or(|amount| amount > most);
    let mut more = paths.iter().filter(|path| intent.at(path).is_some_and(is_more));
    let path = more.next().filter(|_| more.next().is_none())?;
    number(intent, path, most)
}

/// The number at `path` at most `most`, or nothing if it is less than nothing.
fn number(intent: &Intent, path: &str, most: u64) -> Option<Turn> {
    let path = path.to_owned();
    let Value::Int(from) = intent.at(&path)? else { return Some(Turn::Whole { path, to: most }) };
    let from = from.get();
    let to = if from < 0 { 0 } else { i64::try_from(most).ok()? };
    Some(Turn::Request(Change::Number { path, from, to, alone: false }))
}
