//! `[data]`: how confidential data is, by where it came from, and what may be handed how much.
//!
//! Classes stand in an order, the least confidential first. What carries no label is of the
//! default class: data that comes from there, and the most that may go there.

use std::collections::BTreeMap;

use cog_base::{Source, Sources, Value};
use serde::Deserialize;

use crate::nearest::nearest;
use crate::roots::ANY;

/// Most classes of a canon.
pub const CLASSES_MAX: usize = 16;

/// The classes of a canon, and what each place is marked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataRules {
    classes: Vec<String>,
    default: String,
    marks: Marks,
}

/// What places are marked with, by the type and the name that policies have for them.
pub(crate) type Marks = BTreeMap<(&'static str, String), Mark>;

/// What a place is marked with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The class of what comes from it.
    pub(crate) class: Option<String>,
    /// The highest class that it may be given.
    pub(crate) class_max: Option<String>,
}

/// The table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DataTable {
    classes: Vec<String>,
    default: String,
}

/// Where something is wrong, what, and the hint.
pub(crate) type Wrong = (String, String, String);

impl Mark {
    /// What was marked twice is marked with the stricter of both.
    pub(crate) fn or_stricter(&mut self, other: Self, table: Option<&DataTable>) {
        let rank = |class: &String| {
            let classes = table.map_or(&[][..], |table| table.classes.as_slice());
            classes.iter().position(|it| it == class)
        };
        self.class = self.class.take().into_iter().chain(other.class).max_by_key(rank);
        self.class_max = self.class_max.take().into_iter().chain(other.class_max).min_by_key(rank);
    }

    fn classes(&self) -> impl Iterator<Item = &String> {
        self.class.iter().chain(&self.class_max)
    }
}

impl DataTable {
    fn check(&self) -> Result<(), Wrong> {
        let wrong =
            |word: &str, what: String, hint: &str| Err((word.to_owned(), what, hint.to_owned()));
        if self.classes.is_empty() || self.classes.len() > CLASSES_MAX {
            let what = format!("`data.classes` has {} classes", self.classes.len());
            let hint = "name 1 to 16, the least confidential first: [\"public\", \"internal\"]";
            return wrong("classes", what, hint);
        }
        for (place, class) in self.classes.iter().enumerate() {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
            if !class.starts_with(|c: char| c.is_ascii_lowercase()) || !class.chars().all(plain) {
                let what = format!("`{class}` is no name of a class");
                return wrong(class, what, "use a-z first, then a-z, 0-9, `_` and `-`");
            }
            if self.classes.iter().take(place).any(|it| it == class) {
                let what = format!("the class `{class}` is there twice");
                return wrong(class, what, "each class has one place in the order");
            }
        }
        self.known(&self.default)
    }

    fn known(&self, class: &str) -> Result<(), Wrong> {
        if self.classes.iter().any(|it| it == class) {
            return Ok(());
        }
        Err((class.to_owned(), unknown(class), meant(class, &self.classes)))
    }

    pub(crate) fn settle(self, marks: Marks) -> DataRules {
        DataRules { classes: self.classes, default: self.default, marks }
    }
}

/// Whether each class that is named is declared.
pub(crate) fn check(table: Option<&DataTable>, marks: &Marks) -> Result<(), Wrong> {
    let Some(table) = table else {
        let Some(((kind, name), mark)) = marks.iter().find(|(_, it)| it.classes().next().is_some())
        else {
            return Ok(());
        };
        let class = mark.classes().next().cloned().unwrap_or_default();
        let what = format!("the {} `{name}` has a class, and there are none", kind.to_lowercase());
        let hint =
            "declare them: [data] classes = [\"public\", \"internal\"], default = \"internal\"";
        return Err((class, what, hint.to_owned()));
    };
    table.check()?;
    marks.values().flat_map(Mark::classes).try_for_each(|class| table.known(class))
}

fn unknown(class: &str) -> String {
    format!("there is no class `{class}`")
}

fn meant(class: &str, classes: &[String]) -> String {
    match nearest(class, classes.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the classes are {}", classes.join(", ")),
    }
}

