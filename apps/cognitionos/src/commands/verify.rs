//! `verify`: the independent verifier, called from the one binary; which also has what it takes to
//! make decisions again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use cog_base::Value;
use cog_base::json::parse;
use cog_ledger::audit::Findings;
use cog_ledger::bundle::{BundleError, Piece, read};
use cog_ledger::{Entry, Kind};
use verify::{Counts, Decisions, VerifyError, open_file};

use crate::cli::VerifyArgs;
use crate::failure::{Exit, Failure};
use crate::recheck::Recheck;
use crate::terminal::Terminal;

pub(crate) fn verify(args: &VerifyArgs, terminal: &Terminal) -> anyhow::Result<Exit> {
    let request = verify::Request {
        bundle: args.bundle.clone(),
        keys: args.key.clone(),
        against: args.against.clone(),
        json: terminal.json,
    };
    let mut report = Vec::new();
    let holds = verify::run(&request, Some(&recompute), &mut report).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        let message = format!("{error}{}", cause.unwrap_or_default());
        Failure::advise(Exit::BadInput, message, error.advice())
    })?;
    terminal.raw(&report)?;
    Ok(if holds { Exit::Done } else { Exit::Failed })
}

/// Make the decisions of a verified bundle again.
fn recompute(path: &Path, findings: &mut Findings) -> Result<Decisions, VerifyError> {
    let open = || open_file(path).map_err(|error| VerifyError::File(path.to_owned(), error));
    let (first, once, again) = (open()?, open()?, open()?);
    let failed = |error| VerifyError::Bundle(path.to_owned(), error);
    let mut starts = Vec::new();
    // The bodies are not needed for it, and so none are looked for.
    read(&mut BufReader::new(first), &mut std::io::empty(), &mut |piece| match piece {
        Piece::Entry(entry, _) if entry.kind() == Kind::SessionStarted => starts.push(entry),
        Piece::Entry(..) | Piece::Canon(_) => {}
    })
    .map_err(failed)?;
    let (mut once, mut again) = (BufReader::new(once), BufReader::new(again));
    let counts = recheck(&starts, &mut once, &mut again, findings).map_err(failed)?;
    Ok(Decisions::Recomputed(counts))
}

fn recheck(
    starts: &[Box<Entry>],
    once: &mut dyn BufRead,
    again: &mut dyn BufRead,
    findings: &mut Findings,
) -> Result<Counts, BundleError> {
    let mut recheck = Recheck::new();
    starts.iter().for_each(|entry| recheck.note(entry));
    read(once, again, &mut |piece| match piece {
        Piece::Canon(canon) => recheck.files(canon),
        Piece::Entry(entry, body) => {
            let read = body.as_deref().map(value);
            if read == Some(None) {
                let message = "what stands beside it is no JSON that a record is made of";
                findings.add(Some(entry.seq()), "body.unreadable", message.to_owned());
            }
            recheck.record(Arc::new(*entry), read.flatten());
        }
    })?;
    let (found, counts) = recheck.finish();
    for finding in found.kept() {
        findings.add(finding.seq, finding.code, finding.message.clone());
    }
    Ok(counts)
}

/// What stands in a body; nothing when it is no JSON.
fn value(bytes: &[u8]) -> Option<Value> {
    parse(std::str::from_utf8(bytes).ok()?).ok()
}
