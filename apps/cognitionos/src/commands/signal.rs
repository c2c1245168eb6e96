//! `signal`: a message from outside to a run that is open.

use cog_base::id::RunId;
use cog_base::json::parse;
use cog_base::{Clock as _, Value};
use cog_engine::Sent;
use cog_engine::replay::replay_run;
use cog_flow::Signal;

use crate::cli::{Common, SignalArgs};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::Home;
use crate::system::SystemClock;
use crate::terminal::Terminal;

pub(crate) fn signal(
    args: &SignalArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let run = given::run(&args.run)?;
    let sent = read(args)?;
    let home = Home::change(&common.data)?;
    let history = replay_run(&home.records(run)?).map_err(|error| {
        let message = format!("{run} cannot be rebuilt: {error}");
        Failure::advise(Exit::Failed, message, "cognitionos ledger verify")
    })?;
    let draft = history.signal(&sent).map_err(|why| {
        let Signal { id, name, .. } = &sent.signal;
        let message = format!("{run} does not take the signal `{name}` ({id}): {why}");
        let advice = format!("cognitionos why {run}");
        Failure::advise(Exit::Conflict, message, advice)
    })?;
    let entries = match draft {
        Some(draft) => home.append(vec![draft])?,
        None => Vec::new(),
    };
    tell(run, &sent.signal, entries.first().map(|entry| entry.seq()), terminal);
    Ok(Exit::Done)
}

/// What is to be sent, checked before anything is opened.
fn read(args: &SignalArgs) -> anyhow::Result<Sent> {
    let from = given::actor(&args.by.actor)?;
    let payload = parse(&args.payload).map_err(|error| {
        let message = format!("`--payload` is no JSON: {error}");
        Failure::advise(Exit::BadInput, message, "--payload '{\"name\": 1}'; a text is '\"text\"'")
    })?;
    let id = args.id.clone().unwrap_or_else(|| SystemClock.now().to_string());
    let (name, from) = (args.name.clone(), from.as_str().to_owned());
    let signal = Signal { id, name, from, payload };
    signal.check().map_err(|error| Failure::told(Exit::BadInput, error))?;
    Ok(Sent { signal, subject: args.subject.clone() })
}

fn tell(run: RunId, signal: &Signal, seq: Option<u64>, terminal: &Terminal) {
    if terminal.json {
        terminal.emit(&Value::map([
            ("run", Value::from(run)),
            ("signal", signal.id.as_str().into()),
            ("name", signal.name.as_str().into()),
            ("entry", seq.into()),
            ("again", seq.is_none().into()),
        ]));
        return;
    }
    let id = &signal.id;
    match seq {
        Some(seq) => terminal.say(&format!("sent `{}` ({id}), entry {seq}", signal.name)),
        None => terminal.say(&format!("the run has the signal {id} already: nothing was sent")),
    }
    terminal.note(&format!("go on with: cognitionos run --resume {run}"));
}
