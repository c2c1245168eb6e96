//! Forms: what people fill in when they say yes. Their fields are said as inputs are, and what is filled in
//! is evidence: steps read it, and nothing that was asked changes by it.

use std::collections::BTreeMap;

use cog_base::Value;
use cog_base::json::{Json, Map};
use cog_base::suggest;

use crate::definition::{InputKind, InputSpec};
use crate::expr::weight;
use crate::input::{allowed, is_of_kind, read};
use crate::limits::MAX_FORM_BYTES;

/// The fields of a form, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form(pub BTreeMap<String, InputSpec>);

impl Form {
    /// Whether there is nothing to fill in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As those who are asked see it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let field = |(name, spec): (&String, &InputSpec)| {
            let enumerated = (!spec.allowed.is_empty()).then(|| Value::list(spec.allowed.clone()));
            let description = spec.description.as_deref().map(Value::from);
            let default = spec.default.clone().map(|value| ("default", value));
            let more = enumerated.map(|all| ("enum", all)).into_iter().chain(default);
            let more = more.chain(description.map(|it| ("description", it)));
            let members =
                [("type", Value::from(spec.kind.as_str())), ("required", spec.required.into())];
            (name.clone(), Value::map(members.into_iter().chain(more)))
        };
        Value::Map(self.0.iter().map(field).collect())
    }

    /// What [`Form::to_value`] wrote.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        let field = |(name, field): (&String, &Value)| {
            let text = |name: &str| field.get(name).and_then(Value::as_text);
            let spec = InputSpec {
                kind: InputKind::from_word(text("type")?)?,
                default: field.get("default").cloned(),
                required: field.get("required")?.as_bool()?,
                allowed: field.get("enum").and_then(Value::as_list).unwrap_or_default().to_vec(),
                description: text("description").map(str::to_owned),
                label: None,
            };
            Some((name.clone(), spec))
        };
        value.as_map()?.iter().map(field).collect::<Option<_>>().map(Self)
    }

    /// What was filled in as text, read by the kind of each field.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn bind(&self, given: &BTreeMap<String, String>) -> Result<Map, String> {
        self.bind_each(given, |name, spec, text| {
            read(spec.kind, text)
                .map_err(|why| format!("the field `{name}` is not {}: {why}", spec.kind.as_str()))
        })
    }

    /// The same of values.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn bind_values(&self, given: &Map) -> Result<Map, String> {
        let given = given.iter().filter(|(_, value)| !matches!(value, Json::Null));
        self.bind_each(given, |name, spec, value| {
            if is_of_kind(spec.kind, value) {
                return Ok(value.clone());
            }
            let (wanted, found) = (spec.kind.as_str(), value.kind());
            Err(format!("the field `{name}` is not {wanted}: it is {found}"))
        })
    }

    fn bind_each<'g, G: 'g>(
        &self,
        given: impl IntoIterator<Item = (&'g String, &'g G)>,
        read: impl Fn(&str, &InputSpec, &G) -> Result<Value, String>,
    ) -> Result<Map, String> {
        let given: BTreeMap<&String, &G> = given.into_iter().collect();
        if let Some(name) = given.keys().find(|name| !self.0.contains_key(**name)) {
            let hint = suggest::hint(name, self.0.keys().map(String::as_str));
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            return Err(format!("the form has no field `{name}`{hint}"));
        }
        let mut filled = Map::new();
        for (name, spec) in &self.0 {
            let value = match given.get(name) {
                Some(given) => {
                    allowed(&format!("the field `{name}`"), spec, read(name, spec, given)?)?
                }
                None if spec.required => return Err(format!("the field `{name}` is missing")),
                // What people were asked has it, and so their yes is bound to it.
                None => spec.default.clone().unwrap_or(Value::Null),
            };
            filled.insert(name.clone(), value);
        }
        let size: u64 = filled.values().map(weight).sum();
        if size > MAX_FORM_BYTES {
            return Err(format!("what is filled in has {size} bytes, more than 64 KiB"));
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: InputKind, required: bool, allowed: &[&str]) -> InputSpec {
        let allowed = allowed.iter().map(|it| Value::from(*it)).collect();
        let description = Some("why".to_owned());
        InputSpec { kind, default: None, required, allowed, description, label: None }
    }

    fn form() -> Form {
        Form(BTreeMap::from([
            ("cents".to_owned(), field(InputKind::Integer, true, &[])),
            ("way".to_owned(), field(InputKind::String, false, &["sepa", "card"])),
            (
                "copies".to_owned(),
                InputSpec { default: Some(2_u64.into()), ..field(InputKind::Integer, false, &[]) },
            ),
        ]))
    }

    #[test]
    fn a_form_is_read_as_it_was_written() {
        assert_eq!(Form::of(&form().to_value()), Some(form()));
        assert_eq!(Form::of(&Value::from("x")), None);
    }

    #[test]
    fn what_is_filled_in_fits_or_is_told_why_not() {
        for (given, expected) in [
            (
                &[("cents", "7"), ("way", "sepa"), ("copies", "1")][..],
                "{\"cents\":7,\"copies\":1,\"way\":\"sepa\"}",
            ),
            (&[("cents", "7")], "{\"cents\":7,\"copies\":2,\"way\":null}"),
            (&[("way", "sepa")], "the field `cents` is missing"),
            (&[("cents", "seven")], "the field `cents` is not integer"),
            (&[("cents", "7"), ("way", "cash")], "the field `way` is not one of"),
            (&[("cents", "7"), ("ways", "card")], "the form has no field `ways`"),
        ] {
            let given = given.iter().map(|(name, text)| (name.to_string(), text.to_string()));
            let bound = form().bind(&given.collect());
            let told = bound.map_or_else(|why| why, |form| Value::Map(form).to_string());
            assert!(told.starts_with(expected), "{told}");
        }
        let values = |text: &str| cog_base::json::parse(text).unwrap().as_map().unwrap().clone();
        let bound = form().bind_values(&values("{\"cents\":7}")).unwrap();
        assert_eq!(form().bind_values(&bound), Ok(bound.clone()), "what was bound fits");
        let nothing = form().bind_values(&values("{\"cents\":7,\"copies\":null}")).unwrap();
        assert_eq!(nothing, bound, "null is what is not given");
        assert!(form().bind_values(&values("{\"cents\":\"7\"}")).is_err());
        let long = format!("{{\"cents\":7,\"way\":\"{}\"}}", "x".repeat(70_000));
        let mut any = form();
        any.0.insert("way".to_owned(), field(InputKind::String, false, &[]));
        assert!(any.bind_values(&values(&long)).unwrap_err().contains("64 KiB"));
    }
}
