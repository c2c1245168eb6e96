//! One entry with the proof that it is in a log: what `cognitionos ledger proof` prints.

use std::fmt::Write as _;
use std::path::Path;

use cog_base::Value;
use cog_ledger::VerifierKey;
use cog_ledger::proof::ProvenEntry;

use crate::check::read_small;
use crate::words::printable;
use crate::{Request, VerifyError};

/// How a proof begins; a bundle begins with `{`.
const START: &str = "c2sp.org/tlog-proof@";

/// The text of the file, if it is a proof.
pub(crate) fn read(path: &Path) -> Option<String> {
    read_small(path).ok().filter(|text| text.starts_with(START))
}

/// Check a proof with the keys, and give the report and whether it holds. The file is called
/// `shown`.
pub(crate) fn check(
    (request, shown): (&Request, &Path),
    text: &str,
    trusted: &[VerifierKey],
) -> Result<(String, bool), VerifyError> {
    if request.against.is_some() {
        let what =
            "a proof is of one head and cannot be compared with another: --against is for bundles";
        return Err(VerifyError::Key(what.to_owned()));
    }
    let proven = text.parse::<ProvenEntry>();
    let checked = proven.as_ref().map_err(ToString::to_string).and_then(|proven| {
        let (tenant, head) = (proven.unverified().tenant(), &proven.proof().checkpoint);
        // The key is named as its log is, so that the trusted key says which log it must be.
        let entry = proven.verify(tenant, head.origin(), trusted);
        entry.map_err(|error| with_cause(&error)).map(|entry| (entry, head))
    });
    let holds = checked.is_ok();
    if request.json {
        let report = match checked {
            Ok((entry, head)) => Value::map([
                ("holds", Value::from(true)),
                ("origin", head.origin().into()),
                ("tenant", entry.tenant().into()),
                ("size", head.size().into()),
                ("seq", entry.seq().into()),
                ("kind", entry.kind().as_str().into()),
                ("leaf", entry.leaf().into()),
                ("entry", String::from_utf8_lossy(entry.bytes()).into_owned().into()),
            ]),
            Err(why) => Value::map([("holds", Value::from(false)), ("message", why.into())]),
        };
        return Ok((format!("{report}\n"), holds));
    }
    let mut out = String::new();
    // INVARIANT: writing into a String cannot fail.
    let _ = match checked {
        Ok((entry, head)) => writeln!(
            out,
            "{}: the proof holds\n\nLog        {}\nTenant     {}\nHead       {} at {}\nEntry      {} of {}, {} by {} at {}\n\n{}\n\nNot proved\n  that a receipt is still good or was not used, nor anything of other entries",
            shown.display(),
            head.origin(),
            entry.tenant(),
            head.root(),
            head.size(),
            entry.seq(),
            head.size(),
            entry.kind(),
            entry.actor(),
            entry.at(),
            String::from_utf8_lossy(entry.bytes())
        ),
        Err(why) => writeln!(out, "{}: the proof does not hold: {why}", shown.display()),
    };
    Ok((printable(&out), holds))
}

fn with_cause(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}
