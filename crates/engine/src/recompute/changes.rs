//! Changes of the canon, held against the rule of the canon that was in force: who may approve is said
//! by its facts, which the log's own checks do not read.

use std::sync::Arc;

use cog_canon::Canon;
use cog_gate::change::{ChangeControl, NotChanged};
use cog_ledger::{Entry, Kind};

use super::Recompute;

impl Recompute {
    /// Take the next step of change control.
    pub(super) fn change(&mut self, entry: &Entry) {
        if !ChangeControl::KINDS.contains(&entry.kind()) {
            return;
        }
        let in_force = self.changes.in_force(entry.domain());
        if let Some(canon) = in_force.and_then(|digest| self.canons.get(&digest)).map(Arc::clone)
            && let Some(error) = self.not_admitted(entry, &canon)
        {
            let message = format!("the canon in force does not admit it: {error}");
            self.result.findings.add(Some(entry.seq()), "canon.not_admitted", message);
        }
        if entry.kind() == Kind::CanonActivated {
            self.in_force(entry);
        }
        self.changes.observe(entry);
    }

    /// No version is put in force that does not load, or whose tests fail.
    fn in_force(&mut self, entry: &Entry) {
        let digest = entry.digest("digest");
        if let Some(why) = digest.and_then(|digest| self.unreadable.get(&digest)) {
            let message = format!("the canon put in force does not load: {why}");
            self.find(entry, "canon.unreadable", message);
        }
        let report = digest.and_then(|digest| self.canons.get(&digest)).map(|canon| canon.test());
        if let Some(failed) = report.as_ref().and_then(|report| report.failed.first()) {
            let message = format!("a test of the canon put in force fails: {failed}");
            self.find(entry, "canon.tests_fail", message);
        }
    }

    /// Why a step could not have been taken. Of a proposal that was pruned nobody can tell.
    fn not_admitted(&self, entry: &Entry, canon: &Canon) -> Option<NotChanged> {
        let id = entry.text("proposal")?.parse().ok()?;
        let who = entry.actor().parse().ok()?;
        let kind = entry.kind();
        let error = if kind == Kind::CanonApproved {
            self.changes.approve(id, &who, canon).err()
        } else if kind == Kind::CanonRejected {
            self.changes.reject(id, &who, "", canon).err()
        } else if kind == Kind::CanonActivated {
            self.changes.activate(id, &who, canon).err()
        } else {
            None
        };
        error.filter(|error| !matches!(error, NotChanged::Unknown(_)))
    }
}
