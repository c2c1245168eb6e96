//! The store in memory does what every store must do.

use std::sync::Arc;

use cog_conformance::Place;
use cog_store::{Keep, MemoryStore};

struct InMemory(MemoryStore);

impl Place for InMemory {
    fn open(&self) -> Arc<dyn Keep> {
        Arc::new(self.0.clone())
    }
}

cog_conformance::conformance!(|| InMemory(MemoryStore::new()));
