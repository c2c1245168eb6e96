//! A file that is named, as one that can be read more than once: what comes through a pipe is kept
//! beside the program while it is looked at.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the verifier is an edge: it keeps what cannot be read twice"
)]

use std::fs::{File, OpenOptions, remove_file};
use std::io::{Error, ErrorKind};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::{VerifyError, open_file};

/// What names standard input.
const DASH: &str = "-";
/// How many names are tried for a file that is kept.
const NAMES_MAX: u32 = 100;

/// A file to check, under the name that can be opened and the one that people know.
#[derive(Debug)]
pub(crate) struct Given {
    /// What is opened.
    pub(crate) path: PathBuf,
    /// What was named.
    pub(crate) shown: PathBuf,
    /// The file that it is kept in, as long as this is.
    _kept: Option<Kept>,
}

impl Given {
    /// `-` is standard input. What is no file, but was given to this process as a descriptor, is
    /// copied into a file of its own, which is gone when this is.
    pub(crate) fn of(path: &Path) -> Result<Self, VerifyError> {
        let is_dash = path == Path::new(DASH);
        let shown = if is_dash { Path::new("<stdin>") } else { path }.to_owned();
        let path = if is_dash { Path::new("/dev/stdin") } else { path }.to_owned();
        let failed = |error| VerifyError::File(shown.clone(), error);
        let mut input = open_file(&path).map_err(failed)?;
        if input.metadata().is_ok_and(|about| about.is_file()) {
            return Ok(Self { path, shown, _kept: None });
        }
        let unkept = |error| VerifyError::Keep(std::env::temp_dir(), error);
        let mut kept = Kept::new().map_err(unkept)?;
        std::io::copy(&mut input, &mut kept.file).map_err(unkept)?;
        Ok(Self { path: kept.path(), shown, _kept: Some(kept) })
    }

    /// An error in the words of who named the file.
    pub(crate) fn named(&self, error: VerifyError) -> VerifyError {
        let name = |path: PathBuf| if path == self.path { self.shown.clone() } else { path };
        match error {
            VerifyError::File(path, error) => VerifyError::File(name(path), error),
            VerifyError::Bundle(path, error) => VerifyError::Bundle(name(path), error),
            VerifyError::Against(path) => VerifyError::Against(name(path)),
            error @ (VerifyError::Keep(..) | VerifyError::Key(_) | VerifyError::Write(_)) => error,
        }
    }
}

/// A file that nobody else can read. Where a descriptor can be opened again, its name is gone at
/// once, so that nothing is left whatever ends the program.
#[derive(Debug)]
struct Kept {
    file: File,
    name: Option<PathBuf>,
}

impl Kept {
    fn new() -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        for number in 0..NAMES_MAX {
            let name = format!("cognitionos-verify-{}-{number}", std::process::id());
            let name = std::env::temp_dir().join(name);
            match options.open(&name) {
                Ok(file) if cfg!(target_os = "linux") => {
                    remove_file(&name)?;
                    return Ok(Self { file, name: None });
                }
                Ok(file) => return Ok(Self { file, name: Some(name) }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::AlreadyExists, "the temporary folder has no free name left"))
    }

    fn path(&self) -> PathBuf {
        let descriptor = || format!("/proc/self/fd/{}", self.file.as_raw_fd()).into();
        self.name.clone().unwrap_or_else(descriptor)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // One that is gone already is gone.
        drop(self.name.as_ref().map(remove_file));
    }
}
