//! What policies and facts mention: the values worth trying.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::json::{Integer, Json, Loose, parse_loose};

use crate::facts::Facts;
use crate::policies::Rules;

/// Most numbers and most texts that are tried for one attribute.
const TRIED_MAX: usize = 400;

/// The values that policies and facts mention.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    numbers: BTreeSet<i64>,
    texts: BTreeSet<String>,
    /// Names by entity type.
    entities: BTreeMap<String, BTreeSet<String>>,
    /// The attributes that policies read.
    attributes: BTreeSet<String>,
    unmentioned: String,
}

impl Hints {
    pub(crate) fn new(rules: &Rules, facts: &Facts) -> Self {
        let (numbers, texts) = facts.literals();
        let mut hints = Self { numbers, texts, ..Self::default() };
        for entity in facts.entities.iter() {
            let uid = entity.uid();
            hints.entity(uid.type_name().basename(), uid.id().unescaped());
        }
        for rule in rules {
            let json =
                rule.policy.to_json().ok().and_then(|json| parse_loose(&json.to_string()).ok());
            // Annotations are words about a policy, not values it compares with.
            if let Some(Json::Map(mut members)) = json {
                members.remove("annotations");
                members.values().for_each(|value| hints.collect(value));
            }
        }
        while hints.unmentioned.is_empty() || hints.texts.contains(&hints.unmentioned) {
            hints.unmentioned.push(char::REPLACEMENT_CHARACTER);
        }
        hints
    }

    fn entity(&mut self, kind: &str, name: &str) {
        self.entities.entry(kind.to_owned()).or_default().insert(name.to_owned());
    }

    /// Cedar's JSON policy format: literals stand under `Value`, entities are `{type, id}`,
    /// attributes that are read under `attr`, those of a record as its keys under `Record`.
    fn collect(&mut self, value: &Loose) {
        match value {
            Json::List(items) => items.iter().for_each(|item| self.collect(item)),
            Json::Map(members) => {
                let text = |name: &str| members.get(name).and_then(Json::as_text);
                if let (Some(kind), Some(name)) = (text("type"), text("id")) {
                    let kind = kind.rsplit("::").next().unwrap_or(kind);
                    self.entity(kind, name);
                }
                for (name, member) in members {
                    match (name.as_str(), member) {
                        ("Value", Json::Int(number)) => {
                            self.numbers.insert(number.get());
                        }
                        ("Value", Json::Text(text)) => {
                            self.texts.insert(text.clone());
                        }
                        ("attr", Json::Text(attribute)) => {
                            self.attributes.insert(attribute.clone());
                        }
                        ("attr", Json::List(path)) => {
                            let path = path.iter().filter_map(Json::as_text);
                            self.attributes.extend(path.map(str::to_owned));
                        }
                        ("Record", Json::Map(record)) => {
                            self.attributes.extend(record.keys().cloned());
                            self.collect(member);
                        }
                        _ => self.collect(member),
                    }
                }
            }
            Json::Null | Json::Bool(_) | Json::Int(_) | Json::Float(_) | Json::Text(_) => {}
        }
    }

    /// The numbers worth trying instead of `from`, nearest first: each that is mentioned or
    /// stands elsewhere in the request, with the two beside it, and some more.
    pub(super) fn numbers(
        &self,
        from: i64,
        own: &BTreeSet<i64>,
        more: impl IntoIterator<Item = i64>,
    ) -> Vec<i64> {
        let beside = |number: &i64| [number.saturating_sub(1), *number, number.saturating_add(1)];
        let mentioned: BTreeSet<_> = self.numbers.union(own).flat_map(beside).collect();
        let nearest = |numbers: BTreeSet<i64>| {
            let mut numbers: Vec<_> = numbers.into_iter().filter(|it| *it != from).collect();
            numbers.sort_by_key(|other| other.abs_diff(from));
            numbers
        };
        let tried = nearest(mentioned).into_iter().take(TRIED_MAX);
        nearest(tried.chain(more).filter(|it| Integer::new(*it).is_some()).collect())
    }

    /// Whether a policy reads an attribute of this name.
    pub(super) fn reads(&self, attribute: &str) -> bool {
        self.attributes.contains(attribute)
    }

    /// A text that nothing mentions, to try what any other text would do.
    pub(super) fn unmentioned(&self) -> &str {
        &self.unmentioned
    }

    /// The texts worth trying.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str).take(TRIED_MAX)
    }

    /// The names of a type of resource.
    pub(super) fn resources(&self, kind: &str) -> impl Iterator<Item = &str> {
        let names = self.entities.get(kind).into_iter().flatten();
        names.map(String::as_str).take(TRIED_MAX)
    }

    /// The other actors of the kind of `who`.
    pub(super) fn actors(&self, who: &str) -> Vec<String> {
        let Some((kind, name)) = who.split_once(':') else { return Vec::new() };
        let is_kind = |other: &&String| other.eq_ignore_ascii_case(kind);
        let names = self.entities.iter().filter(|(other, _)| is_kind(other));
        let names = names.flat_map(|(_, names)| names).filter(|other| *other != name);
        names.take(TRIED_MAX).map(|other| format!("{kind}:{other}")).collect()
    }
}
