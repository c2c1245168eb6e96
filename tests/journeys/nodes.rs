//! Nodes as processes around one database: killed, put to sleep and woken, told to end.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use cog_base::Value;
use cog_base::entropy::{Entropy as _, SeededEntropy};
use cog_base::json::parse;
use cog_services::postgres::{APPLICATION, Database, OWNER};

use crate::finished;
use crate::program::{Answer, Folder, id, text};

const LONG: Duration = Duration::from_secs(120);
const PAGES: usize = 12;

/// A database, and a folder in which its nodes and those who ask them are.
pub(crate) struct Town {
    pub(crate) database: Database,
    pub(crate) folder: Folder,
    /// Settings of every command.
    pub(crate) settings: Vec<(&'static str, String)>,
}

/// A node that runs, and what it says.
pub(crate) struct Node {
    process: Child,
    said: Receiver<Value>,
}

impl Town {
    pub(crate) fn new(name: &str) -> Self {
        Self::around(name, Database::new().unwrap())
    }

    pub(crate) fn around(name: &str, database: Database) -> Self {
        let folder = Folder::example(name, "07-three-nodes");
        let town = Self { database, folder, settings: Vec::new() };
        let owner = town.database.url(OWNER);
        let prepare =
            ["database", "prepare", "--application", APPLICATION, "--database-url", &owner];
        town.cog(&prepare).ends(0).says(&["the tables are those of this release", "master key"]);
        town
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.folder.command(arguments);
        command.env("COGNITIONOS_DATABASE_URL", self.database.url(APPLICATION));
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn cog(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.command(arguments).output().unwrap())
    }

    pub(crate) fn node(&self, name: &str) -> Node {
        self.node_with(name, &[])
    }

    pub(crate) fn node_with(&self, name: &str, more: &[&str]) -> Node {
        let node = self.node_soon(name, more);
        node.waits_for("serving");
        node
    }

    /// A node that is being started.
    pub(crate) fn node_soon(&self, name: &str, more: &[&str]) -> Node {
        self.process(&[&["serve", "--json", "--node", name], more].concat())
    }

    /// A process that goes on, and says what happens as JSON.
    pub(crate) fn process(&self, arguments: &[&str]) -> Node {
        Node::of(self.command(arguments))
    }

    pub(crate) fn new_tenant(&self) -> String {
        self.cog(&["database", "new-tenant"]).ends(0).id("ten")
    }

    /// Ask for a run of twelve pages.
    pub(crate) fn submit(&self, tenant: &str, key: &str, more: &[&str]) -> Answer {
        let folder = format!("folder=pages/{key}");
        let asked = ["submit", "workflow.yaml", "--tenant", tenant, "--key", key];
        let asked = [&asked[..], &["--input", &folder, "--input", "pause_ms=60"], more].concat();
        self.cog(&asked)
    }

    /// Ask for a run until that is acknowledged, whatever is away meanwhile.
    pub(crate) fn acknowledged(&self, tenant: &str, key: &str) -> String {
        let mut run = None;
        wait_until("it is acknowledged", || {
            let answer = self.submit(tenant, key, &[]);
            run = (answer.code == 0).then(|| answer.id("run"));
            run.is_some()
        });
        run.unwrap()
    }

