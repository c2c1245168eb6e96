//! Entries as a JSON array, and as a table for a spreadsheet: each with what its record says of
//! why it was decided so.

use std::io::Write;

use cog_base::Value;
use cog_engine::Record;
use cog_ledger::{Entry, Kind};
use cog_store::Select;

use super::super::value;
use super::Wanted;
use crate::home::{Home, is_said, record};

/// The columns an auditor asks for. New ones come at the end.
const COLUMNS: [&str; 22] = [
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
    "reason",
    "advice",
    "note",
    "digest",
    "flips",
];

/// Why something was decided as it was.
struct Explained {
    reason: String,
    advice: Vec<String>,
    flips: Vec<String>,
}

impl Explained {
    /// What the record of a decision says; nothing when it is not here.
    fn of(record: &Record) -> Option<Self> {
        let trace = record.body.as_ref()?.get("trace")?;
        let texts = |list: Option<&Value>| -> Vec<String> {
            let list = list.and_then(Value::as_list).unwrap_or_default();
            list.iter().filter_map(Value::as_text).map(str::to_owned).collect()
        };
        let checks = trace.get("checks").and_then(Value::as_list).unwrap_or_default();
        let rules = checks.iter().filter_map(|check| check.get("rules")?.as_list()).flatten();
        let advice = rules.filter_map(|rule| rule.get("advice")?.as_text());
        Some(Self {
            reason: trace.get("reason").and_then(Value::as_text).unwrap_or_default().to_owned(),
            advice: advice.map(str::to_owned).collect(),
            flips: texts(trace.get("flips")),
        })
    }

    fn to_value(&self) -> Value {
        Value::map([
            ("reason", Value::from(self.reason.as_str())),
            ("advice", Value::list(self.advice.iter().map(String::as_str))),
            ("flips", Value::list(self.flips.iter().map(String::as_str))),
        ])
    }
}

/// Whether entries of this kind are decisions, whose record says why.
fn is_decision(kind: Kind) -> bool {
    matches!(kind, Kind::Receipt | Kind::Denial | Kind::ApprovalRequested)
}

/// Give each entry that is wanted with its record, if that is wanted, too.
fn each(
    home: &Home,
    wanted: &Wanted<'_>,
    mut take: impl FnMut(&Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let select = Select { kinds: wanted.kinds.clone(), ..Select::default() };
    let scope = home.scope()?;
    let mut failed = None;
    home.each(select, |entry| {
        if failed.is_some() {
            return;
        }
        let says_why = is_decision(entry.kind()) || is_said(entry.kind());
        let reads = wanted.with_bodies || (!wanted.without.bodies && says_why);
        let whole = if reads {
            record(&*scope, entry.clone())
        } else {
            Ok(Record { entry: entry.clone().into(), body: None })
        };
        failed = whole.and_then(|whole| take(&whole)).err();
    })?;
    failed.map_or(Ok(()), Err)
}

/// An array of the entries as they are; a decision has `why` beside its members, and with whole
/// bodies each has `record`.
pub(super) fn json(home: &Home, wanted: &Wanted<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut separator = "[\n";
    each(home, wanted, |record| {
        let mut item = value(&record.entry)?;
        if let Value::Map(members) = &mut item {
            let why = Explained::of(record).filter(|_| is_decision(record.entry.kind()));
            members.extend(why.map(|why| ("why".to_owned(), why.to_value())));
            let said = record.said().filter(|_| is_said(record.entry.kind()));
            members.extend(said.map(|said| ("said".to_owned(), said.into())));
            let body = record.body.clone().filter(|_| wanted.with_bodies);
            members.extend(body.map(|body| ("record".to_owned(), body)));
        }
        write!(out, "{separator}{item}")?;
        separator = ",\n";
        Ok(())
    })?;
    Ok(writeln!(out, "{}", if separator == "[\n" { "[]" } else { "\n]" })?)
}

/// RFC 4180, and nothing that a spreadsheet would run.
pub(super) fn csv(home: &Home, wanted: &Wanted<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "{}\r", COLUMNS.join(","))?;
    each(home, wanted, |record| {
        let row = row(record).map(|cell| field(&cell)).join(",");
        Ok(writeln!(out, "{row}\r")?)
    })
}

fn row(record: &Record) -> [String; 22] {
    let entry: &Entry = &record.entry;
    let data = entry.data();
    let text = |name: &str| data.get(name).and_then(Value::as_text).unwrap_or_default().to_owned();
    let beside = |name: &str| record.body.as_ref()?.get(name)?.as_text().map(str::to_owned);
    let said = |name: &str| beside(name).unwrap_or_else(|| text(name));
    let why = Explained::of(record);
    let verdict = verdict(entry, &text);
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
        why.as_ref().map_or_else(|| said("reason"), |why| why.reason.clone()),
        why.as_ref().map(|why| why.advice.join("; ")).unwrap_or_default(),
        said("note"),
        text("digest"),
        why.map(|why| why.flips.join("; ")).unwrap_or_default(),
    ]
}

/// What came of it, in a word.
fn verdict(entry: &Entry, text: &dyn Fn(&str) -> String) -> String {
    match entry.kind() {
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
        | Kind::ApprovalEscalated
        | Kind::ApprovalDelegated
        | Kind::SessionUnpaused
        | Kind::ChildStarted
        | Kind::SessionPaused
        | Kind::Output
        | Kind::Signal
        | Kind::Checkpoint
        | Kind::Replay
        | Kind::ScheduleSet
        | Kind::ScheduleRemoved
        | Kind::SchedulePaused
        | Kind::ScheduleUnpaused
        | Kind::WorkflowActivated
        | Kind::ScheduleFired
        | Kind::SessionQueued
        | Kind::SessionUnqueued
        | Kind::BodiesErased
        | Kind::SegmentPruned => String::new(),
    }
}

fn field(cell: &str) -> String {
    // What a program of tables takes for a formula, also behind what is not seen.
    let unseen = |c: char| {
        c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
    };
    let formula = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
    let is_formula = cell.trim_start_matches(unseen).starts_with(formula);
    let cell = if is_formula || cell.starts_with(['\t', '\r', '\n']) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_formula_to_a_program_of_tables() {
        for cell in ["=1", "\n=1", " =1", "\u{a0}@x", "\u{200b}+1", "\u{ff1d}1", "-1", "\t1"] {
            assert!(field(cell).trim_start_matches('"').starts_with('\''), "{cell:?}");
        }
        assert_eq!(field("a=1"), "a=1");
    }
}
