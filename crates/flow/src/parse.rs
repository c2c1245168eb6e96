//! From the text of a file to a [`Flow`], or to everything that is wrong with it.

mod admission;
mod again;
mod block;
mod child;
mod choose;
mod header;
mod on;
mod repeat;
mod retry;
mod scope;
mod step;
mod wait;

use std::collections::{BTreeMap, BTreeSet};

use cog_base::{Digest, Value};

use crate::definition::{Access, Budget, Flow, Label, RunSite};
use crate::diagnostic::{Diagnostics, Reports};
use crate::effect::describe;
use crate::fields::{self, Fields, Shape};
use crate::limits::MAX_FILE_BYTES;
use crate::path::is_id;
use crate::source::Source;
use crate::template::{self, KEY_WITH_EXPRESSION, PLAIN_KEY, Template};
use crate::tree::{self, Node};
pub(crate) use scope::STARTED_AT;
use scope::Scope;

const FLOW: Shape = Shape {
    what: "a workflow",
    required: &["name", "domain", "steps"],
    optional: &[
        "description",
        "environment",
        "subject",
        "inputs",
        "roots",
        "budget",
        "priority",
        "concurrency",
        "rate",
        "labels",
        "on",
        "outputs",
        "on_cancel",
        "compensate_on",
    ],
};

/// What a digest of a definition is made in.
const CONTEXT: &str = "cognitionos/flow/v1";

/// Reads a workflow file, YAML or JSON, and checks all that can be checked before a run.
/// `file` is its name, for messages.
///
/// # Errors
/// [`Diagnostics`] with the place of each error, what is wrong and what would be right.
pub fn parse(text: &str, file: &str) -> Result<Flow, Diagnostics> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = Source::new(file, text);
    let mut reports = Reports::new(&source);
    if text.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes, more than 1 MiB", text.len());
        reports.error(0, message, "move data into files that a step reads");
        return reports.finish(None);
    }
    let flow = tree::read(text, &mut reports).and_then(|root| {
        let (inputs, signals, checkpoints) = Default::default();
        let (roots, runs) = (BTreeMap::new(), Vec::new());
        let (continuing, tells_start, steps) = (None, false, 0);
        let reports = &mut reports;
        let reader = Reader {
            reports,
            inputs,
            roots,
            signals,
            checkpoints,
            runs,
            continuing,
            tells_start,
            steps,
        };
        reader.flow(&root, file)
    });
    reports.finish(flow)
}

/// What is known of the file while its parts are read.
struct Reader<'r, 's> {
    reports: &'r mut Reports<'s>,
    inputs: BTreeSet<String>,
    roots: BTreeMap<String, Access>,
    /// The signals that steps wait for.
    signals: BTreeSet<String>,
    /// The names that steps give to places.
    checkpoints: BTreeSet<String>,
    /// The workflows that steps run.
    runs: Vec<RunSite>,
    /// The step by which a run continues as new.
    continuing: Option<again::Continuing>,
    /// Whether an expression reads when the run began.
    tells_start: bool,
    /// Steps read so far.
    steps: usize,
}

impl Reader<'_, '_> {
    fn flow(mut self, root: &Node, file: &str) -> Option<Flow> {
        let fields = Fields::open(root, &FLOW, self.reports)?;
        let name = self.id(&fields, "name");
        let domain = self.id(&fields, "domain");
        let environment = self.id(&fields, "environment");
        let description = self.description(&fields);
        let inputs = fields.get("inputs").map(|node| self.inputs(node)).unwrap_or_default();
        let subject = fields.get("subject");
        let subject = subject.map(|node| self.text_template(node, "subject", &Scope::before()));
        let roots = fields.get("roots").map(|node| self.roots(node)).unwrap_or_default();
        let budget = fields.get("budget").map_or(Budget::default(), |node| self.budget(node));
        let admission = self.admission(&fields);
        let labels = fields.get("labels").map(|node| self.labels(node)).unwrap_or_default();
        let on = fields.get("on").map(|node| self.on(node, &inputs));
        let (schedules, events) = on.unwrap_or_default();
        let outside = Scope::outside();
        let (steps, ids) = self.block(fields.get("steps")?, &outside, None, "`steps`");
        self.check_continuing(&fields, &inputs, &steps);
        let all = outside.within(&ids, ids.clone(), None);
        let undo = self.undo(&fields, &all);
        let outputs = fields
            .get("outputs")
            .map(|node| self.templates(node, "outputs", &all))
            .unwrap_or_default();
        let definition = root.to_value();
        let digest = Digest::in_context(CONTEXT, &definition.canonical());
        Some(Flow {
            name: name?,
            domain: domain?,
            environment: environment.unwrap_or_else(|| "development".to_owned()),
            description,
            inputs,
            subject,
            roots,
            budget,
            admission,
            labels,
            schedules,
            events,
            steps,
            undo,
            outputs,
            signals: std::mem::take(&mut self.signals),
            runs: std::mem::take(&mut self.runs),
            children: BTreeMap::new(),
            tells_start: self.tells_start,
            digest,
            file: file.to_owned(),
            definition,
        })
    }

