//! `approvals delegate`: another person answers in the place of one who may.

use cog_base::Value;
use cog_base::id::ApprovalId;
use cog_engine::Input;
use cog_gate::Actor;
use cog_gate::act::{Act, Facts};
use cog_gate::approvals::{NotCounted, Request};
use cog_ledger::Draft;
use cog_node::Delegated;

use super::{LIST, Requests, governed, heard, not_counted, now, read};
use crate::cli::Common;
use crate::cli::nodes::Asking;
use crate::commands::owner::Answered;
use crate::commands::refused::{earlier, explained, record};
use crate::control::live::About;
use crate::control::request as asked;
use crate::control::{self, Way};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::terminal::{Terminal, plain};

pub(super) fn delegate(
    id: &str,
    (who, to): (&str, &str),
    reason: Option<&str>,
    (asking, common): (&Asking, &Common),
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let (id, who, to) = (given::id(id, LIST)?, given::actor(who)?, given::actor(to)?);
    let request = asked::Request::Delegate { id, who, to, reason: reason.map(str::to_owned) };
    let document = control::done(asking, &common.data, &request)?;
    if terminal.json {
        terminal.emit(&document);
        return Ok(Exit::Done);
    }
    let text = |name| plain(document.get(name).and_then(Value::as_text).unwrap_or_default());
    let seq = document.get("entry").and_then(Value::as_u64).unwrap_or_default();
    let (by, to) = (text("by"), text("to"));
    terminal.say(&format!("{to} answers in the place of {by}, entry {seq}"));
    terminal.note(&format!("next: cognitionos approvals approve {id} --as {to}"));
    Ok(Exit::Done)
}

/// Have another person answer, and say in a document what came of it.
pub(crate) fn decide(
    way: &Way<'_>,
    id: ApprovalId,
    (who, to): (&Actor, &Actor),
    reason: Option<&str>,
) -> anyhow::Result<Value> {
    let mut requests = read(way.home())?;
    let escalated = super::escalate(way, &mut requests, id)?;
    let (request, canon) = governed(way.home(), &requests, id)?;
    let at = now(way.home())?;
    let draft = requests.approvals.delegate(id, (who, to), reason, &canon, at);
    let draft = match draft {
        Ok(draft) => draft,
        Err(error) => return Err(refused(way, &requests, (request, (who, to)), &error, &canon)),
    };
    let seq = carried(way, request, (who, to, reason), escalated.into_iter().chain([draft]))?;
    Ok(Value::map([
        ("id", Value::from(id)),
        ("by", who.as_str().into()),
        ("to", to.as_str().into()),
        ("entry", seq.into()),
        ("run", request.session.into()),
    ]))
}

/// Have it recorded by whoever has the run in hand, else here.
fn carried(
    way: &Way<'_>,
    request: &Request,
    (who, to, reason): (&Actor, &Actor, Option<&str>),
    drafts: impl Iterator<Item = Draft>,
) -> anyhow::Result<u64> {
    let (run, approval) = (request.session, request.id);
    let (who, to, reason) = (who.clone(), to.clone(), reason.map(str::to_owned));
    if let Some(owner) = way.owner() {
        let asked = Box::new(Delegated { run, approval, who, to, reason });
        return match owner.ask(&cog_node::Request::Delegate(asked))? {
            Answered::Done(seq) => Ok(seq),
            Answered::Refused(why) => Err(Failure::advise(Exit::Refused, why, LIST)),
        };
    }
    if let Some(live) = way.live(run) {
        let about = About::Delegate(approval, who.clone());
        let input = Input::Delegate { run, approval, who: who.clone(), to, reason };
        return heard(way.home(), live.deliver(run, about, input), request, &who);
    }
    way.append(drafts.collect())
}

/// Why it may not be, on record as an answer that does not count is.
fn refused(
    way: &Way<'_>,
    requests: &Requests,
    (request, (who, to)): (&Request, (&Actor, &Actor)),
    error: &NotCounted,
    canon: &cog_canon::Canon,
) -> anyhow::Error {
    let home = way.home();
    let told = not_counted(home, error, request, canon);
    let (run, id) = (request.session, request.id);
    let waits = !requests.withdrawn.contains_key(&id);
    let facts = Facts::Answer { request: Some(Box::new(request.clone())), waits, is_seen: true };
    let place = (home.tenant, Some(run));
    let act = Act::delegate(place, request.place(), id, (who, to), Some(canon));
    if way.owner().is_none() && way.live(run).is_none() {
        let append = |draft: Draft| way.append(vec![draft]).map(drop);
        return explained(told, record(home, &act, &facts, Some(canon), &append));
    }
    // Whoever has the run in hand refuses it on record.
    if let Err(error) = carried(way, request, (who, to, None), std::iter::empty())
        && error.downcast_ref::<Failure>().is_none_or(|it| it.exit != Exit::Refused)
    {
        return error;
    }
    let denial = now(home).and_then(|at| {
        let no = act.judge(&facts, at, Some(canon));
        no.map_or(Ok(None), |no| earlier(home, &act, &act.same(&no)))
    });
    explained(told, denial)
}
