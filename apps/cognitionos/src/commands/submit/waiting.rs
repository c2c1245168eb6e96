//! `submit --wait`: until a run of nodes has ended, or only somebody outside can bring it on.

#![expect(clippy::disallowed_methods, reason = "the program's edge: waits are real here")]

use std::collections::BTreeSet;
use std::time::Duration;

use cog_base::id::{MailId, RunId, TenantId};
use cog_base::words::lasting;
use cog_base::{Clock as _, Timestamp, Value};
use cog_embed::do_wait;
use cog_engine::again::next_of;
use cog_engine::{Intervention, Notice, Waits, What};
use cog_ledger::{Entry, Kind};
use cog_node::of_queue;
use cog_store::{Delivery, Select, Store as _, StoreError, TenantTx};
use cog_store_postgres::Databases;

use crate::failure::{Exit, Failure};
use crate::home::{record, told, unmade};
use crate::system::SystemClock;
use crate::terminal::{Terminal, plain};
use crate::view::event::event;
use crate::view::seal::sealed;
use crate::view::sealed_lines;

/// How often it is looked whether the run has ended.
const LOOK: Duration = Duration::from_millis(150);
/// Among how many of the newest refusals one is looked for.
const DENIALS_MAX: usize = 100;
/// After how many looks without anything new it is said that nothing comes, and how much longer it
/// takes each time until it is said again: 6 s, 12 s, 24 s.
const STILL: u32 = 40;

/// How long a run is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// In seconds, and when they are over; nothing where it takes as long as it takes.
    until: Option<(u64, Timestamp)>,
}

impl Patience {
    pub(crate) const ENDLESS: Self = Self { until: None };

    /// For so many seconds from now on.
    pub(crate) fn of(seconds: Option<u64>) -> Self {
        let until = |seconds: u64| SystemClock.now().plus_ms(seconds.saturating_mul(1_000));
        Self { until: seconds.map(|seconds| (seconds, until(seconds))) }
    }

    /// That it took longer, and what may be done about it.
    fn is_over(self, run: RunId) -> Option<anyhow::Error> {
        let (seconds, until) = self.until?;
        (SystemClock.now() >= until).then(|| {
            let message = format!("{run} took longer than {seconds} s; it goes on");
            Failure::advise(Exit::Timeout, message, "wait longer with --timeout SECONDS")
        })
    }
}

/// Wait until the run has ended, or until only somebody outside can bring it on.
pub(crate) fn wait(
    store: &Databases,
    tenant: TenantId,
    asked: RunId,
    patience: Patience,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let mut run = asked;
    let (mut newest, mut is_rebuilt) = (Vec::new(), false);
    // The run, and those of its tree that it waits for.
    let mut watched = vec![run];
    let (mut still, mut next) = (0_u32, STILL);
    loop {
        still = still.saturating_add(1);
        if still == next {
            next = next.saturating_mul(2);
            let waited = lasting(LOOK.as_millis() as u64 * u64::from(still));
            terminal.warn(&format!(
                "nothing new of {run} for {waited}: see that a node runs (cognitionos serve); it \
                 stays asked for"
            ));
        }
        let delivery = store.delivery(tenant, MailId::from_uuid(asked.uuid())).map_err(told)?;
        if let Some(Delivery::Refused(why)) = delivery {
            return Err(not_started(&*store.scope(tenant).map_err(told)?, run, &why)?);
        }
        let scope = store.scope(tenant).map_err(told)?;
        if let Some(over) = of_queue(&*scope, run, Kind::SessionUnqueued).map_err(told)? {
            return never(&*scope, run, over, terminal);
        }
        if let Some(session) = scope.session(run).map_err(told)? {
            if session.status.is_some() {
                let seal = scope.entry(session.last).map_err(told)?;
                if let Some(next) = seal.as_ref().and_then(next_of) {
                    (run, watched) = (next, vec![next]);
                    continue;
                }
                return ended(&*scope, run, session.last, terminal);
            }
            // What goes on has a new entry before long: only a run that is still is rebuilt.
            let last = |run: &RunId| Ok(scope.session(*run)?.map(|session| session.last));
            let last: Result<Vec<_>, StoreError> = watched.iter().map(last).collect();
            let last = last.map_err(told)?;
            let is_still = last == newest;
            newest = last;
            if is_still && !is_rebuilt {
                let mut waiting = Vec::new();
                if do_wait(&*scope, run, &mut waiting).map_err(unmade)? {
                    return Ok(parked(run, &waiting, terminal));
                }
                watched = waiting.into_iter().map(|(run, _)| run).collect();
                watched.push(run);
            }
            is_rebuilt = is_still;
            if !is_still {
                (still, next) = (0, STILL);
            }
        }
        drop(scope);
        if let Some(late) = patience.is_over(run) {
            return Err(late);
        }
        std::thread::sleep(LOOK);
    }
}

