//! Receipts that became durable, and what came of their effects.

use cog_base::entropy::NoEntropy;
use cog_base::id::{ApprovalId, ReceiptId, RunId};
use cog_base::json::Map;
use cog_canon::Canon;
use cog_flow::{Event, StepError, StepPath};
use cog_gate::act::{Act, Facts};
use cog_gate::approvals::filled;
use cog_gate::{
    Actor, AnyEffect, Effect, End, Found, Intent, Origin, Pending, Performed, Report, Settling,
};
use cog_ledger::{Draft, Durable, Entry, Kind};

use crate::active::{Later, Question, State};
use crate::engine::{Await, Engine, Output, Timer, Turn};
use crate::notice::What;
use crate::retry::{again, delay_ms};
use crate::start::{BUDGET_TIMER, draft};
use crate::steps::{evidence, subject_of, waits_for};

/// Why what is filled in is not taken where nothing is to be.
pub const NO_FORM: &str = "nothing is to be filled in there";

impl Engine {
    /// A receipt is durable: its effect may begin.
    pub(crate) fn granted(
        &mut self,
        id: RunId,
        pending: Pending<AnyEffect>,
        entry: &Durable<Entry>,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let receipt = pending.receipt();
        let Some(active) = self.runs.get(&id) else { return Ok(()) };
        let Some(step) = active.open.get(&receipt).cloned() else { return Ok(()) };
        let wanted = active.wanted.get(&step);
        let terms = wanted.map(|wanted| wanted.terms).unwrap_or_default();
        let is_withdrawn = wanted.is_some_and(|wanted| wanted.withdrawn);
        let permit = match pending.granted(entry) {
            Ok(permit) => permit,
            // The answer to an append is not what was appended: nothing rests on it.
            Err(other) => {
                self.free(id, receipt);
                self.stop(id, &other.to_string(), turn);
                return self.ask_leased(turn);
            }
        };
        if is_withdrawn {
            let (draft, settling) = permit.abandon();
            return self.settle(id, &step, draft, settling, turn);
        }
        let what = What::Permitted {
            step: step.to_string(),
            receipt,
            actor: entry.actor().to_owned(),
            action: permit.effect().action().to_owned(),
            resource: permit.effect().resource().to_string(),
        };
        match self.gate.clear(permit, self.now()) {
            Ok(cleared) => {
                turn.tell(id, what);
                self.in_hand.insert(receipt);
                let cleared = Box::new(cleared);
                turn.output(Output::Perform { run: id, cleared, terms });
                Ok(())
            }
            Err(not_cleared) => {
                let (_, draft, settling) = *not_cleared;
                self.settle(id, &step, draft, settling, turn)
            }
        }
    }

    /// An adapter is done: try again, or settle.
    pub(crate) fn performed(
        &mut self,
        performed: Performed<AnyEffect>,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let id = performed.session();
        let receipt = performed.receipt();
        let now = self.now();
        self.in_hand.remove(&receipt);
        let Some(active) = self.runs.get_mut(&id) else {
            // Its run stopped. Whoever resumes it finds the receipt open and looks into it.
            return if self.free(id, receipt) { self.ask_leased(turn) } else { Ok(()) };
        };
        let Some(step) = active.open.get(&receipt).cloned() else { return Ok(()) };
        if !active.answers.is_empty() {
            active.queued.push(Later::Performed(Box::new(performed)));
            return Ok(());
        }
        let report = performed.report();
        let wanted = active.wanted.get(&step).filter(|wanted| again(wanted, report));
        let delay = wanted.map(|wanted| delay_ms(&wanted.retry, report.attempts, id, &step));
        // The receipt's reserve covers one attempt: the next one has money of its own before it
        // is waited for, so that nobody else takes that in between.
        let delay = delay.filter(|ms| performed.is_repeatable(now.plus_ms(*ms)));
        let Some(ms) = delay.filter(|_| self.gate.reserve_again(&performed)) else {
            let (draft, settling) = performed.settle();
            return self.settle(id, &step, draft, settling, turn);
        };
        let message = failure(report).unwrap_or_default();
        turn.tell(id, What::Retried { step: step.to_string(), receipt, message });
        turn.output(Output::Arm { timer: Timer { run: id, name: receipt.to_string() }, ms });
        active.delayed.insert(receipt, performed);
        Ok(())
    }

