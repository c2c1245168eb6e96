//! How deep groups lie in groups, bounded before Cedar works out who is in what, which takes the
//! cube of the depth.

use std::collections::{BTreeSet, HashMap, VecDeque};

use cog_base::Value;

use crate::error::CanonError;
use crate::source::SCHEMA;

/// Most groups that stand above one another.
pub const GROUPS_DEEP_MAX: usize = 32;
/// Most steps that working out all memberships may take: for each entity the groups that it is in,
/// directly or through others, and once more the groups of each of these.
pub const MEMBERSHIP_STEPS_MAX: usize = 5_000_000;

/// Most actions of a schema.
pub const ACTIONS_MAX: usize = 2_000;
/// Most steps that working out the groups of all actions may take.
pub const ACTION_STEPS_MAX: usize = 200_000;
/// Most entity types of a schema.
pub const ENTITY_TYPES_MAX: usize = 500;
/// Most types that entity types are said to be in, all together.
pub const TYPE_MEMBERSHIPS_MAX: usize = 5_000;

/// A file of facts: its name, its text, and what it says.
pub(crate) type File<'s> = (&'s str, &'s str, Value);

/// An entity: its type and its id.
type Uid<'s> = (&'s str, &'s str);

/// Refuse facts whose memberships would take ever so long to work out. What is no entity is left
/// to Cedar, which says so.
///
/// # Errors
/// With the place of the entity at which it became too much, or that is in itself.
pub(crate) fn check(files: &[File<'_>]) -> Result<(), CanonError> {
    let groups = Groups::of(files);
    match groups.wrong(MEMBERSHIP_STEPS_MAX) {
        None => Ok(()),
        Some((at, what, hint)) => Err(groups.error(at, &what, files).hint(hint)),
    }
}

/// Refuse a schema of too many actions or types, and one whose groups of actions would take ever so
/// long to work out. The schema comes as its text and in Cedar's JSON form.
///
/// # Errors
/// With the place of the action at which it became too much, or that is in itself.
pub(crate) fn check_schema(text: &str, json: &Value) -> Result<(), CanonError> {
    let parts = |name| {
        let namespaces = json.as_map().into_iter().flatten();
        namespaces.filter_map(move |(_, it)| it.get(name)?.as_map()).flatten()
    };
    let length = |of: Option<&Value>| of.and_then(Value::as_list).map_or(0, <[Value]>::len);
    let memberships = parts("entityTypes").map(|(_, it)| length(it.get("memberOfTypes"))).sum();
    for (count, most, what) in [
        (parts("actions").count(), ACTIONS_MAX, "actions"),
        (parts("entityTypes").count(), ENTITY_TYPES_MAX, "entity types"),
        (memberships, TYPE_MEMBERSHIPS_MAX, "types that entity types are in"),
    ] {
        if count > most {
            let what = format!("there are {count} {what}, most {most}");
            return Err(CanonError::in_file(SCHEMA, what).hint("leave out what no policy names"));
        }
    }
    let mut groups = Groups::default();
    for (id, action) in parts("actions") {
        let of = action.get("memberOf").and_then(Value::as_list).unwrap_or_default();
        let of = of.iter().filter_map(|group| Some((ACTION, group.get("id")?.as_text()?)));
        groups.add((ACTION, id), of);
    }
    match groups.wrong(ACTION_STEPS_MAX) {
        None => Ok(()),
        Some((at, what, hint)) => {
            let name = groups.names.get(at).map_or("", |(_, id)| id);
            let begun = ["action \"", "\"", ""].map(|begin| text.find(&format!("{begin}{name}")));
            let byte = begun.into_iter().flatten().next().unwrap_or(0);
            let what = format!("the action `{name}` {what}");
            Err(CanonError::at_byte(SCHEMA, text, byte, what).hint(hint))
        }
    }
}

/// The type of actions.
const ACTION: &str = "Action";

/// Which entities stand in which, by number.
#[derive(Default)]
struct Groups<'s> {
    names: Vec<Uid<'s>>,
    numbers: HashMap<Uid<'s>, usize>,
    parents: Vec<BTreeSet<usize>>,
    children: Vec<Vec<usize>>,
}

