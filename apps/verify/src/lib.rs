//! The independent verifier: checks a bundle offline, with no server code and no socket.
//!
//! `cognitionos verify` and the program `cognitionos-verify` both call [`run`].

mod check;
mod error;
mod file;
mod proven;
mod words;

pub use check::{Request, check, read_keys};
pub use error::VerifyError;
pub use file::open_file;
pub use words::{json, text};

use std::io::Write;

/// Check what `request` names, write the report to `out`, and say whether all holds.
///
/// # Errors
/// [`VerifyError`] when something cannot be read: exit code 2, not a verdict.
pub fn run(request: &Request, out: &mut dyn Write) -> Result<bool, VerifyError> {
    if let Some(text) = proven::read(&request.bundle) {
        let (report, holds) = proven::check(request, &text, &read_keys(&request.keys)?)?;
        out.write_all(report.as_bytes()).and_then(|()| out.flush()).map_err(VerifyError::Write)?;
        return Ok(holds);
    }
    let verified = check(request)?;
    let report =
        if request.json { format!("{}\n", json(&verified)) } else { text(&verified, request) };
    out.write_all(report.as_bytes()).and_then(|()| out.flush()).map_err(VerifyError::Write)?;
    Ok(verified.holds())
}
