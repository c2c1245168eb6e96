//! Paths inside a root: names and slashes, with one spelling each.

use cog_base::id::ReceiptId;
use cog_gate::Failure;

use crate::error::failure;

/// The longest path, in bytes: what Linux takes in one call.
pub const PATH_BYTES_MAX: usize = 4_095;
/// The longest name in a path, in bytes.
pub const NAME_BYTES_MAX: usize = 255;

const TEMPORARY_PREFIX: &str = ".cog-rcp_";
const TEMPORARY_SUFFIX: &str = ".tmp";

/// A path below a root, without `.`, `..`, empty or reserved names, so that no two paths
/// mean the same file and none leaves. No names at all mean the root itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    names: Vec<String>,
}

impl Place {
    /// Read a path. A leading `./` and one `/` at the end mean nothing, as people write both.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let shown: String = text.chars().take(200).collect();
        let escapes = |remark: &str| {
            failure(
                "file.escapes_root",
                format!("the path `{shown}` {remark}; name a path inside the root"),
            )
        };
        let bad = |remark: &str| failure("file.bad_path", format!("the path `{shown}` {remark}"));
        if text.len() > PATH_BYTES_MAX {
            return Err(bad("is longer than 4,095 bytes"));
        }
        if text.contains('\0') {
            return Err(bad("has a NUL in it"));
        }
        if text.starts_with('/') {
            return Err(escapes("is absolute"));
        }
        if matches!(text, "." | "./") {
            return Ok(Self::root());
        }
        let inner = text.trim_start_matches("./");
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let names: Vec<String> = inner.split('/').map(str::to_owned).collect();
        for name in &names {
            match name.as_str() {
                ".." => return Err(escapes("goes up by `..`")),
                "" | "." => return Err(bad("has an empty name in it")),
                long if long.len() > NAME_BYTES_MAX => {
                    return Err(bad("has a name longer than 255 bytes"));
                }
                reserved if is_temporary(reserved) => {
                    return Err(bad("has a name that unfinished writes use"));
                }
                _ => {}
            }
        }
        Ok(Self { names })
    }

    /// The root itself.
    pub(crate) fn root() -> Self {
        Self { names: Vec::new() }
    }

    /// The path to resolve, `.` for the root itself.
    pub(crate) fn text(&self) -> String {
        if self.names.is_empty() { ".".into() } else { self.names.join("/") }
    }

    /// The paths of the folders above it, from the top, and its own name; nothing for the
    /// root itself.
    pub(crate) fn split(&self) -> Option<(Vec<Place>, &str)> {
        let (name, above) = self.names.split_last()?;
        let folders = (1..=above.len())
            .map(|count| Self { names: above.iter().take(count).cloned().collect() })
            .collect();
        Some((folders, name))
    }
}

/// The name under which a receipt's unfinished write stands. It follows from the receipt,
/// so that the next try of the same receipt replaces what a crash left behind.
pub(crate) fn temporary_name(receipt: ReceiptId) -> String {
    format!(".cog-{receipt}{TEMPORARY_SUFFIX}")
}

/// Whether a name is one of an unfinished write. Such names are not listed and not written.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match Place::parse(text) {
            Ok(place) => place.text(),
            Err(failure) => failure.code,
        };
        assert_eq!(found, expected, "for {text:?}");
    }

    #[test]
    fn a_path_has_one_spelling() {
        check("a.txt", "a.txt");
        check("./a.txt", "a.txt");
        check("a/b/", "a/b");
        check(".", ".");
        check("./", ".");
        check(".hidden", ".hidden");
        check("a b/ä.txt", "a b/ä.txt");
        check("...", "...");
    }

    #[test]
    fn a_path_that_leaves_is_refused() {
        check("/etc/passwd", "file.escapes_root");
        check("..", "file.escapes_root");
        check("../x", "file.escapes_root");
        check("a/../../x", "file.escapes_root");
        check("./../x", "file.escapes_root");
    }

    #[test]
    fn a_path_with_a_second_spelling_is_refused() {
        check("", "file.bad_path");
        check("a//b", "file.bad_path");
        check("a/./b", "file.bad_path");
        check("a//", "file.bad_path");
        check("a\0b", "file.bad_path");
        check(&"a/".repeat(3_000), "file.bad_path");
        check(&"n".repeat(256), "file.bad_path");
        check(".cog-rcp_01.tmp", "file.bad_path");
    }

    #[test]
    fn the_folders_above_a_file_come_from_the_top() {
        let place = Place::parse("a/b/c.txt").unwrap();
        let (folders, name) = place.split().unwrap();
        let folders: Vec<String> = folders.iter().map(Place::text).collect();
        assert_eq!((folders, name), (vec!["a".to_owned(), "a/b".to_owned()], "c.txt"));
        assert_eq!(Place::parse(".").unwrap().split(), None);
    }
}
