//! Folders that are the same although their paths differ: mounted in two places.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A folder, whatever path leads to it.
type Id = (u64, u64);

/// How deep the data folder goes.
const DEPTH_MAX: usize = 4;

/// What of the data folder a root would reach through a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    /// The root is the data folder, or a folder in it.
    StandsIn,
    /// The data folder is in it.
    Holds,
}

/// Whether the folder at `root` shares anything with the data folder by way of mounts. Both
/// paths are real ones; what cannot be looked at is not there yet.
pub(super) fn shared(root: &Path, data: &Path) -> Option<Shared> {
    let mut inside = BTreeSet::new();
    collect(data, DEPTH_MAX, &mut inside);
    if inside.is_empty() {
        return None;
    }
    let above: BTreeSet<Id> = data.ancestors().skip(1).filter_map(id).collect();
    if root.ancestors().filter_map(id).any(|it| inside.contains(&it)) {
        return Some(Shared::StandsIn);
    }
    let reaches = |it: Id| inside.contains(&it) || above.contains(&it);
    let mounted = mounts().into_iter().filter(|place| place.starts_with(root) && place != root);
    let holds = id(root).is_some_and(reaches) || mounted.filter_map(|it| id(&it)).any(reaches);
    holds.then_some(Shared::Holds)
}

fn id(path: impl AsRef<Path>) -> Option<Id> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

fn collect(folder: &Path, depth: usize, ids: &mut BTreeSet<Id>) {
    ids.extend(id(folder));
    let Some(depth) = depth.checked_sub(1) else { return };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), depth, ids);
        }
    }
}

/// The places where something is mounted (`proc_pid_mountinfo(5)`, the fifth field).
fn mounts() -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let places = table.lines().filter_map(|line| line.split(' ').nth(4));
    places.map(|place| PathBuf::from(unescaped(place))).collect()
}

/// Blanks and the like stand in octal there: `\040`.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (code, part.get(3..)) {
            (Some(code), Some(rest)) if code.is_ascii() => {
                plain.push(char::from(code));
                plain.push_str(rest);
            }
            (_, _) => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_with_a_blank_is_read() {
        assert_eq!(unescaped(r"/a\040b\134c"), r"/a b\c");
        assert_eq!(unescaped(r"/a\09"), r"/a\09");
        assert!(mounts().contains(&PathBuf::from("/")));
    }
}
