//! Going on with a run that a crash or a wait left open.

use std::collections::BTreeSet;

use cog_base::entropy::NoEntropy;
use cog_base::id::{ReceiptId, RunId};
use cog_flow::StepPath;
use cog_gate::decision::read_record;
use cog_gate::door::effect_of;
use cog_gate::effect::Redo;
use cog_gate::{Actor, Effect, End, Intent};
use cog_ledger::Kind;

use crate::active::{Active, State, Todo};
use crate::engine::{Engine, Output, Timer, Turn};
use crate::fork::own;
use crate::history::{Armed, History, Record, places};
use crate::rebuilt::{Rebuilt, Tree};

/// A run to go on with: its entries, oldest first, behind those of the runs it was forked from.
#[derive(Debug, Clone)]
pub struct Resumption {
    /// The entries with their bodies.
    pub records: Vec<Record>,
    /// The entries of the other runs of its tree, ended or not: those that it began, and those
    /// that they began, go on with it; what the others used counts with what it uses.
    pub kin: Vec<Vec<Record>>,
    /// Who ends it, and why, instead of going on: nothing begins that has not begun. If they
    /// may not, that is on record and the run goes on: [`Engine::refuse_of_run`] says it before.
    pub cancel: Option<(Actor, String)>,
}

/// What an earlier life left of a run.
struct Left {
    lost: Vec<(ReceiptId, StepPath, Intent)>,
    timers: Vec<(StepPath, Armed)>,
    /// How long ago it began, in milliseconds.
    had_ms: u64,
    /// Its time is over.
    over: Option<Timer>,
    /// Groups whose time is over: nothing inside them begins any more.
    expired: Vec<Timer>,
    /// What waited too long.
    late: Vec<Timer>,
}

impl Engine {
    /// Hold what the open receipts of a run touch, before it is resumed: an effect of it may
    /// have been under way, and nobody may stand in its place before it is known what became of
    /// it. Whoever resumes several runs claims all of them first.
    pub fn claim(&mut self, records: &[Record]) {
        let body = own(records).first().and_then(|first| first.body.as_ref());
        let folders = body.map(places).unwrap_or_default();
        let of = |kind| own(records).iter().filter(move |it| it.entry.kind() == kind);
        let settled: BTreeSet<_> = of(Kind::Outcome).filter_map(|it| it.entry.id()).collect();
        let is_open = |it: &&Record| it.entry.id().is_some_and(|id| !settled.contains(id));
        for record in of(Kind::Receipt).filter(is_open) {
            let id = record.entry.id().and_then(|id| id.parse().ok());
            let intent = record.body.as_ref().and_then(|body| read_record(body).ok());
            let effect = intent.and_then(|(intent, _)| effect_of(&intent));
            if let (Some(id), Some(effect)) = (id, effect) {
                self.gate.claim(id, &effect.footprint(), &folders);
            }
        }
    }

    /// What these receipts hold is free, unless their runs are here.
    pub(crate) fn unclaim(
        &mut self,
        receipts: &[ReceiptId],
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let is_here = |it: &ReceiptId| self.runs.values().any(|run| run.open.contains_key(it));
        let gone: Vec<ReceiptId> = receipts.iter().filter(|it| !is_here(it)).copied().collect();
        let mut is_freed = false;
        for receipt in gone {
            is_freed |= self.gate.unclaim(receipt);
        }
        if is_freed { self.ask_leased(turn) } else { Ok(()) }
    }

    /// Go on with a run and its tree from their entries.
    pub(crate) fn resume(
        &mut self,
        resumption: Resumption,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let Resumption { records, kin, cancel } = resumption;
        let canons = &self.canons;
        let rebuilt = |records: &Vec<Record>| {
            let rebuilt = Rebuilt::of(records, &mut |digest| Ok(canons.get(&digest).cloned()));
            rebuilt.ok().and_then(Result::ok)
        };
        // The driver has rebuilt the runs before and shown what is wrong with them, if anything.
        let run = rebuilt(&records);
        let kin = kin.iter().map(rebuilt).collect::<Option<Vec<_>>>();
        match run.zip(kin) {
            Some((run, kin)) => self.take_up(Tree { run, kin, cancel }, turn),
            None => Ok(()),
        }
    }