impl<'s> Groups<'s> {
    fn of(files: &'s [File<'s>]) -> Self {
        let mut groups = Self::default();
        for entity in files.iter().flat_map(|(_, _, value)| value.as_list().unwrap_or_default()) {
            let Some(child) = entity.get("uid").and_then(uid) else { continue };
            let parents = entity.get("parents").and_then(Value::as_list).unwrap_or_default();
            groups.add(child, parents.iter().filter_map(uid));
        }
        groups
    }

    fn add(&mut self, child: Uid<'s>, parents: impl Iterator<Item = Uid<'s>>) {
        let child = self.number(child);
        for parent in parents {
            let parent = self.number(parent);
            let is_new = self.parents.get_mut(child).is_some_and(|it| it.insert(parent));
            if is_new && let Some(children) = self.children.get_mut(parent) {
                children.push(child);
            }
        }
    }

    fn number(&mut self, name: Uid<'s>) -> usize {
        let next = self.names.len();
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.names.push(name);
            self.parents.push(BTreeSet::new());
            self.children.push(Vec::new());
        }
        number
    }

    /// The first entity that is too much, groups before what is in them.
    fn wrong(&self, steps_max: usize) -> Option<(usize, String, &'static str)> {
        let mut left: Vec<usize> = self.parents.iter().map(BTreeSet::len).collect();
        let mut ready: VecDeque<usize> =
            left.iter().enumerate().filter(|(_, left)| **left == 0).map(|(at, _)| at).collect();
        // All groups of each, and how many stand above one another.
        let mut above: Vec<(Vec<usize>, usize)> = vec![Default::default(); self.names.len()];
        let mut steps = 0_usize;
        while let Some(at) = ready.pop_front() {
            let parents: Vec<_> = self
                .parents
                .get(at)?
                .iter()
                .filter_map(|it| Some((*it, above.get(*it)?)))
                .collect();
            let deep = parents.iter().map(|(_, (_, deep))| deep + 1).max().unwrap_or(0);
            if deep > GROUPS_DEEP_MAX {
                let what = format!("is {deep} groups deep, most {GROUPS_DEEP_MAX}");
                return Some((at, what, "let groups stand in fewer groups of groups"));
            }
            let size = |at: &usize| above.get(*at).map_or(0, |(all, _)| all.len() + 1);
            steps += parents.iter().map(|(parent, _)| size(parent)).sum::<usize>();
            let mut all = BTreeSet::new();
            if steps <= steps_max {
                let of = |(at, (all, _)): &(usize, &(Vec<usize>, usize))| {
                    std::iter::once(*at).chain(all.iter().copied()).collect::<Vec<_>>()
                };
                all.extend(parents.iter().flat_map(of));
                steps += all.iter().map(size).sum::<usize>();
            }
            if steps > steps_max {
                let what = format!(
                    "is in groups of groups so many that working out who is in what takes more \
                     than {steps_max} steps"
                );
                return Some((
                    at,
                    what,
                    "let entities be in fewer groups, and groups in fewer groups",
                ));
            }
            *above.get_mut(at)? = (all.into_iter().collect(), deep);
            for child in self.children.get(at)? {
                let left = left.get_mut(*child)?;
                *left -= 1;
                if *left == 0 {
                    ready.push_back(*child);
                }
            }
        }
        let round = left.iter().position(|left| *left > 0)?;
        Some((round, "is in itself, or in what is".to_owned(), "take one of the parents out"))
    }

    fn error(&self, at: usize, what: &str, files: &[File<'_>]) -> CanonError {
        let (kind, id) = self.names.get(at).copied().unwrap_or_default();
        let what = format!("`{kind}::\"{id}\"` {what}");
        let quoted = format!("\"{id}\"");
        let place =
            files.iter().find_map(|(file, text, _)| Some((file, text, text.find(&quoted)?)));
        match (place, files.first()) {
            (Some((file, text, byte)), _) => CanonError::at_byte(file, text, byte, what),
            (None, Some((file, ..))) => CanonError::in_file(file, what),
            (None, None) => CanonError::in_file("facts", what),
        }
    }
}

/// Type and id of an entity, in either of the ways to write them.
fn uid(value: &Value) -> Option<Uid<'_>> {
    let value = value.get("__entity").unwrap_or(value);
    Some((value.get("type")?.as_text()?, value.get("id")?.as_text()?))
}

