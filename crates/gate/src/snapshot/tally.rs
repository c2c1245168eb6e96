//! What all runs of a domain used together in a period, as a decision reads it.

use std::collections::BTreeMap;

use cog_base::json::{Canonical, Object};
use cog_base::{Period, Timestamp, Value};

use super::number;

/// What a domain used of a period: spent or reserved, whatever came of it, but for receipts whose
/// effect never began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// When the period began.
    pub start: Timestamp,
    /// Receipts.
    pub effects: u64,
    /// Money moved, in minor units.
    pub amount: u64,
    /// What it cost, in micros, spent or reserved.
    pub cost_micros: u64,
    /// How many different keys were written.
    pub resources: u64,
    /// How many more the intent would write.
    pub adds: u64,
    /// For each policy that is limited in the period, how many receipts it gave.
    pub receipts_by_policy: BTreeMap<String, u64>,
    /// For each such policy and path, the sum of the values it let through.
    pub sums_by_policy: BTreeMap<String, u64>,
}

impl Tally {
    /// Of a period of which nothing is used.
    #[must_use]
    pub const fn new(start: Timestamp) -> Self {
        Self {
            start,
            effects: 0,
            amount: 0,
            cost_micros: 0,
            resources: 0,
            adds: 0,
            receipts_by_policy: BTreeMap::new(),
            sums_by_policy: BTreeMap::new(),
        }
    }

    /// Have it be no less than another one of the same period.
    pub fn at_least(&mut self, other: &Self) {
        if self.start != other.start {
            return;
        }
        self.effects = self.effects.max(other.effects);
        self.amount = self.amount.max(other.amount);
        self.cost_micros = self.cost_micros.max(other.cost_micros);
        self.resources = self.resources.max(other.resources);
        self.adds = self.adds.max(other.adds);
        let most = |own: &mut BTreeMap<String, u64>, other: &BTreeMap<String, u64>| {
            for (name, count) in other {
                let known = own.entry(name.clone()).or_default();
                *known = (*known).max(*count);
            }
        };
        most(&mut self.receipts_by_policy, &other.receipts_by_policy);
        most(&mut self.sums_by_policy, &other.sums_by_policy);
    }

    /// When the period ends.
    #[must_use]
    pub fn end(&self, period: Period) -> Timestamp {
        period.end(self.start)
    }

    /// The tallies of a record.
    pub(super) fn all_from_value(value: &Value) -> Option<BTreeMap<Period, Self>> {
        let each = |(word, tally): (&String, &Value)| {
            Some((Period::parse(word)?, Self::from_value(tally)?))
        };
        value.as_map()?.iter().map(each).collect()
    }

    fn from_value(value: &Value) -> Option<Self> {
        let count = |name| value.get(name).map_or(Some(0), number);
        let counts = |name| -> Option<BTreeMap<String, u64>> {
            let Some(all) = value.get(name) else { return Some(BTreeMap::new()) };
            let pair = |(key, value): (&String, &Value)| Some((key.clone(), number(value)?));
            all.as_map()?.iter().map(pair).collect()
        };
        Some(Self {
            start: value.get("start")?.as_text()?.parse().ok()?,
            effects: count("effects")?,
            amount: count("amount")?,
            cost_micros: count("cost_micros")?,
            resources: count("resources")?,
            adds: count("adds")?,
            receipts_by_policy: counts("receipts_by_policy")?,
            sums_by_policy: counts("sums_by_policy")?,
        })
    }
}

/// What is nothing is left out.
impl Canonical for Tally {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        let some = |count: u64| (count > 0).then_some(count);
        let all = |counts: &BTreeMap<String, u64>| (!counts.is_empty()).then(|| counts.clone());
        Object::new(out)
            .put_some("adds", some(self.adds).as_ref())
            .put_some("amount", some(self.amount).as_ref())
            .put_some("cost_micros", some(self.cost_micros).as_ref())
            .put_some("effects", some(self.effects).as_ref())
            .put_some("receipts_by_policy", all(&self.receipts_by_policy).as_ref())
            .put_some("resources", some(self.resources).as_ref())
            .put("start", &self.start)
            .put_some("sums_by_policy", all(&self.sums_by_policy).as_ref())
            .end();
    }
}
