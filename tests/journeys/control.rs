//! Two processes: one runs, and what is asked by another reaches the run that is under way.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};

use cog_base::Value;
use cog_base::json::parse;

use crate::program::{Answer, Folder, program, text};

/// A long branch, beside one that waits for people or for a signal.
const FLOW: &str = "name: side-by-side
domain: accounts-payable
steps:
  - { id: long, sleep: { ms: 600000 } }
  - { id: sign, approve: { by: [\"role:finance\"], message: \"Go?\" } }
  - { id: signed, needs: [sign], wait_for: { signal: paid } }
  - { id: told, needs: [signed], sleep: { ms: 1 } }
";

/// A run under way, and the lines of events that it says.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    run: String,
}

impl Running {
    fn start(folder: &Folder) -> Self {
        let mut child = folder.start(&["run", "workflow.yaml", "--json"]);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut running = Self { child, lines, run: String::new() };
        running.run = text(&running.until("started"), &["run"]).to_owned();
        running
    }

    /// The next event of this name.
    #[track_caller]
    fn until(&mut self, event: &str) -> Value {
        for line in self.lines.by_ref() {
            let line = parse(&line.unwrap()).unwrap();
            if line.get("event") == Some(&event.into()) {
                return line;
            }
        }
        panic!("the run ended without `{event}`");
    }

    /// Read to its end; how it ended.
    fn ends(mut self) -> i32 {
        self.lines.by_ref().for_each(drop);
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder(name: &str) -> Folder {
    let folder = Folder::example(name, "01-quickstart");
    folder.write("workflow.yaml", FLOW);
    folder
}

const REASON: [&str; 4] = ["--reason", "enough", "--as", "user:operator"];

#[test]
fn a_run_under_way_goes_on_at_once_when_another_process_answers() {
    let folder = folder("control-answer");
    let mut running = Running::start(&folder);
    let request = text(&running.until("asked"), &["approval"]).to_owned();
    let run = running.run.as_str().to_owned();
    folder.cog(&["approvals", "list"]).ends(0).says(&[&request, "sign"]);
    folder.cog(&["why", &run]).ends(0).says(&["is open"]);
    folder.cog(&["ledger", "list"]).ends(0).says(&["approval.requested"]);

    let approve = |who| folder.cog(&["approvals", "approve", &request, "--as", who]);
    approve("user:nobody").ends(4).says(&["it takes role:finance", "--as somebody of those"]);
    approve("user:operator").ends(4).says(&["started the run"]);
    let approved = approve("user:cfo").ends(0);
    approved.says(&["approved by user:cfo, entry ", "it is under way and goes on"]);
    running.until("listening");
    approve("user:cfo").ends(4).says(&["already answered"]);
    // By the engine itself, in the run, once for each person and reason.
    approve("user:nobody").ends(4).says(&["cognitionos why dny_"]);
    let codes = || {
        let denials = folder.entries("denial");
        let codes = denials.iter().map(|it| {
            assert_eq!(text(it, &["session"]), run, "{it}");
            [text(it, &["actor"]).to_owned(), text(it, &["data", "code"]).to_owned()].join(" ")
        });
        codes.collect::<Vec<_>>()
    };
    let denied = [
        "user:nobody approval.not_entitled",
        "user:operator approval.own_request",
        "user:cfo approval.answered",
        "user:nobody approval.answered",
    ];
    assert_eq!(codes(), denied);

    let signal = |more: &[&str]| folder.cog(&[&["signal", &run, "paid"], more].concat());
    folder.cog(&["signal", &run, "owed"]).ends(7).says(&["its steps wait for paid"]);
    signal(&["--id", "one"]).ends(0).says(&["sent `paid` (one), entry "]);
    running.until("sleeping");
    signal(&["--id", "one"]).ends(0).says(&["has the signal one already"]);
    let sent = signal(&["--id", "two", "--json"]).ends(0).json();
    assert_eq!(sent.get("under_way"), Some(&true.into()));

    let stranger = ["--reason", "x", "--as", "user:stranger"];
    let asks = |what: &str, more: &[&str]| folder.cog(&[&[what, run.as_str()], more].concat());
    asks("pause", &stranger).ends(4).says(&["user:stranger may not pause", "dny_"]);
    asks("unpause", &REASON).ends(7).says(&["it is not paused"]);
    asks("pause", &REASON).ends(0).says(&["paused by user:operator, entry "]);
    asks("pause", &REASON).ends(7).says(&["it is paused already"]);
    assert_eq!(folder.entries("session.paused").len(), 1);
    asks("unpause", &REASON).ends(0).says(&["unpaused by user:operator", "goes on"]);

    let cancel = |more: &[&str]| folder.cog(&[&["run", "--cancel", &run], more].concat());
    cancel(&stranger).ends(4).says(&["user:stranger may not end", "dny_"]);
    cancel(&REASON).ends(0).says(&["cancelled"]);
    assert_eq!(running.ends(), 130);
    assert!(!folder.has("data/control.sock"));
    cancel(&REASON).ends(7).says(&["has ended"]);
    folder.holds();
}

#[test]
fn what_waits_beside_a_run_under_way_is_answered_too() {
    let folder = folder("control-other");
    let other =
        folder.read("workflow.yaml").replace("  - { id: long, sleep: { ms: 600000 } }\n", "");
    folder.write("other.yaml", &other);
    let parked = folder.cog(&["run", "other.yaml"]).ends(8);
    let (waits, request) = (parked.id("run"), parked.id("apr"));
    let running = Running::start(&folder);
    let reject = ["approvals", "reject", &request, "--as", "user:operator", "--reason", "no"];
    folder.cog(&reject).ends(4).says(&["started the run"]);
    let approve = ["approvals", "approve", &request, "--as", "user:cfo"];
    folder.cog(&approve).ends(0).says(&[&format!("cognitionos run --resume {waits}")]);
    folder.cog(&[&["pause", &waits], &REASON[..]].concat()).ends(0);
    let cancel = [&["run", "--cancel", &waits], &REASON[..]].concat();
    folder.cog(&cancel).ends(7).says(&["in use by the process of another run"]);
    let cancel = [&["run", "--cancel", &running.run], &REASON[..]].concat();
    folder.cog(&cancel).ends(0);
    running.ends();
    folder.cog(&["run", "--resume", &waits]).ends(8).says(&["paused"]);
    folder.holds();
}

#[test]
fn a_run_that_was_killed_leaves_nothing_that_hinders() {
    let folder = folder("control-killed");
    let mut running = Running::start(&folder);
    let request = text(&running.until("asked"), &["approval"]).to_owned();
    let run = running.run.as_str().to_owned();
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    drop(running);
    assert!(folder.has("data/control.sock"), "nobody listens where it stands");
    folder.cog(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(0).says(&[&run]);
    let mut resumed = folder.start(&["run", "--resume", &run, "--json"]);
    let lines = BufReader::new(resumed.stdout.take().unwrap()).lines();
    let socket = folder.path("data/control.sock");
    // It waits for a signal as before, which is told no more: until it listens.
    while UnixStream::connect(&socket).is_err() {
        assert!(resumed.try_wait().unwrap().is_none(), "it ended");
        std::thread::yield_now();
    }
    folder.cog(&["signal", &run, "paid"]).ends(0).says(&["it is under way"]);
    folder.cog(&[&["run", "--cancel", &run], &REASON[..]].concat()).ends(0);
    lines.for_each(drop);
    assert_eq!(resumed.wait().unwrap().code(), Some(130));
    folder.holds();
}

#[test]
fn a_folder_with_a_long_path_is_reached_as_well() {
    let folder = folder("control-long");
    let long = format!("{}/data", "x".repeat(120));
    std::fs::create_dir(folder.path(&"x".repeat(120))).unwrap();
    let mut command = folder.command(&["run", "workflow.yaml", "--json", "--data", &long]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let asked = lines.find(|line| line.as_ref().unwrap().contains("\"asked\"")).unwrap().unwrap();
    let asked = parse(&asked).unwrap();
    let approve = ["approvals", "approve", text(&asked, &["approval"]), "--as", "user:cfo"];
    folder.cog(&[&approve[..], &["--data", &long]].concat()).ends(0).says(&["it is under way"]);
    let run = text(&asked, &["run"]);
    let cancel = [&["run", "--cancel", run, "--data", &long], &REASON[..]].concat();
    folder.cog(&cancel).ends(0);
    lines.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// Say something to the process of a run, and what it answers.
fn say(socket: &Path, bytes: &[u8]) -> Value {
    let mut stream = UnixStream::connect(socket).unwrap();
    // It may answer before all is said.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    parse(answer.trim_end()).unwrap_or(Value::Null)
}

#[test]
fn what_is_malformed_or_from_another_account_is_refused_and_harms_nothing() {
    let folder = folder("control-attacks");
    let mut running = Running::start(&folder);
    let request = text(&running.until("asked"), &["approval"]).to_owned();
    let socket = folder.path("data/control.sock");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder.path("data")), mode(&socket)), (0o700, 0o600));
    let before = folder.entries("approval.granted").len();
    let right = format!(r#"{{"as":"user:cfo","do":"answer","id":"{request}","no":null,"v":1}}"#);
    let long = right.replace("null", &format!("\"{}\"", "x".repeat(5_000)));
    for (bytes, exit) in [
        (&b""[..], 2),
        (b"\n", 2),
        (b"{}\n", 2),
        (b"\xff\xfe\n", 2),
        (right.as_bytes(), 2),
        (format!("{}\n", right.replace("answer", "append")).as_bytes(), 2),
        (format!("{}\n", right.replace("user:cfo", "cfo")).as_bytes(), 2),
        (format!("{}\n", right.replace("user:cfo", "user:operator")).as_bytes(), 4),
        (format!("{long}\n").as_bytes(), 2),
        (format!("{}\n", "[".repeat(100_000)).as_bytes(), 2),
    ] {
        let answer = say(&socket, bytes);
        let found = answer.at(&["failed", "exit"]).and_then(Value::as_u64);
        assert_eq!(found, Some(exit), "{answer}");
    }
    // More than is read: the connection ends, with an answer or without.
    let answer = say(&socket, &vec![b'x'; 3 << 20]);
    assert!(answer.get("done").is_none(), "{answer}");
    // Whoever says nothing keeps nobody else from being heard.
    let silent: Vec<_> = (0..4).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    stranger(&folder, &socket, &request);
    assert_eq!(folder.entries("approval.granted").len(), before);
    folder.cog(&["approvals", "approve", &request, "--as", "user:cfo"]).ends(0);
    drop(silent);
    let cancel = [&["run", "--cancel", &running.run], &REASON[..]].concat();
    folder.cog(&cancel).ends(0);
    running.ends();
    folder.holds();
}

/// Another account may not, even where the folder and the socket let it in.
fn stranger(folder: &Folder, socket: &Path, request: &str) {
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let nobody = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(program()).args(arguments).current_dir(folder.path("."));
        command.env("COGNITIONOS_DATA", "data").output()
    };
    if !nobody(&["--version"]).is_ok_and(|ran| ran.status.success()) {
        println!("left out: no other account can be taken here");
        return;
    }
    let approve = ["approvals", "approve", request, "--as", "user:cfo"];
    assert_ne!(Answer::of(nobody(&approve).unwrap()).code, 0, "the folder is its owner's");
    open(&folder.path("data"), 0o755);
    open(socket, 0o666);
    let refused = Answer::of(nobody(&approve).unwrap()).ends(4);
    refused.says(&["it is for the account that started the run"]);
    open(&folder.path("data"), 0o700);
    open(socket, 0o600);
}
