//! The engine of one tenant: runs many flows at once, each step through the gate.
//!
//! It is a machine without threads, clock or I/O: [`Engine::handle`] takes one input and
//! returns what must be done. The driver of the program and the simulator drive the very
//! same machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::entropy::{Entropy, NoEntropy};
use cog_base::id::{ApprovalId, ReceiptId, RunId, TenantId};
use cog_base::json::Map;
use cog_base::{Clock, Digest, Timestamp};
use cog_canon::Canon;
use cog_flow::Terms;
use cog_gate::change::ChangeControl;
use cog_gate::piece::Piece;
use cog_gate::snapshot::TenantStatus;
use cog_gate::{Actor, AnyEffect, Cleared, Found, Gate, Pending, Performed, Settling, World};
use cog_ledger::{Draft, Durable, Entry};

use crate::active::{Active, Later};
use crate::admission::Queue;
use crate::children::{Place, Placed};
use crate::notice::{Notice, What};
use crate::periods::{Enacted, enacted};
use crate::start::{Beginning, Start};
use crate::versions::Versions;

/// Something that happened outside.
#[derive(Debug)]
pub enum Input {
    /// Start a run.
    Start(Box<Start>),
    /// Start a run from a place of another.
    Fork(Box<crate::fork::Forking>),
    /// Go on with a run that a crash or a park left open.
    Resume(Box<crate::resume::Resumption>),
    /// The same with runs that were rebuilt before.
    TakeUp(Box<crate::rebuilt::Tree>),
    /// Nothing goes on here under these receipts of an earlier life ([`Engine::claim`]): what they hold
    /// is free.
    Unclaim(Vec<ReceiptId>),
    /// The drafts of an [`Output::Append`] are durable, in their order.
    Committed {
        /// The append.
        ticket: u64,
        /// Its entries.
        entries: Vec<Durable<Entry>>,
    },
    /// The drafts of an [`Output::Append`] are not durable, or nobody can tell.
    NotCommitted {
        /// The append.
        ticket: u64,
        /// Why.
        message: String,
    },
    /// An adapter is done, or will never answer ([`cog_gate::Counterfoil::lost`]).
    Performed(Box<Performed<AnyEffect>>),
    /// An effect that is under way gave something, and its step wants it on record now.
    Given(Box<Piece>),
    /// An adapter looked for the traces of a lost effect.
    Probed {
        /// The run.
        run: RunId,
        /// The receipt.
        receipt: ReceiptId,
        /// What it found.
        found: Found,
    },
    /// It is known where the folders of a run stand that another is to begin
    /// ([`Output::Place`]).
    Placed {
        /// The run that begins it.
        parent: RunId,
        /// The run to be.
        run: RunId,
        /// Where, or why it cannot be begun.
        placed: Result<Placed, String>,
    },
    /// A timer is due.
    Due(Timer),
    /// Somebody looks who may begin, of the runs that wait for their turn.
    Look,
    /// A run that waits for its turn cannot be begun.
    GiveUp {
        /// The run.
        run: RunId,
        /// Why.
        reason: String,
    },
    /// Somebody answers a request for consent.
    Answer {
        /// The run that waits.
        run: RunId,
        /// The request.
        approval: ApprovalId,
        /// Who answers.
        who: Actor,
        /// Yes with what is filled in, or no with a reason.
        verdict: Result<Map, String>,
    },
    /// Somebody has another person answer a request in their place.
    Delegate {
        /// The run that waits.
        run: RunId,
        /// The request.
        approval: ApprovalId,
        /// Who would answer.
        who: Actor,
        /// Who is to.
        to: Actor,
        /// Why, if that is said.
        reason: Option<String>,
    },
    /// Somebody sends a run a message.
    Signal {
        /// The run.
        run: RunId,
        /// The message.
        sent: Box<crate::signals::Sent>,
    },
    /// Somebody holds a run: nothing new of it begins.
    Pause {
        /// The run.
        run: RunId,
        /// Who.
        who: Actor,
        /// Why.
        reason: String,
    },
    /// Somebody lets a run go on that was held.
    Unpause {
        /// The run.
        run: RunId,
        /// Who.
        who: Actor,
        /// Why.
        reason: String,
    },
    /// Another canon is in force in a domain, as [`Engine::observe`] was told: what people were
    /// asked under the one before is asked anew.
    Renew {
        /// The domain.
        domain: String,
    },
    /// Somebody ends a run that is in memory; one that is not is ended as it is resumed
    /// ([`crate::resume::Resumption::cancel`]).
    Cancel {
        /// The run.
        run: RunId,
        /// Who.
        who: Actor,
        /// Why.
        reason: String,
    },
}

