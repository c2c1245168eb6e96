//! `ledger verify`: the whole of the own ledger: of its bundle, as anybody would check it, and
//! of the tables that entries are found by, which no bundle has. Damage ends nothing: all that
//! is wrong is told, and what holds all the same. Where nothing is damaged, the histories of the
//! runs are held to what they must show.

use std::collections::BTreeSet;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use cog_base::Value;
use cog_base::json::Map;
use cog_base::words::counted;
use cog_ledger::Checkpoint;
use cog_ledger::audit::{Finding, Findings};
use cog_ledger::bundle::{Check, Verified, read_head};
use cog_store_sqlite::Tables;

use verify::Decisions;

use super::advice::advice;
use super::bundle::Contents;
use super::empty;
use super::histories;
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told};
use crate::terminal::{Terminal, Tone};

/// The most findings that are told in words; `--json` has all that are kept.
const TOLD_MAX: usize = 100;

/// Why decisions were not made again.
const DAMAGED: &str = "the ledger does not hold";

/// What came of looking at the whole.
pub(crate) struct Looked {
    /// What is wrong.
    pub(crate) findings: Findings,
    /// How many entries there are.
    pub(crate) size: u64,
    /// The newest signed head before which every entry holds.
    pub(crate) held: Option<Checkpoint>,
    /// What the verifier says of those.
    verified: Option<Verified>,
    /// What came of making the decisions again.
    decisions: Decisions,
    /// What to do, where that is better known than by the code of a finding.
    way_out: Option<String>,
}

