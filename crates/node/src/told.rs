//! What onlookers of a node are told. It carries no authority: the logs do.

use cog_base::Timestamp;
use cog_base::id::{MailId, RunId, TenantId};
use cog_engine::Notice;

/// Something that happened at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A tenant is this node's.
    Claimed {
        /// Whose log.
        tenant: TenantId,
        /// How often it changed hands.
        fence: i64,
    },
    /// The engine of a tenant runs.
    Opened {
        /// Whose.
        tenant: TenantId,
        /// How many runs it goes on with: those that are open and not parked.
        runs: usize,
    },
    /// Another node has taken a tenant. Nothing that is under way for it here counts.
    Lost {
        /// Whose log.
        tenant: TenantId,
    },
    /// A tenant was given back.
    Released {
        /// Whose log.
        tenant: TenantId,
    },
    /// A tenant cannot be opened here; it is tried again.
    Stalled {
        /// Whose.
        tenant: TenantId,
        /// Why.
        why: String,
    },
    /// Something of ours panicked while it worked for a tenant. Its engine is dropped and the
    /// tenant given back; nobody else hears of it.
    Panicked {
        /// Whose.
        tenant: TenantId,
        /// With what.
        why: String,
    },
    /// This node does not go on with a run, which stays open.
    Left {
        /// Whose.
        tenant: TenantId,
        /// The run.
        run: RunId,
        /// Why.
        why: String,
    },
    /// Runs have left memory, as only time or somebody outside brings them on.
    Parked {
        /// Whose.
        tenant: TenantId,
        /// How many.
        runs: usize,
    },
    /// Nothing comes of some mail.
    Refused {
        /// Whose.
        tenant: TenantId,
        /// The mail.
        mail: MailId,
        /// Why.
        why: String,
    },
    /// Times of a schedule were decided.
    Fired {
        /// Whose.
        tenant: TenantId,
        /// The schedule.
        schedule: String,
        /// The time, or the last of those that were left out.
        at: Timestamp,
        /// The run that began; else why none did.
        run: Result<RunId, String>,
    },
    /// Something happened in a run.
    Run {
        /// Whose.
        tenant: TenantId,
        /// What.
        notice: Notice,
    },
    /// The store is away; what can wait waits.
    Away {
        /// What was said.
        why: String,
    },
    /// The store is there again.
    Back,
}
