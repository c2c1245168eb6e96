//! Procedure 1: eleven checks, all made, the first that does not pass decides.

use std::collections::BTreeSet;

use cog_base::Value;
use cog_canon::{Canon, Duty, Evaluation, OnConflict, PolicyNote, Request, Ruling};

use super::{Check, CheckName, Decision, Need, Outcome, Rule, Terms, Verdict};
use crate::decision::CLOCK_BEHIND_MS_MAX;
use crate::intent::Intent;
use crate::snapshot::{Access, Approval, Snapshot, TenantStatus};

struct Case<'a> {
    intent: &'a Intent,
    snapshot: &'a Snapshot,
    canon: Option<&'a Canon>,
    evaluation: Option<Evaluation>,
}

/// Decide by procedure 1.
pub(super) fn decide_v1(intent: &Intent, snapshot: &Snapshot, canon: Option<&Canon>) -> Decision {
    let evaluation = canon.map(|canon| evaluate(canon, intent));
    let case = Case { intent, snapshot, canon, evaluation };
    let mut terms = case.terms();
    let (approval, need) = case.approval(&mut terms);
    let checks = vec![
        case.identity(),
        case.tenant(),
        case.entitlement(),
        case.quota(),
        case.budget(),
        case.confinement(),
        case.canon(),
        approval,
        case.interference(),
        case.envelope(),
        case.freshness(),
    ];
    let verdict = verdict(&checks, need);
    Decision { verdict, checks, terms }
}

/// A failed check decides before one that asks for consent, and that before one that waits.
fn verdict(checks: &[Check], need: Option<Need>) -> Verdict {
    let first = |outcome| checks.iter().find(|check| check.outcome == outcome);
    if let Some(check) = first(Outcome::Fail) {
        return Verdict::Refuse(check.name);
    }
    match (need, first(Outcome::Wait)) {
        (Some(need), _) => Verdict::NeedsApproval(need),
        (None, Some(_)) => Verdict::Wait,
        (None, None) => Verdict::Allow,
    }
}

/// Ask the canon about an intent.
pub(crate) fn evaluate(canon: &Canon, intent: &Intent) -> Evaluation {
    canon.evaluate(&Request {
        principal: intent.actor().as_str(),
        action: intent.action(),
        resource: intent.resource(),
        context: intent.context(),
    })
}