    /// Ask for runs of tenants in turn, by `ask` with tenant and key, until `work` is done; gives them
    /// with what that came to.
    pub(crate) fn asked_meanwhile<T>(
        tenants: &[String],
        ask: impl Fn(&str, &str) -> String + Sync,
        work: impl FnOnce() -> T,
    ) -> (Vec<(String, String, String)>, T) {
        let stop = AtomicBool::new(false);
        std::thread::scope(|threads| {
            let asks = threads.spawn(|| {
                let mut asked = Vec::new();
                for (number, tenant) in tenants.iter().cycle().enumerate() {
                    let key = format!("asked-{number}");
                    let run = ask(tenant, &key);
                    asked.push((tenant.clone(), key, run));
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
                asked
            });
            let stops = Stops(&stop);
            let done = work();
            drop(stops);
            (asks.join().unwrap(), done)
        })
    }

    /// Ask for so many runs of each of so many tenants: tenant, key and run.
    pub(crate) fn load(&self, tenants: usize, runs: usize) -> Vec<(String, String, String)> {
        let mut load = Vec::new();
        for number in 0..tenants {
            let tenant = self.new_tenant();
            for run in 0..runs {
                let key = format!("{number}-{run}");
                let run = self.submit(&tenant, &key, &[]).ends(0).id("run");
                load.push((tenant.clone(), key, run));
            }
        }
        load
    }

    pub(crate) fn written(&self) -> usize {
        let runs = std::fs::read_dir(self.folder.path("pages")).into_iter().flatten();
        let pages =
            runs.flat_map(|run| std::fs::read_dir(run.unwrap().path()).into_iter().flatten());
        pages
            .filter(|page| page.as_ref().unwrap().file_name().to_string_lossy().ends_with(".txt"))
            .count()
    }

    pub(crate) fn wait_for_pages(&self, count: usize) {
        wait_until(&format!("{count} pages"), || self.written() >= count);
    }

    /// Every run of a load has ended as it should, everything was done once, and the logs say so.
    /// Gives how many receipts that took.
    pub(crate) fn is_done(&self, load: &[(String, String, String)]) -> u64 {
        for (tenant, key, run) in load {
            let patient = ["--wait", "--timeout", "120"];
            let ended = self.submit(tenant, key, &patient).ends(0).says(&["completed"]);
            assert_eq!(ended.id("run"), *run, "asked again, it is the same run");
        }
        assert_eq!(self.written(), load.len() * PAGES);
        let audits = self.cog(&["database", "audit", "--json"]).ends(0).jsons();
        let sum = |path: &[&str]| audits.iter().filter_map(|it| it.at(path)?.as_u64()).sum::<u64>();
        let pages = (load.len() * PAGES) as u64;
        assert_eq!(sum(&["runs"]), load.len() as u64);
        assert_eq!(sum(&["sealed"]), load.len() as u64);
        assert_eq!(sum(&["outcomes", "completed"]), pages);
        assert_eq!(sum(&["receipts"]), pages + sum(&["outcomes", "abandoned"]));
        assert_eq!(sum(&["open_receipts"]) + sum(&["outcomes", "unknown"]), 0);
        let tenants: BTreeSet<&String> = load.iter().map(|(tenant, ..)| tenant).collect();
        assert_eq!(audits.len(), tenants.len());
        sum(&["receipts"])
    }
}

/// Who asks ends with a test that fails, too.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whatever a test is about: every run of it that is finished is rebuilt and compared.
impl Drop for Town {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let key = self.folder.path("master.key");
            finished::compare_shared(&self.database.url(APPLICATION), &key)
                .unwrap_or_else(|why| panic!("{why}"));
        }
    }
}

