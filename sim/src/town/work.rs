//! What adapters have in hand: effects and probes, each done when the town says so.

use std::sync::Arc;

use cog_base::Timestamp;
use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_engine::{Inbox, Input};
use cog_gate::{AnyEffect, Cleared, Lapse};

use super::Inner;
use super::living::Living;
use crate::outside::Fate;

/// The longest that an effect takes, in milliseconds.
const EFFECT_MS_MAX: u64 = 400;

pub(super) enum Task {
    Effect(Box<Cleared<AnyEffect>>),
    Probe { run: RunId, receipt: ReceiptId, effect: Box<AnyEffect> },
}

pub(super) struct Work {
    pub(super) living: Arc<Living>,
    pub(super) tenant: TenantId,
    pub(super) task: Task,
    pub(super) inbox: Inbox,
    /// When it is done.
    pub(super) due: Timestamp,
}

impl Inner {
    /// An adapter is given something to do.
    pub(super) fn take_on(&self, mut work: Work) {
        if let Task::Effect(cleared) = &work.task {
            let receipt = cleared.idempotency_key();
            if !self.database.holds(work.tenant, &receipt.to_string()) {
                self.wrong(format!("{receipt} was begun before it was durable"));
            }
        }
        let mut state = self.state();
        let ms = state.dice.below(EFFECT_MS_MAX);
        work.due = work.due.plus_ms(ms * state.slowness);
        state.work.push(work);
    }

    /// An adapter is done with what it had in hand.
    pub(super) fn carry_out(&self, place: usize) {
        let mut state = self.state();
        let Work { living, tenant, task, inbox, .. } = state.work.swap_remove(place);
        let input = match task {
            Task::Probe { run, receipt, effect } => {
                let found = state.outside.entry(tenant).or_default().probe(&effect);
                Input::Probed { run, receipt, found }
            }
            Task::Effect(cleared) => {
                let is_ours = self.database.owner(tenant).is_some_and(|(it, _)| it == living.life);
                if !is_ours {
                    state.counts.faults.add("effect.late");
                }
                let rate = self.troubles.effect;
                let fails =
                    rate < u64::MAX && state.troubles_left > 0 && state.dice.below(rate) == 0;
                let fate = match if fails { state.dice.below(4) } else { 4 } {
                    0 => Fate::Transient,
                    1 => Fate::Failed,
                    2 => Fate::Unclear,
                    3 => {
                        state.outside.entry(tenant).or_default().act(&cleared);
                        let lost = cleared.counterfoil().lost(Lapse::TimedOut);
                        drop(state);
                        self.count("effect.outlived");
                        return inbox.send(Input::Performed(Box::new(lost)));
                    }
                    _ => Fate::Done,
                };
                if fate != Fate::Done {
                    state.counts.faults.add("effect.failed");
                }
                let performed = state.outside.entry(tenant).or_default().perform(*cleared, fate);
                Input::Performed(Box::new(performed))
            }
        };
        drop(state);
        inbox.send(input);
    }

    /// What a life had in hand when it died: some of it takes place all the same.
    pub(super) fn lose_work(&self, living: &Living) {
        let mut state = self.state();
        let (lost, rest): (Vec<Work>, Vec<Work>) = std::mem::take(&mut state.work)
            .into_iter()
            .partition(|it| it.living.life == living.life);
        state.work = rest;
        for work in &lost {
            if let Task::Effect(cleared) = &work.task
                && state.dice.below(3) == 0
            {
                state.counts.faults.add("effect.cut_short");
                state.outside.entry(work.tenant).or_default().act(cleared);
            }
        }
        drop(state);
        // Whoever counts what is under way hears that it is over.
        drop(lost);
    }
}
