//! The machine's clock, randomness, terminal and environment, as the capabilities that the
//! rest of the program is handed.

#![expect(
    clippy::disallowed_methods,
    reason = "the program's edge: here the capabilities are made that everyone else is handed"
)]

use std::io::IsTerminal as _;

use cog_base::{Clock, Timestamp};
pub(crate) use cog_embed::{SystemClock, SystemEntropy};

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
