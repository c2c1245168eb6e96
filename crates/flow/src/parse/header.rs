//! Inputs, roots and the budget.

use std::collections::BTreeMap;

use cog_base::Value;
use cog_base::json::Integer;

use super::Reader;
use super::block::Inherited;
use super::scope::Scope;
use crate::definition::{Access, Budget, InputKind, InputSpec, RootSpec, Undo};
use crate::fields::{self, Fields, Shape};
use crate::input;
use crate::limits::MAX_LABELS;
use crate::path::is_id;
use crate::search_labels::check_label;
use crate::template::Template;
use crate::tree::Node;
use cog_base::suggest;

const INPUT: Shape = Shape {
    what: "an input",
    required: &["type"],
    optional: &["default", "required", "enum", "class", "description"],
};
const ROOT: Shape =
    Shape { what: "a root", required: &["path", "access"], optional: &["create", "description"] };
const BUDGET: Shape =
    Shape { what: "`budget`", required: &[], optional: &["cost_micros", "effects", "minutes"] };

impl Reader<'_, '_> {
    pub(super) fn inputs(&mut self, node: &Node) -> BTreeMap<String, InputSpec> {
        let mut inputs = BTreeMap::new();
        for (key, value) in fields::members(node, "inputs", self.reports) {
            fields::check_id(key.at, &key.name, "input name", self.reports);
            self.inputs.insert(key.name.clone());
            if let Some(spec) = self.input(&key.name, value) {
                inputs.insert(key.name.clone(), spec);
            }
        }
        inputs
    }

    /// What runs are found by.
    pub(super) fn labels(&mut self, node: &Node) -> BTreeMap<String, Template> {
        let mut labels = BTreeMap::new();
        for (at, (key, value)) in fields::members(node, "labels", self.reports).iter().enumerate() {
            if at == MAX_LABELS {
                let message = format!("a run has at most {MAX_LABELS} labels");
                self.reports.error(key.at, message, "what is found by rarely is better an input");
                break;
            }
            fields::check_id(key.at, &key.name, "label", self.reports);
            let template = self.text_template(value, "label", &Scope::before());
            if let Some(Err(why)) =
                template.plain().and_then(Value::as_text).map(|text| check_label(&key.name, text))
                && is_id(&key.name)
            {
                self.reports.with_hint(value.at, why, None);
            }
            labels.insert(key.name.clone(), template);
        }
        labels
    }

    fn input(&mut self, name: &str, node: &Node) -> Option<InputSpec> {
        self.spec(name, node, &INPUT)
    }

    /// What a value is that somebody gives.
    pub(super) fn spec(&mut self, name: &str, node: &Node, shape: &Shape) -> Option<InputSpec> {
        let fields = Fields::open(node, shape, self.reports)?;
        let word = fields.get("type")?;
        let text = fields::text(word, "type", self.reports)?;
        let Some(kind) = InputKind::from_word(text) else {
            let hint = suggest::hint(text, InputKind::WORDS);
            self.reports.with_hint(word.at, format!("unknown type `{text}`"), hint);
            return None;
        };
        let mut allowed = Vec::new();
        if let Some(node) = fields.get("enum") {
            for one in fields::list(node, "enum", self.reports) {
                self.typed(name, kind, one);
                allowed.push(fields::plain_value(one));
            }
        }
        let default = fields.get("default").map(|node| {
            self.typed(name, kind, node);
            let value = fields::plain_value(node);
            if !allowed.is_empty() && !allowed.contains(&value) {
                let message = format!("the default of `{name}` is not in its `enum`");
                self.reports.error(node.at, message, "add it to the `enum`, or take one of those");
            }
            value
        });
        let required = match fields.get("required") {
            Some(node) => fields::flag(node, "required", self.reports)?,
            None => default.is_none(),
        };
        if required && default.is_some() {
            let message = format!("`{name}` is required, so its default is never used");
            let hint = "leave out `required`, or the default";
            self.reports.error(fields.key_at("required"), message, hint);
        }
        let label = self.label(&fields);
        let description = self.description(&fields);
        Some(InputSpec { kind, default, required, allowed, description, label })
    }

    /// Reports a value that is not of the kind of its input.
    pub(super) fn typed(&mut self, name: &str, kind: InputKind, node: &Node) {
        let value = fields::plain_value(node);
        if !input::is_of_kind(kind, &value) {
            let wanted = match kind {
                InputKind::String => "a string",
                InputKind::Integer => "an integer",
                InputKind::Boolean => "true or false",
                InputKind::List => "a list",
                InputKind::Object => "an object",
            };
            fields::wrong(node, name, wanted, self.reports);
        }
    }

    pub(super) fn roots(&mut self, node: &Node) -> Vec<RootSpec> {
        let mut roots = Vec::new();
        for (key, value) in fields::members(node, "roots", self.reports) {
            fields::check_id(key.at, &key.name, "root name", self.reports);
            let root = self.root(&key.name, value);
            let access = root.as_ref().map_or(Access::Write, |root| root.access);
            self.roots.insert(key.name.clone(), access);
            roots.extend(root);
        }
        roots.sort_by(|one, other| one.name.cmp(&other.name));
        roots
    }

    fn root(&mut self, name: &str, node: &Node) -> Option<RootSpec> {
        let fields = Fields::open(node, &ROOT, self.reports)?;
        let path = self.text_template(fields.get("path")?, "path", &Scope::before());
        let access = fields.get("access")?;
        let access = match fields::text(access, "access", self.reports)? {
            "read" => Access::Read,
            "write" => Access::Write,
            other => {
                let hint = suggest::hint(other, ["read", "write"]);
                self.reports.with_hint(access.at, format!("unknown access `{other}`"), hint);
                return None;
            }
        };
        let create = match fields.get("create") {
            Some(node) => fields::flag(node, "create", self.reports)?,
            None => false,
        };
        Some(RootSpec { name: name.to_owned(), path, access, create })
    }

    /// How a run that does not complete is undone.
    pub(super) fn undo(&mut self, fields: &Fields<'_>, scope: &Scope<'_>) -> Undo {
        let inherited =
            Inherited { actor: None, in_plan: false, is_once: false, is_outermost: false };
        let steps = fields.get("on_cancel").map(|node| self.handler_steps(node, scope, inherited));
        let mut undo = Undo { steps, on_failed: false, on_refused: false };
        let Some(node) = fields.get("compensate_on") else { return undo };
        for item in fields::list(node, "compensate_on", self.reports) {
            match fields::text(item, "compensate_on", self.reports) {
                Some("cancelled") | None => {}
                Some("failed") => undo.on_failed = true,
                Some("refused") => undo.on_refused = true,
                Some(other) => {
                    let hint = suggest::hint(other, ["cancelled", "failed", "refused"]);
                    let message = format!("a run cannot end as `{other}`");
                    self.reports.with_hint(item.at, message, hint);
                }
            }
        }
        undo
    }

    pub(super) fn budget(&mut self, node: &Node) -> Budget {
        let Some(fields) = Fields::open(node, &BUDGET, self.reports) else {
            return Budget::default();
        };
        let mut bound = |name: &str, most: i64| {
            let node = fields.get(name)?;
            fields::integer(node, name, (1, most), self.reports)
        };
        Budget {
            cost_micros: bound("cost_micros", Integer::MAX),
            effects: bound("effects", 1_000_000),
            minutes: bound("minutes", 366 * 24 * 60),
        }
    }
}
