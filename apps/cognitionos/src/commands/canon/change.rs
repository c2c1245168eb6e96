//! `canon propose`, `approve`, `reject`, `activate` and `list`: change control.

use std::path::Path;

use cog_base::id::ProposalId;
use cog_base::words::counted;
use cog_base::{Clock as _, Digest, Value};
use cog_canon::Canon;
use cog_gate::Actor;
use cog_gate::act::{Facts, Put};
use cog_gate::change::{ChangeControl, NotChanged, Proposal, Standing};
use cog_ledger::{Draft, Kind};

use super::warn;
use crate::canon_dir;
use crate::commands::refused::{act, cited, explained, put, record};
use crate::commands::run::again::word;
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told};
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::{Terminal, Tone, plain};

const LIST: &str = "cognitionos canon list";

/// Opens the ledger that is changed.
pub(super) type Open<'a> = &'a dyn Fn() -> anyhow::Result<Home>;

/// What somebody does with a proposal.
pub(super) enum Deed<'a> {
    Approve,
    Reject { reason: &'a str },
    Activate,
}

impl Deed<'_> {
    const fn action(&self) -> &'static str {
        match self {
            Self::Approve => "canon.approve",
            Self::Reject { .. } => "canon.reject",
            Self::Activate => "canon.activate",
        }
    }

    const fn done(&self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Reject { .. } => "rejected",
            Self::Activate => "activated",
        }
    }

    fn drafts(
        &self,
        change: &ChangeControl,
        id: ProposalId,
        who: &Actor,
        current: &Canon,
    ) -> Result<Vec<Draft>, NotChanged> {
        match self {
            Self::Approve => change.approve(id, who, current).map(|draft| vec![draft]),
            Self::Reject { reason } => {
                change.reject(id, who, reason, current).map(|draft| vec![draft])
            }
            Self::Activate => change.activate(id, who, current),
        }
    }
}

/// Put a version forward. What is refused of it is on record, but for what names no canon at all.
pub(super) fn propose(
    dir: &Path,
    actor: &str,
    evidence: &[u64],
    note: Option<&str>,
    home: Open<'_>,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let who = given::actor(actor)?;
    let proposed = put_forward(dir, &who, evidence, note, home, terminal);
    proposed.map_err(|error| {
        let denial = not_put_forward(dir, &who, evidence, home);
        explained(error, denial)
    })
}

/// Record that a version is not put forward, if that is a refusal.
fn not_put_forward(
    dir: &Path,
    who: &Actor,
    evidence: &[u64],
    home: Open<'_>,
) -> anyhow::Result<Option<String>> {
    if !canon_dir::is_canon(dir) {
        return Ok(None);
    }
    let loaded = canon_dir::load(dir).map(|(_, canon)| canon).map_err(|error| error.to_string());
    let home = home()?;
    let domain = loaded.as_ref().ok().map(|canon| canon.domain().to_owned());
    let in_force = domain.as_deref().map(|it| home.change_control().map(|all| all.in_force(it)));
    let in_force = in_force.transpose()?.flatten();
    let current = in_force.and_then(|digest| home.canon(digest).ok().flatten());
    let put = Put {
        in_force,
        evidence: cited(&home, evidence)?,
        ..put(loaded.as_ref().map_err(String::as_str))
    };
    let name = put.digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string());
    let resource = format!("Canon::\"{name}\"");
    let domain = domain.unwrap_or_else(|| "ledger".to_owned());
    let mut act = act(home.tenant, &domain, who, "canon.propose", resource);
    act.canon = current.as_ref().map(Canon::digest);
    act.args.insert("folder".into(), dir.display().to_string().into());
    act.args.insert("evidence".into(), Value::list(evidence.iter().copied()));
    let append = |draft| home.append(vec![draft]).map(drop);
    record(&home, &act, &Facts::Put(put), current.as_ref(), &append)
}

