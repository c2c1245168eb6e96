//! What an entry can be about, and the members its `data` must have.

mod fields;

use std::fmt;
use std::str::FromStr;

use cog_base::json::{Map, Value};

use fields::*;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What an entry is about. The catalogue is closed: a reader refuses any other.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $name),* }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word in the entry.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }

        impl FromStr for Kind {
            type Err = UnknownKind;

            fn from_str(text: &str) -> Result<Self, UnknownKind> {
                match text {
                    $($text => Ok(Self::$name),)*
                    other => Err(UnknownKind(other.chars().take(40).collect())),
                }
            }
        }
    };
}

kinds! {
    /// Opens a log: names its format, origin and first key.
    Genesis = "genesis";
    /// Hands the log over from one signing key to the next.
    KeyRotated = "key.rotated";
    /// A new version of canon is put forward.
    CanonProposed = "canon.proposed";
    /// Somebody consents to a proposed version.
    CanonApproved = "canon.approved";
    /// Somebody turns a proposed version down.
    CanonRejected = "canon.rejected";
    /// A version of canon binds from here on.
    CanonActivated = "canon.activated";
    /// Something observed or produced. Never authority.
    Evidence = "evidence";
    /// The authorised act that brings evidence into a proposal.
    Promotion = "promotion";
    /// A run begins.
    SessionStarted = "session.started";
    /// One candidate plan was chosen, or none.
    PlanSelected = "plan.selected";
    /// The authorisation of exactly one effect.
    Receipt = "receipt";
    /// The refusal of an effect.
    Denial = "denial";
    /// An effect waits for consent.
    ApprovalRequested = "approval.requested";
    /// Consent to exactly one intent under one canon.
    ApprovalGranted = "approval.granted";
    /// Consent withheld.
    ApprovalRejected = "approval.rejected";
    /// Others may answer as well, as that took too long.
    ApprovalEscalated = "approval.escalated";
    /// Somebody who may answer has another person answer in their place.
    ApprovalDelegated = "approval.delegated";
    /// Part of what an effect gives, while it is under way. Evidence, never authority.
    Output = "output";
    /// What happened under a receipt.
    Outcome = "outcome";
    /// Somebody outside sent a run a message. Evidence, never authority.
    Signal = "signal";
    /// Somebody holds a run: nothing new of it begins.
    SessionPaused = "session.paused";
    /// Somebody lets a held run go on.
    SessionUnpaused = "session.unpaused";
    /// A run begins another: the entry that starts that one stands behind it.
    ChildStarted = "child.started";
    /// A run that another began has ended, and that one goes on.
    ChildEnded = "child.ended";
    /// A run ended; nothing follows in its session.
    SessionSealed = "session.sealed";
    /// A place of a run has a name from here on: another run may go on from it.
    Checkpoint = "checkpoint";
    /// A run was recomputed, and what came of it is kept.
    Replay = "replay";
    /// Runs of a workflow are started at times from here on.
    ScheduleSet = "schedule.set";
    /// None are any more.
    ScheduleRemoved = "schedule.removed";
    /// None are until somebody says so.
    SchedulePaused = "schedule.paused";
    /// They are again, at the times that come from here on.
    ScheduleUnpaused = "schedule.unpaused";
    /// From here on runs of a workflow are started from this version of its definition.
    WorkflowActivated = "workflow.activated";
    /// A time of a schedule was decided: a run is started, or none is.
    ScheduleFired = "schedule.fired";
    /// A run was asked for: it begins later, or with the next entry. It belongs to no session yet.
    SessionQueued = "session.queued";
    /// A run that waited for its turn does so no more, and never begins.
    SessionUnqueued = "session.unqueued";
    /// Bodies were erased, of one subject or of the entries that it names; their commitments stay.
    BodiesErased = "bodies.erased";
    /// Old entries were removed; the subtree hashes stay.
    SegmentPruned = "segment.pruned";
}

/// A word that is no [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of entry")]
pub struct UnknownKind(String);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A member of `data` that is missing or of another type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an entry of kind `{kind}` needs data.{field} as {expected}; found {found}")]
pub struct BadData {
    /// The kind of the entry.
    pub kind: Kind,
    /// The member.
    pub field: &'static str,
    /// What it must be.
    pub expected: &'static str,
    /// What stands there: the JSON type, or `nothing`.
    pub found: &'static str,
}

impl Kind {
    /// Check the members of `data`. Members beyond the known ones are allowed, so that a
    /// later release can say more.
    ///
    /// # Errors
    /// [`BadData`] names the first member that is missing or of another type.
    pub fn check(self, data: &Map) -> Result<(), BadData> {
        for field in self.fields() {
            let value = data.get(field.name);
            let fits = value.map_or(!field.required, |value| field.shape.fits(value));
            if !fits {
                return Err(BadData {
                    kind: self,
                    field: field.name,
                    expected: field.shape.expected(),
                    found: value.map_or("nothing", Value::kind),
                });
            }
        }
        Ok(())
    }

