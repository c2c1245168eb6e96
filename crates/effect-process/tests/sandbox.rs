//! Programs that behave, and programs that try to get out.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the tests look at the sandbox from outside"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cog_base::entropy::SeededEntropy;
use cog_base::id::ReceiptId;
use cog_base::{Timestamp, Value};
use cog_effect_process::{PROCESSES_MAX, Sandbox, WorkFolder};
use cog_gate::Failure;
use cog_gate::effect::ProcessRun;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// A folder to lend and a secret beside it, removed at the end.
struct Bench {
    folder: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cog-effect-process-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(folder.join("root")).unwrap();
        std::fs::write(folder.join("root/in.txt"), "input\n").unwrap();
        std::fs::write(folder.join("secret.txt"), "secret").unwrap();
        Self { folder }
    }

    fn lend(&self, write: bool) -> WorkFolder {
        WorkFolder::open(&self.folder.join("root"), write, false).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn receipt() -> ReceiptId {
    let seed = COUNT.fetch_add(1, Ordering::Relaxed) + (u64::from(std::process::id()) << 32);
    ReceiptId::new(Timestamp::default(), &mut SeededEntropy::new(seed)).unwrap()
}

fn program(program: &str, args: &[&str]) -> ProcessRun {
    ProcessRun {
        program: program.into(),
        args: args.iter().map(|&word| word.into()).collect(),
        stdin: None,
        root: None,
        network: false,
        timeout_ms: 20_000,
        memory_bytes_max: 512 << 20,
        output_bytes_max: 1 << 20,
        env: BTreeMap::new(),
    }
}

fn sh(script: &str) -> ProcessRun {
    program("sh", &["-c", script])
}

fn python(script: &str) -> ProcessRun {
    program("python3", &["-c", script])
}

async fn run(effect: &ProcessRun, folder: Option<&WorkFolder>) -> Result<Value, Failure> {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_cog-sandbox-enter").into());
    sandbox.run(effect, folder, receipt()).await
}

/// `code|stdout|stderr`, or the code of the failure.
async fn outcome(effect: &ProcessRun, folder: Option<&WorkFolder>) -> String {
    match run(effect, folder).await {
        Ok(output) => {
            let text = |name| output.get(name).and_then(Value::as_text).unwrap_or_default();
            let code = output.get("exit_code").and_then(Value::as_int).unwrap_or(-1);
            format!("{code}|{}|{}", text("stdout"), text("stderr"))
        }
        Err(failure) => format!("{}: {}", failure.code, failure.message),
    }
}

/// What a script prints on its standard output, with or without a folder.
async fn prints(effect: &ProcessRun) -> String {
    let output = run(effect, None).await.unwrap();
    output.get("stdout").and_then(Value::as_text).unwrap_or_default().to_owned()
}

/// The tests that need Python say so when it is not there.
fn has_python() -> bool {
    let has = Path::new("/usr/bin/python3").exists();
    if !has {
        println!("skipped: /usr/bin/python3 is not installed");
    }
    has
}

#[tokio::test]
async fn a_program_reads_its_input_and_writes_its_output() {
    let effect = ProcessRun { stdin: Some("3\n1\n2\n".into()), ..program("sort", &[]) };
    assert_eq!(outcome(&effect, None).await, "0|1\n2\n3\n|");
    assert_eq!(outcome(&sh("echo out; echo err >&2; exit 3"), None).await, "3|out\n|err\n");
    assert_eq!(outcome(&program("/usr/bin/printf", &["%s", "a b"]), None).await, "0|a b|");
    assert_eq!(outcome(&sh("kill -9 $$"), None).await, "137||");
    assert_eq!(outcome(&sh("true; exit 255"), None).await, "255||");
}

#[tokio::test]
async fn its_environment_is_the_given_one_and_nothing_else() {
    let env = [("GREETING".to_owned(), "hi ä".to_owned())].into();
    let effect = ProcessRun { env, ..program("env", &[]) };
    assert_eq!(outcome(&effect, None).await, "0|GREETING=hi ä\n|");
}

#[tokio::test]
async fn it_works_in_its_root_and_leaves_what_it_made() {
    let bench = Bench::new();
    let folder = bench.lend(true);
    let effect = sh("pwd; cat in.txt; mkdir -p a/b && echo made > a/b/out.txt; rm in.txt");
    assert_eq!(outcome(&effect, Some(&folder)).await, "0|/workspace\ninput\n|");
    let made = std::fs::read_to_string(bench.folder.join("root/a/b/out.txt")).unwrap();
    assert_eq!(made, "made\n");
    assert!(!bench.folder.join("root/in.txt").exists());
}

#[tokio::test]
async fn a_root_to_read_is_not_changed() {
    let bench = Bench::new();
    let folder = bench.lend(false);
    let effect =
        sh("cat in.txt; for f in new in.txt; do (echo x > $f) 2>/dev/null || echo no; done
        rm -f in.txt 2>/dev/null || echo no; chmod 777 in.txt 2>/dev/null || echo no");
    assert_eq!(outcome(&effect, Some(&folder)).await, "0|input\nno\nno\nno\nno\n|");
    assert_eq!(std::fs::read_to_string(bench.folder.join("root/in.txt")).unwrap(), "input\n");
}

#[tokio::test]
async fn a_root_that_is_swapped_after_the_start_is_still_the_one_that_was_opened() {
    let bench = Bench::new();
    let folder = bench.lend(true);
    std::fs::rename(bench.folder.join("root"), bench.folder.join("moved")).unwrap();
    std::os::unix::fs::symlink("/etc", bench.folder.join("root")).unwrap();
    assert_eq!(outcome(&sh("ls"), Some(&folder)).await, "0|in.txt\n|");
}

#[tokio::test]
async fn it_sees_the_system_and_nothing_of_the_machine() {
    let bench = Bench::new();
    let folder = bench.lend(true);
    let secret = bench.folder.join("secret.txt");
    let script = format!(
        "cat {} 2>/dev/null || echo no secret; cat ../secret.txt 2>/dev/null || echo no parent
        ls /; ls -A /tmp /home /root /proc /sys /var /run /etc/passwd /etc/shadow 2>/dev/null",
        secret.display()
    );
    let seen = outcome(&sh(&script), Some(&folder)).await;
    assert!(seen.starts_with("2|no secret\nno parent\n"), "{seen}");
    let (root, rest) = seen.split_once("/tmp:").unwrap();
    for name in ["home", "root", "proc", "sys", "var", "run"] {
        assert!(!root.lines().any(|line| line == name), "{name} in {root}");
    }
    assert_eq!(rest, "\n|", "an own, empty /tmp and nothing else");
}

#[tokio::test]
async fn it_cannot_write_anywhere_else() {
    let bench = Bench::new();
    let folder = bench.lend(true);
    let script = "for place in / /usr /usr/bin /etc /dev /bin /lib; do
            (echo x > $place/planted) 2>/dev/null && echo wrote $place
        done
        (echo x >> /usr/bin/env) 2>/dev/null && echo wrote env
        rm -f /usr/bin/env 2>/dev/null && echo removed env
        ln -s /etc link 2>/dev/null; (echo x > link/planted) 2>/dev/null && echo wrote link
        echo x > /dev/null && echo x > /tmp/mine && echo done";
    assert_eq!(outcome(&sh(script), Some(&folder)).await, "0|done\n|");
    assert_eq!(bench.names(), ["root", "secret.txt"]);
}

#[tokio::test]
async fn it_is_nobody_and_gains_nothing() {
    let script = "id -u; grep -c . /proc/self/status 2>/dev/null || echo no proc
        mount -t tmpfs none /tmp 2>/dev/null || echo no mount
        unshare -U true 2>/dev/null || echo no namespace
        chroot / true 2>/dev/null || echo no chroot
        mknod /tmp/null c 1 3 2>/dev/null || echo no device
        hostname evil 2>/dev/null || echo no hostname";
    let expected = "1000\nno proc\nno mount\nno namespace\nno chroot\nno device\nno hostname\n";
    assert_eq!(prints(&sh(script)).await, expected);
}

#[tokio::test]
async fn it_has_no_network_unless_granted() {
    if !has_python() {
        return;
    }
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "import socket
for kind in ('AF_INET', 'AF_INET6', 'AF_UNIX', 'AF_PACKET', 'AF_NETLINK'):
    try: socket.socket(getattr(socket, kind), socket.SOCK_DGRAM); print(kind)
    except OSError as error: print('no', kind)
try: socket.create_connection(('127.0.0.1', {port}), 2); print('connected')
except OSError: print('not connected')"
    );
    let without =
        "no AF_INET\nno AF_INET6\nno AF_UNIX\nno AF_PACKET\nno AF_NETLINK\nnot connected\n";
    assert_eq!(prints(&python(&script)).await, without);
    let granted = ProcessRun { network: true, ..python(&script) };
    let with = "AF_INET\nAF_INET6\nno AF_UNIX\nno AF_PACKET\nAF_NETLINK\nconnected\n";
    assert_eq!(prints(&granted).await, with);
}

#[tokio::test]
async fn it_sees_and_reaches_no_other_process() {
    if !has_python() {
        return;
    }
    let script = format!(
        "import os, ctypes
print(os.getpid() < 10)
for pid in ({}, 1):
    try: os.kill(pid, 9); print('killed')
    except OSError as error: print(type(error).__name__)
libc = ctypes.CDLL(None, use_errno=True)
for name, call in (('ptrace', 101), ('process_vm_readv', 310), ('bpf', 321), ('unshare', 272),
        ('setns', 308), ('mount', 165), ('keyctl', 250), ('userfaultfd', 323),
        ('perf_event_open', 298), ('io_uring_setup', 425), ('pidfd_getfd', 438)):
    result = libc.syscall(call, 0, 0, 0, 0, 0, 0)
    if result != -1 or ctypes.get_errno() != 1: print(name, result, ctypes.get_errno())
result = libc.syscall(435, 0, 0); print('clone3', ctypes.get_errno())
result = libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0); print('clone', ctypes.get_errno())
result = libc.syscall(0x40000000 | 101, 0, 0, 0, 0); print('x32', ctypes.get_errno())",
        std::process::id()
    );
    let output = prints(&python(&script)).await;
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..2], ["True", "ProcessLookupError"], "{output}");
    // Signals to pid 1 of the own namespace are dropped; it runs on.
    assert!(matches!(lines[2], "killed" | "PermissionError"), "{output}");
    if cfg!(target_arch = "x86_64") {
        assert_eq!(lines[3..], ["clone3 38", "clone 1", "x32 38"], "{output}");
    }
}

