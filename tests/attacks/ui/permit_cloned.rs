//! A permit has no copy: an authorisation is used once or not at all.

use cog_gate::Permit;
use cog_gate::effect::FileWrite;

fn copy(permit: Permit<FileWrite>) -> [Permit<FileWrite>; 2] {
    [permit.clone(), permit]
}

fn main() {}
