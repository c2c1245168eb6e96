//! The shape that the schema gives each action's context, as a table made at load.
//!
//! A request's context is turned into Cedar's values by that table: what the schema does not
//! declare is left out, what it declares must be there and be of its type.

use std::collections::{BTreeMap, HashMap, HashSet};

use cedar_policy::{EntityTypeName, EntityUid, RestrictedExpression, Schema, SchemaFragment};
use cog_base::json::{self, Map, Value};

use crate::error::{CanonError, with_causes};
use crate::source::SCHEMA;

/// Deepest nesting of a context's type.
pub const TYPE_DEPTH_MAX: usize = 32;
/// Most attributes of all contexts together.
pub const ATTRIBUTES_MAX: usize = 20_000;

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Long,
    Text,
    Bool,
    Set(Box<Shape>),
    Record(Record),
}

/// The attributes of a record.
pub(crate) type Record = BTreeMap<String, Attribute>;

/// One attribute of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    required: bool,
    shape: Shape,
}

impl Attribute {
    /// Its type.
    pub(crate) const fn shape(&self) -> &Shape {
        &self.shape
    }
}

/// What the schema says about one action.
#[derive(Clone, Debug)]
pub(crate) struct ActionShape {
    pub(crate) uid: EntityUid,
    pub(crate) principals: HashSet<EntityTypeName>,
    pub(crate) resources: HashSet<EntityTypeName>,
    pub(crate) context: Record,
}

/// Every action by its name.
pub(crate) type Actions = HashMap<String, ActionShape>;

/// Read the schema.
pub(crate) fn load(text: &str) -> Result<(Schema, Actions), CanonError> {
    let wrong = |error: &dyn miette::Diagnostic| CanonError::from_cedar(SCHEMA, text, error);
    let (fragment, _) =
        SchemaFragment::from_cedarschema_str(text).map_err(|error| wrong(&error))?;
    let (schema, warnings) = Schema::from_cedarschema_str(text).map_err(|error| wrong(&error))?;
    if let Some(warning) = warnings.into_iter().next() {
        return Err(wrong(&warning));
    }
    let json = fragment.to_json_string().map_err(|error| wrong(&error))?;
    let json =
        json::parse(&json).map_err(|error| CanonError::in_file(SCHEMA, error.to_string()))?;
    let types = Types::new(&json)?;
    let mut actions = Actions::new();
    for uid in schema.actions() {
        let name = uid.id().unescaped().to_owned();
        let shape = ActionShape {
            principals: of(schema.principals_for_action(uid)),
            resources: of(schema.resources_for_action(uid)),
            context: types.context_of(&name).map_err(|what| {
                let byte = text.find(&name).unwrap_or(0);
                CanonError::at_byte(SCHEMA, text, byte, format!("action `{name}`: {what}"))
            })?,
            uid: uid.clone(),
        };
        actions.insert(name, shape);
    }
    check_size(&actions)?;
    Ok((schema, actions))
}

fn of<'a>(names: Option<impl Iterator<Item = &'a EntityTypeName>>) -> HashSet<EntityTypeName> {
    names.into_iter().flatten().cloned().collect()
}

fn check_size(actions: &Actions) -> Result<(), CanonError> {
    fn size(record: &Record) -> usize {
        record.values().map(|attribute| 1 + below(&attribute.shape)).sum()
    }
    fn below(shape: &Shape) -> usize {
        match shape {
            Shape::Long | Shape::Text | Shape::Bool => 0,
            Shape::Set(of) => below(of),
            Shape::Record(record) => size(record),
        }
    }
    let total: usize = actions.values().map(|action| size(&action.context)).sum();
    if total > ATTRIBUTES_MAX {
        let what = format!("the contexts have {total} attributes, most {ATTRIBUTES_MAX}");
        return Err(CanonError::in_file(SCHEMA, what));
    }
    Ok(())
}

/// The types of a schema in Cedar's JSON form.
struct Types<'a> {
    actions: Option<&'a Map>,
    common: Option<&'a Map>,
    entities: Option<&'a Map>,
}

