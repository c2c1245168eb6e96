//! What is to be done about the times that have come.

use cog_base::Timestamp;

use crate::overlap::Overlap;
use crate::schedule::Schedule;

/// The most times that one decision leaves out; the next one leaves out the rest.
pub const LEFT_OUT_MAX: u64 = 1_000;

/// One start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fire {
    /// The time that the rule names. With the schedule's id it names the start: it is made
    /// once.
    pub nominal: Timestamp,
    /// When it is to be made: the jitter later.
    pub at: Timestamp,
}

/// What is known of a schedule when somebody looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// Up to where its times are decided.
    pub cursor: Timestamp,
    /// Whether a run of it is not over.
    pub is_open: bool,
    /// When the newest of its runs began.
    pub began: Option<Timestamp>,
    /// When the newest of those that are over ended.
    pub ended: Option<Timestamp>,
}

/// What is to be done now, before anything else of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Start a run for this time.
    Start(Timestamp),
    /// Start none for the times up to this one.
    LeaveOut {
        /// The last of them.
        until: Timestamp,
        /// How many they are, up to [`LEFT_OUT_MAX`].
        times: u64,
        /// Why.
        why: Why,
    },
    /// End the runs that are not over: a start waits for that.
    EndOpen,
}

/// Why no run is started for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The run before was not over.
    Overlap,
    /// Nobody looked before it was too late to make up for it.
    Missed,
}

impl Why {
    /// The word in entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::Missed => "missed",
        }
    }
}

impl Schedule {
    /// What is to be done at `now` about the times after the cursor, when somebody looked last at
    /// `looked` (at `now`, if this is the first look). When it is done, the cursor is the time
    /// that the answer names, and the question is put again until there is nothing to do.
    ///
    /// The cursor belongs into the same commit as the start of the run: then each time of the
    /// rule is decided once, whatever crashes. A cursor in the future (a clock that was set
    /// back) finds nothing.
    #[must_use]
    pub fn decide(&self, past: &Past, looked: Timestamp, now: Timestamp) -> Option<Decided> {
        let waits = matches!(self.overlap, Overlap::BufferOne | Overlap::BufferAll);
        let is_late = |fire: Fire| looked.ms_since(fire.at) > self.catch_up_ms;
        if !(waits && past.is_open || self.waited(past, looked))
            && let Some(missed) = self.left_out(past, now, Why::Missed, is_late)
        {
            return Some(self.far_behind(missed, looked));
        }
        let next = self.next_after(past.cursor).filter(|fire| fire.at <= now)?;
        let start = Decided::Start(next.nominal);
        match self.overlap {
            Overlap::AllowAll => Some(start),
            Overlap::Skip => {
                let overlaps =
                    |fire: Fire| past.is_open || past.ended.is_some_and(|ended| fire.at < ended);
                self.left_out(past, now, Why::Overlap, overlaps).or(Some(start))
            }
            Overlap::BufferOne => {
                // It came while the start of that run waited, or with it.
                let is_second = |fire: Fire| past.began.is_some_and(|began| fire.at <= began);
                let second = self.left_out(past, now, Why::Overlap, is_second);
                second.or((!past.is_open).then_some(start))
            }
            Overlap::BufferAll => (!past.is_open).then_some(start),
            Overlap::CancelOther if past.is_open => Some(Decided::EndOpen),
            Overlap::CancelOther => {
                let is_overtaken =
                    |fire: Fire| self.next_after(fire.nominal).is_some_and(|it| it.at <= now);
                self.left_out(past, now, Why::Overlap, is_overtaken).or(Some(start))
            }
        }
    }

    /// Whether a run was in the way until so short a time ago that nothing is late because of
    /// that.
    fn waited(&self, past: &Past, looked: Timestamp) -> bool {
        let ended = past.ended.filter(|_| self.overlap != Overlap::AllowAll);
        ended.is_some_and(|ended| looked.ms_since(ended) <= self.catch_up_ms)
    }

    /// The times after the cursor that have come and of which `is_out` is true, as far as they
    /// follow one another.
    fn left_out(
        &self,
        past: &Past,
        now: Timestamp,
        why: Why,
        is_out: impl Fn(Fire) -> bool,
    ) -> Option<Decided> {
        let (mut until, mut times) = (past.cursor, 0);
        while let Some(fire) = self.next_after(until).filter(|it| it.at <= now && is_out(*it)) {
            until = fire.nominal;
            times += 1;
            if times == LEFT_OUT_MAX {
                break;
            }
        }
        (times > 0).then_some(Decided::LeaveOut { until, times, why })
    }

    /// Nobody wants a longer count of what was missed: it goes on where making up begins.
    fn far_behind(&self, missed: Decided, looked: Timestamp) -> Decided {
        let Decided::LeaveOut { until, times: LEFT_OUT_MAX, why } = missed else { return missed };
        let window = self.catch_up_ms.saturating_add(self.jitter_ms);
        let micros = i64::try_from(window.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let oldest = Timestamp::from_micros(looked.micros().saturating_sub(micros));
        Decided::LeaveOut { until: until.max(oldest), times: LEFT_OUT_MAX, why }
    }
}
