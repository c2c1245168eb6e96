//! What changed from one canon to another, in words.

use std::collections::BTreeMap;
use std::fmt;

use crate::Canon;
use crate::facts::Facts;
use crate::source::SETTINGS;

/// Which part of a canon a difference is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A line of `canon.toml`.
    Setting,
    /// The schema as a whole.
    Schema,
    /// A policy, by its id.
    Policy,
    /// An entity of the facts.
    Fact,
    /// A test case, by its name.
    Test,
}

/// What happened to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// It was not there before.
    Added {
        /// What it is now.
        now: String,
    },
    /// It is not there any more.
    Removed {
        /// What it was.
        was: String,
    },
    /// It is another.
    Changed {
        /// What it was.
        was: String,
        /// What it is now.
        now: String,
    },
}

/// One difference between two canons.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Which part it is in.
    pub part: Part,
    /// What it is about: a setting's path, a policy's id, an entity, a test's name.
    pub name: String,
    /// What happened to it.
    pub turn: Turn,
}

impl Canon {
    /// What changes when `other` takes the place of this canon. Ordered by part and name.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        for (part, view) in VIEWS {
            differences(part, &view(self), &view(other), &mut found);
        }
        found
    }
}

type View = fn(&Canon) -> BTreeMap<String, String>;

const VIEWS: [(Part, View); 5] = [
    (Part::Setting, settings),
    (Part::Schema, schema),
    (Part::Policy, policies),
    (Part::Fact, facts),
    (Part::Test, tests),
];

fn settings(canon: &Canon) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    for (file, text) in canon.texts() {
        if file == SETTINGS
            && let Ok(table) = text.parse::<toml::Table>()
        {
            flatten("", &toml::Value::Table(table), &mut lines);
        }
    }
    lines
}

fn flatten(path: &str, value: &toml::Value, lines: &mut BTreeMap<String, String>) {
    let Some(table) = value.as_table() else {
        lines.insert(path.to_owned(), value.to_string());
        return;
    };
    for (key, value) in table {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        flatten(&path, value, lines);
    }
}

fn schema(canon: &Canon) -> BTreeMap<String, String> {
    let texts = canon.texts().into_iter().filter(|(file, _)| *file != SETTINGS);
    texts.map(|(file, text)| (file.to_owned(), text.to_owned())).collect()
}

fn policies(canon: &Canon) -> BTreeMap<String, String> {
    canon.rules.iter().map(|rule| (rule.note.id.clone(), rule.text.clone())).collect()
}

fn facts(canon: &Canon) -> BTreeMap<String, String> {
    Facts::describe(&canon.facts)
}

fn tests(canon: &Canon) -> BTreeMap<String, String> {
    // Two cases may have one name: neither may hide the other.
    let mut cases: BTreeMap<String, String> = BTreeMap::new();
    for case in &canon.cases {
        let said = cases.entry(case.name().to_owned()).or_default();
        said.push_str(&case.describe());
        said.push('\n');
    }
    cases
}

fn differences(
    part: Part,
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
    found: &mut Vec<Difference>,
) {
    let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for name in names {
        let turn = match (before.get(name), after.get(name)) {
            (None, Some(now)) => Turn::Added { now: now.clone() },
            (Some(was), None) => Turn::Removed { was: was.clone() },
            (Some(was), Some(now)) if was != now => {
                Turn::Changed { was: was.clone(), now: now.clone() }
            }
            (Some(_), Some(_)) | (None, None) => continue,
        };
        found.push(Difference { part, name: name.clone(), turn });
    }
}

impl Part {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Schema => "schema",
            Self::Policy => "policy",
            Self::Fact => "fact",
            Self::Test => "test",
        }
    }
}

impl Turn {
    /// The word for it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Added { .. } => "added",
            Self::Removed { .. } => "removed",
            Self::Changed { .. } => "changed",
        }
    }
}

impl Difference {
    /// What it was: of a policy, its text with its annotations; of a fact, a line for each
    /// group and attribute. Nothing when it was not there.
    #[must_use]
    pub fn before(&self) -> Option<&str> {
        match &self.turn {
            Turn::Added { .. } => None,
            Turn::Removed { was } | Turn::Changed { was, .. } => Some(was),
        }
    }

    /// What it is now. Nothing when it is not there any more.
    #[must_use]
    pub fn after(&self) -> Option<&str> {
        match &self.turn {
            Turn::Removed { .. } => None,
            Turn::Added { now } | Turn::Changed { now, .. } => Some(now),
        }
    }

    /// Whether the words say all of it: a short value of a setting or a fact, both then and
    /// now.
    #[must_use]
    pub fn is_said_whole(&self) -> bool {
        let short = |text: &str| text.chars().count() <= VALUE_CHARS_MAX;
        matches!(self.part, Part::Setting | Part::Fact)
            && [self.before(), self.after()].into_iter().flatten().all(short)
    }
}

/// The longest value that the words hold, in characters.
const VALUE_CHARS_MAX: usize = 60;

/// `policy pay.small changed`; short values of settings and facts are shown.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flat = |text: &str| text.replace('\n', ", ");
        write!(f, "{} {} {}", self.part.word(), self.name, self.turn.word())?;
        if !self.is_said_whole() {
            return Ok(());
        }
        match &self.turn {
            Turn::Added { now } => write!(f, ": {}", flat(now)),
            Turn::Removed { was } => write!(f, ", was {}", flat(was)),
            Turn::Changed { was, now } => write!(f, " from {} to {}", flat(was), flat(now)),
        }
    }
}
