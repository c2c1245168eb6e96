//! The step that ends a run by beginning the next one of the same definition.

use std::collections::BTreeMap;

use cog_base::{Value, suggest};

use super::Reader;
use super::block::Inherited;
use super::scope::Scope;
use crate::definition::{Block, Body, InputSpec};
use crate::effect::describe;
use crate::fields::{self, Fields, Shape};
use crate::input::is_of_kind;
use crate::template::Template;
use crate::tree::Node;

const CONTINUE: Shape = Shape { what: "`continue_as_new`", required: &[], optional: &["inputs"] };

/// Where a file says that its runs continue as new.
pub(super) struct Continuing {
    at: usize,
    id: String,
    /// Where each input is given, and its value where that is the same in every run.
    inputs: BTreeMap<String, (usize, Option<Value>)>,
}

impl Reader<'_, '_> {
    pub(super) fn continuing(
        &mut self,
        node: &Node,
        (at, id): (usize, &str),
        scope: &Scope<'_>,
        inherited: Inherited<'_>,
    ) -> Option<Body> {
        let fields = Fields::open(node, &CONTINUE, self.reports)?;
        if !inherited.is_outermost {
            let message = "`continue_as_new` stands inside another step, and it ends the whole run";
            let hint = "put it among the outermost steps, with an `if` that says when";
            self.reports.error(at, message, hint);
        }
        if self.continuing.is_some() {
            let message = "another step of this file continues as new already";
            self.reports.error(at, message, "keep one, and say the cases in its inputs");
        }
        let given = fields.get("inputs");
        let inputs = given.map(|node| self.templates(node, "inputs", scope)).unwrap_or_default();
        let keys = given.map(|node| fields::members(node, "inputs", self.reports));
        let known = |name: &str| inputs.get(name).and_then(Template::known);
        let keys = keys.unwrap_or_default().iter();
        let places = keys.map(|(key, _)| (key.name.clone(), (key.at, known(&key.name))));
        let (id, places) = (id.to_owned(), places.collect());
        self.continuing.get_or_insert(Continuing { at, id, inputs: places });
        Some(Body::Continue(inputs))
    }

    /// What can be said of it only when the whole file was read.
    pub(super) fn check_continuing(
        &mut self,
        fields: &Fields<'_>,
        inputs: &BTreeMap<String, InputSpec>,
        steps: &Block,
    ) {
        let Some(Continuing { at, id, inputs: given }) = self.continuing.take() else { return };
        for key in ["concurrency", "rate"].into_iter().filter(|key| fields.get(key).is_some()) {
            let message = format!("`{key}` and `continue_as_new` do not go together");
            let hint = "the next run would either pass those that wait for their turn, or wait \
                        behind them while its chain stands still: leave one of the two out";
            self.reports.error(fields.key_at(key), message, hint);
        }
        for step in steps.steps.iter().filter(|step| step.needs.contains(&id)) {
            let message =
                format!("`{}` needs `{id}`, behind which nothing of this run comes", step.id);
            self.reports.error(at, message, "let it be needed by nothing: it ends the run");
        }
        for (name, (at, value)) in &given {
            let Some(input) = inputs.get(name) else {
                // An input that is wrong itself was reported.
                if !self.inputs.contains(name) {
                    let hint = suggest::hint(name, inputs.keys().map(String::as_str));
                    self.reports.with_hint(*at, format!("there is no input `{name}`"), hint);
                }
                continue;
            };
            // Null stands for an input that is not given.
            let value = value.as_ref().filter(|value| **value != Value::Null);
            if let Some(wrong) = value.filter(|value| !is_of_kind(input.kind, value)) {
                let (wanted, found) = (input.kind.as_str(), describe(wrong));
                let message = format!("the input `{name}` is of type {wanted}, this is {found}");
                self.reports.with_hint(*at, message, input.description.clone());
            }
        }
        for (name, input) in inputs {
            if input.required && input.default.is_none() && !given.contains_key(name) {
                let message = format!("the next run needs the input `{name}`");
                let hint =
                    format!("hand it on: `inputs: {{ {name}: \"${{{{ inputs.{name} }}}}\" }}`");
                self.reports.with_hint(at, message, hint);
            }
        }
    }
}