pub(super) fn verify(
    home: anyhow::Result<Home>,
    against: Option<&Path>,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let against = against.map(earlier).transpose()?;
    let looked = match home.and_then(|home| look(&home, against.as_slice())) {
        Ok(looked) => looked,
        Err(error) => unopened(error)?,
    };
    if terminal.json {
        terminal.emit(&json(&looked));
    } else if looked.findings.is_empty() {
        let verified = looked.verified.iter();
        verified.for_each(|verified| told_verdict(verified, &looked.decisions, terminal));
    } else {
        told_findings(&looked, terminal);
    }
    Ok(if looked.findings.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Data that do not open are a finding, too; whatever else is in the way is an error.
fn unopened(error: anyhow::Error) -> anyhow::Result<Looked> {
    let failure = error.downcast::<Failure>()?;
    let Some(code) = failure.code else { return Err(failure.into()) };
    let mut findings = Findings::default();
    findings.add(None, code, failure.message);
    // How to mend it is known better where it was met, unless it leads back here.
    let way_out = failure.advice.filter(|advice| !advice.contains("ledger verify"));
    let decisions = Decisions::No(DAMAGED);
    Ok(Looked { findings, size: 0, held: None, verified: None, decisions, way_out })
}

/// Look at the whole ledger.
///
/// # Errors
/// When it is empty, or the disk fails. Damage is a finding.
pub(crate) fn look(home: &Home, against: &[Checkpoint]) -> anyhow::Result<Looked> {
    let tables = tables(home)?;
    let (is_whole, size) = (tables.is_whole(), tables.size);
    let mut findings = tables.findings;
    if size == 0 && findings.is_empty() {
        return Err(empty());
    }
    let checked = tables.held.as_ref().map(|head| {
        let contents = Contents::held(home, head, is_whole, &mut findings)?;
        check_bundle(home, &contents, against)
    });
    let verified = match checked {
        Some(Ok(verified)) => Some(verified),
        // What cannot be read was told before, or is now.
        Some(Err(error)) if findings.is_empty() => return Err(error),
        Some(Err(_)) | None => None,
    };
    let found: Vec<Finding> =
        verified.iter().flat_map(|it| it.findings().kept()).cloned().collect();
    let mut known: BTreeSet<_> = findings.kept().iter().map(|it| (it.seq, it.code)).collect();
    for finding in found {
        // A body that does not open is not in the bundle, and so absent there.
        let is_told =
            finding.code == "body.absent" && known.contains(&(finding.seq, "body.changed"));
        if !is_told && known.insert((finding.seq, finding.code)) || finding.seq.is_none() {
            findings.add(finding.seq, finding.code, finding.message);
        }
    }
    let mut decisions = Decisions::No(DAMAGED);
    // What the runs did is asked once it is sure what they recorded.
    if findings.is_empty() {
        let (found, counts) = histories::check(home)?;
        (findings, decisions) = (found, Decisions::Recomputed(counts));
    }
    Ok(Looked { findings, size, held: tables.held, verified, decisions, way_out: None })
}

/// What stands beside the entries of a folder, compared with them. In the database they are read
/// entry by entry up to the signed head, and nothing else is relied on.
fn tables(home: &Home) -> anyhow::Result<Tables> {
    if !home.is_of_nodes() {
        return home.folder()?.check_tables(home.tenant).map_err(told);
    }
    let held = home.scope()?.checkpoint().map_err(told)?;
    let size = held.as_ref().map_or(0, Checkpoint::size);
    Ok(Tables { findings: Findings::default(), size, held })
}

/// The bundle of what holds, streamed into the verifier.
fn check_bundle(
    home: &Home,
    contents: &Contents,
    against: &[Checkpoint],
) -> anyhow::Result<Verified> {
    let trusted = contents.keys();
    let (reader, mut writer) = std::io::pipe()?;
    std::thread::scope(|scope| {
        let checking = std::thread::Builder::new().stack_size(cog_base::STACK_BYTES);
        let checking = checking.spawn_scoped(scope, || {
            let check = Check { trusted, against };
            cog_ledger::bundle::verify(&mut BufReader::new(reader), &check)
        })?;
        let written = contents.write_held(home, &mut BufWriter::new(&mut writer));
        drop(writer);
        let verified = checking.join().map_err(|_| anyhow::anyhow!("the verifier panicked"))?;
        written?;
        Ok(verified?)
    })
}

fn json(looked: &Looked) -> Value {
    let way_out = looked.way_out.as_deref();
    let findings = looked.findings.kept().iter().map(|finding| {
        Value::map([
            ("code", Value::from(finding.code)),
            ("seq", finding.seq.into()),
            ("message", finding.message.as_str().into()),
            ("advice", way_out.unwrap_or(advice(finding.code)).into()),
        ])
    });
    let mut report = match looked.verified.as_ref().map(|it| verify::json(it, &looked.decisions)) {
        Some(Value::Map(report)) => report,
        _ => Map::new(),
    };
    let intact = looked.held.as_ref().map(|head| {
        Value::map([
            ("entries", Value::from(head.size())),
            ("head", head.note().to_string().into()),
        ])
    });
    report.extend([
        ("holds".to_owned(), Value::from(looked.findings.is_empty())),
        ("size".to_owned(), looked.size.into()),
        ("intact".to_owned(), intact.into()),
        ("findings_total".to_owned(), looked.findings.total().into()),
        ("findings".to_owned(), Value::list(findings)),
    ]);
    Value::Map(report)
}

fn told_verdict(verified: &Verified, decisions: &Decisions, terminal: &Terminal) {
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
    if let Decisions::Recomputed(counts) = decisions {
        let made = counted(counts.recomputed, "decision", "decisions");
        let left = match counts.all.saturating_sub(counts.recomputed) {
            0 => String::new(),
            left => format!("; of {left} more what they rest on is not here"),
        };
        terminal.say(&format!("  {made} recomputed, {} differ{left}", counts.differ));
        if counts.periods_unknown > 0 {
            let made = counted(counts.periods_unknown, "decision", "decisions");
            terminal.say(&format!(
                "  of {made} the period of the domain began before what is here: whether all of it \
                 was counted cannot be told"
            ));
        }
    }
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
}

fn told_findings(looked: &Looked, terminal: &Terminal) {
    let findings = &looked.findings;
    terminal.say(&format!(
        "{}  {}",
        terminal.tint(Tone::Bad, "NOT VERIFIED"),
        counted(findings.total(), "finding", "findings")
    ));
    for finding in findings.kept().iter().take(TOLD_MAX) {
        let place = finding.seq.map(|seq| format!("entry {seq}: ")).unwrap_or_default();
        terminal.say(&format!("  {place}{} ({})", finding.message, finding.code));
    }
    let more = findings.total().saturating_sub(TOLD_MAX as u64);
    if more > 0 {
        terminal.say(&format!("  and {more} more; --json lists up to 1,000"));
    }
    terminal.say(&format!("What holds: {}", holds(looked)));
    let mut told = BTreeSet::new();
    for finding in findings.kept() {
        let advice = looked.way_out.as_deref().unwrap_or(advice(finding.code));
        if told.insert(advice) {
            terminal.say(&format!("What to do: {advice}"));
        }
    }
}

/// Which entries can be relied on all the same.
pub(crate) fn holds(looked: &Looked) -> String {
    let size = looked.size;
    match looked.held.as_ref().map(Checkpoint::size) {
        Some(held) if held == size => format!(
            "all entries, 0 to {}, are those of the signed head of size {size}",
            size.saturating_sub(1)
        ),
        Some(held) => format!(
            "entries 0 to {} are those of the signed head of size {held}; nothing is known of the \
             {} after them",
            held.saturating_sub(1),
            size.saturating_sub(held)
        ),
        None if size == 0 => "that was not looked at, as the data do not open".to_owned(),
        None => "no entry is covered by a signed head that fits".to_owned(),
    }
}

/// An earlier head from a checkpoint or bundle file.
fn earlier(path: &Path) -> anyhow::Result<Checkpoint> {
    let bad = |error: &dyn std::fmt::Display| {
        Failure::advise(
            Exit::BadInput,
            format!("{}: {error}", path.display()),
            "--against FILE, by an earlier `ledger checkpoint` or `ledger export`",
        )
    };
    let bytes = given::bytes(path).map_err(|error| bad(&error))?;
    if let Ok(checkpoint) = std::str::from_utf8(&bytes)
        .map_err(|_| ())
        .and_then(|text| Checkpoint::parse(text).map_err(|_| ()))
    {
        return Ok(checkpoint);
    }
    let head = read_head(&mut bytes.as_slice()).map_err(|error| bad(&error))?;
    head.checkpoint.ok_or_else(|| bad(&"it has no signed head"))
}
