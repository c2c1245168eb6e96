//! Only the gate clears, because only the gate knows which receipts are open.

use cog_base::Timestamp;
use cog_gate::effect::FileWrite;
use cog_gate::{Cleared, Permit};

fn around(permit: Permit<FileWrite>, now: Timestamp) -> Cleared<FileWrite> {
    permit.clear(now).unwrap()
}

fn main() {}
