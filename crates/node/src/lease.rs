//! How long this node may take a tenant for its own, by the clock of its machine. The store decides who
//! writes, whatever is believed here; but an effect that is only now beginning cannot be taken
//! back, so none begins in doubt.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use cog_base::{Clock, Timestamp};

/// The claim on a tenant, as this node knows it.
pub(crate) struct Lease {
    clock: Arc<dyn Clock>,
    length: i64,
    /// When it ends, in microseconds, if it is not renewed.
    until: AtomicI64,
    is_over: AtomicBool,
}

impl Lease {
    /// A claim that was asked for at `asked`, before the store gave it.
    pub(crate) fn new(clock: Arc<dyn Clock>, length: Duration, asked: Timestamp) -> Self {
        let length = i64::try_from(length.as_micros()).unwrap_or(i64::MAX / 4);
        let until = AtomicI64::new(asked.micros().saturating_add(length));
        Self { clock, length, until, is_over: AtomicBool::new(false) }
    }

    /// It was renewed by something that was asked at `asked`.
    pub(crate) fn renewed(&self, asked: Timestamp) {
        let until = asked.micros().saturating_add(self.length);
        self.until.fetch_max(until, Ordering::AcqRel);
    }

    /// It is over for good: this life of the tenant's engine begins nothing any more.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Release);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Whether nobody else can have the tenant yet.
    pub(crate) fn is_sure(&self) -> bool {
        !self.is_over() && self.clock.now().micros() < self.until.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Set(AtomicI64);

    impl Clock for Set {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_claim_is_sure_until_its_end_unless_it_is_renewed_or_lost() {
        let clock = Arc::new(Set(AtomicI64::new(1_000_000)));
        let at = |micros| clock.0.store(micros, Ordering::Relaxed);
        let lease =
            Lease::new(clock.clone(), Duration::from_secs(2), Timestamp::from_micros(1_000_000));
        at(2_999_999);
        assert!(lease.is_sure());
        at(3_000_000);
        assert!(!lease.is_sure());
        lease.renewed(Timestamp::from_micros(2_500_000));
        assert!(lease.is_sure());
        // An answer that came late does not shorten it.
        lease.renewed(Timestamp::from_micros(2_000_000));
        at(4_499_999);
        assert!(lease.is_sure());
        lease.end();
        assert!(!lease.is_sure() && lease.is_over());
    }
}
