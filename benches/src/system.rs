//! The machine's clock and randomness as the capabilities that the kernel is handed, and a
//! folder for what is written.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
pub(crate) use cog_embed::{SystemClock, SystemEntropy};

/// An empty folder that is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Make the folder `name` in `data`.
    pub(crate) fn new(data: &Path, name: &str) -> anyhow::Result<Self> {
        let path = data.join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("could not make the folder {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is found under its name and does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
