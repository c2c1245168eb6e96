//! What is cleared is performed once: it has no copy.

use cog_gate::Cleared;
use cog_gate::effect::FileWrite;

fn copy(cleared: Cleared<FileWrite>) -> [Cleared<FileWrite>; 2] {
    [cleared.clone(), cleared]
}

fn main() {}
