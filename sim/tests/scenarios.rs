//! Scenarios in which other engines lost runs, left them stuck or did something twice, each set up
//! exactly, with several nodes around one database. What must hold of every town is checked at the
//! end of each: every run is sealed, every receipt has one outcome, nothing was done twice, no mail
//! is left, each log is one chain that audits and replays.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "scenarios/asking.rs"]
mod asking;
#[path = "scenarios/limits.rs"]
mod limits;
#[path = "scenarios/many.rs"]
mod many;
#[path = "scenarios/owners.rs"]
mod owners;
#[path = "scenarios/times.rs"]
mod times;

use cog_base::id::{RunId, TenantId};
use cog_ledger::{Entry, Kind};
use cog_sim::{Plan, Summary, Town};

/// Long enough for claims of the dead to end, and for everything to be taken up again.
const LONG_MS: u64 = 60_000;

/// A town of nodes, with a canon in force for its one tenant.
fn town(nodes: usize) -> (Town, TenantId) {
    town_of(Plan::staged(1, nodes, 1))
}

fn town_of(plan: Plan) -> (Town, TenantId) {
    let town = Town::new(plan).unwrap();
    (0..plan.tenants).for_each(|number| town.found(number));
    let tenant = town.tenant(0);
    town.run_until("the canon is in force", |town| town.count(tenant, Kind::CanonActivated) == 1)
        .unwrap();
    (town, tenant)
}

/// A workflow of these steps.
fn flow(name: &str, head: &str, steps: &str) -> String {
    let roots = "roots: { out: { path: out, access: write } }";
    format!("name: {name}\ndomain: simulation\n{roots}\n{head}\nsteps:\n{steps}")
}

/// A step that writes a file of its own.
fn write(id: &str, needs: &str) -> String {
    let path = format!("${{{{ run.id }}}}/{id}");
    format!(
        "  - {{ id: {id}, needs: [{needs}], uses: file.write, \
         with: {{ root: out, path: \"{path}\", text: x, mode: replace }} }}\n"
    )
}

/// Steps of which each writes a file, one after the other.
fn writes(count: usize) -> String {
    let step = |place: usize| {
        let needs = if place == 0 { String::new() } else { format!("w{}", place - 1) };
        write(&format!("w{place}"), &needs)
    };
    (0..count).map(step).collect()
}

fn wait_for(town: &Town, tenant: TenantId, runs: &[RunId], status: &str) {
    let is_so =
        |town: &Town| runs.iter().all(|run| town.status(tenant, *run).as_deref() == Some(status));
    town.run_until(&format!("all runs are {status}"), is_so)
        .unwrap_or_else(|broken| panic!("{broken}: {}", told(town)));
}

/// Everything comes to rest, every node ends, and everything holds that must.
fn rest(town: &Town) -> Summary {
    town.run_until_quiet().unwrap_or_else(|broken| panic!("{broken}: {}", told(town)));
    town.check().unwrap_or_else(|broken| panic!("{broken}: {}", told(town)))
}

/// What was told last.
fn told(town: &Town) -> String {
    let told = town.told();
    let last = told.iter().rev().take(30).rev().map(|told| format!("{told:?}"));
    format!("\n{}\n{}", last.collect::<Vec<_>>().join("\n"), town.story().join("\n"))
}

fn of_kind(entries: &[Entry], kind: Kind) -> Vec<&Entry> {
    entries.iter().filter(|entry| entry.kind() == kind).collect()
}
