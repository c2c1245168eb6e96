//! `approvals`: what waits for people, and their answers.

pub(crate) mod delegate;
pub(crate) mod form;

use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::{ApprovalId, RunId};
use cog_base::json::Map;
use cog_base::{Clock as _, Timestamp, Value};
use cog_canon::Canon;
use cog_engine::replay::replay_run;
use cog_engine::{Input, Intervention, Record};
use cog_gate::Actor;
use cog_gate::act::{Act, Facts};
use cog_gate::approvals::{Approvals, NotCounted, Request, filled};
use cog_ledger::{Draft, Entry, Kind};
use cog_store::Select;

use crate::cli::nodes::Asking;
use crate::cli::{ApprovalsCommand, Common};
use crate::commands::owner::Answered;
use crate::commands::refused::{earlier, explained, record};
use crate::control::live::{About, Gone, Said};
use crate::control::request as asked;
use crate::control::{self, Way, goes_on};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, no_canon, told};
use crate::system::SystemClock;
use crate::terminal::{Terminal, Tone, plain};
use crate::view::told::{lines, standing, stands};

/// Where requests are listed.
const LIST: &str = "cognitionos approvals list";
const KINDS: [Kind; 5] = [
    Kind::ApprovalRequested,
    Kind::ApprovalEscalated,
    Kind::ApprovalDelegated,
    Kind::ApprovalGranted,
    Kind::ApprovalRejected,
];

pub(crate) fn approvals(
    command: &ApprovalsCommand,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    match command {
        ApprovalsCommand::List { at } => {
            list(&Home::at(at, || Home::read(&common.data))?, terminal)
        }
        ApprovalsCommand::Approve { id, field, fields, by, asking } => {
            let given = form::given(field, fields.as_deref())?;
            answer(id, &by.actor, Ok(given), (asking, common), terminal)
        }
        ApprovalsCommand::Delegate { id, to, reason, by, asking } => {
            let both = (by.actor.as_str(), to.as_str());
            delegate::delegate(id, both, reason.as_deref(), (asking, common), terminal)
        }
        ApprovalsCommand::Reject { id, because, by, asking } => {
            answer(id, &by.actor, Err(because.reason.clone()), (asking, common), terminal)
        }
    }
}

/// The requests of the runs that are still open.
struct Requests {
    approvals: Approvals,
    /// Those that their run does not wait for any more, and why.
    withdrawn: BTreeMap<ApprovalId, String>,
}

fn read(home: &Home) -> anyhow::Result<Requests> {
    let mut approvals = Approvals::default();
    let mut withdrawn = BTreeMap::new();
    let open = home.scope()?.open_sessions().map_err(told)?;
    for session in open {
        let select = Select { kinds: KINDS.into(), ..Select::session(session) };
        home.each(select, |entry| approvals.observe(entry))?;
        let waiting = approvals.waiting().filter(|request| request.session == session);
        let waiting: Vec<_> = waiting.map(|request| request.id).collect();
        if !waiting.is_empty() {
            withdrawn.extend(given_up(&home.history(session)?, waiting));
        }
    }
    Ok(Requests { approvals, withdrawn })
}

/// Those requests that the run does not wait for any more: it is being cancelled, or what was
/// asked for has fallen.
fn given_up(records: &[Record], asked: Vec<ApprovalId>) -> Vec<(ApprovalId, String)> {
    // Of a run that cannot be rebuilt nobody can tell; what is answered there changes nothing.
    let Ok(history) = replay_run(records) else { return Vec::new() };
    let waits = history.waits_for();
    let why = match history.cancelled() {
        Some(Intervention { by, reason }) => {
            format!("the run is being cancelled, by {by}: {}", plain(reason))
        }
        None => "the run does not wait for it any more".to_owned(),
    };
    let asked = asked.into_iter().filter(|id| !waits.contains(id));
    asked.map(|id| (id, why.clone())).collect()
}

