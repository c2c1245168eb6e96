//! What a decision is told of the world outside the gate.

use std::sync::Arc;

use cog_base::{Digest, Timestamp};
use cog_canon::Canon;

use crate::snapshot::TenantStatus;

/// What is true outside the gate at the moment of a decision.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// The time.
    pub now: Timestamp,
    /// The time of the ledger's last entry.
    pub ledger_at: Timestamp,
    /// The tenant's status.
    pub tenant: TenantStatus,
    /// The canon that decides, if one is in force.
    pub canon: Option<&'a Arc<Canon>>,
    /// The version the ledger says is in force.
    pub in_force: Option<Digest>,
}

impl<'a> World<'a> {
    pub(crate) fn canon(&self) -> Option<&'a Canon> {
        self.canon.map(Arc::as_ref)
    }
}
