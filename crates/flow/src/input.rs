//! Binding: what the starter gave becomes typed inputs and roots.

use std::collections::BTreeMap;

use cog_base::json::{Integer, Json, Map};
use cog_base::{Value, json};

use crate::definition::{BoundRoot, Flow, InputKind, InputSpec};
use crate::diagnostic::{self, Diagnostic, Diagnostics};
use crate::expr::{Bindings, StepFacts, weight};
use crate::limits::{MAX_INPUT_BYTES, MAX_VALUE_DEPTH};
use crate::template::{Template, TemplateError};
use cog_base::suggest;

/// Whether a value may be that of an input of this kind.
pub(crate) fn is_of_kind(kind: InputKind, value: &Value) -> bool {
    match kind {
        InputKind::String => value.as_text().is_some(),
        InputKind::Integer => value.as_int().is_some(),
        InputKind::Boolean => value.as_bool().is_some(),
        InputKind::List => value.as_list().is_some(),
        InputKind::Object => value.as_map().is_some(),
    }
}

/// Reads the text that was given for an input.
pub(crate) fn read(kind: InputKind, text: &str) -> Result<Value, String> {
    match kind {
        InputKind::String => Ok(Json::Text(text.to_owned())),
        InputKind::Integer => text
            .trim()
            .parse()
            .ok()
            .and_then(Integer::new)
            .map(Json::Int)
            .ok_or_else(|| "it takes a whole number within ±9007199254740991".to_owned()),
        InputKind::Boolean => match text.trim() {
            "true" => Ok(Json::Bool(true)),
            "false" => Ok(Json::Bool(false)),
            _ => Err("it takes `true` or `false`".to_owned()),
        },
        InputKind::List | InputKind::Object => {
            let value = json::parse_taken(text);
            let value = value.map_err(|error| format!("it takes JSON: {error}"))?;
            if is_of_kind(kind, &value) {
                return Ok(value);
            }
            let wanted = if kind == InputKind::List { "a JSON list" } else { "a JSON object" };
            Err(format!("it takes {wanted}, this is of the kind `{}`", value.kind()))
        }
    }
}

impl Flow {
    /// The inputs of a run: what was given, read by the kind of each input, and the
    /// defaults. An input that is neither required nor given nor has a default is null.
    ///
    /// # Errors
    /// [`Diagnostics`] names every input that is unknown, missing, of another kind or not
    /// among the allowed values.
    pub fn bind(&self, given: &BTreeMap<String, String>) -> Result<Map, Diagnostics> {
        self.bind_each(given, |name, spec, text| {
            if text.len() as u64 > MAX_INPUT_BYTES {
                return Err(format!("the input `{name}` is larger than 1 MiB"));
            }
            let kind = spec.kind;
            let not = |why| format!("the input `{name}` is not {}: {why}", kind.as_str());
            read(kind, text).map_err(not)
        })
    }

    /// The same, where what was not given is as it was `before` in another run.
    ///
    /// # Errors
    /// [`Diagnostics`], as `bind`.
    pub fn bind_over(
        &self,
        given: &BTreeMap<String, String>,
        before: &Map,
    ) -> Result<Map, Diagnostics> {
        let mut all = before.clone();
        for (name, text) in given {
            // What cannot be read is named with all else that is wrong.
            match self.inputs.get(name).map(|spec| read(spec.kind, text)) {
                Some(Ok(value)) => drop(all.insert(name.clone(), value)),
                Some(Err(_)) | None => return self.bind(given),
            }
        }
        self.bind_values(&all)
    }

    /// As [`Flow::bind`], from values: what a parent run, an event or an API call gives.
    /// Null stands for an input that is not given.
    ///
    /// # Errors
    /// [`Diagnostics`], as `bind`.
    pub fn bind_values(&self, given: &Map) -> Result<Map, Diagnostics> {
        let given = given.iter().filter(|(_, value)| !matches!(value, Json::Null));
        self.bind_each(given, |name, spec, value| {
            if is_of_kind(spec.kind, value) {
                return Ok(value.clone());
            }
            let (wanted, found) = (spec.kind.as_str(), value.kind());
            Err(format!("the input `{name}` is not {wanted}: it is {found}"))
        })
    }

    fn bind_each<'g, G: 'g>(
        &self,
        given: impl IntoIterator<Item = (&'g String, &'g G)>,
        read: impl Fn(&str, &InputSpec, &G) -> Result<Value, String>,
    ) -> Result<Map, Diagnostics> {
        let given: BTreeMap<&String, &G> = given.into_iter().collect();
        let mut faults = Vec::new();
        for name in given.keys().filter(|name| !self.inputs.contains_key(**name)) {
            let hint = suggest::hint(name, self.inputs.keys().map(String::as_str))
                .or_else(|| Some("this workflow has no inputs".to_owned()));
            faults.push(self.fault(format!("there is no input `{name}`"), hint));
        }
        let mut inputs = Map::new();
        for (name, spec) in &self.inputs {
            let bound = match given.get(name) {
                Some(given) => read(name, spec, given)
                    .and_then(|value| allowed(&format!("the input `{name}`"), spec, value))
                    .map_err(|why| (why, None)),
                None => not_given(name, spec),
            };
            match bound {
                Ok(value) => drop(inputs.insert(name.clone(), value)),
                Err((message, hint)) => faults.push(self.fault(message, hint)),
            }
        }
        let size: u64 = inputs.values().map(weight).sum();
        if size > MAX_INPUT_BYTES {
            faults.push(self.fault(format!("the inputs have {size} bytes, more than 1 MiB"), None));
        }
        if faults.is_empty() {
            faults.extend(self.subject_of(&inputs).err().map(|why| self.fault(why, None)));
            faults.extend(self.ask(&inputs).err().map(|why| self.fault(why, None)));
            faults.extend(self.labels_of(&inputs).err().map(|why| self.fault(why, None)));
        }
        if faults.is_empty() { Ok(inputs) } else { Err(diagnostic::from_list(faults)) }
    }

