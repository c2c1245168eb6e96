//! `signal`: a message from outside to a run that is open.

use cog_base::id::RunId;
use cog_base::json::parse_taken;
use cog_base::suggest::nearest;
use cog_base::{Clock as _, Value};
use cog_engine::replay::replay_run;
use cog_engine::{History, Input, Sent};
use cog_flow::Signal;
use cog_ledger::{Entry, Kind};

use crate::cli::{Common, SignalArgs};
use crate::commands::owner::Answered;
use crate::control::live::{About, Said};
use crate::control::request::Request;
use crate::control::{self, Way, goes_on};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::Home;
use crate::system::SystemClock;
use crate::terminal::Terminal;
use crate::view::told::send;

pub(crate) fn signal(
    args: &SignalArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let request = Request::Signal { run: given::run(&args.run)?, sent: read(args)? };
    tell(&control::done(&args.asking, &common.data, &request)?, terminal);
    Ok(Exit::Done)
}

/// Have a run take a signal, and say in a document what came of it.
pub(crate) fn decide(way: &Way<'_>, run: RunId, sent: &Sent) -> anyhow::Result<Value> {
    let (home, signal) = (way.home(), &sent.signal);
    let run = home.newest_of(run)?;
    let refused = |why: &str| {
        let message = format!("{run} does not take the signal `{}`: {why}", signal.name);
        let history = home.history(run).ok().and_then(|past| replay_run(&past).ok());
        let awaited = history.as_ref().map(History::signals_awaited).unwrap_or_default();
        let meant = nearest(&signal.name, awaited.iter().map(|(_, name)| name.as_str()));
        let advice = meant.map_or_else(
            || format!("cognitionos why {run}"),
            |meant| format!("did you mean `{meant}`? {}", send(run, meant)),
        );
        Failure::advise(Exit::Conflict, message, advice)
    };
    if let Some(live) = way.live(run) {
        let input = Input::Signal { run, sent: Box::new(sent.clone()) };
        let again = match live.deliver(run, About::Signal(signal.id.clone()), input)? {
            Said::No(why) | Said::Refused { reason: why, .. } => return Err(refused(&why)),
            Said::Again => true,
            Said::Done | Said::Already(_) | Said::Ended { .. } => false,
        };
        let is_it = |entry: &Entry| entry.text("signal") == Some(&signal.id);
        let seq = home.newest(run, &[Kind::Signal], is_it)?.filter(|_| !again);
        return Ok(document(run, signal, seq, (true, is_held(home, run)?)));
    }
    if let Err(ended) = home.is_open(run) {
        let past = replay_run(&home.history(run)?).ok();
        let is_taken = past.is_some_and(|past| past.signal(sent) == Ok(None));
        return if is_taken { Ok(taken_before(run, signal)) } else { Err(ended) };
    }
    let history = replay_run(&home.open_records(run)?).map_err(|error| {
        let message = format!("{run} cannot be rebuilt: {error}");
        Failure::advise(Exit::Failed, message, "cognitionos ledger verify")
    })?;
    let draft = history.signal(sent).map_err(|why| refused(&why))?;
    let Some(owner) = way.owner() else {
        let seq = draft.map(|draft| way.append(vec![draft])).transpose()?;
        return Ok(document(run, signal, seq, (false, is_held(home, run)?)));
    };
    if draft.is_none() {
        return Ok(document(run, signal, None, (true, is_held(home, run)?)));
    }
    match owner.ask(&cog_node::Request::Signal { run, sent: Box::new(sent.clone()) })? {
        Answered::Done(seq) => Ok(document(run, signal, Some(seq), (true, is_held(home, run)?))),
        Answered::Refused(why) => Err(refused(&why)),
    }
}

/// Whether somebody holds a run that is not over, now that it has the signal.
fn is_held(home: &Home, run: RunId) -> anyhow::Result<bool> {
    Ok(replay_run(&home.history(run)?).is_ok_and(|history| history.can_hold(false).is_ok()))
}

/// What is to be sent, checked before anything is opened.
fn read(args: &SignalArgs) -> anyhow::Result<Sent> {
    let from = given::actor(&args.by.actor)?;
    let payload = parse_taken(&args.payload).map_err(|error| {
        let message = format!("`--payload` is no JSON that can be kept: {error}");
        Failure::advise(Exit::BadInput, message, "--payload '{\"name\": 1}'; a text is '\"text\"'")
    })?;
    let id = args.id.clone().unwrap_or_else(|| SystemClock.now().to_string());
    let (name, from) = (args.name.clone(), from.as_str().to_owned());
    let signal = Signal { id, name, from, payload };
    signal.check().map_err(|error| Failure::told(Exit::BadInput, error))?;
    Ok(Sent { signal, subject: args.subject.clone() })
}

fn document(
    run: RunId,
    signal: &Signal,
    seq: Option<u64>,
    (under_way, paused): (bool, bool),
) -> Value {
    Value::map([
        ("run", Value::from(run)),
        ("signal", signal.id.as_str().into()),
        ("name", signal.name.as_str().into()),
        ("entry", seq.into()),
        ("again", seq.is_none().into()),
        ("under_way", under_way.into()),
        ("paused", paused.into()),
    ])
}

/// A run that has ended took the signal before.
fn taken_before(run: RunId, signal: &Signal) -> Value {
    let ended = ("ended".to_owned(), Value::from(true));
    let told = document(run, signal, None, (false, false));
    Value::Map(told.as_map().cloned().unwrap_or_default().into_iter().chain([ended]).collect())
}

fn tell(document: &Value, terminal: &Terminal) {
    if terminal.json {
        terminal.emit(document);
        return;
    }
    let text = |name| document.get(name).and_then(Value::as_text).unwrap_or_default();
    let id = text("signal");
    match document.get("entry").and_then(Value::as_u64) {
        Some(seq) => terminal.say(&format!("sent `{}` ({id}), entry {seq}", text("name"))),
        None => terminal.say(&format!("the run has the signal {id} already: nothing was sent")),
    }
    if document.get("ended").is_some() {
        return terminal.note("it has ended");
    }
    goes_on(document, terminal);
}
