//! What run is to begin.

use std::collections::BTreeMap;

use cog_base::id::RunId;
use cog_base::{Timestamp, Value};
use cog_engine::versions::Kept;
use cog_flow::{BoundRoot, Diagnostics, Flow, Opened, Scheduled, SearchLabels};
use cog_gate::Actor;
use cog_node::Wanted;
use cog_schedule::Rule;

use crate::Error;

/// What a workflow that has no file is called in messages.
const NAME: &str = "the workflow";

/// A run to begin: a workflow, its inputs, and who begins it.
#[derive(Debug, Clone)]
pub struct Begin {
    source: String,
    who: Actor,
    given: BTreeMap<String, String>,
    children: BTreeMap<String, String>,
    base: String,
    places: BTreeMap<String, String>,
    labels: SearchLabels,
    priority: Option<u8>,
    not_before: Option<Timestamp>,
    environment: Option<String>,
    pub(crate) key: Option<String>,
}

impl Begin {
    /// A run of this workflow file, in the name of `who`.
    #[must_use]
    pub fn new(source: &str, who: &Actor) -> Self {
        Self {
            source: source.to_owned(),
            who: who.clone(),
            given: BTreeMap::new(),
            children: BTreeMap::new(),
            base: "/".to_owned(),
            places: BTreeMap::new(),
            labels: SearchLabels::new(),
            priority: None,
            not_before: None,
            environment: None,
            key: None,
        }
    }

    /// A run of what is kept of a version, with the texts of the workflows that it runs.
    pub(crate) fn of(kept: &Kept, who: &Actor) -> Self {
        let mut begin = Self::new(&kept.source, who).base(&kept.base);
        begin.keep(&kept.flow, &kept.base);
        begin
    }

    /// Take the texts of the workflows that one runs whose file stands in this folder.
    fn keep(&mut self, flow: &Flow, folder: &str) {
        for (name, child) in &flow.children {
            let path = under(folder, name);
            let around = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            self.keep(&child.flow, around);
            self.children.insert(path, child.source.clone());
        }
    }

    /// Give an input, as it is given on the command line: a text, a number, or JSON.
    #[must_use]
    pub fn input(mut self, name: &str, value: impl ToString) -> Self {
        self.given.insert(name.to_owned(), value.to_string());
        self
    }

    /// With a key, asking for the same run twice is asking once.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// What it is found by, beside what the workflow says.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Which of the runs that wait goes first, if not as the workflow says: 9 before 0.
    #[must_use]
    pub const fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// When it begins at the earliest.
    #[must_use]
    pub const fn not_before(mut self, at: Timestamp) -> Self {
        self.not_before = Some(at);
        self
    }

    /// The environment, if not the one that the workflow names.
    #[must_use]
    pub fn environment(mut self, environment: &str) -> Self {
        self.environment = Some(environment.to_owned());
        self
    }

    /// The folder that paths of roots and of other workflow files count from; `/` if none is given.
    #[must_use]
    pub fn base(mut self, folder: &str) -> Self {
        self.base = folder.to_owned();
        self
    }

    /// Where a root stands, if not below the folder as the workflow says.
    #[must_use]
    pub fn place(mut self, root: &str, folder: &str) -> Self {
        self.places.insert(root.to_owned(), folder.to_owned());
        self
    }

    /// The text of a workflow file that a `run` step names, by its path as that step has it.
    #[must_use]
    pub fn file(mut self, path: &str, source: &str) -> Self {
        self.children.insert(path.to_owned(), source.to_owned());
        self
    }

    /// Its text, and the folder that its file stands in.
    pub(crate) fn text(&self) -> (&str, &str) {
        (&self.source, &self.base)
    }

