//! What all runs of a domain used together, hour by hour, day by day, week by week and month by
//! month.
//!
//! A receipt counts in the periods that the canon names under which it was decided, at the time of
//! its decision, and its entry says what it counts. So the count is had again from the entries of
//! the periods alone, whatever became of the runs and of what stands beside the entries. What an
//! outcome changes of it is what it changes of the account of a run.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::ReceiptId;
use cog_base::json::Map;
use cog_base::{Digest, Micros, Period, Timestamp, Value};
use cog_canon::{Canon, Envelope};
use cog_ledger::{Entry, Kind};

use super::take_off;
use crate::decision::{Decision, amount_of, sum_key};
use crate::effect::Footprint;
use crate::intent::Intent;
use crate::lease::{Stands, place};
use crate::snapshot::{Tally, number};

/// The member of a receipt's entry.
const MEMBER: &str = "counts";

/// What a receipt counts in the periods of its domain, as its entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// When it was decided.
    at: Timestamp,
    /// Money it moves, in minor units, where that is bounded.
    amount: u64,
    /// The keys that it writes, by where they stand and as digests, where they are bounded.
    writes: BTreeSet<Digest>,
    /// The periods that it counts in, and the limits of policies there.
    per: BTreeMap<Period, Limited>,
}

/// What a receipt adds to limits of policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Limited {
    policies: BTreeSet<String>,
    sums: BTreeMap<String, u64>,
}

impl Counts {
    /// What a permitted intent counts; nothing when the canon counts in no period.
    pub(crate) fn of(
        intent: &Intent,
        footprint: &Footprint,
        decision: &Decision,
        (canon, at): (&Canon, Timestamp),
        stands: &Stands<'_>,
    ) -> Option<Self> {
        if canon.periods().is_empty() {
            return None;
        }
        let settings = canon.settings();
        let is_bounded = |bounds| is_bounded(&settings.envelope, bounds);
        let amount = if is_bounded(Bound::Amount) { amount_of(settings, intent) } else { 0 };
        let writes = if is_bounded(Bound::Resources) { keys(footprint, stands) } else { [].into() };
        let limited = |period: &Period| {
            let own = |it: &&crate::decision::Counted| it.per == *period;
            let mut limited = Limited::default();
            for counted in decision.terms.counted.iter().filter(own) {
                match &counted.path {
                    None => {
                        limited.policies.insert(counted.policy.clone());
                    }
                    Some(path) => {
                        let value = intent.at(path).and_then(Value::as_u64).unwrap_or(0);
                        limited.sums.insert(sum_key(&counted.policy, path), value);
                    }
                }
            }
            (*period, limited)
        };
        Some(Self { at, amount, writes, per: canon.periods().iter().map(limited).collect() })
    }

    /// Add it to what the entry of the receipt says.
    pub(crate) fn say(&self, data: &mut Map) {
        let per = self.per.iter().map(|(period, limited)| {
            let policies = Value::list(limited.policies.iter().map(String::as_str));
            let sums = limited.sums.iter().map(|(key, sum)| (key.clone(), (*sum).into()));
            let mut said = Map::new();
            if !limited.policies.is_empty() {
                said.insert("policies".into(), policies);
            }
            if !limited.sums.is_empty() {
                said.insert("sums".into(), Value::Map(sums.collect()));
            }
            (period.word().to_owned(), Value::Map(said))
        });
        let mut counts =
            Map::from([("at".into(), self.at.into()), ("per".into(), Value::Map(per.collect()))]);
        if self.amount > 0 {
            counts.insert("amount".into(), self.amount.into());
        }
        if !self.writes.is_empty() {
            counts.insert("writes".into(), Value::list(self.writes.iter().copied()));
        }
        data.insert(MEMBER.into(), Value::Map(counts));
    }

    /// Whether both say the same; where it is not known where roots stand, but for what is written.
    #[must_use]
    pub fn is_same(&self, other: &Self, with_places: bool) -> bool {
        let keys = !with_places || self.writes == other.writes;
        keys && (self.at, self.amount, &self.per) == (other.at, other.amount, &other.per)
    }