fn list(home: &Home, terminal: &Terminal) -> anyhow::Result<Exit> {
    let Requests { approvals, withdrawn } = read(home)?;
    let change = home.change_control()?;
    // What was asked under a canon that is not in force any more is asked anew on resume.
    let current = |request: &&Request| change.domains().any(|(_, canon)| canon == request.canon);
    let is_wanted = |request: &&Request| !withdrawn.contains_key(&request.id);
    let waiting = approvals.waiting().filter(is_wanted);
    let (waiting, outdated): (Vec<_>, Vec<_>) = waiting.partition(current);
    let again: BTreeSet<RunId> = outdated.iter().map(|request| request.session).collect();
    for run in again {
        let how = home.brings_on(run);
        terminal.note(&format!(
            "{run} asked under a canon that is not in force any more; it asks anew by {how}"
        ));
    }
    let now = now(home)?;
    if terminal.json {
        let waiting: Result<Vec<_>, _> =
            waiting.into_iter().map(|request| json(home, request, now)).collect();
        terminal.emit(&Value::list(waiting?));
        return Ok(Exit::Done);
    }
    if waiting.is_empty() {
        terminal.note("nothing waits for approval");
    }
    for request in waiting {
        terminal.say(&format!(
            "{}  {}",
            terminal.tint(Tone::Ask, &request.id.to_string()),
            plain(&request.step)
        ));
        terminal.say(&format!("  {} on {}", plain(&request.action), plain(&request.resource)));
        for line in arguments(home, request)?.unwrap_or_default() {
            terminal.say(&format!("    {line}"));
        }
        let of = of(request).join(" or ");
        for (who, to) in &request.delegated {
            terminal.say(&format!("  {to} answers in the place of {who}"));
        }
        let given = request.granted.len();
        terminal.say(&format!(
            "  needs {} of {of}, has {given}; asked by {}, until {}",
            request.need.count, request.actor, request.expires
        ));
        if let Some((at, later)) = request.escalates().zip(request.need.escalate.as_ref()) {
            terminal.say(&format!("  from {at} on {} may answer as well", later.of.join(" or ")));
        }
        if request.expires < now {
            let word = terminal.tint(Tone::Bad, "expired");
            let then = if request.is_step() { "refuses the step" } else { "asks anew" };
            // Nodes see by themselves that it is over.
            let resume = format!("; {} {then}", home.brings_on(request.session));
            let again = if home.is_of_nodes() { "" } else { resume.as_str() };
            terminal.say(&format!("  {word}: no answer counts any more{again}"));
        }
        terminal.say(&format!("  run {}", request.session));
    }
    Ok(Exit::Done)
}

/// Who may answer a request by now.
fn of(request: &Request) -> Vec<&str> {
    request.of().map(String::as_str).collect()
}

/// What exactly would be done and where, in words; nothing when the record of it is gone.
pub(crate) fn arguments(home: &Home, request: &Request) -> anyhow::Result<Option<Vec<String>>> {
    let Some(body) = body(home, request)? else { return Ok(None) };
    let told = args(&body).and_then(Value::as_map).map(lines);
    let folder = standing(&body).map(|(root, folder)| stands(&root, &folder));
    Ok(told.map(|told| folder.into_iter().chain(told).collect()))
}

/// The record beside a request.
fn body(home: &Home, request: &Request) -> anyhow::Result<Option<Value>> {
    let entries = home.scope()?.find(&request.id.to_string()).map_err(told)?;
    let Some(first) = entries.into_iter().next() else { return Ok(None) };
    Ok(home.record(first)?.body)
}

/// What exactly would be done.
fn args(body: &Value) -> Option<&Value> {
    body.at(&["intent", "context", "args"])
}

/// The time, but never before the ledger's last entry: a clock that is set back revives no
/// request.
fn now(home: &Home) -> anyhow::Result<Timestamp> {
    let tail = home.scope()?.tail().map_err(told)?;
    Ok(tail.map_or(Timestamp::MIN, |tail| tail.last_at).max(SystemClock.now()))
}

fn json(home: &Home, request: &Request, now: Timestamp) -> anyhow::Result<Value> {
    let body = body(home, request)?;
    let (root, folder) = body.as_ref().and_then(standing).unzip();
    Ok(Value::map([
        ("id", Value::from(request.id)),
        ("run", request.session.into()),
        ("step", request.step.as_str().into()),
        ("action", request.action.as_str().into()),
        ("resource", request.resource.as_str().into()),
        ("actor", request.actor.as_str().into()),
        ("initiator", request.initiator.as_str().into()),
        ("count", request.need.count.into()),
        ("of", Value::list(of(request))),
        ("escalates", request.escalates().into()),
        ("escalated", request.escalated.into()),
        ("granted", Value::list(request.granted.iter().map(String::as_str))),
        (
            "delegated",
            Value::map(request.delegated.iter().map(|(who, to)| (who.as_str(), to.as_str()))),
        ),
        ("intent", request.intent.into()),
        ("canon", request.canon.into()),
        ("expires", request.expires.into()),
        ("expired", (request.expires < now).into()),
        ("args", body.as_ref().and_then(args).cloned().into()),
        ("root", root.into()),
        ("folder", folder.into()),
    ]))
}