    /// The workflow, with those that its steps run.
    pub(crate) fn flow(&self) -> Result<Flow, Diagnostics> {
        let mut open = |around: &str, name: &str| {
            let folder = around.rsplit_once('/').map_or("", |(folder, _)| folder);
            let id = under(folder, name);
            let file = self.children.iter().find(|(path, _)| under(&self.base, path) == id);
            let (_, text) = file.ok_or_else(|| "its text was not given".to_owned())?;
            Ok(Opened { file: id.clone(), id, text: text.clone() })
        };
        let flow = cog_flow::parse(&self.source, NAME)?;
        flow.with_children(&under(&self.base, "workflow.yaml"), &mut open)
    }

    /// What is asked of the owner of the log, as the run of this id.
    pub(crate) fn wanted(self, run: RunId) -> Result<Wanted, Error> {
        let flow = self.flow()?;
        let inputs = |errors: &dyn std::fmt::Display| Error::Inputs(errors.to_string());
        let bound = flow.bind(&self.given).map_err(|errors| inputs(&errors))?;
        flow.labelled(&bound, &self.labels).map_err(|why| inputs(&why))?;
        let environment = self.environment.as_deref().unwrap_or(&flow.environment);
        let roots = flow.roots(&bound, environment).map_err(|errors| inputs(&errors))?;
        let places = self.stand(roots);
        Ok(Wanted {
            run,
            children: flow.children_record(),
            source: self.source,
            given: self.given,
            places,
            base: self.base,
            initiator: self.who,
            labels: self.labels,
            trigger: None,
            priority: self.priority,
            not_before: self.not_before,
            environment: self.environment,
        })
    }

    /// Who begins it.
    pub(crate) const fn who(&self) -> &Actor {
        &self.who
    }

    /// What each run of a schedule is.
    pub(crate) fn scheduled(&self, flow: &Flow, scheduled: &Scheduled) -> Result<Wanted, Error> {
        let inputs = |errors: &dyn std::fmt::Display| Error::Inputs(errors.to_string());
        // What a run is given of an event is known when it has come.
        let places = if matches!(scheduled.schedule.rule, Rule::Event { .. }) {
            BTreeMap::new()
        } else {
            let bound = flow.bind_values(&scheduled.inputs).map_err(|errors| inputs(&errors))?;
            flow.labelled(&bound, &self.labels).map_err(|why| inputs(&why))?;
            let environment = self.environment.as_deref().unwrap_or(&flow.environment);
            self.stand(flow.roots(&bound, environment).map_err(|errors| inputs(&errors))?)
        };
        let text = |value: &Value| value.as_text().map_or_else(|| value.to_string(), str::to_owned);
        let given = scheduled.inputs.iter().map(|(name, value)| (name.clone(), text(value)));
        Ok(Wanted {
            run: Wanted::no_run(),
            source: self.source.clone(),
            children: flow.children_record(),
            given: given.collect(),
            places,
            base: self.base.clone(),
            initiator: self.who.clone(),
            labels: self.labels.clone(),
            trigger: None,
            priority: None,
            not_before: None,
            environment: self.environment.clone(),
        })
    }

    /// Where the roots stand.
    fn stand(&self, roots: Vec<BoundRoot>) -> BTreeMap<String, String> {
        let stands = |root: BoundRoot| {
            let place = self.places.get(&root.name).cloned();
            let place = place.unwrap_or_else(|| under(&self.base, &root.path));
            (root.name, place)
        };
        roots.into_iter().map(stands).collect()
    }
}

/// A path as it is meant from a folder, by the words alone: links are for who opens it.
pub(crate) fn under(folder: &str, path: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_meant_from_its_folder() {
        for (folder, path, expected) in [
            ("/", "pages", "/pages"),
            ("/srv", "./pages", "/srv/pages"),
            ("/srv/a", "../pages/b", "/srv/pages/b"),
            ("/srv", "/pages", "/pages"),
            ("/srv", "../../..", "/"),
            ("", "order.yaml", "/order.yaml"),
        ] {
            assert_eq!(under(folder, path), expected, "{folder} {path}");
        }
    }
}
