//! Asking the process that has a data folder open.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program's edge: it connects to a socket of its own data folder"
)]

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use cog_base::Value;
use cog_base::json::parse;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::request::Request;
use super::server::{Address, own_uid};
use super::{LINE_BYTES_MAX, socket};
use crate::failure::{Exit, Failure};

/// How often it is tried while a process gives the folder back.
pub(super) const TRIES_MAX: usize = 60;
const NAP: Duration = Duration::from_millis(50);
/// Codes that an error of the other process may have.
const CODES: [&str; 3] = ["body.absent", "canon.missing", "store.damaged"];

/// What was answered.
pub(crate) enum Reply {
    /// What came of it.
    Done(Value),
    /// Why it was not done.
    Failed(Failure),
    /// The run has ended or parked meanwhile: whoever opens the folder now decides.
    Gone,
    /// Nobody listens.
    Nobody,
}

pub(super) fn nap() {
    std::thread::sleep(NAP);
}

/// Whether the socket of a folder is there, whoever listens.
pub(super) fn is_there(data: &Path) -> bool {
    std::fs::symlink_metadata(socket(data)).is_ok()
}

/// Ask whoever has the folder open. It waits until that process has decided.
///
/// # Errors
/// When it cannot be asked although somebody listens.
pub(crate) fn ask(data: &Path, request: &Request) -> anyhow::Result<Reply> {
    // Without the file there is no need to look further, nor for a runtime.
    if !is_there(data) {
        return Ok(Reply::Nobody);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(asked(data, request))
}

async fn asked(data: &Path, request: &Request) -> anyhow::Result<Reply> {
    let unreached = |error: &dyn std::fmt::Display| {
        let message = format!("the process that has {} open: {error}", data.display());
        Failure::told(Exit::Conflict, message)
    };
    let address = Address::of(data).map_err(|error| unreached(&error))?;
    let mut stream = match UnixStream::connect(address.path()).await {
        Ok(stream) => stream,
        // A process that was killed left the file behind.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(Reply::Nobody),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Reply::Nobody),
        Err(error) => return Err(unreached(&error)),
    };
    let listens = stream.peer_cred().map_err(|error| unreached(&error))?.uid();
    // Root may have started the run, and root may ask anybody; nobody else pretends to be it.
    if ![0, listens].contains(&own_uid()?) && listens != 0 {
        return Err(unreached(&format!("it belongs to another account (uid {listens})")));
    }
    let line = format!("{}\n", request.to_value());
    if stream.write_all(line.as_bytes()).await.is_err() {
        return Ok(Reply::Gone);
    }
    let mut answer = Vec::new();
    let mut reader = BufReader::new(stream.take(LINE_BYTES_MAX));
    match reader.read_until(b'\n', &mut answer).await {
        Ok(bytes) if bytes > 0 => {}
        Ok(_) | Err(_) => return Ok(Reply::Gone),
    }
    let answer = String::from_utf8_lossy(&answer);
    read(answer.trim_end()).ok_or_else(|| unreached(&"its answer cannot be read"))
}

/// What an answer says.
fn read(answer: &str) -> Option<Reply> {
    let answer = parse(answer).ok()?;
    if let Some(document) = answer.get("done") {
        return Some(Reply::Done(document.clone()));
    }
    if answer.get("gone").is_some() {
        return Some(Reply::Gone);
    }
    let failed = answer.get("failed")?;
    let text = |name: &str| failed.get(name).and_then(Value::as_text);
    let exit = failed.get("exit").and_then(Value::as_u64);
    let exits = [Exit::BadInput, Exit::Refused, Exit::Limit, Exit::Timeout, Exit::Conflict];
    let exit = exits.into_iter().find(|known| Some(u64::from(*known as u8)) == exit);
    let causes = failed.get("causes").and_then(Value::as_list).unwrap_or_default();
    let causes = causes.iter().filter_map(Value::as_text).map(|cause| format!(": {cause}"));
    let code = text("code").and_then(|code| CODES.into_iter().find(|known| *known == code));
    let said = text("error")?;
    // The code comes again when the error is told.
    let said = code.and_then(|code| said.strip_prefix(code)?.strip_prefix(": ")).unwrap_or(said);
    Some(Reply::Failed(Failure {
        exit: exit.unwrap_or(Exit::Failed),
        code,
        message: std::iter::once(said.to_owned()).chain(causes).collect(),
        advice: text("try").map(str::to_owned),
        places: Vec::new(),
    }))
}
