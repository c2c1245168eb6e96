//! What a session that goes on from another has used before it began: what that one, and all of its
//! tree, had done by then. Money that was spent is not among it.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::Value;
use cog_base::id::RunId;
use cog_base::json::{Json, Map};

use super::{Account, Book};

/// The use of a blast radius that a session begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    effects: u64,
    written: BTreeSet<String>,
    amount: u64,
    actions: BTreeSet<String>,
    by_policy: BTreeMap<String, u64>,
    sums: BTreeMap<String, u64>,
}

impl Carried {
    /// As it is kept.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let texts = |all: &BTreeSet<String>| Value::list(all.iter().map(String::as_str));
        let counts = |all: &BTreeMap<String, u64>| {
            Value::Map(all.iter().map(|(name, count)| (name.clone(), (*count).into())).collect())
        };
        Value::map([
            ("effects", self.effects.into()),
            ("written", texts(&self.written)),
            ("amount", self.amount.into()),
            ("actions", texts(&self.actions)),
            ("by_policy", counts(&self.by_policy)),
            ("sums", counts(&self.sums)),
        ])
    }

    /// As it was kept; nothing when it is not whole.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        let count = |name: &str| value.get(name)?.as_u64();
        let texts = |name: &str| {
            let all = value.get(name)?.as_list()?.iter();
            all.map(|text| text.as_text().map(str::to_owned)).collect::<Option<BTreeSet<_>>>()
        };
        let counts = |name: &str| {
            let all: &Map = value.get(name)?.as_map()?;
            let all = all.iter().map(|(name, count)| Some((name.clone(), Json::as_u64(count)?)));
            all.collect::<Option<BTreeMap<_, _>>>()
        };
        Some(Self {
            effects: count("effects")?,
            written: texts("written")?,
            amount: count("amount")?,
            actions: texts("actions")?,
            by_policy: counts("by_policy")?,
            sums: counts("sums")?,
        })
    }

    /// Whether it leaves out nothing of `other`.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let counts = |own: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>| {
            other.iter().all(|(name, count)| *count == 0 || own.get(name) >= Some(count))
        };
        self.effects >= other.effects
            && self.amount >= other.amount
            && self.written.is_superset(&other.written)
            && self.actions.is_superset(&other.actions)
            && counts(&self.by_policy, &other.by_policy)
            && counts(&self.sums, &other.sums)
    }
}

impl Book {
    /// What a session that goes on from this one begins with: its effects and those of the
    /// sessions it began, and the rest of all of its tree, as limits of the canon count. What is
    /// under way in itself is not among it: that begins anew, and is counted then. What is under way
    /// elsewhere in the tree does not, or goes on beside what begins anew.
    pub(crate) fn carried(&self, session: RunId) -> Carried {
        let Some((account, root)) = self.accounts.get(&session).zip(self.root(session)) else {
            return Carried::default();
        };
        let own = account.open.values().filter(|open| open.session == session);
        let mut carried = Carried {
            effects: account.effects.saturating_sub(own.clone().count() as u64),
            written: root.written.clone(),
            amount: root.amount,
            actions: root.actions.clone(),
            by_policy: root.by_policy.clone(),
            sums: root.sums.clone(),
        };
        for open in own {
            carried.amount = carried.amount.saturating_sub(open.charge.amount);
            super::take_off(&mut carried.by_policy, open.charge.limited.iter().map(|it| (it, 1)));
            let sums = open.charge.sums.iter().map(|(name, sum)| (name, *sum));
            super::take_off(&mut carried.sums, sums);
        }
        carried
    }

    /// Have an account that was just opened begin with what was used before.
    pub(crate) fn carry(&mut self, session: RunId, carried: Carried) {
        if let Some(account) = self.accounts.get_mut(&session) {
            account.carry(carried);
        }
    }
}

impl Account {
    fn carry(&mut self, carried: Carried) {
        let Carried { effects, written, amount, actions, by_policy, sums } = carried;
        (self.effects, self.amount) = (effects, amount);
        (self.written, self.actions) = (written, actions);
        (self.by_policy, self.sums) = (by_policy, sums);
    }
}