impl DataRules {
    /// The classes, the least confidential first.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How high a class stands; one that is not declared, as high as the highest.
    #[must_use]
    pub fn rank(&self, class: &str) -> usize {
        let place = self.classes.iter().position(|it| it == class);
        place.unwrap_or_else(|| self.classes.len().saturating_sub(1))
    }

    fn named(&self, rank: usize) -> &str {
        self.classes.get(rank).map_or(&self.default, String::as_str)
    }

    fn mark(&self, kind: &str, name: &str) -> Option<&Mark> {
        let find = |name: &str| {
            let mut all = self.marks.iter();
            all.find(|((of, it), _)| *of == kind && it == name).map(|(_, mark)| mark)
        };
        find(name).or_else(|| if kind == "Root" { find(ANY) } else { None })
    }

    /// The class of what comes from a place, by the type and name that policies have for it.
    #[must_use]
    pub fn class_at(&self, kind: &str, name: &str) -> &str {
        let mark = self.mark(kind, name).and_then(|mark| mark.class.as_deref());
        mark.unwrap_or(&self.default)
    }

    /// The highest class that may be handed to a place.
    #[must_use]
    pub fn class_max(&self, kind: &str, name: &str) -> &str {
        let mark = self.mark(kind, name).and_then(|mark| mark.class_max.as_deref());
        mark.unwrap_or_else(|| self.class_at(kind, name))
    }

    /// The class of what comes from one source.
    #[must_use]
    pub fn class_from<'a>(&'a self, source: &'a Source) -> &'a str {
        let class = match source {
            Source::Input(_) | Source::Signal(_) | Source::People | Source::Run(_) => &self.default,
            Source::Root(name) => self.class_at("Root", name),
            Source::Host(name) => self.class_at("Host", name),
            Source::Program(name) => self.class_at("Program", name),
            Source::Model(name) => self.class_at("Model", name),
            Source::Session(name) => self.class_at("Source", name),
            Source::Labelled(class) | Source::Lowered(class) => class,
            Source::Many => return self.named(self.classes.len().saturating_sub(1)),
        };
        self.named(self.rank(class))
    }

    /// The class of what came from all of these: the highest. What came from nothing was written as
    /// it is, and is of the lowest.
    #[must_use]
    pub fn class_of(&self, sources: &Sources) -> &str {
        let ranks = sources.iter().map(|(source, _)| self.rank(self.class_from(source)));
        self.named(ranks.max().unwrap_or(0))
    }

    /// A class and every one below it: what policies see, so that `contains("personal")` is true
    /// of personal data and of any that is more confidential.
    #[must_use]
    pub fn up_to(&self, class: &str) -> &[String] {
        self.classes.get(..=self.rank(class)).unwrap_or(&self.classes)
    }

    /// What policies see of a class: `data_class` and `data_classes`.
    pub fn context(&self, class: &str) -> impl Iterator<Item = (String, Value)> {
        let up_to = Value::list(self.up_to(class).iter().map(String::as_str));
        [("data_class", class.into()), ("data_classes", up_to)]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
    }

    /// The same rules, but that a place may be given data of this class.
    #[must_use]
    pub fn admitting(mut self, kind: &'static str, name: &str, class: &str) -> Self {
        let mut mark = self.mark(kind, name).cloned().unwrap_or_default();
        // A root has one word for what comes from it and what may go there.
        if kind == "Root" {
            mark.class = Some(class.to_owned());
        }
        mark.class_max = Some(class.to_owned());
        self.marks.insert((kind, name.to_owned()), mark);
        self
    }