    /// Whose personal data a run with these inputs holds, as its file says: what of it has no
    /// subject of its own is sealed under the key of this one. Nothing when the file names nobody.
    ///
    /// # Errors
    /// Why what the file says comes to no name.
    pub fn subject_of(&self, inputs: &Map) -> Result<Option<String>, String> {
        let Some(subject) = &self.subject else { return Ok(None) };
        let not = |why: &str| format!("the subject of the run {why}");
        match self.of_inputs(subject, inputs) {
            Ok(Json::Text(name)) if name.is_empty() => Err(not("is empty")),
            Ok(Json::Text(name)) => Ok(Some(name)),
            Ok(Json::Int(number)) => Ok(Some(number.get().to_string())),
            Ok(other) => Err(not(&format!("is {}, and must be text", other.kind()))),
            Err(error) => Err(not(&format!("cannot be told: {error}"))),
        }
    }

    /// What a value of the file comes to that sees inputs alone.
    pub(crate) fn of_inputs(
        &self,
        template: &Template,
        inputs: &Map,
    ) -> Result<Value, TemplateError> {
        let bindings = InputsOnly { inputs: Json::Map(inputs.clone()), run: self.facts() };
        template.evaluate(&bindings)
    }

    /// A step that says whose data it holds, in a workflow that does not say it of its runs: their
    /// inputs and outputs stay when that is erased.
    #[must_use]
    pub fn half_sealed(&self) -> Option<&str> {
        if self.subject.is_some() { None } else { self.steps.names_subject() }
    }

    fn fault(&self, message: String, hint: Option<String>) -> Diagnostic {
        Diagnostic { file: self.file.clone(), at: None, message, hint, source_line: None }
    }

    /// The folders of a run with these inputs, in this environment.
    ///
    /// # Errors
    /// [`Diagnostics`] when the path of a root is not a text.
    pub fn roots(&self, inputs: &Map, environment: &str) -> Result<Vec<BoundRoot>, Diagnostics> {
        let mut run = self.facts();
        if let Json::Map(facts) = &mut run {
            facts.insert("environment".to_owned(), environment.into());
        }
        let bindings = InputsOnly { inputs: Json::Map(inputs.clone()), run };
        let mut faults = Vec::new();
        let mut roots = Vec::new();
        for root in &self.roots {
            let path = match root.path.evaluate(&bindings) {
                Ok(Json::Text(path)) if !path.is_empty() => path,
                Ok(other) => {
                    let found = if other.as_text().is_some() { "empty" } else { other.kind() };
                    let message = format!("the path of the root `{}` is {found}", root.name);
                    faults.push(self.fault(message, None));
                    continue;
                }
                Err(error) => {
                    let message = format!("the path of the root `{}`: {error}", root.name);
                    faults.push(self.fault(message, None));
                    continue;
                }
            };
            let (name, access, create) = (root.name.clone(), root.access, root.create);
            roots.push(BoundRoot { name, path, access, create });
        }
        if faults.is_empty() { Ok(roots) } else { Err(diagnostic::from_list(faults)) }
    }

    /// What `run` shows in expressions, without what the starter adds.
    pub(crate) fn facts(&self) -> Value {
        Value::map([
            ("workflow", self.name.as_str()),
            ("domain", self.domain.as_str()),
            ("environment", self.environment.as_str()),
        ])
    }
}

/// The value of an input that is not given, or why it must be.
fn not_given(name: &str, spec: &InputSpec) -> Result<Value, (String, Option<String>)> {
    match &spec.default {
        Some(value) => Ok(value.clone()),
        None if spec.required => {
            Err((format!("the input `{name}` is missing"), spec.description.clone()))
        }
        None => Ok(Json::Null),
    }
}

/// This value, if what is given may be so; `what` is that, in words.
pub(crate) fn allowed(what: &str, spec: &InputSpec, value: Value) -> Result<Value, String> {
    if !value.is_within(MAX_VALUE_DEPTH) {
        return Err(format!("{what} is nested deeper than {MAX_VALUE_DEPTH} levels"));
    }
    if spec.allowed.is_empty() || spec.allowed.contains(&value) {
        return Ok(value);
    }
    let allowed: Vec<String> = spec.allowed.iter().map(ToString::to_string).collect();
    Err(format!("{what} is not one of {}", allowed.join(", ")))
}

struct InputsOnly {
    inputs: Value,
    run: Value,
}

impl Bindings for InputsOnly {
    fn inputs(&self) -> &Value {
        &self.inputs
    }

    fn run(&self) -> &Value {
        &self.run
    }

    fn item(&self) -> Option<(&Value, u32)> {
        None
    }

    fn step(&self, _: &str) -> Option<StepFacts<'_>> {
        None
    }
}