#[cfg(test)]
mod tests {
    use cog_base::json;

    use super::*;

    fn said(lines: &[String]) -> String {
        let text = format!("[{}]", lines.join(",\n"));
        let file = [("facts/a.json", text.as_str(), json::parse(&text).unwrap())];
        check(&file).map_or_else(|error| error.to_string(), |()| "fine".to_owned())
    }

    fn role(id: usize, parents: impl Iterator<Item = usize>) -> String {
        let of = |id| format!(r#"{{"type":"Role","id":"r{id}"}}"#);
        let parents: Vec<_> = parents.map(of).collect();
        format!(r#"{{"uid":{},"attrs":{{}},"parents":[{}]}}"#, of(id), parents.join(","))
    }

    #[test]
    fn groups_of_actions_are_bounded_and_counted() {
        let said = |text: String| {
            let loaded = crate::conform::load(&text);
            loaded.map_or_else(|error| error.to_string(), |_| "fine".to_owned())
        };
        let chain = |length: usize| {
            let lines = (0..length).map(|it| format!("action \"k{it}\" in [\"k{}\"];\n", it + 1));
            lines.collect::<String>() + &format!("action \"k{length}\";")
        };
        assert_eq!(said(chain(GROUPS_DEEP_MAX)), "fine");
        assert!(said(chain(500)).starts_with(
            "schema.cedarschema:468:1: the action `k467` is 33 groups deep, most 32\n  hint: "
        ));
        let many = |count: usize, of: &str| {
            (0..count).map(|it| of.replace('#', &it.to_string())).collect::<String>()
        };
        assert_eq!(said(many(ACTIONS_MAX, "action \"a#\";")), "fine");
        let actions = said(many(ACTIONS_MAX + 1, "action \"a#\";"));
        assert!(actions.contains("there are 2001 actions, most 2000"), "{actions}");
        let types = said(many(ENTITY_TYPES_MAX + 1, "entity E#;"));
        assert!(types.contains("there are 501 entity types, most 500"), "{types}");
        assert_eq!(said("entity Role in [Role];".to_owned()), "fine");
        let names: Vec<_> = (0..100).map(|it| format!("E{it}")).collect();
        let dense = many(100, &format!("entity E# in [{}];", names.join(", ")));
        let dense = said(dense);
        assert!(dense.contains("10000 types that entity types are in, most 5000"), "{dense}");
        let layer = |it: usize| {
            let above = (0..60).map(|at| format!("\"k{}_{at}\"", it + 1)).collect::<Vec<_>>();
            many(60, &format!("action \"k{it}_#\" in [{}];", above.join(", ")))
        };
        let wide = said((0..10).map(layer).collect::<String>() + &many(60, "action \"k10_#\";"));
        assert!(wide.contains("takes more than 200000 steps"), "{wide}");
    }

    #[test]
    fn groups_of_groups_are_bounded_before_anybody_works_them_out() {
        let chain = |length: usize| -> Vec<_> {
            (0..length).map(|it| role(it, it.checked_sub(1).into_iter())).collect()
        };
        assert_eq!(said(&chain(GROUPS_DEEP_MAX + 1)), "fine");
        assert!(said(&chain(1_000)).starts_with(
            "facts/a.json:34:28: `Role::\"r33\"` is 33 groups deep, most 32\n  hint: "
        ));
        // Few layers, and wide ones: 60 times 60 and so on, through all of the layers.
        let layers = |count: usize, wide: usize| -> Vec<_> {
            let below = |it: usize| (it / wide).checked_sub(1).map(|above| above * wide);
            let parents = |it| below(it).into_iter().flat_map(move |from| from..from + wide);
            (0..count * wide).map(|it| role(it, parents(it))).collect()
        };
        assert_eq!(said(&layers(3, 60)), "fine");
        assert!(said(&layers(30, 60)).contains("takes more than 5000000 steps"));
        assert!(
            said(&[role(1, std::iter::once(2)), role(2, std::iter::once(1))])
                .starts_with("facts/a.json:1:29: `Role::\"r1\"` is in itself, or in what is\n")
        );
    }
}
