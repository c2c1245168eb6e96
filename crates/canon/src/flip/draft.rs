//! A request that may be changed, and its parts.

use cog_base::json::{Integer, Map, Value};

use crate::conform::{Record, Shape};
use crate::flip::change::{Change, set};

/// A request that may be changed.
pub(super) struct Draft {
    pub(super) principal: String,
    pub(super) resource: (String, String),
    pub(super) context: Map,
}

/// A part of a request that can be changed.
pub(super) enum Part {
    Number { path: String, from: i64 },
    Text { path: String, from: String },
    Truth { path: String, from: bool },
    Resource,
    Principal,
}

impl Draft {
    pub(super) fn apply(&mut self, change: &Change, unmentioned: &str) {
        match change {
            Change::Number { path, to, .. } => self.number(path, *to),
            Change::Text { path, to, .. } => set(&mut self.context, path, to.as_str().into()),
            Change::Other { path, .. } => set(&mut self.context, path, unmentioned.into()),
            Change::Truth { path, from } => set(&mut self.context, path, (!from).into()),
            Change::Resource { to, .. } => self.resource.1.clone_from(to),
            Change::Principal { to, .. } => self.principal.clone_from(to),
        }
    }

    pub(super) fn take_back(&mut self, change: &Change) {
        match change {
            Change::Number { path, from, .. } => self.number(path, *from),
            Change::Text { path, from, .. } | Change::Other { path, from } => {
                set(&mut self.context, path, from.as_str().into());
            }
            Change::Truth { path, from } => set(&mut self.context, path, (*from).into()),
            Change::Resource { from, .. } => self.resource.1.clone_from(from),
            Change::Principal { from, .. } => self.principal.clone_from(from),
        }
    }

    /// INVARIANT: no number is tried that JSON does not hold.
    fn number(&mut self, path: &str, number: i64) {
        if let Some(number) = Integer::new(number) {
            set(&mut self.context, path, Value::Int(number));
        }
    }
}

/// The parts of a context that policies read.
pub(super) fn attributes(shape: &Record, context: &Map, prefix: &str, found: &mut Vec<Part>) {
    // A name with a dot would be taken for a path.
    let matters = |name: &str| !name.contains('.');
    for (name, attribute) in shape.iter().filter(|(name, it)| matters(name) && it.is_read()) {
        let Some(value) = context.get(name) else { continue };
        let path = format!("{prefix}{name}");
        match (attribute.shape(), value) {
            (Shape::Record(inner), Value::Map(members)) => {
                attributes(inner, members, &format!("{path}."), found);
            }
            (Shape::Long, Value::Int(from)) => found.push(Part::Number { path, from: from.get() }),
            (Shape::Text, Value::Text(from)) => {
                found.push(Part::Text { path, from: from.clone() });
            }
            (Shape::Bool, Value::Bool(from)) => found.push(Part::Truth { path, from: *from }),
            _ => {}
        }
    }
}
