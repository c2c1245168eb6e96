//! `events`: what starts workflows when an event comes, from outside or from the own ledger.
//!
//! Of a trigger and an event there is one run: its id follows from both, so that whoever brings the
//! event again finds the run there.

mod own;

use std::path::Path;

use cog_base::Value;
use cog_base::id::{MailId, RunId};
use cog_base::json::{Json, Loose, parse_loose, parse_taken};
use cog_embed::runs::is_there;
use cog_embed::starts::Event;
use cog_engine::timetable::Plan;
use cog_engine::{Input, Start, Trigger};
use cog_node::{Request, Wanted, ask};
use cog_store::Delivery;

use super::run::scheduled::{self, Begins};
use super::schedules::{not_kept, timetable};
use super::sessions;
use crate::cli::Common;
use crate::cli::events::EventsCommand;
use crate::failure::{Exit, Failure, explain};
use crate::given;
use crate::home::{Home, told, unmade};
use crate::terminal::{Terminal, Tone, plain};

pub(crate) fn events(
    command: &EventsCommand,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    match command {
        EventsCommand::Send { event, at } => {
            let event = read(event)?;
            let home = Home::at(at, || Home::change(&common.data))?;
            let came = bring(&home, &event, 0, common, terminal)?;
            if came.is_empty() && !terminal.json {
                terminal.note("no workflow waits for such an event: cognitionos schedules list");
            }
            let failed = came.iter().any(|it| it.is_err());
            Ok(if failed { Exit::Failed } else { Exit::Done })
        }
        EventsCommand::Run { once, at } => own::run(*once, at, common, terminal),
    }
}

/// An event that somebody wrote.
fn of(text: &str) -> anyhow::Result<Event> {
    Event::of(parse_taken(text)?).map_err(|error| Failure::told(Exit::BadInput, error))
}

fn read(file: &Path) -> anyhow::Result<Event> {
    let text = sessions::event(file)?;
    if let Some((place, number)) = parse_loose(&text).ok().as_ref().and_then(inexact) {
        let (name, place) = (given::name(file), plain(place.trim_start_matches('.')));
        let message = format!("{name}: `{place}` is {number}, no whole number below 2^53");
        let advice = format!("write it in minor units, or as text: \"{number}\"");
        return Err(Failure::advise(Exit::BadInput, message, advice));
    }
    of(&text)
}

/// Where the first number stands that would not be kept to the digit, and that number.
fn inexact(value: &Loose) -> Option<(String, String)> {
    match value {
        Json::Float(_) => {
            Some((String::new(), String::from_utf8_lossy(&value.canonical()).into_owned()))
        }
        Json::List(items) => items.iter().enumerate().find_map(|(at, item)| {
            let (inside, number) = inexact(item)?;
            Some((format!("[{at}]{inside}"), number))
        }),
        Json::Map(members) => members.iter().find_map(|(name, member)| {
            let (inside, number) = inexact(member)?;
            Some((format!(".{name}{inside}"), number))
        }),
        Json::Null | Json::Bool(_) | Json::Int(_) | Json::Text(_) => None,
    }
}

/// Start every run that an event starts. What goes wrong with one keeps no other from it.
fn bring(
    home: &Home,
    event: &Event,
    hops: u64,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Vec<Result<RunId, ()>>> {
    let timetable = timetable(home)?;
    let mut came = Vec::new();
    for (id, plan) in timetable.plans().iter().filter(|(_, plan)| event.is_for(plan)) {
        let trigger = Trigger::new(id, (&event.source, &event.id), hops);
        match start(home, plan, (event, &trigger), common, terminal) {
            Ok(Some(word)) => {
                say(&trigger, word, plan, terminal);
                came.push(Ok(trigger.run()));
            }
            // What the condition of the trigger leaves out is not for it.
            Ok(None) => {}
            Err(error) => {
                terminal.fail(&explain(&error, "cognitionos events send"));
                came.push(Err(()));
            }
        }
    }
    Ok(came)
}

fn say(trigger: &Trigger, word: &'static str, plan: &Plan, terminal: &Terminal) {
    let run = trigger.run();
    if terminal.json {
        terminal.emit(&Value::map([
            ("event", Value::from("triggered")),
            ("trigger", trigger.id.as_str().into()),
            ("run", run.into()),
            ("again", (word == AGAIN).into()),
        ]));
    } else {
        let word = terminal.tint(Tone::Good, &format!("{word:<9}"));
        terminal.say(&format!("{word}  {run}  {}, {}", plain(&trigger.id), plain(&plan.workflow)));
    }
}

/// What became of an event: a run was begun, or asked for, or is there already.
const BEGUN: &str = "begun";
const ASKED: &str = "asked for";
const AGAIN: &str = "again";

/// Start the run of an event, unless it is there; nothing where the trigger passes the event over.
fn start(
    home: &Home,
    plan: &Plan,
    (event, trigger): (&Event, &Trigger),
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Option<&'static str>> {
    let wanted = event.starts(&*home.scope()?, plan, trigger.hops).map_err(not_kept)?;
    let Some(wanted) = wanted else { return Ok(None) };
    if is_there(&*home.scope()?, trigger.run()).map_err(unmade)? {
        return Ok(Some(AGAIN));
    }
    let begins = Begins::By(trigger.clone());
    if home.is_of_nodes() {
        return post(home, &wanted, begins, common);
    }
    scheduled::start(home, &wanted, begins, common, terminal)?;
    Ok(Some(BEGUN))
}

/// Ask the nodes for it.
fn post(
    home: &Home,
    wanted: &Wanted,
    begins: Begins,
    common: &Common,
) -> anyhow::Result<Option<&'static str>> {
    let plan = scheduled::plan(wanted, begins, common)?;
    let Input::Start(start) = plan.input else {
        return Err(Failure::told(Exit::Failed, "an event is not the start of a run"));
    };
    let Start { run, places, trigger, .. } = *start;
    let mail = MailId::from_uuid(run.uuid());
    let store = home.database()?;
    if let Some(Delivery::Refused(why)) = store.delivery(home.tenant, mail).map_err(told)? {
        return Err(Failure::told(Exit::BadInput, format!("{run} was not started: {why}")));
    }
    let wanted = Wanted { run, places, trigger, ..wanted.clone() };
    let request = Request::Start(Box::new(wanted));
    let tenant = home.tenant;
    store.with(tenant, |store| ask(store, tenant, mail, &request, None)).map_err(told)?;
    Ok(Some(ASKED))
}
