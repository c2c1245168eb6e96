//! A workflow with those that its steps run: all of them are read and checked before the first
//! begins, and kept with it, so that what runs later is what was checked.

use std::sync::Arc;

use cog_base::json::Map;
use cog_base::{Digest, Value};

use crate::definition::{Flow, Place, RunSite};
use crate::diagnostic::{self, Diagnostic, Diagnostics};
use crate::effect::describe;
use crate::input::is_of_kind;
use crate::limits::{MAX_FAMILY, MAX_FAMILY_DEPTH};
use crate::parse::parse;
use cog_base::suggest;

/// What a digest of a workflow with those that it runs is made in.
const CONTEXT: &str = "cognitionos/family/v1";

/// A workflow that a step of another runs.
#[derive(Clone, Debug)]
pub struct Child {
    /// The workflow.
    pub flow: Arc<Flow>,
    /// The text it was read from.
    pub source: String,
}

/// A file that a `run` step names.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What tells it from every other file: its path without links.
    pub id: String,
    /// Its name, for messages.
    pub file: String,
    /// What stands in it.
    pub text: String,
}

/// Opens the file that a workflow names: by the id of the file that names it, and the path
/// from there.
pub type Open<'o> = dyn FnMut(&str, &str) -> Result<Opened, String> + 'o;

impl Flow {
    /// The workflow with all that its steps run, and what those run in turn. `id` is that of
    /// its own file.
    ///
    /// # Errors
    /// [`Diagnostics`] name every file that cannot be opened or has errors, every step that gives
    /// another inputs than its file takes, and every file that would come to run itself.
    pub fn with_children(self, id: &str, open: &mut Open<'_>) -> Result<Self, Diagnostics> {
        let mut family = Loading { open, path: vec![id.to_owned()], read: 0, faults: Vec::new() };
        let flow = family.complete(self);
        match family.faults {
            faults if faults.is_empty() => Ok(flow),
            faults => Err(diagnostic::from_list(faults)),
        }
    }

    /// The workflow with what its record says that its steps run ([`Flow::children_record`]).
    ///
    /// # Errors
    /// What is missing or wrong in the record.
    pub fn with_recorded(mut self, record: Option<&Value>) -> Result<Self, String> {
        self.adopt(record, 0)?;
        Ok(self)
    }

    fn adopt(&mut self, record: Option<&Value>, depth: usize) -> Result<(), String> {
        for site in &self.runs {
            if self.children.contains_key(&site.workflow) {
                continue;
            }
            let name = &site.workflow;
            let own =
                record.and_then(|record| record.get(name)).filter(|_| depth < MAX_FAMILY_DEPTH);
            let source = own.and_then(|own| own.get("source")?.as_text());
            let source = source.ok_or_else(|| format!("`{name}`, which it runs, is not in it"))?;
            let mut flow = parse(source, name).map_err(|errors| errors.to_string())?;
            flow.adopt(own.and_then(|own| own.get("children")), depth + 1)?;
            let child = Child { flow: Arc::new(flow), source: source.to_owned() };
            self.children.insert(name.clone(), Arc::new(child));
        }
        Ok(())
    }

    /// The texts of all that its steps run: `{name: {source, children}}`; nothing when they run
    /// nothing.
    #[must_use]
    pub fn children_record(&self) -> Option<Value> {
        let one = |(name, child): (&String, &Arc<Child>)| {
            let mut own = Map::from([("source".to_owned(), child.source.as_str().into())]);
            own.extend(child.flow.children_record().map(|all| ("children".to_owned(), all)));
            (name.clone(), Value::Map(own))
        };
        let all: Map = self.children.iter().map(one).collect();
        (!all.is_empty()).then_some(Value::Map(all))
    }

    /// What the workflows that its steps run are, `{name: digest}`, with those that they run;
    /// nothing when they run nothing.
    #[must_use]
    pub fn children_digests(&self) -> Option<Value> {
        let all = self.children.iter();
        let all: Map =
            all.map(|(name, child)| (name.clone(), child.flow.family_digest().into())).collect();
        (!all.is_empty()).then_some(Value::Map(all))
    }

    /// The digest of the workflow with those that it runs; its own when it runs none.
    #[must_use]
    pub fn family_digest(&self) -> Digest {
        let Some(children) = self.children_digests() else { return self.digest };
        let whole = Value::map([("definition", self.digest.into()), ("children", children)]);
        Digest::in_context(CONTEXT, &whole.canonical())
    }
}

