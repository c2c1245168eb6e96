//! Ways out that other sandboxes have left open.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;

use cog_gate::effect::ProcessRun;

use crate::bench::{Bench, has_python, outcome, prints, python, receipt, sh};

/// Run a script with a folder to change, and give what it printed.
async fn in_folder(bench: &Bench, effect: &ProcessRun) -> String {
    outcome(effect, Some(&bench.lend(true))).await
}

#[tokio::test]
async fn what_the_engine_was_started_with_is_not_handed_on() {
    if !has_python() {
        return;
    }
    let bench = Bench::new();
    let secret = std::fs::File::open(bench.folder.join("secret.txt")).unwrap();
    // As a shell's `3<secret.txt` does: a copy that stays open in what is started.
    let open = nix::unistd::dup(&secret).unwrap();
    let script = "import os
for fd in range(3, 256):
    try: print(fd, os.read(fd, 9))
    except OSError as error:
        if error.errno != 9: print(fd, error)
print('done')";
    assert_eq!(prints(&python(script)).await, "done\n");
    drop(open);
}

#[tokio::test]
async fn it_leaves_nothing_that_runs_as_the_engines_user() {
    if !has_python() {
        return;
    }
    let bench = Bench::new();
    let script = "import os, ctypes, stat
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, action):
    try: action(); print(name)
    except OSError as error: pass
def call(*words):
    if libc.syscall(*words) == -1: raise OSError()
open('program', 'w').close(); os.mkdir('folder'); os.umask(0)
for name, bits in (('setuid', 0o4755), ('setgid', 0o2755), ('both', 0o6777)):
    attempt('chmod ' + name, lambda: os.chmod('program', bits))
    attempt('fchmod ' + name, lambda: os.fchmod(os.open('program', os.O_RDONLY), bits))
    attempt('fchmodat2 ' + name, lambda: call(452, -100, b'program', bits, 0))
    attempt('open ' + name, lambda: call(2, b'o' + name.encode(), os.O_CREAT, bits))
    attempt('creat ' + name, lambda: call(85, b'c' + name.encode(), bits))
    attempt('openat ' + name, lambda: os.open('a' + name, os.O_CREAT, bits))
    how = (ctypes.c_uint64 * 3)(os.O_CREAT, bits, 0)
    attempt('openat2 ' + name, lambda: call(437, -100, b'2' + name.encode(), how, 24))
    attempt('mknod ' + name, lambda: os.mknod('n' + name, bits | stat.S_IFREG))
os.chmod('program', 0o755); print(oct(os.stat('program').st_mode))";
    assert_eq!(in_folder(&bench, &python(script)).await, "0|0o100755\n|");
    for entry in std::fs::read_dir(bench.folder.join("root")).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o6000, 0, "{:?} has mode {mode:o}", entry.file_name());
    }
}

#[tokio::test]
async fn a_pair_of_sockets_does_not_reach_a_service() {
    if !has_python() {
        return;
    }
    let bench = Bench::new();
    let service = UnixDatagram::bind(bench.folder.join("root/service")).unwrap();
    service.set_nonblocking(true).unwrap();
    let script = "import socket
for kind in ('SOCK_DGRAM', 'SOCK_RAW'):
    try:
        one, other = socket.socketpair(socket.AF_UNIX, getattr(socket, kind))
        print(kind)
        one.sendto(b'hello', 'service')
    except OSError as error: print('no', kind)
one, other = socket.socketpair()
one.sendall(b'x'); print(other.recv(1))
try: one.sendto(b'hello', 'service')
except OSError: print('connected')";
    for network in [false, true] {
        let effect = ProcessRun { network, ..python(script) };
        let expected = "0|no SOCK_DGRAM\nno SOCK_RAW\nb'x'\nconnected\n|";
        assert_eq!(in_folder(&bench, &effect).await, expected);
        assert!(service.recv(&mut [0; 8]).is_err(), "the service was spoken to");
    }
}

