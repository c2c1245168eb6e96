//! Going on with a run that a crash or a wait left open.

use std::collections::BTreeSet;

use cog_base::entropy::NoEntropy;
use cog_gate::decision::{decide, read_record};
use cog_gate::door::effect_of;
use cog_gate::effect::Redo;
use cog_gate::{Actor, Effect, End, Limits};
use cog_ledger::Kind;

use crate::active::{Active, State};
use crate::engine::{Engine, Output, Timer, Turn};
use crate::history::{Armed, Charged, History, Mismatch, Record};
use crate::replay::decide_again;
use crate::start::folders;

/// A run to go on with: its entries, oldest first.
#[derive(Debug, Clone)]
pub struct Resumption {
    /// The entries with their bodies.
    pub records: Vec<Record>,
    /// Who ends it, and why, instead of going on: nothing begins that has not begun. If they
    /// may not, that is on record and the run goes on: [`Engine::refuse_of_run`] says it before.
    pub cancel: Option<(Actor, String)>,
}

impl Engine {
    /// Rebuild a run's state and accounts without going on with it.
    ///
    /// # Errors
    /// [`Mismatch`] when the entries are not those of one run.
    pub fn rebuild(&mut self, records: &[Record]) -> Result<History, Mismatch> {
        let (first, rest) = records.split_first().ok_or(Mismatch::NoStart { seq: 0 })?;
        let mut history = History::begin(first)?;
        for record in rest {
            history.feed(record)?;
            self.gate.observe(&record.entry);
            if matches!(record.entry.kind(), Kind::ApprovalGranted | Kind::ApprovalRejected) {
                decide_again(self.gate.approvals(), &record.entry, &mut history);
            }
        }
        Ok(history)
    }

    /// Hold what the open receipts of a run touch, before it is resumed: an effect of it may
    /// have been under way, and nobody may stand in its place before it is known what became of
    /// it. Whoever resumes several runs claims all of them first.
    pub fn claim(&mut self, records: &[Record]) {
        let of = |kind| records.iter().filter(move |it| it.entry.kind() == kind);
        let settled: BTreeSet<_> = of(Kind::Outcome).filter_map(|it| it.entry.id()).collect();
        let is_open = |it: &&Record| it.entry.id().is_some_and(|id| !settled.contains(id));
        for record in of(Kind::Receipt).filter(is_open) {
            let id = record.entry.id().and_then(|id| id.parse().ok());
            let intent = record.body.as_ref().and_then(|body| read_record(body).ok());
            let effect = intent.and_then(|(intent, _)| effect_of(&intent));
            if let (Some(id), Some(effect)) = (id, effect) {
                self.gate.claim(id, effect.footprint());
            }
        }
    }

