//! Programs that take too much.

use std::path::Path;

use cog_effect_process::{PROCESSES_MAX, TEMPORARY_FILES_MAX};
use cog_gate::effect::ProcessRun;

use crate::bench::{Bench, has_python, outcome, prints, program, python, receipt, sh};

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
async fn arguments_that_are_too_long_are_refused_before_anything_starts() {
    let effect = program("true", &[&"x".repeat(5 << 20)]);
    let outcome = outcome(&effect, None).await;
    assert!(outcome.starts_with("process.not_started: "), "{outcome}");
}

#[tokio::test]
async fn memory_is_for_the_program_and_not_for_what_starts_it() {
    let small = ProcessRun { memory_bytes_max: 12 << 20, ..sh("echo small") };
    assert_eq!(outcome(&small, None).await, "0|small\n|");
    let none = ProcessRun { memory_bytes_max: 1 << 16, ..sh("echo none") };
    let outcome = outcome(&none, None).await;
    assert!(!outcome.contains("none\n"), "{outcome}");
}

#[tokio::test]
async fn memory_is_not_hidden_outside_the_address_space() {
    if !has_python() {
        return;
    }
    let script = "import ctypes, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
megabytes = 0
try:
    for _ in range(40):
        fd = os.memfd_create('hidden')
        megabytes += os.write(fd, bytes(10 << 20)) >> 20
except OSError: pass
for _ in range(40):
    segment = libc.shmget(0, 10 << 20, 0o1600)
    if segment == -1: break
    place = libc.shmat(segment, None, 0)
    ctypes.memset(place, 1, 10 << 20); libc.shmdt(ctypes.c_void_p(place)); megabytes += 10
print(megabytes)
for name, call in (('memfd_secret', 447), ('msgget', 68), ('semget', 64), ('mq_open', 240)):
    if libc.syscall(call, 0, 1, 0o1600, 0) != -1: print(name)";
    let effect = ProcessRun { memory_bytes_max: 200 << 20, ..python(script) };
    assert_eq!(prints(&effect).await, "0\n");
}

#[tokio::test]
async fn small_files_are_counted_too() {
    if !has_python() {
        return;
    }
    let script = "import os
count = 0
try:
    while count < 100000: os.close(os.open(f'/tmp/{count}', os.O_CREAT)); count += 1
except OSError: pass
print(count)";
    let count: u64 = prints(&python(script)).await.trim().parse().unwrap();
    assert!(count > 1000 && count < TEMPORARY_FILES_MAX, "{count} files");
}

#[tokio::test]
async fn the_memory_of_all_its_processes_is_bounded_where_groups_are() {
    if !has_python() {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: only root has control groups for it");
        return;
    }
    let script = "import os, time
ends = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        block = bytearray(120 << 20); time.sleep(0.4); os._exit(7)
    ends.append(child)
print(sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in ends).count(-9) > 0)";
    let effect = ProcessRun { memory_bytes_max: 200 << 20, ..python(script) };
    assert_eq!(prints(&effect).await, "True\n");
    let enough = ProcessRun { memory_bytes_max: 1 << 30, ..python(script) };
    assert_eq!(prints(&enough).await, "False\n");
}

#[tokio::test]
async fn limits_of_the_engine_that_are_tighter_stay() {
    let bench = Bench::new();
    let tight =
        bench.helper("ulimit -c 0 && ulimit -n 100 && ulimit -v 400000 && exec \"$0\" \"$1\"");
    let effect = sh("ulimit -c; ulimit -H -n; ulimit -v");
    let output = tight.run(&effect, None, receipt(), None).await.unwrap();
    assert_eq!(output.get("stdout").unwrap().as_text(), Some("0\n100\n400000\n"));
}
