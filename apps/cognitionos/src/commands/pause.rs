//! `pause` and `unpause`: holding a run that is open, and letting it go on.

use cog_base::Value;
use cog_base::id::RunId;
use cog_engine::Input;
use cog_engine::kin::below;
use cog_engine::replay::replay_run;
use cog_gate::{Actor, Wish};
use cog_ledger::Kind;

use super::owner::Answered;
use super::run::engine;
use super::run::family::kin;
use crate::cli::{Common, HoldArgs};
use crate::control::live::{About, Said};
use crate::control::request::Request;
use crate::control::{self, Way, goes_on};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::terminal::Terminal;

pub(crate) fn hold(
    args: &HoldArgs,
    pauses: bool,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let (run, who) = (given::run(&args.run)?, given::actor(&args.by.actor)?);
    let request = Request::Hold { run, pauses, who, reason: args.because.reason.clone() };
    let document = control::done(&args.asking, &common.data, &request)?;
    if terminal.json {
        terminal.emit(&document);
        return Ok(Exit::Done);
    }
    let seq = document.get("entry").and_then(Value::as_u64).unwrap_or_default();
    terminal.say(&format!("{} by {}, entry {seq}", stands(pauses), args.by.actor));
    if !pauses {
        goes_on(&document, terminal);
    }
    Ok(Exit::Done)
}

fn stands(pauses: bool) -> &'static str {
    if pauses { "paused" } else { "unpaused" }
}

/// Hold a run or let it go on, and say in a document what came of it.
pub(crate) fn decide(
    way: &Way<'_>,
    run: RunId,
    pauses: bool,
    (who, reason): (&Actor, &str),
) -> anyhow::Result<Value> {
    let home = way.home();
    let run = home.newest_of(run)?;
    let does = if pauses { "paused" } else { "let go on" };
    let cannot = |why: &str| {
        let message = format!("{run} cannot be {does}: {why}");
        Failure::advise(Exit::Conflict, message, format!("cognitionos why {run}"))
    };
    let may_not = |denial: &str, why: &str| {
        let what = if pauses { format!("pause {run}") } else { format!("let {run} go on") };
        let message = format!("{who} may not {what}. {why}");
        Failure::advise(Exit::Refused, message, format!("cognitionos why {denial}"))
    };
    let document = |seq: u64, under_way: bool| {
        Value::map([
            ("run", Value::from(run)),
            ("stands", stands(pauses).into()),
            ("entry", seq.into()),
            ("under_way", under_way.into()),
        ])
    };
    if let Some(live) = way.live(run) {
        let (who, reason) = (who.clone(), reason.to_owned());
        let input = if pauses {
            Input::Pause { run, who, reason }
        } else {
            Input::Unpause { run, who, reason }
        };
        match live.deliver(run, About::Hold(pauses), input)? {
            Said::No(why) => return Err(cannot(&why)),
            Said::Refused { denial, reason } => return Err(may_not(&denial, &reason)),
            Said::Done | Said::Again | Said::Already(_) | Said::Ended { .. } => {}
        }
        let kinds = [if pauses { Kind::SessionPaused } else { Kind::SessionUnpaused }];
        return Ok(document(home.newest(run, &kinds, |_| true)?.unwrap_or_default(), true));
    }
    let records = home.open_records(run)?;
    let history = replay_run(&records).map_err(|error| {
        let message = format!("{run} cannot be rebuilt: {error}");
        Failure::advise(Exit::Failed, message, "cognitionos ledger verify")
    })?;
    history.can_hold(pauses).map_err(cannot)?;
    let wish = if pauses { Wish::Pause } else { Wish::Unpause };
    if let Some(owner) = way.owner() {
        let (reason, seen) = (reason.to_owned(), home.size()?);
        let request = cog_node::Request::Hold { run, pauses, who: who.clone(), reason, seen };
        return match owner.ask(&request)? {
            Answered::Done(seq) => Ok(document(seq, true)),
            Answered::Refused(why) => Err(match owner.denied((run, seen), wish, who)? {
                Some(denial) => may_not(&denial, &why),
                None => cannot(&why),
            }),
        };
    }
    let mut engine = engine(home, true)?;
    if let Some(no) =
        engine.refuse_of_run((history.origin(), history.subject()), wish, who, reason)?
    {
        way.append(vec![no.draft])?;
        return Err(may_not(&no.id.to_string(), &no.reason));
    }
    let mut drafts = vec![history.hold(pauses, who, reason)];
    // The runs that it began are held with it.
    for records in below(&records, &kin(home, run, &records)?) {
        let below = replay_run(records).ok();
        let id = below.as_ref().map(|below| below.origin().session);
        if let Some(live) = id.filter(|id| way.live(*id).is_some()) {
            return Err(cannot(&format!("{live}, which it began, is under way without it")));
        }
        drafts.extend(below.and_then(|it| it.hold_with(pauses, who, reason, run)));
    }
    Ok(document(way.append(drafts)?, false))
}
