//! The independent verifier: checks a bundle offline, with no server code and no socket.
//!
//! `cognitionos verify` and the program `cognitionos-verify` both call [`run`].

mod check;
mod decisions;
mod error;
mod file;
mod proven;
mod words;

pub use check::{Request, check, read_keys};
pub use decisions::{Counts, Decisions, Recompute};
pub use error::VerifyError;
pub use file::open_file;
pub use words::{json, text};

use std::io::Write;

/// Check what `request` names, write the report to `out`, and say whether all holds. Decisions are
/// recomputed by whoever has what it takes.
///
/// # Errors
/// [`VerifyError`] when something cannot be read: exit code 2, not a verdict.
pub fn run(
    request: &Request,
    recompute: Option<Recompute<'_>>,
    out: &mut dyn Write,
) -> Result<bool, VerifyError> {
    if let Some(text) = proven::read(&request.bundle) {
        let (report, holds) = proven::check(request, &text, &read_keys(&request.keys)?)?;
        out.write_all(report.as_bytes()).and_then(|()| out.flush()).map_err(VerifyError::Write)?;
        return Ok(holds);
    }
    let mut verified = check(request)?;
    let decisions = match recompute {
        None => decisions::NOT_BY_THIS,
        Some(_) if !verified.holds() => decisions::NOT_OF_THIS,
        Some(recompute) => recompute(&request.bundle, &mut verified.audited.findings)?,
    };
    let report = if request.json {
        format!("{}\n", json(&verified, &decisions))
    } else {
        text(&verified, &decisions, request)
    };
    out.write_all(report.as_bytes()).and_then(|()| out.flush()).map_err(VerifyError::Write)?;
    Ok(verified.holds())
}
