//! A root: a folder that is open from the start of a run, and the one way down from it.

use std::path::PathBuf;

use cog_gate::Failure;
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2};
use rustix::io::Errno;

use crate::error::{from_errno, retry};
use crate::path::Place;

const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// Nothing that is opened may block, become a terminal or be inherited.
const CAREFUL: OFlags = OFlags::CLOEXEC.union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

/// A folder that the operator lends to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootBinding {
    /// Where it is. Symbolic links in this path are the operator's and are followed.
    pub path: PathBuf,
    /// Whether the run may write and delete in it.
    pub write: bool,
    /// Whether it is made when it is missing.
    pub create: bool,
}

/// Why a run's roots cannot be bound. Nothing of the run may begin.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The folder cannot be made.
    #[error("could not make the folder {path:?} for root `{root}`")]
    Create {
        /// The root's name.
        root: String,
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The folder cannot be opened.
    #[error("could not open the folder {path:?} of root `{root}`")]
    Open {
        /// The root's name.
        root: String,
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The kernel cannot confine paths to a folder (`openat2`, Linux 5.6), or a filter
    /// forbids the call. Files are not touched without it.
    #[error("this kernel or its container forbids openat2, which keeps paths inside a root")]
    UnsupportedKernel,
}

impl BindError {
    /// The stable code: `file.unsupported_kernel` or `file.bad_root`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnsupportedKernel => "file.unsupported_kernel",
            Self::Create { .. } | Self::Open { .. } => "file.bad_root",
        }
    }
}

/// An open root.
#[derive(Debug)]
pub(crate) struct Root {
    name: String,
    folder: OwnedFd,
    write: bool,
}

impl Root {
    pub(crate) fn open(name: &str, binding: &RootBinding) -> Result<Self, BindError> {
        let path = &binding.path;
        if binding.create {
            make(path).map_err(|source| BindError::Create {
                root: name.into(),
                path: path.clone(),
                source,
            })?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | CAREFUL;
        let folder =
            retry(|| rustix::fs::openat(CWD, path, flags, Mode::empty())).map_err(|errno| {
                BindError::Open { root: name.into(), path: path.clone(), source: errno.into() }
            })?;
        // The first call decides whether the kernel can do it at all; a container's filter
        // answers EPERM where an old kernel answers ENOSYS.
        match retry(|| openat2(&folder, ".", flags, Mode::empty(), BENEATH)) {
            Ok(_) => Ok(Self { name: name.into(), folder, write: binding.write }),
            Err(Errno::NOSYS | Errno::PERM) => Err(BindError::UnsupportedKernel),
            Err(errno) => {
                Err(BindError::Open { root: name.into(), path: path.clone(), source: errno.into() })
            }
        }
    }

    pub(crate) fn may_write(&self) -> bool {
        self.write
    }

    /// What stands at `place`, without opening it for anything.
    pub(crate) fn look(&self, place: &Place) -> Result<Stat, Errno> {
        let found = self.resolve(place, OFlags::PATH | OFlags::CLOEXEC)?;
        fstat(&found)
    }

    /// Open the regular file or folder at `place` for reading. It is looked at first, as
    /// opening a device can act.
    pub(crate) fn open_to_read(&self, place: &Place) -> Result<(OwnedFd, Stat), Errno> {
        let plain = |stat: &Stat| matches!(kind(stat), FileType::RegularFile | FileType::Directory);
        if !plain(&self.look(place)?) {
            return Err(Errno::NXIO);
        }
        let found = self.resolve(place, OFlags::RDONLY | CAREFUL)?;
        let stat = fstat(&found)?;
        if plain(&stat) { Ok((found, stat)) } else { Err(Errno::NXIO) }
    }

    /// Open the folder at `place`.
    pub(crate) fn open_folder(&self, place: &Place) -> Result<OwnedFd, Errno> {
        self.resolve(place, OFlags::RDONLY | OFlags::DIRECTORY | CAREFUL)
    }

    /// The failure of trying to `verb` something here.
    pub(crate) fn failure(&self, verb: &str, place: &Place, errno: Errno) -> Failure {
        from_errno(&self.tried(verb, place), errno)
    }

    /// What was tried, for messages.
    pub(crate) fn tried(&self, verb: &str, place: &Place) -> String {
        format!("{verb} `{}` in root `{}`", place.text(), self.name)
    }

    // Without O_NOFOLLOW: with it, O_PATH would open a link itself instead of refusing it.
    fn resolve(&self, place: &Place, flags: OFlags) -> Result<OwnedFd, Errno> {
        retry(|| openat2(&self.folder, place.text(), flags, Mode::empty(), BENEATH))
    }
}

/// What kind of thing a status describes.
pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the operator asked for this folder when declaring the root; the run has not begun"
)]
fn make(path: &std::path::Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)
}
