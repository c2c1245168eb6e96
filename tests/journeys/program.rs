//! The program, built once, and a folder to use it in.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use cog_base::json::parse;
use cog_base::{Digest, Value};

use crate::finished;

/// The folder of the whole workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// The program under test: the one that COGNITIONOS names, or else this workspace's own, in
/// the profile of the tests.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("COGNITIONOS") {
        Some(named) => PathBuf::from(named),
        None => build(),
    })
}

/// Have cargo build it. The tests lie in `<target>/<profile>/deps`, the program goes two up.
fn build() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let out = tests.ancestors().nth(2).unwrap();
    let profile = match out.file_name().and_then(|name| name.to_str()).unwrap() {
        "debug" => "dev",
        other => other,
    };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "cognitionos", "--profile", profile])
        .arg("--target-dir")
        .arg(out.parent().unwrap())
        .current_dir(workspace())
        .status();
    assert!(built.unwrap().success(), "the program does not build");
    out.join("cognitionos")
}

/// How one command ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Answer {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            // A program that a signal ended has no code.
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It has to end with this code.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// It has to say all of this, on either stream.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            let said = self.out.contains(word) || self.err.contains(word);
            assert!(said, "does not say `{word}`:\n{self}");
        }
        self
    }

    /// The one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let mut documents = self.jsons();
        assert_eq!(documents.len(), 1, "{self}");
        documents.remove(0)
    }

    /// The JSON documents, one on each line.
    #[track_caller]
    pub(crate) fn jsons(&self) -> Vec<Value> {
        let read = |line| parse(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.out.lines().map(read).collect()
    }

    /// The first id with this prefix.
    #[track_caller]
    pub(crate) fn id(&self, prefix: &str) -> String {
        id(&self.out, prefix).unwrap_or_else(|| panic!("no {prefix}_ in:\n{self}"))
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n--- out\n{}\n--- err\n{}", self.code, self.out, self.err)
    }
}

/// The first id with this prefix in a text.
pub(crate) fn id(text: &str, prefix: &str) -> Option<String> {
    let start = text.find(&format!("{prefix}_"))?;
    let id = &text[start..];
    let end = id.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    Some(id[..end.unwrap_or(id.len())].to_owned())
}

