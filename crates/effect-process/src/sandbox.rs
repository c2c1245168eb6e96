//! Starting the helper, feeding it, and bounding what comes back.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the process adapter is where programs are started, on a receipt"
)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cog_base::Value;
use cog_base::id::ReceiptId;
use cog_gate::Failure;
use cog_gate::effect::ProcessRun;
use cog_gate::piece::Mouth;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};

use crate::bounds::SPEC_BYTES_MAX;
use crate::cgroup::Cgroup;
use crate::folder::WorkFolder;
use crate::spec::{
    ARGUMENT, Access, Inner, Outer, STAGE, UNAVAILABLE, Verdict, frame, started, verdict,
};
use crate::stream::Stream;

/// How long a killed helper may take to be gone, in milliseconds.
const BURIAL_MS: u64 = 5_000;
/// Room for the helper's own line beside the program's output, in bytes.
const LINE_BYTES: u64 = 4_096;
/// How much of a helper's complaint is shown.
const SHOWN_CHARS: usize = 300;

/// Runs programs through the helper. Only [`crate::ProcessAdapter`] has a receipt for it.
#[derive(Debug)]
pub struct Sandbox {
    helper: PathBuf,
}

/// What a helper that ended left behind.
struct Ended {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    code: Option<i32>,
}

impl Sandbox {
    /// A sandbox that is entered through the binary at the absolute path `helper`.
    #[must_use]
    pub fn new(helper: PathBuf) -> Self {
        Self { helper }
    }

    /// Run a program to its end and give `{exit_code, stdout, stderr}`. A program that a
    /// signal ended has the exit code 128 and the signal's number, as in a shell.
    ///
    /// # Errors
    /// `process.sandbox_unavailable` names what the kernel lacks; `process.not_found`,
    /// `process.not_started`, `process.timed_out` and `process.output_too_large` say what
    /// they say.
    pub async fn run(
        &self,
        effect: &ProcessRun,
        folder: Option<&WorkFolder>,
        receipt: ReceiptId,
        mouth: Option<Mouth>,
    ) -> Result<Value, Failure> {
        let nonce = receipt.to_string();
        let frames = frames(effect, folder, &nonce)?;
        let mut child = self.start(folder)?;
        let ended = match Cgroup::around(child.id(), &nonce, effect.memory_bytes_max) {
            Ok(group) => {
                let ended = attend(&mut child, effect, frames, (&nonce, mouth)).await;
                bury(&mut child).await;
                group.remove().await;
                ended?
            }
            Err(lack) => {
                bury(&mut child).await;
                return Err(failure(UNAVAILABLE, lack.to_string()));
            }
        };
        output(effect, &nonce, ended)
    }

    fn start(&self, folder: Option<&WorkFolder>) -> Result<Child, Failure> {
        let place = folder.map_or_else(|| PathBuf::from("/"), WorkFolder::path);
        Command::new(&self.helper)
            .arg(ARGUMENT)
            .env_clear()
            .env(STAGE, "outer")
            .current_dir(place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .process_group(0)
            .spawn()
            .map_err(|error| not_started(&self.helper, &error))
    }
}

fn frames(
    effect: &ProcessRun,
    folder: Option<&WorkFolder>,
    nonce: &str,
) -> Result<Vec<u8>, Failure> {
    let outer = Outer {
        nonce: nonce.to_owned(),
        folder: folder.map_or(Access::None, WorkFolder::access),
        network: effect.network,
    };
    let inner = Inner {
        nonce: nonce.to_owned(),
        folder: outer.folder,
        program: effect.program.clone(),
        args: effect.args.clone(),
        env: effect.env.clone(),
        network: effect.network,
        cpu_seconds: effect.timeout_ms.div_ceil(1_000) + 1,
        memory_bytes: effect.memory_bytes_max,
    };
    let mut frames = frame(&outer.to_value());
    frames.extend(frame(&inner.to_value()));
    if frames.len() > SPEC_BYTES_MAX {
        let message = format!("the arguments and environment of `{}` are too long", effect.program);
        return Err(failure("process.not_started", message));
    }
    frames.extend(effect.stdin.as_deref().unwrap_or_default().as_bytes());
    Ok(frames)
}

/// Feed the helper and take what it gives, until it ends or its time or room is over.
async fn attend(
    child: &mut Child,
    effect: &ProcessRun,
    frames: Vec<u8>,
    (nonce, mouth): (&str, Option<Mouth>),
) -> Result<Ended, Failure> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err(failure(UNAVAILABLE, "the helper has no pipes".into()));
    };
    let bytes_max = effect.output_bytes_max;
    let mut said = mouth.clone().map(|mouth| Stream::behind(started(nonce), "stdout", mouth));
    let mut complained = mouth.map(|mouth| Stream::behind(String::new(), "stderr", mouth));
    let work = async {
        let (_, stdout, stderr) = tokio::try_join!(
            feed(stdin, frames),
            take(stdout, bytes_max + LINE_BYTES, effect, said.as_mut()),
            take(stderr, bytes_max, effect, complained.as_mut()),
        )?;
        let status = child.wait().await.map_err(|error| {
            failure("process.lost", format!("the helper's end was not seen: {error}"))
        })?;
        Ok(Ended { stdout, stderr, code: status.code() })
    };
    match tokio::time::timeout(Duration::from_millis(effect.timeout_ms), work).await {
        Ok(ended) => ended,
        Err(_) => {
            let (program, ms) = (&effect.program, effect.timeout_ms);
            let message = format!("`{program}` was ended after {ms} ms");
            Err(failure("process.timed_out", message))
        }
    }
}