    /// What the entry of a receipt says that it counts, if it counts anything.
    #[must_use]
    pub fn of_entry(entry: &Entry) -> Option<Self> {
        let said = entry.data().get(MEMBER).filter(|_| entry.kind() == Kind::Receipt)?;
        let writes = said.get("writes").and_then(Value::as_list).unwrap_or_default().iter();
        let per = |(word, limited): (&String, &Value)| {
            let policies = limited.get("policies").and_then(Value::as_list).unwrap_or_default();
            let sums = limited.get("sums").and_then(Value::as_map);
            let sums = sums.into_iter().flatten();
            let limited = Limited {
                policies: policies.iter().filter_map(Value::as_text).map(str::to_owned).collect(),
                sums: sums
                    .map(|(key, sum)| Some((key.clone(), number(sum)?)))
                    .collect::<Option<_>>()?,
            };
            Some((Period::parse(word)?, limited))
        };
        Some(Self {
            at: said.get("at")?.as_text()?.parse().ok()?,
            amount: said.get("amount").map_or(Some(0), number)?,
            writes: writes.map(|key| key.as_text()?.parse().ok()).collect::<Option<_>>()?,
            per: said.get("per")?.as_map()?.iter().map(per).collect::<Option<_>>()?,
        })
    }
}

/// What a bound of a domain is about, besides its effects and what they cost.
#[derive(Clone, Copy)]
enum Bound {
    Amount,
    Resources,
}

fn is_bounded(envelope: &Envelope, bound: Bound) -> bool {
    envelope.periods().any(|(_, bounds)| match bound {
        Bound::Amount => bounds.amount_max.is_some(),
        Bound::Resources => bounds.resources_max.is_some(),
    })
}

/// What an effect writes, by where it stands. Digests, as paths may name people.
fn keys(footprint: &Footprint, stands: &Stands<'_>) -> BTreeSet<Digest> {
    let key =
        |key: &String| Digest::in_context("cognitionos/resource/v1", place(key, stands).as_bytes());
    footprint.writes.iter().map(key).collect()
}

/// A period of a domain.
#[derive(Debug)]
struct Page {
    tally: Tally,
    written: BTreeSet<Digest>,
}

/// A receipt whose outcome is not on record.
#[derive(Debug)]
struct Held {
    domain: String,
    counts: Counts,
    /// The periods that it counts in, by when they began.
    pages: Vec<(Period, Timestamp)>,
    /// The most that may be spent in each, as the canon said when it was decided.
    cost_max: BTreeMap<Period, u64>,
    cost: u64,
    /// Whether it counts: an effect that never began does not.
    is_counted: bool,
}

/// The accounts of all domains.
#[derive(Debug, Default)]
pub(crate) struct Domains {
    pages: BTreeMap<String, BTreeMap<Period, Page>>,
    held: BTreeMap<ReceiptId, Held>,
}

impl Domains {
    /// What is used of each period in which the canon counts, and what is wanted of its resources.
    pub(crate) fn tallies(
        &self,
        (canon, domain): (&Canon, &str),
        now: Timestamp,
        footprint: &Footprint,
        stands: &Stands<'_>,
    ) -> BTreeMap<Period, Tally> {
        let envelope = &canon.settings().envelope;
        let pages = self.pages.get(domain);
        let tally = |period: &Period| {
            let start = period.start(now);
            let page = pages.and_then(|pages| pages.get(period));
            let page = page.filter(|page| page.tally.start >= start);
            let mut tally = page.map_or_else(|| Tally::new(start), |page| page.tally.clone());
            if envelope.bounds(*period).is_some_and(|bounds| bounds.resources_max.is_some()) {
                let wanted = keys(footprint, stands);
                let is_new = |key: &&Digest| page.is_none_or(|page| !page.written.contains(*key));
                tally.resources = page.map_or(0, |page| page.written.len() as u64);
                tally.adds = wanted.iter().filter(is_new).count() as u64;
            }
            (*period, tally)
        };
        canon.periods().iter().map(tally).collect()
    }

    /// Count a receipt, once. `canon` is the one it was just decided under; one that is recalled
    /// is not performed any more, and reserves no more than it has.
    pub(crate) fn count(
        &mut self,
        receipt: ReceiptId,
        domain: &str,
        counts: Counts,
        cost: Micros,
        canon: Option<&Canon>,
    ) {
        if self.held.contains_key(&receipt) {
            return;
        }
        let envelope = canon.map(|canon| &canon.settings().envelope);
        let max = |(period, bounds): (Period, &cog_canon::Bounds)| {
            Some((period, bounds.cost_micros_max?))
        };
        let cost_max = envelope.into_iter().flat_map(Envelope::periods).filter_map(max).collect();
        let own = self.pages.entry(domain.to_owned()).or_default();
        let mut pages = Vec::with_capacity(counts.per.len());
        for period in counts.per.keys() {
            let start = period.start(counts.at);
            let new = || Page { tally: Tally::new(start), written: BTreeSet::new() };
            let page = own.entry(*period).or_insert_with(new);
            // A period that began does not begin again, whatever clocks say.
            if page.tally.start < start {
                *page = new();
            }
            page.written.extend(counts.writes.iter().copied());
            pages.push((*period, page.tally.start));
        }
        let (domain, cost) = (domain.to_owned(), cost.get());
        let mut held = Held { domain, counts, pages, cost_max, cost, is_counted: false };
        held.change(&mut self.pages, true, cost);
        self.held.insert(receipt, held);
    }

