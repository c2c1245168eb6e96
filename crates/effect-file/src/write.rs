//! Writing and deleting files: the whole change or none of it.

use cog_base::id::ReceiptId;
use cog_base::{Digest, Value};
use cog_gate::Failure;
use cog_gate::effect::WriteMode;
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, fchmod, fsync, linkat, mkdirat, openat,
    renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use crate::error::{failure, retry};
use crate::path::{Place, temporary_name};
use crate::root::{Root, kind};

/// The largest file that is written, in bytes: what can be read back.
pub const WRITE_BYTES_MAX: usize = crate::READ_BYTES_MAX;
/// Permissions of a new file, less the process's umask.
const FILE_MODE: u32 = 0o644;
/// Permissions of a new folder, less the process's umask.
const FOLDER_MODE: u32 = 0o755;

/// How a change of a file ended.
pub(crate) enum Change {
    /// It is done and survives a power cut.
    Done(Value),
    /// It is visible, but whether it survives a power cut is not known.
    Unsure,
}

/// A file to be written.
pub(crate) struct Write<'a> {
    pub(crate) path: &'a str,
    pub(crate) bytes: &'a [u8],
    pub(crate) mode: WriteMode,
    pub(crate) receipt: ReceiptId,
}

/// Write a file by way of a temporary one in the same folder. Until the last step nothing
/// is visible; after it no failure is reported any more, so that a retry never meets its
/// own file.
pub(crate) fn write_inside(root: &Root, write: &Write<'_>) -> Result<Change, Failure> {
    let place = Place::parse(write.path)?;
    let failed = |errno| root.failure("write", &place, errno);
    let (folders, name) = place.split().ok_or_else(|| failed(Errno::ISDIR))?;
    if write.bytes.len() > WRITE_BYTES_MAX {
        let tried = root.tried("write", &place);
        let message = format!("could not {tried}: more than {WRITE_BYTES_MAX} bytes");
        return Err(failure("file.too_large", message));
    }
    writable(root, "write", &place)?;
    let folder = make_folders(root, &folders).map_err(failed)?;
    let before = standing(&folder, name).map_err(failed)?;
    if before.is_some() && write.mode == WriteMode::Create {
        return Err(failed(Errno::EXIST));
    }
    let temporary = temporary_name(write.receipt);
    let permissions = before.unwrap_or(Mode::from_raw_mode(FILE_MODE));
    let shown = prepare(&folder, &temporary, write.bytes, permissions, before.is_some())
        .and_then(|()| show(&folder, &temporary, name, write.mode));
    if let Err(errno) = shown {
        // What is left over is not listed, and the next try replaces it.
        let _ = unlinkat(&folder, &temporary, AtFlags::empty());
        return Err(failed(errno));
    }
    Ok(finished(&folder, written(&place, write.bytes)))
}

/// Remove the temporary file that an unfinished write of `receipt` left behind, if any. It is
/// nobody's content, so that failing to remove it changes no answer.
pub(crate) fn discard(root: &Root, place: &Place, receipt: ReceiptId) {
    let Some((folders, _)) = place.split() else { return };
    let above = folders.last().cloned().unwrap_or_else(Place::root);
    if let Ok(folder) = root.open_folder(&above) {
        let _ = retry(|| unlinkat(&folder, temporary_name(receipt), AtFlags::empty()));
    }
}

/// The output of `file.write`.
pub(crate) fn written(place: &Place, bytes: &[u8]) -> Value {
    Value::map([
        ("path", Value::from(place.text())),
        ("bytes", (bytes.len() as u64).into()),
        ("digest", Digest::of(&[bytes]).into()),
    ])
}