#[tokio::test]
async fn the_network_is_addresses_and_streams_and_nothing_else() {
    if !has_python() {
        return;
    }
    let script = "import socket
for name, words in (('tcp', (2, 1, 0)), ('udp', (2, 2, 17)), ('tcp6', (10, 1, 6)),
        ('routes', (16, 3, 0)), ('raw', (2, 3, 255)), ('sctp', (2, 1, 132)),
        ('mptcp', (2, 1, 262)), ('diag', (16, 3, 4)), ('audit', (16, 3, 9)),
        ('events', (16, 3, 15)), ('crypto', (38, 5, 0)), ('vsock', (40, 1, 0))):
    try: socket.socket(*words); print(name)
    except OSError: pass";
    let effect = ProcessRun { network: true, ..python(script) };
    assert_eq!(prints(&effect).await, "tcp\nudp\ntcp6\nroutes\n");
}

#[tokio::test]
async fn the_keys_of_the_machine_are_not_shown() {
    let script = "ls /etc/ssl/private /etc/ssl/*.key /etc/shadow /etc/ssh 2>/dev/null; echo done";
    let effect = ProcessRun { network: true, ..sh(script) };
    assert_eq!(prints(&effect).await, "done\n");
}

#[tokio::test]
async fn it_is_in_a_session_of_its_own() {
    if !has_python() {
        return;
    }
    let script = "import os
print(os.getsid(0) == os.getpid())
try: os.open('/dev/tty', os.O_RDWR); print('terminal')
except OSError: print('no terminal')";
    assert_eq!(prints(&python(script)).await, "True\nno terminal\n");
}

#[tokio::test]
async fn a_crash_wakes_no_handler_of_the_machine() {
    if !has_python() {
        return;
    }
    // Zero stops files, but not the program in `core_pattern`; one stops both (core(5)).
    let script = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))";
    assert_eq!(prints(&python(script)).await, "(1, 1)\n");
    assert_eq!(outcome(&sh("kill -SEGV $$"), None).await, "139||");
}

#[tokio::test]
async fn what_is_mounted_inside_a_root_to_read_is_not_changed_either() {
    let bench = Bench::new();
    std::fs::create_dir(bench.folder.join("root/sub")).unwrap();
    // A helper that first mounts something into the root, where nobody else sees it.
    let sandbox = bench.helper(
        "exec unshare -rm sh -c \"mount -t tmpfs none sub && echo input > sub/in.txt && \
         exec $0 $1\"",
    );
    let effect = sh("cat sub/in.txt
        (echo x > sub/new) 2>/dev/null && echo made
        (echo x >> sub/in.txt) 2>/dev/null && echo changed
        chmod 777 sub/in.txt 2>/dev/null && echo opened
        touch -d 2000-01-01 sub/in.txt 2>/dev/null && echo dated
        rm -f sub/in.txt 2>/dev/null && echo removed; echo done");
    let folder = bench.lend(false);
    let output = sandbox.run(&effect, Some(&folder), receipt(), None).await.unwrap();
    assert_eq!(output.get("stdout").unwrap().as_text(), Some("input\ndone\n"));
}

#[tokio::test]
async fn a_device_in_its_root_is_not_opened() {
    let bench = Bench::new();
    let device = bench.folder.join("root/zero");
    let null = std::fs::metadata("/dev/zero").unwrap().rdev();
    let (kind, mode) =
        (nix::sys::stat::SFlag::S_IFCHR, nix::sys::stat::Mode::from_bits_retain(0o666));
    if nix::sys::stat::mknod(&device, kind, mode, null).is_err() {
        println!("skipped: only root makes devices");
        return;
    }
    let effect = sh("head -c 1 zero 2>/dev/null | wc -c; (echo x > zero) 2>/dev/null; echo $?");
    assert_eq!(in_folder(&bench, &effect).await, "0|0\n2\n|");
}

#[tokio::test]
async fn the_devices_it_is_lent_stay_as_they_are() {
    let mode = || std::fs::metadata("/dev/zero").unwrap().permissions().mode();
    let before = mode();
    // Adding nothing: if it worked, nothing would be lost.
    let script = format!(
        "chmod {:o} /dev/zero 2>/dev/null && echo done; echo x > /dev/null",
        before & 0o777
    );
    assert_eq!(outcome(&sh(&script), None).await, "0||");
    assert_eq!(mode(), before);
}