    /// The wait before another attempt is over.
    fn try_again(
        &mut self,
        id: RunId,
        performed: Performed<AnyEffect>,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get(&id) else { return Ok(()) };
        let receipt = performed.receipt();
        let Some(step) = active.open.get(&receipt).cloned() else { return Ok(()) };
        let terms = active.wanted.get(&step).map(|it| it.terms).unwrap_or_default();
        match performed.again(self.now()) {
            Ok(cleared) => {
                self.in_hand.insert(receipt);
                let cleared = Box::new(cleared);
                turn.output(Output::Perform { run: id, cleared, terms });
                Ok(())
            }
            Err(performed) => {
                let (draft, settling) = performed.settle();
                self.settle(id, &step, draft, settling, turn)
            }
        }
    }

    /// The flow has cancelled a step: an attempt that waits to be followed by another was the
    /// last.
    pub(crate) fn withdraw(
        &mut self,
        id: RunId,
        step: &StepPath,
        turn: &mut Turn,
    ) -> Result<Option<Event>, NoEntropy> {
        let Some(active) = self.runs.get_mut(&id) else { return Ok(None) };
        let open = active.open.iter().find(|(_, it)| *it == step).map(|(receipt, _)| *receipt);
        if let Some(receipt) = open.filter(|receipt| self.in_hand.contains(receipt)) {
            turn.output(Output::Withdraw { run: id, receipt });
        }
        let receipt = active.delayed.keys().find(|it| active.open.get(it) == Some(step)).copied();
        if let Some(performed) = receipt.and_then(|receipt| active.delayed.remove(&receipt)) {
            let (draft, settling) = performed.settle();
            self.settle(id, step, draft, settling, turn)?;
        }
        Ok(None)
    }

    /// Put an outcome on its way and let the flow go on behind it: what it asks for next
    /// stands behind the outcome in the same append.
    fn settle(
        &mut self,
        id: RunId,
        step: &StepPath,
        draft: Draft,
        settling: Settling,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let freed = self.gate.close(id, &settling);
        let event = event_of(step, settling.report());
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        active.open.remove(&settling.receipt());
        active.given.remove(&settling.receipt());
        let name = step.to_string();
        let then = Await::Outcome { step: name, settling: Box::new(settling) };
        turn.append(active.origin.tenant, id, draft, then);
        match event {
            Some(event) => {
                active.came_of(step, &event);
                self.tell_flow(id, event, turn)?;
            }
            None => {
                let event = match active.abandoned(step) {
                    Some(given_up) => Some(given_up),
                    None => self.ask(id, step, turn)?,
                };
                if let Some(event) = event {
                    self.tell_flow(id, event, turn)?;
                }
            }
        }
        if freed { self.ask_leased(turn) } else { Ok(()) }
    }

    pub(crate) fn outcome_is_durable(
        &mut self,
        id: RunId,
        step: String,
        settling: Settling,
        entry: &Durable<Entry>,
        turn: &mut Turn,
    ) {
        let Ok(settled) = settling.settled(entry) else { return };
        let receipt = settled.receipt();
        let report = settled.report();
        turn.tell(
            id,
            What::Settled {
                step,
                receipt,
                disposition: report.end.word(),
                message: failure(report),
                cost: report.cost,
            },
        );
    }

    /// An adapter looked for the traces of an effect that an earlier life began.
    pub(crate) fn probed(
        &mut self,
        id: RunId,
        receipt: ReceiptId,
        found: Found,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        if !active.answers.is_empty() {
            active.queued.push(Later::Probed(receipt, found));
            return Ok(());
        }
        let Some((step, intent)) = active.probes.remove(&receipt) else { return Ok(()) };
        let end = match found {
            Found::Done(output) => End::Completed(output),
            Found::NotDone => End::Abandoned,
            Found::CannotTell => End::Unknown,
        };
        self.settle_lost(id, &step, receipt, &intent, end, turn)
    }

