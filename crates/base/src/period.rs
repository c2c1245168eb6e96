//! Calendar periods in UTC: what is counted per hour, day, week or month is counted from the
//! beginning of one to its end.

use std::fmt;

use crate::time::{Timestamp, civil_from_days, days_from_civil};

const MICROS_PER_SECOND: i64 = 1_000_000;
const HOUR_SECONDS: i64 = 3_600;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;
const WEEK_DAYS: i64 = 7;

/// A calendar period in UTC. A week begins with Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// From a full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// From the first of a month to its last day.
    Month,
}

impl Period {
    /// Every period, the shortest first.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word for it, as in `20 per day`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The period that a word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.word() == word)
    }

    /// When the period that `at` is in began: that moment is in it.
    #[must_use]
    pub fn start(self, at: Timestamp) -> Timestamp {
        let seconds = at.micros().div_euclid(MICROS_PER_SECOND);
        let day = seconds.div_euclid(DAY_SECONDS);
        let start = match self {
            Self::Hour => seconds - seconds.rem_euclid(HOUR_SECONDS),
            Self::Day => day * DAY_SECONDS,
            // 1970-01-01 was a Thursday.
            Self::Week => (day - (day + 3).rem_euclid(WEEK_DAYS)) * DAY_SECONDS,
            Self::Month => {
                let (year, month, _) = civil_from_days(day);
                days_from_civil(year, month, 1) * DAY_SECONDS
            }
        };
        Timestamp::from_micros(start * MICROS_PER_SECOND)
    }

    /// When the period that `at` is in ends: that moment is in the next one.
    #[must_use]
    pub fn end(self, at: Timestamp) -> Timestamp {
        let start = self.start(at).micros().div_euclid(MICROS_PER_SECOND);
        let end = match self {
            Self::Hour => start + HOUR_SECONDS,
            Self::Day => start + DAY_SECONDS,
            Self::Week => start + WEEK_DAYS * DAY_SECONDS,
            Self::Month => {
                let (year, month, _) = civil_from_days(start.div_euclid(DAY_SECONDS));
                let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                days_from_civil(year, month, 1) * DAY_SECONDS
            }
        };
        Timestamp::from_micros(end * MICROS_PER_SECOND)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(period: Period, at: &str, start: &str, end: &str) {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let (at, start, end) = (time(at), time(start), time(end));
        assert_eq!((period.start(at), period.end(at)), (start, end), "{period} of {at}");
        let last = Timestamp::from_micros(end.micros() - 1);
        assert_eq!([start, last].map(|at| period.start(at)), [start; 2], "{period} of {at}");
        assert_eq!(period.start(end), end, "{period} after {at}");
    }

    #[test]
    fn a_period_is_one_of_the_calendar() {
        let at = "2026-11-21T23:59:59.999999Z";
        let midnight = "2026-11-22T00:00:00.000000Z";
        check(Period::Hour, at, "2026-11-21T23:00:00.000000Z", midnight);
        check(Period::Day, at, "2026-11-21T00:00:00.000000Z", midnight);
        check(Period::Week, at, "2026-11-16T00:00:00.000000Z", "2026-11-23T00:00:00.000000Z");
        check(Period::Month, at, "2026-11-01T00:00:00.000000Z", "2026-12-01T00:00:00.000000Z");
    }

    #[test]
    fn weeks_and_months_run_over_the_ends_of_years_and_of_february() {
        let at = "2027-01-02T03:04:05.000000Z";
        check(Period::Week, at, "2026-12-28T00:00:00.000000Z", "2027-01-04T00:00:00.000000Z");
        let at = "2026-12-31T12:00:00.000000Z";
        check(Period::Month, at, "2026-12-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z");
        let at = "2028-02-29T12:00:00.000000Z";
        check(Period::Month, at, "2028-02-01T00:00:00.000000Z", "2028-03-01T00:00:00.000000Z");
        let at = "1969-12-31T23:30:00.000000Z";
        check(Period::Hour, at, "1969-12-31T23:00:00.000000Z", "1970-01-01T00:00:00.000000Z");
        check(Period::Week, at, "1969-12-29T00:00:00.000000Z", "1970-01-05T00:00:00.000000Z");
    }

    #[test]
    fn every_period_has_its_word() {
        for period in Period::ALL {
            assert_eq!(Period::parse(period.word()), Some(period));
        }
        assert_eq!(Period::parse("run"), None);
    }
}
