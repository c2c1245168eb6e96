//! Reading a file as text.

use cog_base::Value;
use cog_gate::Failure;
use rustix::fd::OwnedFd;
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::error::{failure, retry};
use crate::folder::list;
use crate::path::Place;
use crate::root::{Root, kind};

/// The largest file that is read, in bytes.
pub const READ_BYTES_MAX: usize = 8 << 20;
/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// The output of `file.read`: a file's text, or a folder's entries.
pub(crate) fn read_inside(root: &Root, path: &str) -> Result<Value, Failure> {
    let place = Place::parse(path)?;
    let (found, stat) =
        root.open_to_read(&place).map_err(|errno| root.failure("read", &place, errno))?;
    if kind(&stat) == FileType::Directory {
        let entries = list(root, &place, &found)?;
        return Ok(listed(&place, entries));
    }
    let bytes = content(root, &place, &found)?;
    let count = bytes.len() as u64;
    let text = String::from_utf8(bytes).map_err(|error| {
        let tried = root.tried("read", &place);
        let at = error.utf8_error().valid_up_to();
        failure("file.not_text", format!("could not {tried}: it is not UTF-8 text at byte {at}"))
    })?;
    Ok(Value::map([
        ("path", Value::from(place.text())),
        ("kind", "file".into()),
        ("bytes", count.into()),
        ("text", text.into()),
    ]))
}

/// The output of `file.read` for a folder.
pub(crate) fn listed(place: &Place, entries: Value) -> Value {
    Value::map([
        ("path", Value::from(place.text())),
        ("kind", "folder".into()),
        ("entries", entries),
    ])
}

/// The bytes of an open file, up to the limit.
pub(crate) fn content(root: &Root, place: &Place, file: &OwnedFd) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = retry(|| rustix::io::read(file, &mut chunk))
            .map_err(|errno| root.failure("read", place, errno))?;
        if count == 0 {
            return Ok(bytes);
        }
        bytes.extend(chunk.iter().take(count));
        if bytes.len() > READ_BYTES_MAX {
            let tried = root.tried("read", place);
            let message = format!("could not {tried}: it has more than {READ_BYTES_MAX} bytes");
            return Err(failure("file.too_large", message));
        }
    }
}

/// The bytes of the regular file at `place`, or nothing when there is no file.
pub(crate) fn content_if_any(root: &Root, place: &Place) -> Result<Option<Vec<u8>>, Failure> {
    match root.open_to_read(place) {
        Ok((file, stat)) if kind(&stat) == FileType::RegularFile => {
            content(root, place, &file).map(Some)
        }
        Ok(_) => Err(root.failure("read", place, Errno::ISDIR)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(root.failure("read", place, errno)),
    }
}
