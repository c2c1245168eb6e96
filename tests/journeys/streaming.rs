//! What programs write and models say while they do: on record as it comes, followed, and kept when
//! they fail.

#![expect(clippy::disallowed_methods, reason = "these tests wait for programs")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::kills::has_sandbox;
use crate::nodes::{Town, wait_until};
use crate::program::{Folder, text};
use crate::workers::{Works, worker};

const CANON: &str = "name = \"stream\"\ndomain = \"demo\"\n[change]\napprovals = 1\n\
    approvers = [\"user:operator\"]\n[programs]\nallow = [\"sh\"]\n\
    [roots]\n\"*\" = { within = [\".\"] }\n";
const SCHEMA: &str = "entity User;\nentity Root;\nentity Program;\n\
    action \"file.write\" appliesTo { principal: [User], resource: [Root], context: {} };\n\
    action \"process.run\" appliesTo { principal: [User], resource: [Program], context: {} };\n";
const FACTS: &str = r#"[{"uid": {"type": "User", "id": "operator"}, "attrs": {}, "parents": []}]"#;

/// A program that says one thing, waits for a file, and says another.
const SLOW: &str = "
name: slow
domain: demo
roots: { out: { path: out, access: write, create: true } }
steps:
  - { id: make, uses: file.write, with: { root: out, path: begun, text: x } }
  - id: build
    needs: [make]
    uses: process.run
    with: { program: sh, root: out, args: [-c, \"echo one; echo wörse >&2; \
              while [ ! -e go ]; do sleep 0.05; done; printf 'two\\nthree'; exit EXIT\"] }
    stream: true
";

fn folder(name: &str, policy: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("canon/canon.toml", CANON);
    folder.write("canon/schema.cedarschema", SCHEMA);
    folder.write("canon/facts/people.json", FACTS);
    folder.write("canon/policies/all.cedar", policy);
    folder.write("slow.yaml", &SLOW.replace("EXIT", "0"));
    folder
}

const PERMIT: &str = "@id(\"all\") permit (principal, action, resource);\n";

#[test]
fn what_a_program_writes_is_on_record_while_it_runs() {
    if !has_sandbox("streaming-doctor") {
        return;
    }
    let folder = folder("streaming", PERMIT);
    let mut run = folder.start(&["run", "slow.yaml"]);
    // There is nothing to list before there is a ledger.
    let given = || folder.cog(&["ledger", "list", "--kind", "output"]).out.lines().count();
    while given() < 2 {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(folder.entries("outcome").len() < 2, "the program still runs");
    let started = &folder.entries("session.started")[0];
    let id = text(started, &["session"]).to_owned();
    let follows = folder.start(&["logs", &id, "--follow", "--step", "build"]);
    folder.write("out/go", "");
    assert!(run.wait().unwrap().success());
    let followed = follows.wait_with_output().unwrap();
    let followed = String::from_utf8(followed.stdout).unwrap();
    let mut lines: Vec<&str> = followed.lines().collect();
    // Which of two streams is read first is nobody's choice.
    lines.sort_unstable();
    assert_eq!(lines, ["one", "stderr wörse", "three", "two"]);
    let pieces = folder.cog(&["logs", &id, "--json"]).ends(0).jsons();
    let of = |name| {
        let pieces = pieces.iter().filter(move |it| text(it, &["name"]) == name);
        pieces.map(|it| text(it, &["text"])).collect::<String>()
    };
    assert_eq!((of("stdout"), of("stderr")), ("one\ntwo\nthree".into(), "wörse\n".into()));
    // From an offset on: the last bytes of what was given.
    let all: usize = pieces.iter().map(|it| text(it, &["text"]).len()).sum();
    let from = (all - 3).to_string();
    folder.cog(&["logs", &id, "--from", &from]).ends(0).says(&["build ree"]);
    let cut = folder.cog(&["logs", &id, "--from", &from, "--json"]).ends(0);
    assert!(cut.out.contains(&format!(r#""offset":{from}"#)), "{}", cut.out);
    assert!(cut.out.contains(r#""text":"ree"#), "{}", cut.out);
    folder.holds();
}

#[test]
fn what_a_program_wrote_before_it_failed_is_kept() {
    if !has_sandbox("streaming-failed-doctor") {
        return;
    }
    let folder = folder("streaming-failed", PERMIT);
    let failing = SLOW.replace("while [ ! -e go ]; do sleep 0.05; done", "sleep 60");
    folder.write("slow.yaml", &format!("{failing}    timeout_ms: 700\n"));
    folder.cog(&["run", "slow.yaml"]).ends(1);
    let id = text(&folder.entries("session.started")[0], &["session"]).to_owned();
    folder.cog(&["logs", &id]).ends(0).says(&["build one", "build stderr wörse"]);
    folder.holds();
}

#[test]
fn nothing_is_streamed_that_the_canon_removes_of_the_output() {
    if !has_sandbox("streaming-redacted-doctor") {
        return;
    }
    let policy = "@id(\"all\") @redact(\"output.stdout\") permit (principal, action, resource);\n";
    let folder = folder("streaming-redacted", policy);
    folder.write("out/go", "");
    folder.cog(&["run", "slow.yaml"]).ends(0);
    assert_eq!(folder.entries("output").len(), 0);
    folder.holds();
}

#[test]
fn what_a_program_of_a_worker_writes_is_on_record_while_it_runs() {
    if !has_sandbox("streaming-worker-doctor") {
        return;
    }
    let works = Works::in_town(Town::new("streaming-worker"));
    let town = &works.town;
    for (file, text) in [
        ("canon/canon.toml", CANON),
        ("canon/schema.cedarschema", SCHEMA),
        ("canon/facts/people.json", FACTS),
        ("canon/policies/all.cedar", PERMIT),
        ("slow.yaml", &SLOW.replace("EXIT", "0")),
    ] {
        town.folder.write(&format!("stream/{file}"), text);
    }
    let tenant = town.new_tenant();
    let asked = ["submit", "stream/slow.yaml", "--tenant", &tenant, "--key", "slow"];
    let run = town.cog(&asked).ends(0).id("run");
    works.trust(&[&tenant]);
    let worker = worker(town, &works.url, "w1");
    let of = |arguments: &[&str]| town.cog(&[arguments, &["--tenant", &tenant]].concat());
    let count = |kind| of(&["ledger", "list", "--kind", kind]).out.lines().count();
    wait_until("both lines are on record", || count("output") >= 2);
    assert_eq!(count("outcome"), 1, "the program still runs");
    town.folder.write("stream/out/go", "");
    let followed = of(&["logs", &run, "--follow", "--step", "build"]).ends(0);
    let mut lines: Vec<&str> = followed.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "stderr wörse", "three", "two"]);
    of(&["ledger", "verify"]).ends(0);
    of(&["replay", "--all"]).ends(0);
    worker.ends();
    works.scheduler.ends();
}

/// A workflow that asks a model.
const ASKS: &str = "
name: asks
domain: demo
steps:
  - id: ask
    uses: model.chat
    with: { model: writer, tokens_max: 50, messages: [ { role: user, content: Write. } ] }
    stream: true
outputs:
  text: \"${{ steps.ask.output.text }}\"
";

/// A folder with that workflow.
fn asking(name: &str) -> Folder {
    let folder = folder(name, PERMIT);
    let model = "[models.writer]\nprovider = \"cassette\"\nreplaceable = true\n";
    folder.write("canon/canon.toml", &(CANON.to_owned() + model));
    let action = "entity Model;\n\
        action \"model.chat\" appliesTo { principal: [User], resource: [Model], context: {} };\n";
    folder.write("canon/schema.cedarschema", &(SCHEMA.to_owned() + action));
    folder.write("asks.yaml", ASKS);
    folder
}

/// A model that streams half of its answer, and the rest once it is told to; otherwise it goes away.
struct Writer {
    port: u16,
    goes_on: mpsc::Sender<bool>,
    asked: JoinHandle<String>,
}

impl Writer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (goes_on, may_go_on) = mpsc::channel();
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let asked = asked(&stream);
            let head =
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
            write!(stream, "{head}{}", adds("two\\nha")).unwrap();
            if may_go_on.recv().unwrap() {
                let used = r#"{"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":10}}"#;
                let rest = adds("lves");
                write!(stream, "{rest}data: {used}\n\ndata: [DONE]\n\n").unwrap();
            }
            asked
        });
        Self { port, goes_on, asked }
    }

    fn model(&self) -> String {
        format!("http://127.0.0.1:{}/v1#writer", self.port)
    }
}

/// The body of a request.
fn asked(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    for line in reader.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()) {
        if let Some(bytes) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

/// The event of a chunk that adds this text.
fn adds(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
}

#[test]
fn what_a_model_says_is_on_record_while_it_answers() {
    let (folder, writer) = (asking("streaming-model"), Writer::start());
    let mut run = folder.start(&["run", "asks.yaml", "--model", &writer.model()]);
    let given = || folder.cog(&["ledger", "list", "--kind", "output"]).out.lines().count();
    while given() < 1 {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(folder.entries("outcome").len(), 0, "it still answers");
    let id = text(&folder.entries("session.started")[0], &["session"]).to_owned();
    let follows = folder.start(&["logs", &id, "--follow"]);
    writer.goes_on.send(true).unwrap();
    assert!(run.wait().unwrap().success());
    let followed = String::from_utf8(follows.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(followed, "ask text two\nask text halves\n");
    assert!(writer.asked.join().unwrap().contains("\"stream\":true"));
    // The outcome is that of an answer that came whole: its text, and what its server counted.
    let outcome = folder.cog(&["why", text(&folder.entries("outcome")[0], &["data", "receipt"])]);
    outcome.ends(0).says(&["two\\nhalves"]);
    folder.holds();
}

#[test]
fn what_a_model_said_before_it_was_cut_off_is_kept_and_is_no_answer() {
    let (folder, writer) = (asking("streaming-model-cut"), Writer::start());
    writer.goes_on.send(false).unwrap();
    let answer = folder.cog(&["run", "asks.yaml", "--model", &writer.model()]).ends(1);
    answer.says(&["stopped in the middle of its answer"]);
    let id = text(&folder.entries("session.started")[0], &["session"]).to_owned();
    folder.cog(&["logs", &id, "--step", "ask"]).ends(0).says(&["text two", "text ha"]);
    let other = folder.cog(&["logs", &id, "--step", "asks"]).ends(2);
    other.says(&["no step `asks` of the run had a receipt", "did you mean `ask`?"]);
    writer.asked.join().unwrap();
    folder.holds();
}

#[test]
fn what_has_no_stream_is_refused_with_one() {
    let folder = folder("streaming-only", PERMIT);
    folder.change(
        "slow.yaml",
        "path: begun, text: x } }",
        "path: begun, text: x }, stream: true }",
    );
    let answer = folder.cog(&["run", "slow.yaml"]).ends(2);
    answer.says(&["`stream` means nothing here; it goes with `process.run` or `model.chat`"]);
}
