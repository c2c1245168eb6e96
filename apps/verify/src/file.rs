//! Opening a file to read, and nothing that only looks like one.

#![expect(
    clippy::disallowed_types,
    reason = "the program's edge: files that somebody names are opened here"
)]

use std::fs::{FileType, OpenOptions};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// `O_NONBLOCK`: to open a pipe that nobody writes to waits for nobody.
const NONBLOCK: i32 = if cfg!(target_os = "linux") { 0o4000 } else { 0o4 };
/// What `open` answers for a socket: `ENXIO`.
const NO_SUCH_DEVICE: i32 = 6;
/// The descriptors that a process was started with: whoever gave them wants them read.
const OWN: [&str; 3] = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];

/// Open a file to read. A named pipe, a socket, a device and a folder are refused: reading them
/// might never end. What the process was given as a descriptor, such as `/dev/stdin`, is read
/// whatever it is, if it is no folder.
///
/// # Errors
/// What the operating system says; or [`ErrorKind::InvalidInput`] that names what it is.
pub fn open_file(path: &Path) -> Result<std::fs::File, Error> {
    let is_own = OWN.iter().any(|own| path.starts_with(own));
    let mut options = OpenOptions::new();
    options.read(true);
    if !is_own {
        options.custom_flags(NONBLOCK);
    }
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(NO_SUCH_DEVICE) => refused("a socket or a device without a driver"),
        _ => error,
    })?;
    // The type of what is open, not of what stood there before it was opened.
    match what(file.metadata()?.file_type()) {
        Some(other) if !is_own || other == FOLDER => Err(refused(other)),
        _ => Ok(file),
    }
}

const FOLDER: &str = "a folder";

fn refused(what: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("it is {what}, not a file"))
}

/// What it is, if it is no file.
fn what(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some(FOLDER)
    } else if kind.is_fifo() {
        Some("a named pipe")
    } else {
        Some("a device")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests make what is no file")]

    use std::io::Read as _;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_a_file_is_opened_and_nothing_is_waited_for() {
        let folder = std::env::temp_dir().join(format!("cog-open-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("file"), "text").unwrap();
        std::os::unix::fs::symlink("pipe", folder.join("link")).unwrap();
        assert!(Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap().success());
        let _listens = UnixListener::bind(folder.join("socket")).unwrap();
        for (name, expected) in [
            ("file", "text"),
            ("pipe", "it is a named pipe, not a file"),
            ("link", "it is a named pipe, not a file"),
            ("socket", "it is a socket or a device without a driver, not a file"),
            (".", "it is a folder, not a file"),
            ("/dev/zero", "it is a device, not a file"),
            ("/dev/fd", "it is a folder, not a file"),
        ] {
            let said = open_file(&folder.join(name)).map(|mut file| {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                text
            });
            assert_eq!(said.unwrap_or_else(|error| error.to_string()), expected, "{name}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
