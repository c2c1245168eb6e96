//! The report: in plain words, and as JSON.

use std::fmt::Write as _;

use cog_base::Value;
use cog_base::words::counted;
use cog_ledger::bundle::{Part, Verified};
use cog_ledger::kind::{DISPOSITIONS, Kind};

use crate::{Decisions, Request};

/// The most findings that are shown in words; the JSON report has all that were kept.
const SHOWN_MAX: usize = 20;

const NOT_PROVED: &str = "\
Not proved
  that inputs were honest, that a model reasoned well, or that an outside system did what
  it answered: the ledger proves what was decided, on what, and what came back
  that there is no other version of this log: compare with a head or a bundle that you got
  another way (--against)
";

/// The report for people.
#[must_use]
pub fn text(verified: &Verified, decisions: &Decisions, request: &Request) -> String {
    let mut out = String::new();
    let verdict = match verified.findings().total() {
        0 => "everything checked holds".to_owned(),
        _ if verified.findings().has("bundle.newer") => {
            "made by a later release, and this verifier is too old for it: check it with the \
             verifier of that release before you rely on it"
                .to_owned()
        }
        count => format!("{}; do not rely on this bundle", counted(count, "finding", "findings")),
    };
    // INVARIANT: writing into a String cannot fail.
    let _ = writeln!(out, "{}: {verdict}\n", request.bundle.display());
    let _ = writeln!(out, "Log        {}", verified.manifest.origin);
    let _ = writeln!(out, "Tenant     {}", verified.manifest.tenant);
    let _ = writeln!(out, "Entries    {}", entries(verified));
    let _ = writeln!(out, "Head       {}", head(verified));
    let _ = writeln!(out, "Signed by  {}\n", signer(verified));
    findings(verified, &mut out);
    checked(verified, &mut out);
    recomputed(decisions, &mut out);
    out.push_str(NOT_PROVED);
    unproved(decisions, &mut out);
    printable(&out)
}

fn entries(verified: &Verified) -> String {
    let manifest = &verified.manifest;
    if manifest.from == 0 {
        return format!("{}, from the first on", verified.entries);
    }
    format!(
        "{} of {}; the {} before were pruned, their hashes are here",
        verified.entries, manifest.size, manifest.from
    )
}

fn head(verified: &Verified) -> String {
    let head = verified.head.as_ref();
    head.map_or_else(|| "none".to_owned(), |head| format!("{} at {}", head.root(), head.size()))
}

fn signer(verified: &Verified) -> String {
    let signer = verified.signer.as_ref();
    signer.map_or_else(|| "nobody you trust".to_owned(), ToString::to_string)
}

fn findings(verified: &Verified, out: &mut String) {
    let findings = verified.findings();
    if findings.is_empty() {
        return;
    }
    out.push_str("Findings\n");
    for finding in findings.kept().iter().take(SHOWN_MAX) {
        let _ = writeln!(out, "  {finding}");
    }
    let more = findings.total().saturating_sub(SHOWN_MAX as u64);
    if more > 0 {
        let _ = writeln!(out, "  … and {more} more");
    }
    out.push('\n');
}

/// What was looked at, with its numbers. Whatever did not hold is among the findings.
fn checked(verified: &Verified, out: &mut String) {
    let audited = &verified.audited;
    let count = |kind: Kind| audited.kinds.get(&kind).copied().unwrap_or(0);
    let outcomes = DISPOSITIONS.iter().zip(audited.outcomes).filter(|(_, count)| *count > 0);
    let outcomes: Vec<_> = outcomes.map(|(word, count)| format!("{count} {word}")).collect();
    let (started, sealed) = audited.sessions;
    out.push_str(if verified.holds() { "Checked\n" } else { "Checked, with the findings above\n" });
    let _ = writeln!(
        out,
        "  every byte of {} against the signed root, and their sequence, links and times",
        counted(verified.entries, "entry", "entries")
    );
    let outcomes = if outcomes.is_empty() { "none yet".to_owned() } else { outcomes.join(", ") };
    let (receipts, open) =
        (counted(count(Kind::Receipt), "receipt", "receipts"), audited.open_receipts);
    // Some outcomes here are of receipts in the pruned part.
    let ended = if verified.manifest.from == 0 { "one outcome each" } else { "and these outcomes" };
    let _ = writeln!(out, "  {receipts}, {ended}: {outcomes}; {open} still open");
    let _ = writeln!(
        out,
        "  {}, that none has an outcome; {}, that none is by who asked",
        counted(count(Kind::Denial), "refusal", "refusals"),
        counted(count(Kind::ApprovalGranted), "approval", "approvals")
    );
    let started = counted(started, "session", "sessions");
    let _ = writeln!(out, "  {started}; the sums and traces of the {sealed} sealed");
    let _ = writeln!(
        out,
        "  {} of canon, the first of a domain or by change control; {}",
        counted(count(Kind::CanonActivated), "activation", "activations"),
        counted(count(Kind::KeyRotated), "key hand-over", "key hand-overs")
    );
    let _ = writeln!(
        out,
        "  {} and {} against their digests",
        counted(verified.bodies, "body", "bodies"),
        counted(verified.canons, "canon version", "canon versions")
    );
    absent(verified, out);
    if audited.not_followed > 0 {
        let _ = writeln!(
            out,
            "  {} into the pruned part and not followed",
            counted(audited.not_followed, "reference leads", "references lead")
        );
    }
    let is_other = |code: &str| code.starts_with("against.");
    if verified.compared > 0 && !verified.findings().kept().iter().any(|it| is_other(it.code)) {
        out.push_str("  that the log only grew between the two views that were compared\n");
    }
}

