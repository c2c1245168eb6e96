//! Listing a folder.

use std::ffi::CStr;

use cog_base::Value;
use cog_base::words::shown;
use cog_gate::Failure;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, statat};
use rustix::io::Errno;

use crate::error::failure;
use crate::path::{Place, is_temporary};
use crate::root::{Root, kind};

/// The most entries of one listing.
pub const ENTRIES_MAX: usize = 10_000;

/// The folder's entries, sorted by the bytes of their names. Links, devices, pipes and sockets
/// are listed as `other`, and so is whatever has a name that no path can say: they are seen and
/// never followed.
pub(crate) fn list(root: &Root, place: &Place, folder: &OwnedFd) -> Result<Value, Failure> {
    let failed = |errno| root.failure("list", place, errno);
    let mut found = Vec::new();
    for entry in Dir::read_from(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") || name.to_str().is_ok_and(is_temporary) {
            continue;
        }
        if found.len() == ENTRIES_MAX {
            let tried = root.tried("list", place);
            let message = format!("could not {tried}: it has more than {ENTRIES_MAX} entries");
            return Err(failure("file.too_large", message));
        }
        match describe(folder, name) {
            Ok(value) => found.push((name.to_bytes().to_owned(), value)),
            // It went between the listing and the look.
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Value::list(found.into_iter().map(|(_, value)| value)))
}

fn describe(folder: &OwnedFd, name: &CStr) -> Result<Value, Errno> {
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let sayable = sayable(name);
    let (word, bytes) = match kind(&stat) {
        FileType::RegularFile if sayable.is_some() => {
            ("file", u64::try_from(stat.st_size).unwrap_or(0))
        }
        FileType::Directory if sayable.is_some() => ("folder", 0),
        FileType::RegularFile
        | FileType::Directory
        | FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => ("other", 0),
    };
    Ok(Value::map([
        ("name", Value::from(sayable.map_or_else(|| spelled(name), str::to_owned))),
        ("kind", word.into()),
        ("bytes", bytes.into()),
    ]))
}

/// The name, if the path of an effect can say it: UTF-8 without control characters and
/// backslashes, as the gate wants it.
fn sayable(name: &CStr) -> Option<&str> {
    let text = name.to_str().ok()?;
    (!text.contains('\\') && !text.chars().any(char::is_control)).then_some(text)
}

/// A name that cannot be said, spelled so that no two are the same and each can be found:
/// `\xff` for a byte that is not UTF-8, `\n` for a new line.
fn spelled(name: &CStr) -> String {
    let mut spelled = String::new();
    for chunk in name.to_bytes().utf8_chunks() {
        spelled.push_str(&shown(&chunk.valid().replace('\\', r"\\")));
        spelled.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    spelled
}
