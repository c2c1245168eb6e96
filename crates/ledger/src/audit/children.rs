//! Runs that runs begin: each is asked for once, by the run that it names, in the name of the
//! same person, and what is told of its end is what its seal says.

use cog_base::id::RunId;
use cog_base::json::Value;

use super::Findings;
use super::sessions::Sessions;
use crate::entry::Entry;

/// A run that another began.
#[derive(Debug)]
pub(super) struct Child {
    parent: Option<RunId>,
    step: String,
    has_ended: bool,
}

fn run(entry: &Entry) -> Option<RunId> {
    entry.text("session").and_then(|id| id.parse().ok())
}

impl Sessions {
    pub(super) fn child_started(&mut self, entry: &Entry, findings: &mut Findings) {
        let Some(id) = run(entry) else { return };
        let step = entry.text("step").unwrap_or_default().to_owned();
        let child = Child { parent: entry.session(), step, has_ended: false };
        let is_known = self.sessions.contains_key(&id);
        if self.children.insert(id, child).is_some() || is_known {
            let message = format!("{id} was begun before");
            findings.add(Some(entry.seq()), "child.started_twice", message);
        }
    }

    /// A run that names a parent was begun by it, for the same person.
    pub(super) fn descent(&mut self, entry: &Entry, findings: &mut Findings) {
        let seq = Some(entry.seq());
        let Some(id) = entry.session() else { return };
        let named = entry.data().get("parent");
        let text = |name| named.and_then(|parent| parent.get(name)).and_then(Value::as_text);
        let Some(child) = self.children.get(&id) else {
            if named.is_some() && !self.is_pruned {
                let message = format!("no run says before it that it begins {id}");
                findings.add(seq, "child.not_asked", message);
            }
            return;
        };
        let parent = child.parent.map(|parent| parent.to_string());
        if text("session") != parent.as_deref() || text("step") != Some(&child.step) {
            let message = format!("{id} names another parent than the run that began it");
            findings.add(seq, "child.other_parent", message);
        }
        let parent = child.parent.and_then(|parent| self.sessions.get(&parent));
        let began = parent.and_then(|parent| parent.initiator.as_deref());
        if began.is_some() && began != entry.text("initiator") {
            let message = format!("{id} is begun for another person than its parent");
            findings.add(seq, "child.other_initiator", message);
        }
    }

    /// What a run hears of the end of another is what its seal says, once.
    pub(super) fn child_ended(&mut self, entry: &Entry, findings: &mut Findings) {
        let seq = Some(entry.seq());
        let Some(id) = run(entry) else { return };
        match self.children.get_mut(&id) {
            Some(child) => {
                let here =
                    child.parent == entry.session() && entry.text("step") == Some(&child.step);
                if !here {
                    let message = format!("{id} was begun by another step or run");
                    findings.add(seq, "child.other_parent", message);
                }
                if child.has_ended {
                    findings.add(
                        seq,
                        "child.ended_twice",
                        format!("the end of {id} is told again"),
                    );
                }
                child.has_ended = true;
            }
            None if self.is_pruned => {}
            None => {
                let message = format!("no run began {id}");
                findings.add(seq, "child.not_asked", message);
            }
        }
        let status = self.sessions.get(&id).map(|session| session.status.as_deref());
        let is_unknown = self.is_pruned && status.is_none();
        if !is_unknown && status.flatten() != entry.text("status") {
            let message = format!("the seal of {id} before it does not say that it ended so");
            findings.add(seq, "child.end_wrong", message);
        }
    }
}