    fn id(&mut self, fields: &Fields<'_>, name: &str) -> Option<String> {
        let node = fields.get(name)?;
        fields::id(node, name, self.reports).map(str::to_owned)
    }

    /// A class of data is never computed: what a model says must not choose it.
    fn label(&mut self, fields: &Fields<'_>) -> Option<Label> {
        let node = fields.get("class")?;
        let class = fields::text(node, "class", self.reports)?;
        if !is_id(class) {
            let hint = "name one that the canon declares, without expressions: `class: personal`";
            self.reports.with_hint(node.at, format!("`{class}` is no class"), hint.to_owned());
            return None;
        }
        Some(Label { class: class.to_owned(), at: node.at })
    }

    fn description(&mut self, fields: &Fields<'_>) -> Option<String> {
        let node = fields.get("description")?;
        fields::text(node, "description", self.reports).map(str::to_owned)
    }

    /// A value with expressions, checked against what is in sight.
    fn template(&mut self, node: &Node, scope: &Scope<'_>) -> Template {
        let template = template::read(node, self.reports);
        self.check(&template, scope);
        template
    }

    /// The members of an object, each with expressions.
    fn templates(
        &mut self,
        node: &Node,
        what: &str,
        scope: &Scope<'_>,
    ) -> BTreeMap<String, Template> {
        let mut members = BTreeMap::new();
        for (key, value) in fields::members(node, what, self.reports) {
            if key.name.contains("${{") {
                self.reports.error(key.at, KEY_WITH_EXPRESSION, PLAIN_KEY);
            }
            members.insert(key.name.clone(), self.template(value, scope));
        }
        members
    }

    /// A value that is text, with expressions or without.
    fn text_template(&mut self, node: &Node, what: &str, scope: &Scope<'_>) -> Template {
        fields::text(node, what, self.reports);
        let template = self.template(node, scope);
        self.comes_to(node, &template, (what, "a string"), |value| {
            value.as_text().is_some() || value.as_int().is_some()
        });
        template
    }

    /// Reports an expression that comes to what does not fit, whatever a run is like. Values
    /// without expressions are looked at where they are read.
    fn comes_to(
        &mut self,
        node: &Node,
        template: &Template,
        (what, wanted): (&str, &str),
        fits: impl FnOnce(&Value) -> bool,
    ) {
        let known = template.known().filter(|_| template.plain().is_none());
        if let Some(value) = known.filter(|value| !fits(value)) {
            let found = value.as_int().map_or_else(|| describe(&value), |it| it.to_string());
            let message = format!("`{what}` must be {wanted}, this always comes to {found}");
            let hint = match wanted {
                "true or false" => Some("compare it with something: `… == …`"),
                "a list" => Some("a list is written `[a, b]`"),
                _ => None,
            };
            self.reports.with_hint(node.at, message, hint.map(str::to_owned));
        }
    }

    /// A value that is a whole number or an expression.
    fn integer_template(
        &mut self,
        node: &Node,
        what: &str,
        bounds: (i64, i64),
        scope: &Scope<'_>,
    ) -> Template {
        let template = self.template(node, scope);
        if template.plain().is_some() {
            fields::integer(node, what, bounds, self.reports);
        }
        if let Template::Text(_) = template {
            fields::wrong(node, what, "an integer or one expression", self.reports);
        } else {
            let wanted = format!("an integer from {} to {}", bounds.0, bounds.1);
            self.comes_to(node, &template, (what, &wanted), |value| {
                value.as_int().is_some_and(|it| (bounds.0..=bounds.1).contains(&it))
            });
        }
        template
    }

    fn check(&mut self, template: &Template, scope: &Scope<'_>) {
        template.each_program(&mut |program| {
            self.tells_start |= Scope::tells_start(program);
            scope.check(program, &self.inputs, self.reports);
        });
    }
}
