//! The inner stage: pid 1 of the sandbox. It takes the last rights away, has the last stage
//! start the program, collects the dead, and ends with it or with the engine.

#![expect(
    clippy::disallowed_methods,
    reason = "the helper starts the program that has its receipt"
)]

use std::os::fd::AsFd as _;
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::{set_no_new_privs, set_pdeathsig};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::enter::{Refusal, Staged, calls, description, last, rules, say};
use crate::spec::{Inner, started};

/// Where a program without a path is looked for.
const PROGRAM_FOLDERS: [&str; 2] = ["/usr/bin", "/bin"];

pub(crate) fn stage() -> Staged {
    match description(Inner::from_value) {
        Ok(spec) => (Some(spec.nonce.clone()), run(&spec)),
        Err(refusal) => (None, Err(refusal)),
    }
}

fn run(spec: &Inner) -> Result<u8, Refusal> {
    set_pdeathsig(Signal::SIGKILL).map_err(|errno| Refusal::lacks("end with its parent", errno))?;
    set_no_new_privs().map_err(|errno| Refusal::lacks("give up new privileges", errno))?;
    rules::restrict(spec.folder, spec.network)?;
    // Before the limit on calls: it needs one that the program does not get.
    std::thread::Builder::new()
        .spawn(end_with_the_engine)
        .map_err(|error| Refusal::lacks("watch the engine", error))?;
    calls::restrict(spec.network)?;
    let program = find(&spec.program)?;
    say(&started(&spec.nonce));
    let child =
        last::command(spec, &program).spawn().map_err(|error| not_started(&program, &error))?;
    wait_for(child.id())
}

/// The program's path inside the sandbox.
fn find(program: &str) -> Result<String, Refusal> {
    let refuse = |remark: &str| {
        let message = format!("could not run `{program}`: {remark}");
        Err(Refusal::new("process.not_found", message))
    };
    if program.contains('\0') {
        return refuse("its name has a NUL in it");
    }
    let path = Path::new(program);
    match (path.is_absolute(), program.contains('/')) {
        (true, _) if path.is_file() => Ok(program.to_owned()),
        (true, _) => refuse("the sandbox has no such file"),
        (false, true) => refuse("name an absolute path, or a program in /usr/bin or /bin"),
        (false, false) => PROGRAM_FOLDERS
            .iter()
            .map(|folder| format!("{folder}/{program}"))
            .find(|place| Path::new(place).is_file())
            .map_or_else(|| refuse("it is neither in /usr/bin nor in /bin"), Ok),
    }
}

fn not_started(program: &str, error: &std::io::Error) -> Refusal {
    Refusal::new("process.not_started", format!("could not run {program:?}: {error}"))
}

/// Collect the dead until the program is among them. What it left behind ends with pid 1.
fn wait_for(program: u32) -> Result<u8, Refusal> {
    let is_program = |pid: Pid| u32::try_from(pid.as_raw()) == Ok(program);
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if is_program(pid) => {
                return Ok(u8::try_from(code & 0xFF).unwrap_or(u8::MAX));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if is_program(pid) => {
                return Ok(u8::try_from(128 + signal as i32).unwrap_or(u8::MAX));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Refusal::lacks("wait for the program", errno)),
        }
    }
}

/// The engine holds the other end of standard output. When it lets go, whether it was
/// killed or gave up, everything here ends.
#[expect(clippy::disallowed_methods, reason = "pid 1 takes the whole sandbox with it")]
fn end_with_the_engine() {
    let stdout = std::io::stdout();
    let mut watched = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    loop {
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) => std::process::exit(i32::from(u8::MAX)),
            Err(Errno::EINTR) => {}
            Err(_) => std::process::exit(i32::from(u8::MAX)),
        }
    }
}
