//! Where the roots of runs may stand.

use serde::Deserialize;

/// The name of the rule for roots that have none of their own.
pub(crate) const ANY: &str = "*";
/// How a folder stands to that of the workflow file when it holds it.
pub const ABOVE: &str = "..";

/// Where a root may stand.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootRule {
    /// Folders: absolute ones, and such as are meant from the folder of the workflow file. The
    /// root is one of them or inside one. `/` is every folder.
    pub within: Vec<String>,
    /// The class of the data in it, which is the highest that may be written there.
    #[serde(default)]
    pub class: Option<String>,
}

/// What a canon says of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may stand there.
    Admitted,
    /// It may not stand there.
    Elsewhere,
    /// The canon does not know it.
    Unknown,
}

/// The rules for all roots, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct RootRules(std::collections::BTreeMap<String, RootRule>);

impl RootRules {
    /// What is said of the root `name` that stands in the folder `path` and, if it is there,
    /// `beside` the workflow file: `.` for its very folder, [`ABOVE`] for one that holds it,
    /// otherwise the path from there.
    #[must_use]
    pub fn judge(&self, name: &str, path: Option<&str>, beside: Option<&str>) -> Standing {
        let Some(rule) = self.0.get(name).or_else(|| self.0.get(ANY)) else {
            return Standing::Unknown;
        };
        let admits = |within: &String| match within.as_str() {
            "/" => true,
            "." => beside.is_some_and(|beside| beside != ABOVE),
            absolute if absolute.starts_with('/') => is_in(path, absolute),
            relative => is_in(beside, relative),
        };
        if rule.within.iter().any(admits) { Standing::Admitted } else { Standing::Elsewhere }
    }

    /// The others that have a rule of their own and may stand in a folder that the root `name`
    /// shares something with: is, holds, or lies in. `path` and `beside` are those of
    /// [`RootRules::judge`]; of a folder that nobody knows it is taken that it does. A rule that lets
    /// its root stand anywhere, `/` or `.`, names no folder.
    pub fn sharing<'a>(
        &'a self,
        name: &'a str,
        path: Option<&'a str>,
        beside: Option<&'a str>,
    ) -> impl Iterator<Item = &'a str> + 'a {
        let others = self.0.iter().filter(move |(other, _)| *other != ANY && *other != name);
        let shares = move |within: &String| match within.as_str() {
            "/" | "." => false,
            absolute if absolute.starts_with('/') => meets(path, absolute),
            relative => path.is_none() || beside.is_some_and(|it| is_around(it, relative)),
        };
        let shared = others.filter(move |(_, rule)| rule.within.iter().any(shares));
        shared.map(|(name, _)| name.as_str())
    }

    /// The same rules, but that the root `name` may also stand in `folder`: an absolute path, or
    /// one from the folder of the workflow file.
    #[must_use]
    pub fn admitting(mut self, name: &str, folder: &str) -> Self {
        let rule = self.0.get(name).or_else(|| self.0.get(ANY));
        let mut within = rule.map(|rule| rule.within.clone()).unwrap_or_default();
        within.push(folder.to_owned());
        let class = rule.and_then(|rule| rule.class.clone());
        self.0.insert(name.to_owned(), RootRule { within, class });
        self
    }

    /// The class of each root that has one, by its name.
    pub(crate) fn classes(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter().filter_map(|(name, rule)| Some((name, rule.class.as_ref()?)))
    }

    /// The roots that have a class in folders that are meant from that of the workflow file, each
    /// with such a folder.
    pub(crate) fn movable(&self) -> impl Iterator<Item = (&str, &str)> {
        let marked = self.0.iter().filter(|(_, rule)| rule.class.is_some());
        marked.filter_map(|(name, rule)| {
            let within = rule.within.iter().find(|within| !within.starts_with('/'))?;
            Some((name.as_str(), within.as_str()))
        })
    }

    /// The first entry that is no folder in its one spelling: the root and the entry.
    pub(crate) fn malformed(&self) -> Option<(&str, &str)> {
        if let Some((name, _)) = self.0.iter().find(|(_, rule)| rule.within.is_empty()) {
            return Some((name, ""));
        }
        let bad = |within: &&String| !is_plain(within);
        self.0.iter().find_map(|(name, rule)| {
            rule.within.iter().find(bad).map(|within| (name.as_str(), within.as_str()))
        })
    }
}