    /// The marked places of a type, in the order of their names.
    pub fn marked<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        let all = self.marks.keys().filter(move |(of, _)| *of == kind);
        all.map(|(_, name)| name.as_str()).filter(|name| *name != ANY)
    }

    /// What is wrong with a class that somebody names, and what was meant.
    ///
    /// # Errors
    /// What is wrong, and a hint.
    pub fn known(&self, class: &str) -> Result<(), (String, String)> {
        if self.classes.iter().any(|it| it == class) {
            return Ok(());
        }
        Err((unknown(class), meant(class, &self.classes)))
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;
    use cog_base::{Source, Sources};

    const HEAD: &str = "name = \"a\"\ndomain = \"d\"\n[change]\napprovals = 1\n\
                        approvers = [\"role:a\"]\n";
    const DATA: &str = "[data]\nclasses = [\"public\", \"internal\", \"personal\"]\n\
                        default = \"internal\"\n";

    fn settings(rest: &str) -> Result<Settings, String> {
        Settings::parse(&format!("{HEAD}{rest}")).map_err(|error| error.to_string())
    }

    #[test]
    fn what_carries_no_label_is_of_the_default_class_both_ways() {
        let rest = "[models.out]\nprovider = \"openai\"\n\
                    [models.own]\nprovider = \"openai\"\nclass_max = \"personal\"\n\
                    [roots]\nbooks = { within = [\".\"], class = \"personal\" }\n\
                    \"*\" = { within = [\".\"], class = \"public\" }\n\
                    [hosts]\nallow = [\"a.example\", { host = \"b.example\", class_max = \"public\" }]\n\
                    [programs]\nallow = [{ program = \"sort\", class_max = \"personal\" }]\n\
                    [sources.\"/agents\"]\nclass = \"personal\"\n";
        let data = settings(&format!("{DATA}{rest}")).unwrap().data.unwrap();
        for (kind, name, class, class_max) in [
            ("Model", "out", "internal", "internal"),
            ("Model", "own", "internal", "personal"),
            ("Root", "books", "personal", "personal"),
            ("Root", "other", "public", "public"),
            ("Host", "a.example", "internal", "internal"),
            ("Host", "b.example", "internal", "public"),
            ("Program", "sort", "internal", "personal"),
            ("Program", "cat", "internal", "internal"),
            ("Source", "/agents", "personal", "personal"),
        ] {
            assert_eq!(data.class_at(kind, name), class, "{name}");
            assert_eq!(data.class_max(kind, name), class_max, "{name}");
        }
        let mut sources = Sources::default();
        assert_eq!(data.class_of(&sources), "public");
        sources.add(&Sources::of(Source::Input("a".into()), "a"));
        assert_eq!(data.class_of(&sources), "internal");
        sources.add(&Sources::of(Source::Lowered("public".into()), "b"));
        assert_eq!(data.class_of(&sources), "internal");
        let told = Sources::of(Source::Session("/agents".into()), "b");
        assert_eq!(data.class_of(&told), "personal");
        sources.add(&Sources::of(Source::Labelled("of-another-canon".into()), "c"));
        assert_eq!(data.class_of(&sources), "personal");
        assert_eq!(data.up_to("internal"), ["public", "internal"]);
        assert_eq!(data.class_of(&Sources::of(Source::Many, "")), "personal");
    }

    #[test]
    fn a_host_on_two_lines_has_the_stricter_marks_of_both() {
        let rest = "[hosts]\nallow = [{ host = \"a.example\", class_max = \"personal\" }, \
                    { host = \"a.example\", ports = [8443], class = \"personal\", \
                    class_max = \"public\" }]\n";
        let data = settings(&format!("{DATA}{rest}")).unwrap().data.unwrap();
        assert_eq!(data.class_at("Host", "a.example"), "personal");
        assert_eq!(data.class_max("Host", "a.example"), "public");
    }

    #[test]
    fn what_is_wrong_with_classes_is_named_with_its_place() {
        let refused = |rest: &str, expected: &str| {
            let error = settings(rest).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        let root = "[roots]\nbooks = { within = [\".\"], class = \"personel\" }\n";
        refused(&format!("{DATA}{root}"), "canon.toml:10:");
        refused(&format!("{DATA}{root}"), "did you mean `personal`?");
        refused(root, "the root `books` has a class, and there are none");
        refused("[data]\nclasses = []\ndefault = \"a\"\n", "`data.classes` has 0 classes");
        refused("[data]\nclasses = [\"a\", \"a\"]\ndefault = \"a\"\n", "is there twice");
        refused("[data]\nclasses = [\"A b\"]\ndefault = \"a\"\n", "no name of a class");
        refused("[data]\nclasses = [\"open\"]\ndefault = \"closed\"\n", "the classes are open");
        refused("[data]\nclasses = [\"open\"]\n", "missing field `default`");
        let model = "[models.a]\nprovider = \"openai\"\nclass_max = \"secret\"\n";
        refused(&format!("{DATA}{model}"), "there is no class `secret`");
    }
}