    pub(crate) fn resume(
        &mut self,
        resumption: Resumption,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let session = resumption.records.first().and_then(|first| first.entry.session());
        if session.is_some_and(|run| self.runs.contains_key(&run)) {
            return Ok(());
        }
        // The driver has rebuilt the run before and shown what is wrong with it, if anything.
        let Ok(history) = self.rebuild(&resumption.records) else { return Ok(()) };
        if history.is_sealed() {
            return Ok(());
        }
        let id = history.active.origin.session;
        let budget = &history.active.flow.budget;
        self.gate.open_session(
            history.active.origin.tenant,
            id,
            Limits {
                cost: budget.cost_micros.map(cog_base::Micros::new),
                effects: budget.effects,
                roots: history.roots.clone(),
                folders: folders(&history.places, history.base()),
            },
        );
        self.recount(&history);
        let lost: Vec<_> = history
            .active
            .open
            .iter()
            // What an adapter still has in hand is no lost effect: its report will come.
            .filter(|(receipt, _)| !self.in_hand.contains(receipt))
            .filter_map(|(receipt, step)| {
                Some((*receipt, step.clone(), history.intent_of(*receipt)?.clone()))
            })
            .collect();
        let had_ms =
            resumption.records.first().map_or(0, |first| self.now().ms_since(first.entry.at()));
        let timers: Vec<_> = history.timers().map(|(step, armed)| (step.clone(), *armed)).collect();
        let mut active = history.active;
        self.forget_stale(&mut active);
        self.runs.insert(id, active);
        let (mut over, mut late) = (None, Vec::new());
        match self.budget_timer(id, had_ms) {
            Some((timer, 0)) => over = Some(timer),
            Some((timer, ms)) => turn.output(Output::Arm { timer, ms }),
            None => {}
        }
        for (step, Armed { at, ms }) in timers {
            let ms = ms.saturating_sub(self.now().ms_since(at));
            let timer = Timer { run: id, name: step.to_string() };
            let waits =
                |it: &Active| it.listening.contains_key(&step) || it.asks.contains_key(&step);
            if ms == 0 && self.runs.get(&id).is_some_and(waits) {
                late.push(timer);
            } else {
                turn.output(Output::Arm { timer, ms });
            }
        }
        if let Some((who, reason)) = resumption.cancel {
            self.cancel(id, who, reason, turn)?;
        }
        // A run whose time is over begins nothing any more.
        over.into_iter().try_for_each(|timer| self.due(timer, turn))?;
        for (receipt, step, intent) in lost {
            self.find_out(id, receipt, step, intent, turn)?;
        }
        let undone = self.runs.get(&id).map(Active::undone).unwrap_or_default();
        self.work_off(id, undone, turn)?;
        // What waited too long for its signal does not park once more.
        late.into_iter().try_for_each(|timer| self.due(timer, turn))?;
        self.settle_down(id, turn)
    }

    /// What people were asked under another canon is asked anew, and so is an effect of which
    /// they were asked too long ago. The question of a step that has expired is not: the step is
    /// refused.
    fn forget_stale(&self, active: &mut Active) {
        let (_, in_force) = self.canon_for(&active.origin.domain);
        let now = self.ledger_now();
        let stale = |id: cog_base::id::ApprovalId| {
            let request = self.gate.approvals().get(id);
            request.is_none_or(|it| {
                if it.is_expired(now) { !it.is_step() } else { Some(it.canon) != in_force }
            })
        };
        for wanted in active.wanted.values_mut() {
            if matches!(wanted.state, State::Approval(id) if stale(id)) {
                wanted.state = State::New;
            }
        }
        for ask in active.asks.values_mut() {
            ask.approval = ask.approval.filter(|id| !stale(*id));
        }
    }

    /// Count receipts and outcomes again, in their order, as they were decided then.
    fn recount(&mut self, history: &History) {
        let session = history.active.origin.session;
        for charged in &history.charged {
            match charged {
                Charged::Outcome(receipt, report) => {
                    self.gate.resettle(session, *receipt, report);
                }
                Charged::Receipt(receipt, intent, record, canon) => {
                    let canon = canon.and_then(|digest| self.canons.get(&digest).cloned());
                    let Ok((_, snapshot)) = read_record(record) else { continue };
                    let decision = decide(intent, &snapshot, canon.as_deref());
                    let footprint = effect_of(intent).map(|it| it.footprint()).unwrap_or_default();
                    let canon = canon.as_deref();
                    self.gate.recount(*receipt, intent, &footprint, &decision, canon);
                }
            }
        }
    }

    /// An open receipt of an earlier life: what may be done again is abandoned and asked
    /// anew; of the rest the adapter looks for traces.
    fn find_out(
        &mut self,
        id: cog_base::id::RunId,
        receipt: cog_base::id::ReceiptId,
        step: cog_flow::StepPath,
        intent: cog_gate::Intent,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Some(effect) = effect_of(&intent) else { return Ok(()) };
        match effect.redo() {
            Redo::Safe => self.settle_lost(id, &step, receipt, &intent, End::Abandoned, turn),
            Redo::Unknown => self.settle_lost(id, &step, receipt, &intent, End::Unknown, turn),
            Redo::Probe => {
                if let Some(active) = self.runs.get_mut(&id) {
                    active.probes.insert(receipt, (step, intent));
                }
                turn.output(Output::Probe { run: id, receipt, effect });
                Ok(())
            }
        }
    }
}
