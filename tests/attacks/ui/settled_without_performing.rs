//! What was cleared has no outcome before it was performed.

use cog_gate::Cleared;
use cog_gate::effect::FileWrite;

fn skip(cleared: Cleared<FileWrite>) {
    let _outcome = cleared.settle();
}

fn main() {}