impl<'a> Types<'a> {
    fn new(json: &'a Value) -> Result<Self, CanonError> {
        let namespaces = json.as_map().into_iter().flatten();
        let named: Vec<_> = namespaces.filter(|(name, _)| !name.is_empty()).collect();
        if let Some((name, _)) = named.first() {
            let what = format!("the schema has a namespace `{name}`");
            return Err(CanonError::in_file(SCHEMA, what)
                .hint("write its types without a namespace: a canon has one domain only"));
        }
        let part = |name: &str| json.at(&["", name]).and_then(Value::as_map);
        Ok(Self {
            actions: part("actions"),
            common: part("commonTypes"),
            entities: part("entityTypes"),
        })
    }

    fn context_of(&self, action: &str) -> Result<Record, String> {
        let action = self.actions.and_then(|actions| actions.get(action));
        let context = action.and_then(|action| action.at(&["appliesTo", "context"]));
        match context {
            None | Some(Value::Null) => Ok(Record::new()),
            Some(context) => match self.shape(context, "context", 0)? {
                Shape::Record(record) => Ok(record),
                Shape::Long | Shape::Text | Shape::Bool | Shape::Set(_) => {
                    Err("the context is not a record".into())
                }
            },
        }
    }

    fn shape(&self, json: &Value, path: &str, depth: usize) -> Result<Shape, String> {
        if depth > TYPE_DEPTH_MAX {
            return Err(format!("`{path}` is nested deeper than {TYPE_DEPTH_MAX} levels"));
        }
        let text = |name: &str| json.get(name).and_then(Value::as_text);
        let kind = text("type").unwrap_or_default();
        match kind {
            "Set" => {
                let of =
                    json.get("element").ok_or_else(|| format!("`{path}` is a set of nothing"))?;
                Ok(Shape::Set(Box::new(self.shape(of, path, depth + 1)?)))
            }
            "Record" => self.record(json, path, depth),
            "Entity" | "EntityOrCommon" | "Extension" => {
                self.named(text("name").unwrap_or_default(), path, depth)
            }
            name => self.named(name, path, depth),
        }
    }

    fn record(&self, json: &Value, path: &str, depth: usize) -> Result<Shape, String> {
        let members = json.get("attributes").and_then(Value::as_map).into_iter().flatten();
        let attributes = members.map(|(name, json)| {
            let required = json.get("required").and_then(Value::as_bool).unwrap_or(true);
            let shape = self.shape(json, &format!("{path}.{name}"), depth + 1)?;
            Ok((name.clone(), Attribute { required, shape }))
        });
        attributes.collect::<Result<_, String>>().map(Shape::Record)
    }

    fn named(&self, name: &str, path: &str, depth: usize) -> Result<Shape, String> {
        let own = name.strip_prefix("__cedar::");
        if let Some(json) = self.common.filter(|_| own.is_none()).and_then(|all| all.get(name)) {
            return self.shape(json, path, depth + 1);
        }
        let basic = own.unwrap_or(name);
        let entity = self.entities.is_some_and(|all| own.is_none() && all.contains_key(name));
        match basic {
            _ if entity => Err(format!(
                "`{path}` is the entity type `{name}`; requests carry names, so declare it String"
            )),
            "Long" => Ok(Shape::Long),
            "String" => Ok(Shape::Text),
            "Bool" | "Boolean" => Ok(Shape::Bool),
            _ => Err(format!(
                "`{path}` has the type `{basic}`, which a context cannot carry; \
                 use Long, String, Bool, Set or a record"
            )),
        }
    }
}

/// The context's attributes that the table declares, as Cedar's values.
pub(crate) fn convert(
    table: &Record,
    context: &Map,
) -> Result<Vec<(String, RestrictedExpression)>, String> {
    let mut pairs = Vec::with_capacity(table.len());
    for (name, attribute) in table {
        let value = context.get(name);
        if let Some(value) = attribute.convert(value).map_err(|wrong| wrong.under(name))? {
            pairs.push((name.clone(), value));
        }
    }
    Ok(pairs)
}

/// What does not conform, and where; the path is built on the way out only.
pub(crate) struct Wrong {
    path: String,
    what: String,
}

impl Wrong {
    fn new(what: String) -> Self {
        Self { path: String::new(), what }
    }

    fn within(mut self, name: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.path = format!("{name}{dot}{}", self.path);
        self
    }

    fn under(self, name: &str) -> String {
        let Self { path, what } = self.within(name);
        format!("context.{path} {what}")
    }
}

