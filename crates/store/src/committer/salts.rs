//! One source of randomness for whoever submits and for the thread that appends.

use std::sync::{Arc, Mutex, PoisonError};

use cog_base::Entropy;
use cog_base::entropy::NoEntropy;

/// A handle to the source. It is held for one draw at a time.
#[derive(Clone)]
pub(super) struct Salts(Arc<Mutex<Box<dyn Entropy>>>);

impl Salts {
    pub(super) fn new(source: Box<dyn Entropy>) -> Self {
        Self(Arc::new(Mutex::new(source)))
    }
}

impl Entropy for Salts {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoEntropy> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes)
    }
}