fn put_forward(
    dir: &Path,
    who: &Actor,
    evidence: &[u64],
    note: Option<&str>,
    home: Open<'_>,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let (source, canon) = canon_dir::load(dir)?;
    let report = canon.test();
    if !report.failed.is_empty() {
        return Err(Failure::advise(
            Exit::BadInput,
            format!(
                "{}, so it could never be activated",
                counted(report.failed.len() as u64, "of its tests fails", "of its tests fail")
            ),
            format!("cognitionos canon test {}", word(&dir.display().to_string())),
        ));
    }
    warn(&canon, &report, terminal);
    let home = home()?;
    let change = home.change_control()?;
    knows_evidence(&home, evidence)?;
    let in_force = change.in_force(canon.domain());
    let environment = "any";
    let not = |error| refused(error, None, None);
    if in_force.is_none() {
        home.keep_canon(&source, canon.digest())?;
        let draft = change.found(&canon, environment, who).map_err(not)?;
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
    knows_actor(current.as_ref(), who)?;
    let id = ProposalId::new(SystemClock.now(), &mut SystemEntropy::new())?;
    let mut draft = change.propose(id, &canon, environment, who, evidence).map_err(not)?;
    if let Some(note) = note {
        draft = draft.saying("note", note);
    }
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
        let proposal = home.change_control()?.proposal(id).cloned();
        let whom = proposal.zip(current).map(|(proposal, current)| next(&proposal, &current));
        let whom = whom.flatten().unwrap_or_else(|| "user:NAME".to_owned());
        let dir = word(&dir.display().to_string());
        terminal.note(&format!("next: cognitionos canon impact {dir}"));
        terminal.note(&format!("then: cognitionos canon approve {id} --as {whom}"));
    }
    Ok(Exit::Done)
}

/// Whoever has a part in a change must be somebody in the canon in force.
fn knows_actor(current: Option<&Canon>, who: &Actor) -> anyhow::Result<()> {
    if current.is_some_and(|current| current.knows(who.as_str())) {
        return Ok(());
    }
    let known = current.into_iter().flat_map(approvers).next();
    Err(Failure::advise(
        Exit::Refused,
        format!("the canon in force does not know {who}"),
        format!("--as somebody whom it knows, such as {}", known.unwrap_or("user:NAME".into())),
    ))
}

/// Evidence must be an entry of this ledger, one that can be evidence, and of no run that is open.
fn knows_evidence(home: &Home, evidence: &[u64]) -> anyhow::Result<()> {
    let scope = home.scope()?;
    for seq in evidence {
        let entry = scope.entry(*seq).map_err(told)?;
        let entry = entry.filter(|it| matches!(it.kind(), Kind::Evidence | Kind::Outcome));
        let entry = entry.ok_or_else(|| {
            let message = format!("entry {seq} is no evidence: name an outcome or evidence entry");
            let listed = "cognitionos ledger list --kind outcome";
            Failure::advise(Exit::BadInput, message, listed)
        })?;
        let Some(run) = entry.session() else { continue };
        let session = scope.session(run).map_err(told)?;
        if session.is_none_or(|session| session.status.is_none()) {
            let message = format!(
                "entry {seq} is of {run}, which is not sealed: nobody knows yet what it comes to"
            );
            return Err(Failure::coded(
                Exit::Refused,
                "evidence.not_sealed",
                message,
                home.brings_on(run),
            ));
        }
    }
    Ok(())
}

/// Do something with a proposal, on the record.
pub(super) fn change(
    deed: Deed<'_>,
    id: &str,
    actor: &str,
    home: Open<'_>,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let id: ProposalId = given::id(id, LIST)?;
    let who = given::actor(actor)?;
    let home = home()?;
    changed(&deed, id, &who, &home, terminal)
        .map_err(|error| explained(error, not_changed(&deed, id, &who, &home)))
}

/// Record that nothing is done with a proposal, if that is a refusal.
fn not_changed(
    deed: &Deed<'_>,
    id: ProposalId,
    who: &Actor,
    home: &Home,
) -> anyhow::Result<Option<String>> {
    let change = home.change_control()?;
    let proposal = change.proposal(id);
    let domain = proposal.map_or("ledger", |proposal| proposal.domain.as_str());
    let in_force = change.in_force(domain);
    let current = in_force.and_then(|digest| home.canon(digest).ok().flatten());
    let proposed = proposal.and_then(|proposal| home.canon(proposal.digest).ok().flatten());
    let is_sound = proposed.is_some_and(|canon| canon.test().failed.is_empty());
    let proposal = proposal.cloned().map(Box::new);
    let facts = Facts::Change { in_force, proposal, is_sound };
    let mut act = act(home.tenant, domain, who, deed.action(), Proposal::resource_of(id));
    act.canon = current.as_ref().map(Canon::digest);
    if let Deed::Reject { reason } = deed {
        act.args.insert("reason".into(), (*reason).into());
    }
    let append = |draft| home.append(vec![draft]).map(drop);
    record(home, &act, &facts, current.as_ref(), &append)
}

