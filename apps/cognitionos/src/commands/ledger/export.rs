//! Bundles and tables.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program's edge writes the files it is asked for"
)]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use cog_base::Value;
use cog_ledger::{Entry, Kind};
use cog_store::Select;

use super::bundle::{Without, bundle, public_key};
use super::value;
use crate::cli::Format;
use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::terminal::Terminal;

/// What to export.
pub(super) struct Wanted<'a> {
    pub(super) output: &'a Path,
    pub(super) format: Format,
    pub(super) without: Without,
}

pub(super) fn export(
    home: &Home,
    wanted: &Wanted<'_>,
    key: Option<&Path>,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let to_stdout = wanted.output == Path::new("-");
    if to_stdout {
        let mut bytes = Vec::new();
        write(home, wanted, &mut bytes)?;
        terminal.raw(&bytes)?;
    } else {
        let path = wanted.output;
        // Whatever fails, an earlier file of this name stays as it was.
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let partial = PathBuf::from(name);
        let written =
            write_file(home, wanted, &partial).and_then(|()| Ok(std::fs::rename(&partial, path)?));
        if written.is_err() {
            drop(std::fs::remove_file(&partial));
        }
        written.map_err(|error| unwritten(path, error))?;
    }
    if let Some(path) = key {
        std::fs::write(path, format!("{}\n", public_key(home)?))
            .map_err(|error| unwritten(path, error.into()))?;
    }
    if !to_stdout {
        let shown = wanted.output.display().to_string();
        if terminal.json {
            terminal.emit(&Value::map([("output", shown.as_str())]));
        } else {
            terminal.say(&format!("wrote {shown}"));
            if wanted.format == Format::Bundle {
                let key = key.map_or("KEY".into(), |path| path.display().to_string());
                terminal.note(&format!("check it: cognitionos verify {shown} --key {key}"));
            }
        }
    }
    Ok(Exit::Done)
}

fn unwritten(path: &Path, error: anyhow::Error) -> anyhow::Error {
    if error.is::<Failure>() {
        return error;
    }
    Failure::advise(
        Exit::Failed,
        format!("cannot write {}: {error:#}", path.display()),
        "name a file in a folder that is there and that you may write to",
    )
}

fn write_file(home: &Home, wanted: &Wanted<'_>, path: &Path) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create_new(path)?);
    write(home, wanted, &mut out)?;
    out.flush()?;
    Ok(out.get_ref().sync_all()?)
}

fn write(home: &Home, wanted: &Wanted<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    match wanted.format {
        Format::Bundle => bundle(home, wanted.without, out),
        Format::Json => json(home, out),
        Format::Csv => csv(home, out),
    }
}

fn json(home: &Home, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut separator = "[\n";
    let mut failed = None;
    home.each(Select::default(), |entry| {
        let written = value(entry).and_then(|value| Ok(write!(out, "{separator}{value}")?));
        failed = failed.take().or(written.err());
        separator = ",\n";
    })?;
    match failed {
        Some(error) => Err(error),
        None => Ok(writeln!(out, "{}", if separator == "[\n" { "[]" } else { "\n]" })?),
    }
}

/// The columns an auditor asks for; RFC 4180, and nothing that a spreadsheet would run.
fn csv(home: &Home, out: &mut dyn Write) -> anyhow::Result<()> {
    let columns = [
        "seq",
        "at",
        "kind",
        "actor",
        "domain",
        "environment",
        "run",
        "step",
        "action",
        "resource",
        "id",
        "verdict",
        "code",
        "rule",
        "cost_micros",
        "canon",
        "leaf",
    ];
    writeln!(out, "{}\r", columns.join(","))?;
    let mut failed = None;
    home.each(Select::default(), |entry| {
        let row = row(entry).iter().map(|cell| field(cell)).collect::<Vec<_>>().join(",");
        failed = failed.take().or(writeln!(out, "{row}\r").err());
    })?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn row(entry: &Entry) -> [String; 17] {
    let data = entry.data();
    let text = |name: &str| data.get(name).and_then(Value::as_text).unwrap_or_default().to_owned();
    let verdict = match entry.kind() {
        Kind::Receipt => "allowed".to_owned(),
        Kind::Denial => "refused".to_owned(),
        Kind::Outcome => text("disposition"),
        Kind::SessionSealed | Kind::ChildEnded => text("status"),
        Kind::Genesis
        | Kind::KeyRotated
        | Kind::CanonProposed
        | Kind::CanonApproved
        | Kind::CanonRejected
        | Kind::CanonActivated
        | Kind::Evidence
        | Kind::Promotion
        | Kind::SessionStarted
        | Kind::PlanSelected
        | Kind::ApprovalRequested
        | Kind::ApprovalGranted
        | Kind::ApprovalRejected
        | Kind::SessionUnpaused
        | Kind::ChildStarted
        | Kind::SessionPaused
        | Kind::Signal
        | Kind::Checkpoint
        | Kind::Replay
        | Kind::BodiesErased
        | Kind::SegmentPruned => String::new(),
    };
    let rules = data.get("rules").and_then(Value::as_list).unwrap_or_default();
    let rules: Vec<_> = rules.iter().filter_map(Value::as_text).collect();
    let rule = if rules.is_empty() { text("rule") } else { rules.join(" ") };
    let cost = data.get("cost_micros").and_then(Value::as_u64);
    [
        entry.seq().to_string(),
        entry.at().to_string(),
        entry.kind().as_str().to_owned(),
        entry.actor().to_owned(),
        entry.domain().to_owned(),
        entry.environment().to_owned(),
        entry.session().map(|session| session.to_string()).unwrap_or_default(),
        text("step"),
        text("action"),
        text("resource"),
        entry.id().unwrap_or_default().to_owned(),
        verdict,
        text("code"),
        rule,
        cost.map(|cost| cost.to_string()).unwrap_or_default(),
        entry.canon().map(|canon| canon.to_string()).unwrap_or_default(),
        entry.leaf().to_string(),
    ]
}

fn field(cell: &str) -> String {
    let cell = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    };
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}