/// Delete a regular file. That it is not there is no failure.
pub(crate) fn delete_inside(root: &Root, path: &str) -> Result<Change, Failure> {
    let place = Place::parse(path)?;
    let failed = |errno| root.failure("delete", &place, errno);
    let (folders, name) = place.split().ok_or_else(|| failed(Errno::ISDIR))?;
    writable(root, "delete", &place)?;
    let above = folders.last().cloned().unwrap_or_else(Place::root);
    let folder = match root.open_folder(&above) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Ok(Change::Done(deleted(&place, false.into()))),
        Err(errno) => return Err(failed(errno)),
    };
    if standing(&folder, name).map_err(failed)?.is_none() {
        return Ok(Change::Done(deleted(&place, false.into())));
    }
    match retry(|| unlinkat(&folder, name, AtFlags::empty())) {
        Ok(()) => Ok(finished(&folder, deleted(&place, true.into()))),
        Err(Errno::NOENT) => Ok(Change::Done(deleted(&place, false.into()))),
        Err(errno) => Err(failed(errno)),
    }
}

/// The output of `file.delete`.
pub(crate) fn deleted(place: &Place, existed: Value) -> Value {
    Value::map([("path", Value::from(place.text())), ("existed", existed)])
}

fn writable(root: &Root, verb: &str, place: &Place) -> Result<(), Failure> {
    if root.may_write() {
        return Ok(());
    }
    let tried = root.tried(verb, place);
    let message = format!("could not {tried}: the root is declared with `access: read`");
    Err(failure("file.read_only_root", message))
}

/// The last of `folders`, each made where it is missing; the root for none.
fn make_folders(root: &Root, folders: &[Place]) -> Result<OwnedFd, Errno> {
    let mut above = root.open_folder(&Place::root())?;
    for place in folders {
        above = match root.open_folder(place) {
            Err(Errno::NOENT) => make_folder(root, &above, place)?,
            other => other?,
        };
    }
    Ok(above)
}

fn make_folder(root: &Root, above: &OwnedFd, place: &Place) -> Result<OwnedFd, Errno> {
    let (_, name) = place.split().ok_or(Errno::INVAL)?;
    match mkdirat(above, name, Mode::from_raw_mode(FOLDER_MODE)) {
        Ok(()) => retry(|| fsync(above))?,
        Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    root.open_folder(place)
}

/// The permissions of the regular file `name`, or nothing when there is none. Anything else
/// under that name is an error: it is neither replaced nor deleted.
fn standing(folder: &OwnedFd, name: &str) -> Result<Option<Mode>, Errno> {
    let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    match kind(&stat) {
        // Without set-user-id and its like: the new content did not earn them.
        FileType::RegularFile => Ok(Some(Mode::from_raw_mode(stat.st_mode & 0o777))),
        FileType::Symlink => Err(Errno::LOOP),
        FileType::Directory => Err(Errno::ISDIR),
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Err(Errno::NXIO),
    }
}

/// Put the content, synced, under the temporary name.
fn prepare(
    folder: &OwnedFd,
    temporary: &str,
    bytes: &[u8],
    permissions: Mode,
    keep_permissions: bool,
) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || retry(|| openat(folder, temporary, flags, permissions));
    let file = match open() {
        // A crash left it behind in an earlier try of this receipt.
        Err(Errno::EXIST) => {
            unlinkat(folder, temporary, AtFlags::empty())?;
            open()?
        }
        other => other?,
    };
    if keep_permissions {
        fchmod(&file, permissions)?;
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        let count = retry(|| rustix::io::write(&file, rest))?;
        rest = rest.get(count..).unwrap_or_default();
        if count == 0 {
            return Err(Errno::NOSPC);
        }
    }
    retry(|| fsync(&file))
}

/// Give the temporary file its name, in one step.
fn show(folder: &OwnedFd, temporary: &str, name: &str, mode: WriteMode) -> Result<(), Errno> {
    let flags = match mode {
        WriteMode::Create => RenameFlags::NOREPLACE,
        WriteMode::Replace => RenameFlags::empty(),
    };
    match renameat_with(folder, temporary, folder, name, flags) {
        // Some file systems cannot rename without replacing; a link never replaces.
        Err(Errno::INVAL | Errno::NOSYS) if mode == WriteMode::Create => {
            linkat(folder, temporary, folder, name, AtFlags::empty())?;
            let _ = unlinkat(folder, temporary, AtFlags::empty());
            Ok(())
        }
        other => other,
    }
}

fn finished(folder: &OwnedFd, output: Value) -> Change {
    match retry(|| fsync(folder)) {
        Ok(()) => Change::Done(output),
        Err(_) => Change::Unsure,
    }
}
