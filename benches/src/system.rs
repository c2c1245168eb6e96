//! The machine's clock and randomness as the capabilities that the kernel is handed, and a
//! folder for what is written.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use cog_base::entropy::{Entropy, NoEntropy};
use cog_base::{Clock, Timestamp};

/// The operating system's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

const POOL: usize = 1024;

/// The operating system's randomness, taken in pieces as the program takes it.
#[derive(Debug)]
pub(crate) struct SystemEntropy {
    pool: [u8; POOL],
    used: usize,
}

impl SystemEntropy {
    pub(crate) const fn new() -> Self {
        Self { pool: [0; POOL], used: POOL }
    }
}

impl Entropy for SystemEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        if bytes.len() > POOL {
            return getrandom::fill(bytes).map_err(|_| NoEntropy);
        }
        if self.used + bytes.len() > POOL {
            getrandom::fill(&mut self.pool).map_err(|_| NoEntropy)?;
            self.used = 0;
        }
        let taken = self.pool.get_mut(self.used..self.used + bytes.len()).ok_or(NoEntropy)?;
        bytes.copy_from_slice(taken);
        taken.fill(0);
        self.used += bytes.len();
        Ok(())
    }
}

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
