//! Signals: kept in the order in which they came, taken by the first step that fits.

use cog_base::{Source, Sources, Value};

use super::Run;
use super::cell::{CellId, FrameId, Listening, Phase};
use super::event::{Action, OutOfOrder, Signal, StepError};
use super::step::Outcome;
use crate::definition::WaitFor;
use crate::limits::{MAX_SIGNALS_KEPT, MAX_SLEEP_MS};

impl Run {
    /// Waits for a signal, unless one that fits is kept already.
    pub(super) fn wait_for(
        &mut self,
        id: CellId,
        wait: &WaitFor,
        frame: FrameId,
    ) -> Result<(), StepError> {
        let mut sources = self.labels(id);
        let step = &self.cells.get(id).path;
        sources.add(&Sources::of(Source::Signal(wait.signal.clone()), step));
        self.cells.get_mut(id).sources = sources;
        let matching = self.evaluate_members(&wait.matching, frame)?;
        let timeout_ms = self.signal_timeout(wait, frame)?;
        let listening = Listening { signal: wait.signal.clone(), matching };
        let kept = self.signals.iter().position(|signal| listening.fits(signal));
        if let Some(signal) = kept.and_then(|position| self.signals.remove(position)) {
            self.has_moved = true;
            self.finish(id, Outcome::Completed(signal.into_value()));
            return Ok(());
        }
        self.takes_time(id, timeout_ms.unwrap_or(0));
        let (step, signal) = (self.cells.get(id).path.clone(), wait.signal.clone());
        self.actions.push(Action::Listen { step, signal, timeout_ms });
        self.listen(id, Phase::Listening(Box::new(listening)));
        Ok(())
    }

    fn signal_timeout(&self, wait: &WaitFor, frame: FrameId) -> Result<Option<u64>, StepError> {
        let Some(template) = &wait.timeout_ms else { return Ok(None) };
        let ms = self.evaluate_number(template, frame, "`timeout_ms`")?;
        if ms > MAX_SLEEP_MS.unsigned_abs() {
            return Err(StepError::new("limit", "a wait of more than 366 days"));
        }
        Ok(Some(ms))
    }

    /// A signal came: the first step that waits for it, in the order of paths, takes it.
    pub(super) fn signalled(&mut self, signal: Signal) -> Result<(), OutOfOrder> {
        let refuse = |why: String| {
            let subject = format!("the signal `{}`", signal.name);
            Err(OutOfOrder { event: "signalled", subject, why })
        };
        // A run that is being ended takes them too: what undoes it may wait for one.
        if self.status.is_final() {
            return refuse("the run is over".to_owned());
        }
        let taker = self.open.iter().find(|(_, id)| match &self.cells.get(**id).phase {
            Phase::Listening(listening) => listening.fits(&signal),
            Phase::Waiting
            | Phase::Effect
            | Phase::Choosing
            | Phase::Asking
            | Phase::Sleeping
            | Phase::Marking
            | Phase::Pausing(_)
            | Phase::Inside(_)
            | Phase::Looping(_)
            | Phase::Handling(_)
            | Phase::Done => false,
        });
        let Some((step, id)) = taker.map(|(step, id)| (step.clone(), *id)) else {
            if self.signals.len() >= MAX_SIGNALS_KEPT {
                return refuse(format!("{MAX_SIGNALS_KEPT} signals wait to be taken already"));
            }
            self.signals.push_back(signal);
            return Ok(());
        };
        self.actions.push(Action::Cancel { step });
        self.has_moved = true;
        self.finish(id, Outcome::Completed(signal.into_value()));
        Ok(())
    }

    /// No signal came in time.
    pub(super) fn signal_is_late(&mut self, id: CellId) {
        let Phase::Listening(listening) = &self.cells.get(id).phase else { return };
        let message = format!("the signal `{}` did not come in time", listening.signal);
        self.finish(id, Outcome::Failed(StepError::new("timeout", message)));
    }
}

impl Listening {
    /// Whether the signal has the name, and in its payload what the step asks for.
    fn fits(&self, signal: &Signal) -> bool {
        let has = |(name, wanted): (&String, &Value)| signal.payload.get(name) == Some(wanted);
        signal.name == self.signal && self.matching.iter().all(has)
    }
}