    /// Go on with a run and its tree that were rebuilt.
    pub(crate) fn take_up(&mut self, tree: Tree, turn: &mut Turn) -> Result<(), NoEntropy> {
        // What it began goes on also when it is over itself, and so may be in memory without it.
        if tree.all().any(|it| self.runs.contains_key(&it.id())) {
            return Ok(());
        }
        let Tree { run, kin, cancel } = tree;
        let target = run.id();
        let mut tree: Vec<Rebuilt> = std::iter::once(run).chain(kin).collect();
        // A run began before those that it began.
        tree.sort_by_key(|rebuilt| rebuilt.first);
        let tree: Vec<_> = tree.into_iter().map(|rebuilt| self.reopen(rebuilt)).collect();
        let sealed: Vec<_> = tree.iter().filter(|it| it.sealed).map(History::id).collect();
        let mut going = BTreeSet::new();
        let (mut taken, mut ends, mut unwanted) = (Vec::new(), Vec::new(), Vec::new());
        for history in tree {
            let (id, parent) = (history.id(), history.parent().map(|parent| parent.run));
            if id != target && !parent.is_some_and(|parent| going.contains(&parent)) {
                continue;
            }
            going.insert(id);
            if !history.sealed {
                taken.push((id, self.take_in(history)));
                continue;
            }
            let bound = history.active.detached.iter().filter(|(_, outlives)| !**outlives);
            unwanted
                .extend(bound.map(|(run, _)| (id, *run)).filter(|_| history.cancelled().is_some()));
            ends.extend(parent.zip(history.active.end).map(|(parent, end)| (parent, id, end)));
        }
        // What they used stays counted in the accounts above that are still open.
        sealed.into_iter().rev().for_each(|id| self.gate.close_session(id));
        for (id, left) in &mut taken {
            self.rearm(*id, left, turn);
        }
        if let Some((who, reason)) = cancel {
            self.cancel(target, who, reason, turn)?;
        }
        for (parent, run) in unwanted {
            self.end_with(parent, run, turn)?;
        }
        for (id, left) in taken {
            self.carry_on(id, left, turn)?;
        }
        for (parent, id, end) in ends {
            self.child_ended(parent, id, end, turn)?;
        }
        going.into_iter().try_for_each(|id| self.settle_down(id, turn))
    }

    /// Open the account of a run again, with what it used.
    fn reopen(&mut self, rebuilt: Rebuilt) -> History {
        let Rebuilt { history, gate, settled, .. } = rebuilt;
        let (tenant, id) = (history.origin().tenant, history.id());
        let limits = history.limits();
        match history.parent() {
            Some(parent) => self.gate.open_child(tenant, id, limits, parent.run),
            None => self.gate.open_session(tenant, id, limits),
        }
        self.gate.carry(id, history.carried.clone());
        self.gate.adopt(id, gate, &settled);
        history
    }

    /// Take a run into memory, as it stands.
    fn take_in(&mut self, history: History) -> Left {
        let open = history.active.open.iter();
        // What an adapter still has in hand is no lost effect: its report will come.
        let lost = open.filter(|(receipt, _)| !self.in_hand.contains(receipt));
        let lost = lost.filter_map(|(receipt, step)| {
            Some((*receipt, step.clone(), history.intent_of(*receipt)?.clone()))
        });
        let lost = lost.collect();
        let had_ms = history.active.began.map_or(0, |at| self.now().ms_since(at));
        let timers = history.timers().map(|(step, armed)| (step.clone(), *armed)).collect();
        let mut active = history.active;
        self.forget_stale(&mut active, true);
        self.runs.insert(active.origin.session, active);
        let (expired, late) = (Vec::new(), Vec::new());
        Left { lost, timers, had_ms, over: None, expired, late }
    }

