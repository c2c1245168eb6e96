//! A permit is no clearance: its receipt is not marked as used.

use cog_gate::effect::FileWrite;
use cog_gate::{Adapter, Permit};

fn act(adapter: &dyn Adapter<FileWrite>, what: Permit<FileWrite>) {
    let _work = adapter.perform(what);
}

fn main() {}
