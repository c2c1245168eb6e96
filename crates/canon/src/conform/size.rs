//! How large a schema is with each type written out wherever it is named: a few lines of types that
//! name one another twice come to more attributes than there is memory for.

use std::collections::BTreeMap;

use cog_base::json::{Map, Value};

use super::{ATTRIBUTES_MAX, TYPE_DEPTH_MAX};
use crate::error::CanonError;
use crate::source::SCHEMA;

/// Deepest nesting of what is measured. A context that is less deep is told with its path.
const LEVELS_MAX: usize = 2 * TYPE_DEPTH_MAX;

/// Refuse what is too large. The schema is in Cedar's JSON form.
pub(super) fn check(json: &Value) -> Result<(), CanonError> {
    let (mut total, mut largest) = (0_usize, 0_usize);
    for (_, namespace) in json.as_map().into_iter().flatten() {
        let part = |name: &str| namespace.get(name).and_then(Value::as_map);
        let mut types = Types { common: part("commonTypes"), known: BTreeMap::new() };
        let entities = part("entityTypes").into_iter().flatten();
        let shapes = entities.flat_map(|(_, it)| [it.get("shape"), it.get("tags")]).flatten();
        let actions = part("actions").into_iter().flatten();
        let contexts = actions.filter_map(|(_, it)| it.at(&["appliesTo", "context"]));
        for shape in shapes.chain(contexts) {
            total = total.saturating_add(types.size(shape, 0).attributes);
        }
        // Cedar writes out those that nothing names as well.
        let named = types.common.into_iter().flatten();
        let named = named.map(|(name, _)| types.named(name, 0).attributes);
        largest = named.fold(largest, usize::max);
    }
    let total = total.max(largest);
    if total > ATTRIBUTES_MAX {
        let of = if total == usize::MAX { "too many ".to_owned() } else { format!("{total} ") };
        let what = format!(
            "contexts and entity types have {of}attributes, with each type written out where it \
             is named; there may be {ATTRIBUTES_MAX}, {TYPE_DEPTH_MAX} deep"
        );
        return Err(CanonError::in_file(SCHEMA, what).hint("name fewer types within one another"));
    }
    Ok(())
}

struct Types<'a> {
    common: Option<&'a Map>,
    /// Named types, once measured.
    known: BTreeMap<&'a str, Size>,
}

/// The attributes of a type and the levels that it is deep.
#[derive(Clone, Copy, Default)]
struct Size {
    attributes: usize,
    levels: usize,
}

impl Size {
    /// What is deeper than any may be, or within itself.
    const NONE_SUCH: Self = Self { attributes: usize::MAX, levels: 0 };

    const fn and(self, other: Self) -> Self {
        let levels = if self.levels > other.levels { self.levels } else { other.levels };
        Self { attributes: self.attributes.saturating_add(other.attributes), levels }
    }

    /// One level up, with so many attributes there.
    const fn within(self, attributes: usize) -> Self {
        Self {
            attributes: self.attributes.saturating_add(attributes),
            levels: self.levels.saturating_add(1),
        }
    }
}

impl<'a> Types<'a> {
    fn size(&mut self, json: &'a Value, depth: usize) -> Size {
        if depth > LEVELS_MAX {
            return Size::NONE_SUCH;
        }
        let text = |name: &str| json.get(name).and_then(Value::as_text);
        match text("type").unwrap_or_default() {
            "Set" => json
                .get("element")
                .map_or_else(Size::default, |of| self.size(of, depth + 1).within(0)),
            "Record" => {
                let members = json.get("attributes").and_then(Value::as_map).into_iter().flatten();
                let sizes = members.map(|(_, of)| self.size(of, depth + 1).within(1));
                sizes.fold(Size::default(), Size::and)
            }
            "Entity" | "EntityOrCommon" | "Extension" => {
                text("name").map_or_else(Size::default, |name| self.named(name, depth))
            }
            name => self.named(name, depth),
        }
    }

    fn named(&mut self, name: &str, depth: usize) -> Size {
        let Some((name, json)) = self.common.and_then(|all| all.get_key_value(name)) else {
            return Size::default();
        };
        let size = match self.known.get(name.as_str()) {
            Some(known) => *known,
            None => self.size(json, depth + 1),
        };
        self.known.insert(name, size);
        if depth.saturating_add(size.levels) > LEVELS_MAX { Size::NONE_SUCH } else { size }
    }
}

#[cfg(test)]
mod tests {
    use super::super::load;

    fn check(types: &str, is_fine: bool) {
        let action =
            "action \"a\" appliesTo { principal: [U], resource: [U], context: { x: D0 } };";
        let text = format!("entity U;\n{types}\n{action}");
        assert_eq!(load(&text).is_ok(), is_fine, "{}", types.get(..80).unwrap_or(types));
    }

    /// `D0` of `D1` and so on, each named so many times in the one before.
    fn chain(length: usize, times: usize) -> String {
        let one = |at: usize| {
            let names = (0..times).map(|name| format!("a{name}: D{}", at + 1));
            format!("type D{at} = {{ {} }};\n", names.collect::<Vec<_>>().join(", "))
        };
        (0..length).map(one).collect::<String>() + &format!("type D{length} = Long;")
    }

    #[test]
    fn types_that_name_one_another_are_measured_before_they_are_written_out() {
        check(&chain(4, 3), true);
        check(&chain(40, 2), false);
        check(&chain(5_000, 1), false);
        check(&format!("entity E = {{ a: D0 }};\n{}", chain(30, 2)), false);
        check(&format!("type D0 = Long; {}", chain(40, 2).replace('D', "E")), false);
        check("type D0 = { a: D0 };", false);
        let shallow_first: String =
            (0..500).rev().map(|at| format!("entity E{at:03} = {{ a: D{at} }};\n")).collect();
        check(&(shallow_first + &chain(500, 1)), false);
    }
}
