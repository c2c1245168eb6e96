//! `canon`: check, test, compare and change what binds.

use std::path::Path;

use cog_base::id::ProposalId;
use cog_base::words::counted;
use cog_base::{Clock as _, Digest, Value};
use cog_canon::{Canon, TestReport};
use cog_gate::Actor;
use cog_gate::change::{NotChanged, Proposal, ProposalState};
use cog_ledger::Kind;

use super::replay::{all_runs, show_impact};
use crate::canon_dir;
use crate::cli::{CanonCommand, Common};
use crate::failure::{Exit, Failure};
use crate::home::{Home, told};
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::{Terminal, Tone, plain};

pub(crate) fn canon(
    command: &CanonCommand,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let data = common.data.as_path();
    match command {
        CanonCommand::Check { dir } => check(dir, terminal),
        CanonCommand::Test { dir } => test(dir, terminal),
        CanonCommand::Diff { from, to } => diff(from, to, data, terminal),
        CanonCommand::Impact { dir } => {
            let (_, other) = canon_dir::load(dir)?;
            let home = Home::read(data)?;
            let runs = all_runs(&home)?;
            show_impact(&home, &runs, &other, terminal)
        }
        CanonCommand::Propose { dir, actor, evidence, note } => {
            propose(dir, actor, evidence, note.as_deref(), data, terminal)
        }
        CanonCommand::Approve { id, actor } => {
            change(id, actor, data, terminal, "approved", |change, id, who, current| {
                change.approve(id, who, current).map(|draft| vec![draft])
            })
        }
        CanonCommand::Reject { id, reason, actor } => {
            change(id, actor, data, terminal, "rejected", |change, id, who, current| {
                change.reject(id, who, reason, current).map(|draft| vec![draft])
            })
        }
        CanonCommand::Activate { id, actor } => {
            change(id, actor, data, terminal, "activated", |change, id, who, current| {
                change.activate(id, who, current)
            })
        }
        CanonCommand::List => list(data, terminal),
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
        ]));
    } else {
        terminal.say(&format!("{} for the domain `{}`", canon.name(), canon.domain()));
        terminal.say(&format!("  {}", canon.digest()));
        let files = counted(source.files().len() as u64, "file", "files");
        terminal.say(&format!("  {files}, {}", tests(&report)));
        told_failed(&report, terminal);
        if report.passed == 0 && report.failed.is_empty() {
            terminal.note("it has no tests: nothing shows that it says what is meant");
        }
    }
    Ok(if report.failed.is_empty() { Exit::Done } else { Exit::Failed })
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
    }
    Ok(if report.failed.is_empty() { Exit::Done } else { Exit::Failed })
}

/// A canon named by a folder, a digest, or `active` (where one domain alone has one).
fn named(name: &str, data: &Path) -> anyhow::Result<Canon> {
    if canon_dir::is_canon(Path::new(name)) {
        return Ok(canon_dir::load(Path::new(name))?.1);
    }
    let home = Home::read(data)?;
    let digest = if name == "active" {
        let change = home.change_control()?;
        let mut domains = change.domains();
        match (domains.next(), domains.next()) {
            (Some((_, digest)), None) => digest,
            (None, _) => return Err(Failure::told(Exit::BadInput, "no canon is in force")),
            (Some(_), Some(_)) => {
                return Err(Failure::advise(
                    Exit::BadInput,
                    "several domains have a canon in force; name the digest",
                    "cognitionos canon list",
                ));
            }
        }
    } else {
        name.parse::<Digest>().map_err(|_| {
            Failure::told(Exit::BadInput, format!("`{name}` is no canon folder and no digest"))
        })?
    };
    home.canon(digest)?
        .ok_or_else(|| Failure::told(Exit::BadInput, format!("no canon {digest} is kept here")))
}

