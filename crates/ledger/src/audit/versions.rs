//! Versions of workflows: they are counted, and a run begins from the one that is active.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::Digest;
use cog_base::json::Value;

use super::Findings;
use crate::entry::Entry;
use crate::kind::Kind;

/// A definition, with those that it runs.
type Definition = (Option<Digest>, Option<Value>);

#[derive(Debug)]
pub(super) struct Versions {
    /// Whether entries before the kept part may have activated some.
    is_pruned: bool,
    /// By domain and workflow, the number of the active version and what it is.
    active: BTreeMap<(String, String), (u64, Definition)>,
    /// Of runs that wait for their turn, what was active when they were asked for.
    queued: BTreeMap<String, Option<Definition>>,
    /// Runs that schedules started: they are what was set.
    fired: BTreeSet<String>,
    not_followed: u64,
}

impl Versions {
    pub(super) fn new(is_pruned: bool) -> Self {
        let (active, queued, fired) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { is_pruned, active, queued, fired, not_followed: 0 }
    }

    pub(super) const fn not_followed(&self) -> u64 {
        self.not_followed
    }

    pub(super) fn entry(&mut self, entry: &Entry, findings: &mut Findings) {
        if entry.kind() == Kind::WorkflowActivated {
            self.activated(entry, findings);
        } else if entry.kind() == Kind::ScheduleFired {
            self.fired.extend(entry.text("run").map(str::to_owned));
        } else if entry.kind() == Kind::SessionQueued {
            let active = self.active.get(&named(entry)).map(|(_, what)| what.clone());
            self.queued.extend(entry.id().map(|run| (run.to_owned(), active)));
        } else if entry.kind() == Kind::SessionUnqueued {
            let run = entry.id().unwrap_or_default();
            self.queued.remove(run);
            self.fired.remove(run);
        } else if entry.kind() == Kind::SessionStarted {
            self.started(entry, findings);
        }
    }

    fn activated(&mut self, entry: &Entry, findings: &mut Findings) {
        let before = self.active.get(&named(entry)).map(|(version, _)| *version);
        let version = entry.count("version").unwrap_or(0);
        if before.is_none() && self.is_pruned && version != 1 {
            self.not_followed += 1;
        } else if before.unwrap_or(0).checked_add(1) != Some(version) {
            let workflow = entry.text("workflow").unwrap_or_default();
            let message = format!("version {version} of `{workflow}` is not the next one");
            findings.add(Some(entry.seq()), "workflow.version", message);
        }
        self.active.insert(named(entry), (version, definition(entry)));
    }

    /// A run of its own, which nobody set before, is of the version that was active when it was asked
    /// for.
    fn started(&mut self, entry: &Entry, findings: &mut Findings) {
        let run = entry.session().map(|run| run.to_string()).unwrap_or_default();
        let is_fired = self.fired.remove(&run);
        let queued = self.queued.remove(&run);
        let of_another = ["fork", "parent", "continues", "trigger"];
        if is_fired || of_another.iter().any(|name| entry.data().contains_key(name)) {
            return;
        }
        let active = || self.active.get(&named(entry)).map(|(_, what)| what.clone());
        let active = queued.unwrap_or_else(active);
        if active.is_some_and(|active| active != definition(entry)) {
            let workflow = entry.text("workflow").unwrap_or_default();
            let message = format!(
                "{run} begins from another definition than the active version of `{workflow}`"
            );
            findings.add(Some(entry.seq()), "workflow.not_active", message);
        }
    }
}

fn named(entry: &Entry) -> (String, String) {
    (entry.domain().to_owned(), entry.text("workflow").unwrap_or_default().to_owned())
}

fn definition(entry: &Entry) -> Definition {
    (entry.digest("definition"), entry.data().get("children").cloned())
}
