//! The machine's clock, randomness, terminal and environment, as the capabilities that the
//! rest of the program is handed.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program's edge: here the capabilities are made that everyone else is handed"
)]

use std::io::IsTerminal as _;
use std::time::{SystemTime, UNIX_EPOCH};

use cog_base::entropy::{Entropy, NoEntropy};
use cog_base::{Clock, Timestamp};

/// The operating system's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The time when the program began, by the operating system's clock, and how long that is ago, the
/// machine's sleep included. Nobody sets it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SteadyClock {
    began: Timestamp,
    since_boot: i64,
}

impl SteadyClock {
    pub(crate) fn new() -> Self {
        Self { began: SystemClock.now(), since_boot: micros_since_boot() }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let passed = micros_since_boot().saturating_sub(self.since_boot);
        Timestamp::from_micros(self.began.micros().saturating_add(passed))
    }
}

fn micros_since_boot() -> i64 {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    since.tv_sec.saturating_mul(1_000_000).saturating_add(since.tv_nsec / 1_000)
}

/// The operating system's randomness, taken in larger pieces.
#[derive(Debug)]
pub(crate) struct SystemEntropy {
    pool: [u8; 1024],
    used: usize,
}

impl SystemEntropy {
    pub(crate) const fn new() -> Self {
        Self { pool: [0; 1024], used: 1024 }
    }
}

impl Entropy for SystemEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        if bytes.len() > self.pool.len() {
            return getrandom::fill(bytes).map_err(|_| NoEntropy);
        }
        if self.used + bytes.len() > self.pool.len() {
            getrandom::fill(&mut self.pool).map_err(|_| NoEntropy)?;
            self.used = 0;
        }
        let taken = self.pool.get_mut(self.used..self.used + bytes.len()).ok_or(NoEntropy)?;
        bytes.copy_from_slice(taken);
        // What was given out once must not be found in memory, or given out again.
        taken.fill(0);
        self.used += bytes.len();
        Ok(())
    }
}

/// A variable of the environment, if it is set and not empty.
pub(crate) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a variable of the environment is set and says nothing.
pub(crate) fn is_empty(name: &std::ffi::OsStr) -> bool {
    std::env::var_os(name).is_some_and(|value| value.is_empty())
}

/// The program's arguments; what is not Unicode is no argument of ours.
pub(crate) fn arguments() -> impl Iterator<Item = String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned())
}

/// The same as they were given.
pub(crate) fn words() -> Vec<std::ffi::OsString> {
    std::env::args_os().collect()
}

/// The program itself.
pub(crate) fn program() -> std::io::Result<std::path::PathBuf> {
    std::env::current_exe()
}

/// Whether a person sits at the other end of standard input and output.
pub(crate) fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Whether standard error is a terminal.
pub(crate) fn is_error_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Whether nobody wants colour: NO_COLOR (no-color.org), or a terminal that has none.
pub(crate) fn is_plain() -> bool {
    env("NO_COLOR").is_some() || env("TERM").is_some_and(|term| term == "dumb")
}

/// How many columns the terminal has that standard output goes to.
pub(crate) fn width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}
