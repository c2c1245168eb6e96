//! Waiting for what becomes of a run.

use std::time::{Duration, Instant};

use cog_base::id::{MailId, RunId};
use cog_ledger::Kind;
use cog_node::of_queue;
use cog_store::Delivery;

use super::Tenant;
use crate::error::Error;
use crate::stands::{End, Never, Newest, Stands, never, newest, waits};

/// The shortest and the longest time between two looks, where nobody rings.
const LOOK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(40));
/// What a run waits for is worked out when it was still for so long; and then, each time for twice as
/// long.
const STILL: Duration = Duration::from_millis(20);

/// Looks at a run again and again.
struct Watch {
    /// What was its last entry.
    last: Option<(RunId, u64)>,
    since: Instant,
    /// How long it is to be still before it is looked into.
    still: Duration,
}

impl Watch {
    /// Whether it is time to look into the run whose last entry is this one.
    fn is_still(&mut self, last: (RunId, u64)) -> bool {
        if self.last != Some(last) {
            *self = Self { last: Some(last), since: Instant::now(), still: STILL };
            return false;
        }
        let is_still = self.since.elapsed() >= self.still;
        if is_still {
            self.still *= 2;
        }
        is_still
    }
}

impl Tenant {
    /// How a run stands now. Of one that continued as new, the last run of the chain counts.
    ///
    /// # Errors
    /// [`Error::NoRun`] when nobody asked for it.
    pub fn stands(&self, run: RunId) -> Result<Stands, Error> {
        self.look(run, &mut |_| true)
    }

    fn look(
        &self,
        run: RunId,
        looks_into: &mut dyn FnMut((RunId, u64)) -> bool,
    ) -> Result<Stands, Error> {
        // Before the log: what is taken from the mail stands there by then.
        let delivery = self.store.delivery(self.id, MailId::from_uuid(run.uuid()))?;
        let scope = self.scope()?;
        match newest(&*scope, run)? {
            Newest::Ended(end) => return Ok(Stands::Ended(end)),
            Newest::Open(session) => {
                let waits = match looks_into((session.id, session.last)) {
                    true => waits(&*scope, session.id)?,
                    false => None,
                };
                return Ok(waits.map_or(Stands::Open, Stands::Waits));
            }
            Newest::None => {}
        }
        if let Some(never) = never(&*scope, run)? {
            return Ok(Stands::Never(never));
        }
        if of_queue(&*scope, run, Kind::SessionQueued)?.is_some() {
            return Ok(Stands::Queued);
        }
        match delivery {
            Some(Delivery::Refused(reason)) => {
                Ok(Stands::Never(Never { why: "refused".to_owned(), reason }))
            }
            Some(Delivery::Waiting) => Ok(Stands::Asked),
            None => Err(Error::NoRun(run)),
        }
    }

    /// Wait until a run has ended, never begins, or only somebody outside can bring it on.
    ///
    /// # Errors
    /// [`Error::Late`] when it goes on for longer than that.
    pub fn wait(&self, run: RunId, most: Duration) -> Result<Stands, Error> {
        let mut watch = Watch { last: None, since: Instant::now(), still: STILL };
        self.in_time(&format!("the end of {run}"), most, || {
            let stands = self.look(run, &mut |last| watch.is_still(last))?;
            let is_over = match stands {
                Stands::Asked | Stands::Queued | Stands::Open => false,
                Stands::Waits(_) | Stands::Never(_) | Stands::Ended(_) => true,
            };
            Ok(is_over.then_some(stands))
        })
    }

    /// Wait until a run has ended, whatever it waits for meanwhile.
    ///
    /// # Errors
    /// [`Error::Refused`] when it never begins, [`Error::Late`] when it has not ended by then.
    pub fn end(&self, run: RunId, most: Duration) -> Result<End, Error> {
        self.in_time(&format!("the end of {run}"), most, || {
            match self.look(run, &mut |_| false)? {
                Stands::Ended(end) => Ok(Some(*end)),
                Stands::Never(Never { reason, .. }) => Err(Error::Refused(reason)),
                Stands::Asked | Stands::Queued | Stands::Open | Stands::Waits(_) => Ok(None),
            }
        })
    }

    /// Look again and again until it is there.
    pub(crate) fn in_time<T>(
        &self,
        what: &str,
        most: Duration,
        mut look: impl FnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let begun = Instant::now();
        let mut nap = LOOK.0;
        loop {
            let heard = self.bell.rings();
            if let Some(found) = look()? {
                return Ok(found);
            }
            let Some(left) = most.checked_sub(begun.elapsed()).filter(|left| !left.is_zero())
            else {
                return Err(Error::Late { what: what.to_owned(), waited: most });
            };
            self.bell.wait(heard, nap.min(left));
            nap = (nap * 2).min(LOOK.1);
        }
    }
}