/// Something that must be done outside.
#[derive(Debug)]
pub enum Output {
    /// Append all of these or none, in this order, and answer with the ticket.
    Append {
        /// Names the append in the answer.
        ticket: u64,
        /// What to append.
        drafts: Vec<(TenantId, Draft)>,
    },
    /// Perform this.
    Perform {
        /// The run.
        run: RunId,
        /// What, with its clearance.
        cleared: Box<Cleared<AnyEffect>>,
        /// How long is waited for what.
        terms: Terms,
    },
    /// The flow does not want this any more: what nobody began need not begin.
    Withdraw {
        /// The run.
        run: RunId,
        /// The receipt.
        receipt: ReceiptId,
    },
    /// Look for the traces of this.
    Probe {
        /// The run.
        run: RunId,
        /// The receipt whose outcome was lost.
        receipt: ReceiptId,
        /// What was authorised.
        effect: AnyEffect,
    },
    /// Find out where the folders of a run stand, and bind what performs its effects there.
    Place(Box<Place>),
    /// Say when this timer is due.
    Arm {
        /// The timer.
        timer: Timer,
        /// In how many milliseconds.
        ms: u64,
    },
    /// Tell the onlookers.
    Notice(Notice),
}

/// A timer of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// The run.
    pub run: RunId,
    /// Its name in the run: a step's path, a receipt that is tried again, or `budget`.
    pub name: String,
}

/// Who waits for a draft to be durable, and for what.
#[derive(Debug)]
pub(crate) enum Await {
    /// Nobody.
    Nothing,
    /// Who asked for a run that waits for its turn, or may not begin.
    Queue,
    /// The run's first entry.
    Started,
    /// A receipt.
    Receipt(Box<Pending<AnyEffect>>),
    /// An outcome.
    Outcome { step: String, settling: Box<Settling> },
    /// A request for consent.
    Asked,
    /// An answer to a request.
    Answered(ApprovalId, Actor),
    /// The run's last entry.
    Seal,
}

/// Fixed facts of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whose runs these are.
    pub tenant: TenantId,
    /// Whether the tenant may act.
    pub status: TenantStatus,
}

/// The engine of one tenant.
pub struct Engine {
    pub(crate) settings: Settings,
    pub(crate) gate: Gate,
    pub(crate) change: ChangeControl,
    /// The versions of canon of each domain, in the order in which they came to be in force.
    pub(crate) enacted: BTreeMap<String, Vec<Enacted>>,
    pub(crate) canons: BTreeMap<Digest, Arc<Canon>>,
    pub(crate) runs: BTreeMap<RunId, Active>,
    /// Whether a step may wait for a lease: if not, nobody looks through all runs for one.
    pub(crate) may_be_leased: bool,
    /// The runs that wait for their turn.
    pub(crate) queue: Queue,
    /// Which versions of workflows runs are started from.
    pub(crate) versions: Versions,
    /// The receipts whose effects adapters have in hand, also for runs that have stopped.
    pub(crate) in_hand: BTreeSet<ReceiptId>,
    tickets: BTreeMap<u64, Vec<(RunId, Await, Vec<What>)>>,
    /// Timers to arm when what led to them is durable.
    arming: BTreeMap<u64, Vec<Output>>,
    next_ticket: u64,
    pub(crate) is_draining: bool,
    pub(crate) ledger_at: Timestamp,
    clock: Arc<dyn Clock>,
    pub(crate) entropy: Box<dyn Entropy>,
}

