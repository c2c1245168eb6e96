//! There is no permit by default.

use cog_gate::Permit;
use cog_gate::effect::FileWrite;

fn forge() -> Permit<FileWrite> {
    Default::default()
}

fn main() {}
