//! What was done is settled once.

use cog_gate::Performed;
use cog_gate::effect::FileWrite;

fn twice(performed: Performed<FileWrite>) {
    let _first = performed.settle();
    let _second = performed.settle();
}

fn main() {}
