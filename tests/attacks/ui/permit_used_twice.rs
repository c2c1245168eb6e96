//! A permit is gone once it was cleared.

use cog_base::Timestamp;
use cog_gate::effect::FileWrite;
use cog_gate::{Gate, Permit};

fn spend(gate: &mut Gate, permit: Permit<FileWrite>, now: Timestamp) {
    let _first = gate.clear(permit, now);
    let _second = gate.clear(permit, now);
}

fn main() {}