fn is_in(folder: Option<&str>, outer: &str) -> bool {
    let rest = folder.and_then(|folder| folder.strip_prefix(outer));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether one of two absolute folders is the other or lies in it.
fn meets(path: Option<&str>, other: &str) -> bool {
    path.is_none_or(|path| path == "/" || is_in(Some(path), other) || is_in(Some(other), path))
}

/// Whether one of two folders beside a workflow file is the other or lies in it.
fn is_around(beside: &str, other: &str) -> bool {
    matches!(beside, "." | ABOVE) || is_in(Some(beside), other) || is_in(Some(other), beside)
}

fn is_plain(folder: &str) -> bool {
    let parts = folder.strip_prefix('/').unwrap_or(folder);
    let part = |part: &str| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control);
    matches!(folder, "/" | ".") || parts.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> RootRules {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_root_stands_where_its_rule_says() {
        let rules = rules(
            "payments = { within = [\"out\", \"/srv/pay\"] }\nbooks = { within = [\".\"] }\n\"*\" = { within = [\"/\"] }",
        );
        for (name, path, beside, expected) in [
            ("payments", "/w/out", Some("out"), Standing::Admitted),
            ("payments", "/w/out/2026", Some("out/2026"), Standing::Admitted),
            ("payments", "/w/outer", Some("outer"), Standing::Elsewhere),
            ("payments", "/w", Some("."), Standing::Elsewhere),
            ("payments", "/srv/pay", None, Standing::Admitted),
            ("payments", "/srv/payroll", None, Standing::Elsewhere),
            ("payments", "/etc", None, Standing::Elsewhere),
            ("books", "/w", Some("."), Standing::Admitted),
            ("books", "/etc", None, Standing::Elsewhere),
            ("other", "/etc", None, Standing::Admitted),
        ] {
            assert_eq!(rules.judge(name, Some(path), beside), expected, "{name} {path}");
        }
        assert_eq!(rules.judge("payments", None, None), Standing::Elsewhere);
    }

    #[test]
    fn what_shares_a_folder_is_found_whatever_it_is_called() {
        let rules = rules(
            "a = { within = [\"in\"] }\nb = { within = [\"/srv/pay\"] }\n\"*\" = { within = [\"/\"] }",
        );
        for (path, beside, expected) in [
            ("/w/in", Some("in"), "a"),
            ("/w/in/deep", Some("in/deep"), "a"),
            ("/w", Some("."), "a"),
            ("/", Some(ABOVE), "a b"),
            ("/home", Some(ABOVE), "a"),
            ("/w/inner", Some("inner"), ""),
            ("/w/out", Some("out"), ""),
            ("/srv", None, "b"),
            ("/srv/pay/x", None, "b"),
            ("/srv/payroll", None, ""),
        ] {
            let found: Vec<_> = rules.sharing("other", Some(path), beside).collect();
            assert_eq!(found.join(" "), expected, "{path}");
        }
        assert_eq!(rules.sharing("other", None, None).count(), 2);
        assert_eq!(rules.sharing("a", Some("/w/in"), Some("in")).count(), 0);
        let free = self::rules("a = { within = [\".\"] }\nb = { within = [\"/\"] }");
        let sharing = |name| free.sharing(name, Some("/w/x"), Some("x")).count();
        assert_eq!([sharing("a"), sharing("b"), sharing("other")], [0, 0, 0]);
    }

    #[test]
    fn a_root_without_a_rule_is_unknown() {
        let rules = rules("payments = { within = [\"out\"] }");
        assert_eq!(rules.judge("other", Some("/w"), Some(".")), Standing::Unknown);
        assert_eq!(RootRules::default().judge("a", Some("/w"), None), Standing::Unknown);
    }

    #[test]
    fn folders_have_one_spelling() {
        for (within, good) in [
            ("/", true),
            (".", true),
            ("out/x", true),
            ("/srv", true),
            ("..", false),
            ("out/", false),
            ("a//b", false),
            ("./out", false),
            ("/srv/../etc", false),
            ("", false),
        ] {
            let rules = rules(&format!("a = {{ within = [{within:?}] }}"));
            assert_eq!(rules.malformed().is_none(), good, "{within}");
        }
        assert!(rules("a = { within = [] }").malformed().is_some());
    }
}