#[tokio::test]
async fn a_bomb_of_processes_is_bounded() {
    if !has_python() {
        return;
    }
    let script = "import os, time
count = 0
try:
    while count < 1000:
        if os.fork() == 0: time.sleep(30); os._exit(0)
        count += 1
except OSError: pass
print(count)";
    let count: u64 = prints(&python(script)).await.trim().parse().unwrap();
    assert!(count > 10 && count < PROCESSES_MAX, "{count} processes");
}

#[tokio::test]
async fn memory_is_bounded() {
    if !has_python() {
        return;
    }
    let script = "
try: bytearray(400 << 20); print('got it')
except MemoryError: print('no memory')";
    assert_eq!(prints(&python(script)).await, "got it\n");
    let small = ProcessRun { memory_bytes_max: 200 << 20, ..python(script) };
    assert_eq!(prints(&small).await, "no memory\n");
}

#[tokio::test]
async fn time_is_bounded_and_takes_the_children_along() {
    let bench = Bench::new();
    let folder = bench.lend(true);
    // A child in a session of its own, which no signal to the group reaches.
    let script = "setsid sh -c 'while true; do echo x >> alive.txt; done' & while true; do :; done";
    let effect = ProcessRun { timeout_ms: 700, ..sh(script) };
    let outcome = outcome(&effect, Some(&folder)).await;
    assert_eq!(outcome, "process.timed_out: `sh` was ended after 700 ms");
    let alive = bench.folder.join("root/alive.txt");
    let size = |alive: &Path| std::fs::metadata(alive).unwrap().len();
    // The kernel ends a namespace at once, but not in the same instant.
    let mut quiet = 0;
    let mut last = size(&alive);
    for _ in 0..100 {
        // Another sandbox takes tens of milliseconds: a clock without a sleep.
        assert_eq!(prints(&sh("echo tick")).await, "tick\n");
        quiet = if size(&alive) == last { quiet + 1 } else { 0 };
        last = size(&alive);
        if quiet == 3 {
            return;
        }
    }
    panic!("something still writes");
}

