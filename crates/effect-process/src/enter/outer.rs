//! The outer stage: new namespaces, and a file system that holds what a program may see.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the helper makes the sandbox before there is anything to protect from"
)]

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid, sethostname};

use crate::enter::{Refusal, SELF, Staged, description, view};
use crate::spec::{ARGUMENT, Outer, STAGE};

/// Who a program is inside: nobody in particular, above all not root.
const INNER_ID: u32 = 1_000;

pub(crate) fn stage() -> Staged {
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
    let mut inner = Command::new(SELF)
        .arg(ARGUMENT)
        .env_clear()
        .env(STAGE, "inner")
        .spawn()
        .map_err(|error| Refusal::lacks("start its second stage", error))?;
    // It runs; its binary is of no use to the program.
    let _ = umount2(SELF, MntFlags::MNT_DETACH);
    let status = inner.wait().map_err(|error| Refusal::lacks("wait for the program", error))?;
    Ok(code(status))
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
