//! Rings when something happened at the node of this process, so that whoever waits looks at once.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Rings for everybody who waits. A ring may be missed: whoever waits also looks by themselves.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        *rings = rings.wrapping_add(1);
        self.rung.notify_all();
    }

    /// How often it rang by now.
    pub(crate) fn rings(&self) -> u64 {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wait until it rang once more than `heard`, for so long at most.
    pub(crate) fn wait(&self, heard: u64, most: Duration) {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let is_quiet = |rings: &mut u64| *rings == heard;
        // What woke it is looked at by the caller.
        drop(self.rung.wait_timeout_while(rings, most, is_quiet));
    }
}