fn changed(
    deed: &Deed<'_>,
    id: ProposalId,
    who: &Actor,
    home: &Home,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let change = home.change_control()?;
    let unknown = || refused(NotChanged::Unknown(id), None, None);
    let proposal = change.proposal(id).ok_or_else(unknown)?;
    let (current, proposed) = canons(home, &change, proposal)?;
    knows_actor(Some(&current), who)?;
    let drafts = deed.drafts(&change, id, who, &current);
    let drafts = drafts.map_err(|error| refused(error, Some(proposal), Some(&current)))?;
    let sound = proposed.is_some_and(|canon| canon.test().failed.is_empty());
    if !sound && !matches!(deed, Deed::Reject { .. }) {
        return Err(Failure::advise(
            Exit::Refused,
            "the proposed canon is not kept here, or its tests fail",
            format!("cognitionos canon reject {id} --reason TEXT --as {who}"),
        ));
    }
    home.append(drafts)?;
    let after = home.change_control()?;
    let stale = newly_stale(&change, &after);
    let word = deed.done();
    if terminal.json {
        terminal.emit(&Value::map([
            ("proposal", Value::from(id)),
            ("state", word.into()),
            ("by", who.as_str().into()),
            ("stale", Value::list(stale.iter().map(|proposal| proposal.id))),
        ]));
        return Ok(Exit::Done);
    }
    terminal.say(&format!("{word} {id} by {who}"));
    for proposal in stale {
        terminal.note(&format!("{} {}", proposal.id, after.standing(proposal)));
        terminal.note(&format!("  {}", remedy(proposal)));
    }
    Ok(Exit::Done)
}

/// The canon in force where a proposal is for, and the proposed one if it is kept here.
fn canons(
    home: &Home,
    change: &ChangeControl,
    proposal: &Proposal,
) -> anyhow::Result<(Canon, Option<Canon>)> {
    let current = change.in_force(&proposal.domain);
    let current = current.map(|digest| home.canon(digest)).transpose()?.flatten();
    let current = current.ok_or_else(|| {
        let message = "canon.missing: the canon in force is not kept here";
        Failure::advise(Exit::Failed, message, "cognitionos ledger verify")
    })?;
    Ok((current, home.canon(proposal.digest)?))
}

/// The proposals that a change left without the version they were made from.
fn newly_stale<'a>(before: &ChangeControl, after: &'a ChangeControl) -> Vec<&'a Proposal> {
    let is_stale = |change: &ChangeControl, id| {
        let standing = change.proposal(id).map(|proposal| change.standing(proposal));
        matches!(standing, Some(Standing::Stale { .. }))
    };
    let stale = |it: &&Proposal| is_stale(after, it.id) && !is_stale(before, it.id);
    after.proposals().filter(stale).collect()
}

/// What to do about a stale proposal.
fn remedy(proposal: &Proposal) -> String {
    format!(
        "propose it again from the one in force, or: cognitionos canon reject {} --reason TEXT \
         --as user:NAME",
        proposal.id
    )
}

/// Everybody who may approve a change under this canon.
fn approvers(canon: &Canon) -> Vec<String> {
    let groups = canon.settings().change.approvers.iter();
    groups.flat_map(|group| canon.people(group)).collect()
}

/// Somebody whose approval a proposal could still use: rather not who proposed it.
fn next(proposal: &Proposal, current: &Canon) -> Option<String> {
    let open = |who: &String| !proposal.approved_by.contains(who);
    let others = approvers(current).into_iter().filter(open);
    others.max_by_key(|who| *who != proposal.by)
}

