//! The files of a canon, and the digest that names their version.

use std::collections::BTreeMap;

use cog_base::{Digest, Value};

use crate::error::CanonError;

/// Most files of a canon.
pub const FILES_MAX: usize = 1_000;
/// Most bytes of one file.
pub const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most bytes of all files together.
pub const SOURCE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Where the settings stand.
pub(crate) const SETTINGS: &str = "canon.toml";
/// Where the schema stands.
pub(crate) const SCHEMA: &str = "schema.cedarschema";

const DIGEST_CONTEXT: &str = "cognitionos/canon/v1";

/// The files of a canon: `canon.toml`, `schema.cedarschema`, `policies/*.cedar`,
/// `facts/*.json` and `tests/*.yaml`. Other files that stand in the folder are no part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    files: BTreeMap<String, Vec<u8>>,
}

impl Source {
    /// The canon among these files. Paths are relative to its folder, with `/` between names.
    #[must_use]
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let files = files.into_iter().filter(|(path, _)| Self::belongs(path)).collect();
        Self { files }
    }

    /// Whether a file with this path is part of a canon.
    #[must_use]
    pub fn belongs(path: &str) -> bool {
        let inside = |folder: &str, ending: &str| {
            let name = path.strip_prefix(folder).and_then(|name| name.strip_suffix(ending));
            name.is_some_and(|name| {
                !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\'])
            })
        };
        path == SETTINGS
            || path == SCHEMA
            || inside("policies/", ".cedar")
            || inside("facts/", ".json")
            || inside("tests/", ".yaml")
    }

    /// The files by path.
    #[must_use]
    pub const fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// The version: SHA-256 in the context `cognitionos/canon/v1` over the canonical JSON of
    /// `{path: digest of the file}`.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let files = self.files.iter().map(|(path, bytes)| (path.as_str(), Digest::of(&[bytes])));
        let listing: Value = Value::map(files);
        Digest::in_context(DIGEST_CONTEXT, &listing.canonical())
    }

    /// Refuse what is too large to load.
    pub(crate) fn check_limits(&self) -> Result<(), CanonError> {
        if self.files.len() > FILES_MAX {
            let what = format!("the canon has {} files, most {FILES_MAX}", self.files.len());
            return Err(CanonError::in_file(SETTINGS, what));
        }
        let mut total = 0_usize;
        for (path, bytes) in &self.files {
            if bytes.len() > FILE_BYTES_MAX {
                let what = format!("the file has {} bytes, most {FILE_BYTES_MAX}", bytes.len());
                return Err(CanonError::in_file(path, what));
            }
            total = total.saturating_add(bytes.len());
        }
        if total > SOURCE_BYTES_MAX {
            let what = format!("the canon has {total} bytes, most {SOURCE_BYTES_MAX}");
            return Err(CanonError::in_file(SETTINGS, what));
        }
        Ok(())
    }

    /// The text of a file that must be there.
    pub(crate) fn text(&self, path: &str) -> Result<&str, CanonError> {
        let bytes = self.files.get(path).ok_or_else(|| {
            CanonError::in_file(path, "the file is missing")
                .hint("a canon has at least canon.toml and schema.cedarschema")
        })?;
        utf8(path, bytes)
    }

    /// The texts of a folder's files, in order of their paths.
    pub(crate) fn folder(&self, folder: &str) -> Result<Vec<(&str, &str)>, CanonError> {
        let files = self.files.iter().filter(|(path, _)| path.starts_with(folder));
        files.map(|(path, bytes)| Ok((path.as_str(), utf8(path, bytes)?))).collect()
    }
}

fn utf8<'a>(path: &str, bytes: &'a [u8]) -> Result<&'a str, CanonError> {
    std::str::from_utf8(bytes).map_err(|error| {
        CanonError::in_file(path, format!("not UTF-8 at byte {}", error.valid_up_to()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_canon_belong_to_it() {
        for path in ["canon.toml", "schema.cedarschema", "policies/a.cedar", "tests/x.yaml"] {
            assert!(Source::belongs(path), "{path}");
        }
        for path in ["README.md", "policies/a.txt", "policies/.cedar", "facts/x/y.json"] {
            assert!(!Source::belongs(path), "{path}");
        }
    }

    #[test]
    fn the_digest_covers_paths_and_bytes_and_nothing_else() {
        let source = |files: &[(&str, &str)]| {
            let owned =
                files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
            Source::new(owned.collect::<Vec<_>>()).digest()
        };
        let base = source(&[("canon.toml", "a"), ("policies/p.cedar", "b")]);
        assert_eq!(base, source(&[("policies/p.cedar", "b"), ("canon.toml", "a"), ("x.md", "c")]));
        assert_ne!(base, source(&[("canon.toml", "a"), ("policies/q.cedar", "b")]));
        assert_ne!(base, source(&[("canon.toml", "a"), ("policies/p.cedar", "c")]));
    }
}