    /// Whether entries of this kind belong to a session, and so must name it; but for the denials of
    /// [`ACTS`].
    #[must_use]
    pub const fn in_session(self) -> bool {
        match self {
            Self::SessionStarted
            | Self::PlanSelected
            | Self::Receipt
            | Self::Denial
            | Self::ApprovalRequested
            | Self::ApprovalGranted
            | Self::ApprovalRejected
            | Self::ApprovalEscalated
            | Self::ApprovalDelegated
            | Self::Output
            | Self::Outcome
            | Self::Signal
            | Self::SessionPaused
            | Self::SessionUnpaused
            | Self::ChildStarted
            | Self::ChildEnded
            | Self::SessionSealed => true,
            Self::Genesis
            | Self::KeyRotated
            | Self::CanonProposed
            | Self::CanonApproved
            | Self::CanonRejected
            | Self::CanonActivated
            | Self::Evidence
            | Self::Promotion
            | Self::Checkpoint
            | Self::Replay
            | Self::ScheduleSet
            | Self::ScheduleRemoved
            | Self::SchedulePaused
            | Self::ScheduleUnpaused
            | Self::WorkflowActivated
            | Self::ScheduleFired
            | Self::SessionQueued
            | Self::SessionUnqueued
            | Self::BodiesErased
            | Self::SegmentPruned => false,
        }
    }

    const fn fields(self) -> &'static [Field] {
        match self {
            Self::Genesis => GENESIS,
            Self::KeyRotated => KEY_ROTATED,
            Self::CanonProposed => CANON_PROPOSED,
            Self::CanonApproved => CANON_APPROVED,
            Self::CanonRejected => CANON_REJECTED,
            Self::CanonActivated => CANON_ACTIVATED,
            Self::Evidence => EVIDENCE,
            Self::Promotion => PROMOTION,
            Self::SessionStarted => SESSION_STARTED,
            Self::PlanSelected => PLAN_SELECTED,
            Self::Receipt => RECEIPT,
            Self::Denial => DENIAL,
            Self::ApprovalRequested => APPROVAL_REQUESTED,
            Self::ApprovalGranted => APPROVAL_GRANTED,
            Self::ApprovalRejected => APPROVAL_REJECTED,
            Self::ApprovalEscalated => APPROVAL_ESCALATED,
            Self::ApprovalDelegated => APPROVAL_DELEGATED,
            Self::Output => OUTPUT,
            Self::Outcome => OUTCOME,
            Self::Signal => SIGNAL,
            Self::SessionPaused => SESSION_PAUSED,
            Self::SessionUnpaused => SESSION_UNPAUSED,
            Self::ChildStarted => CHILD_STARTED,
            Self::ChildEnded => CHILD_ENDED,
            Self::SessionSealed => SESSION_SEALED,
            Self::Checkpoint => CHECKPOINT,
            Self::Replay => REPLAY,
            Self::ScheduleSet => SCHEDULE_SET,
            Self::ScheduleRemoved | Self::SchedulePaused | Self::ScheduleUnpaused => SCHEDULE_NAMED,
            Self::WorkflowActivated => WORKFLOW_ACTIVATED,
            Self::ScheduleFired => SCHEDULE_FIRED,
            Self::SessionQueued => SESSION_QUEUED,
            Self::SessionUnqueued => SESSION_UNQUEUED,
            Self::BodiesErased => BODIES_ERASED,
            Self::SegmentPruned => SEGMENT_PRUNED,
        }
    }
}

/// What came of recomputing a run: the same, what is left of it the same, nothing to tell for its
/// beginning is pruned, something otherwise, a body missing that nothing accounts for, or nothing
/// that could be told.
pub const REPLAYED: &[&str] = &["same", "erased", "pruned", "differs", "damaged", "unknown"];

/// What came of recorded runs by another definition: they follow from it; they do not, and did from
/// the version that was active; they follow from neither, as runs of earlier versions; or it cannot be
/// told.
pub const TESTED: &[&str] = &["same", "differs", "earlier", "unknown"];

/// Why no run is started for a time of a schedule: the run before was not over, nobody looked
/// before it was too late, or it could not be started.
pub const LEFT_OUT: &[&str] = &["overlap", "missed", "not_started"];

/// Why a run that was asked for never begins: there was no room for it, somebody withdrew it, or it
/// could not be begun.
pub const UNQUEUED: &[&str] = &["refused", "cancelled", "failed"];

/// What happens to a run when as many of its key are open as may be.
pub const WHEN_FULL: &[&str] = &["queue", "refuse", "cancel_running"];

/// Why bodies are erased that no subject names: somebody named the entries, or they were kept for as
/// long as the canon of their domain says.
pub const ERASED_FOR: &[&str] = &["entries", "retention"];

/// The word of a seal behind which the next run of a chain begins.
pub const CONTINUED: &str = "continued";

/// The format that a genesis entry names.
pub const FORMAT: &str = "cognitionos-ledger/v1";

/// The context of a session's trace digest: SHA-256 over the leaf hashes of its entries, in
/// order, without the seal.
pub const TRACE_CONTEXT: &str = "cognitionos/trace/v1";

/// What people do about approvals, the canon and the ledger, by the action in the denial of it. What
/// is refused of these may concern no run; any other denial belongs to one.
pub const ACTS: &[&str] = &[
    "approval.answer",
    "canon.propose",
    "canon.approve",
    "canon.reject",
    "canon.activate",
    "ledger.rotate",
    "ledger.erase",
    "ledger.prune",
    "run.start",
    "run.withdraw",
    "schedule.change",
    "schedule.fire",
    "workflow.activate",
];

/// How an effect can have ended: `completed`, `failed` (the effect answered no), `abandoned`
/// (it was never begun), `unknown` (it was begun and nobody knows).
pub const DISPOSITIONS: &[&str] = &["completed", "failed", "abandoned", "unknown"];
