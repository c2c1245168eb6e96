//! How long what is recorded of runs is kept.

use std::fmt;

use cog_base::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A year counts so many days: nothing goes before its time, whatever years are in between.
const DAYS_PER_YEAR: u64 = 366;
const MS_PER_DAY: u64 = 86_400_000;
/// Nothing is promised for longer, in days: a thousand years.
const DAYS_MAX: u64 = 1_000 * DAYS_PER_YEAR;

/// How long what is recorded of the runs of a domain is kept: what is younger must not be pruned,
/// what is older may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// The bodies of entries; nothing means as long as the entries.
    pub bodies: Option<Length>,
    /// The entries; nothing means that nothing is said.
    pub entries: Option<Length>,
}

impl Retention {
    /// How long entries must be kept: with an entry its body goes.
    #[must_use]
    pub fn of_entries(&self) -> Option<Length> {
        self.entries.max(self.bodies)
    }
}

/// A length of time, in days: `400 days`, `7 years`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length {
    days: u64,
    years: u64,
}

impl Length {
    /// So many years.
    #[must_use]
    pub const fn years(years: u64) -> Self {
        Self { days: years * DAYS_PER_YEAR, years }
    }

    /// Until when something of this time is kept.
    #[must_use]
    pub fn after(self, at: Timestamp) -> Timestamp {
        at.plus_ms(self.days * MS_PER_DAY)
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        let length = match unit {
            "day" | "days" => Self { days: number, years: 0 },
            "year" | "years" => Self { days: number.checked_mul(DAYS_PER_YEAR)?, years: number },
            _ => return None,
        };
        (1..=DAYS_MAX).contains(&length.days).then_some(length)
    }
}

/// As it is written.
impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = if self.years > 0 { (self.years, "year") } else { (self.days, "day") };
        write!(f, "{number} {unit}{}", if number == 1 { "" } else { "s" })
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no length of time: write \"400 days\" or \"7 years\", at most 1000 years"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_written_alike() {
        for text in ["1 day", "400 days", "1 year", "7 years", "1000 years"] {
            assert_eq!(Length::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "7", "7 weeks", "0 days", "-1 days", "1001 years", "7  years", "7years"] {
            assert_eq!(Length::parse(text), None, "{text}");
        }
        assert!(Length::parse("7 years") > Length::parse("2556 days"));
    }

    #[test]
    fn nothing_goes_before_its_time() {
        let at: Timestamp = "2024-02-29T12:00:00.000000Z".parse().unwrap();
        let until = Length::years(7).after(at);
        assert!(until >= "2031-02-28T12:00:00.000000Z".parse().unwrap(), "{until}");
        assert_eq!(Length::parse("1 day").unwrap().after(at).ms_since(at), MS_PER_DAY);
        let with = |bodies, entries| Retention { bodies, entries }.of_entries();
        let (short, long) = (Length::parse("1 day"), Length::parse("2 days"));
        assert_eq!(with(short, long), long);
        assert_eq!(with(long, short), long);
        assert_eq!((with(short, None), with(None, None)), (short, None));
    }
}
