//! One decision gives one permit: what is pending has no copy.

use cog_gate::Pending;
use cog_gate::effect::FileWrite;

fn copy(pending: Pending<FileWrite>) -> [Pending<FileWrite>; 2] {
    [pending.clone(), pending]
}

fn main() {}