/// Why something is not done, and what to do: where `proposal` and the canon in force are
/// known, by whom.
fn refused(
    error: NotChanged,
    proposal: Option<&Proposal>,
    current: Option<&Canon>,
) -> anyhow::Error {
    let whom = proposal.zip(current).and_then(|(proposal, current)| next(proposal, current));
    let whom = whom.unwrap_or_else(|| "user:NAME".to_owned());
    let propose = "cognitionos canon propose DIR --as user:NAME";
    let approve = proposal.map(|it| format!("cognitionos canon approve {} --as {whom}", it.id));
    let approve = approve.unwrap_or_else(|| LIST.to_owned());
    let is_enough = proposal.zip(current).is_some_and(|(proposal, current)| {
        let by: Vec<_> = proposal.approved_by.iter().map(String::as_str).collect();
        current.settings().change.admits(current, &proposal.by, &by).is_ok()
    });
    let activate =
        proposal.map(|it| format!("cognitionos canon activate {} --as user:NAME", it.id));
    let (exit, advice) = match &error {
        NotChanged::InForce(_) => (Exit::Conflict, propose.to_owned()),
        NotChanged::BaseMoved(_) => (Exit::Conflict, format!("{propose}, from the one in force")),
        NotChanged::NoChange => (Exit::Conflict, LIST.to_owned()),
        NotChanged::Unknown(_) | NotChanged::Closed { .. } => (Exit::BadInput, LIST.to_owned()),
        NotChanged::Twice(_) if is_enough => (Exit::Refused, activate.unwrap_or(approve)),
        NotChanged::Rule(_) | NotChanged::Twice(_) => (Exit::Refused, approve),
        NotChanged::NotAPerson(_) => (Exit::Refused, format!("--as a person, such as {whom}")),
        NotChanged::NotOfGroup { .. } => {
            (Exit::Refused, format!("--as somebody of those, such as {whom}"))
        }
    };
    Failure::advise(exit, error, advice)
}

pub(super) fn list(home: &Home, terminal: &Terminal) -> anyhow::Result<Exit> {
    let change = home.change_control()?;
    if terminal.json {
        let active = change.domains().map(|(domain, digest)| {
            Value::map([("domain", Value::from(domain)), ("digest", digest.into())])
        });
        let proposals = change.proposals().map(|it| json(it, &change.standing(it)));
        terminal.emit(&Value::map([
            ("active", Value::list(active)),
            ("proposals", Value::list(proposals)),
        ]));
        return Ok(Exit::Done);
    }
    if change.domains().next().is_none() {
        terminal.note("no canon is in force; the first run of a workflow with one founds it");
    }
    for (domain, digest) in change.domains() {
        let word = terminal.tint(Tone::Good, &format!("{:<10}", "in force"));
        terminal.say(&format!("{word}  {domain}  {digest}"));
    }
    for proposal in change.proposals() {
        listed(proposal, &change.standing(proposal), terminal);
    }
    Ok(Exit::Done)
}

fn listed(proposal: &Proposal, standing: &Standing, terminal: &Terminal) {
    let tone = match standing {
        Standing::Open => Tone::Ask,
        Standing::InForce => Tone::Good,
        Standing::Stale { .. } | Standing::Rejected { .. } => Tone::Bad,
        Standing::Superseded { .. } => Tone::Faint,
    };
    let word = terminal.tint(tone, &format!("{:<10}", state(standing)));
    let approved = proposal.approved_by.iter().map(String::as_str).collect::<Vec<_>>();
    terminal.say(&format!(
        "{word}  {}  {}  {}  by {}, approved by {}",
        proposal.id,
        proposal.domain,
        proposal.digest.short(),
        proposal.by,
        if approved.is_empty() { "nobody yet".to_owned() } else { approved.join(", ") }
    ));
    match standing {
        Standing::Open | Standing::InForce => {}
        Standing::Stale { .. } => {
            terminal.say(&format!("            it {standing}"));
            terminal.say(&format!("            {}", remedy(proposal)));
        }
        Standing::Superseded { .. } | Standing::Rejected { .. } => {
            terminal.say(&format!("            it {}", plain(&standing.to_string())));
        }
    }
}

fn json(proposal: &Proposal, standing: &Standing) -> Value {
    let superseded = match standing {
        Standing::Superseded { by, .. } => *by,
        Standing::Open | Standing::Stale { .. } | Standing::InForce | Standing::Rejected { .. } => {
            None::<Digest>
        }
    };
    Value::map([
        ("proposal", Value::from(proposal.id)),
        ("domain", proposal.domain.as_str().into()),
        ("digest", proposal.digest.into()),
        ("base", proposal.base.into()),
        ("by", proposal.by.as_str().into()),
        ("approved_by", Value::list(proposal.approved_by.iter().map(String::as_str))),
        ("evidence", Value::list(proposal.evidence.iter().copied())),
        ("state", state(standing).into()),
        ("superseded_by", superseded.into()),
    ])
}

const fn state(standing: &Standing) -> &'static str {
    match standing {
        Standing::Open => "open",
        Standing::Stale { .. } => "stale",
        Standing::InForce => "activated",
        Standing::Superseded { .. } => "superseded",
        Standing::Rejected { .. } => "rejected",
    }
}
