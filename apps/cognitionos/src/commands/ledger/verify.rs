//! The check of the own ledger: of its bundle, as anybody would check it, and of the tables
//! that entries are found by, which no bundle has.

#![expect(
    clippy::disallowed_methods,
    reason = "the program's edge reads the head that it is asked to compare with"
)]

use std::io::{BufReader, BufWriter};
use std::path::Path;

use cog_base::Value;
use cog_base::words::counted;
use cog_ledger::Checkpoint;
use cog_ledger::audit::Findings;
use cog_ledger::bundle::{Check, Verified, read_head};

use super::export::{bundle, keys};
use crate::failure::{Exit, Failure};
use crate::home::{Home, told};
use crate::terminal::{Terminal, Tone};

pub(super) fn verify(
    home: &Home,
    against: Option<&Path>,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let against = against.map(earlier).transpose()?;
    let tables = home.store.check_tables(home.tenant).map_err(told)?;
    let mut verified = match check_bundle(home, against.as_slice()) {
        Ok(verified) => verified,
        // What the tables hide cannot be read, and so not be put in a bundle.
        Err(_) if !tables.is_empty() => return Ok(told_unreadable(&tables, terminal)),
        Err(error) => return Err(error),
    };
    for finding in tables.kept() {
        let message = finding.message.as_str();
        verified.audited.findings.add(finding.seq, finding.code, message);
    }
    if terminal.json {
        terminal.emit(&verify::json(&verified));
    } else {
        told_verdict(&verified, terminal);
    }
    Ok(if verified.holds() { Exit::Done } else { Exit::Failed })
}

/// The bundle of the whole log, streamed into the verifier.
fn check_bundle(home: &Home, against: &[Checkpoint]) -> anyhow::Result<Verified> {
    let trusted = keys(home)?;
    let (reader, mut writer) = std::io::pipe()?;
    std::thread::scope(|scope| {
        let checking = scope.spawn(|| {
            let check = Check { trusted: &trusted, against };
            cog_ledger::bundle::verify(&mut BufReader::new(reader), &check)
        });
        let written = bundle(home, true, &mut BufWriter::new(&mut writer));
        drop(writer);
        let verified = checking.join().map_err(|_| anyhow::anyhow!("the verifier panicked"))?;
        written?;
        Ok(verified?)
    })
}

/// Of a log that cannot be read as a whole there are only the findings.
fn told_unreadable(tables: &Findings, terminal: &Terminal) -> Exit {
    if terminal.json {
        let findings = tables.kept().iter().map(|finding| {
            Value::map([
                ("seq", Value::from(finding.seq)),
                ("code", finding.code.into()),
                ("message", finding.message.as_str().into()),
            ])
        });
        terminal.emit(&Value::map([
            ("holds", Value::from(false)),
            ("findings_total", tables.total().into()),
            ("findings", Value::list(findings)),
        ]));
    } else {
        told_findings(tables, terminal);
    }
    Exit::Failed
}

fn told_verdict(verified: &Verified, terminal: &Terminal) {
    if verified.holds() {
        let pruned = match verified.manifest.from {
            0 => String::new(),
            from => format!(" ({} pruned before)", counted(from, "entry", "entries")),
        };
        terminal.say(&format!(
            "{}  {}{pruned}, {}, {} of canon: every hash, link, signature and rule holds",
            terminal.tint(Tone::Good, "verified"),
            counted(verified.entries, "entry", "entries"),
            counted(verified.bodies, "body", "bodies"),
            counted(verified.canons, "version", "versions")
        ));
        if verified.bodies_absent > 0 {
            let gone = counted(verified.bodies_absent, "body was", "bodies were");
            terminal.say(&format!("  {gone} erased, as entries say"));
        }
        if verified.audited.open_receipts > 0 {
            let open = counted(verified.audited.open_receipts, "receipt has", "receipts have");
            terminal.say(&format!("  {open} no outcome yet"));
        }
        if verified.compared > 0 {
            terminal.say("  it only grew since the earlier head");
        }
        return;
    }
    told_findings(verified.findings(), terminal);
}

fn told_findings(findings: &Findings, terminal: &Terminal) {
    terminal.say(&format!(
        "{}  {}",
        terminal.tint(Tone::Bad, "NOT VERIFIED"),
        counted(findings.total(), "finding", "findings")
    ));
    for finding in findings.kept() {
        let place = finding.seq.map(|seq| format!("entry {seq}: ")).unwrap_or_default();
        terminal.say(&format!("  {place}{} ({})", finding.message, finding.code));
    }
}

/// An earlier head from a checkpoint or bundle file.
fn earlier(path: &Path) -> anyhow::Result<Checkpoint> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::told(Exit::BadInput, format!("{}: {error}", path.display()))
    };
    let bytes = std::fs::read(path).map_err(|error| bad(&error))?;
    if let Ok(checkpoint) = std::str::from_utf8(&bytes)
        .map_err(|_| ())
        .and_then(|text| Checkpoint::parse(text).map_err(|_| ()))
    {
        return Ok(checkpoint);
    }
    let head = read_head(&mut bytes.as_slice()).map_err(|error| bad(&error))?;
    head.checkpoint.ok_or_else(|| bad(&"it has no signed head"))
}