/// A program need not read its input to the end.
async fn feed(mut stdin: ChildStdin, frames: Vec<u8>) -> Result<(), Failure> {
    let _ = stdin.write_all(&frames).await;
    Ok(())
}

async fn take(
    stream: impl AsyncRead + Unpin,
    bytes_max: u64,
    effect: &ProcessRun,
    mut told: Option<&mut Stream>,
) -> Result<Vec<u8>, Failure> {
    let (mut bytes, mut stream) = (Vec::new(), stream.take(bytes_max + 1));
    loop {
        let read = stream.read_buf(&mut bytes).await;
        let read =
            read.map_err(|error| failure("process.lost", format!("the output was lost: {error}")))?;
        if bytes.len() as u64 > bytes_max {
            return Err(too_large(effect));
        }
        if read == 0 {
            return Ok(bytes);
        }
        if let Some(told) = &mut told {
            told.say(&bytes);
        }
    }
}

/// End the helper, and with it the namespace and everything in it.
async fn bury(child: &mut Child) {
    // The helper leads a group of its own; its id is gone once it was waited for.
    if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
        let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
    }
    let _ = child.start_kill();
    let _ = tokio::time::timeout(Duration::from_millis(BURIAL_MS), child.wait()).await;
}

fn output(effect: &ProcessRun, nonce: &str, ended: Ended) -> Result<Value, Failure> {
    let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
    match (verdict(nonce, ended.stdout), ended.code) {
        (Verdict::Ran(stdout), _) if stdout.len() as u64 > effect.output_bytes_max => {
            Err(too_large(effect))
        }
        (Verdict::Ran(stdout), Some(code)) => Ok(Value::map([
            ("exit_code", Value::from(i64::from(code))),
            ("stdout", String::from_utf8_lossy(&stdout).as_ref().into()),
            ("stderr", stderr.into()),
        ])),
        (Verdict::Ran(_), None) => {
            let message = format!("the helper of `{}` was killed", effect.program);
            Err(failure("process.lost", message))
        }
        (Verdict::Refused(failure), _) => Err(failure),
        (Verdict::Silent, code) => {
            let shown: String = stderr.trim().chars().take(SHOWN_CHARS).collect();
            let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
            let message = format!("the sandbox's helper ended with {code} and said: {shown}");
            Err(failure(UNAVAILABLE, message))
        }
    }
}

fn too_large(effect: &ProcessRun) -> Failure {
    let (program, bytes) = (&effect.program, effect.output_bytes_max);
    let message = format!("`{program}` was ended: it wrote more than {bytes} bytes");
    failure("process.output_too_large", message)
}

fn not_started(helper: &Path, error: &std::io::Error) -> Failure {
    failure(UNAVAILABLE, format!("could not start the sandbox's helper {helper:?}: {error}"))
}

/// A failure that another try will not cure.
pub(crate) fn failure(code: &str, message: String) -> Failure {
    Failure { code: code.into(), message, transient: false }
}
