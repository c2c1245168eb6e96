//! The mounts of this namespace, as `/proc/self/mountinfo` lists them (proc(5)).

#![expect(clippy::disallowed_types, reason = "the helper looks at the mounts that it made")]

use std::fs::File;
use std::io::{self, Read as _, Seek as _};

use nix::mount::MsFlags;

/// The list, which stays readable when `/proc` is covered.
#[derive(Debug)]
pub(crate) struct Mounts(File);

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    id: u64,
    parent: u64,
    /// Where it is.
    pub(crate) place: String,
    /// What it forbids: a mount that another user made may not be allowed more.
    pub(crate) flags: MsFlags,
}

impl Mounts {
    pub(crate) fn open() -> io::Result<Self> {
        File::open("/proc/self/mountinfo").map(Self)
    }

    /// What is mounted inside the last mount at `top`, at any depth. What that mount covers
    /// is not listed.
    pub(crate) fn inside(&mut self, top: &str) -> io::Result<Vec<Mount>> {
        let mut text = Vec::new();
        self.0.rewind()?;
        self.0.read_to_end(&mut text)?;
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "a mount is not understood");
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let all = lines.map(read).collect::<Option<Vec<_>>>().ok_or_else(bad)?;
        Ok(inside(all, top))
    }
}

fn inside(all: Vec<Mount>, top: &str) -> Vec<Mount> {
    let Some(top) = all.iter().filter(|mount| mount.place == top).map(|mount| mount.id).max()
    else {
        return Vec::new();
    };
    let mut found: Vec<Mount> = Vec::new();
    let mut rest = all;
    loop {
        let parents: Vec<u64> =
            found.iter().map(|mount| mount.id).chain(std::iter::once(top)).collect();
        let (more, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|mount| parents.contains(&mount.parent));
        if more.is_empty() {
            return found;
        }
        found.extend(more);
        rest = others;
    }
}

fn read(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|byte| *byte == b' ');
    let mut number = || std::str::from_utf8(words.next()?).ok()?.parse().ok();
    let (id, parent) = (number()?, number()?);
    let place = String::from_utf8(unescaped(words.nth(2)?)).ok()?;
    let options = std::str::from_utf8(words.next()?).ok()?;
    Some(Mount { id, parent, place, flags: options.split(',').map(flag).collect() })
}

fn flag(option: &str) -> MsFlags {
    match option {
        "ro" => MsFlags::MS_RDONLY,
        "nosuid" => MsFlags::MS_NOSUID,
        "nodev" => MsFlags::MS_NODEV,
        "noexec" => MsFlags::MS_NOEXEC,
        "noatime" => MsFlags::MS_NOATIME,
        "nodiratime" => MsFlags::MS_NODIRATIME,
        "relatime" => MsFlags::MS_RELATIME,
        _ => MsFlags::empty(),
    }
}

/// Blanks and backslashes are written as `\040` and the like.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = word;
    while let [first, others @ ..] = rest {
        let code = rest.strip_prefix(b"\\").and_then(|code| code.get(..3));
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = rest.get(4..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Mount> {
        text.lines().map(|line| read(line.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn a_line_is_a_place_and_what_it_forbids() {
        let text = r"36 35 98:0 /mnt1 /a\040b\134c rw,nosuid,noatime master:1 - ext3 /dev/r rw";
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOATIME;
        let place = r"a b\c".to_owned();
        let expected = Mount { id: 36, parent: 35, place: format!("/{place}"), flags };
        assert_eq!(all(text), [expected]);
        assert_eq!(read(b"36 x 98:0 / / rw"), None);
        assert_eq!(unescaped(br"\04\999\1"), br"\04\999\1");
    }

    #[test]
    fn what_the_last_mount_covers_is_not_inside() {
        let text = "20 1 0:1 / /proc rw - proc proc rw
21 20 0:2 / /proc/sys rw - binfmt_misc x rw
50 20 0:3 / /proc rw - tmpfs tmpfs rw
53 52 0:6 / /proc/usr/deep/er ro - ext4 x rw
51 50 0:4 / /proc/usr rw - ext4 x rw
52 51 0:5 / /proc/usr/deep ro,nodev - ext4 x rw
60 1 0:7 / /home rw - ext4 x rw";
        let mut places: Vec<_> =
            inside(all(text), "/proc").into_iter().map(|mount| mount.place).collect();
        places.sort();
        assert_eq!(places, ["/proc/usr", "/proc/usr/deep", "/proc/usr/deep/er"]);
        assert_eq!(inside(all(text), "/nowhere"), []);
    }
}