struct Loading<'l, 'o> {
    open: &'l mut Open<'o>,
    /// The ids of the files around, the outermost first.
    path: Vec<String>,
    /// How many files were read.
    read: usize,
    faults: Vec<Diagnostic>,
}

impl Loading<'_, '_> {
    fn complete(&mut self, mut flow: Flow) -> Flow {
        for site in flow.runs.clone() {
            if !flow.children.contains_key(&site.workflow)
                && let Some(child) = self.child(&flow, &site)
            {
                flow.children.insert(site.workflow.clone(), Arc::new(child));
            }
            if let Some(child) = flow.children.get(&site.workflow).cloned() {
                self.check_inputs(&flow, &site, &child.flow);
            }
        }
        flow
    }

    fn child(&mut self, parent: &Flow, site: &RunSite) -> Option<Child> {
        let mut wrong = |message: String, hint: &str| {
            self.faults.push(fault(parent, &site.place, message, Some(hint.to_owned())));
        };
        if self.path.len() > MAX_FAMILY_DEPTH {
            let message = format!("workflows run each other more than {MAX_FAMILY_DEPTH} deep");
            wrong(message, "let an outer workflow run this one");
            return None;
        }
        if self.read >= MAX_FAMILY {
            wrong(format!("more than {MAX_FAMILY} workflows in all"), "run fewer from this file");
            return None;
        }
        let around = self.path.last().cloned().unwrap_or_default();
        let opened = match (self.open)(&around, &site.workflow) {
            Ok(opened) => opened,
            Err(why) => {
                let message = format!("cannot read `{}`: {why}", site.workflow);
                wrong(message, "the path counts from the folder of this file");
                return None;
            }
        };
        if self.path.contains(&opened.id) {
            let message = format!("`{}` would come to run itself", site.workflow);
            wrong(message, "leave out this step, or run another workflow");
            return None;
        }
        self.read += 1;
        let flow = match parse(&opened.text, &opened.file) {
            Ok(flow) => flow,
            Err(errors) => {
                self.faults.extend(errors.list().iter().cloned());
                return None;
            }
        };
        if flow.domain != parent.domain {
            let (own, other) = (&parent.domain, &flow.domain);
            let message = format!("`{}` is of the domain `{other}`, not `{own}`", site.workflow);
            wrong(message, "a run and those it begins are of one domain, under one canon");
            return None;
        }
        if flow.admission.is_limited() {
            let message = format!("`{}` has limits of its own", site.workflow);
            wrong(
                message,
                "a run that another begins does not wait for its turn: put \
                  `concurrency` and `rate` into the workflow that begins it",
            );
            return None;
        }
        if flow.continues() {
            let message = format!("`{}` continues as new", site.workflow);
            wrong(
                message,
                "who begins a run waits for the end of that one, and a chain may have none: start \
                  it by itself, such as by a schedule",
            );
            return None;
        }
        self.path.push(opened.id);
        let flow = self.complete(flow);
        self.path.pop();
        Some(Child { flow: Arc::new(flow), source: opened.text })
    }

    /// What a step gives must be what the file takes.
    fn check_inputs(&mut self, parent: &Flow, site: &RunSite, child: &Flow) {
        for (name, (place, value)) in &site.inputs {
            let Some(input) = child.inputs.get(name) else {
                let message = format!("`{}` has no input `{name}`", site.workflow);
                let hint = suggest::hint(name, child.inputs.keys().map(String::as_str));
                self.faults.push(fault(parent, place, message, hint));
                continue;
            };
            // Null stands for an input that is not given.
            let value = value.as_ref().filter(|value| **value != Value::Null);
            if let Some(wrong) = value.filter(|value| !is_of_kind(input.kind, value)) {
                let (workflow, wanted) = (&site.workflow, input.kind.as_str());
                let message = format!(
                    "the input `{name}` of `{workflow}` is of type {wanted}, this is {}",
                    describe(wrong)
                );
                self.faults.push(fault(parent, place, message, input.description.clone()));
            }
        }
        for (name, input) in &child.inputs {
            let must = input.required && input.default.is_none();
            if must && !site.inputs.contains_key(name) {
                let message = format!("`{}` needs the input `{name}`", site.workflow);
                let hint = input.description.clone();
                self.faults.push(fault(parent, &site.place, message, hint));
            }
        }
    }
}

fn fault(flow: &Flow, place: &Place, message: String, hint: Option<String>) -> Diagnostic {
    let Place { at, line } = place.clone();
    Diagnostic { file: flow.file.clone(), at: Some(at), message, hint, source_line: Some(line) }
}