fn diff(from: &str, to: &str, data: &Path, terminal: &Terminal) -> anyhow::Result<Exit> {
    let (from, to) = (named(from, data)?, named(to, data)?);
    let differences = from.compare(&to);
    if terminal.json {
        terminal.emit(&Value::list(differences.iter().map(|it| Value::from(it.to_string()))));
        return Ok(Exit::Done);
    }
    if differences.is_empty() {
        terminal.note("no difference");
    }
    for difference in &differences {
        terminal.say(&plain(&difference.to_string()));
    }
    Ok(Exit::Done)
}

fn propose(
    dir: &Path,
    actor: &str,
    evidence: &[u64],
    note: Option<&str>,
    data: &Path,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let who: Actor = actor.parse().map_err(|error| Failure::told(Exit::BadInput, error))?;
    let (source, canon) = canon_dir::load(dir)?;
    let report = canon.test();
    if !report.failed.is_empty() {
        return Err(Failure::advise(
            Exit::BadInput,
            format!(
                "{}, so it could never be activated",
                counted(report.failed.len() as u64, "of its tests fails", "of its tests fail")
            ),
            format!("cognitionos canon test {}", dir.display()),
        ));
    }
    let home = Home::write(data)?;
    let change = home.change_control()?;
    knows_evidence(&home, evidence)?;
    let in_force = change.in_force(canon.domain());
    let environment = "any";
    if in_force.is_none() {
        home.keep_canon(&source, canon.digest())?;
        let draft = change.found(&canon, environment, &who).map_err(refused)?;
        home.append(vec![draft])?;
        if terminal.json {
            terminal.emit(&Value::map([
                ("digest", Value::from(canon.digest())),
                ("domain", canon.domain().into()),
                ("state", "activated".into()),
            ]));
        } else {
            terminal.say(&format!("canon {} founds the domain `{}`", canon.name(), canon.domain()));
        }
        return Ok(Exit::Done);
    }
    let current = in_force.map(|digest| home.canon(digest)).transpose()?.flatten();
    knows_actor(current.as_ref(), &who)?;
    let id = ProposalId::new(SystemClock.now(), &mut SystemEntropy::new())?;
    let mut draft = change.propose(id, &canon, environment, &who, evidence).map_err(refused)?;
    draft.data.extend(note.map(|note| ("note".to_owned(), note.into())));
    home.keep_canon(&source, canon.digest())?;
    home.append(vec![draft])?;
    if terminal.json {
        terminal.emit(&Value::map([
            ("proposal", Value::from(id)),
            ("digest", canon.digest().into()),
            ("domain", canon.domain().into()),
        ]));
    } else {
        terminal.say(&format!("proposed {id} ({})", canon.digest().short()));
        terminal.note(&format!("next: cognitionos canon impact {}", dir.display()));
        terminal.note(&format!("then: cognitionos canon approve {id} --as user:NAME"));
    }
    Ok(Exit::Done)
}

/// Whoever has a part in a change must be somebody in the canon in force.
fn knows_actor(current: Option<&Canon>, who: &Actor) -> anyhow::Result<()> {
    if current.is_some_and(|current| current.knows(who.as_str())) {
        return Ok(());
    }
    Err(Failure::told(Exit::Refused, format!("the canon in force does not know {who}")))
}

/// Evidence must be an entry of this ledger, and one that can be evidence.
fn knows_evidence(home: &Home, evidence: &[u64]) -> anyhow::Result<()> {
    for seq in evidence {
        let entry = home.scope()?.entry(*seq).map_err(told)?;
        let kind = entry.map(|entry| entry.kind());
        if !matches!(kind, Some(Kind::Evidence | Kind::Outcome)) {
            let message = format!("entry {seq} is no evidence: name an outcome or evidence entry");
            return Err(Failure::told(Exit::BadInput, message));
        }
    }
    Ok(())
}

