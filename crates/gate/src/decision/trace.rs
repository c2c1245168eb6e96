//! The trace of a decision, as it is recorded: every check with what it read.

use std::collections::BTreeSet;

use cog_base::json::{Canonical, Integer, Object};
use cog_base::{Digest, Timestamp};

use super::{Check, Decision, Outcome, Rule};
use crate::snapshot::Conflict;

/// What a check read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// Nothing that is not said by its code.
    #[default]
    Nothing,
    /// Facts by name, in ascending order.
    Facts(Vec<(&'static str, Fact)>),
    /// The leases in the way.
    Conflicts(BTreeSet<Conflict>),
}

/// One thing that a check read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// A count or an amount, or that there is none.
    Number(Option<u64>),
    /// A moment.
    Time(Timestamp),
    /// A version of the canon, or that there is none.
    Version(Option<Digest>),
}

impl Seen {
    /// The number of this name; nothing when it is beyond 53 bits, as no count is.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        let Fact::Number(number) = self.fact(name)? else { return None };
        number.filter(|number| i64::try_from(*number).ok().and_then(Integer::new).is_some())
    }

    /// The text of this name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        if let Fact::Text(text) = self.fact(name)? { Some(text) } else { None }
    }

    /// The moment of this name.
    #[must_use]
    pub fn time(&self, name: &str) -> Option<Timestamp> {
        if let Fact::Time(time) = self.fact(name)? { Some(*time) } else { None }
    }

    /// The texts of this name; none when there are none.
    #[must_use]
    pub fn texts(&self, name: &str) -> &[String] {
        if let Some(Fact::Texts(texts)) = self.fact(name) { texts } else { &[] }
    }

    fn fact(&self, name: &str) -> Option<&Fact> {
        let Self::Facts(facts) = self else { return None };
        facts.iter().find(|(known, _)| *known == name).map(|(_, fact)| fact)
    }
}

impl From<&str> for Fact {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Fact {
    fn from(number: u64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<u64>> for Fact {
    fn from(number: Option<u64>) -> Self {
        Self::Number(number)
    }
}

impl Canonical for Decision {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        Object::new(out).put("checks", &self.checks).put("verdict", self.verdict.word()).end();
    }
}

/// The trace of a refusal, with what was said of it.
pub(crate) struct Refused<'a> {
    pub(crate) decision: &'a Decision,
    pub(crate) reason: &'a str,
    pub(crate) flips: &'a [String],
    /// Whether not all changes were looked at.
    pub(crate) cut: bool,
}

impl Canonical for Refused<'_> {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        Object::new(out)
            .put("checks", &self.decision.checks)
            .put("flips", self.flips)
            .put_some("flips_cut", self.cut.then_some(&true))
            .put("reason", self.reason)
            .put("verdict", self.decision.verdict.word())
            .end();
    }
}

impl Canonical for Check {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        let seen = (self.read != Seen::Nothing).then_some(&self.read);
        let rules = (!self.rules.is_empty()).then_some(&self.rules);
        Object::new(out)
            .put("check", self.name.word())
            .put("code", self.code)
            .put("outcome", self.outcome.word())
            .put_some("read", seen)
            .put_some("rules", rules)
            .end();
    }
}

impl Canonical for Seen {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nothing => None::<u64>.write_canonical(out),
            Self::Conflicts(conflicts) => conflicts.write_canonical(out),
            Self::Facts(facts) => {
                let object = Object::new(out);
                facts.iter().fold(object, |object, (name, fact)| object.put(name, fact)).end();
            }
        }
    }
}

impl Canonical for Fact {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => text.write_canonical(out),
            Self::Texts(texts) => texts.write_canonical(out),
            Self::Number(number) => number.write_canonical(out),
            Self::Time(time) => time.write_canonical(out),
            Self::Version(version) => version.write_canonical(out),
        }
    }
}

impl Canonical for Rule {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        let Self(note) = self;
        let controls = (!note.controls.is_empty()).then_some(&note.controls);
        Object::new(out)
            .put_some("advice", note.advice.as_ref())
            .put_some("controls", controls)
            .put("id", &note.id)
            .put_some("reason", note.reason.as_ref())
            .end();
    }
}

impl Outcome {
    /// The word in traces.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Approval => "approval",
            Self::Wait => "wait",
        }
    }
}