    /// Arm what is left of its timers.
    fn rearm(&mut self, id: RunId, left: &mut Left, turn: &mut Turn) {
        match self.budget_timer(id, left.had_ms) {
            Some((timer, 0)) => left.over = Some(timer),
            Some((timer, ms)) => turn.output(Output::Arm { timer, ms }),
            None => {}
        }
        let now = self.ledger_now();
        let waiting = self.gate.approvals().waiting().filter(|request| request.session == id);
        let escalating = waiting.filter_map(|it| Some((it.id, it.escalates()?.ms_since(now))));
        for (approval, ms) in escalating.collect::<Vec<_>>() {
            let timer = Timer { run: id, name: approval.to_string() };
            if ms == 0 {
                left.late.push(timer);
            } else {
                turn.output(Output::Arm { timer, ms: ms.saturating_add(1) });
            }
        }
        for (step, Armed { at, ms }) in std::mem::take(&mut left.timers) {
            let ms = ms.saturating_sub(self.now().ms_since(at));
            let timer = Timer { run: id, name: step.to_string() };
            let waits =
                |it: &Active| it.listening.contains_key(&step) || it.asks.contains_key(&step);
            let is_bound = |it: &Active| it.bounded.contains(&step);
            if ms == 0 && self.runs.get(&id).is_some_and(is_bound) {
                left.expired.push(timer);
                continue;
            }
            if ms == 0 && self.runs.get(&id).is_some_and(waits) {
                left.late.push(timer);
            } else {
                turn.output(Output::Arm { timer, ms });
            }
        }
    }

    /// Find out what became of what was under way, and ask for what is wanted.
    fn carry_on(&mut self, id: RunId, left: Left, turn: &mut Turn) -> Result<(), NoEntropy> {
        // A run whose time is over begins nothing any more.
        let over = left.over.into_iter().chain(left.expired);
        over.into_iter().try_for_each(|timer| self.due(timer, turn))?;
        for (receipt, step, intent) in left.lost {
            self.find_out(id, receipt, step, intent, turn)?;
        }
        self.end_unwanted(id, turn)?;
        let undone = self.runs.get(&id).map(Active::undone).unwrap_or_default();
        self.work_off(id, undone, turn)?;
        // What waited too long for its signal does not park once more.
        left.late.into_iter().try_for_each(|timer| self.due(timer, turn))
    }

    /// Ask anew what people were asked under another canon. A run that an answer is on its way for
    /// hears of that first; what is asked of it anew is asked when it is resumed.
    pub(crate) fn renew(&mut self, domain: &str, turn: &mut Turn) -> Result<(), NoEntropy> {
        let of_domain = |active: &Active| active.origin.domain == domain;
        let runs = self.runs.iter().filter(|(_, it)| of_domain(it) && it.answers.is_empty());
        let runs: Vec<RunId> = runs.map(|(run, _)| *run).collect();
        for run in runs {
            let Some(mut active) = self.runs.remove(&run) else { continue };
            let asked = active.asked();
            self.forget_stale(&mut active, false);
            let still = active.asked();
            let stale = |todo: &Todo| match todo {
                Todo::Effect(step) | Todo::Question(step, _) => {
                    asked.contains(step) && !still.contains(step)
                }
                Todo::Choice(_)
                | Todo::Mark(_)
                | Todo::Timer(..)
                | Todo::Until(..)
                | Todo::Bound(..)
                | Todo::Listen(..)
                | Todo::Child(_)
                | Todo::Withdraw(_)
                | Todo::Fell(..) => false,
            };
            let anew: Vec<Todo> = active.undone().into_iter().filter(stale).collect();
            active.parked &= anew.is_empty();
            self.runs.insert(run, active);
            self.work_off(run, anew, turn)?;
            self.settle_down(run, turn)?;
        }
        Ok(())
    }

    /// What people were asked under another canon is asked anew, and so is an effect of which
    /// they were asked too long ago. The question of a step that has expired is not: the step is
    /// refused.
    fn forget_stale(&self, active: &mut Active, forgets_unknown: bool) {
        let (_, in_force) = self.canon_for(&active.origin.domain);
        let now = self.ledger_now();
        let stale = |id: cog_base::id::ApprovalId| {
            let request = self.gate.approvals().get(id);
            // Of a run that goes on it is on its way into the ledger.
            request.map_or(forgets_unknown, |it| {
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

    /// An open receipt of an earlier life: what may be done again is abandoned and asked
    /// anew; of the rest the adapter looks for traces.
    fn find_out(
        &mut self,
        id: RunId,
        receipt: ReceiptId,
        step: StepPath,
        intent: Intent,
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
