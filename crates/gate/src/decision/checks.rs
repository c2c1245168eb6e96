//! Procedure 1: eleven checks, and one of data where the canon declares classes of it. All are
//! made, the first that does not pass decides.

use std::collections::BTreeSet;

use cog_base::{Period, Value};
use cog_canon::{Canon, Duty, Evaluation, Obligation, OnConflict, Request, Ruling, Settings};

use super::confine::confine;
use super::data::data;
use super::folder::misplaced;
use super::people::answerable;
use super::{
    Check, CheckName, Counted, Decision, Escalation, Fact, Need, Outcome, Over, Rule, Seen,
    Supposed, Terms, Verdict, over,
};
use crate::decision::CLOCK_BEHIND_MS_MAX;
use crate::intent::Intent;
use crate::snapshot::{Approval, Snapshot, TenantStatus};

struct Case<'a> {
    intent: &'a Intent,
    snapshot: &'a Snapshot,
    canon: Option<&'a Canon>,
    supposed: &'a Supposed,
    evaluation: Option<Evaluation>,
}

/// Decide by procedure 1.
pub(super) fn decide_v1(
    intent: &Intent,
    snapshot: &Snapshot,
    canon: Option<&Canon>,
    supposed: &Supposed,
) -> Decision {
    let evaluation = if supposed.permits {
        Some(permitted())
    } else {
        canon.map(|canon| evaluate(canon, intent))
    };
    let case = Case { intent, snapshot, canon, supposed, evaluation };
    let mut terms = case.terms();
    let (approval, need) = case.approval(&mut terms);
    let mut checks = vec![
        case.identity(),
        case.tenant(),
        case.entitlement(),
        case.quota(),
        case.budget(),
        case.confinement(),
    ];
    checks.extend(data(intent, case.settings()));
    checks.extend([case.canon(), approval, case.interference(), case.envelope(), case.freshness()]);
    let verdict = verdict(&checks, need);
    Decision { verdict, checks, terms }
}

/// What is supposed to be permitted, and asks for nothing.
fn permitted() -> Evaluation {
    let (policies, obligations, errors) = (Vec::new(), Vec::new(), Vec::new());
    Evaluation { ruling: Ruling::Permit, policies, obligations, errors }
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
        context: &intent.shown(canon.settings()),
    })
}

