//! The folders that a run lends to its programs.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use crate::spec::Access;

/// A folder that is open, so that nobody can put another in its place.
#[derive(Debug)]
pub struct WorkFolder {
    folder: OwnedFd,
    write: bool,
}

impl WorkFolder {
    /// Lend the open `folder` to programs that may change it (`write`) or only read it.
    #[must_use]
    pub const fn new(folder: OwnedFd, write: bool) -> Self {
        Self { folder, write }
    }

    /// A path that leads to the open folder itself, for a process that is being started by
    /// this one: descriptors are there until its program begins.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.folder.as_raw_fd()))
    }

    pub(crate) const fn access(&self) -> Access {
        if self.write { Access::Write } else { Access::Read }
    }
}
