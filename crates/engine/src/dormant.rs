//! Runs that leave memory: nothing of them is under way, and only time or somebody outside
//! brings them on. What they are is in the ledger, and they come back as after a restart.

use cog_base::id::RunId;

use crate::active::{Active, State};
use crate::engine::Engine;

impl Active {
    /// Whether nothing is under way, nothing is left to be asked, and no other run is bound up
    /// with it.
    fn is_dormant(&self) -> bool {
        let is_settled = self.open.is_empty() && self.probes.is_empty() && self.delayed.is_empty();
        let is_written = self.appends == 0 && self.answers.is_empty() && self.queued.is_empty();
        let is_alone =
            self.parent.is_none() && self.children.is_empty() && self.detached.is_empty();
        let is_asked = self.choices.is_empty()
            && self.marks.is_empty()
            && self.wanted.values().all(|it| matches!(it.state, State::Approval(_)))
            && self.asks.values().all(|ask| ask.approval.is_some());
        let waits = !self.wanted.is_empty()
            || !self.asks.is_empty()
            || !self.sleeping.is_empty()
            || !self.listening.is_empty()
            || self.paused.is_some();
        let is_last = self.wish.is_some();
        !self.is_ended() && !is_last && is_settled && is_written && is_alone && is_asked && waits
    }
}

impl Engine {
    /// A run that has begun others stays, with those that they begin: their accounts count in
    /// its own, also when they are over.
    fn may_leave(&self, run: RunId, active: &Active) -> bool {
        active.is_dormant() && self.gate.descendants(run) == 0
    }

    /// The runs of which nothing is under way, and that only time or somebody outside brings on.
    pub fn dormant(&self) -> impl Iterator<Item = RunId> {
        self.runs.iter().filter(|(id, active)| self.may_leave(**id, active)).map(|(id, _)| *id)
    }

    /// Let a run leave memory that is dormant. It comes back with [`crate::Input::Resume`]; until
    /// then nothing that is said to it is heard. Says whether it left.
    pub(crate) fn forget(&mut self, run: RunId) -> bool {
        let leaves = self.runs.get(&run).is_some_and(|active| self.may_leave(run, active));
        if leaves {
            self.runs.remove(&run);
            self.gate.close_session(run);
        }
        leaves
    }
}
