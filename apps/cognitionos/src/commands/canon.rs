//! `canon`: check, test, compare and change what binds.

mod change;
mod diff;

use std::collections::BTreeSet;
use std::path::Path;

use cog_base::words::{counted, minor};
use cog_base::{Digest, Micros, Value};
use cog_canon::{Bounds, Canon, TestReport};
use cog_ledger::Kind;
use cog_store::Select;

use self::change::{Deed, Open, change, list, propose};
use super::replay::{all_runs, show_impact};
use crate::canon_dir;
use crate::cli::{CanonCommand, Common};
use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::terminal::{Terminal, Tone};

pub(crate) fn canon(
    command: &CanonCommand,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let data = common.data.as_path();
    match command {
        CanonCommand::Check { dir } => check(dir, terminal),
        CanonCommand::Test { dir } => test(dir, terminal),
        CanonCommand::Diff { from, to, at } => {
            let open = || Home::at(at, || Home::read(data));
            let (from, to) = (named(from, &open)?, named(to, &open)?);
            diff::show(&from, &to, terminal);
            Ok(Exit::Done)
        }
        CanonCommand::Impact { dir, at } => {
            let (_, other) = canon_dir::load(dir)?;
            let home = Home::at(at, || Home::read(data))?;
            let runs = all_runs(&home)?;
            show_impact(&home, &runs, other, None, terminal)
        }
        CanonCommand::Propose { dir, by, evidence, note, asking } => {
            let home = || Home::asking(asking, || Home::write(data));
            propose(dir, &by.actor, evidence, note.as_deref(), &home, terminal)
        }
        CanonCommand::Approve { id, by, asking } => {
            let home = || Home::asking(asking, || Home::change(data));
            change(Deed::Approve, id, &by.actor, &home, terminal)
        }
        CanonCommand::Reject { id, because, by, asking } => {
            let home = || Home::asking(asking, || Home::change(data));
            change(Deed::Reject { reason: &because.reason }, id, &by.actor, &home, terminal)
        }
        CanonCommand::Activate { id, by, asking } => {
            let home = || Home::asking(asking, || Home::change(data));
            change(Deed::Activate, id, &by.actor, &home, terminal)
        }
        CanonCommand::List { at } => list(&Home::at(at, || Home::read(data))?, terminal),
    }
}

fn check(dir: &Path, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (source, canon) = canon_dir::load(dir)?;
    let report = canon.test();
    if terminal.json {
        terminal.emit(&Value::map([
            ("name", Value::from(canon.name())),
            ("domain", canon.domain().into()),
            ("digest", canon.digest().into()),
            ("files", (source.files().len() as u64).into()),
            ("tests_passed", (report.passed as u64).into()),
            ("tests_failed", (report.failed.len() as u64).into()),
            ("bounds", Value::list(bounds(&canon).iter().map(String::as_str))),
            ("warnings", Value::list(canon.warnings().iter().map(|it| Value::from(it.as_str())))),
        ]));
    } else {
        terminal.say(&format!("{} for the domain `{}`", canon.name(), canon.domain()));
        terminal.say(&format!("  {}", canon.digest()));
        let files = counted(source.files().len() as u64, "file", "files");
        terminal.say(&format!("  {files}, {}", tests(&report)));
        bounds(&canon).iter().for_each(|bound| terminal.say(&format!("  {bound}")));
        told_failed(&report, terminal);
        warn(&canon, &report, terminal);
    }
    Ok(if report.failed.is_empty() { Exit::Done } else { Exit::Failed })
}

/// What all runs of the domain may do together in a period, by the canon.
fn bounds(canon: &Canon) -> Vec<String> {
    let periods = canon.settings().envelope.periods();
    let words = periods.map(|(period, bounds)| {
        let Bounds { effects_max, resources_max, amount_max, cost_micros_max } = *bounds;
        let all = [
            effects_max.map(|most| counted(most, "effect", "effects")),
            resources_max.map(|most| counted(most, "resource", "resources")),
            amount_max.map(|most| format!("amounts of {}", minor(most.into()))),
            cost_micros_max.map(|most| format!("costs of {}", Micros::new(most))),
        ];
        let all: Vec<_> = all.into_iter().flatten().collect();
        format!("per {period}, all runs together: at most {}", all.join(", "))
    });
    let limits = canon.counted();
    let limits = limits.map(|it| format!("policy `{}`, all runs together: {}", it.policy, it.duty));
    words.chain(limits).collect()
}

