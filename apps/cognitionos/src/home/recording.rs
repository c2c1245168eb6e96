//! What a command has recorded: in a folder by itself, in the database by whoever owns the ledger.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cog_gate::change::ChangeControl;
use cog_ledger::{Draft, Durable, Entry, Kind};
use cog_node::{Decided, Destroy, Request, recorded};

use super::{Home, told};
use crate::commands::owner::{Answered, Owner};
use crate::failure::{Exit, Failure};

impl Home {
    /// Append and wait until it is durable. In the database the owner of the ledger does it, if
    /// nothing that it was decided by has changed since the ledger was opened.
    pub(crate) fn append(&self, drafts: Vec<Draft>) -> anyhow::Result<Vec<Arc<Entry>>> {
        self.append_then(drafts, None)
    }

    /// Append, and then destroy what the entries say is destroyed.
    pub(crate) fn append_then(
        &self,
        drafts: Vec<Draft>,
        then: Option<Destroy>,
    ) -> anyhow::Result<Vec<Arc<Entry>>> {
        // What is about runs their engine records.
        if self.is_of_nodes() && drafts.iter().all(|draft| draft.session.is_none()) {
            return self.have_appended(drafts, then);
        }
        let entries = self.append_here(drafts)?;
        if let Some(then) = then {
            then.carry_out(self.keep(), self.tenant).map_err(told)?;
        }
        Ok(entries)
    }

    /// Have the owner of the ledger append what was decided.
    fn have_appended(
        &self,
        drafts: Vec<Draft>,
        then: Option<Destroy>,
    ) -> anyhow::Result<Vec<Arc<Entry>>> {
        let unless: BTreeSet<Kind> =
            drafts.iter().flat_map(|draft| rests_on(draft.kind)).copied().collect();
        let (seen, unless) = (self.seen.load(Ordering::Relaxed), unless.into_iter().collect());
        let decided = Decided { drafts, seen, unless, then };
        let request = Request::Record(Box::new(decided.clone()));
        if let Answered::Refused(why) = Owner::of(self, self.timeout)?.ask(&request)? {
            let advice = "give the command again: it decides by what stands there now";
            return Err(Failure::advise(Exit::Conflict, why, advice));
        }
        let entries = recorded(&*self.scope()?, &decided).map_err(told)?.unwrap_or_default();
        if let Some(last) = entries.last() {
            self.seen.store(last.seq() + 1, Ordering::Relaxed);
        }
        Ok(entries.into_iter().map(Arc::new).collect())
    }

    fn append_here(&self, mut drafts: Vec<Draft>) -> anyhow::Result<Vec<Arc<Entry>>> {
        self.seal(&mut drafts)?;
        let committer = self.committer()?;
        let drafts = drafts.into_iter().map(|draft| (self.tenant, draft)).collect();
        let appended = committer.append_blocking(drafts);
        committer.shutdown();
        let appended =
            appended.map_err(|error| anyhow::Error::new(error).context("nothing was recorded"))?;
        Ok(appended.into_iter().map(Durable::into_inner).collect())
    }
}

/// What an entry of this kind was decided by: entries of these kinds that are newer make it another
/// decision.
const fn rests_on(kind: Kind) -> &'static [Kind] {
    match kind {
        Kind::CanonProposed
        | Kind::CanonApproved
        | Kind::CanonRejected
        | Kind::CanonActivated
        | Kind::Promotion => &ChangeControl::KINDS,
        // It says under which canon it was refused.
        Kind::Denial => &[Kind::CanonActivated],
        Kind::Checkpoint => &[Kind::Checkpoint],
        Kind::WorkflowActivated => &[Kind::WorkflowActivated, Kind::CanonActivated],
        Kind::BodiesErased | Kind::SegmentPruned => &[
            Kind::SessionStarted,
            Kind::SessionQueued,
            Kind::ScheduleSet,
            Kind::CanonActivated,
            Kind::BodiesErased,
            Kind::SegmentPruned,
        ],
        Kind::Genesis
        | Kind::KeyRotated
        | Kind::Evidence
        | Kind::SessionStarted
        | Kind::PlanSelected
        | Kind::Receipt
        | Kind::ApprovalRequested
        | Kind::ApprovalGranted
        | Kind::ApprovalRejected
        | Kind::ApprovalEscalated
        | Kind::ApprovalDelegated
        | Kind::Output
        | Kind::Outcome
        | Kind::SessionSealed
        | Kind::Signal
        | Kind::SessionPaused
        | Kind::SessionUnpaused
        | Kind::ChildStarted
        | Kind::ChildEnded
        | Kind::Replay
        | Kind::ScheduleSet
        | Kind::ScheduleRemoved
        | Kind::SchedulePaused
        | Kind::ScheduleUnpaused
        | Kind::ScheduleFired
        | Kind::SessionQueued
        | Kind::SessionUnqueued => &[],
    }
}
