//! A decision is no clearance: its receipt is not durable yet.

use cog_gate::effect::FileWrite;
use cog_gate::{Adapter, Pending};

fn act(adapter: &dyn Adapter<FileWrite>, what: Pending<FileWrite>) {
    let _work = adapter.perform(what);
}

fn main() {}
