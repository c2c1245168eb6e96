//! Cron expressions in a time zone.

use cog_base::Timestamp;
use cronexpr::Crontab;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::rule::BadRule;

/// The most changes of the clock that one look passes: two a year for longer than any rule
/// needs to come again (a 29 February after a century without one).
const CHANGES_MAX: usize = 32;

/// A cron expression with its time zone.
#[derive(Clone, Debug)]
pub struct Cron {
    pub(crate) expression: String,
    pub(crate) timezone: String,
    /// In the zone.
    zoned: Crontab,
    /// The same over the times on the wall, read as if they were UTC.
    wall: Crontab,
    zone: TimeZone,
    /// Whether it names its hours, so that a change of the clock must not lose or double it.
    names_hours: bool,
}

impl Cron {
    pub(crate) fn new(expression: &str, timezone: &str) -> Result<Self, BadRule> {
        let zone = TimeZone::get(timezone)
            .map_err(|_| BadRule::Timezone(timezone.chars().take(64).collect()))?;
        let expression = expression.trim();
        let fields = match expression {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let bad = |message: String| BadRule::Cron {
            expression: expression.chars().take(100).collect(),
            message,
        };
        let count = fields.split_whitespace().count();
        if count != 5 {
            return Err(bad(format!(
                "it has {count} fields; the five are minute, hour, day of month, month and \
                 day of week"
            )));
        }
        let parse = |timezone: &str| {
            cronexpr::parse_crontab(&format!("{fields} {timezone}"))
                .map_err(|error| bad(reason(&error.to_string())))
        };
        let hours = fields.split_whitespace().nth(1).unwrap_or_default();
        Ok(Self {
            expression: expression.to_owned(),
            timezone: timezone.to_owned(),
            zoned: parse(timezone)?,
            wall: parse("UTC")?,
            names_hours: !hours.starts_with('*'),
            zone,
        })
    }

    /// The first time after `after`.
    pub(crate) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_microsecond(after.micros()).ok()?;
        let next = self.next_unrepeated(after);
        let left_out = if self.names_hours { self.left_out(after, next) } else { None };
        let next = next.into_iter().chain(left_out).min()?;
        Some(Timestamp::from_micros(next.as_microsecond()))
    }

    /// The first time in the zone that is not the second coming of its hour.
    fn next_unrepeated(&self, after: jiff::Timestamp) -> Option<jiff::Timestamp> {
        let mut at = after;
        loop {
            at = self.zoned.find_next(at).ok()?.timestamp();
            if !(self.names_hours && self.is_second_coming(at)) {
                return Some(at);
            }
        }
    }

    fn is_second_coming(&self, at: jiff::Timestamp) -> bool {
        let zoned = at.to_zoned(self.zone.clone());
        match self.zone.to_ambiguous_zoned(zoned.datetime()).offset() {
            AmbiguousOffset::Fold { before, .. } => zoned.offset() != before,
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => false,
        }
    }

    /// The first change of the clock before `until` that leaves out a time of the expression.
    fn left_out(
        &self,
        after: jiff::Timestamp,
        until: Option<jiff::Timestamp>,
    ) -> Option<jiff::Timestamp> {
        let changes = self.zone.following(after).take(CHANGES_MAX);
        let before = changes.map(|change| change.timestamp());
        before
            .take_while(|change| until.is_none_or(|until| *change < until))
            .find(|change| self.leaves_out(*change))
    }

    fn leaves_out(&self, change: jiff::Timestamp) -> bool {
        let just_before = jiff::SignedDuration::from_micros(1);
        let Ok(before) = change.checked_sub(just_before) else { return false };
        let wall = |at: jiff::Timestamp, offset: jiff::tz::Offset| {
            offset.to_datetime(at).to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp())
        };
        let (old, new) = (self.zone.to_offset(before), self.zone.to_offset(change));
        let (Ok(last), Ok(first)) = (wall(before, old), wall(change, new)) else { return false };
        // Nothing is left out when the clock goes back.
        self.wall.find_next(last).is_ok_and(|named| named.timestamp() < first)
    }
}

/// What the parser says behind the drawing of the place.
fn reason(message: &str) -> String {
    message.rsplit("^ ").next().unwrap_or_default().trim().to_owned()
}