/// What one input leads to, collected while it is handled.
#[derive(Default)]
pub(crate) struct Turn {
    drafts: Vec<(TenantId, Draft)>,
    /// Who waits for each draft, for what, and what is told when it is durable.
    awaits: Vec<(RunId, Await, Vec<What>)>,
    outputs: Vec<Output>,
    /// Timers. They count from when what this turn appends is durable, so that the ledger shows
    /// that none of them was early.
    arms: Vec<Output>,
}

impl Turn {
    pub(crate) fn append(&mut self, tenant: TenantId, run: RunId, draft: Draft, then: Await) {
        self.drafts.push((tenant, draft));
        self.awaits.push((run, then, Vec::new()));
    }

    /// Whether this turn appends something for a run.
    pub(crate) fn appends_for(&self, run: RunId) -> bool {
        self.awaits.iter().any(|(id, ..)| *id == run)
    }

    pub(crate) fn output(&mut self, output: Output) {
        let is_timer = matches!(output, Output::Arm { .. });
        if is_timer { self.arms.push(output) } else { self.outputs.push(output) }
    }

    pub(crate) fn tell(&mut self, run: RunId, what: What) {
        self.outputs.push(Output::Notice(Notice { run, what }));
    }

    /// Tell it behind what this turn has appended for the run so far, when that is durable: what
    /// is told came to be, and stands behind what it rests on.
    pub(crate) fn tell_behind(&mut self, run: RunId, what: What) {
        match self.awaits.iter_mut().rev().find(|(id, ..)| *id == run) {
            Some((.., told)) => told.push(what),
            None => self.tell(run, what),
        }
    }
}

