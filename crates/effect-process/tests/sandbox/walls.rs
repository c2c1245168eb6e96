//! What a program sees of the machine, and what it reaches.

use cog_gate::effect::ProcessRun;

use crate::bench::{Bench, has_python, outcome, prints, python, sh};

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