fn check(name: CheckName, pass: bool, codes: [&'static str; 2], read: Value) -> Check {
    let [good, bad] = codes;
    let (outcome, code) = if pass { (Outcome::Pass, good) } else { (Outcome::Fail, bad) };
    Check { name, outcome, code, read, rules: Vec::new() }
}

impl Case<'_> {
    fn identity(&self) -> Check {
        let actor = self.intent.actor().as_str();
        let known = self.canon.is_some_and(|canon| canon.knows(actor));
        let codes = ["identity.known", "identity.unknown"];
        check(CheckName::Identity, known, codes, Value::map([("actor", actor)]))
    }

    fn tenant(&self) -> Check {
        let (pass, code) = match self.snapshot.tenant {
            TenantStatus::Active => (true, "tenant.active"),
            TenantStatus::Suspended => (false, "tenant.suspended"),
            TenantStatus::Unknown => (false, "tenant.unknown"),
        };
        check(CheckName::Tenant, pass, [code, code], Value::Null)
    }

    fn entitlement(&self) -> Check {
        let action = self.intent.action();
        let entitled = &self.snapshot.entitled;
        let pass = entitled.as_ref().is_none_or(|features| features.contains(action));
        let codes = ["entitlement.granted", "entitlement.missing"];
        check(CheckName::Entitlement, pass, codes, Value::map([("feature", action)]))
    }

    fn quota(&self) -> Check {
        let effects = self.snapshot.effects;
        let read =
            Value::map([("used", Value::from(effects.used)), ("limit", effects.limit.into())]);
        let codes = ["quota.within", "quota.exceeded"];
        check(CheckName::Quota, effects.admits(1), codes, read)
    }

    fn budget(&self) -> Check {
        let budget = self.snapshot.budget;
        let cost = self.intent.cost();
        let read = Value::map([
            ("used_micros", Value::from(budget.used)),
            ("limit_micros", budget.limit.into()),
            ("cost_micros", cost.into()),
        ]);
        let codes = ["budget.within", "budget.exceeded"];
        check(CheckName::Budget, budget.admits(cost.get()), codes, read)
    }

    fn confinement(&self) -> Check {
        let (pass, code, read) = confine(self.intent, self.snapshot, self.canon);
        check(CheckName::Confinement, pass, [code, code], read)
    }

    fn canon(&self) -> Check {
        let Some(evaluation) = &self.evaluation else {
            let codes = ["canon.missing", "canon.missing"];
            return check(CheckName::Canon, false, codes, Value::Null);
        };
        let (pass, code) = match evaluation.ruling {
            Ruling::Permit => (true, "canon.permitted"),
            Ruling::Forbid => (false, "canon.forbidden"),
            Ruling::NoPermit => (false, "canon.no_permit"),
            Ruling::Error => (false, "canon.error"),
        };
        let errors = evaluation.errors.iter().map(String::as_str);
        let read = if evaluation.errors.is_empty() {
            Value::Null
        } else {
            Value::map([("errors", Value::list(errors))])
        };
        let mut check = check(CheckName::Canon, pass, [code, code], read);
        check.rules = evaluation.policies.iter().map(|note| rule(note)).collect();
        if check.outcome == Outcome::Pass {
            self.limits(evaluation, &mut check);
        }
        check
    }

    /// Limits and time windows of the permitting policies.
    fn limits(&self, evaluation: &Evaluation, check: &mut Check) {
        let spread = &self.snapshot.spread;
        for obligation in &evaluation.obligations {
            let policy = &obligation.policy;
            let broken = match &obligation.duty {
                Duty::Receipts { per_run } => {
                    let given = spread.receipts_by_policy.get(policy).copied().unwrap_or(0);
                    (given >= *per_run).then(|| ("canon.limit", per_run.to_string()))
                }
                Duty::Sum { path, at_most } => {
                    let key = sum_key(policy, path);
                    let sum = spread.sums_by_policy.get(&key).copied().unwrap_or(0);
                    let more = self.intent.at(path).and_then(Value::as_u64);
                    let after = more.and_then(|more| sum.checked_add(more));
                    let within = after.is_some_and(|after| after <= *at_most);
                    (!within).then(|| ("canon.limit", format!("sum of {path} <= {at_most}")))
                }
                Duty::Window(window) => {
                    let (day, minute) = self.snapshot.now.weekday_and_minute();
                    (!window.contains(day, minute)).then(|| ("canon.window", window.to_string()))
                }
                Duty::Approval { .. } | Duty::Redact { .. } => None,
            };
            if let Some((code, limit)) = broken {
                check.outcome = Outcome::Fail;
                check.code = code;
                check.read = Value::map([("policy", policy.as_str()), ("limit", limit.as_str())]);
                return;
            }
        }
    }

    fn terms(&self) -> Terms {
        let Some(evaluation) = self.evaluation.as_ref().filter(|it| it.ruling == Ruling::Permit)
        else {
            return Terms::default();
        };
        let mut terms = Terms {
            policies: evaluation.policies.iter().map(|note| note.id.clone()).collect(),
            ..Terms::default()
        };
        for obligation in &evaluation.obligations {
            let policy = obligation.policy.clone();
            match &obligation.duty {
                Duty::Receipts { .. } => terms.limited.push(policy),
                Duty::Sum { path, .. } => terms.sums.push((policy, path.clone())),
                Duty::Redact { paths } => terms.redact.extend(paths.iter().cloned()),
                Duty::Approval { .. } | Duty::Window(_) => {}
            }
        }
        terms
    }

    /// Whether the consents that every permitting policy asks for are there, and otherwise
    /// the first need that is not met.
    fn approval(&self, terms: &mut Terms) -> (Check, Option<Need>) {
        let (not_needed, given) = ("approval.not_needed", "approval.given");
        let (needed, rejected) = ("approval.needed", "approval.rejected");
        let duties = self.evaluation.iter().flat_map(|it| &it.obligations);
        let needs = duties.filter_map(|obligation| match &obligation.duty {
            Duty::Approval { count, of } => Some(Need { count: *count, of: of.clone() }),
            Duty::Receipts { .. } | Duty::Sum { .. } | Duty::Redact { .. } | Duty::Window(_) => {
                None
            }
        });
        let needs: Vec<_> = needs.collect();
        let valid: Vec<_> = self.valid_approvals().collect();
        let missing = needs.iter().find(|need| self.consents(need, &valid) < need.count);
        let refused = missing.is_some() && valid.iter().any(|approval| approval.rejected);
        if refused {
            let codes = [rejected, rejected];
            return (check(CheckName::Approval, false, codes, self.read_approvals()), None);
        }
        let code = match (needs.is_empty(), missing) {
            (true, _) => not_needed,
            (false, None) => given,
            (false, Some(_)) => needed,
        };
        let mut check = check(CheckName::Approval, true, [code, code], self.read_approvals());
        if missing.is_some() {
            check.outcome = Outcome::Approval;
        } else if !needs.is_empty() {
            terms.approvals = valid.iter().map(|approval| approval.id.to_string()).collect();
        }
        (check, missing.cloned())
    }

    /// Approvals of this very intent, under the canon in force, that have not expired.
    fn valid_approvals(&self) -> impl Iterator<Item = &Approval> {
        self.snapshot.approvals.iter().filter(|approval| {
            approval.intent == self.intent.digest()
                && Some(approval.canon) == self.canon.map(Canon::digest)
                && self.snapshot.now <= approval.expires
        })
    }

    /// How many different people of the needed groups agreed. Whoever asks for the effect,
    /// or started the run, cannot be one of them.
    fn consents(&self, need: &Need, valid: &[&Approval]) -> u64 {
        let Some(canon) = self.canon else { return 0 };
        let origin = self.intent.origin();
        let people: BTreeSet<_> = valid
            .iter()
            .filter(|approval| !approval.rejected)
            .flat_map(|approval| &approval.by)
            .filter(|who| who.starts_with("user:"))
            .filter(|who| **who != self.intent.actor().as_str())
            .filter(|who| **who != origin.initiator.as_str())
            .filter(|who| need.of.iter().any(|group| canon.is_member(who, group)))
            .collect();
        people.len() as u64
    }

    fn read_approvals(&self) -> Value {
        let approvals = &self.snapshot.approvals;
        if approvals.is_empty() {
            return Value::Null;
        }
        let seen = approvals.iter().map(|approval| approval.id.to_string());
        Value::map([("approvals", Value::list(seen))])
    }

    fn interference(&self) -> Check {
        let conflicts = &self.snapshot.conflicts;
        let read = conflicts
            .iter()
            .map(|it| Value::map([("key", it.key.as_str()), ("holder", it.holder.as_str())]));
        let codes = ["interference.none", "interference.conflict"];
        let mut check = check(CheckName::Interference, conflicts.is_empty(), codes, Value::Null);
        if !conflicts.is_empty() {
            check.read = Value::list(read);
            let rule = self.canon.map(|canon| canon.settings().interference.on_conflict);
            if rule == Some(OnConflict::Wait) {
                check.outcome = Outcome::Wait;
            }
        }
        check
    }

    fn envelope(&self) -> Check {
        let Some(canon) = self.canon else {
            let codes = ["envelope.unknown", "envelope.unknown"];
            return check(CheckName::Envelope, false, codes, Value::Null);
        };
        let envelope = &canon.settings().envelope;
        let spread = &self.snapshot.spread;
        let resources = spread.resources.saturating_add(spread.adds);
        let amount = spread.amount.saturating_add(amount_of(canon, self.intent));
        let mut actions = spread.actions.clone();
        actions.insert(self.intent.action().to_owned());
        let together = |set: &&Vec<String>| {
            set.iter().any(|action| action == self.intent.action())
                && set.iter().all(|action| actions.contains(action))
        };
        let code = if envelope.resources_max.is_some_and(|most| resources > most) {
            "envelope.resources"
        } else if envelope.amount_max.is_some_and(|most| amount > most) {
            "envelope.amount"
        } else if envelope.forbidden.iter().find(together).is_some() {
            "envelope.combination"
        } else {
            "envelope.within"
        };
        let read = Value::map([
            ("resources", Value::from(resources)),
            ("resources_max", envelope.resources_max.into()),
            ("amount", amount.into()),
            ("amount_max", envelope.amount_max.into()),
        ]);
        check(CheckName::Envelope, code == "envelope.within", [code, code], read)
    }

    fn freshness(&self) -> Check {
        let behind = self.snapshot.clock_behind_ms;
        let same = self.canon.map(Canon::digest) == self.snapshot.canon;
        let code = match (behind > CLOCK_BEHIND_MS_MAX, same) {
            (true, _) => "freshness.clock_behind",
            (false, false) => "freshness.canon_changed",
            (false, true) => "freshness.current",
        };
        let read = Value::map([
            ("now", Value::from(self.snapshot.now)),
            ("clock_behind_ms", behind.into()),
            ("canon", self.snapshot.canon.into()),
        ]);
        check(CheckName::Freshness, code == "freshness.current", [code, code], read)
    }
}

