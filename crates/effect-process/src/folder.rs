//! The folders that a run lends to its programs.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the operator declared these folders; they are opened before the run begins"
)]

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use crate::spec::Access;

/// A folder that is open from the start of a run, so that nobody can put another in its
/// place.
#[derive(Debug)]
pub struct WorkFolder {
    folder: File,
    write: bool,
}

/// Why a folder cannot be lent.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// It cannot be made.
    #[error("could not make the folder {path:?}")]
    Create {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be opened.
    #[error("could not open the folder {path:?}")]
    Open {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

impl WorkFolder {
    /// Open the folder at `path`, for programs that may change it (`write`) or only read
    /// it; make it when it is missing and `create` says so.
    ///
    /// # Errors
    /// [`BindError`] when it cannot be made or opened, or is no folder.
    pub fn open(path: &Path, write: bool, create: bool) -> Result<Self, BindError> {
        let at = || path.to_owned();
        if create {
            std::fs::create_dir_all(path)
                .map_err(|source| BindError::Create { path: at(), source })?;
        }
        let open = || {
            let folder = File::open(path)?;
            let is_folder = folder.metadata()?.is_dir();
            is_folder.then_some(folder).ok_or(std::io::ErrorKind::NotADirectory.into())
        };
        let folder = open().map_err(|source| BindError::Open { path: at(), source })?;
        Ok(Self { folder, write })
    }

    /// A path that leads to the open folder itself, for a process that is being started by
    /// this one: descriptors are there until its program begins.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.folder.as_raw_fd()))
    }

    pub(crate) fn access(&self) -> Access {
        if self.write { Access::Write } else { Access::Read }
    }
}