/// What is said of a run that was not started: it was refused, where a denial says why.
fn not_started(scope: &dyn TenantTx, run: RunId, why: &str) -> anyhow::Result<anyhow::Error> {
    let (kinds, newest_first, limit) = (vec![Kind::Denial], true, DENIALS_MAX);
    let select = Select { kinds, newest_first, limit, ..Select::default() };
    let message = format!("{run} was not started: {}", plain(why));
    for denial in scope.select(&select).map_err(told)? {
        if denial.text("action") != Some("run.start") {
            continue;
        }
        let denial = record(scope, denial)?;
        let reason = denial.body.as_ref().and_then(|body| body.at(&["trace", "reason"])?.as_text());
        if let Some(id) = denial.entry.id().filter(|_| reason == Some(why)) {
            let advice = format!("cognitionos why {id}");
            return Ok(Failure::advise(Exit::Refused, message, advice));
        }
    }
    Ok(Failure::told(Exit::BadInput, message))
}

/// A run was taken out of the queue: it never begins.
pub(crate) fn never(
    scope: &dyn TenantTx,
    run: RunId,
    over: Entry,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let why = over.text("why").unwrap_or_default().to_owned();
    let over = record(scope, over)?;
    let reason = over.said().unwrap_or_default();
    if terminal.json {
        let members = [("event", Value::from("unqueued")), ("run", run.into())];
        let more = [("why", Value::from(why.as_str())), ("reason", reason.into())];
        terminal.emit(&Value::map(members.into_iter().chain(more)));
    } else {
        terminal.say(&format!("{why}: {}", plain(reason)));
    }
    Ok(if why == "cancelled" { Exit::Interrupted } else { Exit::Limit })
}

/// A run has ended: its seal says how.
pub(crate) fn ended(
    scope: &dyn TenantTx,
    run: RunId,
    seal: u64,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let seal = scope.entry(seal).map_err(told)?.map(|entry| record(scope, entry)).transpose()?;
    let seal = seal.ok_or_else(|| Failure::told(Exit::Failed, "the seal of the run is gone"))?;
    let sealed = sealed(&seal);
    let exit = Exit::of_run(&sealed.status, sealed.error.as_ref());
    if terminal.json {
        terminal.emit(&event(&Notice { run, what: What::Sealed(sealed) }));
    } else {
        sealed_lines(terminal, run, &sealed, None).iter().for_each(|line| terminal.say(line));
    }
    Ok(exit)
}

/// Only somebody outside can bring the run on.
fn parked(run: RunId, waiting: &[(RunId, Waits)], terminal: &Terminal) -> Exit {
    let names = |waits: &Waits| -> BTreeSet<String> {
        waits.signals.iter().map(|(_, name)| name.clone()).collect()
    };
    if terminal.json {
        let all = || waiting.iter().map(|(_, waits)| waits);
        let approvals = all().flat_map(|waits| &waits.approvals).map(ToString::to_string);
        let approvals: Vec<String> = approvals.collect();
        let signals: BTreeSet<String> = all().flat_map(names).collect();
        let paused = all().find_map(|waits| waits.paused.as_ref());
        let below = waiting.iter().map(|(run, _)| *run).filter(|it| *it != run);
        terminal.emit(&Value::map([
            ("event", Value::from("waiting")),
            ("run", run.into()),
            ("approvals", Value::list(approvals.iter().map(String::as_str))),
            ("signals", Value::list(signals.iter().map(String::as_str))),
            ("paused", paused.map(|paused| paused.by.as_str()).into()),
            ("children", Value::list(below.map(Value::from))),
        ]));
        return Exit::Waiting;
    }
    for (id, waits) in waiting {
        let of = if *id == run { String::new() } else { format!("{id}: ") };
        if let Some(Intervention { by, reason }) = &waits.paused {
            terminal.say(&format!("{of}paused by {}: {}", plain(by), plain(reason)));
        }
        if !waits.approvals.is_empty() {
            let approvals: Vec<_> = waits.approvals.iter().map(ToString::to_string).collect();
            terminal.say(&format!("{of}waiting for approval: {}", approvals.join(", ")));
        }
        let names: Vec<String> = names(waits).iter().map(|name| plain(name)).collect();
        if !names.is_empty() {
            terminal.say(&format!("{of}waiting for a signal: {}", names.join(", ")));
        }
    }
    Exit::Waiting
}
