//! The independent verifier: checks a bundle offline, with no server code and no socket.
//!
//! `cognitionos verify` and the program `cognitionos-verify` both call [`run`].

mod check;
mod decisions;
mod error;
mod file;
mod given;
mod proven;
mod words;

pub use check::{Request, check, read_keys};
pub use decisions::{Counts, Decisions, Recompute};
pub use error::VerifyError;
pub use file::open_file;
pub use words::{json, printable, text};

use std::io::Write;
use std::path::Path;

use given::Given;

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
    let bundle = Given::of(&request.bundle)?;
    let against = request.against.as_deref().map(Given::of).transpose()?;
    let opened = Request {
        bundle: bundle.path.clone(),
        against: against.as_ref().map(|given| given.path.clone()),
        ..request.clone()
    };
    let said = report(&opened, &bundle.shown, recompute, out).map_err(|error| bundle.named(error));
    said.map_err(|error| against.iter().fold(error, |error, given| given.named(error)))
}

/// The same of files that can be read more than once. The bundle is called `shown`.
fn report(
    request: &Request,
    shown: &Path,
    recompute: Option<Recompute<'_>>,
    out: &mut dyn Write,
) -> Result<bool, VerifyError> {
    if let Some(text) = proven::read(&request.bundle) {
        let (report, holds) = proven::check((request, shown), &text, &read_keys(&request.keys)?)?;
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
        text(&verified, &decisions, &Request { bundle: shown.to_owned(), ..request.clone() })
    };
    out.write_all(report.as_bytes()).and_then(|()| out.flush()).map_err(VerifyError::Write)?;
    Ok(verified.holds())
}
