//! The door on the side of a worker in another process: what it checks of a receipt that came with
//! its proof, before it acts on it.
//!
//! The ledger is not at hand there, and so neither is the gate. What is at hand is the receipt, the
//! signed head that it is in, the key in force and a clock. That proves that the receipt was issued
//! and for what; that it was not used before the worker has to remember itself.

use std::collections::BTreeMap;

use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_base::{Micros, Timestamp, Value};
use cog_ledger::proof::{BadProof, ProvenEntry};
use cog_ledger::{Entry, Kind, VerifierKey};

use crate::decision::CLOCK_BEHIND_MS_MAX;
use crate::door::{Cleared, Pass, Scope};
use crate::effect::{Effect, Prices, Redo};

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
    /// It could not be noted that it is used.
    #[error("that the receipt is used could not be noted: {0}")]
    NotNoted(String),
    /// So many receipts are in use that no more can be remembered.
    #[error("{SEEN_MAX} receipts are in use, and no more can be remembered until one expires")]
    Full,
}

/// What a worker knows of a receipt that it used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Which.
    pub receipt: ReceiptId,
    /// The last attempt that it began.
    pub attempt: u64,
    /// Whether nothing came of that attempt: it failed, or was found not to be done.
    pub fell: bool,
    /// When the receipt ends.
    pub expires: Timestamp,
}

/// Where a worker notes what it used, so that it still knows in its next life.
pub trait Journal {
    /// Note this durably. What was noted of the receipt before is no longer so.
    ///
    /// # Errors
    /// Why it is not noted: nothing is performed then.
    fn note(&mut self, used: &Used) -> Result<(), String>;
}

/// The receipts that were used, as long as they could be used again.
#[derive(Debug, Default)]
struct Seen(BTreeMap<ReceiptId, Used>);

impl Seen {
    /// Whether an attempt may begin. Under a receipt that was used here it may when the one before it
    /// is known to have come to nothing, or when doing it again changes nothing. What expired is
    /// forgotten: it is refused for that.
    fn admit(&mut self, next: &Used, redo: Redo, now: Timestamp) -> Result<(), NotAccepted> {
        if let Some(used) = self.0.get(&next.receipt) {
            let may = next.attempt > used.attempt && (used.fell || redo == Redo::Safe);
            return if may { Ok(()) } else { Err(NotAccepted::Used(next.receipt)) };
        }
        if self.0.len() >= SEEN_MAX {
            self.0.retain(|_, used| now <= used.expires);
        }
        if self.0.len() >= SEEN_MAX { Err(NotAccepted::Full) } else { Ok(()) }
    }

    fn note(&mut self, used: Used) {
        self.0.insert(used.receipt, used);
    }
}

/// A worker in another process, which acts for one tenant on receipts that travel with their proof.
#[derive(Debug)]
pub struct Runner {
    tenant: TenantId,
    origin: String,
    trusted: Vec<VerifierKey>,
    /// When it began, if it knows nothing of an earlier life.
    since: Option<Timestamp>,
    /// The latest time that the clock showed: one that is set back revives nothing.
    latest: Timestamp,
    seen: Seen,
}

/// An effect that a worker may perform now, once. Like a [`Cleared`], it can be
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
        Self { tenant, origin, trusted, since: Some(since), latest, seen }
    }

    /// A worker that knows what its earlier lives used, by the journal that it keeps.
    #[must_use]
    pub fn remembering(
        tenant: TenantId,
        origin: &str,
        trusted: Vec<VerifierKey>,
        used: impl IntoIterator<Item = Used>,
    ) -> Self {
        let mut seen = Seen::default();
        used.into_iter().for_each(|used| seen.note(used));
        let (origin, latest) = (origin.to_owned(), Timestamp::MIN);
        Self { tenant, origin, trusted, since: None, latest, seen }
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
        let (entry, used) = self.proven(receipt, &effect, 1, now)?;
        let run = entry.session().ok_or_else(|| none(entry))?;
        self.seen.admit(&used, Redo::Unknown, self.latest)?;
        self.seen.note(used);
        Ok(Errand { effect, receipt: used.receipt, run })
    }

    /// The way of [`Runner::accept`] to an adapter: check the receipt, note in the journal that this
    /// attempt is made under it, and only then clear the effect. The number of the attempt is by
    /// whoever hands it over; of a receipt that was used here no number is enough.
    ///
    /// What comes of it is told to whoever owns the log, who alone records it. A redirect is decided
    /// there as well, so that here none is followed.
    ///
    /// # Errors
    /// [`NotAccepted`] says what does not hold. Nothing is to be done then.
    pub fn clear<E: Effect>(
        &mut self,
        receipt: &ProvenEntry,
        effect: E,
        (attempt, prices): (u64, Prices),
        now: Timestamp,
        journal: &mut dyn Journal,
    ) -> Result<Cleared<E>, NotAccepted> {
        let (entry, used) = self.proven(receipt, &effect, attempt, now)?;
        let pass = pass(entry, &used, prices).ok_or_else(|| none(entry))?;
        self.seen.admit(&used, effect.redo(), self.latest)?;
        journal.note(&used).map_err(NotAccepted::NotNoted)?;
        self.seen.note(used);
        Ok(Cleared::new(effect, pass))
    }

    /// Nothing came of an attempt: it failed, or it was looked for and not found. Another may be made.
    ///
    /// # Errors
    /// Why the journal does not have it: no other attempt is made here then.
    pub fn fell(&mut self, receipt: ReceiptId, journal: &mut dyn Journal) -> Result<(), String> {
        let Some(used) = self.seen.0.get(&receipt).copied() else { return Ok(()) };
        let used = Used { fell: true, ..used };
        journal.note(&used)?;
        self.seen.note(used);
        Ok(())
    }

    /// Whether this is a receipt for that effect, however old: enough to look for traces of it.
    ///
    /// # Errors
    /// [`NotAccepted`] says what does not hold.
    pub fn knows<E: Effect>(
        &self,
        receipt: &ProvenEntry,
        effect: &E,
    ) -> Result<(ReceiptId, RunId), NotAccepted> {
        let entry = receipt.verify(self.tenant, &self.origin, &self.trusted)?;
        let (receipt, run, _) = read(entry)?;
        is_for(entry, receipt, effect).map(|()| (receipt, run))
    }

    /// The entry of a receipt that is proven, is for this effect and is good now, and what would be
    /// noted of it.
    fn proven<'a, E: Effect>(
        &mut self,
        receipt: &'a ProvenEntry,
        effect: &E,
        attempt: u64,
        now: Timestamp,
    ) -> Result<(&'a Entry, Used), NotAccepted> {
        self.latest = self.latest.max(now);
        let now = self.latest;
        let entry = receipt.verify(self.tenant, &self.origin, &self.trusted)?;
        let (receipt, _, expires) = read(entry)?;
        is_for(entry, receipt, effect)?;
        let issued = entry.at();
        if let Some(since) = self.since.filter(|since| issued < *since) {
            return Err(NotAccepted::OlderThanWorker { receipt, since });
        }
        if now.plus_ms(CLOCK_BEHIND_MS_MAX) < issued {
            return Err(NotAccepted::ClockBehind { receipt, issued, now });
        }
        if now > expires {
            return Err(NotAccepted::Expired { receipt, expires });
        }
        Ok((entry, Used { receipt, attempt, fell: false, expires }))
    }
}

