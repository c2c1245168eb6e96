//! The token that workers are known by, in a file that only its owner may read.

#![expect(
    clippy::disallowed_types,
    reason = "the program's edge reads and makes the file of the token"
)]

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use cog_base::Entropy as _;
use verify::open_file;

use crate::failure::{Exit, Failure};
use crate::system::SystemEntropy;

/// How long a token is, at least and at most.
const BYTES: std::ops::RangeInclusive<usize> = 32..=512;
/// What a token that we make begins with, so that scanners for secrets know it.
const PREFIX: &str = "cogwrk_";
const MODE: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// The token in a file.
///
/// # Errors
/// When there is none, when others may read it, or when it is too short to be a secret.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    let at = path.display();
    let told = |why: String, advice: &str| Failure::advise(Exit::BadInput, why, advice);
    let file = open_file(path).map_err(|error| {
        let advice = "--worker-token-file FILE; `cognitionos serve --role scheduler` makes it";
        told(format!("cannot read the token of workers at {at}: {error}"), advice)
    })?;
    let metadata = file.metadata().map_err(|error| told(format!("{at}: {error}"), "look at it"))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        let why = format!("others may read the token of workers at {at}: it has mode {mode:04o}");
        return Err(told(why, &format!("chmod 600 {at}")));
    }
    let mut text = String::new();
    let most = *BYTES.end() as u64 + 2;
    let read = file.take(most).read_to_string(&mut text);
    read.map_err(|error| told(format!("{at}: {error}"), "it holds one line of text"))?;
    let token = text.trim();
    if !BYTES.contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let why = format!("{at} holds no token of {} to {} letters", BYTES.start(), BYTES.end());
        return Err(told(why, "remove it: `cognitionos serve --role scheduler` makes a new one"));
    }
    Ok(token.to_owned())
}

/// The token in a file, made when there is none.
///
/// # Errors
/// As [`read`], and when it cannot be made.
pub(crate) fn made(path: &Path) -> anyhow::Result<String> {
    let made = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
    let mut file = match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return read(path),
        other => other.map_err(|error| {
            let message =
                format!("cannot make the token of workers at {}: {error}", path.display());
            Failure::advise(Exit::BadInput, message, "--worker-token-file FILE")
        })?,
    };
    let mut secret = [0; 32];
    SystemEntropy::new().fill(&mut secret)?;
    let letters: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    file.write_all(format!("{PREFIX}{letters}\n").as_bytes()).and_then(|()| file.sync_all())?;
    read(path)
}
