//! The end of a receipt cannot be put off.

use cog_base::Timestamp;
use cog_gate::Permit;
use cog_gate::effect::FileWrite;

fn prolong(permit: &mut Permit<FileWrite>) {
    permit.pass.expires = Timestamp::MAX;
}

fn main() {}
