//! What has become due.

use cog_base::Timestamp;

use crate::schedule::Schedule;

/// The most starts that one look gives; the next look gives the rest.
pub const FIRES_PER_LOOK_MAX: usize = 100;

/// Up to how many missed times are counted; the count of more is this one.
pub const MISSED_COUNT_MAX: u64 = 1_000;

/// One start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fire {
    /// The time that the rule names. With the schedule's id it names the start: it is made
    /// once.
    pub nominal: Timestamp,
    /// When it is to be made: the jitter later.
    pub at: Timestamp,
}

/// What one look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// What is to be started now, oldest first.
    pub fires: Vec<Fire>,
    /// How many times passed for longer than is made up for, up to [`MISSED_COUNT_MAX`].
    pub missed: u64,
    /// Where the next look begins: everything up to here is decided.
    pub cursor: Timestamp,
    /// When the next look is worth it; nothing when no time is left.
    pub next: Option<Timestamp>,
}

impl Schedule {
    /// What became due after `cursor` until `now`.
    ///
    /// The cursor of the answer belongs into the same transaction as the starts: then each
    /// time of the rule is decided once, whatever crashes. A cursor in the future (a clock
    /// that was set back) finds nothing.
    #[must_use]
    pub fn due(&self, cursor: Timestamp, now: Timestamp) -> Due {
        let mut due = Due { fires: Vec::new(), missed: 0, cursor, next: None };
        self.skip_missed(&mut due, now);
        while let Some(fire) = self.next_after(due.cursor) {
            if fire.at > now || due.fires.len() == FIRES_PER_LOOK_MAX {
                due.next = Some(fire.at);
                break;
            }
            due.cursor = fire.nominal;
            due.fires.push(fire);
        }
        due
    }

    /// Step over what is too old to be made up for. A time counts as missed by when it was to
    /// be made, so that a long jitter does not lose it.
    fn skip_missed(&self, due: &mut Due, now: Timestamp) {
        while let Some(fire) = self.next_after(due.cursor) {
            if now.ms_since(fire.at) <= self.catch_up_ms {
                return;
            }
            if due.missed == MISSED_COUNT_MAX {
                // Nobody wants a longer count: go on where making up begins.
                let window = self.catch_up_ms.saturating_add(self.jitter_ms);
                let micros = i64::try_from(window.saturating_mul(1_000)).unwrap_or(i64::MAX);
                let oldest = Timestamp::from_micros(now.micros().saturating_sub(micros));
                if oldest > due.cursor {
                    due.cursor = oldest;
                }
                return;
            }
            due.missed += 1;
            due.cursor = fire.nominal;
        }
    }
}
