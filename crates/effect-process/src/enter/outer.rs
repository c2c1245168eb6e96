//! The outer stage: new namespaces, and a file system that holds what a program may see.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the helper makes the sandbox before there is anything to protect from"
)]

use std::os::fd::RawFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{close, getegid, geteuid, sethostname};

use crate::enter::{Refusal, SELF, Staged, description, view};
use crate::spec::{ARGUMENT, Outer, STAGE};

/// Who a program is inside: nobody in particular, above all not root.
const INNER_ID: u32 = 1_000;

pub(crate) fn stage() -> Staged {
    if let Err(refusal) = let_go() {
        return (None, Err(refusal));
    }
    match description(Outer::from_value) {
        Ok(spec) => (Some(spec.nonce.clone()), run(&spec)),
        Err(refusal) => (None, Err(refusal)),
    }
}

fn run(spec: &Outer) -> Result<u8, Refusal> {
    let helper =
        std::env::current_exe().map_err(|error| Refusal::lacks("find its own binary", error))?;
    separate(spec.network)?;
    view::build(spec, &helper)?;
    let status = Command::new(SELF)
        .arg(ARGUMENT)
        .env_clear()
        .env(STAGE, "inner")
        .status()
        .map_err(|error| Refusal::lacks("run its second stage", error))?;
    Ok(code(status))
}

/// Close what the engine itself was started with and does not know of: whatever is open
/// besides the three streams would stay open in the program.
fn let_go() -> Result<(), Refusal> {
    let failed = |error: std::io::Error| Refusal::lacks("see what is open", error);
    let mut open = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        open.extend(name.to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    for file in open.into_iter().filter(|file| *file > 2) {
        match close(file) {
            // The list itself was open while it was read.
            Ok(()) | Err(Errno::EBADF) => {}
            Err(errno) => return Err(Refusal::lacks("close what is open", errno)),
        }
    }
    Ok(())
}

/// Leave the namespaces of the machine. Those of processes begin with the next child.
fn separate(network: bool) -> Result<(), Refusal> {
    let (user, group) = (geteuid(), getegid());
    let mut flags = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    if !network {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    let what = "make namespaces (the kernel or a container must allow user namespaces)";
    unshare(flags).map_err(|errno| Refusal::lacks(what, errno))?;
    let map = |file: &str, text: String| {
        std::fs::write(Path::new("/proc/self").join(file), text)
            .map_err(|error| Refusal::lacks(&format!("write {file}"), error))
    };
    map("setgroups", "deny".into())?;
    map("uid_map", format!("{INNER_ID} {user} 1"))?;
    map("gid_map", format!("{INNER_ID} {group} 1"))?;
    sethostname("sandbox").map_err(|errno| Refusal::lacks("name the host", errno))
}

/// The exit code; 128 and the signal's number when one ended it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