#[tokio::test]
async fn what_it_leaves_behind_ends_with_it() {
    let effect = sh("(trap '' HUP TERM; sleep 60; echo late) & echo done");
    assert_eq!(outcome(&effect, None).await, "0|done\n|");
}

#[tokio::test]
async fn output_is_bounded() {
    let flood = ProcessRun { output_bytes_max: 10_000, ..sh("while true; do echo flood; done") };
    let outcome = |effect| async move { outcome(&effect, None).await };
    let expected = "process.output_too_large: `sh` was ended: it wrote more than 10000 bytes";
    assert_eq!(outcome(flood.clone()).await, expected);
    let errors = ProcessRun { args: vec!["-c".into(), "yes >&2".into()], ..flood.clone() };
    assert_eq!(outcome(errors).await, expected);
    let exact = "head -c 10000 /dev/zero | tr '\\0' x";
    let exact = ProcessRun { args: vec!["-c".into(), exact.into()], ..flood.clone() };
    assert!(outcome(exact).await.starts_with("0|xxx"));
    let over = "head -c 10001 /dev/zero | tr '\\0' x";
    let over = ProcessRun { args: vec!["-c".into(), over.into()], ..flood };
    assert_eq!(outcome(over).await, expected);
}

#[tokio::test]
async fn output_that_is_not_text_is_shown_as_far_as_it_is() {
    let effect = program("printf", &["a\\377b"]);
    assert_eq!(outcome(&effect, None).await, "0|a\u{fffd}b|");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let check = async |name: &str, expected: &str| {
        assert_eq!(outcome(&program(name, &[]), None).await, expected);
    };
    check(
        "no-such",
        "process.not_found: could not run `no-such`: it is neither in /usr/bin nor in /bin",
    )
    .await;
    check("/home/x", "process.not_found: could not run `/home/x`: the sandbox has no such file")
        .await;
    check(
        "../sh",
        "process.not_found: could not run `../sh`: name an absolute path, or a program in /usr/bin or /bin",
    )
    .await;
    check("/usr/bin", "process.not_found: could not run `/usr/bin`: the sandbox has no such file")
        .await;
    let bench = Bench::new();
    let folder = bench.lend(true);
    let text = outcome(&program("/workspace/in.txt", &[]), Some(&folder)).await;
    assert!(text.starts_with("process.not_started: could not run \"/workspace/in.txt\""), "{text}");
}

#[tokio::test]
async fn arguments_that_are_too_long_are_refused_before_anything_starts() {
    let effect = program("true", &[&"x".repeat(5 << 20)]);
    let outcome = outcome(&effect, None).await;
    assert!(outcome.starts_with("process.not_started: "), "{outcome}");
}

#[tokio::test]
async fn without_its_helper_nothing_is_run() {
    let bench = Bench::new();
    let marker = bench.folder.join("ran");
    for helper in ["/no/such/helper", "/bin/true", "/bin/cat"] {
        let sandbox = Sandbox::new(helper.into());
        let effect = program("touch", &[marker.to_str().unwrap()]);
        let failure = sandbox.run(&effect, None, receipt()).await.unwrap_err();
        assert_eq!(failure.code, "process.sandbox_unavailable", "{helper}: {}", failure.message);
        assert!(!marker.exists());
    }
}

#[tokio::test]
async fn a_helper_that_nobody_sent_for_says_so() {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_cog-sandbox-enter"))
        .env_clear()
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the engine takes it by itself"));
}