/// What is odd about a canon that loads.
pub(crate) fn warn(canon: &Canon, report: &TestReport, terminal: &Terminal) {
    for warning in canon.warnings() {
        terminal.note(&format!("{} {warning}", terminal.tint(Tone::Ask, "warning")));
    }
    // What nobody tried may say anything.
    if report.passed == 0 && report.failed.is_empty() {
        let warning = "it has no tests: nothing shows that it says what is meant; \
                       docs/guide/canon.md tells how to write some in tests/";
        terminal.note(&terminal.tint(Tone::Ask, warning));
    }
}

fn told_failed(report: &TestReport, terminal: &Terminal) {
    for failure in &report.failed {
        terminal.say(&format!("{} {failure}", terminal.tint(Tone::Bad, "failed")));
    }
}

fn tests(report: &TestReport) -> String {
    let passed = counted(report.passed as u64, "test", "tests");
    format!("{passed} passed, {} failed", report.failed.len())
}

fn test(dir: &Path, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (_, canon) = canon_dir::load(dir)?;
    let report = canon.test();
    if terminal.json {
        let failed = report.failed.iter().map(|it| Value::from(it.to_string()));
        terminal.emit(&Value::map([
            ("passed", Value::from(report.passed as u64)),
            ("failed", Value::list(failed)),
        ]));
    } else {
        told_failed(&report, terminal);
        terminal.say(&tests(&report));
        warn(&canon, &report, terminal);
    }
    Ok(if report.failed.is_empty() { Exit::Done } else { Exit::Failed })
}

/// A canon named by a folder, a digest, or `active` (where one domain alone has one).
fn named(name: &str, open: Open<'_>) -> anyhow::Result<Canon> {
    if canon_dir::is_canon(Path::new(name)) {
        return Ok(canon_dir::load(Path::new(name))?.1);
    }
    let bad = |message: String| {
        let advice = "a folder with a canon.toml, `active`, or a digest: cognitionos canon list";
        Failure::advise(Exit::BadInput, message, advice)
    };
    let is_short = name.len() >= SHORT && name.bytes().all(|it| it.is_ascii_hexdigit());
    if name != "active" && !is_short && name.parse::<Digest>().is_err() {
        return Err(bad(format!("`{name}` is no canon folder, not `active` and no digest")));
    }
    let home = open()?;
    let digest = match name.parse::<Digest>() {
        Ok(digest) => digest,
        Err(_) if is_short => begun(&home, name)?
            .ok_or_else(|| bad(format!("no canon, or more than one, begins with `{name}`")))?,
        Err(_) => the_one_in_force(&home)?,
    };
    home.canon(digest)?.ok_or_else(|| bad(format!("no canon {digest} is kept here")))
}

/// How many characters of a digest lists show.
const SHORT: usize = 12;

/// The one version of this ledger whose digest begins so.
fn begun(home: &Home, name: &str) -> anyhow::Result<Option<Digest>> {
    let mut digests = BTreeSet::new();
    let kinds = vec![Kind::CanonActivated, Kind::CanonProposed];
    home.each(Select { kinds, ..Select::default() }, |entry| {
        let digest = entry.text("digest").and_then(|digest| digest.parse::<Digest>().ok());
        digests.extend(digest.filter(|it| it.to_string().starts_with(&format!("sha256:{name}"))));
    })?;
    Ok(digests.first().copied().filter(|_| digests.len() == 1))
}

fn the_one_in_force(home: &Home) -> anyhow::Result<Digest> {
    let change = home.change_control()?;
    let mut domains = change.domains();
    match (domains.next(), domains.next()) {
        (Some((_, digest)), None) => Ok(digest),
        (None, _) => Err(Failure::advise(
            Exit::BadInput,
            "no canon is in force in this ledger",
            "cognitionos canon propose DIR --as user:NAME founds a domain",
        )),
        (Some(_), Some(_)) => Err(Failure::advise(
            Exit::BadInput,
            "several domains have a canon in force; name the digest",
            "cognitionos canon list",
        )),
    }
}