    pub(crate) fn settle_lost(
        &mut self,
        id: RunId,
        step: &StepPath,
        receipt: ReceiptId,
        intent: &Intent,
        end: End,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(effect) = cog_gate::door::effect_of(intent) else { return Ok(()) };
        let (_, in_force) = self.canon_for(&intent.origin().domain);
        let wanted = self.runs.get(&id).and_then(|active| active.wanted.get(step));
        let subject = wanted.and_then(|wanted| wanted.subject.clone());
        let lost = self.gate.lost(receipt, intent, effect, in_force, subject);
        let (draft, settling) = lost.settle(end);
        self.settle(id, step, draft, settling, turn)
    }

    /// Put somebody's answer on its way into the ledger. It counts when it is there. One that does
    /// not count is a denial in the run, once for each person and reason.
    pub(crate) fn answer(
        &mut self,
        id: RunId,
        approval: ApprovalId,
        who: &Actor,
        verdict: Result<Map, String>,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        // Whose it is to answer is about to change.
        if active.end.is_none() && active.handing.contains(&approval) {
            active.queued.push(Later::Answer(approval, who.clone(), verdict));
            return Ok(());
        }
        // A run that has ended takes no more entries but its seal.
        if active.end.is_some() || active.answers.contains_key(&(approval, who.clone())) {
            return Ok(());
        }
        let origin = active.origin.clone();
        let said = verdict.as_ref().map(drop).map_err(String::as_str);
        // Who may answer from a time on may from that time on, however late its timer is.
        let (request, now) = (self.gate.approvals().get(approval), self.ledger_now());
        if request.is_some_and(|request| request.escalating(now).is_some()) {
            self.escalate(id, approval, turn);
        }
        let place = ((origin.tenant, Some(id)), (&*origin.domain, &*origin.environment));
        let act = |canon: Option<&_>| Act::answer(place.0, place.1, approval, who, said, canon);
        if self.refuse_answer(&origin, approval, act, turn)? {
            return Ok(());
        }
        let verdict = match self.filled(id, approval, verdict) {
            Ok(verdict) => verdict,
            Err(message) => {
                turn.tell(id, What::NotCounted { approval, message, denial: None });
                return Ok(());
            }
        };
        let (canon, _) = self.canon_for(&origin.domain);
        let (Some(canon), now) = (canon, self.ledger_now()) else { return Ok(()) };
        let approvals = self.gate.approvals();
        let draft = match &verdict {
            Ok(form) => approvals.grant(approval, who, &canon, now).map(|it| filled(it, form)),
            Err(reason) => approvals.reject(approval, who, reason, &canon, now),
        };
        if let (Ok(mut draft), Some(active)) = (draft, self.runs.get_mut(&id)) {
            draft.about(subject_of(active, approval));
            active.answers.insert((approval, who.clone()), verdict);
            let then = Await::Answered(approval, who.clone());
            turn.append(origin.tenant, id, draft, then);
        }
        Ok(())
    }

    /// What somebody fills in who says yes is what the step asks for.
    fn filled(
        &self,
        id: RunId,
        approval: ApprovalId,
        verdict: Result<Map, String>,
    ) -> Result<Result<Map, String>, String> {
        let Ok(given) = verdict else { return Ok(verdict) };
        let active = self.runs.get(&id);
        let step = active.and_then(|active| waits_for(active, approval));
        let ask = active.zip(step).and_then(|(active, step)| active.asks.get(&step));
        match ask.filter(|ask| !ask.form.is_empty()) {
            Some(ask) => ask.form.bind_values(&given).map(Ok),
            None if given.is_empty() => Ok(Ok(given)),
            None => Err(NO_FORM.to_owned()),
        }
    }

    /// Refuse an answer that does not count, on the record. Says whether it does not.
    pub(crate) fn refuse_answer(
        &mut self,
        origin: &Origin,
        approval: ApprovalId,
        act: impl Fn(Option<&Canon>) -> Act,
        turn: &mut Turn,
    ) -> Result<bool, NoEntropy> {
        let (id, now) = (origin.session, self.ledger_now());
        let (canon, _) = self.canon_for(&origin.domain);
        let canon = canon.as_deref();
        let request = self.gate.approvals().get(approval).filter(|it| it.session == id).cloned();
        let Some(active) = self.runs.get_mut(&id) else { return Ok(false) };
        // An answer to what the run has given up since would be kept and change nothing.
        let is_answered = request.as_ref().is_some_and(|request| !request.is_open());
        let waits = is_answered || waits_for(active, approval).is_some();
        let facts = Facts::Answer { request: request.map(Box::new), waits, is_seen: true };
        let act = act(canon);
        let entropy = self.entropy.as_mut();
        let Some(refused) = self.gate.refuse_answer(&act, &facts, now, canon, entropy)? else {
            return Ok(false);
        };
        active.parked = false;
        let (denial, draft) = refused.denial.unzip();
        let told = What::NotCounted { approval, message: refused.no.reason, denial };
        match draft {
            Some(draft) => {
                turn.append(origin.tenant, id, draft, Await::Nothing);
                turn.tell_behind(id, told);
            }
            None => turn.tell(id, told),
        }
        Ok(true)
    }