/// The key of a policy's sum over a path.
pub(crate) fn sum_key(policy: &str, path: &str) -> String {
    format!("{policy} {path}")
}

/// The money an intent moves, in minor units: the first of the canon's amount paths it has.
/// What stands there and is no amount counts as more than anything.
#[must_use]
pub fn amount_of(canon: &Canon, intent: &Intent) -> u64 {
    let paths = &canon.settings().envelope.amount_paths;
    let amount = paths.iter().find_map(|path| intent.at(path));
    amount.map_or(0, |amount| amount.as_u64().unwrap_or(u64::MAX))
}

fn rule(note: &PolicyNote) -> Rule {
    Rule {
        id: note.id.clone(),
        reason: note.reason.clone(),
        advice: note.advice.clone(),
        controls: note.controls.clone(),
    }
}

/// Whether the effect stays inside the roots of the run and the lists of the canon.
fn confine(
    intent: &Intent,
    snapshot: &Snapshot,
    canon: Option<&Canon>,
) -> (bool, &'static str, Value) {
    let (kind, name) = intent.resource();
    let text = |path: &str| intent.at(path).and_then(Value::as_text).map(str::to_owned);
    let listed = |list: Option<&BTreeSet<String>>| list.is_some_and(|list| list.contains(name));
    let settings = canon.map(Canon::settings);
    match kind {
        "Root" => confine_file(intent.action(), name, text("args.path"), snapshot),
        "Host" => {
            let hosts = settings.map(|it| &it.hosts);
            let place = text("args.url").and_then(|url| place_of(&url));
            let with_port = hosts.zip(place).is_some_and(|(hosts, it)| hosts.contains(&it));
            let allowed = listed(hosts) || with_port;
            let code = if allowed { "host.allowed" } else { "host.not_allowed" };
            (allowed, code, Value::map([("host", name)]))
        }
        "Program" => {
            let allowed = listed(settings.map(|it| &it.programs));
            let root = text("args.root");
            let held = root.as_ref().is_none_or(|root| {
                snapshot.roots.get(root).is_some_and(|access| *access == Access::Write)
            });
            let code = match (allowed, held) {
                (false, _) => "program.not_allowed",
                (true, false) => "root.not_writable",
                (true, true) => "program.allowed",
            };
            (allowed && held, code, Value::map([("program", name)]))
        }
        "Model" => {
            let known = settings.is_some_and(|it| it.models.contains_key(name));
            let code = if known { "model.known" } else { "model.unknown" };
            (known, code, Value::map([("model", name)]))
        }
        _ => (false, "resource.unknown", Value::map([("resource", kind)])),
    }
}

/// Host and port, where the URL names a port: a canon may list them together.
fn place_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit_once(':').map(|_| authority.to_ascii_lowercase())
}

fn confine_file(
    action: &str,
    root: &str,
    path: Option<String>,
    snapshot: &Snapshot,
) -> (bool, &'static str, Value) {
    let path = path.unwrap_or_default();
    let read = Value::map([("root", root), ("path", path.as_str())]);
    let access = snapshot.roots.get(root);
    let code = match access {
        None => "root.undeclared",
        Some(Access::Read) if action != "file.read" => "root.read_only",
        Some(_) if !stays_inside(&path) => "path.leaves_root",
        Some(_) => "path.inside",
    };
    (code == "path.inside", code, read)
}

/// Whether a path is relative and plain: no `..`, no empty or `.` part but the whole, no
/// backslash or control character.
pub(crate) fn stays_inside(path: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.contains('\\')
            && !part.chars().any(char::is_control)
    };
    path == "." || path.split('/').all(plain)
}
