//! The door on the side of a worker in another process: what it checks of a receipt that came with
//! its proof, before it acts on it.
//!
//! The ledger is not at hand there, and so neither is the gate. What is at hand is the receipt, the
//! signed head that it is in, the key in force and a clock. That proves that the receipt was issued
//! and for what; that it was not used before the worker has to remember itself.

use std::collections::BTreeMap;

use cog_base::Timestamp;
use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_ledger::proof::{BadProof, ProvenEntry};
use cog_ledger::{Entry, Kind, VerifierKey};

use crate::decision::CLOCK_BEHIND_MS_MAX;
use crate::effect::Effect;

/// The most receipts that a worker remembers as used.
pub const SEEN_MAX: usize = 65_536;

/// Why a worker does not act on a receipt. Whatever it cannot tell is one of these.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// The proof does not hold: another tenant, log or key, or altered bytes.
    #[error("the receipt is not proved")]
    Proof(#[from] BadProof),
    /// It is an entry of another kind.
    #[error("entry {seq} is `{kind}`, and no receipt")]
    NoReceipt {
        /// Its place.
        seq: u64,
        /// What it is.
        kind: Kind,
    },
    /// It permits something else than the call that is about to be made.
    #[error("the receipt {receipt} is for another call than `{action}` with these arguments")]
    OtherCall {
        /// Which.
        receipt: ReceiptId,
        /// What would be done.
        action: &'static str,
    },
    /// Its time is over.
    #[error("the receipt {receipt} was good until {expires}")]
    Expired {
        /// Which.
        receipt: ReceiptId,
        /// Until when it was good.
        expires: Timestamp,
    },
    /// By the clock of this worker it is not issued yet, so that the clock tells no end either.
    #[error("the clock stands at {now}, and the receipt {receipt} was issued at {issued}")]
    ClockBehind {
        /// Which.
        receipt: ReceiptId,
        /// When it was issued.
        issued: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// It is older than this worker, which does not know what the one before it did.
    #[error("the receipt {receipt} was issued before this worker began, at {since}")]
    OlderThanWorker {
        /// Which.
        receipt: ReceiptId,
        /// When the worker began.
        since: Timestamp,
    },
    /// It was used.
    #[error("the receipt {0} was used before")]
    Used(ReceiptId),
    /// So many receipts are in use that no more can be remembered.
    #[error("{SEEN_MAX} receipts are in use, and no more can be remembered until one expires")]
    Full,
}

/// The receipts that were used, as long as they could be used again.
#[derive(Debug, Default)]
struct Seen(BTreeMap<ReceiptId, Timestamp>);

impl Seen {
    /// Use a receipt up. What expired is forgotten: it is refused for that.
    fn consume(
        &mut self,
        receipt: ReceiptId,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), NotAccepted> {
        if self.0.contains_key(&receipt) {
            return Err(NotAccepted::Used(receipt));
        }
        if self.0.len() >= SEEN_MAX {
            self.0.retain(|_, expires| now <= *expires);
        }
        if self.0.len() >= SEEN_MAX {
            return Err(NotAccepted::Full);
        }
        self.0.insert(receipt, expires);
        Ok(())
    }
}

/// A worker in another process, which acts for one tenant on receipts that travel with their proof.
#[derive(Debug)]
pub struct Runner {
    tenant: TenantId,
    origin: String,
    trusted: Vec<VerifierKey>,
    since: Timestamp,
    /// The latest time that the clock showed: one that is set back revives nothing.
    latest: Timestamp,
    seen: Seen,
}

/// An effect that a worker may perform now, once. Like a [`Cleared`](crate::Cleared), it can be
/// neither cloned nor made otherwise.
#[derive(Debug)]
#[must_use = "the receipt is used up"]
pub struct Errand<E> {
    effect: E,
    receipt: ReceiptId,
    run: RunId,
}

impl<E: Effect> Errand<E> {
    /// What is to be done.
    #[must_use]
    pub const fn effect(&self) -> &E {
        &self.effect
    }

    /// Under which receipt: the key that makes doing it twice doing it once, where what is called
    /// knows such keys.
    #[must_use]
    pub const fn receipt(&self) -> ReceiptId {
        self.receipt
    }

    /// Of which run.
    #[must_use]
    pub const fn run(&self) -> RunId {
        self.run
    }
}

impl Runner {
    /// A worker that begins at `since`, for the log `origin` of `tenant`. `trusted` should be the key
    /// in force alone: a proof shows no hand-overs.
    ///
    /// What an earlier life of it used is not remembered, and so nothing issued before `since` is
    /// accepted.
    #[must_use]
    pub fn new(
        tenant: TenantId,
        origin: &str,
        trusted: Vec<VerifierKey>,
        since: Timestamp,
    ) -> Self {
        let (origin, latest, seen) = (origin.to_owned(), since, Seen::default());
        Self { tenant, origin, trusted, since, latest, seen }
    }

    /// Check the receipt for the very call that is about to be made, and use it up. Of several
    /// workers for one tenant each must be handed receipts of its own: they share no memory.
    ///
    /// # Errors
    /// [`NotAccepted`] says what does not hold. The receipt is not used up then, and nothing is to
    /// be done.
    pub fn accept<E: Effect>(
        &mut self,
        receipt: &ProvenEntry,
        effect: E,
        now: Timestamp,
    ) -> Result<Errand<E>, NotAccepted> {
        self.latest = self.latest.max(now);
        let now = self.latest;
        let entry = receipt.verify(self.tenant, &self.origin, &self.trusted)?;
        let (receipt, run, expires) = read(entry)?;
        let is_its = entry.digest("effect") == Some(effect.digest())
            && entry.text("action") == Some(effect.action())
            && entry.text("resource") == Some(effect.resource().to_string().as_str());
        if !is_its {
            return Err(NotAccepted::OtherCall { receipt, action: effect.action() });
        }
        let issued = entry.at();
        if issued < self.since {
            return Err(NotAccepted::OlderThanWorker { receipt, since: self.since });
        }
        if now.plus_ms(CLOCK_BEHIND_MS_MAX) < issued {
            return Err(NotAccepted::ClockBehind { receipt, issued, now });
        }
        if now > expires {
            return Err(NotAccepted::Expired { receipt, expires });
        }
        self.seen.consume(receipt, expires, now)?;
        Ok(Errand { effect, receipt, run })
    }
}

/// The id of a receipt, its run and its end.
fn read(entry: &Entry) -> Result<(ReceiptId, RunId, Timestamp), NotAccepted> {
    let none = NotAccepted::NoReceipt { seq: entry.seq(), kind: entry.kind() };
    let is_receipt = entry.kind() == Kind::Receipt;
    let id = entry.text("id").filter(|_| is_receipt).and_then(|id| id.parse().ok());
    let expires = entry.text("expires").and_then(|time| time.parse().ok());
    id.zip(entry.session()).zip(expires).map(|((id, run), end)| (id, run, end)).ok_or(none)
}

#[cfg(test)]
mod tests {
    use cog_base::id::Uuid;

    use super::*;

    #[test]
    fn no_more_is_accepted_than_can_be_remembered() {
        let mut seen = Seen::default();
        let (now, receipt) = (Timestamp::from_micros(1_000_000), |n: usize| {
            ReceiptId::from_uuid(Uuid::from_u128(n as u128))
        });
        for n in 0..SEEN_MAX {
            seen.consume(receipt(n), now.plus_ms(n as u64), now).unwrap();
        }
        assert_eq!(seen.consume(receipt(7), now, now), Err(NotAccepted::Used(receipt(7))));
        let later = now.plus_ms(60_000);
        assert_eq!(seen.consume(receipt(SEEN_MAX), later, now), Err(NotAccepted::Full));
        // The first of them expires, and is refused for that from then on.
        assert_eq!(seen.consume(receipt(SEEN_MAX), later, now.plus_ms(1)), Ok(()));
        assert_eq!(seen.0.len(), SEEN_MAX);
    }
}
