//! What the owner of a log says of a clearance when it hands the receipt to a worker in another
//! process. The clearance itself stays: what the worker reports becomes what was performed.

use cog_base::id::TenantId;
use cog_base::{Digest, Micros, Timestamp};

use crate::door::Cleared;
use crate::effect::Effect;

impl<E: Effect> Cleared<E> {
    /// Whose log the receipt is in.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.pass().scope.tenant
    }

    /// The canon that it was permitted under.
    #[must_use]
    pub fn canon(&self) -> Option<Digest> {
        self.pass().scope.canon
    }

    /// Until when it may be begun.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.pass().expires
    }

    /// The most that this attempt may cost.
    #[must_use]
    pub fn reserve(&self) -> Micros {
        self.pass().reserve
    }

    /// The number of this attempt under its receipt, from one on.
    #[must_use]
    pub fn attempt(&self) -> u64 {
        self.pass().attempts
    }
}
