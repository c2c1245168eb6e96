//! Scenarios of size: a long run, many runs, many schedules, at whatever size is asked for.

use cog_base::Value;
use cog_base::id::RunId;
use cog_ledger::Kind;
use cog_node::Request;

use crate::check::Broken;
use crate::town::{Plan, Town};

/// Events that one large town may have, for each thing in it.
const EVENTS_EACH: u64 = 400;
/// Schedules of one tenant.
const EACH: usize = 500;
/// Times are so far apart that each schedule has one.
const EVERY_MS: u64 = 600_000;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Entries of the run, or of all.
    pub events: u64,
    /// Runs that ended.
    pub runs: u64,
    /// How long it took from the moment that counts, by the clock of the database.
    pub took_ms: u64,
}

fn begun(tenants: usize, count: u64) -> Result<Town, Broken> {
    let events_max = 60_000 + count * EVENTS_EACH;
    let town = Town::new(Plan { events_max, ..Plan::staged(1, 2, tenants) })?;
    (0..tenants).for_each(|number| town.found(number));
    let is_founded = |town: &Town| {
        (0..tenants).all(|number| town.count(town.tenant(number), Kind::CanonActivated) == 1)
    };
    town.run_until("the canons are in force", is_founded)?;
    Ok(town)
}

fn flow(name: &str, steps: &str) -> String {
    let roots = "roots: { out: { path: out, access: write } }";
    format!(
        "name: {name}\ndomain: simulation\n{roots}\nbudget: {{ effects: 1000000 }}\nsteps:\n{steps}"
    )
}

/// A run of so many events waits, all nodes die, and it goes on.
///
/// # Errors
/// [`Broken`] names what does not hold.
pub fn events(count: u64) -> Result<Told, Broken> {
    let town = begun(1, count)?;
    let tenant = town.tenant(0);
    // Each step has a receipt and an outcome.
    let items: Vec<String> = (0..count.div_ceil(2)).map(|item| item.to_string()).collect();
    let steps = format!(
        "  - id: each\n    foreach: \"${{{{ [{}] }}}}\"\n    uses: file.write\n    \
         with: {{ root: out, path: \"${{{{ run.id }}}}/${{{{ item }}}}\", text: x, mode: replace }}\n  \
         - {{ id: go, needs: [each], wait_for: {{ signal: go }} }}\n",
        items.join(", ")
    );
    let run = town.start(tenant, &flow("long", &steps));
    let is_waiting = |town: &Town| town.count(tenant, Kind::Outcome) == items.len();
    town.run_until("all steps are done", is_waiting)?;
    town.kill(0, Some(1_000));
    town.kill(1, Some(1_000));
    let killed = town.now();
    town.signal(tenant, run, "go");
    town.run_until("it ends", |town| town.status(tenant, run).is_some())?;
    let took_ms = town.now().ms_since(killed);
    let events = town.session(tenant, run).map_or(0, |session| session.entries);
    finish(&town, Told { events, runs: 1, took_ms }, items.len() as u64)
}

/// So many runs are in flight when all nodes die.
///
/// # Errors
/// [`Broken`] names what does not hold.
pub fn flights(count: u64) -> Result<Told, Broken> {
    let town = begun(1, count)?;
    let tenant = town.tenant(0);
    let write = |id: &str, needs: &str| {
        format!(
            "  - {{ id: {id}, needs: [{needs}], uses: file.write, with: {{ root: out, \
             path: \"${{{{ run.id }}}}/{id}\", text: x, mode: replace }} }}\n"
        )
    };
    let steps =
        write("a", "") + "  - { id: nap, needs: [a], sleep: { ms: 5000 } }\n" + &write("b", "nap");
    let source = flow("flight", &steps);
    let runs: Vec<RunId> = (0..count).map(|_| town.start(tenant, &source)).collect();
    let most = usize::try_from(count.min(1_000)).unwrap_or(1_000);
    town.run_until("they are in flight", |town| town.count(tenant, Kind::Receipt) >= most)?;
    town.kill(0, Some(1_000));
    town.kill(1, Some(1_000));
    let killed = town.now();
    let is_over = |town: &Town| town.count(tenant, Kind::SessionSealed) == runs.len();
    town.run_until("all runs end", is_over)?;
    let took_ms = town.now().ms_since(killed);
    let completed =
        runs.iter().filter(|run| town.status(tenant, **run).as_deref() == Some("completed"));
    let told =
        Told { events: town.entries(tenant).len() as u64, runs: completed.count() as u64, took_ms };
    finish(&town, told, 2 * count)
}

/// So many schedules, 500 to a tenant, are due in the same moment.
///
/// # Errors
/// [`Broken`] names what does not hold.
pub fn schedules(count: u64) -> Result<Told, Broken> {
    let all = usize::try_from(count).unwrap_or(usize::MAX);
    let tenants = all.div_ceil(EACH).max(3);
    let town = begun(tenants, count)?;
    let source = flow("tick", "  - { id: nap, sleep: { ms: 1 } }\n");
    for number in 0..all {
        let (id, every) = (Value::from(format!("tick-{number}")), Value::from(EVERY_MS));
        let when = Value::map([("id", id), ("every_ms", every)]);
        let wanted = Box::new(town.wanted(&source));
        town.ask(town.tenant(number % tenants), &Request::Schedule { when, wanted, seen: 0 });
    }
    let of_all = |town: &Town, kind: Kind| {
        (0..tenants).map(|number| town.count(town.tenant(number), kind)).sum::<usize>()
    };
    town.run_until("all are set", |town| of_all(town, Kind::ScheduleSet) == all)?;
    town.run_until("the first is due", |town| of_all(town, Kind::ScheduleFired) > 0)?;
    let due = (town.now().micros() / 600_000_000) * 600_000_000;
    town.run_until("all have begun", |town| of_all(town, Kind::SessionStarted) == all)?;
    let took_ms = u64::try_from((town.now().micros() - due) / 1_000).unwrap_or(0);
    town.run_until("all runs end", |town| of_all(town, Kind::SessionSealed) == all)?;
    let told =
        Told { events: of_all(&town, Kind::ScheduleFired) as u64, runs: all as u64, took_ms };
    finish(&town, told, 0)
}

fn finish(town: &Town, told: Told, effects: u64) -> Result<Told, Broken> {
    town.run_until_quiet()?;
    town.check()?;
    let done: u64 = (0..town.tenants()).map(|number| town.done(town.tenant(number))).sum();
    if done != effects {
        let what = format!("{done} effects took place, not {effects}");
        return Err(Broken { seed: 1, what });
    }
    Ok(told)
}