/// An empty folder in which commands are given; its data folder is `data`. When it goes, every
/// run that is finished there is rebuilt and compared. What a test failed over stays to be looked at.
pub(crate) struct Folder {
    path: PathBuf,
    /// See [`Folder::is_tampered_with`].
    tampered: AtomicBool,
}

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("journeys").join(name);
        if path.exists() {
            std::fs::remove_dir_all(&path).unwrap();
        }
        std::fs::create_dir_all(&path).unwrap();
        Self { path, tampered: AtomicBool::new(false) }
    }

    /// A copy of an example, without what running it leaves behind.
    pub(crate) fn example(name: &str, example: &str) -> Self {
        let folder = Self::new(name);
        copy(&workspace().join("examples").join(example), &folder.path);
        folder
    }

    /// Here a ledger is made what the program never made of it: nothing of it is to be compared.
    pub(crate) fn is_tampered_with(&self) {
        self.tampered.store(true, Ordering::Relaxed);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Replace a text in a file; it has to be there.
    #[track_caller]
    pub(crate) fn change(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} has no `{from}`");
        self.write(name, &text.replace(from, to));
    }

    /// Copy a folder of this folder.
    pub(crate) fn copy(&self, from: &str, to: &str) {
        copy(&self.path(from), &self.path(to));
    }

    /// The files below a folder, by name, each with its text.
    pub(crate) fn files(&self, name: &str) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.path(name)).into_iter().flatten() {
            let entry = entry.unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            files.push((entry.file_name().into_string().unwrap(), text));
        }
        files.sort();
        files
    }

    /// What stays the same as long as nothing is written: each file with its digest.
    pub(crate) fn snapshot(&self, name: &str) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        let mut folders = vec![self.path(name)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    found.push((path.clone(), String::new()));
                    folders.push(path);
                } else {
                    let digest = Digest::of(&[&std::fs::read(&path).unwrap()]);
                    found.push((path, digest.to_string()));
                }
            }
        }
        found.sort();
        found
    }

    /// The command, ready to start. Nothing of the tester's own settings reaches it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(&self.path).stdin(Stdio::null());
        for name in ["COGNITIONOS_ACTOR", "COGNITIONOS_APPROVER", "NO_COLOR", "OPENAI_API_KEY"] {
            command.env_remove(name);
        }
        command.env("COGNITIONOS_DATA", "data").env("XDG_CONFIG_HOME", self.path("config"));
        command
    }

    /// Give a command and wait for its end.
    pub(crate) fn cog(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.command(arguments).output().unwrap())
    }

    /// Give a command on a machine whose stacks have this many KiB.
    pub(crate) fn on_stack(&self, kib: u32, arguments: &[&str]) -> Answer {
        let limited = format!("ulimit -s {kib}; exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &limited]);
        Answer::of(self.through(shell, arguments).output().unwrap())
    }

    /// The command as another program is to start it, which takes it behind its own arguments.
    pub(crate) fn through(&self, mut other: Command, arguments: &[&str]) -> Command {
        let program = self.command(arguments);
        other.arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => other.env(name, value),
                None => other.env_remove(name),
            };
        }
        other.current_dir(&self.path).stdin(Stdio::null());
        other
    }

    /// Run a command that is given a text through a pipe.
    pub(crate) fn piped(&self, arguments: &[&str], text: &str) -> Answer {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let text = text.to_owned();
        // Who reads no further closes the pipe.
        let writer = std::thread::spawn(move || drop(pipe.write_all(text.as_bytes())));
        let answer = Answer::of(child.wait_with_output().unwrap());
        writer.join().unwrap();
        answer
    }

    /// Start a command whose output is read while it goes on.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The entries of one kind.
    #[track_caller]
    pub(crate) fn entries(&self, kind: &str) -> Vec<Value> {
        self.cog(&["ledger", "list", "--json", "--limit", "100000", "--kind", kind]).ends(0).jsons()
    }

    /// Every run and decision replays, the ledger verifies, and so does its bundle.
    #[track_caller]
    pub(crate) fn holds(&self) {
        let replayed = self.cog(&["replay", "--all", "--json"]).ends(0).jsons();
        assert!(!replayed.is_empty());
        for run in replayed {
            assert_eq!(run.get("trace"), Some(&"same".into()), "{run}");
            assert_eq!(run.get("decisions"), run.get("same"), "{run}");
            assert_eq!(run.get("differing").and_then(Value::as_list), Some(&[][..]), "{run}");
        }
        self.cog(&["ledger", "verify"]).ends(0).says(&["verified"]);
        let export = ["ledger", "export", "-o", "all.cogbundle", "--key", "all.vkey"];
        self.cog(&export).ends(0);
        let verify = ["verify", "all.cogbundle", "--key", "all.vkey"];
        self.cog(&verify).ends(0).says(&["everything checked holds"]);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if !self.tampered.load(Ordering::Relaxed) {
            finished::compare(&self.path).unwrap_or_else(|why| panic!("{why}"));
        }
        // A process that still ends there may put a file back; the next run begins with it gone.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Copy a folder with its modes, without what running the program leaves behind.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, from.metadata().unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (name, path) = (entry.file_name(), entry.path());
        if name == "out" || name == ".cognitionos" {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(&name));
        } else {
            std::fs::copy(&path, to.join(&name)).unwrap();
        }
    }
}

/// A text member of a document, found by its path.
#[track_caller]
pub(crate) fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    let found = value.at(path).and_then(Value::as_text);
    found.unwrap_or_else(|| panic!("no text at {path:?} in {value}"))
}
