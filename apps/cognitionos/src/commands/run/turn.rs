//! Runs that wait for their turn: going on with one, withdrawing one, and making way for one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cog_base::id::RunId;
use cog_base::{Clock as _, Value};
use cog_engine::admission::{Queue, asked};
use cog_engine::{Engine, Input, Notice, Output, What};
use cog_flow::BoundRoot;
use cog_gate::{Actor, Wish};
use cog_node::denied;
use cog_schedule::Ask;

use super::cancel::may_not;
use super::prepare::{Folders, bound_roots};
use super::{Before, Plan, scheduled};
use crate::cli::Common;
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, Stands, told};
use crate::system::SystemClock;
use crate::terminal::{Terminal, Tone, plain};
use crate::view::View;

/// A run that waits, to be begun if it is its turn; nothing for one that has begun.
pub(super) fn take(home: &Home, run: RunId, common: &Common) -> anyhow::Result<Option<Plan>> {
    let record = match home.standing(run)? {
        Stands::Begun => return Ok(None),
        Stands::Waits(record) => record,
        Stands::Never { over, .. } => return Err(home.never_begins(run, &over)?),
    };
    let mut start = asked(&record).map_err(|why| {
        let advice = format!("cognitionos run --cancel {run} --reason 'it cannot begin'");
        Failure::advise(Exit::Failed, format!("{run} cannot begin: {why}"), advice)
    })?;
    let base = PathBuf::from(&start.base);
    let environment = record.entry.environment().to_owned();
    let stands = |root: &BoundRoot| {
        let place = start.places.get(&root.name);
        place.map_or_else(|| base.join(&root.path), PathBuf::from)
    };
    let bound = bound_roots(&start.flow, &start.inputs, &environment)?;
    let Folders { access, places, roots } = Folders::bind(bound, stands, common)?;
    (start.roots, start.places) = (access, places);
    let domain = start.flow.domain.clone();
    let input = Input::Start(Box::new(start));
    Ok(Some(Plan {
        run,
        input,
        domain,
        environment,
        roots,
        named: BTreeMap::new(),
        base,
        ending: None,
        before: Before::default(),
    }))
}

/// Withdraw a run that waits; nothing for one that has begun.
pub(super) fn withdraw(
    home: &Home,
    run: RunId,
    (who, reason): (&Actor, &str),
    terminal: &Terminal,
) -> anyhow::Result<Option<Exit>> {
    match home.standing(run)? {
        Stands::Begun => return Ok(None),
        Stands::Waits(_) => {}
        Stands::Never { over, .. } => return Err(home.never_begins(run, &over)?),
    }
    let seen = home.size()?;
    let mut engine: Engine = super::engine(home, true)?;
    let outputs = engine.handle(Input::Cancel { run, who: who.clone(), reason: reason.into() })?;
    for output in outputs {
        if let Output::Append { drafts, .. } = output {
            home.append(drafts.into_iter().map(|(_, draft)| draft).collect())?;
        }
    }
    if let Some((denial, why)) =
        denied(&*home.scope()?, (run, seen), Wish::Cancel, who).map_err(told)?
    {
        return Err(may_not(who, run, &why, denial.id().unwrap_or_default()));
    }
    say_withdrawn(run, terminal);
    Ok(Some(Exit::Done))
}

/// Say that a run that waited will not begin.
pub(super) fn say_withdrawn(run: RunId, terminal: &Terminal) {
    if terminal.json {
        let status = ("status", Value::from("cancelled"));
        terminal.emit(&Value::map([("run", Value::from(run)), status]));
    } else {
        terminal.say(&format!("{}  {run}", terminal.tint(Tone::Bad, "cancelled")));
    }
}

/// End the runs that a new one is to take the place of: none of them is under way, or the folder
/// would be in use.
pub(super) fn make_way(
    plan: &Plan,
    who: &Actor,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let Input::Start(start) = &plan.input else { return Ok(()) };
    // A folder that is not there yet has no runs.
    let Ok(home) = Home::read(&common.data) else { return Ok(()) };
    end_others(home, (plan.run, &start.ask, who), common, terminal)
}

/// The same for one that waits and is taken up, in the name of who asked for it.
pub(super) fn make_way_again(
    run: &str,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    let (run, home) = (given::run(run)?, Home::read(&common.data)?);
    let Stands::Waits(record) = home.standing(run)? else { return Ok(()) };
    let ask = Ask::read(record.entry.data());
    let who = record.entry.actor().parse::<Actor>();
    let (Some(ask), Ok(who)) = (ask, who) else { return Ok(()) };
    end_others(home, (run, &ask, &who), common, terminal)
}

fn end_others(
    home: Home,
    (run, ask, who): (RunId, &Ask, &Actor),
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<()> {
    if ask.concurrency.is_none() {
        return Ok(());
    }
    let queue = Queue::read(&*home.scope()?).map_err(told)?;
    drop(home);
    let reason = format!("{run} of the same key takes its place");
    for other in queue.line.in_the_way(run, ask, SystemClock.now()) {
        scheduled::take_up(other, who, Some(&reason), common, terminal)?;
    }
    Ok(())
}

/// Show what happened, but for that this very run may begin: it is taken up here.
pub(super) fn show(view: &mut View<'_>, notice: &Notice, own: RunId) {
    if notice.run != own || notice.what != What::Called {
        view.show(notice);
    }
}

/// How a run stands that does not begin now.
pub(super) fn report(run: RunId, what: &What, terminal: &Terminal) -> Exit {
    if let What::Queued { waits, .. } = what {
        if !terminal.json {
            let word = terminal.tint(Tone::Ask, "queued");
            terminal.say(&format!("{word}  {run}"));
            terminal.say(&format!("  {}", plain(&cog_engine::admission::told(waits))));
            terminal.say("  It begins when it is its turn:");
            terminal.say(&format!("  cognitionos run --resume {run}"));
        }
        return Exit::Waiting;
    }
    if let What::Unqueued { why, reason } = what
        && !terminal.json
    {
        let word = terminal.tint(Tone::Bad, why);
        terminal.say(&format!("{word}  {run}\n  {}", plain(reason)));
        terminal.say(&format!("  cognitionos why {run}"));
    }
    Exit::Limit
}
