//! The last stage: it limits itself and becomes the program.
//!
//! It is a process of its own because limits hold at once and for ever. Set any earlier, they
//! would bind the helper too, whose binary and allocator need more memory than many programs.

#![expect(clippy::disallowed_types, reason = "the helper starts the program that has its receipt")]

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{execve, setsid};

use crate::bounds::{CORE_BYTES, FILE_BYTES_MAX, OPEN_FILES_MAX, PROCESSES_MAX};
use crate::enter::{Refusal, SELF, Staged, words};
use crate::spec::{ARGUMENT, Inner, STAGE};

/// What is started, and within which limits.
struct Last {
    nonce: String,
    cpu_seconds: u64,
    memory_bytes: u64,
    program: CString,
    args: Vec<CString>,
    env: Vec<CString>,
}

/// How the inner stage starts this one for the program at `path`.
pub(crate) fn command(spec: &Inner, path: &str) -> Command {
    let mut command = Command::new(SELF);
    let numbers = [spec.cpu_seconds, spec.memory_bytes, spec.env.len() as u64];
    command
        .args([ARGUMENT, &spec.nonce])
        .args(numbers.map(|number| number.to_string()))
        .args(spec.env.iter().map(|(name, text)| format!("{name}={text}")))
        .arg(path)
        .args(&spec.args)
        .env_clear()
        .env(STAGE, "last");
    command
}

pub(crate) fn stage() -> Staged {
    match read(&mut words()) {
        Some(last) => {
            let Err(refusal) = run(&last);
            (Some(last.nonce), Err(refusal))
        }
        None => (None, Err(Refusal::lacks("read what to start", "a word is missing"))),
    }
}

fn read(words: &mut dyn Iterator<Item = OsString>) -> Option<Last> {
    let nonce = words.next()?.into_string().ok()?;
    let mut number = || words.next()?.to_str()?.parse::<u64>().ok();
    let (cpu_seconds, memory_bytes, env) = (number()?, number()?, number()?);
    let mut words = words.map_while(|word| CString::new(word.into_vec()).ok());
    let env: Vec<_> = words.by_ref().take(usize::try_from(env).ok()?).collect();
    let args: Vec<_> = words.collect();
    let program = args.first()?.clone();
    Some(Last { nonce, cpu_seconds, memory_bytes, program, args, env })
}

fn run(last: &Last) -> Result<Infallible, Refusal> {
    // Out of the reach of a terminal that the engine was started from.
    setsid().map_err(|errno| Refusal::lacks("begin a session", errno))?;
    // `execve` makes two lists, for which there may be no room left once the limits stand:
    // what is let go then is at hand.
    let room = [&last.args, &last.env].map(|list| Vec::<*const u8>::with_capacity(list.len() + 1));
    limit(last)?;
    drop(room);
    execve(&last.program, &last.args, &last.env).map_err(|errno| not_started(last, errno))
}

fn limit(last: &Last) -> Result<(), Refusal> {
    for (resource, most) in [
        (Resource::RLIMIT_CORE, CORE_BYTES),
        (Resource::RLIMIT_CPU, last.cpu_seconds),
        (Resource::RLIMIT_FSIZE, FILE_BYTES_MAX),
        (Resource::RLIMIT_NOFILE, OPEN_FILES_MAX),
        (Resource::RLIMIT_NPROC, PROCESSES_MAX),
        (Resource::RLIMIT_AS, last.memory_bytes),
    ] {
        // What the engine itself was given less of stays less.
        let lower = |(_, hard): (u64, u64)| setrlimit(resource, most.min(hard), most.min(hard));
        getrlimit(resource)
            .and_then(lower)
            .map_err(|errno| Refusal::lacks(&format!("limit {resource:?}"), errno))?;
    }
    Ok(())
}

fn not_started(last: &Last, errno: Errno) -> Refusal {
    let code = if errno == Errno::ENOENT { "process.not_found" } else { "process.not_started" };
    let error = std::io::Error::from(errno);
    Refusal::new(code, format!("could not run {:?}: {error}", last.program))
}
