//! Why there is no verdict.

use std::io;
use std::path::PathBuf;

use cog_ledger::bundle::BundleError;

/// Something could not be read, so that nothing can be said about the bundle.
#[derive(Debug)]
pub enum VerifyError {
    /// A file could not be opened or read.
    File(PathBuf, io::Error),
    /// What came through a pipe could not be kept in this folder to be read again.
    Keep(PathBuf, io::Error),
    /// No key was given, or one that is none.
    Key(String),
    /// A file is no bundle.
    Bundle(PathBuf, BundleError),
    /// What to compare with is neither a checkpoint nor a bundle with a head.
    Against(PathBuf),
    /// The report could not be written.
    Write(io::Error),
}

impl VerifyError {
    /// What a person can do about it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::File(..) => "name a file that is there and may be read",
            Self::Keep(..) => "name a temporary folder that may be written to: TMPDIR",
            Self::Key(_) => "give the key line of the ledger, or a file that holds it, with --key",
            Self::Bundle(..) => {
                "name a file that `cognitionos ledger export` or `ledger proof` wrote, whole"
            }
            Self::Against(_) => "give what `cognitionos ledger checkpoint` printed, or a bundle",
            Self::Write(_) => "see that standard output can be written",
        }
    }
}

impl std::fmt::Display for VerifyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path, _) => write!(f, "could not read `{}`", path.display()),
            Self::Keep(folder, _) => {
                write!(f, "could not keep what came through a pipe in `{}`", folder.display())
            }
            Self::Key(what) => f.write_str(what),
            Self::Bundle(path, _) => write!(f, "could not check `{}`", path.display()),
            Self::Against(path) => {
                write!(f, "`{}` is neither a checkpoint nor a bundle with a head", path.display())
            }
            Self::Write(_) => f.write_str("could not write the report"),
        }
    }
}

impl std::error::Error for VerifyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(_, error) | Self::Keep(_, error) | Self::Write(error) => Some(error),
            Self::Bundle(_, error) => Some(error),
            Self::Key(_) | Self::Against(_) => None,
        }
    }
}
