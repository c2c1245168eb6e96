//! Whether the clock of this machine can be believed, as far as anyone here can tell.
//!
//! Time never goes back along a ledger. Entries that are dated too late, because the clock was
//! ahead once, keep every effect from being permitted until that time has come. What is said
//! about it is said before the first entry of a run, when it can still be mended.

#![expect(clippy::disallowed_methods, reason = "the program's edge asks the system for its uptime")]

use std::path::Path;

use cog_base::json::parse;
use cog_base::words::lasting;
use cog_base::{Clock as _, Timestamp, Value};
use cog_store::Select;

use crate::failure::{Exit, Failure};
use crate::home::{Home, told};
use crate::system::SystemClock;
use crate::terminal::{Terminal, Tone};

/// How far the clock may stand behind the last entry; the gate's own figure.
const BEHIND_MS_MAX: u64 = cog_gate::decision::CLOCK_BEHIND_MS_MAX;
/// A clock that went so much further than the machine was up did not go right.
const JUMP_MS_MIN: u64 = 24 * 3_600 * 1_000;
/// Where it is kept how clock and uptime stood when the last run ended.
const MARK: &str = "clock.mark";

/// What to do about a clock that is behind.
pub(crate) const WAY_OUT: &str = "set the clock right if it is wrong; if it was ahead when those \
     entries were written, wait until then, or export this ledger and begin a new one with --data";

/// How the clock stood, beside what cannot be set: how long this start of the machine lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    boot: String,
    up_ms: u64,
    at: Timestamp,
}

/// Look at the clock before a run begins or goes on.
///
/// # Errors
/// When it is behind the ledger's last entry: every effect would be refused.
pub(crate) fn look(home: &Home, data: &Path, terminal: &Terminal) -> anyhow::Result<()> {
    let now = SystemClock.now();
    if let Some(why) = last(home)?.and_then(|last| behind(last, now)) {
        return Err(Failure::advise(Exit::Conflict, why, WAY_OUT));
    }
    let jumped = kept(data).zip(Mark::here(now)).and_then(|(then, here)| jump(&then, &here));
    if let Some(ms) = jumped {
        let message = format!(
            "the clock went {} further than this machine was up since the last run: it says {now}. \
             If it is ahead, end this now and set it right: entries dated too late keep every \
             effect from being permitted until then",
            lasting(ms)
        );
        terminal.note(&terminal.tint(Tone::Ask, &message));
    }
    Ok(())
}

/// Keep how the clock stands, for the next run to compare with.
pub(crate) fn keep(data: &Path) {
    let Some(Mark { boot, up_ms, at }) = Mark::here(SystemClock.now()) else { return };
    let at = u64::try_from(at.micros()).unwrap_or(0);
    let mark =
        Value::map([("boot", Value::from(boot)), ("up_ms", up_ms.into()), ("at", at.into())]);
    // It is a help and no more: a run must not fail because it could not be kept.
    let _ = std::fs::write(data.join(MARK), format!("{mark}\n"));
}

/// When the ledger was last written.
pub(crate) fn last(home: &Home) -> anyhow::Result<Option<Timestamp>> {
    let newest = Select { newest_first: true, limit: 1, ..Select::default() };
    let entries = home.scope()?.select(&newest).map_err(told)?;
    Ok(entries.first().map(|entry| entry.at()))
}

/// What is said of a clock that is behind the last entry.
pub(crate) fn behind(last: Timestamp, now: Timestamp) -> Option<String> {
    let ms = last.ms_since(now);
    (ms > BEHIND_MS_MAX).then(|| {
        format!(
            "the clock of this machine ({now}) is {} behind the last entry of the ledger: every \
             effect is refused until {last}",
            lasting(ms)
        )
    })
}

/// How much further the clock went than the machine was up, if that is much.
fn jump(then: &Mark, here: &Mark) -> Option<u64> {
    // Of another start of the machine nobody can tell how long it was off.
    let up = here.up_ms.checked_sub(then.up_ms).filter(|_| then.boot == here.boot)?;
    let ms = here.at.ms_since(then.at).saturating_sub(up);
    (ms >= JUMP_MS_MIN).then_some(ms)
}

impl Mark {
    fn here(at: Timestamp) -> Option<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let up = std::fs::read_to_string("/proc/uptime").ok()?;
        let (seconds, rest) = up.split_once('.')?;
        let hundredths: u64 = rest.get(..2)?.parse().ok()?;
        let up_ms = seconds.parse::<u64>().ok()?.saturating_mul(1_000) + hundredths * 10;
        Some(Self { boot: boot.trim().to_owned(), up_ms, at })
    }
}

fn kept(data: &Path) -> Option<Mark> {
    let mark = parse(&std::fs::read_to_string(data.join(MARK)).ok()?).ok()?;
    let at = mark.get("at").and_then(Value::as_int)?;
    Some(Mark {
        boot: mark.get("boot").and_then(Value::as_text)?.to_owned(),
        up_ms: mark.get("up_ms").and_then(Value::as_u64)?,
        at: Timestamp::from_micros(at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_micros(hours * 3_600_000_000)
    }

    fn mark(boot: &str, up_hours: u64, hours: i64) -> Mark {
        Mark { boot: boot.to_owned(), up_ms: up_hours * HOUR_MS, at: at(hours) }
    }

    #[test]
    fn a_clock_that_is_behind_is_told_until_when() {
        assert_eq!(behind(at(10), at(10)), None);
        assert_eq!(behind(at(10).plus_ms(BEHIND_MS_MAX), at(10)), None);
        let told = behind(at(106), at(10)).unwrap_or_default();
        assert!(told.contains("is 4 days behind"), "{told}");
        assert!(told.ends_with("until 1970-01-05T10:00:00.000000Z"), "{told}");
    }

    #[test]
    fn a_clock_that_went_further_than_the_machine_was_up_has_jumped() {
        let then = mark("a", 5, 100);
        for (here, expected) in [
            (mark("a", 6, 101), None),
            (mark("a", 105, 200), None),
            (mark("a", 6, 124), None),
            (mark("a", 6, 125), Some(24 * HOUR_MS)),
            (mark("a", 6, 50), None),
            (mark("b", 1, 900), None),
            (mark("a", 1, 900), None),
        ] {
            assert_eq!(jump(&then, &here), expected, "{here:?}");
        }
    }
}
