//! Time as a capability, and how it is written.

use std::fmt;
use std::str::FromStr;

use crate::json::{Canonical, Json};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Tells the time. The program hands in the system's; the simulator hands in its own.
pub trait Clock: Send + Sync {
    /// The wall-clock time now. It may jump in both directions.
    fn now(&self) -> Timestamp;
}

/// A moment in UTC, in microseconds since 1970, shown as RFC 3339 with `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A text that is not an RFC 3339 time in UTC with microseconds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time like 2026-11-21T04:05:06.000000Z")]
pub struct BadTimestamp(String);

impl Timestamp {
    /// The earliest that can be written: the year 0.
    pub const MIN: Self = Self(-62_167_219_200 * MICROS_PER_SECOND);
    /// The latest that can be written: the end of the year 9999.
    pub const MAX: Self = Self(253_402_300_800 * MICROS_PER_SECOND - 1);

    /// The moment so many microseconds after 1970, kept within the years 0 to 9999.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since 1970, 0 before.
    #[must_use]
    pub fn unix_ms(self) -> u64 {
        u64::try_from(self.0.div_euclid(1_000)).unwrap_or(0)
    }

    /// This moment and so many milliseconds more.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        let micros = i64::try_from(ms.saturating_mul(1_000)).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// Milliseconds from `earlier` to here; 0 if it is not earlier.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0) / 1_000).unwrap_or(0)
    }

    /// Day of the week, 0 for Monday, and minute of the day, in UTC.
    #[must_use]
    pub fn weekday_and_minute(self) -> (u8, u16) {
        let seconds = self.0.div_euclid(MICROS_PER_SECOND);
        let day = seconds.div_euclid(SECONDS_PER_DAY);
        let weekday = (day + 3).rem_euclid(7); // 1970-01-01 was a Thursday
        let minute = seconds.rem_euclid(SECONDS_PER_DAY) / 60;
        (u8::try_from(weekday).unwrap_or(0), u16::try_from(minute).unwrap_or(0))
    }

    /// For a person, to the minute: `2026-11-21 04:05 UTC`.
    #[must_use]
    pub fn to_minute(self) -> String {
        self.with_text(|text| {
            let (day, rest) = text.split_once('T').unwrap_or_default();
            format!("{day} {} UTC", rest.get(..5).unwrap_or_default())
        })
    }
}

impl Timestamp {
    /// The text, without an allocation.
    fn with_text<T>(self, show: impl FnOnce(&str) -> T) -> T {
        let seconds = self.0.div_euclid(MICROS_PER_SECOND);
        let micros = self.0.rem_euclid(MICROS_PER_SECOND);
        let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let fields = [
            (0..4, year),
            (5..7, month),
            (8..10, day),
            (11..13, hour),
            (14..16, minute),
            (17..19, second),
            (20..26, micros),
        ];
        for (place, number) in fields {
            let mut rest = number.unsigned_abs();
            for digit in text.get_mut(place).unwrap_or_default().iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        show(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text))
    }
}

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    /// Reads exactly the form that is written, so that a time has one text.
    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        let bad = || BadTimestamp(text.chars().take(40).collect());
        let field = |from: usize, to: usize| -> Result<i64, BadTimestamp> {
            let digits = text.get(from..to).ok_or_else(bad)?;
            if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(bad());
            }
            digits.parse().map_err(|_| bad())
        };
        let days = days_from_civil(field(0, 4)?, field(5, 7)?, field(8, 10)?);
        let of_day = field(11, 13)? * 3600 + field(14, 16)? * 60 + field(17, 19)?;
        let seconds = days * SECONDS_PER_DAY + of_day;
        let time = Self::from_micros(seconds * MICROS_PER_SECOND + field(20, 26)?);
        if time.with_text(|own| own == text) { Ok(time) } else { Err(bad()) }
    }
}

impl<F> From<Timestamp> for Json<F> {
    fn from(time: Timestamp) -> Self {
        Self::Text(time.with_text(str::to_owned))
    }
}

impl Canonical for Timestamp {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        self.with_text(|text| text.write_canonical(out));
    }
}

/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse, `days_from_civil`.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}
