//! `events run`: the events of the own ledger start workflows, each at least once from the log, and
//! each of them once.

use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use anyhow::Context as _;
use cog_base::Value;
use cog_base::words::counted;
use cog_embed::starts::Event;
use cog_engine::{Continues, Parent, Trigger};
use cog_events::Types;
use cog_ledger::Entry;
use cog_outbox::page;
use cog_schedule::Rule;
use cog_store::{CursorStep, TenantTx};

use super::{bring, of};
use crate::cli::Common;
use crate::cli::nodes::At;
use crate::commands::schedules::timetable;
use crate::commands::serve::ends;
use crate::failure::{Exit, explain};
use crate::home::{Home, told};
use crate::terminal::{Terminal, plain};

/// The consumer of the log that this is.
const CONSUMER: &str = "triggers";
/// How many entries are looked at together.
const PAGE: usize = 256;
/// How often it is looked whether there is anything new.
const LOOK: Duration = Duration::from_millis(500);

pub(super) fn run(
    once: bool,
    at: &At,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.context("cannot listen to signals")?;
    let ends = ends(&runtime).context("cannot listen to signals")?;
    let mut taken = None;
    loop {
        let is_more = match Home::at(at, || Home::change(&common.data)) {
            Ok(home) => look(&home, &mut taken, common, terminal)?,
            // Another command has the folder.
            Err(error) if explain(&error, "").exit == Exit::Conflict && !once => false,
            Err(error) => return Err(error),
        };
        let rest = if is_more { Duration::ZERO } else { LOOK };
        if once && !is_more {
            return Ok(Exit::Done);
        }
        match ends.recv_timeout(rest) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(Exit::Done),
        }
    }
}

/// A place in the log, and what lets one move it.
struct Taken {
    fence: u64,
    next: u64,
}

/// Have what is new start what it starts; says whether there may be more.
fn look(
    home: &Home,
    taken: &mut Option<Taken>,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<bool> {
    let timetable = timetable(home)?;
    let is_event = |rule: &Rule| matches!(rule, Rule::Event { .. });
    let set = timetable.plans().values().filter(|plan| is_event(&plan.schedule.rule));
    let set: Vec<_> = set.collect();
    let Some(first) = set.iter().map(|plan| plan.seq).min() else { return Ok(false) };
    if taken.is_none() {
        let cursor = home.keep().take_cursor(home.tenant, CONSUMER, first).map_err(told)?;
        *taken = Some(Taken { fence: cursor.fence, next: cursor.next });
        greet(set.len() as u64, terminal);
    }
    let Some(place) = taken else { return Ok(false) };
    let kinds = set.iter().filter_map(|plan| match &plan.schedule.rule {
        Rule::Event { kind, .. } => Some(kind.clone()),
        Rule::Cron(_) | Rule::Every { .. } | Rule::At(_) => None,
    });
    let types = Types::matching(kinds);
    let from = place.next;
    let page = page(&*home.scope()?, from, PAGE, &types).map_err(told)?;
    for event in &page.events {
        let entry = home.scope()?.entry(event.seq()).map_err(told)?;
        let Some(entry) = entry else { continue };
        let hops = hops(&*home.scope()?, &entry)?;
        if hops > Trigger::HOPS_MAX {
            let message = format!(
                "{} starts nothing: {} runs before it were started by the end of another",
                plain(event.id()),
                Trigger::HOPS_MAX
            );
            terminal.warn(&message);
            continue;
        }
        let event = Event { seq: Some(event.seq()), ..of(event.json())? };
        bring(home, &event, hops, common, terminal)?;
    }
    if page.next == from {
        return Ok(false);
    }
    // Behind what was started: broken off before, it is brought again and found there.
    let step = CursorStep { fence: place.fence, next: page.next, ..CursorStep::default() };
    home.keep().move_cursor(home.tenant, CONSUMER, &step).map_err(told)?;
    place.next = page.next;
    Ok(true)
}

fn greet(triggers: u64, terminal: &Terminal) {
    if terminal.json {
        let event = ("event", Value::from("keeping"));
        terminal.emit(&Value::map([event, ("triggers", triggers.into())]));
    } else if !terminal.quiet {
        terminal.say(&format!("keeping   {}", counted(triggers, "event", "events")));
    }
}

/// How many runs started each other by events before this entry.
fn hops(scope: &dyn TenantTx, entry: &Entry) -> anyhow::Result<u64> {
    let mut run = entry.session();
    while let Some(id) = run {
        let first = scope.session(id).map_err(told)?.map(|session| session.first);
        let first = first.map(|first| scope.entry(first).map_err(told)).transpose()?.flatten();
        let Some(first) = first else { return Ok(0) };
        if let Some(trigger) = Trigger::of(first.data()) {
            return Ok(trigger.hops.saturating_add(1));
        }
        // What another run began, or was continued as, goes back to that.
        let before = || Continues::of(&first).map(|continues| continues.run);
        run = Parent::of(&first).map(|parent| parent.run).or_else(before);
    }
    Ok(0)
}
