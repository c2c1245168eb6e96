//! What a plan must fit in, and what time and risk are worth.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::Micros;

use crate::plan::Risk;

/// What time and risk are worth. From the canon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// The price of a second of waiting.
    pub latency_micros_per_second: u64,
    /// The expected loss of one effect of each class. A plan with a step of a class that has
    /// no figure falls out: unknown is no.
    pub loss_micros: BTreeMap<Risk, u64>,
    /// How much of the expected loss counts, in percent: 100 is all of it, 200 is cautious.
    pub risk_weight_percent: u64,
}

/// What a plan must fit in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Most that the plan may cost; nothing means no limit here.
    pub budget: Option<Micros>,
    /// Most milliseconds that the plan may take; nothing means no limit here.
    pub deadline_ms: Option<u64>,
    /// The blast radius that the canon allows one run.
    pub envelope: Envelope,
    /// What the run has used of the envelope already.
    pub used: Used,
}

/// The most that one run may touch and move, and what it may not do together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Most different keys written; nothing means that the canon sets no limit.
    pub resources_max: Option<u64>,
    /// Most money, in minor units; nothing means that the canon sets no limit.
    pub amount_max: Option<u64>,
    /// Sets of actions of which one run may not do all: the last of them is refused.
    pub forbidden: Vec<Vec<String>>,
}

/// What a run has used of its envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// The keys written.
    pub resources: BTreeSet<String>,
    /// The money moved, in minor units.
    pub amount_minor: u64,
    /// The actions done.
    pub actions: BTreeSet<String>,
}
