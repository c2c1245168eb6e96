//! One thing on the board: an effect that was cleared, or a receipt that is to be looked into.

use std::collections::BTreeMap;

use cog_base::Digest;
use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_engine::{Inbox, Input};
use cog_gate::effect::{Prices, Redo};
use cog_gate::piece::Voice;
use cog_gate::{AnyEffect, Cleared, Effect as _, End, Failure, Found, Lapse, Performed};

use crate::LEASE_MS;
use crate::protocol::{Came, Refused, Root, What};

/// Where the effects of a run happen, and how long each may take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The folder of the workflow file.
    pub base: String,
    /// The folders that it names.
    pub roots: BTreeMap<String, Root>,
    /// How long an attempt may take.
    pub timeout_ms: Option<u64>,
    /// How long a worker may be silent about it.
    pub heartbeat_ms: Option<u64>,
    /// How long it may wait for a worker.
    pub start_within_ms: Option<u64>,
    /// Whether what it gives is recorded while it is under way.
    pub stream: bool,
}

/// What is asked of workers.
pub enum Asked {
    /// To perform.
    Perform(Box<Cleared<AnyEffect>>),
    /// To look for the traces of an effect of another life of the owner. It is not handed out before
    /// whoever had it then has given up.
    Probe {
        /// Whose.
        tenant: TenantId,
        /// Of which run.
        run: RunId,
        /// Under which receipt.
        receipt: ReceiptId,
        /// Which effect.
        effect: AnyEffect,
    },
}

/// What is done with what comes of it.
pub(crate) enum Work {
    Perform(Box<Cleared<AnyEffect>>),
    /// The worker that began it was lost, and another looks what it did.
    LookAfter(Box<Cleared<AnyEffect>>),
    Look,
}

pub(crate) enum State {
    Waiting,
    Offered {
        worker: String,
        fence: u64,
        until_ms: u64,
    },
    /// With how many bytes it gave so far.
    Begun {
        worker: String,
        fence: u64,
        since_ms: u64,
        seen_ms: u64,
        given: u64,
    },
}

pub(crate) struct Job {
    pub(crate) tenant: TenantId,
    pub(crate) run: RunId,
    pub(crate) receipt: ReceiptId,
    pub(crate) effect: AnyEffect,
    pub(crate) canon: Option<Digest>,
    pub(crate) attempt: u64,
    pub(crate) prices: Prices,
    pub(crate) standing: Standing,
    pub(crate) work: Work,
    pub(crate) state: State,
    /// Makes pieces of what it gives, where that is wanted and can be.
    pub(crate) voice: Option<Voice>,
    /// When it was put up.
    pub(crate) since_ms: u64,
    /// It is not handed out before.
    pub(crate) not_before_ms: u64,
    /// Its run was cancelled.
    pub(crate) cancelled: bool,
    /// That it waits was told.
    pub(crate) told: bool,
    pub(crate) inbox: Inbox,
}

impl Job {
    pub(crate) fn new(asked: Asked, standing: Standing, inbox: Inbox, now_ms: u64) -> Self {
        let (state, since_ms) = (State::Waiting, now_ms);
        let (not_before_ms, cancelled, told) = (now_ms, false, false);
        match asked {
            Asked::Perform(cleared) => Self {
                tenant: cleared.tenant(),
                run: cleared.session(),
                receipt: cleared.idempotency_key(),
                effect: cleared.effect().clone(),
                canon: cleared.canon(),
                attempt: cleared.attempt(),
                prices: cleared.prices(),
                voice: cleared.voice().filter(|_| standing.stream),
                standing,
                work: Work::Perform(cleared),
                state,
                since_ms,
                not_before_ms,
                cancelled,
                told,
                inbox,
            },
            Asked::Probe { tenant, run, receipt, effect } => Self {
                tenant,
                run,
                receipt,
                effect,
                canon: None,
                attempt: 1,
                prices: Prices::default(),
                work: Work::Look,
                state,
                voice: None,
                since_ms,
                not_before_ms: now_ms.saturating_add(LEASE_MS),
                standing,
                cancelled,
                told,
                inbox,
            },
        }
    }

    pub(crate) fn what(&self) -> What {
        match self.work {
            Work::Perform(_) => What::Perform,
            Work::LookAfter(_) | Work::Look => What::Probe,
        }
    }

    pub(crate) fn lease_ms(&self) -> u64 {
        self.standing.heartbeat_ms.unwrap_or(LEASE_MS)
    }

