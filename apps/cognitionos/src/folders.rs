//! Where the roots of a run really stand, and what no root may hold.

#![expect(clippy::disallowed_methods, reason = "the program's edge looks at real folders")]

mod sameness;
mod secrets;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use cog_canon::{Canon, Standing};
use cog_effect_file::RootBinding;
use cog_gate::snapshot::Folder;

pub(crate) use self::secrets::Secrets;
use crate::failure::{Exit, Failure};

/// The folder without symbolic links and `..`, also if its last parts are yet to be made.
///
/// Part by part, as the operating system would go: `..` leaves the folder that a link leads to,
/// not the one it stands in, and a folder that will only be made.
pub(crate) fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut real = PathBuf::new();
    for part in absolute.components() {
        if part == Component::ParentDir {
            real.pop();
            continue;
        }
        real.push(part);
        if let Ok(found) = std::fs::canonicalize(&real) {
            real = found;
        }
    }
    real
}

/// The folder as the ledger keeps it: a text, so that it is found again.
pub(crate) fn on_record(path: &Path) -> Result<String, anyhow::Error> {
    let advice = "move it to a folder whose name is UTF-8";
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let message = format!(
            "the name of the folder {} is not UTF-8, and the ledger keeps places as text",
            path.display()
        );
        Failure::advise(Exit::BadInput, message, advice)
    })
}

/// Whether a folder stands at this very path, and not behind a link.
pub(crate) fn is_there(path: &Path) -> bool {
    path.is_dir() && real(path) == path
}

/// Whether a folder is yet to be made at this very path, and not behind a link.
pub(crate) fn is_due(root: &RootBinding) -> bool {
    root.create && !root.path.exists() && real(&root.path) == root.path
}

/// Refuse to write a file into the data folder: the program alone keeps what is there.
pub(crate) fn keep_out(file: &Path, data: &Path) -> Result<(), anyhow::Error> {
    if !real(file).starts_with(real(data)) {
        return Ok(());
    }
    let (file, data) = (file.display(), data.display());
    Err(Failure::advise(
        Exit::BadInput,
        format!("{file} is in the data folder {data}, which holds the ledger and its keys"),
        "write it to another folder",
    ))
}

/// The roots that the canon lets stand where they do. The others are not opened and not made:
/// the gate refuses what would be done there.
pub(crate) fn admitted(
    roots: &BTreeMap<String, RootBinding>,
    base: &Path,
    canon: Option<&Canon>,
) -> BTreeMap<String, RootBinding> {
    let base = real(base).display().to_string();
    let stands = |(name, root): &(&String, &RootBinding)| {
        let folder = Folder::new(&root.path.display().to_string(), &base);
        let rules = canon.map(|canon| &canon.settings().roots);
        let beside = folder.beside.as_deref();
        rules.map(|rules| rules.judge(name, Some(&folder.path), beside)) == Some(Standing::Admitted)
    };
    roots.iter().filter(stands).map(|(name, root)| (name.clone(), root.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_followed_and_what_is_missing_is_kept() {
        let folder = std::env::temp_dir().join(format!("cog-folders-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("a/b")).unwrap();
        std::os::unix::fs::symlink(folder.join("a"), folder.join("link")).unwrap();
        std::os::unix::fs::symlink(folder.join("a/b"), folder.join("deep")).unwrap();
        let true_folder = std::fs::canonicalize(&folder).unwrap();
        for (path, expected) in [
            ("link/b", "a/b"),
            ("link/new/er", "a/new/er"),
            ("a/../a/b", "a/b"),
            (".", ""),
            ("new/../a", "a"),
            ("new/../link/er", "a/er"),
            ("new/er/../../new", "new"),
            ("deep/../new", "a/new"),
        ] {
            assert_eq!(real(&folder.join(path)), true_folder.join(expected), "{path}");
        }
        for (root, data, apart) in [
            ("a/b", "data", true),
            ("data-2", "data", true),
            ("data", "data", false),
            ("data/keys", "data", false),
            ("new/../data", "data", false),
            (".", "data", false),
            ("link/b", "a", false),
        ] {
            let secrets = Secrets::of_folder(&folder.join(data));
            let kept = secrets.keep_apart("r", &folder.join(root));
            assert_eq!(kept.is_ok(), apart, "{root} {data}");
        }
        for (file, out) in [("data/keys/master.key", false), ("data", false), ("data.bundle", true)]
        {
            let kept = keep_out(&folder.join(file), &folder.join("data"));
            assert_eq!(kept.is_ok(), out, "{file}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