    /// What came of a receipt: what it cost, or that its effect never began.
    pub(crate) fn settle(&mut self, receipt: ReceiptId, is_counted: bool, cost: Micros) {
        if let Some(held) = self.held.get_mut(&receipt) {
            held.change(&mut self.pages, is_counted, cost.get());
        }
    }

    /// Whether every period has room for an open receipt to hold `cost` in place of what it holds.
    pub(crate) fn admits_again(&self, receipt: ReceiptId, cost: Micros) -> bool {
        let Some(held) = self.held.get(&receipt) else { return true };
        held.cost_max.iter().all(|(period, max)| {
            let pages = self.pages.get(&held.domain);
            let used =
                pages.and_then(|pages| pages.get(period)).map_or(0, |page| page.tally.cost_micros);
            let after = used.saturating_sub(held.cost).checked_add(cost.get());
            cost.get() <= held.cost || after.is_some_and(|after| after <= *max)
        })
    }

    /// Take note of a durable entry: an outcome on record is final.
    pub(crate) fn observe(&mut self, entry: &Entry) {
        let receipt = entry.text("receipt").filter(|_| entry.kind() == Kind::Outcome);
        if let Some(receipt) = receipt.and_then(|id| id.parse().ok()) {
            self.is_final(receipt);
        }
    }

    /// An outcome of this receipt is on record.
    pub(crate) fn is_final(&mut self, receipt: ReceiptId) {
        self.held.remove(&receipt);
    }

    /// Count an entry that was recorded before, in the order of the log.
    pub(crate) fn recall(&mut self, entry: &Entry) {
        let id = |name| entry.text(name).and_then(|id| id.parse::<ReceiptId>().ok());
        let cost = |name| Micros::new(entry.count(name).unwrap_or(0));
        if let Some((receipt, counts)) = id("id").zip(Counts::of_entry(entry)) {
            self.count(receipt, entry.domain(), counts, cost("reserve_micros"), None);
        } else if let Some(receipt) = id("receipt").filter(|_| entry.kind() == Kind::Outcome) {
            let is_counted = entry.text("disposition") != Some("abandoned");
            self.settle(receipt, is_counted, cost("cost_micros"));
            self.observe(entry);
        }
    }
}

impl Held {
    /// Have it count, or not, and cost so much. The keys it would have written stay counted: they
    /// may have been written before.
    fn change(
        &mut self,
        domains: &mut BTreeMap<String, BTreeMap<Period, Page>>,
        is_counted: bool,
        cost: u64,
    ) {
        let Some(own) = domains.get_mut(&self.domain) else { return };
        for (period, start) in &self.pages {
            let page = own.get_mut(period).filter(|page| page.tally.start == *start);
            let (Some(page), Some(limited)) = (page, self.counts.per.get(period)) else { continue };
            let tally = &mut page.tally;
            if self.is_counted {
                tally.effects = tally.effects.saturating_sub(1);
                tally.amount = tally.amount.saturating_sub(self.counts.amount);
                tally.cost_micros = tally.cost_micros.saturating_sub(self.cost);
                take_off(&mut tally.receipts_by_policy, limited.policies.iter().map(|it| (it, 1)));
                let sums = limited.sums.iter().map(|(key, sum)| (key, *sum));
                take_off(&mut tally.sums_by_policy, sums);
            }
            if is_counted {
                tally.effects = tally.effects.saturating_add(1);
                tally.amount = tally.amount.saturating_add(self.counts.amount);
                tally.cost_micros = tally.cost_micros.saturating_add(cost);
                for policy in &limited.policies {
                    add(&mut tally.receipts_by_policy, policy, 1);
                }
                for (key, sum) in &limited.sums {
                    add(&mut tally.sums_by_policy, key, *sum);
                }
            }
        }
        (self.is_counted, self.cost) = (is_counted, cost);
    }
}

fn add(counts: &mut BTreeMap<String, u64>, name: &str, more: u64) {
    match counts.get_mut(name) {
        Some(count) => *count = count.saturating_add(more),
        None => drop(counts.insert(name.to_owned(), more)),
    }
}
