//! When something is to be started: cron expressions, intervals and single moments; and, of what
//! was asked for, what may begin ([`Line`]).
//!
//! A [`Schedule`] is a pure function of time. The next time follows from the definition and
//! from what was looked at last, never from the run before; so nothing that fails breaks a
//! chain. [`Schedule::decide`] says what to do about the times that came since the last look: start a
//! run, or leave them out because they were missed for too long or the run before is not over.
//! Whoever drives it hands in the time and records what was decided.
//!
//! ```
//! use cog_base::Timestamp;
//! use cog_schedule::{Rule, Schedule};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let schedule = Schedule::new("nightly", Rule::cron("0 9 * * mon-fri", "Europe/Berlin")?);
//! let saturday: Timestamp = "2026-11-21T12:00:00.000000Z".parse()?;
//! let next = schedule.next_after(saturday).ok_or("never")?;
//! assert_eq!(next.nominal.to_string(), "2026-11-23T08:00:00.000000Z");
//! # Ok(())
//! # }
//! ```

#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod ask;
mod cron;
mod decide;
mod line;
mod overlap;
mod read;
mod rule;
mod schedule;

pub use ask::{
    Ask, COUNT_MAX, Concurrency, LIMIT_MAX, PER_SECONDS_MAX, PRIORITY, PRIORITY_MAX, Rate, WhenFull,
};
pub use cron::Cron;
pub use decide::{Decided, Fire, LEFT_OUT_MAX, Past, Why};
pub use line::{Line, STEP_MS, WAITING_MAX, Waits};
pub use overlap::Overlap;
pub use read::{BadSchedule, FIELDS, moment};
pub use rule::{BadRule, EVERY_MS_MIN, Rule};
pub use schedule::{CATCH_UP_MS_MAX, JITTER_MS_MAX, Schedule};
