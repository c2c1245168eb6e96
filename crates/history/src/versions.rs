//! Versions of workflows: a run that somebody starts is of the active one, and what is kept of a
//! version is what its entry names.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::RunId;
use cog_base::{Digest, Value};
use cog_ledger::{Entry, Kind};

use crate::checker::Record;
use crate::property::Property;
use crate::report::Report;

/// What is activated so far.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    active: BTreeMap<Named, Whole>,
    /// What was active when a run was asked for that waits, or when it was set.
    due: BTreeMap<RunId, Option<Whole>>,
    set: BTreeSet<RunId>,
}

/// A domain and a workflow.
type Named = (String, String);

/// The digests of a definition and of those that it runs.
type Whole = (Option<Digest>, Option<Value>);

impl Versions {
    /// Take the next entry of the log.
    pub(crate) fn record(&mut self, record: &Record, report: &mut Report) {
        let entry = &*record.entry;
        let id = |name: &str| entry.text(name).and_then(|id| id.parse::<RunId>().ok());
        if entry.kind() == Kind::WorkflowActivated {
            self.active.insert(named(entry), whole(entry));
            if let Some(body) = &record.body {
                report.test(Property::Version, is_kept(entry, body), entry.seq(), || {
                    "what is kept of the version is not what it names".to_owned()
                });
            }
        } else if entry.kind() == Kind::ScheduleFired {
            self.set.extend(id("run"));
        } else if entry.kind() == Kind::SessionQueued {
            let active = self.active.get(&named(entry)).cloned();
            self.due.extend(id("id").map(|run| (run, active)));
        } else if entry.kind() == Kind::SessionUnqueued
            && let Some(run) = id("id")
        {
            self.due.remove(&run);
            self.set.remove(&run);
        } else if entry.kind() == Kind::SessionStarted
            && let Some(run) = entry.session()
        {
            self.started(run, entry, report);
        }
    }

    fn started(&mut self, run: RunId, entry: &Entry, report: &mut Report) {
        let due = self.due.remove(&run);
        let active = due.unwrap_or_else(|| self.active.get(&named(entry)).cloned());
        let is_set = self.set.remove(&run) || entry.data().contains_key("trigger");
        let goes_on = ["fork", "parent", "continues"];
        let goes_on = goes_on.iter().any(|name| entry.data().contains_key(name));
        let Some(active) = active.filter(|_| !is_set && !goes_on) else { return };
        report.test(Property::Version, active == whole(entry), entry.seq(), || {
            format!("{run} begins from another definition than the one that is active")
        });
    }
}

fn named(entry: &Entry) -> Named {
    (entry.domain().to_owned(), entry.text("workflow").unwrap_or_default().to_owned())
}

fn whole(entry: &Entry) -> Whole {
    (entry.digest("definition"), entry.data().get("children").cloned())
}

/// Whether the kept text is that of the definition, and where runs differ somebody says why.
fn is_kept(entry: &Entry, body: &Value) -> bool {
    let source = body.get("source").and_then(Value::as_text).unwrap_or_default();
    let flow = cog_flow::parse(source, "the kept definition").ok();
    let flow = flow.and_then(|flow| flow.with_recorded(body.get("children")).ok());
    let differs = entry.data().get("tested").and_then(|it| it.get("differs")?.as_u64());
    let is_said = differs == Some(0) || body.get("reason").is_some();
    let is_it = flow.is_some_and(|flow| {
        named(entry) == (flow.domain.clone(), flow.name.clone())
            && whole(entry) == (Some(flow.digest), flow.children_digests())
    });
    is_it && is_said
}
