//! The helper: three stages between the engine and a program.

#![expect(
    clippy::disallowed_methods,
    reason = "the helper is a process of its own: its environment, pipes and end are its business"
)]

mod calls;
mod inner;
mod last;
mod mounts;
mod outer;
mod rules;
mod view;

pub use view::shown;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use cog_base::Value;

use crate::spec::{STAGE, UNAVAILABLE, read_frame, refused};

/// Where the helper's own binary stands in the sandbox, to start its other stages. To the
/// program it is a program like others: it gains nothing by it.
pub(crate) const SELF: &str = "/.enter";
/// The exit code of a helper that refused.
const REFUSED: u8 = 125;

/// Why a program is not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: String) -> Self {
        Self { code, message }
    }

    /// The sandbox lacks what `step` needs.
    pub(crate) fn lacks(step: &str, cause: impl std::fmt::Display) -> Self {
        Self::new(UNAVAILABLE, format!("the sandbox could not {step}: {cause}"))
    }
}

/// Be the helper. The product's binary calls this, and nothing else, when it is started
/// with [`crate::ARGUMENT`]: before any thread, as namespaces are for single threads, and
/// ends with what it gives. It is of no use to anybody but [`crate::ProcessAdapter`].
#[must_use]
pub fn enter() -> ExitCode {
    let (nonce, result) = match std::env::var(STAGE).as_deref() {
        Ok("outer") => outer::stage(),
        Ok("inner") => inner::stage(),
        Ok("last") => last::stage(),
        Ok(_) | Err(_) => {
            let message = "this is the way into the sandbox; the engine takes it by itself";
            (None, Err(Refusal::new(UNAVAILABLE, message.into())))
        }
    };
    match (result, nonce) {
        (Ok(code), _) => ExitCode::from(code),
        (Err(refusal), Some(nonce)) => {
            say(&refused(&nonce, refusal.code, &refusal.message));
            ExitCode::from(REFUSED)
        }
        (Err(refusal), None) => {
            let _ = writeln!(std::io::stderr(), "{refusal}");
            ExitCode::from(REFUSED)
        }
    }
}

/// What a stage gives: the nonce, once it was told, and how it ended.
pub(crate) type Staged = (Option<String>, Result<u8, Refusal>);

/// The next description on standard input, and not a byte more.
pub(crate) fn description<T>(read: impl FnOnce(&Value) -> Option<T>) -> Result<T, Refusal> {
    let stdin = std::io::stdin();
    let value = read_frame(|bytes| Ok(nix::unistd::read(&stdin, bytes)?))
        .map_err(|error| Refusal::lacks("read what to do", error))?;
    read(&value).ok_or_else(|| Refusal::lacks("read what to do", "a member is missing"))
}

/// The words after the one that makes this process a helper.
pub(crate) fn words() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip(2)
}

/// Speak to the engine. When it is gone nobody is left to tell.
pub(crate) fn say(line: &str) {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
}
