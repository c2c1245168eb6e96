//! Several databases: tenants and shards go from one to the other while nodes work.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use cog_base::Value;
use cog_services::postgres::{APPLICATION, Database, OWNER};

use crate::nodes::{Town, wait_until};
use crate::program::text;

/// A town with a second database, `east`, which goes with the value.
pub(crate) struct Two {
    pub(crate) town: Town,
    pub(crate) east: Database,
}

impl Two {
    fn new(name: &str) -> Self {
        Self::around(name, Database::new().unwrap())
    }

    pub(crate) fn around(name: &str, east: Database) -> Self {
        let mut town = Town::new(name);
        let owner = east.url(OWNER);
        let prepare =
            ["database", "prepare", "--application", APPLICATION, "--database-url", &owner];
        town.cog(&prepare).ends(0);
        town.folder.write("east.url", &east.url(APPLICATION));
        town.settings.push(("COGNITIONOS_DATABASES", "east=east.url".to_owned()));
        Self { town, east }
    }

    fn moves(&self, what: &[&str], to: &str) -> Vec<Value> {
        let arguments = [&["database", "move", "--json", "--to", to], what].concat();
        self.town.cog(&arguments).ends(0).jsons()
    }

    /// How many rows of a table a database has.
    fn rows(database: &Database, table: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM cognitionos.{table}");
        database.statement(&sql).unwrap()[0].parse().unwrap()
    }
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap()
}

#[test]
fn a_tenant_moves_there_and_back_while_its_runs_go_on_and_others_ask() {
    let two = Two::new("moves-tenant");
    let node = two.town.node("one");
    let mut load = two.town.load(2, 2);
    let tenant = load[0].0.clone();
    two.town.wait_for_pages(4);
    let ask = |tenant: &str, key: &str| two.town.submit(tenant, key, &[]).ends(0).id("run");
    let (asked, ()) = Town::asked_meanwhile(std::slice::from_ref(&tenant), ask, || {
        for to in ["east", "home", "east"] {
            let done = two.moves(&["--tenant", &tenant], to);
            let moved = done.last().unwrap();
            assert_eq!(text(moved, &["to"]), to);
            let (size, paused) = (number(moved, "size"), number(moved, "paused_ms"));
            assert!(size > 0 && paused < 20_000, "{moved:?}");
            assert!(number(moved, "closed_ms") <= paused);
            let written = two.town.written();
            wait_until("it goes on there", || two.town.written() > written);
        }
    });
    load.extend(asked);
    two.town.is_done(&load);
    let map = two.town.cog(&["database", "map", "--json"]).ends(0).json();
    assert_eq!(text(&map, &["tenants", &tenant]), "east");
    assert_eq!(map.at(&["databases", "east"]).and_then(Value::as_u64), Some(1));
    assert_eq!(map.at(&["databases", "home"]).and_then(Value::as_u64), Some(1));
    let of_tenant = load.iter().filter(|(one, ..)| *one == tenant).count() as u64;
    assert_eq!(Two::rows(&two.east, "log"), 1);
    assert_eq!(Two::rows(&two.east, "session"), of_tenant);
    assert_eq!(Two::rows(&two.town.database, "log"), 1, "nothing of it is left");
    two.town.cog(&["database", "map"]).ends(0).says(&[&tenant, "is in east"]);
    node.ends();
}

#[test]
fn a_move_that_is_killed_at_any_moment_is_ended_by_the_same_command() {
    let two = Two::new("moves-killed");
    let node = two.town.node("one");
    let load = two.town.load(1, 3);
    let tenant = load[0].0.clone();
    two.town.wait_for_pages(3);
    let mut to = "east";
    for after in [20, 60, 90, 120, 160, 220, 300] {
        let arguments = ["database", "move", "--tenant", &tenant, "--to", to];
        let mut command = two.town.command(&arguments);
        let mut mover = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(after));
        // It may be done.
        let _ = mover.kill();
        mover.wait().unwrap();
        if after % 40 == 0 {
            two.moves(&["--tenant", &tenant], to);
            to = if to == "east" { "home" } else { "east" };
        }
    }
    two.moves(&["--tenant", &tenant], "east");
    two.town.is_done(&load);
    assert_eq!(Two::rows(&two.town.database, "entry"), 0);
    assert_eq!(Two::rows(&two.east, "log"), 1);
    node.ends();
}