    pub(crate) fn answer_is_durable(
        &mut self,
        id: RunId,
        approval: ApprovalId,
        who: Actor,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        let step = waits_for(active, approval);
        active.parked = false;
        active.handing.remove(&approval);
        match active.answers.remove(&(approval, who.clone())) {
            Some(Ok(form)) => {
                let ask = step.and_then(|step| active.asks.get_mut(&step));
                if let Some(ask) = ask.filter(|_| !form.is_empty()) {
                    let request = self.gate.approvals().get(approval);
                    let voice = request.map_or(who.as_str(), |it| it.voice(who.as_str()));
                    ask.forms.insert(voice.to_owned(), form);
                }
            }
            Some(Err(reason)) => self.gate.because(approval, &reason),
            None => {}
        }
        self.go_on_after(id, approval, turn)?;
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        if !active.answers.is_empty() {
            return Ok(());
        }
        for later in std::mem::take(&mut active.queued) {
            match later {
                Later::Performed(performed) => self.performed(*performed, turn)?,
                Later::Probed(receipt, found) => self.probed(id, receipt, found, turn)?,
                Later::Due(name) => self.due(Timer { run: id, name }, turn)?,
                Later::Hold(pauses, who, reason) => {
                    self.hold_run(id, pauses, (who, reason), turn)?;
                }
                Later::Answer(approval, who, verdict) => {
                    self.answer(id, approval, &who, verdict, turn)?;
                }
                Later::Delegate(approval, who, to, reason) => {
                    self.delegate(id, approval, (who, to, reason), turn)?;
                }
                Later::Signal(sent) => self.signal(id, *sent, turn)?,
                Later::Placed(run, placed) => self.placed(id, run, placed, turn)?,
                Later::Ended(run, end) => self.child_ended(id, run, *end, turn)?,
                Later::Cancel(who, reason) => self.cancel(id, who, reason, turn)?,
            }
        }
        self.ask_leased(turn)
    }

    /// The step that waits for a request goes on, if the request is decided.
    pub(crate) fn go_on_after(
        &mut self,
        id: RunId,
        approval: ApprovalId,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        let Some(request) = self.gate.approvals().get(approval).cloned() else { return Ok(()) };
        let Some(step) = waits_for(active, approval).filter(|_| !request.is_open()) else {
            return Ok(());
        };
        if let Some(Question { forms, .. }) = active.asks.remove(&step) {
            let by = request.granted.into_iter().collect();
            let event = match request.rejected {
                Some((by, reason)) => Event::Rejected { step, by, reason },
                None => Event::Approved { step, by, forms },
            };
            return self.tell_flow(id, event, turn);
        }
        if let Some((by, reason)) = &request.rejected {
            active.reject(&step, by, reason);
        }
        if let Some(wanted) = active.wanted.get_mut(&step) {
            wanted.state = State::New;
        }
        match self.ask(id, &step, turn)? {
            Some(event) => self.tell_flow(id, event, turn),
            None => Ok(()),
        }
    }

    /// A request may have taken too long: who else may answer is let answer.
    pub(crate) fn escalate(&mut self, id: RunId, approval: ApprovalId, turn: &mut Turn) {
        let Some(active) = self.runs.get(&id).filter(|active| active.end.is_none()) else { return };
        let Some(step) = waits_for(active, approval) else { return };
        let now = self.ledger_now();
        let request = self.gate.approvals().get(approval);
        let name = approval.to_string();
        // The request is on its way into the ledger, or the clock was set back.
        let early = request.map_or(Some(1), |request| {
            let at = request.escalates().filter(|at| *at > now)?;
            Some(at.ms_since(now).saturating_add(1))
        });
        if let Some(ms) = early {
            turn.output(Output::Arm { timer: Timer { run: id, name }, ms });
            return;
        }
        let tenant = active.origin.tenant;
        let Some(draft) = self.gate.escalate(approval, now) else { return };
        let request = self.gate.approvals().get(approval);
        let of = request.map(|request| request.of().cloned().collect()).unwrap_or_default();
        turn.append(tenant, id, draft, Await::Nothing);
        turn.tell_behind(id, What::Escalated { step: step.to_string(), approval, of });
    }

