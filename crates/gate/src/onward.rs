//! Where a cleared request may be led on to. A redirect changes what is asked for, so it is
//! decided like the request that it came of.

use std::collections::BTreeSet;
use std::sync::Arc;

use cog_base::Value;
use cog_canon::{Canon, DataRules};

use crate::decision::{Counted, Terms, Verdict, amount_of, decide};
use crate::door::{Cleared, Failure};
use crate::effect::{AnyEffect, Effect as _, Footprint, HttpRequest};
use crate::explain::reason;
use crate::intent::Intent;
use crate::lease;
use crate::snapshot::Snapshot;

/// What a request was permitted on: enough to decide where it may be led on to.
#[derive(Debug)]
pub(crate) struct Onward {
    intent: Intent,
    snapshot: Snapshot,
    canon: Arc<Canon>,
    terms: Terms,
    writes: BTreeSet<String>,
}

impl Onward {
    /// Of an effect that may be led on; nothing for all others.
    pub(crate) fn of(
        intent: &Intent,
        footprint: &Footprint,
        snapshot: &Snapshot,
        terms: &Terms,
        canon: Option<&Arc<Canon>>,
    ) -> Option<Arc<Self>> {
        let canon = canon.filter(|_| intent.action() == HttpRequest::ACTION)?;
        let (intent, snapshot, terms) = (intent.clone(), snapshot.clone(), terms.clone());
        let (canon, writes) = (Arc::clone(canon), footprint.writes.clone());
        Some(Arc::new(Self { intent, snapshot, canon, terms, writes }))
    }

    fn judge(&self, effect: &HttpRequest) -> Result<(), Failure> {
        let Self { intent, snapshot, canon, .. } = self;
        let risk = canon.settings().risk_of(effect.action());
        let (actor, cost) = (intent.actor().clone(), intent.cost());
        let intent = Intent::new(intent.origin(), intent.step(), actor, effect, cost, risk);
        let intent = match (&canon.settings().data, self.intent.sources()) {
            (Some(rules), Some(sources)) => intent.classed(rules, sources),
            (_, _) => intent,
        };
        let decision = decide(&intent, snapshot, Some(canon));
        if let Some(rules) = &canon.settings().data {
            self.answers_no_higher(rules, &intent, &decision.terms)?;
        }
        let why = match decision.verdict {
            Verdict::Allow => match self.not_held(effect, &intent, &decision.terms) {
                None => return Ok(()),
                Some(why) => why.to_owned(),
            },
            Verdict::Refuse(_) => reason(&decision, &intent),
            Verdict::NeedsApproval(_) => "It takes an approval of its own.".to_owned(),
            Verdict::Wait => "Another open effect holds what it touches.".to_owned(),
        };
        Err(not_permitted(&effect.url, &why))
    }

    /// What the other request would need that was not charged, held or hidden for this one: of a
    /// receipt already given nothing can be added to.
    fn not_held(
        &self,
        effect: &HttpRequest,
        intent: &Intent,
        terms: &Terms,
    ) -> Option<&'static str> {
        let own = &self.terms;
        let value = |intent: &Intent, path: &str| intent.at(path).and_then(Value::as_u64);
        let is_no_more = |path: &String| value(intent, path) <= value(&self.intent, path);
        let is_summed = |sum: &(String, String)| own.sums.contains(sum) && is_no_more(&sum.1);
        let is_counted = |counted: &Counted| {
            own.counted.contains(counted) && counted.path.as_ref().is_none_or(is_no_more)
        };
        let amount = |intent| amount_of(self.canon.settings(), intent);
        let is_charged = terms.limited.iter().all(|policy| own.limited.contains(policy))
            && terms.sums.iter().all(is_summed)
            && terms.counted.iter().all(is_counted)
            && amount(intent) <= amount(&self.intent);
        let is_hidden = terms.redact.iter().all(|path| own.redact.contains(path));
        let is_held = |key: &String| self.writes.iter().any(|held| lease::is_below(key, held));
        if !is_charged {
            return Some("It counts under a limit that this request did not count under.");
        }
        if !is_hidden {
            return Some(
                "Of its answer something is to be hidden that this request does not hide.",
            );
        }
        let is_written = effect.footprint().writes.iter().all(is_held);
        (!is_written).then_some("It would act at a place that this request does not hold.")
    }

    /// What comes of the request is taken for what the host that was asked gives, or for what the
    /// receipt lowers that to: one that is led to gives nothing of a higher class.
    fn answers_no_higher(
        &self,
        rules: &DataRules,
        to: &Intent,
        terms: &Terms,
    ) -> Result<(), Failure> {
        let host = |intent: &Intent| rules.class_at("Host", intent.resource().1).to_owned();
        let own = self.intent.class().map_or(0, |class| rules.rank(class));
        let led = terms.declassify.clone().unwrap_or_else(|| {
            let from = host(to);
            if rules.rank(&from) > own { from } else { self.intent.class().unwrap_or(&from).into() }
        });
        let taken = self.terms.declassify.as_ref().map(|class| rules.rank(class));
        let taken = taken.unwrap_or_else(|| rules.rank(&host(&self.intent)).max(own));
        if rules.rank(&led) <= taken {
            return Ok(());
        }
        let url = to.at("args.url").and_then(Value::as_text).unwrap_or_default();
        Err(not_permitted(url, &format!("What comes from there is {led} data.")))
    }
}

fn not_permitted(url: &str, why: &str) -> Failure {
    let message = format!("the redirect to `{url}` is not permitted: {why}");
    Failure { code: "http.redirect_not_permitted".into(), message, transient: false }
}

impl Cleared<HttpRequest> {
    /// Whether a redirect may be followed that makes `method` and `url` of the request, with its
    /// body or without. It is decided by the canon and on the state that the receipt was
    /// decided on, and must be permitted outright: what would take consent is not.
    ///
    /// # Errors
    /// The failure to report, with the reason.
    pub fn leads_on(&self, method: &str, url: &str, with_body: bool) -> Result<(), Failure> {
        let mut args = self.effect().args();
        args.remove("host");
        args.insert("method".into(), method.into());
        args.insert("url".into(), url.into());
        if !with_body {
            args.remove("body");
            args.remove("json");
        }
        let effect = AnyEffect::from_args(HttpRequest::ACTION, &args);
        let (Ok(AnyEffect::HttpRequest(effect)), Some(onward)) = (effect, &self.pass().onward)
        else {
            return Err(not_permitted(url, "Nobody can tell where it leads."));
        };
        onward.judge(&effect)
    }
}