impl Attribute {
    fn convert(&self, value: Option<&Value>) -> Result<Option<RestrictedExpression>, Wrong> {
        match value {
            None | Some(Value::Null) if !self.required => Ok(None),
            None => Err(Wrong::new("is missing".into())),
            Some(value) => self.shape.convert(value).map(Some),
        }
    }
}

impl Shape {
    fn convert(&self, value: &Value) -> Result<RestrictedExpression, Wrong> {
        let expected = match (self, value) {
            (Self::Long, Value::Int(number)) => {
                return Ok(RestrictedExpression::new_long(number.get()));
            }
            (Self::Text, Value::Text(text)) => {
                return Ok(RestrictedExpression::new_string(text.clone()));
            }
            (Self::Bool, Value::Bool(truth)) => return Ok(RestrictedExpression::new_bool(*truth)),
            (Self::Set(of), Value::List(items)) => return set(of, items),
            (Self::Record(table), Value::Map(members)) => return record(table, members),
            (Self::Long, _) => "a whole number",
            (Self::Text, _) => "a string",
            (Self::Bool, _) => "true or false",
            (Self::Set(_), _) => "a list",
            (Self::Record(_), _) => "an object",
        };
        Err(Wrong::new(format!("should be {expected}, but is {}", value.kind())))
    }
}

fn set(of: &Shape, items: &[Value]) -> Result<RestrictedExpression, Wrong> {
    let items: Vec<_> = items.iter().map(|item| of.convert(item)).collect::<Result<_, _>>()?;
    Ok(RestrictedExpression::new_set(items))
}

fn record(table: &Record, members: &Map) -> Result<RestrictedExpression, Wrong> {
    let mut pairs = Vec::with_capacity(table.len());
    for (name, attribute) in table {
        let value = attribute.convert(members.get(name)).map_err(|wrong| wrong.within(name))?;
        if let Some(value) = value {
            pairs.push((name.clone(), value));
        }
    }
    RestrictedExpression::new_record(pairs).map_err(|error| Wrong::new(with_causes(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        entity User, Root;
        type Document = { amount_cents: Long, country?: String };
        action "file.write" appliesTo {
            principal: [User], resource: [Root],
            context: { args: { path: String, document?: Document, tags?: Set<String> }, dry: Bool }
        };
    "#;

    fn check(context: &str, expected: &str) {
        let (_, actions) = load(TEXT).unwrap();
        let context = json::parse(context).unwrap();
        let table = &actions["file.write"].context;
        let words = match convert(table, context.as_map().unwrap()) {
            Ok(pairs) => {
                pairs.iter().map(|(name, value)| format!("{name}={value:?}")).count().to_string()
            }
            Err(wrong) => wrong,
        };
        assert_eq!(words, expected);
    }

    #[test]
    fn declared_attributes_must_be_there_and_of_their_type() {
        check(r#"{"args":{"path":"x"},"dry":true}"#, "2");
        check(r#"{"args":{"path":"x","document":null},"dry":true,"more":1.5e0}"#.replace("1.5e0", "1").as_str(), "2");
        check(r#"{"args":{"path":"x"}}"#, "context.dry is missing");
        check(r#"{"args":{},"dry":true}"#, "context.args.path is missing");
        check(
            r#"{"args":{"path":7},"dry":true}"#,
            "context.args.path should be a string, but is integer",
        );
        check(
            r#"{"args":{"path":"x","document":{"amount_cents":"7"}},"dry":true}"#,
            "context.args.document.amount_cents should be a whole number, but is string",
        );
        check(
            r#"{"args":{"path":"x","tags":["a",1]},"dry":true}"#,
            "context.args.tags should be a string, but is integer",
        );
    }

    #[test]
    fn what_a_context_cannot_carry_is_refused_at_load() {
        let refused = |context: &str, expected: &str| {
            let text = format!(
                "entity User, Root;\naction \"a.b\" appliesTo {{ principal: User, resource: Root, context: {context} }};"
            );
            assert_eq!(load(&text).unwrap_err().to_string(), expected);
        };
        refused(
            "{ who: User }",
            "schema.cedarschema:2:9: action `a.b`: `context.who` is the entity type `User`; requests carry names, so declare it String",
        );
        refused(
            "{ ip: ipaddr }",
            "schema.cedarschema:2:9: action `a.b`: `context.ip` has the type `ipaddr`, which a context cannot carry; use Long, String, Bool, Set or a record",
        );
    }
}