pub(super) fn check(name: CheckName, pass: bool, codes: [&'static str; 2], read: Seen) -> Check {
    let [good, bad] = codes;
    let (outcome, code) = if pass { (Outcome::Pass, good) } else { (Outcome::Fail, bad) };
    Check { name, outcome, code, read, rules: Vec::new() }
}

/// What was read, by names in ascending order.
pub(super) fn seen<const N: usize>(facts: [(&'static str, Fact); N]) -> Seen {
    Seen::Facts(facts.into())
}

impl Case<'_> {
    fn settings(&self) -> Option<&Settings> {
        self.supposed.settings.as_deref().or_else(|| self.canon.map(Canon::settings))
    }

    fn identity(&self) -> Check {
        let actor = self.intent.actor().as_str();
        let initiator = self.intent.origin().initiator.as_str();
        let is_another = self.intent.actor().is_person() && actor != initiator;
        if is_another && !self.supposed.began {
            let read = seen([("actor", actor.into()), ("initiator", initiator.into())]);
            return check(CheckName::Identity, false, ["identity.another_person"; 2], read);
        }
        let known = self.supposed.knows || self.canon.is_some_and(|canon| canon.knows(actor));
        let codes = ["identity.known", "identity.unknown"];
        check(CheckName::Identity, known, codes, seen([("actor", actor.into())]))
    }

    fn tenant(&self) -> Check {
        let (pass, code) = match self.snapshot.tenant {
            TenantStatus::Active => (true, "tenant.active"),
            TenantStatus::Suspended => (false, "tenant.suspended"),
            TenantStatus::Unknown => (false, "tenant.unknown"),
        };
        check(CheckName::Tenant, pass, [code, code], Seen::Nothing)
    }

    fn entitlement(&self) -> Check {
        let action = self.intent.action();
        let entitled = &self.snapshot.entitled;
        let pass = entitled.as_ref().is_none_or(|features| features.contains(action));
        let codes = ["entitlement.granted", "entitlement.missing"];
        check(CheckName::Entitlement, pass, codes, seen([("feature", action.into())]))
    }

    fn quota(&self) -> Check {
        let effects = self.snapshot.effects;
        let read = seen([("limit", effects.limit.into()), ("used", effects.used.into())]);
        let codes = ["quota.within", "quota.exceeded"];
        check(CheckName::Quota, effects.admits(1), codes, read)
    }

    fn budget(&self) -> Check {
        let budget = self.snapshot.budget;
        let cost = self.intent.cost();
        let read = seen([
            ("cost_micros", cost.get().into()),
            ("limit_micros", budget.limit.into()),
            ("used_micros", budget.used.into()),
        ]);
        let codes = ["budget.within", "budget.exceeded"];
        check(CheckName::Budget, budget.admits(cost.get()), codes, read)
    }

    fn confinement(&self) -> Check {
        let settings = self.settings();
        let (pass, code, read) = confine(self.intent, self.snapshot, settings);
        if pass && let Some((code, read)) = misplaced(self.intent, self.snapshot, settings) {
            return check(CheckName::Confinement, false, [code, code], read);
        }
        check(CheckName::Confinement, pass, [code, code], read)
    }

    fn canon(&self) -> Check {
        let Some(evaluation) = &self.evaluation else {
            let codes = ["canon.missing", "canon.missing"];
            return check(CheckName::Canon, false, codes, Seen::Nothing);
        };
        let (pass, code) = match evaluation.ruling {
            Ruling::Permit => (true, "canon.permitted"),
            Ruling::Forbid => (false, "canon.forbidden"),
            Ruling::NoPermit => (false, "canon.no_permit"),
            Ruling::Error => (false, "canon.error"),
        };
        let read = match evaluation.errors.as_slice() {
            [] => Seen::Nothing,
            errors => seen([("errors", Fact::Texts(errors.to_vec()))]),
        };
        let mut check = check(CheckName::Canon, pass, [code, code], read);
        check.rules = evaluation.policies.iter().cloned().map(Rule).collect();
        if check.outcome == Outcome::Pass {
            self.limits(evaluation, &mut check);
        }
        check
    }

    /// Limits and time windows of the permitting policies.
    fn limits(&self, evaluation: &Evaluation, check: &mut Check) {
        let Some(broken) = broken(evaluation, self.intent, self.snapshot, self.supposed) else {
            return;
        };
        check.outcome = Outcome::Fail;
        check.code = broken.code;
        let policy = broken.obligation.policy.as_str().into();
        if let Some(over) = broken.over {
            check.read = over.seen();
            if let Seen::Facts(facts) = &mut check.read {
                facts.push(("policy", policy));
                if let Duty::Sum { path, .. } = &broken.obligation.duty {
                    facts.push(("path", path.as_str().into()));
                }
                facts.sort_by_key(|(name, _)| *name);
            }
            return;
        }
        check.read = match &broken.obligation.duty {
            Duty::Sum { path, .. } if broken.code == "canon.no_amount" => seen([
                ("limit", Fact::Text(broken.limit)),
                ("path", path.as_str().into()),
                ("policy", policy),
            ]),
            Duty::Sum { .. }
            | Duty::Receipts { .. }
            | Duty::Window(_)
            | Duty::Approval { .. }
            | Duty::Escalate { .. }
            | Duty::Declassify { .. }
            | Duty::Redact { .. } => {
                seen([("limit", Fact::Text(broken.limit)), ("policy", policy)])
            }
        };
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
                Duty::Receipts { per: None, .. } => terms.limited.push(policy),
                Duty::Sum { path, per: None, .. } => terms.sums.push((policy, path.clone())),
                Duty::Receipts { per: Some(per), .. } => {
                    terms.counted.push(Counted { policy, per: *per, path: None });
                }
                Duty::Sum { path, per: Some(per), .. } => {
                    terms.counted.push(Counted { policy, per: *per, path: Some(path.clone()) });
                }
                Duty::Redact { paths } => terms.redact.extend(paths.iter().cloned()),
                Duty::Declassify { class } => terms.declassify = self.stricter(&terms, class),
                Duty::Approval { .. } | Duty::Escalate { .. } | Duty::Window(_) => {}
            }
        }
        terms
    }

    /// Of two policies that lower what comes of an effect the stricter one holds.
    fn stricter(&self, terms: &Terms, class: &String) -> Option<String> {
        let rules = self.settings()?.data.as_ref()?;
        terms.declassify.iter().chain([class]).max_by_key(|class| rules.rank(class)).cloned()
    }

    /// Whether the consents that every permitting policy asks for are there, and otherwise
    /// the first need that is not met.
    fn approval(&self, terms: &mut Terms) -> (Check, Option<Need>) {
        let (not_needed, given) = ("approval.not_needed", "approval.given");
        let (needed, rejected) = ("approval.needed", "approval.rejected");
        let duties = self.evaluation.iter().flat_map(|it| &it.obligations);
        let needs = duties.filter_map(|obligation| match &obligation.duty {
            Duty::Approval { count, of } => {
                let escalate = self.escalation(&obligation.policy);
                Some(Need { count: *count, of: of.clone(), escalate })
            }
            Duty::Escalate { .. }
            | Duty::Receipts { .. }
            | Duty::Sum { .. }
            | Duty::Redact { .. }
            | Duty::Declassify { .. }
            | Duty::Window(_) => None,
        });
        let needs: Vec<_> = needs.collect();
        let valid: Vec<_> = self.valid_approvals().collect();
        let missing = needs.iter().find(|need| self.consents(need, &valid) < need.count);
        let refused = missing.is_some() && valid.iter().any(|approval| approval.rejected);
        if refused {
            let codes = [rejected, rejected];
            return (check(CheckName::Approval, false, codes, self.read_approvals()), None);
        }
        if let Some(need) = missing
            && !self.supposed.answerable
            && let Err(nobody) = answerable(self.intent, self.canon, need)
        {
            return (nobody, None);
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

    /// Who else may agree to what a policy asks for, once that took too long.
    fn escalation(&self, policy: &str) -> Option<Escalation> {
        let all = self.evaluation.iter().flat_map(|it| &it.obligations);
        let mut own = all.filter(|obligation| obligation.policy == policy);
        own.find_map(|obligation| match &obligation.duty {
            Duty::Escalate { after_ms, of } => {
                Some(Escalation { after_ms: *after_ms, of: of.clone() })
            }
            Duty::Approval { .. }
            | Duty::Receipts { .. }
            | Duty::Sum { .. }
            | Duty::Redact { .. }
            | Duty::Declassify { .. }
            | Duty::Window(_) => None,
        })
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
            .flat_map(|approval| approval.by.iter().map(|who| (who, approval.escalated)))
            .filter(|(who, _)| who.starts_with("user:"))
            .filter(|(who, _)| **who != self.intent.actor().as_str())
            .filter(|(who, _)| **who != origin.initiator.as_str())
            .filter(|(who, escalated)| {
                let later = need.escalate.iter().filter(|_| *escalated).flat_map(|it| &it.of);
                need.of.iter().chain(later).any(|group| canon.is_member(who, group))
            })
            .map(|(who, _)| who)
            .collect();
        people.len() as u64
    }

    fn read_approvals(&self) -> Seen {
        let approvals = &self.snapshot.approvals;
        if approvals.is_empty() {
            return Seen::Nothing;
        }
        let ids = approvals.iter().map(|approval| approval.id.to_string());
        seen([("approvals", Fact::Texts(ids.collect()))])
    }

    fn interference(&self) -> Check {
        let conflicts = &self.snapshot.conflicts;
        let codes = ["interference.none", "interference.conflict"];
        let mut check = check(CheckName::Interference, conflicts.is_empty(), codes, Seen::Nothing);
        if !conflicts.is_empty() {
            check.read = Seen::Conflicts(conflicts.clone());
            let rule = self.settings().map(|settings| settings.interference.on_conflict);
            if rule == Some(OnConflict::Wait) {
                check.outcome = Outcome::Wait;
            }
        }
        check
    }

    fn envelope(&self) -> Check {
        let Some(settings) = self.settings() else {
            let codes = ["envelope.unknown", "envelope.unknown"];
            return check(CheckName::Envelope, false, codes, Seen::Nothing);
        };
        let envelope = &settings.envelope;
        let spread = &self.snapshot.spread;
        let resources = spread.resources.saturating_add(spread.adds);
        let amount = spread.amount.saturating_add(amount_of(settings, self.intent));
        let own = |action: &String| action == self.intent.action();
        let together = |set: &&Vec<String>| {
            set.iter().any(own)
                && set.iter().all(|action| own(action) || spread.actions.contains(action))
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
        if code == "envelope.within"
            && let Some((code, over)) = over(settings, self.intent, self.snapshot)
        {
            let read = over.as_ref().map_or(Seen::Nothing, Over::seen);
            return check(CheckName::Envelope, false, [code, code], read);
        }
        let read = seen([
            ("amount", amount.into()),
            ("amount_max", envelope.amount_max.into()),
            ("resources", resources.into()),
            ("resources_max", envelope.resources_max.into()),
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
        let read = seen([
            ("canon", Fact::Version(self.snapshot.canon)),
            ("clock_behind_ms", behind.into()),
            ("now", Fact::Time(self.snapshot.now)),
        ]);
        check(CheckName::Freshness, code == "freshness.current", [code, code], read)
    }
}

/// A limit or time window of a permitting policy that is not kept.
pub(crate) struct Broken<'a> {
    pub(crate) obligation: &'a Obligation,
    pub(crate) code: &'static str,
    /// In words.
    pub(crate) limit: String,
    /// What is used and wanted, where it is a limit in a period.
    pub(crate) over: Option<Over>,
}

/// The first limit or time window that is not kept.
pub(crate) fn broken<'a>(
    evaluation: &'a Evaluation,
    intent: &Intent,
    snapshot: &Snapshot,
    supposed: &Supposed,
) -> Option<Broken<'a>> {
    let mut all = evaluation.obligations.iter().filter_map(|obligation| {
        let (code, limit, over) = match obligation.duty.period() {
            Some(period) => passed_in(period, obligation, intent, snapshot),
            None => passed(obligation, intent, snapshot).map(|(code, limit)| (code, limit, None)),
        }?;
        Some(Broken { obligation, code, limit, over })
    });
    let is_raised = |it: &Broken<'_>| {
        let raised = &supposed.raised;
        !raised.is_empty() && raised.contains(&(it.obligation.policy.clone(), it.limit.clone()))
    };
    all.find(|it| it.code == "canon.no_amount" || !is_raised(it))
}

/// The code and the words of a limit of the run, or a time window, that is not kept.
fn passed(
    obligation: &Obligation,
    intent: &Intent,
    snapshot: &Snapshot,
) -> Option<(&'static str, String)> {
    let (policy, spread) = (&obligation.policy, &snapshot.spread);
    match &obligation.duty {
        Duty::Receipts { at_most, .. } => {
            let given = spread.receipts_by_policy.get(policy).copied().unwrap_or(0);
            (given >= *at_most).then(|| ("canon.limit", at_most.to_string()))
        }
        Duty::Sum { path, at_most, .. } => {
            let sum = spread.sums_by_policy.get(&sum_key(policy, path)).copied().unwrap_or(0);
            let limit = || format!("sum of {path} <= {at_most}");
            match intent.at(path).and_then(Value::as_u64) {
                None => Some(("canon.no_amount", limit())),
                Some(more) => {
                    let after = sum.checked_add(more);
                    let within = after.is_some_and(|after| after <= *at_most);
                    (!within).then(|| ("canon.limit", limit()))
                }
            }
        }
        Duty::Window(window) => {
            let (day, minute) = snapshot.now.weekday_and_minute();
            (!window.contains(day, minute)).then(|| ("canon.window", window.to_string()))
        }
        Duty::Approval { .. }
        | Duty::Escalate { .. }
        | Duty::Redact { .. }
        | Duty::Declassify { .. } => None,
    }
}

/// The same of a limit in a period, with what is used of it.
fn passed_in(
    period: Period,
    obligation: &Obligation,
    intent: &Intent,
    snapshot: &Snapshot,
) -> Option<(&'static str, String, Option<Over>)> {
    let limit = || obligation.duty.to_string();
    let Some(tally) = snapshot.tally(period) else {
        return Some(("canon.period_unknown", limit(), None));
    };
    let (policy, span) = (&obligation.policy, (period, tally.start));
    let over = match &obligation.duty {
        Duty::Receipts { at_most, .. } => {
            let given = tally.receipts_by_policy.get(policy).copied().unwrap_or(0);
            Over::of(span, given, 1, *at_most)
        }
        Duty::Sum { path, at_most, .. } => {
            let sum = tally.sums_by_policy.get(&sum_key(policy, path)).copied().unwrap_or(0);
            let Some(more) = intent.at(path).and_then(Value::as_u64) else {
                return Some(("canon.no_amount", limit(), None));
            };
            Over::of(span, sum, more, *at_most)
        }
        Duty::Approval { .. }
        | Duty::Escalate { .. }
        | Duty::Redact { .. }
        | Duty::Window(_)
        | Duty::Declassify { .. } => None,
    }?;
    Some(("canon.period_limit", limit(), Some(over)))
}

/// The key of a policy's sum over a path.
pub(crate) fn sum_key(policy: &str, path: &str) -> String {
    format!("{policy} {path}")
}

/// The money an intent moves, in minor units: the largest that stands at the canon's amount paths.
/// What stands there and is no amount counts as more than anything.
#[must_use]
pub fn amount_of(settings: &Settings, intent: &Intent) -> u64 {
    let amounts = settings.envelope.amount_paths.iter().filter_map(|path| intent.at(path));
    amounts.map(|amount| amount.as_u64().unwrap_or(u64::MAX)).max().unwrap_or(0)
}
