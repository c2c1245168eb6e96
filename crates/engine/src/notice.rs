//! What an onlooker is told while runs go on. Notices carry no authority: the ledger does.

use cog_base::id::{ApprovalId, DenialId, ReceiptId, RunId, SelectionId};
use cog_base::{Micros, Value};
use cog_gate::Wish;
use cog_schedule::Waits;

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The run.
    pub run: RunId,
    /// What happened.
    pub what: What,
}

/// Who ended or holds a run, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervention {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The run's first entry is durable.
    Started {
        /// The workflow's name.
        workflow: String,
    },
    /// The run waits for its turn.
    Queued {
        /// What it waits for.
        waits: Waits,
        /// Runs that are in no memory here, and that somebody is to end for it.
        ends: Vec<RunId>,
    },
    /// A run that waits may begin: whoever drives the engine reads what was asked for
    /// ([`crate::admission::asked`]) and hands it in.
    Called,
    /// A run that waited does so no more, and never begins.
    Unqueued {
        /// refused, cancelled or failed.
        why: &'static str,
        /// Why, in words.
        reason: String,
    },
    /// A receipt is durable; its effect begins.
    Permitted {
        /// The step.
        step: String,
        /// The receipt.
        receipt: ReceiptId,
        /// Who acts.
        actor: String,
        /// What is done.
        action: String,
        /// On what.
        resource: String,
    },
    /// An effect was refused.
    Refused {
        /// The step.
        step: String,
        /// The denial.
        denial: DenialId,
        /// The code of the check that said no.
        code: String,
        /// Why, in words.
        reason: String,
        /// The smallest changes that would turn it round.
        flips: Vec<String>,
    },
    /// People are asked.
    Asked {
        /// The step.
        step: String,
        /// The request.
        approval: ApprovalId,
        /// How many must agree, and who may.
        need: cog_gate::decision::Need,
        /// What is asked for: `file.write on Root::"payments"`, or the step's question.
        about: String,
    },
    /// An effect waits until a lease ends.
    Waiting {
        /// The step.
        step: String,
        /// The contested keys.
        keys: Vec<String>,
    },
    /// An effect is tried again under the same receipt.
    Retried {
        /// The step.
        step: String,
        /// The receipt.
        receipt: ReceiptId,
        /// Why.
        message: String,
    },
    /// An outcome is durable.
    Settled {
        /// The step.
        step: String,
        /// The receipt.
        receipt: ReceiptId,
        /// completed, failed, abandoned or unknown.
        disposition: &'static str,
        /// The failure, in words.
        message: Option<String>,
        /// What it cost.
        cost: Micros,
    },
    /// A plan was selected.
    Planned {
        /// The step.
        step: String,
        /// The selection.
        selection: SelectionId,
        /// What for.
        goal: String,
        /// The chosen plan; absent when none was admissible.
        chosen: Option<String>,
        /// Every candidate with its score or the reason it fell out.
        candidates: Value,
    },
    /// A request took too long: others may answer as well.
    Escalated {
        /// The step.
        step: String,
        /// The request.
        approval: ApprovalId,
        /// Who may answer by now.
        of: Vec<String>,
    },
    /// A step failed by itself, before anything was asked for: in its expressions, or with
    /// arguments that make no effect. Not in the ledger but in what came of the run.
    Fell {
        /// The step.
        step: String,
        /// Why.
        message: String,
    },
    /// A run is begun by this one.
    Begun {
        /// The step.
        step: String,
        /// The run that is begun.
        child: RunId,
        /// Its workflow's name.
        workflow: String,
    },
    /// A step sleeps.
    Sleeping {
        /// The step.
        step: String,
        /// How long, in milliseconds.
        ms: u64,
    },
    /// Part of what the effect of a step gives is durable.
    Given {
        /// The step.
        step: String,
        /// The receipt.
        receipt: ReceiptId,
        /// From which stream of the effect.
        name: &'static str,
        /// The text.
        text: String,
    },
    /// A step waits for a signal.
    Listening {
        /// The step.
        step: String,
        /// The name of the signal.
        signal: String,
        /// For how long, in milliseconds, if not until it comes.
        timeout_ms: Option<u64>,
    },
    /// A signal is durable.
    Signalled {
        /// Its id.
        signal: String,
        /// Its name.
        name: String,
        /// Who sent it.
        from: String,
        /// Whether the run had it already; nothing happened then.
        again: bool,
    },
    /// A signal was not taken.
    NotTaken {
        /// Its id.
        signal: String,
        /// Why.
        message: String,
    },
    /// Somebody holds the run, or lets it go on.
    Held {
        /// Whether it is held from now on.
        pauses: bool,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// A run cannot be held or let go on.
    NotPaused {
        /// Whether it was to be held.
        pauses: bool,
        /// Who wanted it.
        who: String,
        /// Why.
        message: String,
    },
    /// Somebody's answer does not count.
    NotCounted {
        /// The request.
        approval: ApprovalId,
        /// Why.
        message: String,
        /// The denial, which is durable; nothing when the same was on record.
        denial: Option<DenialId>,
    },
    /// Somebody may not end the run, hold it or let it go on: it stands as before, and the
    /// denial is durable.
    NotGranted {
        /// What they wanted of it.
        wish: Wish,
        /// Who.
        who: String,
        /// The denial.
        denial: DenialId,
        /// The code of the check that said no.
        code: String,
        /// Why, in words.
        reason: String,
        /// What would turn it round.
        flips: Vec<String>,
    },
    /// Somebody wants to end a run that is being ended: nothing is recorded.
    EndsAlready {
        /// Who ended it before; nobody when it ends by itself and is being undone.
        cancelled: Option<Intervention>,
    },
    /// Nothing goes on before people answer or a signal comes.
    Parked {
        /// The requests.
        approvals: Vec<ApprovalId>,
        /// The steps that wait for a signal, each with its name.
        signals: Vec<(String, String)>,
        /// The runs that it began and waits for.
        children: Vec<RunId>,
        /// Who holds the run.
        paused: Option<Intervention>,
    },
    /// The run is sealed.
    Sealed(Sealed),
    /// The run may not begin, or cannot go on from a place of another: nothing is recorded.
    NotBegun {
        /// Why.
        message: String,
    },
    /// The ledger could not be written: the run stopped where the ledger ends.
    Stopped {
        /// Why.
        message: String,
    },
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// completed, failed, refused, cancelled or continued.
    pub status: String,
    /// The run that continues it.
    pub next: Option<RunId>,
    /// What the run gave.
    pub output: Value,
    /// Why it did not complete.
    pub error: Option<Value>,
    /// Receipts issued.
    pub receipts: u64,
    /// Effects refused.
    pub denials: u64,
    /// Outcomes: completed, failed, abandoned, unknown.
    pub outcomes: [u64; 4],
    /// What it cost.
    pub spent: Micros,
}