fn change(
    id: &str,
    actor: &str,
    data: &Path,
    terminal: &Terminal,
    word: &str,
    act: impl FnOnce(
        &cog_gate::change::ChangeControl,
        ProposalId,
        &Actor,
        &Canon,
    ) -> Result<Vec<cog_ledger::Draft>, NotChanged>,
) -> anyhow::Result<Exit> {
    let bad = |error: &dyn std::fmt::Display| Failure::told(Exit::BadInput, error);
    let id: ProposalId = id.parse().map_err(|error| bad(&error))?;
    let who: Actor = actor.parse().map_err(|error| bad(&error))?;
    let home = Home::change(data)?;
    let change = home.change_control()?;
    let proposal = change.proposal(id).ok_or_else(|| bad(&NotChanged::Unknown(id)))?;
    let current = change.in_force(&proposal.domain);
    let current = current.map(|digest| home.canon(digest)).transpose()?.flatten();
    let current = current.ok_or_else(|| bad(&"the canon in force is not kept here"))?;
    knows_actor(Some(&current), &who)?;
    let proposed = home.canon(proposal.digest)?;
    if proposed.is_none_or(|canon| !canon.test().failed.is_empty()) {
        return Err(Failure::told(
            Exit::Refused,
            "the proposed canon is not kept here, or its tests fail",
        ));
    }
    let drafts = act(&change, id, &who, &current).map_err(refused)?;
    home.append(drafts)?;
    if terminal.json {
        terminal.emit(&Value::map([
            ("proposal", Value::from(id)),
            ("state", word.into()),
            ("by", who.as_str().into()),
        ]));
    } else {
        terminal.say(&format!("{word} {id} by {who}"));
    }
    Ok(Exit::Done)
}

fn refused(error: NotChanged) -> anyhow::Error {
    let exit = match &error {
        NotChanged::InForce(_) | NotChanged::BaseMoved | NotChanged::NoChange => Exit::Conflict,
        NotChanged::Unknown(_) | NotChanged::Closed => Exit::BadInput,
        NotChanged::Rule(_)
        | NotChanged::Twice(_)
        | NotChanged::NotAPerson(_)
        | NotChanged::NotOfGroup { .. } => Exit::Refused,
    };
    Failure::told(exit, error)
}

fn list(data: &Path, terminal: &Terminal) -> anyhow::Result<Exit> {
    let home = Home::read(data)?;
    let change = home.change_control()?;
    if terminal.json {
        let active = change.domains().map(|(domain, digest)| {
            Value::map([("domain", Value::from(domain)), ("digest", digest.into())])
        });
        terminal.emit(&Value::map([
            ("active", Value::list(active)),
            ("proposals", Value::list(change.proposals().map(json))),
        ]));
        return Ok(Exit::Done);
    }
    for (domain, digest) in change.domains() {
        terminal.say(&format!("{}  {domain}  {digest}", terminal.tint(Tone::Good, "in force")));
    }
    for proposal in change.proposals() {
        let approved = proposal.approved_by.iter().map(String::as_str).collect::<Vec<_>>();
        terminal.say(&format!(
            "{:<8}  {}  {}  by {}, approved by {}",
            state(&proposal.state),
            proposal.id,
            proposal.digest.short(),
            proposal.by,
            if approved.is_empty() { "nobody yet".to_owned() } else { approved.join(", ") }
        ));
    }
    Ok(Exit::Done)
}

fn json(proposal: &Proposal) -> Value {
    Value::map([
        ("proposal", Value::from(proposal.id)),
        ("domain", proposal.domain.as_str().into()),
        ("digest", proposal.digest.into()),
        ("base", proposal.base.into()),
        ("by", proposal.by.as_str().into()),
        ("approved_by", Value::list(proposal.approved_by.iter().map(String::as_str))),
        ("evidence", Value::list(proposal.evidence.iter().copied())),
        ("state", state(&proposal.state).into()),
    ])
}

fn state(state: &ProposalState) -> &'static str {
    match state {
        ProposalState::Open => "open",
        ProposalState::Activated => "activated",
        ProposalState::Rejected { .. } => "rejected",
    }
}
