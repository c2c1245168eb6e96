//! The times that a schedule names.

use cog_base::Timestamp;

use crate::cron::Cron;

/// The shortest interval of [`Rule::every`].
pub const EVERY_MS_MIN: u64 = 1_000;

/// The times that a schedule names.
#[derive(Clone, Debug)]
pub enum Rule {
    /// The minutes that a cron expression names in a time zone.
    Cron(Box<Cron>),
    /// Every so many milliseconds, counted from 1970 and shifted: the same moments on every
    /// machine, and whenever the schedule was made.
    Every {
        /// The interval in milliseconds.
        ms: u64,
        /// The shift in milliseconds, below the interval.
        offset_ms: u64,
    },
    /// Once.
    At(Timestamp),
    /// At no time, but when an event comes.
    Event {
        /// Its type, with `*` for one word and `#` for any number.
        kind: String,
        /// Its source; any where there is none.
        source: Option<String>,
    },
}

/// A rule that names no times.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// The expression is no cron expression.
    #[error("`{expression}` is no cron expression: {message}")]
    Cron {
        /// The expression.
        expression: String,
        /// What is wrong with it.
        message: String,
    },
    /// The zone is not in the IANA Time Zone Database.
    #[error(
        "`{0}` is no time zone of the IANA database; write a name such as `Europe/Berlin` or `UTC`"
    )]
    Timezone(String),
    /// The interval is too short.
    #[error("an interval of {0} ms is too short: the least is {EVERY_MS_MIN} ms")]
    TooOften(u64),
    /// The shift is not below the interval.
    #[error("an offset of {offset_ms} ms is not below the interval of {ms} ms")]
    Offset {
        /// The interval.
        ms: u64,
        /// The shift.
        offset_ms: u64,
    },
}

impl Rule {
    /// The times of a cron expression of five fields (POSIX crontab, with the names of days
    /// and months, `L`, `W` and `#`, and the short forms `@hourly`, `@daily`, `@weekly`,
    /// `@monthly` and `@yearly`) in a zone of the IANA Time Zone Database.
    ///
    /// When clocks change, no day is lost and none counts twice: an expression that names its
    /// hours and hits the hour that is left out comes right after the change, and in the hour
    /// that comes twice it counts the first time only. An expression with `*` for the hour
    /// goes by real hours. This is what cron does (cron(8), "daylight saving time").
    ///
    /// # Errors
    /// [`BadRule`] when either is not known.
    pub fn cron(expression: &str, timezone: &str) -> Result<Self, BadRule> {
        Cron::new(expression, timezone).map(Box::new).map(Self::Cron)
    }

    /// Every `ms` milliseconds since 1970, `offset_ms` later.
    ///
    /// # Errors
    /// [`BadRule`] below [`EVERY_MS_MIN`], or when the offset is not below the interval.
    pub fn every(ms: u64, offset_ms: u64) -> Result<Self, BadRule> {
        if ms < EVERY_MS_MIN {
            return Err(BadRule::TooOften(ms));
        }
        if offset_ms >= ms {
            return Err(BadRule::Offset { ms, offset_ms });
        }
        Ok(Self::Every { ms, offset_ms })
    }

    /// The first time after `after`, if there is one before the year 10000.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(cron) => cron.next_after(after),
            Self::Every { ms, offset_ms } => next_multiple(after, *ms, *offset_ms),
            Self::At(at) => (*at > after).then_some(*at),
            Self::Event { .. } => None,
        }
    }
}

fn next_multiple(after: Timestamp, ms: u64, offset_ms: u64) -> Option<Timestamp> {
    let step = i64::try_from(ms).ok()?.checked_mul(1_000)?;
    let offset = i64::try_from(offset_ms).ok()?.checked_mul(1_000)?;
    let passed = after.micros().checked_sub(offset)?.div_euclid(step);
    let next = passed.checked_add(1)?.checked_mul(step)?.checked_add(offset)?;
    (next <= Timestamp::MAX.micros()).then(|| Timestamp::from_micros(next))
}