fn answer(
    id: &str,
    actor: &str,
    verdict: Result<asked::Given, String>,
    (asking, common): (&Asking, &Common),
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let (id, who) = (given::id(id, LIST)?, given::actor(actor)?);
    let request = asked::Request::Answer { id, who, verdict };
    let document = control::done(asking, &common.data, &request)?;
    if terminal.json {
        terminal.emit(&document);
        return Ok(Exit::Done);
    }
    let text = |name| document.get(name).and_then(Value::as_text).unwrap_or_default();
    let seq = document.get("entry").and_then(Value::as_u64).unwrap_or_default();
    terminal.say(&format!("{} by {}, entry {seq}", text("verdict"), text("by")));
    if !still_takes(id, &document, terminal) {
        goes_on(&document, terminal);
    }
    Ok(Exit::Done)
}

/// Say how many more must agree, if some must.
fn still_takes(id: ApprovalId, document: &Value, terminal: &Terminal) -> bool {
    let texts = |name| document.get(name).and_then(Value::as_list).unwrap_or_default();
    let texts = |name| texts(name).iter().filter_map(Value::as_text).collect::<Vec<_>>();
    let missing = document.get("missing").and_then(Value::as_u64).unwrap_or_default();
    if missing > 0 {
        terminal.say(&format!("  it takes {missing} more of {}", texts("of").join(" or ")));
        let other = texts("others").first().copied().unwrap_or("user:NAME");
        terminal.note(&format!("next: cognitionos approvals approve {id} --as {other}"));
    }
    missing > 0
}

/// Why a request that no open run waits for takes no answer.
fn over(home: &Home, id: ApprovalId) -> anyhow::Result<anyhow::Error> {
    let entries = home.scope()?.find(&id.to_string()).map_err(told)?;
    let Some(asked) = entries.iter().find(|it| it.kind() == Kind::ApprovalRequested) else {
        let message = format!("no open run waits for {id}");
        return Ok(Failure::advise(Exit::BadInput, message, LIST));
    };
    let did = |kind, did| {
        let of = entries.iter().filter(move |entry| entry.kind() == kind);
        of.map(move |entry| format!("{} {did} on {}", entry.actor(), entry.at()))
    };
    let answers = did(Kind::ApprovalGranted, "approved it");
    let answers = answers.chain(did(Kind::ApprovalRejected, "said no"));
    let answers = answers.collect::<Vec<_>>().join(", ");
    let answers = if answers.is_empty() { "nobody answered".to_owned() } else { answers };
    let run = asked.session().map(|run| run.to_string()).unwrap_or_default();
    let message = format!("no open run waits for {id} any more, {run} has ended: {answers}");
    Ok(Failure::advise(Exit::Conflict, message, format!("cognitionos why {id}")))
}

/// Take an answer to a request, and say in a document what came of it.
pub(crate) fn decide(
    way: &Way<'_>,
    id: ApprovalId,
    who: &Actor,
    verdict: Result<&asked::Given, &String>,
) -> anyhow::Result<Value> {
    let home = way.home();
    let mut requests = read(home)?;
    let verdict = match verdict {
        Ok(given) => Ok(form::bound(home, requests.approvals.get(id), given)?),
        Err(reason) => Err(reason),
    };
    let said = verdict.as_ref().map(drop).map_err(|reason| *reason);
    let escalated = escalate(way, &mut requests, id)?;
    let (request, canon, draft) = admitted(home, &requests, (id, who), said).map_err(|error| {
        let answer = (id, who, verdict.as_ref().map_err(|reason| reason.as_str()));
        explained(error, refused(way, &requests, answer))
    })?;
    let draft = verdict.as_ref().map_or_else(|_| draft.clone(), |form| filled(draft.clone(), form));
    let drafts = escalated.into_iter().chain([draft]).collect();
    let run = request.session;
    let word = if verdict.is_ok() { "approved" } else { "rejected" };
    let agrees = verdict.is_ok();
    let own = verdict.map_err(Clone::clone);
    let seq = if let Some(owner) = way.owner() {
        let (approval, who) = (id, who.clone());
        match owner.ask(&cog_node::Request::Answer { run, approval, who, verdict: own })? {
            Answered::Done(seq) => seq,
            Answered::Refused(why) => return Err(Failure::advise(Exit::Refused, why, LIST)),
        }
    } else if let Some(live) = way.live(run) {
        let input = Input::Answer { run, approval: id, who: who.clone(), verdict: own };
        heard(home, live.deliver(run, About::Answer(id, who.clone()), input), request, who)?
    } else {
        way.append(drafts)?
    };
    let said = [
        ("id", Value::from(id)),
        ("verdict", word.into()),
        ("by", who.as_str().into()),
        ("entry", seq.into()),
        ("run", run.into()),
        ("under_way", (way.owner().is_some() || way.live(run).is_some()).into()),
    ];
    Ok(Value::map(said.into_iter().chain(still(request, &canon, who, agrees))))
}