/// What came of making the decisions again, and of following the runs.
fn recomputed(decisions: &Decisions, out: &mut String) {
    if let Decisions::Recomputed(counts) = decisions {
        let _ = writeln!(
            out,
            "  {} recomputed, by canon and record: {}",
            counted(counts.recomputed, "decision", "decisions"),
            match counts.differ {
                1 => "1 differs".to_owned(),
                differ => format!("{differ} differ"),
            }
        );
        let _ = writeln!(
            out,
            "  {}, step by step from definition and inputs",
            counted(counts.runs, "run", "runs")
        );
    }
    out.push('\n');
}

/// What of the decisions is not proved.
fn unproved(decisions: &Decisions, out: &mut String) {
    match decisions {
        Decisions::No(why) => {
            let _ = writeln!(out, "  that each decision is what the canon says of it:\n  {why}");
        }
        Decisions::Recomputed(counts) => {
            let left = counts.all.saturating_sub(counts.recomputed);
            if left > 0 {
                let left = counted(left, "decision", "decisions");
                let _ = writeln!(
                    out,
                    "  that {left} more are what the canon says: what they rest on is not here"
                );
            }
            if counts.runs_unknown > 0 {
                let runs = counted(counts.runs_unknown, "run", "runs");
                let _ = writeln!(
                    out,
                    "  that {runs} more went by the definition: part of what they did is not here"
                );
            }
            if counts.periods_unknown > 0 {
                let made = counted(counts.periods_unknown, "decision", "decisions");
                let _ = writeln!(
                    out,
                    "  that {made} counted all that their domain did in the period: it began before \
                     what is here"
                );
            }
        }
    }
}

/// What is not here, and who says why.
fn absent(verified: &Verified, out: &mut String) {
    let is_left_out = |part| verified.manifest.left_out.contains(&part);
    let (bodies, canons) = (verified.bodies_absent, verified.canons_absent);
    if bodies > 0 {
        let why = if is_left_out(Part::Bodies) {
            "left out by whoever made the bundle"
        } else if verified.findings().has("body.absent") {
            "not here, as the findings say"
        } else {
            "not here: erased, as entries say"
        };
        let _ = writeln!(out, "  {} {why}", counted(bodies, "body is", "bodies are"));
    }
    if canons > 0 {
        let why = if is_left_out(Part::Canons) {
            "left out by whoever made the bundle"
        } else {
            "not here, as the findings say"
        };
        let canons = counted(canons, "canon version is", "canon versions are");
        let _ = writeln!(out, "  {canons} {why}");
    }
}

/// Without what a hostile log or key file could send to a terminal: control characters, and those
/// that are not seen or turn the text round.
#[must_use]
pub fn printable(text: &str) -> String {
    let shown = |c: char| if is_unseen(c) && c != '\n' { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

/// The report for programs.
#[must_use]
pub fn json(verified: &Verified, decisions: &Decisions) -> Value {
    let (manifest, audited) = (&verified.manifest, &verified.audited);
    let kinds = audited.kinds.iter().map(|(kind, count)| (kind.as_str(), *count));
    let outcomes = DISPOSITIONS.iter().zip(audited.outcomes);
    let canons = audited.canons.iter().map(|(domain, digest)| (domain.as_str(), *digest));
    let findings = verified.findings().kept().iter().map(|finding| {
        Value::map([
            ("seq", Value::from(finding.seq)),
            ("code", finding.code.into()),
            ("message", finding.message.as_str().into()),
        ])
    });
    let head = verified.head.as_ref().map(ToString::to_string);
    let signer = verified.signer.as_ref().map(ToString::to_string);
    Value::map([
        ("holds", Value::from(verified.holds())),
        ("tenant", manifest.tenant.into()),
        ("origin", manifest.origin.as_str().into()),
        ("from", manifest.from.into()),
        ("size", manifest.size.into()),
        ("root", manifest.root.into()),
        ("head", head.into()),
        ("signer", signer.into()),
        ("entries", verified.entries.into()),
        ("kinds", Value::map(kinds)),
        ("sessions_started", audited.sessions.0.into()),
        ("sessions_sealed", audited.sessions.1.into()),
        ("outcomes", Value::map(outcomes.map(|(word, count)| (*word, count)))),
        ("open_receipts", audited.open_receipts.into()),
        ("bodies", verified.bodies.into()),
        ("bodies_absent", verified.bodies_absent.into()),
        ("canons", verified.canons.into()),
        ("canons_absent", verified.canons_absent.into()),
        ("left_out", Value::list(manifest.left_out.iter().map(|part| part.as_str()))),
        ("canons_in_force", Value::map(canons)),
        ("compared", verified.compared.into()),
        ("decisions", decisions.to_value()),
        ("not_followed", audited.not_followed.into()),
        ("findings_total", verified.findings().total().into()),
        ("findings", Value::list(findings)),
    ])
}
