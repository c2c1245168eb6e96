//! The machine's clock and randomness, as the capabilities that everything below is handed.

use std::time::{SystemTime, UNIX_EPOCH};

use cog_base::entropy::{Entropy, NoEntropy};
use cog_base::{Clock, Timestamp};

/// How many random bytes are taken at once.
const POOL_BYTES: usize = 1_024;

/// The operating system's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The operating system's randomness, taken in larger pieces.
pub struct SystemEntropy {
    pool: [u8; POOL_BYTES],
    used: usize,
}

impl SystemEntropy {
    /// A source of its own.
    #[must_use]
    pub const fn new() -> Self {
        Self { pool: [0; POOL_BYTES], used: POOL_BYTES }
    }
}

impl Default for SystemEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for SystemEntropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SystemEntropy")
    }
}

impl Entropy for SystemEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        if bytes.len() > self.pool.len() {
            return getrandom::fill(bytes).map_err(|_| NoEntropy);
        }
        if self.used + bytes.len() > self.pool.len() {
            getrandom::fill(&mut self.pool).map_err(|_| NoEntropy)?;
            self.used = 0;
        }
        let taken = self.pool.get_mut(self.used..self.used + bytes.len()).ok_or(NoEntropy)?;
        bytes.copy_from_slice(taken);
        // What was given out once must not be found in memory, or given out again.
        taken.fill(0);
        self.used += bytes.len();
        Ok(())
    }
}