/// Whoever may answer from a time on may from that time on: where nobody has the run in hand, that
/// they may is recorded with their answer.
fn escalate(
    way: &Way<'_>,
    requests: &mut Requests,
    id: ApprovalId,
) -> anyhow::Result<Option<Draft>> {
    let now = now(way.home())?;
    let Some(run) = requests.approvals.get(id).map(|request| request.session) else {
        return Ok(None);
    };
    let draft = requests.approvals.escalate(id, now);
    Ok(draft.filter(|_| way.owner().is_none() && way.live(run).is_none()))
}

/// The request that an answer is to, the canon that counts, and the entry of the answer.
fn admitted<'r>(
    home: &Home,
    requests: &'r Requests,
    (id, who): (ApprovalId, &Actor),
    verdict: Result<(), &String>,
) -> anyhow::Result<(&'r Request, Canon, Draft)> {
    let (request, canon) = governed(home, requests, id)?;
    if verdict.is_ok() && body(home, request)?.as_ref().and_then(args).is_none() {
        return Err(Failure::coded(
            Exit::Refused,
            "body.absent",
            "what was asked for is not kept any more, and nobody approves what nobody can see",
            format!("cognitionos approvals reject {id} --reason TEXT --as {who}"),
        ));
    }
    let (now, approvals) = (now(home)?, &requests.approvals);
    let draft = match verdict {
        Ok(()) => approvals.grant(id, who, &canon, now),
        Err(reason) => approvals.reject(id, who, reason, &canon, now),
    };
    let draft = draft.map_err(|error| not_counted(home, &error, request, &canon))?;
    Ok((request, canon, draft))
}

/// A request that waits, and the canon that counts.
fn governed<'r>(
    home: &Home,
    Requests { approvals, withdrawn }: &'r Requests,
    id: ApprovalId,
) -> anyhow::Result<(&'r Request, Canon)> {
    let Some(request) = approvals.get(id) else { return Err(over(home, id)?) };
    if let Some(why) = withdrawn.get(&id) {
        return Err(Failure::advise(
            Exit::Conflict,
            format!("{id} was withdrawn: {why}"),
            home.brings_on(request.session),
        ));
    }
    let canon = home.canon(request.canon)?;
    let in_force = home.change_control()?;
    if canon.is_none() && in_force.domains().any(|(_, canon)| canon == request.canon) {
        return Err(no_canon(request.canon));
    }
    let canon = canon.filter(|canon| in_force.in_force(canon.domain()) == Some(canon.digest()));
    let canon = canon.ok_or_else(|| {
        Failure::advise(
            Exit::Conflict,
            "the canon changed since this was asked",
            if home.is_of_nodes() {
                format!("{LIST} when it was asked again")
            } else {
                format!("{} asks again", home.brings_on(request.session))
            },
        )
    })?;
    Ok((request, canon))
}