impl Engine {
    /// An engine without runs.
    #[must_use]
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, entropy: Box<dyn Entropy>) -> Self {
        Self {
            settings,
            gate: Gate::default(),
            change: ChangeControl::default(),
            enacted: BTreeMap::new(),
            canons: BTreeMap::new(),
            runs: BTreeMap::new(),
            may_be_leased: false,
            queue: Queue::default(),
            versions: Versions::default(),
            in_hand: BTreeSet::new(),
            tickets: BTreeMap::new(),
            arming: BTreeMap::new(),
            next_ticket: 0,
            is_draining: false,
            ledger_at: Timestamp::MIN,
            clock,
            entropy,
        }
    }

    /// Take note of a durable entry that was written before this engine, or beside it.
    /// The driver feeds all entries about canon and about versions of workflows, in order, before it
    /// starts runs.
    pub fn observe(&mut self, entry: &Entry) {
        self.ledger_at = self.ledger_at.max(entry.at());
        self.change.observe(entry);
        self.queue.observe(entry);
        self.versions.observe(entry);
        if let Some(version) = enacted(entry) {
            self.enacted.entry(entry.domain().to_owned()).or_default().push(version);
        }
    }

    /// Make a version of canon known. It decides only if the ledger says it is in force.
    pub fn know(&mut self, canon: Arc<Canon>) {
        self.canons.insert(canon.digest(), canon);
    }

    /// What is in force and what is proposed.
    #[must_use]
    pub fn change_control(&self) -> &ChangeControl {
        &self.change
    }

    /// The gate, to look at requests for consent.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// How many runs are open.
    #[must_use]
    pub fn open_runs(&self) -> usize {
        self.runs.len()
    }

    /// Whether nothing goes on in any run before somebody outside brings it on.
    #[must_use]
    pub fn is_still(&self) -> bool {
        self.runs.values().all(|active| !active.is_ended() && active.waits().is_some())
    }

    /// Ask for nothing new from here on: what has a receipt is performed and settled, and
    /// then nothing goes on. For an engine that is about to go: whoever waits until nothing has a
    /// receipt leaves no effect of unknown outcome to the one that resumes its runs.
    pub fn drain(&mut self) {
        self.is_draining = true;
    }

    /// How many effects that failed wait to be tried again: each has an open receipt.
    #[must_use]
    pub fn delayed(&self) -> usize {
        self.runs.values().map(|active| active.delayed.len()).sum()
    }

    /// How many appends are not answered yet.
    #[must_use]
    pub fn appends(&self) -> usize {
        self.tickets.len()
    }

    /// Take one input and say what must be done.
    ///
    /// # Errors
    /// [`NoEntropy`] when no id can be drawn. The engine must not be used any more: what
    /// the ledger holds is the truth, and a new engine resumes from it.
    pub fn handle(&mut self, input: Input) -> Result<Vec<Output>, NoEntropy> {
        let mut turn = Turn::default();
        match input {
            Input::Start(start) => self.begin(*start, Beginning::Own, &mut turn)?,
            Input::Fork(forking) => self.fork(*forking, &mut turn)?,
            Input::Resume(resumption) => self.resume(*resumption, &mut turn)?,
            Input::TakeUp(tree) => self.take_up(*tree, &mut turn)?,
            Input::Unclaim(receipts) => self.unclaim(&receipts, &mut turn)?,
            Input::Committed { ticket, entries } => self.committed(ticket, entries, &mut turn)?,
            Input::NotCommitted { ticket, message } => {
                self.not_committed(ticket, &message, &mut turn)?;
            }
            Input::Performed(performed) => self.performed(*performed, &mut turn)?,
            Input::Given(piece) => self.given(&piece, &mut turn),
            Input::Probed { run, receipt, found } => self.probed(run, receipt, found, &mut turn)?,
            Input::Placed { parent, run, placed } => {
                self.placed(parent, run, placed, &mut turn)?;
            }
            Input::Look => self.call_next(&mut turn)?,
            Input::GiveUp { run, reason } => self.give_up_queued(run, &reason, &mut turn),
            Input::Due(timer) if Self::is_of_queue(&timer) => self.call_next(&mut turn)?,
            Input::Due(timer) => self.due(timer, &mut turn)?,
            Input::Answer { run, approval, who, verdict } => {
                self.answer(run, approval, &who, verdict, &mut turn)?;
            }
            Input::Delegate { run, approval, who, to, reason } => {
                self.delegate(run, approval, (who, to, reason), &mut turn)?;
            }
            Input::Pause { run, who, reason } => {
                self.hold_run(run, true, (who, reason), &mut turn)?;
            }
            Input::Unpause { run, who, reason } => {
                self.hold_run(run, false, (who, reason), &mut turn)?;
            }
            Input::Signal { run, sent } => self.signal(run, *sent, &mut turn)?,
            Input::Renew { domain } => self.renew(&domain, &mut turn)?,
            Input::Cancel { run, who, reason } => {
                if !self.withdraw_queued(run, &who, &reason, &mut turn)? {
                    self.cancel(run, who, reason, &mut turn)?;
                }
            }
        }
        self.move_on(&mut turn)?;
        Ok(self.finish(turn))
    }

    fn finish(&mut self, turn: Turn) -> Vec<Output> {
        let Turn { mut drafts, awaits, mut outputs, arms } = turn;
        for ((_, draft), (run, ..)) in drafts.iter_mut().zip(&awaits) {
            if let Some(active) = self.runs.get(run) {
                draft.about(active.run.subject_of());
            }
        }
        if drafts.is_empty() {
            outputs.extend(arms);
        } else {
            let ticket = self.next_ticket;
            self.next_ticket += 1;
            for (run, ..) in &awaits {
                if let Some(active) = self.runs.get_mut(run) {
                    active.appends += 1;
                }
            }
            self.tickets.insert(ticket, awaits);
            if !arms.is_empty() {
                self.arming.insert(ticket, arms);
            }
            outputs.push(Output::Append { ticket, drafts });
        }
        outputs
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time, never before the ledger's last entry.
    pub(crate) fn ledger_now(&self) -> Timestamp {
        self.now().max(self.ledger_at)
    }

    /// The canon in force in a run's domain, if it is known here.
    pub(crate) fn canon_for(&self, domain: &str) -> (Option<Arc<Canon>>, Option<Digest>) {
        let in_force = self.change.in_force(domain);
        (in_force.and_then(|digest| self.canons.get(&digest).cloned()), in_force)
    }

    pub(crate) fn world<'a>(
        &self,
        canon: Option<&'a Arc<Canon>>,
        in_force: Option<Digest>,
    ) -> World<'a> {
        World {
            now: self.now(),
            ledger_at: self.ledger_at,
            tenant: self.settings.status,
            canon,
            in_force,
        }
    }

    fn committed(
        &mut self,
        ticket: u64,
        entries: Vec<Durable<Entry>>,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let awaits = self.tickets.remove(&ticket).unwrap_or_default();
        turn.outputs.extend(self.arming.remove(&ticket).unwrap_or_default());
        let mut touched = Vec::new();
        for ((run, then, told), entry) in awaits.into_iter().zip(entries) {
            self.observe(&entry);
            self.gate.observe(&entry);
            if let Some(active) = self.runs.get_mut(&run) {
                active.appends -= 1;
                // The time of a schedule that it is started for stands before it.
                if entry.session() == Some(run) {
                    active.began = active.began.or(Some(entry.at()));
                    active.tally.add(&entry);
                }
            }
            self.durable(run, then, &entry, turn)?;
            told.into_iter().for_each(|what| turn.tell(run, what));
            if touched.last() != Some(&run) {
                touched.push(run);
            }
        }
        for run in touched {
            self.settle_down(run, turn)?;
        }
        Ok(())
    }

    /// The ledger could not be written. The runs stop where the ledger ends; whoever
    /// drives the engine resumes them from it. What was held for receipts that were not
    /// recorded is free: none of them can be used.
    fn not_committed(
        &mut self,
        ticket: u64,
        message: &str,
        turn: &mut Turn,
    ) -> Result<(), NoEntropy> {
        let mut is_freed = false;
        self.arming.remove(&ticket);
        for (run, then, _) in self.tickets.remove(&ticket).unwrap_or_default() {
            if let Await::Queue = then {
                self.queue.leave(run);
                turn.tell(run, What::Stopped { message: message.to_owned() });
            }
            if let Await::Receipt(pending) = then {
                is_freed |= self.gate.withdraw(*pending);
            }
            is_freed |= self.stop(run, message, turn);
        }
        if is_freed { self.ask_leased(turn) } else { Ok(()) }
    }

    /// Go no further with a run than its ledger goes. An effect that is under way holds what
    /// it holds until it is over. Says whether a lease ended.
    pub(crate) fn stop(&mut self, run: RunId, message: &str, turn: &mut Turn) -> bool {
        let Some(active) = self.runs.remove(&run) else { return false };
        let mut is_freed = false;
        let reported = active.queued.iter().filter_map(|later| match later {
            Later::Performed(performed) => Some(performed.receipt()),
            Later::Probed(..)
            | Later::Due(_)
            | Later::Answer(..)
            | Later::Delegate(..)
            | Later::Signal(_)
            | Later::Placed(..)
            | Later::Ended(..)
            | Later::Hold(..)
            | Later::Cancel(..) => None,
        });
        for receipt in active.delayed.keys().chain(active.probes.keys()).copied().chain(reported) {
            is_freed |= self.free(run, receipt);
        }
        self.gate.close_session(run);
        turn.tell(run, What::Stopped { message: message.to_owned() });
        is_freed
    }

    /// Nothing is done under a receipt any more. Says whether a lease ended.
    pub(crate) fn free(&mut self, run: RunId, receipt: ReceiptId) -> bool {
        self.gate.let_go(run, receipt)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("runs", &self.runs.len()).finish_non_exhaustive()
    }
}
