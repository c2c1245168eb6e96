//! A schedule as a workflow file or an API payload writes it, and back.

use cog_base::json::Map;
use cog_base::{Timestamp, Value};

use crate::overlap::Overlap;
use crate::rule::{BadRule, Rule};
use crate::schedule::{CATCH_UP_MS_MAX, JITTER_MS_MAX, Schedule};

/// The members of a schedule, its id first.
pub const FIELDS: [&str; 11] = [
    "id",
    "cron",
    "timezone",
    "every_ms",
    "offset_ms",
    "at",
    "jitter_ms",
    "catch_up_minutes",
    "overlap",
    "from",
    "until",
];

const MINUTE_MS: u64 = 60_000;

/// The member of a schedule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSchedule {
    /// A member is missing, unknown, or of another type.
    #[error("`{field}` of the schedule {message}")]
    Field {
        /// The member.
        field: String,
        /// What is wrong with it.
        message: String,
    },
    /// The rule names no times.
    #[error(transparent)]
    Rule(#[from] BadRule),
}

impl Schedule {
    /// Read `{id, cron, timezone | every_ms, offset_ms | at, jitter_ms, catch_up_minutes,
    /// overlap, from, until}`. `ignored` names the members that belong to somebody else.
    ///
    /// # Errors
    /// [`BadSchedule`] names the first member that is wrong.
    pub fn from_value(value: &Value, ignored: &[&str]) -> Result<Self, BadSchedule> {
        let map = value.as_map().ok_or_else(|| bad("schedule", "must be an object"))?;
        let known = |name: &str| name == EVENT || FIELDS.contains(&name) || ignored.contains(&name);
        if let Some(name) = map.keys().find(|name| !known(name)) {
            return Err(bad(name, &format!("is unknown; there are {}", FIELDS.join(", "))));
        }
        let id = text(map, "id")?.ok_or_else(|| bad("id", "is missing"))?;
        if id.is_empty() || id.len() > 64 {
            return Err(bad("id", "must have 1 to 64 characters"));
        }
        let mut schedule = Self::new(id, rule(map)?);
        if let Some(ms) = number(map, "jitter_ms", JITTER_MS_MAX)? {
            schedule.jitter_ms = ms;
        }
        if let Some(minutes) = number(map, "catch_up_minutes", CATCH_UP_MS_MAX / MINUTE_MS)? {
            schedule.catch_up_ms = minutes * MINUTE_MS;
        }
        if let Some(word) = text(map, "overlap")? {
            schedule.overlap = Overlap::from_word(word).ok_or_else(|| {
                let words = Overlap::ALL.map(Overlap::as_str).join(", ");
                bad("overlap", &format!("is `{word}`; it is one of {words}"))
            })?;
        }
        schedule.from = time(map, "from")?;
        schedule.until = time(map, "until")?;
        if schedule.from.zip(schedule.until).is_some_and(|(from, until)| from > until) {
            return Err(bad("until", "is before `from`, so that it would never start"));
        }
        Ok(schedule)
    }

    /// The schedule as [`Schedule::from_value`] reads it, with every default written out.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = Map::from([
            ("id".into(), self.id.as_str().into()),
            ("jitter_ms".into(), self.jitter_ms.into()),
            ("catch_up_minutes".into(), (self.catch_up_ms / MINUTE_MS).into()),
            ("overlap".into(), self.overlap.as_str().into()),
        ]);
        match &self.rule {
            Rule::Cron(cron) => {
                map.insert("cron".into(), cron.expression.as_str().into());
                map.insert("timezone".into(), cron.timezone.as_str().into());
            }
            Rule::Every { ms, offset_ms } => {
                map.insert("every_ms".into(), (*ms).into());
                map.insert("offset_ms".into(), (*offset_ms).into());
            }
            Rule::At(at) => {
                map.insert("at".into(), (*at).into());
            }
            Rule::Event { kind, source } => {
                let kind = [("type", kind.as_str())].into_iter();
                let source = source.as_deref().map(|source| ("source", source));
                map.insert(EVENT.into(), Value::map(kind.chain(source)));
            }
        }
        for (name, time) in [("from", self.from), ("until", self.until)] {
            if let Some(time) = time {
                map.insert(name.into(), time.into());
            }
        }
        Value::Map(map)
    }
}

/// What starts at no time has this in place of one. It is no member of a schedule of a file.
const EVENT: &str = "event";

fn rule(map: &Map) -> Result<Rule, BadSchedule> {
    if let Some(event) = map.get(EVENT) {
        let text = |name: &str| event.get(name).and_then(Value::as_text).map(str::to_owned);
        let kind = text("type").ok_or_else(|| bad(EVENT, "names no type"))?;
        return Ok(Rule::Event { kind, source: text("source") });
    }
    let kinds = ["cron", "every_ms", "at"];
    if kinds.iter().filter(|name| map.contains_key(name)).count() != 1 {
        return Err(bad("cron", "or `every_ms` or `at` must say when, and only one of them"));
    }
    for (name, of) in [("timezone", "cron"), ("offset_ms", "every_ms")] {
        if map.contains_key(name) && !map.contains_key(of) {
            return Err(bad(name, &format!("has a meaning beside `{of}` only")));
        }
    }
    if let Some(cron) = text(map, "cron")? {
        return Ok(Rule::cron(cron, text(map, "timezone")?.unwrap_or("UTC"))?);
    }
    if let Some(ms) = number(map, "every_ms", CATCH_UP_MS_MAX)? {
        return Ok(Rule::every(ms, number(map, "offset_ms", ms)?.unwrap_or(0))?);
    }
    let at = time(map, "at")?.ok_or_else(|| bad("at", "is missing"))?;
    Ok(Rule::At(at))
}

fn text<'a>(map: &'a Map, field: &str) -> Result<Option<&'a str>, BadSchedule> {
    let Some(value) = map.get(field) else { return Ok(None) };
    let text = value.as_text();
    text.map(Some).ok_or_else(|| bad(field, &format!("must be text, not {}", value.kind())))
}

fn number(map: &Map, field: &str, max: u64) -> Result<Option<u64>, BadSchedule> {
    let Some(value) = map.get(field) else { return Ok(None) };
    let number = value.as_u64().filter(|number| *number <= max);
    number.map(Some).ok_or_else(|| bad(field, &format!("must be a whole number up to {max}")))
}

/// A time as RFC 3339 writes it, with any offset.
fn time(map: &Map, field: &str) -> Result<Option<Timestamp>, BadSchedule> {
    let Some(text) = text(map, field)? else { return Ok(None) };
    moment(text).map(Some).ok_or_else(|| bad(field, "must be a time such as 2026-11-21T09:00:00Z"))
}

/// A moment as RFC 3339 writes it, with any offset.
#[must_use]
pub fn moment(text: &str) -> Option<Timestamp> {
    let time = text.parse::<jiff::Timestamp>().ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

fn bad(field: &str, message: &str) -> BadSchedule {
    BadSchedule::Field { field: field.chars().take(64).collect(), message: message.to_owned() }
}