/// Wait until it is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "{what}: it took too long");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Node {
    /// A command that goes on, and says what happens as JSON.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (say, said) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = say.send(parse(&line).unwrap());
            }
        });
        Self { process, said }
    }

    /// Wait until it says this.
    pub(crate) fn waits_for(&self, event: &str) -> Value {
        let begun = Instant::now();
        loop {
            let left = LONG.checked_sub(begun.elapsed()).unwrap_or_default();
            let said = self.said.recv_timeout(left);
            let said = said.unwrap_or_else(|error| panic!("it does not say `{event}`: {error}"));
            if text(&said, &["event"]) == event {
                return said;
            }
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Tell it to end, and wait until it has.
    pub(crate) fn ends(mut self) {
        self.signal("-TERM");
        assert_eq!(self.process.wait().unwrap().code(), Some(0));
        self.waits_for("stopped");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may be gone, and asleep it cannot end by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn nodes_are_killed_at_random_and_everything_is_done_once() {
    let town = Town::new("nodes-killed");
    let mut dice = SeededEntropy::new(u64::from(std::process::id()));
    let mut nodes: Vec<Node> = (0..3).map(|number| town.node(&format!("n{number}"))).collect();
    let load = town.load(5, 2);
    for kills in 0..8 {
        let mut bytes = [0; 2];
        dice.fill(&mut bytes).unwrap();
        let [which, pause] = bytes.map(usize::from);
        let which = which % nodes.len();
        std::thread::sleep(Duration::from_millis(100 + 2 * pause as u64));
        nodes.swap_remove(which).kill();
        nodes.push(town.node(&format!("n{}", 3 + kills)));
    }
    town.is_done(&load);
    nodes.into_iter().for_each(Node::ends);
}

#[test]
fn of_what_a_node_does_that_slept_through_the_end_of_its_claims_nothing_counts() {
    let town = Town::new("nodes-asleep");
    let sleeper = town.node("sleeper");
    let load = town.load(3, 2);
    town.wait_for_pages(6);
    sleeper.signal("-STOP");
    let other = town.node("other");
    let begun = Instant::now();
    other.waits_for("opened");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // In the middle of what the other does.
    town.wait_for_pages(load.len() * PAGES / 2);
    sleeper.signal("-CONT");
    sleeper.waits_for("lost");
    town.is_done(&load);
    other.ends();
    // It goes on as a node like any other.
    let tenant = town.new_tenant();
    town.submit(&tenant, "later", &["--wait"]).ends(0).says(&["completed"]);
    sleeper.ends();
}

#[test]
fn who_waits_no_longer_ends_and_the_run_goes_on() {
    let town = Town::new("nodes-patience");
    let tenant = town.new_tenant();
    // There is no node yet.
    let late = town.submit(&tenant, "late", &["--wait", "--timeout", "1"]);
    late.ends(6).says(&["took longer than 1 s; it goes on"]);
    let node = town.node("one");
    let patient = ["--wait", "--timeout", "100"];
    town.submit(&tenant, "late", &patient).ends(0).says(&["completed"]);
    town.submit(&tenant, "late", &["--timeout", "1"]).ends(2).says(&["--wait"]);
    node.ends();
}

#[test]
fn who_waits_for_a_run_ends_as_it_does() {
    let town = Town::new("nodes-waits");
    let node = town.node("one");
    let tenant = town.new_tenant();
    let write = "uses: file.write, as: agent:archivist, with: { root: archive, mode: create";
    for (name, budget, steps, code, says) in [
        ("signal", 5, "  - { id: paid, wait_for: { signal: payment } }\n".to_owned(), 8, "payment"),
        (
            "limit",
            1,
            format!(
                "  - {{ id: a, {write}, path: a, text: a }} }}\n  \
                 - {{ id: b, needs: [a], {write}, path: b, text: b }} }}\n"
            ),
            5,
            "refused",
        ),
    ] {
        let head = "domain: archive\nroots:\n  archive: { path: out, access: write, create: true }";
        let file = format!("{name}.yaml");
        let text =
            format!("name: {name}\n{head}\nbudget: {{ effects: {budget} }}\nsteps:\n{steps}");
        town.folder.write(&file, &text);
        let asked = ["submit", &file, "--tenant", &tenant, "--wait"];
        town.cog(&asked).ends(code).says(&[says]);
    }
    node.ends();
}

/// It begins when something is told.
const TOLD: &str = "name: told
domain: archive
on: { event: [ { id: done, type: workflow.execution.completed } ] }
steps: [ { id: nap, sleep: { ms: 1 } } ]
";

#[test]
fn what_is_asked_for_wrongly_is_told_before_anything_is_asked() {
    let town = Town::new("nodes-wrong");
    let tenant = town.new_tenant();
    town.submit("ten_x", "a", &[]).ends(2).says(&["not an id", "new-tenant"]);
    // As good as any id, but nobody's.
    let other = "0192f0c1-2d3e-7a4b-8c5d-6e7f80910a1b";
    let unknown = ["the database knows no tenant ten_", "--new-tenant"];
    town.submit(other, "a", &[]).ends(2).says(&unknown);
    town.folder.write("told.yaml", TOLD);
    town.cog(&["schedules", "set", "told.yaml", "--tenant", other]).ends(2).says(&unknown);
    town.submit(other, "a", &["--new-tenant"]).ends(0);
    town.submit(other, "a", &[]).ends(0).says(&["it was asked for before"]);
    town.cog(&["submit", "nowhere.yaml", "--tenant", &tenant]).ends(2).says(&["nowhere.yaml"]);
    town.submit(&tenant, "a", &[]).ends(0);
    let other =
        ["submit", "workflow.yaml", "--tenant", &tenant, "--key", "a", "--input", "folder=b"];
    town.cog(&other).ends(7).says(&["something else was asked for as `a`", "another --key"]);
    let no_key = ["serve", "--master-key-file", "nowhere.key"];
    town.cog(&no_key).ends(2).says(&["no master key at nowhere.key", "database prepare"]);
    town.folder.write("other.key", &"k".repeat(32));
    let open = Command::new("chmod").arg("644").arg(town.folder.path("other.key")).status();
    assert!(open.unwrap().success());
    let other_key = ["serve", "--master-key-file", "other.key"];
    town.cog(&other_key).ends(1).says(&["mode 0644"]);
    let close = Command::new("chmod").arg("600").arg(town.folder.path("other.key")).status();
    assert!(close.unwrap().success());
    town.cog(&other_key).ends(1).says(&["another master key"]);
    let mut nowhere = town.folder.command(&["database", "audit"]);
    let answer = Answer::of(nowhere.env_remove("COGNITIONOS_DATABASE_URL").output().unwrap());
    answer.ends(2).says(&["--database-url"]);
    assert_eq!(id(&town.cog(&["database", "audit", "--json"]).ends(0).out, "ten"), None);
}

#[test]
fn who_waits_for_a_run_is_told_that_no_node_takes_it() {
    let town = Town::new("no-node");
    let tenant = town.new_tenant();
    let audit = town.cog(&["database", "audit", "--tenant", &tenant]).ends(2);
    audit.says(&["nothing is recorded of"]);
    town.cog(&["runs", "--tenant", &tenant]).ends(0).says(&["nothing is recorded of this tenant"]);
    let asked = ["submit", "workflow.yaml", "--tenant", &tenant, "--wait", "--input", "folder=x"];
    let mut waits = town.command(&asked).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(waits.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = Vec::new();
    for line in lines {
        said.push(line);
        if said.iter().any(|line| line.contains("see that a node runs")) {
            waits.kill().unwrap();
        }
    }
    waits.wait().unwrap();
    assert!(said.iter().any(|line| line.contains("see that a node runs")), "{said:?}");
}

#[test]
fn the_tables_are_for_one_role_that_is_there() {
    let town = Town::new("roles");
    let owner = town.database.url(OWNER);
    for (role, why) in
        [("nobody", "the database has no role of this name"), ("pg_monitor", "another role")]
    {
        let prepare = ["database", "prepare", "--application", role, "--database-url", &owner];
        town.cog(&prepare).ends(1).says(&[why, "the rights of its roles"]);
    }
}
