//! The shape that the schema gives each action's context, as a table made at load.
//!
//! A request's context is turned into Cedar's values by that table: what the schema does not
//! declare is left out, what it declares must be there and be of its type. What no policy
//! reads is looked at and not handed on.

mod size;

use std::collections::{BTreeMap, HashMap};

use cedar_policy::{EntityTypeName, EntityUid, Schema, SchemaFragment};
use cedar_policy_core::ast::{Context, Value as Cedar, ValueKind};
use cog_base::json::{self, Map, Value};

use crate::condition::Reads;
use crate::error::CanonError;
use crate::facts::kind;
use crate::hierarchy;
use crate::nesting;
use crate::source::SCHEMA;

/// Deepest nesting of a context's type.
pub const TYPE_DEPTH_MAX: usize = 32;
/// Most attributes of all contexts and entity types together.
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
    /// Whether a policy reads it.
    read: bool,
}

impl Attribute {
    /// Its type.
    pub(crate) const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Whether it must be there.
    pub(crate) const fn is_required(&self) -> bool {
        self.required
    }

    /// Whether a policy reads it.
    pub(crate) const fn is_read(&self) -> bool {
        self.read
    }
}

/// What the schema says about one action.
#[derive(Clone, Debug)]
pub(crate) struct ActionShape {
    pub(crate) uid: EntityUid,
    /// Who may ask, by kind: `agent`.
    pub(crate) principals: HashMap<String, EntityTypeName>,
    /// What it may be done to, by type: `Root`.
    pub(crate) resources: HashMap<String, EntityTypeName>,
    pub(crate) context: Record,
}

impl ActionShape {
    /// Whether it only groups others: nobody does it, and it is done to nothing.
    pub(crate) fn is_group(&self) -> bool {
        self.principals.is_empty() && self.resources.is_empty()
    }

    /// Note what the policies about this action read of its context.
    pub(crate) fn mark(&mut self, reads: &Reads) {
        mark(&mut self.context, reads, false);
    }
}

/// Every action by its name.
pub(crate) type Actions = HashMap<String, ActionShape>;

/// Read the schema.
pub(crate) fn load(text: &str) -> Result<(Schema, Actions), CanonError> {
    nesting::check(SCHEMA, text)?;
    let wrong = |error: &dyn miette::Diagnostic| CanonError::from_cedar(SCHEMA, text, error);
    let (fragment, _) =
        SchemaFragment::from_cedarschema_str(text).map_err(|error| wrong(&error))?;
    let json = fragment.to_json_string().map_err(|error| wrong(&error))?;
    let json =
        json::parse(&json).map_err(|error| CanonError::in_file(SCHEMA, error.to_string()))?;
    // Before Cedar writes each type out wherever it is named.
    size::check(&json)?;
    hierarchy::check_schema(text, &json)?;
    let (schema, warnings) = Schema::from_cedarschema_str(text).map_err(|error| wrong(&error))?;
    if let Some(warning) = warnings.into_iter().next() {
        return Err(wrong(&warning));
    }
    let types = Types::new(&json)?;
    let mut actions = Actions::new();
    for uid in schema.actions() {
        let name = uid.id().unescaped().to_owned();
        let shape = ActionShape {
            principals: by(kind, schema.principals_for_action(uid)),
            resources: by(|it| it.basename().to_owned(), schema.resources_for_action(uid)),
            context: types.context_of(&name).map_err(|what| {
                let byte = text.find(&name).unwrap_or(0);
                CanonError::at_byte(SCHEMA, text, byte, format!("action `{name}`: {what}"))
            })?,
            uid: uid.clone(),
        };
        actions.insert(name, shape);
    }
    Ok((schema, actions))
}

fn by<'a>(
    key: fn(&EntityTypeName) -> String,
    names: Option<impl Iterator<Item = &'a EntityTypeName>>,
) -> HashMap<String, EntityTypeName> {
    names.into_iter().flatten().map(|name| (key(name), name.clone())).collect()
}