#[test]
fn a_share_of_the_shards_moves_with_its_tenants_and_a_tenant_may_be_apart() {
    let two = Two::new("moves-share");
    let node = two.town.node("one");
    let mut load = two.town.load(6, 1);
    for (share, shards) in [("25", 4), ("25", 4), ("50", 8)] {
        two.moves(&["--share", share], "east");
        let map = two.town.cog(&["database", "map", "--json"]).ends(0).json();
        let all = map.get("shards").and_then(Value::as_map).unwrap();
        let east = all.values().filter(|name| name.as_text() == Some("east")).count();
        assert_eq!((all.keys().count(), east), (16, shards));
        assert_eq!(map.get("tenants").and_then(Value::as_map).unwrap().keys().count(), 0);
    }
    // Those that come now begin where their shards are.
    for number in 0..4 {
        let (tenant, key) = (two.town.new_tenant(), format!("later-{number}"));
        let run = two.town.submit(&tenant, &key, &[]).ends(0).id("run");
        load.push((tenant, key, run));
    }
    let apart = two.town.cog(&["database", "new-tenant", "--at", "east"]).ends(0).id("ten");
    let run = two.town.submit(&apart, "apart", &[]).ends(0).id("run");
    two.town.submit(&apart, "apart", &["--wait"]).ends(0).says(&["completed"]);
    assert!(run.starts_with("run_"));
    let tenants: BTreeSet<&String> = load.iter().map(|(tenant, ..)| tenant).collect();
    for (tenant, key, _) in &load {
        two.town.submit(tenant, key, &["--wait"]).ends(0).says(&["completed"]);
    }
    let logs = Two::rows(&two.east, "log") + Two::rows(&two.town.database, "log");
    assert_eq!(logs, tenants.len() as u64 + 1);
    let audits = two.town.cog(&["database", "audit", "--json"]).ends(0).jsons();
    assert_eq!(audits.len() as u64, logs);
    two.moves(&["--tenant", &apart], "home");
    node.ends();
}

#[test]
fn what_is_said_of_databases_wrongly_is_told() {
    let two = Two::new("moves-wrong");
    // It has its name from the first who opens it.
    two.town.cog(&["database", "map"]).ends(0).says(&["east"]);
    let tenant = two.town.new_tenant();
    let moves = |more: &[&str]| {
        let arguments = [&["database", "move", "--tenant", &tenant], more].concat();
        two.town.cog(&arguments)
    };
    moves(&["--to", "west"]).ends(1).says(&["use the database `west`", "no address is given"]);
    moves(&["--to", "east", "--shard", "3"]).ends(2);
    let named = |name: &str| two.town.cog(&["database", "map", "--database", name]);
    named("home=east.url").ends(2).says(&["cannot be called `home`"]);
    named("East=east.url").ends(2).says(&["cannot be called `East`"]);
    named("east").ends(2).says(&["is not a name and a file"]);
    named("west=east.url").ends(1).says(&["it is called `east`"]);
    named("west=nowhere.url").ends(2).says(&["cannot read nowhere.url"]);
    let mut alone = two.town.command(&["database", "move", "--tenant", &tenant, "--to", "east"]);
    let alone = alone.env_remove("COGNITIONOS_DATABASES").output().unwrap();
    crate::program::Answer::of(alone).ends(2).says(&["there is one database alone"]);
    let asked = two.town.submit(&tenant, "a", &[]).ends(0).id("run");
    two.moves(&["--tenant", &tenant], "east");
    // Who does not know the other database is told to name it.
    let mut blind = two.town.command(&["runs", "--tenant", &tenant]);
    let blind = blind.env_remove("COGNITIONOS_DATABASES").output().unwrap();
    crate::program::Answer::of(blind).ends(1).says(&["in the database `east`", "--database east="]);
    assert!(asked.starts_with("run_"));
}
