//! Where a value came from: the inputs, places and people that anything in it was taken from,
//! each with the step by which it came.
//!
//! A flow keeps these for what it handles; the canon says of which class each of them is. So what
//! is kept does not depend on the canon, and a change of the canon is about open runs too.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::Value;

/// One thing that data came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// An input of the run.
    Input(String),
    /// What stands in a root.
    Root(String),
    /// What a host answered.
    Host(String),
    /// What a program gave.
    Program(String),
    /// What a model said.
    Model(String),
    /// What a signal brought, by its name.
    Signal(String),
    /// What people answered.
    People,
    /// What a completion of a session that ran elsewhere said, by the source of its event.
    Session(String),
    /// What a run of this workflow gave that says no class of it.
    Run(String),
    /// What a workflow file says of its own data, or another run of what it hands over: a class.
    Labelled(String),
    /// What the canon let it be taken for from then on: a class.
    Lowered(String),
    /// More things than are kept apart: it is of the highest class, whatever they were.
    Many,
}

/// The most things that are kept apart of which one value came.
pub const SOURCES_MAX: usize = 256;

/// A text that names no source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names nothing that data can come from")]
pub struct BadSource(String);

impl Source {
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Input(name) => ("input", name),
            Self::Root(name) => ("root", name),
            Self::Host(name) => ("host", name),
            Self::Program(name) => ("program", name),
            Self::Model(name) => ("model", name),
            Self::Signal(name) => ("signal", name),
            Self::People => ("people", ""),
            Self::Session(name) => ("session", name),
            Self::Run(name) => ("run", name),
            Self::Labelled(class) => ("labelled", class),
            Self::Lowered(class) => ("lowered", class),
            Self::Many => ("many", ""),
        }
    }
}

/// `root:invoices`, `people`, `labelled:personal`.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (kind, "") => f.write_str(kind),
            (kind, name) => write!(f, "{kind}:{name}"),
        }
    }
}

impl FromStr for Source {
    type Err = BadSource;

    fn from_str(text: &str) -> Result<Self, BadSource> {
        match text {
            "people" => return Ok(Self::People),
            "many" => return Ok(Self::Many),
            _ => {}
        }
        let bad = || BadSource(text.chars().take(80).collect());
        let (kind, name) = text.split_once(':').filter(|(_, it)| !it.is_empty()).ok_or_else(bad)?;
        let name = name.to_owned();
        Ok(match kind {
            "input" => Self::Input(name),
            "root" => Self::Root(name),
            "host" => Self::Host(name),
            "program" => Self::Program(name),
            "model" => Self::Model(name),
            "signal" => Self::Signal(name),
            "session" => Self::Session(name),
            "run" => Self::Run(name),
            "labelled" => Self::Labelled(name),
            "lowered" => Self::Lowered(name),
            _ => return Err(bad()),
        })
    }
}

/// All that a value came from, each with a step by which it came: of several the first by name, so
/// that the order of events does not matter. Of more than [`SOURCES_MAX`] things it is only known
/// that they were many. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(Option<Arc<BTreeMap<Source, String>>>);

impl Sources {
    /// What comes from one thing alone.
    #[must_use]
    pub fn of(source: Source, step: impl fmt::Display) -> Self {
        Self(Some(Arc::new(BTreeMap::from([(source, step.to_string())]))))
    }

    /// Whether it came from nothing: it was written as it is.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Take in what something else came from.
    pub fn add(&mut self, other: &Self) {
        let Some(more) = &other.0 else { return };
        let Some(own) = &mut self.0 else {
            self.0 = Some(Arc::clone(more));
            return;
        };
        let is_new =
            |(source, step): (&Source, &String)| own.get(source).is_none_or(|it| step < it);
        if Arc::ptr_eq(own, more) || !more.iter().any(is_new) {
            return;
        }
        let own = Arc::make_mut(own);
        for (source, step) in more.iter() {
            let known = own.entry(source.clone()).or_insert_with(|| step.clone());
            if step < known {
                step.clone_into(known);
            }
        }
        if own.len() > SOURCES_MAX || own.contains_key(&Source::Many) {
            *own = BTreeMap::from([(Source::Many, String::new())]);
        }
    }

    /// Each with its step, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Source, &str)> {
        self.0.iter().flat_map(|all| all.iter()).map(|(source, step)| (source, step.as_str()))
    }

    /// As records have it: `{"root:invoices": "list"}`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::map(self.iter().map(|(source, step)| (source.to_string(), Value::from(step))))
    }

    /// The sources of a record; nothing when it is none.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        let mut all = BTreeMap::new();
        for (source, step) in value.as_map()? {
            all.insert(source.parse().ok()?, step.as_text()?.to_owned());
        }
        Some(if all.is_empty() { Self::default() } else { Self(Some(Arc::new(all))) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_reads_back_and_nothing_else_does() {
        let all = "input:a root:b host:c.example program:d model:e signal:f people run:i session:/s \
                   labelled:g lowered:h";
        for text in all.split_whitespace() {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
        for text in ["", "root", "root:", "people:x", "step:a", ":a"] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_comes_from_two_things_comes_from_both_in_whatever_order() {
        let mut sources = Sources::default();
        assert!(sources.is_none());
        sources.add(&Sources::of(Source::Root("books".into()), "read"));
        sources.add(&Sources::of(Source::Root("books".into()), "list"));
        sources.add(&Sources::of(Source::Root("books".into()), "read"));
        sources.add(&Sources::of(Source::People, "sign"));
        let value = sources.to_value();
        assert_eq!(value.to_string(), r#"{"people":"sign","root:books":"list"}"#);
        assert_eq!(Sources::from_value(&value), Some(sources));
        assert_eq!(Sources::from_value(&Value::map([("root:a", Value::Null)])), None);
    }

    #[test]
    fn of_more_things_than_are_kept_apart_it_is_known_that_they_were_many() {
        let one = |number: usize| Sources::of(Source::Input(format!("i{number}")), "step");
        let sum = |numbers: std::ops::Range<usize>| {
            let mut sum = Sources::default();
            numbers.for_each(|number| sum.add(&one(number)));
            sum
        };
        assert_eq!(sum(0..SOURCES_MAX).iter().count(), SOURCES_MAX);
        let mut many = sum(0..SOURCES_MAX);
        many.add(&sum(SOURCES_MAX..SOURCES_MAX + 9));
        assert_eq!(many.to_value().to_string(), r#"{"many":""}"#);
        assert_eq!(many, sum(0..SOURCES_MAX + 1), "in whatever order");
        many.add(&one(1));
        assert_eq!(many.iter().count(), 1);
        let mut other = sum(0..2);
        other.add(&many);
        assert_eq!(other, many);
        assert_eq!(Sources::from_value(&many.to_value()), Some(many));
    }
}
