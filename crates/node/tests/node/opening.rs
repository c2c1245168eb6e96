//! Opening a tenant: with as many statements as pages, and with its runs one after the other.

use std::sync::atomic::Ordering;
use std::time::Duration;

use cog_base::id::{RunId, TenantId};
use cog_ledger::{Entry, Kind};
use cog_node::{Request, Told};
use cog_services::postgres::{Cluster, Database};

use crate::town::{House, Town, tenant, wait};

/// More runs than are read before others have their turn.
const FILLERS: usize = 150;

fn write(id: &str, needs: &str, path: &str) -> String {
    format!(
        "  - {{ id: {id}, {needs}uses: file.write, as: \"agent:archivist\", \
         with: {{ root: archive, path: \"{path}\", mode: create, text: x }} }}\n"
    )
}

fn count(town: &Town, tenant: TenantId, kind: Kind) -> usize {
    town.entries(tenant).iter().filter(|entry| entry.kind() == kind).count()
}

/// The claim goes to somebody who does nothing, and is over soon. What was under way is done, and is
/// reported to nobody.
fn overtake(town: &Town, house: House) {
    let taken = "UPDATE cognitionos.owner SET node = 'stranger', fence = fence + 1,
        until = clock_timestamp() + interval '500 milliseconds'";
    town.database().statement(taken).unwrap();
    house.wait_for(|told| matches!(told, Told::Lost { .. }));
    town.world.is_held.store(false, Ordering::Relaxed);
    house.node.stop();
}

fn seq_of(entries: &[Entry], run: RunId, kind: Kind, step: Option<&str>) -> u64 {
    let mut own = entries.iter().filter(|it| it.session() == Some(run) && it.kind() == kind);
    own.find(|it| step.is_none() || it.text("step") == step).unwrap().seq()
}

/// What a run may have under way keeps others from the same thing before that run is read, and who asks
/// something of it is heard.
#[test]
fn what_was_under_way_is_held_although_its_run_comes_last() {
    let town = Town::new();
    town.world.is_held.store(true, Ordering::Relaxed);
    let one = town.node("one");
    let tenant = tenant(1);
    // The first to be read wants what the last to be read has under way.
    let steps = [write("mine", "", "mine"), write("shared", "needs: [mine], ", "shared")];
    let early = town.start_steps(tenant, &steps.concat());
    wait("the first begins", || count(&town, tenant, Kind::Receipt) == 1);
    let path = write("own", "", "${{ run.id }}");
    let fillers: Vec<RunId> = (0..FILLERS).map(|_| town.start_steps(tenant, &path)).collect();
    // One of them waits behind that for what nobody sends.
    let waits = "  - { id: go, needs: [own], wait_for: { signal: go } }\n";
    let ended = town.start_steps(tenant, &(path + waits));
    let all = FILLERS + 2;
    wait("they begin", || count(&town, tenant, Kind::Receipt) == all);
    let late = town.start_steps(tenant, &write("shared", "", "shared"));
    wait("the last begins", || count(&town, tenant, Kind::Receipt) == all + 1);
    overtake(&town, one);
    let (who, reason) = ("user:operator".parse().unwrap(), "not any more".to_owned());
    town.request(tenant, &Request::Cancel { run: ended, who, reason });
    let two = town.node("two");
    let opened = Told::Opened { tenant, runs: all + 1 };
    two.wait_for(|told| *told == opened);
    for run in fillers.iter().chain([&early, &late]) {
        assert_eq!(town.end(tenant, *run), "completed");
    }
    assert_eq!(town.end(tenant, ended), "cancelled");
    town.wait_for_empty_mail();
    two.node.stop();
    let entries = town.entries(tenant);
    let asked = seq_of(&entries, early, Kind::Receipt, Some("shared"));
    let over = seq_of(&entries, late, Kind::Outcome, None);
    assert!(over < asked, "{asked} was given while what ended at {over} was under way");
    town.assert_whole(tenant);
}

/// How often the server was asked for the bodies of a page since it began.
fn pages_asked_for(town: &Town) -> usize {
    let log = "SELECT count(*) FROM regexp_matches(pg_read_file(
        current_setting('data_directory') || '/../log'), 'execute [a-z0-9]+: SELECT seq, key, sealed FROM body ', 'g')";
    town.database().statement(log).unwrap()[0].parse().unwrap()
}

/// As many statements for many entries as for few, if they are of one page.
#[test]
fn a_tenant_is_opened_with_as_many_statements_as_pages() {
    let cluster = Cluster::start(&["log_statement=all"]).unwrap();
    let asked = [3, 100, 140].map(|entries| {
        let (town, tenant) =
            (Town::around(Database::in_cluster(&cluster.template()).unwrap()), tenant(1));
        let node =
            |name| town.node_with(name, |settings| settings.stay = Duration::from_secs(7_200));
        // Each wait that is over is an entry, and the last one keeps the run open.
        let waits =
            (1..=entries).map(|step| format!("  - {{ id: w{step}, sleep: {{ ms: 1 }} }}\n"));
        let nap = "  - { id: nap, sleep: { ms: 3600000 } }\n";
        let one = node("one");
        let run = town.start_steps(tenant, &(waits.collect::<String>() + nap));
        let recorded = || town.session(tenant, run).map_or(0, |session| session.entries);
        wait("all but the last is over", || recorded() == 1 + entries);
        one.node.stop();
        let before = pages_asked_for(&town);
        let two = node("two");
        two.wait_for(|told| *told == Told::Opened { tenant, runs: 1 });
        let asked = pages_asked_for(&town) - before;
        two.node.stop();
        asked
    });
    assert_eq!(asked, [1, 1, 2]);
}
