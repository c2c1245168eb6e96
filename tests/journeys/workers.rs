//! Workers in other processes: they need no database, perform what schedulers permitted, and are
//! killed in the middle of it, and so are those.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cog_base::json::parse;

use crate::nodes::{Node, Town, wait_until};
use crate::program::text;

const PAGES: usize = 12;

/// A town with a scheduler.
pub(crate) struct Works {
    pub(crate) town: Town,
    pub(crate) scheduler: Node,
    pub(crate) url: String,
}

impl Works {
    fn new(name: &str) -> Self {
        Self::in_town(Town::new(name))
    }

    pub(crate) fn in_town(town: Town) -> Self {
        let (scheduler, url) = scheduler(&town, "s1", "127.0.0.1:0");
        Self { town, scheduler, url }
    }

    /// The keys of the logs of these tenants, once they have logs.
    pub(crate) fn trust(&self, tenants: &[&String]) {
        trust(&self.town, tenants);
    }

    fn worker(&self, name: &str) -> Node {
        worker(&self.town, &self.url, name)
    }

    fn token(&self) -> String {
        self.town.folder.read("worker.token").trim().to_owned()
    }

    /// Send a request as it stands, and give status and all that is answered.
    fn raw(&self, request: &str) -> (String, String) {
        let mut socket = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let _ = socket.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        (answer.split(' ').nth(1).unwrap_or_default().to_owned(), answer)
    }
}

/// Have workers trust the keys of the logs of these tenants, once they have logs.
pub(crate) fn trust(town: &Town, tenants: &[&String]) {
    let key = |tenant: &&String| {
        let mut line = String::new();
        wait_until("a key", || {
            let asked = town.cog(&["ledger", "key", "--tenant", tenant]);
            line = asked.out.clone();
            asked.code == 0
        });
        line
    };
    town.folder.write("keys.txt", &tenants.iter().map(key).collect::<String>());
}

/// A worker of the scheduler at an address. One of the same name comes back with its journal.
pub(crate) fn worker(town: &Town, url: &str, name: &str) -> Node {
    let journal = format!("journal-{name}");
    let serve = ["serve", "--json", "--role", "worker", "--node", name, "--scheduler", url];
    let worker =
        town.process(&[&serve[..], &["--trust", "keys.txt", "--journal", &journal]].concat());
    worker.waits_for("working");
    worker
}

/// Kill a scheduler, and start another one at its address.
pub(crate) fn another_scheduler(town: &Town, url: &str, old: &mut Node, name: &str) {
    let address = url.strip_prefix("http://").unwrap();
    old.signal("-KILL");
    wait_until("the port", || TcpListener::bind(address).is_ok());
    let (node, again) = scheduler(town, name, address);
    *old = node;
    assert_eq!(again, url);
}

fn scheduler(town: &Town, name: &str, listen: &str) -> (Node, String) {
    let serve = ["serve", "--json", "--role", "scheduler", "--node", name, "--listen", listen];
    let node = town.process(&serve);
    let address = text(&node.waits_for("listening"), &["address"]).to_owned();
    node.waits_for("serving");
    (node, format!("http://{address}"))
}