    /// When something is to be done about it although nobody says anything.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let plus = |from: u64, ms: Option<u64>| ms.map(|ms| from.saturating_add(ms));
        match &self.state {
            State::Waiting => plus(self.since_ms, self.standing.start_within_ms),
            State::Offered { until_ms, .. } => Some(*until_ms),
            State::Begun { since_ms, seen_ms, .. } => {
                let lease = seen_ms.saturating_add(self.lease_ms());
                Some(plus(*since_ms, self.timeout_ms()).map_or(lease, |end| end.min(lease)))
            }
        }
    }

    /// How long the attempt may take: a look takes what it takes.
    pub(crate) fn timeout_ms(&self) -> Option<u64> {
        self.standing.timeout_ms.filter(|_| matches!(self.work, Work::Perform(_)))
    }

    /// What makes pieces of what it gives, while it is performed.
    pub(crate) fn voice(&self) -> Option<&Voice> {
        self.voice.as_ref().filter(|_| matches!(self.work, Work::Perform(_)))
    }

    /// Check whether what a worker says of it can become what came of it.
    pub(crate) fn admits(&self, came: &Came) -> Result<(), Refused> {
        match (&self.work, came) {
            (_, Came::Refused(_)) | (Work::LookAfter(_) | Work::Look, Came::Found(_)) => Ok(()),
            (Work::Perform(cleared), Came::Performed(end, cost)) => match end {
                End::Abandoned => Err(Refused::OtherAnswer),
                End::Completed(_) | End::Failed(_) if *cost > cleared.reserve() => {
                    Err(Refused::Cost)
                }
                End::Completed(_) | End::Failed(_) | End::Unknown => Ok(()),
            },
            (Work::Perform(_), Came::Found(_))
            | (Work::LookAfter(_) | Work::Look, Came::Performed(..)) => Err(Refused::OtherAnswer),
        }
    }

    /// It is over: tell whoever waits for it. What does not fit was refused before.
    pub(crate) fn settle(self, came: Came) {
        let (run, receipt) = (self.run, self.receipt);
        let performed = match (self.work, came) {
            (Work::Perform(cleared), Came::Performed(end, cost)) => match end {
                End::Completed(output) => cleared.done(output, cost),
                End::Failed(failure) => cleared.failed(failure, cost),
                End::Abandoned | End::Unknown => cleared.unknown(),
            },
            (Work::Perform(cleared), Came::Refused(failure)) => {
                cleared.failed(failure, cog_base::Micros::ZERO)
            }
            (Work::LookAfter(cleared), Came::Found(found)) => after_a_look(*cleared, found),
            (Work::Perform(cleared) | Work::LookAfter(cleared), _) => cleared.unknown(),
            (Work::Look, Came::Found(found)) => {
                return self.inbox.send(Input::Probed { run, receipt, found });
            }
            (Work::Look, _) => {
                let found = Found::CannotTell;
                return self.inbox.send(Input::Probed { run, receipt, found });
            }
        };
        self.inbox.send(Input::Performed(Box::new(performed)));
    }

    /// Nobody begins it any more. A look goes on: without it nothing does.
    pub(crate) fn give_up(self, waited_too_long: bool) -> Option<Self> {
        let performed = match self.work {
            Work::Perform(cleared) if waited_too_long => {
                let (code, message) = ("effect.start_timeout", "no worker began it in time");
                let (code, message) = (code.to_owned(), message.to_owned());
                let failure = Failure { code, message, transient: true };
                cleared.failed(failure, cog_base::Micros::ZERO)
            }
            Work::Perform(cleared) => cleared.not_begun(),
            Work::LookAfter(_) | Work::Look => return Some(self),
        };
        self.inbox.send(Input::Performed(Box::new(performed)));
        None
    }

    /// The worker that began it says nothing any more, or took too long. What can be looked into is
    /// put up again, to be looked into.
    pub(crate) fn lose(mut self, lapse: Lapse) -> Option<Self> {
        let performed = match self.work {
            Work::Perform(cleared)
                if lapse == Lapse::Gone && cleared.effect().redo() == Redo::Probe =>
            {
                self.work = Work::LookAfter(cleared);
                self.state = State::Waiting;
                return Some(self);
            }
            Work::Perform(cleared) => cleared.counterfoil().lost(lapse),
            Work::LookAfter(_) | Work::Look => {
                self.state = State::Waiting;
                return Some(self);
            }
        };
        self.inbox.send(Input::Performed(Box::new(performed)));
        None
    }
}

/// What another worker found of an attempt that was lost.
fn after_a_look(cleared: Cleared<AnyEffect>, found: Found) -> Performed<AnyEffect> {
    match found {
        Found::Done(output) => cleared.done(output, cog_base::Micros::ZERO),
        // As after a crash of its owner: it is asked for anew.
        Found::NotDone if cleared.attempt() <= 1 => cleared.not_begun(),
        Found::NotDone => {
            let message = "the worker that began it was lost, and it was not done".to_owned();
            let failure = Failure { code: "effect.lost".into(), message, transient: true };
            cleared.failed(failure, cog_base::Micros::ZERO)
        }
        Found::CannotTell => cleared.unknown(),
    }
}