/// Whether a receipt is for exactly this effect.
fn is_for<E: Effect>(entry: &Entry, receipt: ReceiptId, effect: &E) -> Result<(), NotAccepted> {
    let is_its = entry.digest("effect") == Some(effect.digest())
        && entry.text("action") == Some(effect.action())
        && entry.text("resource") == Some(effect.resource().to_string().as_str());
    let action = effect.action();
    if is_its { Ok(()) } else { Err(NotAccepted::OtherCall { receipt, action }) }
}

/// What travels with a clearance that rests on a receipt alone. What the canon hides of the output,
/// and whose data it is, knows whoever owns the log, and sees to it when the report comes.
fn pass(entry: &Entry, used: &Used, prices: Prices) -> Option<Pass> {
    let number = |name: &str| entry.data().get(name).and_then(Value::as_u64);
    let text = |text: &str| text.to_owned();
    Some(Pass {
        receipt: used.receipt,
        intent: entry.digest("intent")?,
        effect: entry.digest("effect")?,
        draft: None,
        expires: used.expires,
        reserve: Micros::new(number("reserve_micros").unwrap_or_default()),
        prices: Some(prices),
        redact: Vec::new(),
        subject: None,
        attempts: used.attempt,
        onward: None,
        spent: Micros::ZERO,
        scope: Scope {
            tenant: entry.tenant(),
            actor: text(entry.actor()),
            domain: text(entry.domain()),
            environment: text(entry.environment()),
            session: entry.session()?,
            canon: entry.canon(),
        },
        ear: None,
    })
}

fn none(entry: &Entry) -> NotAccepted {
    NotAccepted::NoReceipt { seq: entry.seq(), kind: entry.kind() }
}

/// The id of a receipt, its run and its end.
fn read(entry: &Entry) -> Result<(ReceiptId, RunId, Timestamp), NotAccepted> {
    let is_receipt = entry.kind() == Kind::Receipt;
    let id = entry.text("id").filter(|_| is_receipt).and_then(|id| id.parse().ok());
    let expires = entry.text("expires").and_then(|time| time.parse().ok());
    id.zip(entry.session())
        .zip(expires)
        .map(|((id, run), end)| (id, run, end))
        .ok_or_else(|| none(entry))
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
        let mut consume = |n: usize, expires: Timestamp, now: Timestamp| {
            let used = Used { receipt: receipt(n), attempt: 1, fell: false, expires };
            seen.admit(&used, Redo::Unknown, now)?;
            seen.note(used);
            Ok::<_, NotAccepted>(seen.0.len())
        };
        for n in 0..SEEN_MAX {
            consume(n, now.plus_ms(n as u64), now).unwrap();
        }
        assert_eq!(consume(7, now, now), Err(NotAccepted::Used(receipt(7))));
        let later = now.plus_ms(60_000);
        assert_eq!(consume(SEEN_MAX, later, now), Err(NotAccepted::Full));
        // The first of them expires, and is refused for that from then on.
        assert_eq!(consume(SEEN_MAX, later, now.plus_ms(1)), Ok(SEEN_MAX));
    }

    #[test]
    fn another_attempt_is_made_when_the_one_before_came_to_nothing_or_changes_nothing() {
        let (now, receipt) = (Timestamp::MIN, ReceiptId::from_uuid(Uuid::from_u128(1)));
        for (before, fell, next, redo, admitted) in [
            (1, false, 1, Redo::Safe, false),
            (1, false, 2, Redo::Safe, true),
            (1, false, 2, Redo::Probe, false),
            (1, false, 2, Redo::Unknown, false),
            (1, true, 2, Redo::Unknown, true),
            (1, true, 1, Redo::Unknown, false),
            (3, true, 2, Redo::Safe, false),
        ] {
            let used = |attempt, fell| Used { receipt, attempt, fell, expires: now };
            let mut seen = Seen::default();
            seen.note(used(before, fell));
            let may = seen.admit(&used(next, false), redo, now).is_ok();
            assert_eq!(may, admitted, "{before} {fell} {next} {redo:?}");
        }
    }
}