/// Have it recorded that an answer does not count: by whoever has the run in hand, else here. Gives
/// the id of the denial, if it is one.
fn refused(
    way: &Way<'_>,
    Requests { approvals, withdrawn }: &Requests,
    (id, who, verdict): (ApprovalId, &Actor, Result<&Map, &str>),
) -> anyhow::Result<Option<String>> {
    let home = way.home();
    let request = approvals.get(id);
    let is_seen = match request {
        Some(request) => body(home, request)?.as_ref().and_then(args).is_some(),
        None => true,
    };
    let run = request.map(|request| request.session);
    let (domain, environment) = request.map_or(("ledger", "any"), Request::place);
    // Where it cannot be read, nobody's answer counts.
    let in_force = home.change_control()?.in_force(domain);
    let canon = in_force.and_then(|digest| home.canon(digest).ok().flatten());
    let waits = request.is_some() && !withdrawn.contains_key(&id);
    let facts = Facts::Answer { request: request.cloned().map(Box::new), waits, is_seen };
    let place = (home.tenant, run);
    let said = verdict.map(drop);
    let mut act = Act::answer(place, (domain, environment), id, who, said, canon.as_ref());
    let own = verdict.cloned().map_err(str::to_owned);
    let told = run.filter(|_| is_seen || verdict.is_err());
    if let (Some(run), Some(owner)) = (told, way.owner()) {
        let (approval, who) = (id, who.clone());
        owner.ask(&cog_node::Request::Answer { run, approval, who, verdict: own })?;
    } else if way.owner().is_some() {
        // No run has it, and no node is asked about it.
        return Ok(None);
    } else if let Some((run, live)) = told.and_then(|run| Some((run, way.live(run)?))) {
        let input = Input::Answer { run, approval: id, who: who.clone(), verdict: own };
        live.deliver(run, About::Answer(id, who.clone()), input)?;
    } else {
        // What the run does not know of itself stands beside it while somebody has it in hand.
        act.session = run.filter(|run| way.live(*run).is_none());
        let append = |draft: Draft| way.append(vec![draft]).map(drop);
        return record(home, &act, &facts, canon.as_ref(), &append);
    }
    let no = act.judge(&facts, now(home)?, canon.as_ref());
    no.map_or(Ok(None), |no| earlier(home, &act, &act.same(&no)))
}

/// How many more people it takes after `who`, of whom, and who they could be.
fn still(
    request: &Request,
    canon: &Canon,
    who: &Actor,
    agrees: bool,
) -> [(&'static str, Value); 3] {
    let missing = if agrees { request.missing().saturating_sub(1) } else { 0 };
    let others = people(request, canon).into_iter().filter(|other| *other != who.as_str());
    [
        ("missing", Value::from(missing)),
        ("of", Value::list(of(request))),
        ("others", Value::list(others)),
    ]
}

/// The entry of an answer that a run under way was given.
fn heard(
    home: &Home,
    said: anyhow::Result<Said>,
    request: &Request,
    who: &Actor,
) -> anyhow::Result<u64> {
    if let Ok(Said::No(why)) = said {
        return Err(Failure::advise(Exit::Refused, why, LIST));
    }
    let is_it = |entry: &Entry| {
        entry.actor() == who.as_str() && entry.text("id") == Some(&request.id.to_string())
    };
    let kinds = [Kind::ApprovalGranted, Kind::ApprovalRejected, Kind::ApprovalDelegated];
    // A run that ended with this very answer says no more; its ledger does.
    match (home.newest(request.session, &kinds, is_it)?, said) {
        (Some(seq), _) => Ok(seq),
        (None, Err(error)) => Err(error),
        (None, Ok(_)) => Err(Gone.into()),
    }
}

/// Why an answer does not count, and what to do.
fn not_counted(home: &Home, error: &NotCounted, request: &Request, canon: &Canon) -> anyhow::Error {
    let resume = || home.brings_on(request.session);
    let advice = match error {
        NotCounted::Unknown(_) => LIST.to_owned(),
        NotCounted::Answered
        | NotCounted::Expired(_)
        | NotCounted::StepExpired(_)
        | NotCounted::Withdrawn(_)
        | NotCounted::CanonChanged => resume(),
        NotCounted::HandedOver { to, .. } => format!("--as {to}"),
        NotCounted::NoDelegate { .. } => {
            "name another person, or change the canon: docs/guide/canon.md, `runs.delegate`"
                .to_owned()
        }
        NotCounted::AgreedBefore { .. }
        | NotCounted::OwnRequest(_)
        | NotCounted::NotOfGroup { .. } => match people(request, canon).first() {
            Some(who) => format!("--as somebody of those who may, such as {who}"),
            None => "there is nobody left who may: the canon's facts name too few".to_owned(),
        },
    };
    Failure::advise(Exit::Refused, error, advice)
}

/// Who could answer a request: those in the groups it takes, but not who asks for it.
pub(crate) fn people(request: &Request, canon: &Canon) -> Vec<String> {
    let own = |who: &String| *who == request.actor || *who == request.initiator;
    let people = request.of().flat_map(|group| canon.people(group));
    let people: BTreeSet<String> = people.filter(|who| !own(who)).collect();
    let people = people.into_iter().filter(|who| !request.granted.contains(who));
    // Whoever has another person answer does not do so any more.
    let stands = |who: String| request.delegated.get(&who).cloned().unwrap_or(who);
    people.map(stands).collect::<BTreeSet<_>>().into_iter().collect()
}