    /// How long the question of a step can still be answered: it may have been put anew since
    /// its timer was set, and the clock may have been set back.
    fn early_ms(&self, id: RunId, name: &str) -> Option<u64> {
        let ask = self.runs.get(&id)?.asks.get(&name.parse::<StepPath>().ok()?)?;
        let request = ask.approval.and_then(|approval| self.gate.approvals().get(approval));
        let Some(request) = request else { return Some(ask.expires_ms) };
        let now = self.ledger_now();
        (!request.is_expired(now)).then(|| request.expires.ms_since(now).saturating_add(1))
    }

    /// Whether nothing new of a run begins any more, because the minutes of its budget are over. Who
    /// hears of that first ends the run: a machine that stood still wakes in any order.
    pub(crate) fn is_out_of_time(&mut self, id: RunId, turn: &mut Turn) -> Result<bool, NoEntropy> {
        let now = self.ledger_now();
        let Some(active) = self.runs.get(&id).filter(|active| active.is_out_of_time(now)) else {
            return Ok(false);
        };
        let is_told = |it: &Later| matches!(it, Later::Due(name) if name == BUDGET_TIMER);
        if !active.queued.iter().any(is_told) {
            self.due(Timer { run: id, name: BUDGET_TIMER.to_owned() }, turn)?;
        }
        Ok(true)
    }

    /// A timer is due. That it was is evidence, in its place in the log.
    pub(crate) fn due(&mut self, timer: Timer, turn: &mut Turn) -> Result<(), NoEntropy> {
        let Timer { run: id, name } = timer;
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        let receipt = name.parse::<ReceiptId>().ok();
        if let Some(performed) = receipt.and_then(|receipt| active.delayed.remove(&receipt)) {
            return self.try_again(id, performed, turn);
        }
        if !active.answers.is_empty() {
            active.queued.push(Later::Due(name));
            return Ok(());
        }
        if let Ok(approval) = name.parse::<ApprovalId>() {
            self.escalate(id, approval, turn);
            return Ok(());
        }
        if let Some(ms) = self.early_ms(id, &name) {
            turn.output(Output::Arm { timer: Timer { run: id, name }, ms });
            return Ok(());
        }
        let Some(active) = self.runs.get_mut(&id) else { return Ok(()) };
        if name == BUDGET_TIMER && active.run.is_ending() {
            return Ok(());
        }
        let Some(event) = active.due(&name) else { return Ok(()) };
        let data = evidence("timer", &name);
        let draft = draft(&active.origin, Kind::Evidence, None, data, None);
        turn.append(active.origin.tenant, id, draft, Await::Nothing);
        self.tell_flow(id, event, turn)
    }
}

/// What a flow hears of an outcome; nothing when the step is to be asked anew.
pub(crate) fn event_of(step: &StepPath, report: &Report) -> Option<Event> {
    let step = step.clone();
    let failed = |code: &str, message: &str, transient| Event::Failed {
        step: step.clone(),
        error: StepError { code: code.to_owned(), message: message.to_owned(), transient },
    };
    match &report.end {
        End::Completed(output) => Some(Event::Completed { step, output: output.clone() }),
        End::Failed(failure) => Some(failed(&failure.code, &failure.message, failure.transient)),
        End::Abandoned => None,
        End::Unknown => Some(failed(
            "effect.unknown",
            "nobody can tell whether it was done; look at the world before you do it again",
            false,
        )),
    }
}

fn failure(report: &Report) -> Option<String> {
    match &report.end {
        End::Failed(failure) => Some(failure.message.clone()),
        End::Unknown => Some("nobody can tell whether it was done".into()),
        End::Completed(_) | End::Abandoned => None,
    }
}
