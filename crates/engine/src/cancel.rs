//! A run that somebody ends from outside.

use cog_base::Sources;
use cog_base::entropy::NoEntropy;
use cog_base::id::RunId;
use cog_flow::Event;
use cog_gate::{Actor, OfRun, Origin, Question, Refusal, Wish};
use cog_ledger::Kind;

use crate::active::Later;
use crate::engine::{Await, Engine, Turn};
use crate::notice::{Intervention, What};
use crate::pause::REASON_CHARS_MAX;
use crate::start::draft;
use crate::steps::evidence;

impl Engine {
    /// Somebody ends a run: nothing new begins, what has not begun is given up, and what is
    /// under way is waited for. Who it was and why is evidence, in its place in the log, and so
    /// is a refusal. A run that is being ended is not ended again, and nothing is recorded.
    pub(crate) fn cancel(
        &mut self,
        id: RunId,
        who: Actor,
        reason: String,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        if active.is_ended() {
            turn.tell(id, What::EndsAlready { cancelled: active.cancelled.clone() });
            return Ok(());
        }
        if !active.answers.is_empty() {
            active.queued.push(Later::Cancel(who, reason));
            return Ok(());
        }
        let origin = active.origin.clone();
        if let Some(refusal) = self.refuse_of_run((&origin, None), Wish::Cancel, &who, &reason)? {
            let Refusal { id: denial, code, reason, flips, draft, .. } = refusal;
            turn.append(origin.tenant, id, draft, Await::Nothing);
            let who = who.to_string();
            let wish = Wish::Cancel;
            turn.tell_behind(id, What::NotGranted { wish, who, denial, code, reason, flips });
            return Ok(());
        }
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        if active.end.is_some() {
            // Nothing is left to end: it is let go on, to the end that it came to.
            let draft = active.hold(false, &who, &reason, None);
            turn.append(origin.tenant, id, draft, Await::Nothing);
            turn.tell_behind(id, What::Held { pauses: false, by: who.to_string(), reason });
            turn.tell_behind(id, What::EndsAlready { cancelled: None });
            return Ok(());
        }
        // The flow hears the very words that the ledger keeps.
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        let Ok(actions) = active.run.apply(Event::Cancelled { reason: reason.clone() }) else {
            turn.tell(id, What::EndsAlready { cancelled: active.cancelled.clone() });
            return Ok(());
        };
        active.cancelled = Some(Intervention { by: who.to_string(), reason: reason.clone() });
        let mut data = evidence("cancel", "");
        data.remove("note");
        let entry = draft(&active.origin, Kind::Evidence, None, data, None);
        let mut entry = entry.saying("reason", &reason);
        entry.actor = who.as_str().to_owned();
        turn.append(active.origin.tenant, id, entry, Await::Nothing);
        self.act(id, actions, turn)?;
        self.end_detached(id, turn)
    }

    /// The refusal, when `who` may not have what they wish of a run of this origin, which holds data
    /// of `subject`, by the canon in force. Nothing is recorded; whoever asks outside of a run appends its draft.
    ///
    /// # Errors
    /// [`NoEntropy`] when no id can be drawn.
    pub fn refuse_of_run(
        &mut self,
        (origin, subject): (&Origin, Option<&str>),
        wish: Wish,
        who: &Actor,
        reason: &str,
    ) -> Result<Option<Refusal>, NoEntropy> {
        let (canon, in_force) = self.canon_for(&origin.domain);
        let world = self.world(canon.as_ref(), in_force);
        let effect = OfRun { run: origin.session, wish, reason: reason.to_owned() };
        let (actor, subject) = (who.clone(), subject.map(str::to_owned));
        let sources = Sources::default();
        let question = Question { origin, step: "", actor, effect, subject, sources };
        self.gate.refuse_of_run(&question, &world, self.entropy.as_mut())
    }
}
