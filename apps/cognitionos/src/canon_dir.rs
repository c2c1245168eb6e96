//! Reading a canon folder into a source; nothing is judged here.

#![expect(clippy::disallowed_methods, reason = "the program's edge reads what it is pointed at")]

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cog_canon::{Canon, Source};

use crate::failure::{Exit, Failure};
use crate::given;

/// The deepest folder that is looked into.
const DEPTH_MAX: usize = 3;

/// Whether a folder holds a canon.
pub(crate) fn is_canon(dir: &Path) -> bool {
    dir.join("canon.toml").is_file()
}

/// Read and load the canon in `dir`.
pub(crate) fn load(dir: &Path) -> anyhow::Result<(Source, Canon)> {
    let source = read(dir)?;
    let canon = Canon::load(&source).map_err(|error| {
        Failure::advise(
            Exit::BadInput,
            format!("the canon in {} does not load: {error}", dir.display()),
            "mend the file at that place; docs/guide/canon.md says what can stand there",
        )
    })?;
    Ok((source, canon))
}

/// The files of a canon folder.
pub(crate) fn read(dir: &Path) -> anyhow::Result<Source> {
    if !is_canon(dir) {
        return Err(Failure::advise(
            Exit::BadInput,
            format!("there is no canon in {}: it has no canon.toml", dir.display()),
            "name the folder that holds canon.toml; examples/01-quickstart/canon is one",
        ));
    }
    let mut files = Vec::new();
    collect(dir, dir, 0, &mut files)?;
    let mut read = Vec::new();
    let folder = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    for (name, path) in files {
        if path.canonicalize().is_ok_and(|real| !real.starts_with(&folder)) {
            let message = format!("{} is a link out of the folder of the canon", path.display());
            let advice = "put the file itself there";
            return Err(Failure::advise(Exit::BadInput, message, advice));
        }
        let bytes = given::bytes(&path).map_err(|error| {
            let message = format!("cannot read {}: {error}", path.display());
            let advice = "let every file of the canon be a file that may be read";
            Failure::advise(Exit::BadInput, message, advice)
        })?;
        read.push((name, bytes));
    }
    Ok(Source::new(read))
}

fn collect(
    root: &Path,
    dir: &Path,
    depth: usize,
    files: &mut Vec<(String, PathBuf)>,
) -> anyhow::Result<()> {
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", dir.display()))?.path();
        if path.is_dir() && depth < DEPTH_MAX {
            collect(root, &path, depth + 1, files)?;
        } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str)
            && Source::belongs(name)
        {
            files.push((name.to_owned(), path));
        }
    }
    Ok(())
}
