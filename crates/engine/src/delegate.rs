//! Having another person answer a request: decided by the gate, and an entry of the run before any answer
//! that follows from it.

use cog_base::entropy::NoEntropy;
use cog_base::id::{ApprovalId, RunId};
use cog_base::json::Map;
use cog_gate::Actor;
use cog_gate::act::Act;

use crate::active::Later;
use crate::engine::{Await, Engine, Turn};
use crate::steps::subject_of;

impl Engine {
    /// Have `to` answer in the place of `who`, once that is in the ledger. Where it may not be it is a
    /// denial in the run, as of an answer that does not count.
    pub(crate) fn delegate(
        &mut self,
        id: RunId,
        approval: ApprovalId,
        (who, to, reason): (Actor, Actor, Option<String>),
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get_mut(&id).filter(|it| it.end.is_none()) else {
            return Ok(());
        };
        // What is on its way may be an answer of one of the two.
        if active.answers.keys().any(|(of, _)| *of == approval) {
            active.queued.push(Later::Delegate(approval, who, to, reason));
            return Ok(());
        }
        let origin = active.origin.clone();
        let (request, now) = (self.gate.approvals().get(approval), self.ledger_now());
        if request.is_some_and(|request| request.escalating(now).is_some()) {
            self.escalate(id, approval, turn);
        }
        let of = (&*origin.domain, &*origin.environment);
        let act = |canon: Option<&_>| {
            Act::delegate((origin.tenant, Some(id)), of, approval, (&who, &to), canon)
        };
        if self.refuse_answer(&origin, approval, act, turn)? {
            return Ok(());
        }
        let (canon, _) = self.canon_for(&origin.domain);
        let (Some(canon), now) = (canon, self.ledger_now()) else { return Ok(()) };
        let both = (&who, &to);
        let draft = self.gate.approvals().delegate(approval, both, reason.as_deref(), &canon, now);
        if let (Ok(mut draft), Some(active)) = (draft, self.runs.get_mut(&id)) {
            draft.about(subject_of(active, approval));
            active.answers.insert((approval, who.clone()), Ok(Map::new()));
            active.handing.insert(approval);
            turn.append(origin.tenant, id, draft, Await::Answered(approval, who));
        }
        Ok(())
    }
}
