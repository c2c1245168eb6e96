//! A root: a folder that is open from the start of a run, and the one way down from it.

use std::path::{Path, PathBuf};

use cog_gate::Failure;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{
    CWD, FileType, FsWord, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, Stat, fstat, fstatfs,
    fsync, mkdirat, openat2,
};
use rustix::io::Errno;

use crate::error::{from_errno, retry};
use crate::path::Place;

const NO_LINKS: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);
const BENEATH: ResolveFlags = NO_LINKS.union(ResolveFlags::BENEATH);
/// Nothing that is opened may block, become a terminal or be inherited.
const CAREFUL: OFlags = OFlags::CLOEXEC.union(OFlags::NOCTTY).union(OFlags::NONBLOCK);

/// File systems that show and steer the kernel and its processes, this one with its keys among
/// them, and hold no files of anybody (`statfs(2)`): proc, sysfs, debugfs, tracefs, securityfs,
/// both kinds of cgroup, bpf, terminals.
const OF_THE_KERNEL: [FsWord; 9] = [
    PROC_SUPER_MAGIC,
    0x6265_6572,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0x0027_E0EB,
    0x6367_7270,
    0xCAFE_4A11,
    0x0000_1CD1,
];

/// A folder that the operator lends to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootBinding {
    /// Where it is, without symbolic links: the path that is on record and that the canon was
    /// asked about. One that leads through a link is refused, as it stands elsewhere.
    pub path: PathBuf,
    /// Whether the run may write and delete in it.
    pub write: bool,
    /// Whether it may be missing: the first effect that writes in it makes it, with what leads to it.
    pub create: bool,
}

/// Why a run's roots cannot be bound. Nothing of the run may begin.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
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
    /// A symbolic link stands in the path: the folder is another than the one on record.
    #[error("a symbolic link now stands in the path {path:?} of root `{root}`")]
    Moved {
        /// The root's name.
        root: String,
        /// The folder.
        path: PathBuf,
    },
    /// It shows the kernel and its processes and holds no files.
    #[error("the folder {path:?} of root `{root}` is of the kernel's own file systems")]
    OfTheKernel {
        /// The root's name.
        root: String,
        /// The folder.
        path: PathBuf,
    },
    /// The kernel cannot confine paths to a folder (`openat2`, Linux 5.6), or a filter
    /// forbids the call. Files are not touched without it.
    #[error("this kernel or its container forbids openat2, which keeps paths inside a root")]
    UnsupportedKernel,
}

impl BindError {
    /// Whether nothing at all stands there.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Open { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }

    /// What happened, with its cause, in one line.
    #[must_use]
    pub fn told(&self) -> String {
        let cause = std::error::Error::source(self).map(|cause| format!(": {cause}"));
        format!("{self}{}", cause.unwrap_or_default())
    }

    /// The stable code: `file.unsupported_kernel`, `file.root_moved` or `file.bad_root`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnsupportedKernel => "file.unsupported_kernel",
            Self::Moved { .. } => "file.root_moved",
            Self::Open { .. } | Self::OfTheKernel { .. } => "file.bad_root",
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
    /// Open the folder; `make` it when it is missing.
    pub(crate) fn open(name: &str, binding: &RootBinding, make: bool) -> Result<Self, BindError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | CAREFUL;
        let (root, path) = (name.to_owned(), binding.path.clone());
        match open_real(&path, flags, make) {
            Ok(folder) if is_of_the_kernel(&folder) => Err(BindError::OfTheKernel { root, path }),
            Ok(folder) => Ok(Self { name: root, folder, write: binding.write }),
            // The first call tells whether the kernel can do it at all; a container's filter
            // answers EPERM where an old kernel answers ENOSYS.
            Err(Errno::NOSYS | Errno::PERM) => Err(BindError::UnsupportedKernel),
            Err(Errno::LOOP) => Err(BindError::Moved { root, path }),
            Err(errno) => Err(BindError::Open { root, path, source: errno.into() }),
        }
    }

    /// The same open folder once more, to lend it to somebody else.
    pub(crate) fn lend(&self) -> std::io::Result<OwnedFd> {
        self.folder.try_clone()
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
        tried(verb, place, &self.name)
    }

    // Without O_NOFOLLOW: with it, O_PATH would open a link itself instead of refusing it.
    fn resolve(&self, place: &Place, flags: OFlags) -> Result<OwnedFd, Errno> {
        let found = retry(|| openat2(&self.folder, place.text(), flags, Mode::empty(), BENEATH))?;
        if is_of_the_kernel(&found) { Err(Errno::NXIO) } else { Ok(found) }
    }
}

/// What was tried in the root of this name, for messages.
pub(crate) fn tried(verb: &str, place: &Place, root: &str) -> String {
    format!("{verb} `{}` in root `{root}`", place.text())
}

fn is_of_the_kernel(file: &OwnedFd) -> bool {
    fstatfs(file).map_or(true, |it| OF_THE_KERNEL.contains(&it.f_type))
}

/// What kind of thing a status describes.
pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Open the folder at `path` without following a link, and make it when it is missing and
/// `create` says so. Each folder is made in its parent's open folder, so that no link that is
/// put in the way meanwhile leads elsewhere.
fn open_real(path: &Path, flags: OFlags, create: bool) -> Result<OwnedFd, Errno> {
    let open = |from: BorrowedFd<'_>, at: &Path| {
        retry(|| openat2(from, at, flags, Mode::empty(), NO_LINKS))
    };
    match (open(CWD, path), path.parent().zip(path.file_name())) {
        (Err(Errno::NOENT), Some((parent, name))) if create => {
            let parent =
                open_real(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, true)?;
            match mkdirat(&parent, name, Mode::from(0o777)) {
                Ok(()) => sync_names(&parent)?,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            open(parent.as_fd(), Path::new(name))
        }
        (opened, _) => opened,
    }
}

/// Make the names in a folder durable. One that may be passed and not read cannot be synced.
fn sync_names(folder: &OwnedFd) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | CAREFUL;
    match retry(|| openat2(folder, ".", flags, Mode::empty(), BENEATH)) {
        Ok(readable) => retry(|| fsync(&readable)),
        Err(Errno::ACCESS) => Ok(()),
        Err(errno) => Err(errno),
    }
}
