//! Holding a run, and those that it began: nothing new of them begins, what is under way comes to
//! its end, and the run does not.
//!
//! Timers run on, and what they bring about waits with the rest; when nothing is left to do, the
//! seal waits too. Ending a run ends the holding: what undoes it needs receipts. Who may end a run
//! may hold it and let it go on.

use cog_base::entropy::NoEntropy;
use cog_base::id::RunId;
use cog_gate::{Actor, Refusal, Wish};
use cog_ledger::{Draft, Entry, Kind};

use crate::active::{Active, Later, State};
use crate::engine::{Await, Engine, Turn};
use crate::history::{History, Mismatch, Record, unexpected};
use crate::notice::{Intervention, What};
use crate::start::draft;

/// The most of a reason that is kept, in characters.
pub(crate) const REASON_CHARS_MAX: usize = 1_000;

impl Active {
    /// Whether nothing new of it may begin.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.is_some() && !self.is_being_ended()
    }

    /// Whether nothing is left to do and nobody holds it: it comes to its seal.
    pub(crate) fn is_ended(&self) -> bool {
        self.end.is_some() && !self.is_paused()
    }

    /// Whether it can be held, or let go on, as it stands.
    fn can_hold(&self, pauses: bool) -> Result<(), &'static str> {
        if self.is_ended() {
            return Err("it has ended");
        }
        // What undoes it needs receipts.
        if pauses && self.is_being_ended() {
            return Err("it is being ended");
        }
        match (pauses, self.is_paused()) {
            (true, true) => Err("it is paused already"),
            (false, false) => Err("it is not paused"),
            (true, false) | (false, true) => Ok(()),
        }
    }

    /// The entry that holds a run or lets it go on, and the run as it is then.
    pub(crate) fn hold(
        &mut self,
        pauses: bool,
        who: &Actor,
        reason: &str,
        with: Option<RunId>,
    ) -> Draft {
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        let kind = if pauses { Kind::SessionPaused } else { Kind::SessionUnpaused };
        let data = with.map(|with| ("with".to_owned(), with.into())).into_iter().collect();
        let mut entry = draft(&self.origin, kind, None, data, None).saying("reason", &reason);
        entry.about(self.run.subject_of());
        entry.actor = who.as_str().to_owned();
        let by = who.as_str().to_owned();
        self.set_paused(pauses.then_some(Intervention { by, reason }), with);
        entry
    }

    /// Whether it is held, or let go on, together with a run above.
    fn is_held_with(&self, pauses: bool, with: RunId) -> bool {
        self.can_hold(pauses).is_ok() && (pauses || self.held_with == Some(with))
    }

    fn set_paused(&mut self, paused: Option<Intervention>, with: Option<RunId>) {
        self.held_with = with.filter(|_| paused.is_some());
        self.paused = paused;
        self.parked = false;
        // What waits for a lease is asked for anew when the run goes on.
        for wanted in self.wanted.values_mut().filter(|it| it.state == State::Leased) {
            wanted.state = State::New;
        }
    }
}

impl Engine {
    /// Hold a run, or let it go on: the entry first, then what follows from it.
    pub(crate) fn hold_run(
        &mut self,
        id: RunId,
        pauses: bool,
        (who, reason): (Actor, String),
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get_mut(&id) else {
            let (who, message) = (who.to_string(), "it is not under way here".to_owned());
            turn.tell(id, What::NotPaused { pauses, who, message });
            return Ok(());
        };
        if !active.answers.is_empty() {
            active.queued.push(Later::Hold(pauses, who, reason));
            return Ok(());
        }
        if let Err(message) = active.can_hold(pauses) {
            let (who, message) = (who.to_string(), message.to_owned());
            turn.tell(id, What::NotPaused { pauses, who, message });
            return Ok(());
        }
        let origin = active.origin.clone();
        let wish = if pauses { Wish::Pause } else { Wish::Unpause };
        if let Some(refusal) = self.refuse_of_run((&origin, None), wish, &who, &reason)? {
            let Refusal { id: denial, code, reason, flips, draft, .. } = refusal;
            turn.append(origin.tenant, id, draft, Await::Nothing);
            let who = who.to_string();
            turn.tell_behind(id, What::NotGranted { wish, who, denial, code, reason, flips });
            return Ok(());
        }
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        let draft = active.hold(pauses, &who, &reason, None);
        turn.append(active.origin.tenant, id, draft, Await::Nothing);
        let by = who.as_str().to_owned();
        turn.tell_behind(id, What::Held { pauses, by, reason: reason.clone() });
        let undone = if pauses { Vec::new() } else { active.undone() };
        self.work_off(id, undone, turn)?;
        self.hold_below(id, pauses, (&who, &reason), turn)
    }

    /// The runs that it began, and those that they began, are held with it, and go on with it.
    fn hold_below(
        &mut self,
        with: RunId,
        pauses: bool,
        (who, reason): (&Actor, &str),
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let below = self.runs.keys().filter(|id| self.gate.is_below(**id, with));
        for id in below.copied().collect::<Vec<_>>() {
            let Some(active) = self.runs.get_mut(&id) else { continue };
            if !active.is_held_with(pauses, with) {
                continue;
            }
            let draft = active.hold(pauses, who, reason, Some(with));
            turn.append(active.origin.tenant, id, draft, Await::Nothing);
            let (by, reason) = (who.as_str().to_owned(), reason.to_owned());
            turn.tell_behind(id, What::Held { pauses, by, reason });
            let undone = if pauses { Vec::new() } else { active.undone() };
            self.work_off(id, undone, turn)?;
        }
        Ok(())
    }
}

impl History {
    /// Whether this run can be held, or let go on, as it stands.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn can_hold(&self, pauses: bool) -> Result<(), &'static str> {
        if self.sealed { Err("it has ended") } else { self.active.can_hold(pauses) }
    }

    /// The entry that holds this run, or lets it go on, for somebody who may.
    #[must_use]
    pub fn hold(mut self, pauses: bool, who: &Actor, reason: &str) -> Draft {
        self.active.hold(pauses, who, reason, None)
    }

    /// The entry that holds this run with one above, or lets it go on with that; nothing when it
    /// does not concern this one.
    #[must_use]
    pub fn hold_with(
        mut self,
        pauses: bool,
        who: &Actor,
        reason: &str,
        with: RunId,
    ) -> Option<Draft> {
        let is_held = self.active.is_held_with(pauses, with);
        is_held.then(|| self.active.hold(pauses, who, reason, Some(with)))
    }

    /// Who holds the run, and why.
    #[must_use]
    pub fn paused(&self) -> Option<&Intervention> {
        self.active.paused.as_ref().filter(|_| self.active.is_paused())
    }

    pub(crate) fn held(&mut self, record: &Record) -> Result<(), Mismatch> {
        let entry = &record.entry;
        let pauses = entry.kind() == Kind::SessionPaused;
        if pauses == self.active.is_paused() {
            return Err(unexpected(entry, "the run stands so already"));
        }
        // Nothing follows from why.
        let reason = record.said().unwrap_or("(it was erased)").to_owned();
        let by = entry.actor().to_owned();
        let with = entry.text("with").and_then(|run| run.parse().ok());
        self.active.set_paused(pauses.then_some(Intervention { by, reason }), with);
        Ok(())
    }

    /// Nothing new begins while somebody holds the run.
    pub(crate) fn begins(&self, entry: &Entry) -> Result<(), Mismatch> {
        if self.active.is_paused() {
            return Err(unexpected(entry, "the run is paused"));
        }
        Ok(())
    }
}
