//! A run in memory: the flow's state, what it waits for, and the tally of its entries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cog_base::Value;
use cog_base::id::{ApprovalId, ReceiptId};
use cog_base::json::Map;
use cog_flow::{Event, Flow, Retry, StepError, StepPath};
use cog_gate::decision::Need;
use cog_gate::{AnyEffect, Intent, Origin, Performed};
use cog_ledger::session::Tally;

use crate::choose::Choice;
use crate::start::BUDGET_TIMER;

/// A run in memory.
pub(crate) struct Active {
    pub(crate) origin: Origin,
    pub(crate) flow: Arc<Flow>,
    pub(crate) run: cog_flow::Run,
    /// Effects that the flow wants and that are not settled yet.
    pub(crate) wanted: BTreeMap<StepPath, Wanted>,
    /// Open receipts and the steps they serve.
    pub(crate) open: BTreeMap<ReceiptId, StepPath>,
    /// Steps that only ask people.
    pub(crate) asks: BTreeMap<StepPath, Question>,
    /// Choices that the flow wants made and that are not in the ledger yet.
    pub(crate) choices: BTreeMap<StepPath, Choice>,
    /// Open receipts of an earlier life, whose adapters are being asked.
    pub(crate) probes: BTreeMap<ReceiptId, (StepPath, Intent)>,
    /// Steps that sleep.
    pub(crate) sleeping: BTreeSet<StepPath>,
    /// Drafts on their way into the ledger.
    pub(crate) appends: u64,
    /// Answers on their way into the ledger: until they are there, outcomes queue up, so
    /// that the flow takes both in the order of the log.
    pub(crate) answers: u64,
    pub(crate) queued: Vec<Performed<AnyEffect>>,
    /// How the flow ended, once it has.
    pub(crate) end: Option<Ending>,
    pub(crate) sealing: bool,
    pub(crate) parked: bool,
    pub(crate) tally: Tally,
}

/// An effect the flow wants.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) uses: String,
    pub(crate) actor: Option<String>,
    pub(crate) with: Map,
    pub(crate) retry: Retry,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) subject: Option<String>,
    pub(crate) state: State,
}

/// How far a wanted effect has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// To be asked.
    New,
    /// Waits for a lease to end.
    Leased,
    /// Waits for people.
    Approval(ApprovalId),
    /// Has an open receipt.
    Open,
}

/// A step that only asks people.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) need: Need,
    pub(crate) message: String,
    pub(crate) expires_ms: u64,
    /// The request, once it is made.
    pub(crate) approval: Option<ApprovalId>,
}

/// How a flow ended.
#[derive(Clone)]
pub(crate) struct Ending {
    pub(crate) status: String,
    pub(crate) output: Value,
    pub(crate) error: Option<Value>,
}

impl Active {
    pub(crate) fn new(origin: Origin, flow: Arc<Flow>, run: cog_flow::Run) -> Self {
        Self {
            origin,
            flow,
            run,
            wanted: BTreeMap::new(),
            open: BTreeMap::new(),
            asks: BTreeMap::new(),
            choices: BTreeMap::new(),
            probes: BTreeMap::new(),
            sleeping: BTreeSet::new(),
            appends: 0,
            answers: 0,
            queued: Vec::new(),
            end: None,
            sealing: false,
            parked: false,
            tally: Tally::default(),
        }
    }

    /// What the flow hears when a timer is due; nothing when nobody waits for it any more.
    pub(crate) fn due(&mut self, name: &str) -> Option<Event> {
        if name == BUDGET_TIMER {
            let reason = "the time of its budget is over".to_owned();
            return self.end.is_none().then_some(Event::OverBudget { reason });
        }
        let timer = name.parse::<StepPath>().ok()?;
        let asked = self.asks.remove(&timer).is_some();
        (self.sleeping.remove(&timer) || asked).then_some(Event::Due { timer })
    }

    /// Give up a wanted effect that has no receipt yet. Says whether there was one: the flow
    /// then wants to hear of it.
    pub(crate) fn give_up(&mut self, step: &StepPath) -> Option<Event> {
        self.asks.remove(step);
        self.sleeping.remove(step);
        self.choices.remove(step);
        self.wanted.get(step).filter(|wanted| wanted.state != State::Open)?;
        self.wanted.remove(step);
        let error = StepError {
            code: "step.cancelled".to_owned(),
            message: "it was given up before it began".to_owned(),
            transient: false,
        };
        Some(Event::Failed { step: step.clone(), error })
    }

    /// Whether something is under way that will bring a further input.
    pub(crate) fn is_busy(&self) -> bool {
        self.appends > 0
            || !self.open.is_empty()
            || !self.probes.is_empty()
            || !self.sleeping.is_empty()
            || self.wanted.values().any(|wanted| wanted.state == State::Leased)
    }

    /// The requests it waits for.
    pub(crate) fn waits_for(&self) -> Vec<ApprovalId> {
        let effects = self.wanted.values().filter_map(|wanted| match wanted.state {
            State::Approval(id) => Some(id),
            State::New | State::Leased | State::Open => None,
        });
        effects.chain(self.asks.values().filter_map(|ask| ask.approval)).collect()
    }
}
