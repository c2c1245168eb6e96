//! Steps that begin another run.

use std::collections::BTreeMap;

use cog_base::Value;

use super::Reader;
use super::scope::Scope;
use crate::definition::{ChildCall, Place, RunSite};
use crate::fields::{self, Fields, Shape};
use crate::limits::MAX_WORKFLOW_BYTES;
use crate::template::Template;
use crate::tree::Node;
use cog_base::suggest;

const RUN: Shape =
    Shape { what: "`run`", required: &["workflow"], optional: &["inputs", "wait", "on_cancel"] };

impl Reader<'_, '_> {
    pub(super) fn child_run(&mut self, node: &Node, scope: &Scope<'_>) -> Option<ChildCall> {
        let fields = Fields::open(node, &RUN, self.reports)?;
        let named = fields.get("workflow").and_then(|node| self.workflow(node));
        let given = fields.get("inputs");
        let inputs = given.map(|node| self.templates(node, "inputs", scope)).unwrap_or_default();
        let wait = match fields.get("wait") {
            Some(node) => fields::flag(node, "wait", self.reports)?,
            None => true,
        };
        let outlives = match fields.get("on_cancel") {
            Some(node) => self.outlives(node)?,
            None => false,
        };
        let (workflow, place) = named?;
        let given = given.map(|node| self.given(node, &inputs)).unwrap_or_default();
        self.runs.push(RunSite { workflow: workflow.clone(), place, inputs: given });
        Some(ChildCall { workflow, inputs, wait, outlives })
    }

    /// Which workflow is never computed: what a model says must not choose what runs.
    fn workflow(&mut self, node: &Node) -> Option<(String, Place)> {
        let text = fields::text(node, "workflow", self.reports)?;
        let wrong = if text.contains("${{") {
            Some("`workflow` cannot hold an expression".to_owned())
        } else if text.is_empty() || text.len() > MAX_WORKFLOW_BYTES {
            Some(format!("`workflow` must have 1 to {MAX_WORKFLOW_BYTES} bytes"))
        } else if text.starts_with('/') || text.chars().any(char::is_control) {
            Some("`workflow` must be a path from the folder of this file".to_owned())
        } else {
            None
        };
        if let Some(message) = wrong {
            let hint = "name one file, such as `./child.yaml`".to_owned();
            self.reports.with_hint(node.at, message, hint);
            return None;
        }
        Some((text.to_owned(), self.place(node.at)))
    }

    fn place(&self, at: usize) -> Place {
        let (at, line) = self.reports.source().locate(at);
        Place { at, line: line.chars().take(160).collect() }
    }

    /// Where each input is given, and what is known of its value.
    fn given(
        &mut self,
        node: &Node,
        inputs: &BTreeMap<String, Template>,
    ) -> BTreeMap<String, (Place, Option<Value>)> {
        let keys = fields::members(node, "inputs", self.reports);
        let known = |name: &str| inputs.get(name).and_then(Template::known);
        keys.iter()
            .map(|(key, _)| (key.name.clone(), (self.place(key.at), known(&key.name))))
            .collect()
    }

    fn outlives(&mut self, node: &Node) -> Option<bool> {
        match fields::text(node, "on_cancel", self.reports)? {
            "cancel" => Some(false),
            "leave" => Some(true),
            other => {
                let hint = suggest::hint(other, ["cancel", "leave"]);
                self.reports.with_hint(node.at, format!("`on_cancel` cannot be `{other}`"), hint);
                None
            }
        }
    }
}