#[test]
fn a_worker_in_another_process_performs_what_a_scheduler_permitted() {
    let works = Works::new("workers-perform");
    let town = &works.town;
    let load = town.load(1, 2);
    // Nobody is there to perform anything: it waits, and is told of.
    let waits = works.scheduler.waits_for("waiting");
    assert_eq!(text(&waits, &["action"]), "file.write");
    assert_eq!(town.written(), 0);
    let mode = std::fs::metadata(town.folder.path("worker.token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    works.trust(&[&load[0].0]);
    let worker = works.worker("w1");
    town.is_done(&load);
    for _ in 0..load.len() * PAGES {
        let ended = worker.waits_for("ended");
        assert_eq!(text(&ended, &["came"]), "completed");
    }
    worker.ends();
    works.scheduler.ends();
}

#[test]
fn workers_and_schedulers_are_killed_in_the_middle_and_everything_is_done_once() {
    let mut works = Works::new("workers-killed");
    let load = works.town.load(2, 2);
    works.trust(&[&load[0].0, &load[2].0]);
    let first = works.worker("w1");
    works.town.wait_for_pages(5);
    first.kill();
    // It comes back with its journal, beside another.
    let (again, other) = (works.worker("w1"), works.worker("w2"));
    works.town.wait_for_pages(12);
    another_scheduler(&works.town, &works.url, &mut works.scheduler, "s2");
    works.town.wait_for_pages(20);
    other.kill();
    works.town.is_done(&load);
    again.ends();
    works.scheduler.ends();
}

#[test]
fn a_worker_acts_on_no_receipt_that_the_keys_it_was_given_do_not_prove() {
    let works = Works::new("workers-trust");
    let town = &works.town;
    let load = town.load(2, 1);
    works.trust(&[&load[0].0]);
    let theirs = &load[1].0;
    let keys = town.folder.read("keys.txt");
    works.trust(&[theirs]);
    let other = town.folder.read("keys.txt");
    let worker = works.worker("w1");
    // Of a log whose key it has not it is handed nothing.
    let asked = ["submit", "workflow.yaml", "--tenant", theirs, "--key", &load[1].1, "--wait"];
    let folder = format!("folder=pages/{}", load[1].1);
    let asked = [&asked[..], &["--input", &folder, "--input", "pause_ms=60"]].concat();
    town.cog(&asked).ends(0).says(&["completed"]);
    assert_eq!(town.written(), PAGES);
    // When it is given the right one it goes on, without being begun anew.
    town.folder.write("keys.txt", &format!("{keys}{other}"));
    town.is_done(&load);
    worker.ends();
    works.scheduler.ends();
}

const HEAD: &str = "domain: archive\nroots:\n  archive: { path: out, access: write, create: true }\n\
                    budget: { effects: 5 }\nsteps:\n";
const WRITE: &str =
    "uses: file.write, as: agent:archivist, with: { root: archive, path: a, text: a }";

#[test]
fn what_no_worker_begins_in_time_fails_and_was_not_done() {
    let works = Works::new("workers-late");
    let tenant = works.town.new_tenant();
    let step = format!("  - {{ id: a, {WRITE}, start_within_ms: 300 }}\n");
    works.town.folder.write("late.yaml", &format!("name: late\n{HEAD}{step}"));
    let asked = ["submit", "late.yaml", "--tenant", &tenant, "--wait"];
    works.town.cog(&asked).ends(6).says(&["failed", "no worker began it in time"]);
    assert!(!works.town.folder.has("out/a"));
    works.scheduler.ends();
}

#[test]
fn what_waits_for_a_worker_is_void_at_once_when_its_run_is_ended() {
    let works = Works::new("workers-ended");
    let tenant = works.town.new_tenant();
    works
        .town
        .folder
        .write("never.yaml", &format!("name: never\n{HEAD}  - {{ id: a, {WRITE} }}\n"));
    let asked = ["submit", "never.yaml", "--tenant", &tenant];
    let run = works.town.cog(&asked).ends(0).id("run");
    works.scheduler.waits_for("waiting");
    let cancel = ["run", "--cancel", &run, "--reason", "nobody comes", "--tenant", &tenant];
    works.town.cog(&cancel);
    let sealed = works.scheduler.waits_for("sealed");
    assert_eq!((text(&sealed, &["run"]), text(&sealed, &["status"])), (run.as_str(), "cancelled"));
    works.scheduler.ends();
}

#[test]
fn whoever_has_no_token_or_sends_garbage_is_refused_and_harms_nothing() {
    let works = Works::new("workers-garbage");
    let token = works.token();
    let head = |method: &str, path: &str, token: &str, more: &str| {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\
             connection: close\r\n{more}\r\n"
        )
    };
    let body = |path: &str, body: &str| {
        let length = format!("content-length: {}\r\n", body.len());
        head("POST", path, &token, &length) + body
    };
    let task = "/worker/v1/tasks/rcp_01m7ynaym0fgtb4pf4w75p6736";
    let sign = r#"{"worker":"w","fence":1}"#;
    let given =
        |name: &str| format!(r#"{{"worker":"w","fence":1,"name":"{name}","offset":0,"text":"x"}}"#);
    let deep = "[".repeat(5_000);
    for (request, status, code) in [
        (head("POST", "/worker/v1/poll", "", ""), "401", "worker.not_authenticated"),
        (head("POST", "/worker/v1/poll", "wrong", ""), "401", "worker.not_authenticated"),
        (head("POST", "/worker/v1/poll", &token[1..], ""), "401", "worker.not_authenticated"),
        (head("GET", "/", "wrong", ""), "401", "worker.not_authenticated"),
        (head("GET", "/", &token, ""), "404", "worker.no_such_path"),
        (head("GET", "/worker/v1/poll", &token, ""), "405", "worker.other_method"),
        (head("GET", "/worker/v1/canons/x?tenant=y", &token, ""), "404", "worker.no_such_canon"),
        (body("/worker/v1/poll", "{"), "400", "worker.malformed"),
        (body("/worker/v1/poll", "\u{0}"), "400", "worker.malformed"),
        (body("/worker/v1/poll", &deep), "400", "worker.malformed"),
        (body("/worker/v1/poll", r#"{"worker":"w"}"#), "400", "worker.malformed"),
        (body("/worker/v1/tasks/rcp_1/begin", sign), "404", "worker.no_such_path"),
        (body(&format!("{task}/begin"), sign), "404", "worker.no_task"),
        (body(&format!("{task}/heartbeat"), sign), "404", "worker.no_task"),
        (body(&format!("{task}/output"), sign), "400", "worker.malformed"),
        (body(&format!("{task}/output"), &given("stdout")), "404", "worker.no_task"),
        (body(&format!("{task}/output"), &given("mind")), "400", "worker.malformed"),
        (
            body(&format!("{task}/result"), r#"{"worker":"w","fence":1,"found":"not_done"}"#),
            "404",
            "worker.no_task",
        ),
        (
            head("POST", "/worker/v1/poll", &token, "content-length: 99999999999\r\n"),
            "413",
            "http.body_too_large",
        ),
    ] {
        let (answered, whole) = works.raw(&request);
        let shown: String = request.chars().take(200).collect();
        assert_eq!(answered, status, "{shown}: {whole}");
        let (head, document) = whole.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("application/problem+json"), "{shown}: {whole}");
        assert_eq!(text(&parse(document).unwrap(), &["code"]), code, "{shown}");
        assert!(!whole.contains(&token), "the token is not said again");
    }
    works.scheduler.ends();
}

/// Stands between workers and a scheduler, and says once of canons that they cannot be read now. Gives
/// its address, and whether it said that.
fn between(scheduler: &str) -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (to, said) = (scheduler.strip_prefix("http://").unwrap().to_owned(), Arc::default());
    let has_said = Arc::clone(&said);
    std::thread::spawn(move || {
        for worker in listener.incoming().map_while(Result::ok) {
            let (to, said) = (to.clone(), Arc::clone(&said));
            // Who is told no more has closed it.
            std::thread::spawn(move || pass(worker, &to, &said));
        }
    });
    (url, has_said)
}

/// Pass on one request and its answer.
fn pass(mut worker: TcpStream, to: &str, said: &AtomicBool) -> std::io::Result<()> {
    let mut reader = BufReader::new(worker.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let begins = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
        let line = head[begins..].to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if head.starts_with("GET /worker/v1/canons/") && !said.swap(true, Ordering::Relaxed) {
        let away =
            "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
        return worker.write_all(away.as_bytes());
    }
    let mut scheduler = TcpStream::connect(to)?;
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    scheduler.write_all(head.as_bytes())?;
    scheduler.write_all(&body)?;
    std::io::copy(&mut scheduler, &mut worker)?;
    Ok(())
}

#[test]
fn a_worker_asks_again_for_what_cannot_be_read_for_a_moment() {
    let works = Works::new("workers-asks");
    let load = works.town.load(1, 1);
    works.trust(&[&load[0].0]);
    let (url, said) = between(&works.url);
    let worker = worker(&works.town, &url, "w1");
    works.town.is_done(&load);
    assert!(said.load(Ordering::Relaxed), "it was told to ask again");
    worker.ends();
    works.scheduler.ends();
}
