//! A run in memory: the flow's state, what it waits for, and the tally of its entries.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::Value;
use cog_base::id::{ApprovalId, ReceiptId};
use cog_base::json::Map;
use cog_flow::{Flow, Retry, StepPath};
use cog_gate::decision::Need;
use cog_gate::{AnyEffect, Intent, Origin, Performed};
use cog_ledger::session::Tally;

use crate::choose::Choice;

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
    /// Armed timers.
    pub(crate) timers: u64,
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
            timers: 0,
            appends: 0,
            answers: 0,
            queued: Vec::new(),
            end: None,
            sealing: false,
            parked: false,
            tally: Tally::default(),
        }
    }

    /// Whether something is under way that will bring a further input.
    pub(crate) fn is_busy(&self) -> bool {
        self.appends > 0
            || !self.open.is_empty()
            || !self.probes.is_empty()
            || self.timers > 0
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