fn mark(table: &mut Record, reads: &Reads, all: bool) {
    let all = all || reads.whole;
    let nothing = Reads::default();
    for (name, attribute) in table {
        let below = reads.members.get(name);
        attribute.read = all || below.is_some();
        attribute.shape.mark(below.unwrap_or(&nothing), all);
    }
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
            Ok((name.clone(), Attribute { required, shape, read: false }))
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

/// The context's attributes that the table declares and policies read, as Cedar's values.
pub(crate) fn convert(table: &Record, context: &Map) -> Result<Context, String> {
    let mut pairs = Vec::with_capacity(table.len());
    for (name, attribute) in table {
        let value = attribute.convert(context.get(name), true);
        if let Some(value) = value.map_err(|wrong| wrong.under(name))? {
            pairs.push((name.as_str(), value));
        }
    }
    let ValueKind::Record(attributes) = ValueKind::record(pairs) else {
        return Err("the context is no record".into());
    };
    Ok(Context::Value(attributes))
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
    /// Its value if it is wanted; that it conforms is found out in any case.
    fn convert(&self, value: Option<&Value>, wanted: bool) -> Result<Option<Cedar>, Wrong> {
        match value {
            None | Some(Value::Null) if !self.required => Ok(None),
            None => Err(Wrong::new("is missing".into())),
            Some(value) => self.shape.convert(value, wanted && self.read),
        }
    }
}

impl Shape {
    fn convert(&self, value: &Value, wanted: bool) -> Result<Option<Cedar>, Wrong> {
        let expected = match (self, value) {
            (Self::Long, Value::Int(number)) => {
                return Ok(wanted.then(|| Cedar::from(number.get())));
            }
            (Self::Text, Value::Text(text)) => {
                return Ok(wanted.then(|| Cedar::from(text.as_str())));
            }
            (Self::Bool, Value::Bool(truth)) => return Ok(wanted.then(|| Cedar::from(*truth))),
            (Self::Set(of), Value::List(items)) => return set(of, items, wanted),
            (Self::Record(table), Value::Map(members)) => return record(table, members, wanted),
            (Self::Long, _) => "a whole number",
            (Self::Text, _) => "a string",
            (Self::Bool, _) => "true or false",
            (Self::Set(_), _) => "a list",
            (Self::Record(_), _) => "an object",
        };
        Err(Wrong::new(format!("should be {expected}, but is {}", value.kind())))
    }

    fn mark(&mut self, reads: &Reads, all: bool) {
        match self {
            Self::Long | Self::Text | Self::Bool => {}
            // Of a set all is read: its items are compared as they are.
            Self::Set(of) => of.mark(reads, true),
            Self::Record(table) => mark(table, reads, all),
        }
    }
}

fn set(of: &Shape, items: &[Value], wanted: bool) -> Result<Option<Cedar>, Wrong> {
    let mut found = Vec::with_capacity(if wanted { items.len() } else { 0 });
    for item in items {
        found.extend(of.convert(item, wanted)?);
    }
    Ok(wanted.then(|| Cedar::set(found, None)))
}

fn record(table: &Record, members: &Map, wanted: bool) -> Result<Option<Cedar>, Wrong> {
    let mut pairs = Vec::with_capacity(if wanted { table.len() } else { 0 });
    for (name, attribute) in table {
        let value = attribute.convert(members.get(name), wanted);
        if let Some(value) = value.map_err(|wrong| wrong.within(name))? {
            pairs.push((name.as_str(), value));
        }
    }
    Ok(wanted.then(|| Cedar::record(pairs, None)))
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

    fn reads(condition: &str) -> Reads {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let mut reads = Reads::default();
        reads.add(&cedar_policy::Policy::parse(None, text).unwrap());
        reads
    }

    fn converted(read: &str, context: &str) -> String {
        let (_, mut actions) = load(TEXT).unwrap();
        let context = json::parse(context).unwrap();
        let action = actions.get_mut("file.write").unwrap();
        action.mark(&reads(read));
        let converted = convert(&action.context, context.as_map().unwrap());
        converted.map_or_else(|wrong| wrong, |context| context.to_string())
    }

    /// Whatever the policies read, a context conforms or it does not.
    fn check(context: &str, expected: &str) {
        assert_eq!(converted("context == {}", context), expected);
        let of_nothing = converted("true", context);
        if expected.starts_with('{') {
            assert_eq!(of_nothing, "{}");
        } else {
            assert_eq!(of_nothing, expected);
        }
    }

    #[test]
    fn what_no_policy_reads_is_not_handed_on() {
        let check = |read: &str, expected: &str| {
            let context = r#"{"args":{"path":"x","document":{"amount_cents":7,"country":"at"},
                "tags":["b","a"]},"dry":true}"#;
            assert_eq!(converted(read, context), expected, "{read}");
        };
        check("context.dry", "{dry: true}");
        check("context.args.path == \"x\" && !context.dry", r#"{args: {path: "x"}, dry: true}"#);
        check("context.args has document", "{args: {document: {}}}");
        check(
            "context.args has document.country && context.args.document.amount_cents < 3",
            r#"{args: {document: {amount_cents: 7, country: "at"}}}"#,
        );
        check("context.args.tags.contains(\"a\")", r#"{args: {tags: ["a", "b"]}}"#);
        check(
            "context.args.document == context.args.document",
            r#"{args: {document: {amount_cents: 7, country: "at"}}}"#,
        );
    }

    #[test]
    fn declared_attributes_must_be_there_and_of_their_type() {
        check(r#"{"args":{"path":"x"},"dry":true}"#, r#"{args: {path: "x"}, dry: true}"#);
        check(
            r#"{"args":{"path":"x","document":null},"dry":true,"more":1}"#,
            r#"{args: {path: "x"}, dry: true}"#,
        );
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
